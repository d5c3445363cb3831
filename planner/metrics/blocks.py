"""Rows of metric history as arrays, and the one rule that merges them.

A row is one (resource, period, start) with a value for every statistic that was read; NaN is "not read",
since CloudWatch never returns NaN. Each row carries the moment it was observed. Of two rows for the same
key the newer observation wins, statistic by statistic. That makes the merge associative, commutative and
idempotent, so the order in which pulls, kills and compactions happen cannot be seen in what is read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from planner.frames import METRIC_POINTS, UTC_TIMESTAMP

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Block:
    """Points of one resource and metric at one period, as one answer of CloudWatch gave them."""

    resource: str
    period_s: int
    timestamps_s: Ints
    values: Mapping[str, Floats]
    """Statistic -> values, as long as `timestamps_s`; NaN where the statistic has no point."""


@dataclass(slots=True)
class Rows:
    """Rows of one metric: `resource` holds indices into `names`."""

    names: list[str]
    resource: Ints
    period_s: Ints
    timestamp_s: Ints
    observed_s: Ints
    values: dict[str, Floats] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.timestamp_s)

    def take(self, index: Any) -> Rows:
        return Rows(
            self.names,
            self.resource[index],
            self.period_s[index],
            self.timestamp_s[index],
            self.observed_s[index],
            {name: column[index] for name, column in self.values.items()},
        )

    def only(self, statistics: Collection[str]) -> Rows:
        values = {name: column for name, column in self.values.items() if name in statistics}
        return replace(self, values=values)

    @property
    def point_count(self) -> int:
        return int(sum(np.count_nonzero(~np.isnan(column)) for column in self.values.values()))


def empty_rows() -> Rows:
    none = np.empty(0, dtype=np.int64)
    return Rows([], none, none, none, none, {})


def from_blocks(blocks: Sequence[Block], observed_s: int) -> Rows:
    """All blocks as rows, in the order of the resources' names."""
    ordered = sorted(
        blocks, key=lambda b: (b.resource, b.period_s, b.timestamps_s[0] if len(b.timestamps_s) else 0)
    )
    names = sorted({block.resource for block in ordered})
    code = {name: index for index, name in enumerate(names)}
    sizes = [len(block.timestamps_s) for block in ordered]
    total = sum(sizes)
    statistics = sorted({name for block in ordered for name in block.values})
    values: dict[str, Floats] = {}
    for statistic in statistics:
        column = np.full(total, np.nan)
        at = 0
        for block, size in zip(ordered, sizes, strict=True):
            if statistic in block.values:
                column[at : at + size] = block.values[statistic]
            at += size
        values[statistic] = column
    return Rows(
        names,
        np.repeat(np.array([code[b.resource] for b in ordered], dtype=np.int64), sizes),
        np.repeat(np.array([b.period_s for b in ordered], dtype=np.int64), sizes),
        np.concatenate([b.timestamps_s for b in ordered]) if ordered else np.empty(0, dtype=np.int64),
        np.full(total, observed_s, dtype=np.int64),
        values,
    )


def concatenate(parts: Iterable[Rows]) -> Rows:
    """All rows of all parts, resources renumbered to one sorted list of names."""
    parts = sorted((part for part in parts if len(part)), key=lambda part: part.names[int(part.resource[0])])
    if not parts:
        return empty_rows()
    names = sorted({name for part in parts for name in part.names})
    code = {name: index for index, name in enumerate(names)}
    statistics = sorted({name for part in parts for name in part.values})
    return Rows(
        names,
        np.concatenate([np.array([code[n] for n in p.names], dtype=np.int64)[p.resource] for p in parts]),
        np.concatenate([p.period_s for p in parts]),
        np.concatenate([p.timestamp_s for p in parts]),
        np.concatenate([p.observed_s for p in parts]),
        {
            statistic: np.concatenate(
                [p.values[statistic] if statistic in p.values else np.full(len(p), np.nan) for p in parts]
            )
            for statistic in statistics
        },
    )


def _sorted_newest_first(rows: Rows) -> tuple[Rows, NDArray[np.bool_]]:
    """Rows by key, the newest observation of a key first; and True where a row opens a key.

    Two observations of one moment (two pulls at once) are ordered by their values, so that the result does
    not depend on which came first.
    """
    if not _is_sorted(rows):
        order = np.lexsort((-rows.observed_s, rows.timestamp_s, rows.period_s, rows.resource))
        rows = rows.take(order)
    opens = _opens(rows)
    if not opens.all():
        tie_break = [-np.nan_to_num(rows.values[name], nan=-np.inf) for name in sorted(rows.values)]
        order = np.lexsort((*tie_break, -rows.observed_s, rows.timestamp_s, rows.period_s, rows.resource))
        rows = rows.take(order)
    return rows, opens


def _is_sorted(rows: Rows) -> bool:
    """True where the rows are in the order of their keys and no key repeats, as one pull writes them."""
    resource, period, time = (np.diff(a) for a in (rows.resource, rows.period_s, rows.timestamp_s))
    rises = (resource > 0) | ((resource == 0) & ((period > 0) | ((period == 0) & (time > 0))))
    return bool(rises.all())


