"""What was asked of CloudWatch and answered in full, so that nothing is fetched twice and gaps are known.

A record says: at `observed_s` this resource and metric was read over a window at a period, and every point
that CloudWatch had is in the store. It is written after the points, so a pull killed in between fetches
again what it had already stored, and never claims what it has not. A refusal is a record too: it covers
nothing and tells why.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from planner.metrics.windows import Window, settled, subtract, union

Series = tuple[str, str]
"""(resource, metric)"""


@dataclass(frozen=True, slots=True, order=True)
class Fetched:
    resource: str
    metric: str
    period_s: int
    start_s: int
    end_s: int
    observed_s: int
    refusal: str = ""
    """Why nothing was stored; empty where the window is complete."""
    unit: str = ""
    """CloudWatch unit of the metric where it was seen."""

    @property
    def series(self) -> Series:
        return self.resource, self.metric

    @property
    def window(self) -> Window:
        return self.start_s, self.end_s


_COLUMNS: Final = ("resource", "metric", "period_s", "start_s", "end_s", "observed_s", "refusal", "unit")


@dataclass(slots=True)
class Manifest:
    """All records of one cluster."""

    records: list[Fetched] = field(default_factory=list)

    def covered(self, now_s: int, *, at_most_period_s: int) -> dict[Series, list[Window]]:
        """Windows that need not be fetched again: settled, and at this period or a finer one."""
        found: dict[Series, list[Window]] = defaultdict(list)
        for record in self.records:
            if not record.refusal and record.period_s <= at_most_period_s:
                found[record.series].append(settled(record.window, min(record.observed_s, now_s)))
        return {series: union(windows) for series, windows in found.items()}

    def read(self) -> dict[Series, list[Window]]:
        """Windows that were read at least once, settled or not."""
        found: dict[Series, list[Window]] = defaultdict(list)
        for record in self.records:
            if not record.refusal:
                found[record.series].append(record.window)
        return {series: union(windows) for series, windows in found.items()}

    def refusals(self) -> dict[Series, str]:
        """The newest refusal of each series that no later record has overcome."""
        newest = {record.series: record for record in sorted(self.records, key=_age)}
        return {series: record.refusal for series, record in sorted(newest.items()) if record.refusal}

    def units(self) -> dict[Series, str]:
        """The unit in which each series was last read."""
        return {r.series: r.unit for r in sorted(self.records, key=lambda r: r.observed_s) if r.unit}


def _age(record: Fetched) -> tuple[int, bool, Fetched]:
    """Oldest first; of one moment a success counts as the newer, since the metric could be read."""
    return record.observed_s, not record.refusal, record


def compacted(records: Iterable[Fetched]) -> list[Fetched]:
    """Fewer records that say the same: settled windows joined, unsettled ones kept while they add something."""
    by_series: dict[tuple[str, str, int], list[Fetched]] = defaultdict(list)
    newest: dict[Series, Fetched] = {}
    for record in sorted(set(records), key=_age):
        newest[record.series] = record
        if not record.refusal:
            by_series[(record.resource, record.metric, record.period_s)].append(record)
    kept = [record for record in newest.values() if record.refusal]
    for (resource, metric, period_s), of_series in by_series.items():
        kept += _joined(resource, metric, period_s, of_series)
    return sorted(kept)


def _joined(resource: str, metric: str, period_s: int, records: Sequence[Fetched]) -> list[Fetched]:
    observed = max(record.observed_s for record in records)
    unit = next((record.unit for record in reversed(records) if record.unit), "")
    done = union(settled(record.window, record.observed_s) for record in records)
    found = [Fetched(resource, metric, period_s, start, end, observed, "", unit) for start, end in done]
    open_ended = [r for r in records if subtract(r.window, done)]
    for record in open_ended:
        found += [
            Fetched(resource, metric, period_s, start, end, record.observed_s, "", unit)
            for start, end in subtract(record.window, done)
        ]
    return found


def to_parquet(records: Sequence[Fetched]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    columns = {name: [getattr(record, name) for record in records] for name in _COLUMNS}
    pq.write_table(pa.table(columns), sink, compression="zstd")
    return sink.getvalue()


def from_parquet(content: bytes) -> list[Fetched]:
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(content), columns=list(_COLUMNS))
    return [Fetched(*row) for row in zip(*(column.to_pylist() for column in table.columns), strict=True)]
