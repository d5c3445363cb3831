"""The metric store: numpy columns per metric, in time order, instead of one object per data point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Dimensions = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, order=True)
class MetricKey:
    """What identifies a metric: its namespace, its name and all of its dimensions, sorted by name."""

    namespace: str
    name: str
    dimensions: Dimensions = ()

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: dict[str, str]) -> MetricKey:
        return cls(namespace, name, tuple(sorted(dimensions.items())))


class Columns:
    """Rows of numbers in time order that grow in place; late rows are sorted in when next read."""

    def __init__(self, width: int) -> None:
        self._table: Floats = np.empty((width + 1, 0))
        self._rows = 0
        self._sorted = True

    def append(self, timestamps: Floats, *values: Floats) -> None:
        added = len(timestamps)
        if not added:
            return
        self._reserve(added)
        block = self._table[:, self._rows : self._rows + added]
        block[0] = timestamps
        for row, column in enumerate(values, start=1):
            block[row] = column
        in_order = added == 1 or bool(np.all(np.diff(timestamps) >= 0))
        if self._rows:
            in_order = in_order and timestamps[0] >= self._table[0, self._rows - 1]
        self._sorted = self._sorted and in_order
        self._rows += added

    def between(self, start_s: float, end_s: float) -> Floats:
        """The rows with start <= timestamp < end, as an array of (timestamp, values...) by row."""
        if not self._sorted:
            order = np.argsort(self._table[0, : self._rows], kind="stable")
            self._table[:, : self._rows] = self._table[:, order]
            self._sorted = True
        low, high = np.searchsorted(self._table[0, : self._rows], (start_s, end_s))
        return self._table[:, low:high]

    @property
    def last(self) -> float | None:
        """The newest timestamp."""
        if not self._rows:
            return None
        return float(self._table[0, self._rows - 1] if self._sorted else self._table[0, : self._rows].max())

    def __len__(self) -> int:
        return self._rows

    def _reserve(self, added: int) -> None:
        needed = self._rows + added
        if needed <= self._table.shape[1]:
            return
        grown = np.empty((self._table.shape[0], max(needed, 2 * self._rows)))
        grown[:, : self._rows] = self._table[:, : self._rows]
        self._table = grown


class Series:
    """All data of one metric in one unit.

    `samples` are values with a weight (a value seen `weight` times); `sets` are statistic sets
    (count, sum, minimum, maximum), of which no percentile can be told. A standard metric (`resolution_s`
    60) is kept by the minute, a high-resolution one by the second (1), or as often as ECS publishes it (20).
    """

    def __init__(self, resolution_s: int = 60) -> None:
        self.resolution_s = resolution_s
        self.samples = Columns(2)
        self.sets = Columns(4)

    @property
    def last(self) -> float | None:
        known = [last for last in (self.samples.last, self.sets.last) if last is not None]
        return max(known) if known else None


class MetricStore:
    """The metrics of one Region."""

    def __init__(self) -> None:
        self._series: dict[MetricKey, dict[str, Series]] = {}
        self._by_name: dict[tuple[str, str], list[MetricKey]] = {}
        self._replaced: set[MetricKey] = set()

    def series(self, key: MetricKey, unit: str | None = None) -> list[Series]:
        """The data of a metric, one item per unit; only `unit`'s where one is asked for."""
        units = self._series.get(key, {})
        return [s for name, s in units.items() if unit is None or name == unit]

    def units(self, key: MetricKey) -> list[str]:
        return list(self._series.get(key, {}))

    def keys(self, namespace: str | None = None, name: str | None = None) -> list[MetricKey]:
        if namespace is not None and name is not None:
            return list(self._by_name.get((namespace, name), ()))
        return [
            key
            for key in self._series
            if (namespace is None or key.namespace == namespace) and (name is None or key.name == name)
        ]

    def last(self, key: MetricKey) -> float | None:
        known = [s.last for s in self.series(key)]
        return max((last for last in known if last is not None), default=None)

    def add(
        self,
        key: MetricKey,
        timestamps_s: Floats | list[float],
        values: Floats | list[float],
        weights: Floats | list[float] | None = None,
        unit: str = "None",
        resolution_s: int = 60,
    ) -> None:
        """Add values at epoch seconds, each seen `weights` times (once by default)."""
        stamps = np.floor(np.asarray(timestamps_s, dtype=np.float64) / resolution_s) * resolution_s
        numbers = np.asarray(values, dtype=np.float64)
        counts = np.ones_like(numbers) if weights is None else np.asarray(weights, dtype=np.float64)
        self._of(key, unit, resolution_s).samples.append(stamps, numbers, counts)

    def add_generated(
        self,
        key: MetricKey,
        timestamps_s: Floats | list[float],
        values: Floats | list[float],
        weights: Floats | list[float] | None = None,
        unit: str = "None",
        resolution_s: int = 60,
    ) -> None:
        """Add values the sandbox makes up itself, unless the metric was replaced by somebody's data."""
        if key not in self._replaced:
            self.add(key, timestamps_s, values, weights, unit, resolution_s)

    def replace(self, key: MetricKey) -> None:
        """Forget a metric's data and keep generated data out of it from now on."""
        self._replaced.add(key)
        if self._series.pop(key, None) is not None:
            self._by_name[(key.namespace, key.name)].remove(key)

    def add_set(
        self,
        key: MetricKey,
        timestamp_s: float,
        statistics: tuple[float, float, float, float],
        unit: str = "None",
        resolution_s: int = 60,
    ) -> None:
        """Add one statistic set: (sample count, sum, minimum, maximum)."""
        columns = [np.array([number]) for number in statistics]
        stamp = np.floor(np.array([timestamp_s]) / resolution_s) * resolution_s
        self._of(key, unit, resolution_s).sets.append(stamp, *columns)

    def points(self) -> int:
        """How many samples and statistic sets are stored."""
        return sum(len(s.samples) + len(s.sets) for units in self._series.values() for s in units.values())

    def __len__(self) -> int:
        return len(self._series)

    def _of(self, key: MetricKey, unit: str, resolution_s: int) -> Series:
        units = self._series.get(key)
        if units is None:
            units = self._series[key] = {}
            self._by_name.setdefault((key.namespace, key.name), []).append(key)
        if unit not in units:
            units[unit] = Series(resolution_s)
        units[unit].resolution_s = min(units[unit].resolution_s, resolution_s)
        return units[unit]