def _opens(rows: Rows) -> NDArray[np.bool_]:
    opens = np.ones(len(rows), dtype=bool)
    opens[1:] = (
        (rows.timestamp_s[1:] != rows.timestamp_s[:-1])
        | (rows.period_s[1:] != rows.period_s[:-1])
        | (rows.resource[1:] != rows.resource[:-1])
    )
    return opens


def collapse(rows: Rows) -> Rows:
    """One row a key: each statistic from its newest observation."""
    rows, opens = _sorted_newest_first(rows)
    if opens.all():
        return rows
    first = np.flatnonzero(opens)
    size = np.diff(np.append(first, len(rows)))
    merged = rows.take(first)
    for rank in range(1, int(size.max())):
        deep = np.flatnonzero(size > rank)
        for name, column in merged.values.items():
            older = rows.values[name][first[deep] + rank]
            column[deep] = np.where(np.isnan(column[deep]), older, column[deep])
    return merged


def without_superseded(rows: Rows) -> Rows:
    """Sorted rows without those that newer rows of the same key replace in every statistic."""
    rows, opens = _sorted_newest_first(rows)
    if opens.all():
        return rows
    keep = opens.copy()
    first = np.flatnonzero(opens)
    size = np.diff(np.append(first, len(rows)))
    known = {name: ~np.isnan(column[first]) for name, column in rows.values.items()}
    for rank in range(1, int(size.max())):
        deep = np.flatnonzero(size > rank)
        row = first[deep] + rank
        for name, column in rows.values.items():
            adds = ~np.isnan(column[row]) & ~known[name][deep]
            keep[row[adds]] = True
            known[name][deep] |= adds
    return rows.take(keep)


def from_points(points: pd.DataFrame, observed_s: int) -> dict[str, Rows]:
    """METRIC_POINTS as rows by metric; of a key that repeats the last row counts."""
    found: dict[str, Rows] = {}
    for metric, of_metric in points.groupby("metric", sort=True):
        wide = (
            of_metric.drop_duplicates(["resource", "period_s", "timestamp", "statistic"], keep="last")
            .set_index(["resource", "period_s", "timestamp", "statistic"])["value"]
            .unstack("statistic")
            .sort_index()
        )
        codes, names = pd.factorize(wide.index.get_level_values("resource"), sort=True)
        seconds = _seconds(wide.index.get_level_values("timestamp"))
        found[str(metric)] = Rows(
            [str(name) for name in names],
            codes.astype(np.int64),
            wide.index.get_level_values("period_s").to_numpy(np.int64),
            seconds,
            np.full(len(wide), observed_s, dtype=np.int64),
            {str(name): wide[name].to_numpy(np.float64) for name in wide.columns},
        )
    return found


def _seconds(index: Any) -> Ints:
    nanoseconds = pd.DatetimeIndex(index).as_unit("ns").asi8
    return np.asarray(nanoseconds // NANOSECONDS, dtype=np.int64)


def to_points(by_metric: Mapping[str, Rows]) -> pd.DataFrame:
    """METRIC_POINTS of collapsed rows, in the order of its key."""
    import pyarrow as pa

    resources = sorted({name for rows in by_metric.values() for name in rows.names})
    code = {name: index for index, name in enumerate(resources)}
    metrics = sorted(by_metric)
    statistics = sorted({s for rows in by_metric.values() for s in rows.values})
    pieces: list[tuple[Ints, int, int, Ints, Ints, Floats]] = []
    for metric_index, metric in enumerate(metrics):
        rows = by_metric[metric]
        renumber = np.array([code[name] for name in rows.names], dtype=np.int64)
        for name in sorted(rows.values):
            here = np.flatnonzero(~np.isnan(rows.values[name]))
            pieces.append(
                (
                    renumber[rows.resource[here]] if len(here) else here,
                    metric_index,
                    statistics.index(name),
                    rows.period_s[here],
                    rows.timestamp_s[here],
                    rows.values[name][here],
                )
            )
    if not any(len(piece[0]) for piece in pieces):
        return METRIC_POINTS.empty()
    sizes = [len(piece[0]) for piece in pieces]
    resource = np.concatenate([piece[0] for piece in pieces])
    order = np.argsort(resource, kind="stable")

    def text(indices: Ints, words: list[str]) -> Any:
        dictionary = pa.DictionaryArray.from_arrays(pa.array(indices.astype(np.int32)), pa.array(words))
        return pd.array(dictionary.cast(pa.large_string()), dtype="str")

    return pd.DataFrame(
        {
            "resource": text(resource[order], resources),
            "metric": text(np.repeat([p[1] for p in pieces], sizes)[order], metrics),
            "statistic": text(np.repeat([p[2] for p in pieces], sizes)[order], statistics),
            "period_s": np.concatenate([p[3] for p in pieces])[order],
            "timestamp": pd.Series(np.concatenate([p[4] for p in pieces])[order].view("datetime64[s]"))
            .dt.tz_localize("UTC")
            .astype(UTC_TIMESTAMP),
            "value": np.concatenate([p[5] for p in pieces])[order],
        }
    )
