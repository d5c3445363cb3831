"""Cleaning of metric points: every rule is counted, nothing is filled in or smoothed away."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import pandas as pd

from planner.frames import METRIC_POINTS
from planner.metrics.marks import Mark, deployments, incidents, level_steps, resets, seams
from planner.model import Estate

SPARSE_METRICS: Final = frozenset(
    {
        "RequestCount",
        "RequestCountPerTarget",
        "TargetResponseTime",
        "HTTPCode_Target_2XX_Count",
        "HTTPCode_Target_4XX_Count",
        "HTTPCode_Target_5XX_Count",
        "HTTPCode_ELB_5XX_Count",
        "RejectedConnectionCount",
        "TargetConnectionErrorCount",
        "ConsumedLCUs",
    }
)
"""Published only when there is something to count (Application Load Balancer user guide, "Reporting
criteria"), so that a missing point is no gap."""
GAP_PERIODS: Final = 1.5
"""Two points further apart than this many periods have a gap between them."""


@dataclass(frozen=True, slots=True)
class SeriesCleaning:
    """What was found in one series; counts of rows, or of periods for `missing`."""

    resource: str
    metric: str
    statistic: str
    duplicates: int = 0
    """Rows that repeat a time with the same value: dropped."""
    conflicts: int = 0
    """Rows that repeat a time with another value: the last one in the order given is kept."""
    backward_steps: int = 0
    """Rows earlier than the row before them: sorted in."""
    not_finite: int = 0
    """NaN or infinite values: dropped, so they are gaps."""
    negative: int = 0
    """Negative values of metrics that cannot be negative: dropped, so they are gaps."""
    overlapped: int = 0
    """Coarser points over minutes that finer points cover: dropped."""
    off_grid: int = 0
    """Points that do not start on a whole period: kept."""
    gaps: int = 0
    missing: int = 0
    """Periods without a point between the first and the last: left missing."""

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.resource, self.metric, self.statistic) if part)

    @property
    def is_clean(self) -> bool:
        return not any(getattr(self, f.name) for f in fields(self) if f.type == "int")


_WORDS: Final = {
    "duplicates": ("duplicate", "duplicates"),
    "conflicts": ("repeated time with another value", "repeated times with another value"),
    "backward_steps": ("backward step", "backward steps"),
    "not_finite": ("value that is no number", "values that are no numbers"),
    "negative": ("negative value", "negative values"),
    "overlapped": ("coarser point over finer ones", "coarser points over finer ones"),
    "off_grid": ("point off the grid", "points off the grid"),
    "gaps": ("gap", "gaps"),
}


@dataclass(frozen=True, slots=True)
class CleaningReport:
    points_in: int
    points_out: int
    series: tuple[SeriesCleaning, ...]
    """Series with a finding, in the order of their names; clean series are left out."""
    marks: tuple[Mark, ...]
    """Seams, resets, deployments, steps and incidents: told, not changed."""

    def total(self, rule: str) -> int:
        """How often a rule of SeriesCleaning applied, over all series."""
        return sum(int(getattr(series, rule)) for series in self.series)

    def sentences(self) -> tuple[str, ...]:
        """One sentence a finding: "11 duplicates in service/web CPUUtilization Average"."""
        found = []
        for series in self.series:
            for rule, (one, many) in _WORDS.items():
                count = int(getattr(series, rule))
                if count:
                    missing = f" ({series.missing:,} periods)" if rule == "gaps" else ""
                    found.append(f"{count:,} {one if count == 1 else many}{missing} in {series.name}")
        return tuple(found)


def clean(points: pd.DataFrame, estate: Estate | None = None) -> tuple[pd.DataFrame, CleaningReport]:
    """Points in key order with duplicates and overlaps resolved, and the report of what was found.

    `points` has the columns of METRIC_POINTS in any order of rows, repeats allowed. With `estate` its
    deployments are marked; without it they are still marked where Container Insights counted them.
    """
    frame, found = _resolved(points)
    frame = without_overlaps(frame, found)
    _note_gaps(frame, found)
    frame = frame.drop(columns=["_series"]).reset_index(drop=True)
    report = CleaningReport(
        points_in=len(points),
        points_out=len(frame),
        series=tuple(
            _series_cleaning(key, counts) for key, counts in sorted(found.items()) if any(counts.values())
        ),
        marks=tuple(
            sorted(
                [
                    *seams(frame),
                    *resets(frame),
                    *deployments(frame, estate),
                    *level_steps(frame, estate),
                    *incidents(frame),
                ]
            )
        ),
    )
    return frame[METRIC_POINTS.column_names], report


