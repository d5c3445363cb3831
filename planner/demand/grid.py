"""A raw series put on a regular grid of local wall-clock steps, with everything odd about it told.

Seasonality follows the wall clock, so the grid does too: a step is a whole number counted on local time.
The hour that a clock change skips is a gap, the hour it repeats is averaged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from planner.demand.notices import Notice, UnusableSeries

NOTED_GAPS = 0.02
LONG_GAP_DAYS = 7
LARGEST = 1e100
"""What is larger cannot be squared; no load is."""


@dataclass(frozen=True, slots=True)
class Grid:
    """`values[i]` is the mean over step `first + i` of the local wall clock; NaN where nothing was seen."""

    values: np.ndarray
    first: int
    step: pd.Timedelta
    timezone: str
    as_of: pd.Timestamp
    stale: pd.Timedelta
    """How long before `as_of` the data end."""
    notices: tuple[Notice, ...]

    @property
    def steps_per_day(self) -> int:
        return max(1, round(pd.Timedelta(days=1) / self.step))

    def wall_steps(self, timestamps: pd.DatetimeIndex) -> np.ndarray:
        return wall_steps(timestamps, self.step, self.timezone)


def wall_steps(timestamps: pd.DatetimeIndex, step: pd.Timedelta, timezone: str) -> np.ndarray:
    """Number of whole steps between 1970-01-01 00:00 local time and each timestamp's wall-clock time."""
    local = timestamps.tz_convert(timezone).tz_localize(None).as_unit("ns")
    return np.asarray(local.asi8 // step.as_unit("ns").value)


def to_grid(
    series: pd.Series, step: pd.Timedelta, as_of: pd.Timestamp | None, timezone: str, memory_days: int
) -> Grid:
    """Clean one series and average the last `memory_days` of it into steps.

    Only points that lie before `as_of` are looked at. A point covers the time from its timestamp on, so a
    step is used once it has ended at `as_of`. The grid ends with the last step that holds a value. Raises
    UnusableSeries when no finite value is left.
    """
    index, values, notices = _clean(series, as_of)
    period = _period(index)
    end = as_of if as_of is not None else index[-1] + period
    stale = max(pd.Timedelta(0), end - index[-1] - period)
    if period > step * 1.5:
        notices.append(
            Notice("step-finer-than-data", f"points come every {span_text(period)}, the step is {span_text(step)}")
        )
    if as_of is not None and stale > max(2 * period, pd.Timedelta(hours=1)):
        notices.append(Notice("stale-data", f"the last point comes {span_text(stale.floor('min'))} before as_of"))
    longest = int(np.argmax(np.diff(index.asi8))) if len(index) > 1 else 0
    if len(index) > 1 and index[longest + 1] - index[longest] > pd.Timedelta(days=LONG_GAP_DAYS):
        notices.append(
            Notice(
                "gaps",
                f"nothing was seen for {(index[longest + 1] - index[longest]).days} days before "
                f"{index[longest + 1].isoformat()}",
            )
        )
    recent = np.asarray(index >= index[-1] - pd.Timedelta(days=memory_days))
    index, values = index[recent], values[recent]
    wall = wall_steps(index, step, timezone)
    complete = wall < int(wall_steps(pd.DatetimeIndex([end]), step, timezone)[0])
    if complete.any():
        wall, values = wall[complete], values[complete]
    first, last = int(wall.min()), int(wall.max())
    averages = _hold(_averages(wall - first, values, last - first + 1), period, step)
    missing = float(np.isnan(averages).mean())
    if missing > NOTED_GAPS:
        notices.append(Notice("gaps", f"{missing:.0%} of the steps before the forecast hold no data"))
    return Grid(averages, first, step, timezone, end, stale, tuple(notices))


def _clean(series: pd.Series, as_of: pd.Timestamp | None) -> tuple[pd.DatetimeIndex, np.ndarray, list[Notice]]:
    index = pd.DatetimeIndex(series.index)
    index = (index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC")).as_unit("ns")
    values = np.asarray(series.to_numpy(), dtype=float)
    if as_of is not None:
        before = np.asarray(index < as_of)
        if not before.any() and len(index):
            raise UnusableSeries(
                f"no point lies before {as_of.isoformat()}: the series starts at {index.min().isoformat()}"
            )
        index, values = index[before], values[before]
    notices: list[Notice] = []
    infinite = np.abs(values) > LARGEST
    if infinite.any():
        notices.append(
            Notice("infinite-values", f"{int(infinite.sum())} infinite values (or above 1e100) were left out")
        )
    finite = np.isfinite(values) & ~infinite & ~np.asarray(index.isna())
    index, values = index[finite], values[finite]
    if not len(values):
        raise UnusableSeries("the series holds no finite value before the forecast starts")
    if not index.is_monotonic_increasing:
        notices.append(Notice("unsorted", "timestamps stepped backwards and were sorted"))
    order = np.lexsort((values, index.asi8))
    index, values = index[order], values[order]
    repeats = int(index.duplicated().sum())
    if repeats:
        notices.append(Notice("duplicates", f"{repeats} timestamps came more than once and were averaged"))
    if (values < 0).any():
        notices.append(Notice("negative-values", f"{int((values < 0).sum())} values are below zero"))
    return index, values, notices


def _period(index: pd.DatetimeIndex) -> pd.Timedelta:
    """The spacing of the points: the median of the positive differences (one minute for a single point)."""
    spacing = np.diff(index.asi8)
    spacing = spacing[spacing > 0]
    return pd.Timedelta(int(np.median(spacing)), unit="ns") if len(spacing) else pd.Timedelta(minutes=1)


def _averages(at: np.ndarray, values: np.ndarray, length: int) -> np.ndarray:
    """Mean of the values that fall into each step; NaN for empty steps. Bounded against overflow."""
    largest = float(np.abs(values).max()) or 1.0
    sums = np.bincount(at, weights=values / largest, minlength=length)
    counts = np.bincount(at, minlength=length)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums / counts * largest)


def _hold(values: np.ndarray, period: pd.Timedelta, step: pd.Timedelta) -> np.ndarray:
    """Where the data are coarser than the step, a value holds until the next one is due."""
    held = int(np.ceil(period / step)) - 1
    if held < 1:
        return values
    return pd.Series(values).ffill(limit=held).to_numpy()


def clock_change(first: pd.Timestamp, last: pd.Timestamp, timezone: str) -> Notice | None:
    """Told where the clocks of the time zone change between two moments (within a day of accuracy)."""
    days = pd.DatetimeIndex([*pd.date_range(first, last, freq="1D"), last])
    offsets = days.tz_convert(timezone).tz_localize(None) - days.tz_localize(None)
    changed = np.flatnonzero(np.diff(offsets.asi8))
    if not len(changed):
        return None
    day = days[changed[-1]].tz_convert(timezone).date()
    return Notice("clock-change", f"the clocks of {timezone} change around {day}; hours follow the local clock")


def span_text(span: pd.Timedelta) -> str:
    """A span as people write it: 15min, 24h, 90d."""
    minutes = span / pd.Timedelta(minutes=1)
    for size, name in ((pd.Timedelta(days=1), "d"), (pd.Timedelta(hours=1), "h")):
        if span >= 2 * size and span % size == pd.Timedelta(0):
            return f"{span / size:g}{name}"
    return f"{minutes:g}min" if minutes >= 1 else f"{span.total_seconds():g}s"