Counts = dict[tuple[str, str, str], dict[str, int]]


def _series_cleaning(key: tuple[str, str, str], counts: dict[str, int]) -> SeriesCleaning:
    rules: dict[str, Any] = dict(counts)
    return SeriesCleaning(*key, **rules)


def _resolved(points: pd.DataFrame) -> tuple[pd.DataFrame, Counts]:
    """Rows sorted by key, one a key, finite and not negative; a `_series` code; and the counts."""
    keys = ["resource", "metric", "statistic"]
    frame = points[METRIC_POINTS.column_names].reset_index(drop=True)
    frame["_series"] = frame.groupby(keys, sort=True).ngroup()
    names = frame.drop_duplicates("_series").set_index("_series")[keys].sort_index()
    found: Counts = {(str(r.resource), str(r.metric), str(r.statistic)): {} for r in names.itertuples()}
    labels = list(found)

    def note(rule: str, series: pd.Series) -> None:
        for code, count in series.value_counts().items():
            found[labels[int(str(code))]][rule] = int(count)

    in_order = frame.sort_values(["_series", "period_s"], kind="stable")
    same = (in_order["_series"].diff() == 0) & (in_order["period_s"].diff() == 0)
    back = same & (in_order["timestamp"].diff() < pd.Timedelta(0))
    note("backward_steps", in_order.loc[back, "_series"])
    finite = np.isfinite(frame["value"])
    note("not_finite", frame.loc[~finite, "_series"])
    negative = finite & (frame["value"] < 0)
    note("negative", frame.loc[negative, "_series"])
    frame = frame[finite & ~negative].sort_values(["_series", "period_s", "timestamp"], kind="stable")
    key = ["_series", "period_s", "timestamp"]
    repeats = frame.duplicated(key, keep="last")
    last = frame.groupby(key, sort=False)["value"].transform("last") if repeats.any() else frame["value"]
    note("duplicates", frame.loc[repeats & (frame["value"] == last), "_series"])
    note("conflicts", frame.loc[repeats & (frame["value"] != last), "_series"])
    return frame[~repeats], found


def without_overlaps(frame: pd.DataFrame, found: Counts | None = None) -> pd.DataFrame:
    """Without coarser points in whose span finer points of the same series lie."""
    periods = sorted(frame["period_s"].unique())
    if len(periods) < 2:
        return frame
    keys = ["resource", "metric", "statistic"]
    kept = frame[frame["period_s"] == periods[0]]
    for period in periods[1:]:
        coarse = frame[frame["period_s"] == period]
        span = pd.Timedelta(seconds=int(period))
        fine = kept.assign(timestamp=kept["timestamp"].dt.floor(span))[[*keys, "timestamp"]].drop_duplicates()
        covered = (
            coarse.assign(timestamp=coarse["timestamp"].dt.floor(span))[[*keys, "timestamp"]]
            .merge(fine, on=[*keys, "timestamp"], how="left", indicator=True)["_merge"]
            .to_numpy()
            == "both"
        )
        if found is not None:
            for key, count in coarse[covered].groupby(keys).size().items():
                counts = found[tuple(key)]
                counts["overlapped"] = counts.get("overlapped", 0) + int(count)
        kept = pd.concat([kept, coarse[~covered]])
    ordered: pd.DataFrame = kept.sort_values([*keys, "timestamp"], kind="stable")
    return ordered


def _note_gaps(frame: pd.DataFrame, found: Counts) -> None:
    """Count points off the grid, and gaps of series that report at every period."""
    seconds = frame["timestamp"].astype("int64").to_numpy() // 1_000_000_000
    period = frame["period_s"].to_numpy()
    labels = list(found)
    series = frame["_series"].to_numpy()
    off_grid = seconds % np.maximum(period, 1) != 0
    same = series[1:] == series[:-1]
    distance = seconds[1:] - seconds[:-1]
    gap = same & (distance > GAP_PERIODS * period[:-1])
    missing = np.where(gap, np.rint(distance / np.maximum(period[:-1], 1)).astype(np.int64) - 1, 0)
    for code in np.unique(series[off_grid]):
        found[labels[code]]["off_grid"] = int(np.count_nonzero(off_grid & (series == code)))
    for code in np.unique(series[1:][gap]):
        if labels[code][1] in SPARSE_METRICS:
            continue
        here = gap & (series[1:] == code)
        found[labels[code]] |= {"gaps": int(here.sum()), "missing": int(missing[here].sum())}
