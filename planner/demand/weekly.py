"""Quantiles by hour of the week: the simplest honest model of demand.

Each of the 168 hours of a local week gets the quantiles of what was seen in it. An hour that was seen on
too few days borrows from the same hour of the other days (weekdays and weekend days apart),
then from the same hour of every day, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from planner.demand.notices import Notice, UnusableSeries
from planner.units import HOURS_PER_WEEK

QUANTILES = (0.5, 0.9, 0.99)
MIN_DAYS = 3
"""Different days on which an hour must have been seen before it stands alone: with fewer, one unusual day
is half or more of the evidence."""
MIN_POINTS = 20
MONDAY = pd.Timestamp("1970-01-05")


@dataclass(frozen=True, slots=True)
class WeeklyQuantiles:
    """`table`: one row per hour of the week (0 = Monday 00:00 local), columns hour_of_week, one column a
    quantile (p50, p90, p99, ...), points, borrowed_from ("" where the hour stands alone)."""

    table: pd.DataFrame
    timezone: str
    quantiles: tuple[float, ...]
    warnings: tuple[Notice, ...]

    def at(self, timestamps: pd.DatetimeIndex) -> pd.DataFrame:
        """The quantiles that hold at each timestamp (UTC): columns timestamp and one a quantile."""
        names = [quantile_name(q) for q in self.quantiles]
        rows = self.table[names].to_numpy()[hour_of_week(timestamps, self.timezone)]
        return pd.DataFrame(rows, columns=names).assign(timestamp=timestamps)[["timestamp", *names]]


def quantile_name(quantile: float) -> str:
    """p50, p90, p99, p99.9: the column of a quantile."""
    return f"p{quantile * 100:.6g}"


def hour_of_week(timestamps: pd.DatetimeIndex, timezone: str) -> np.ndarray:
    local = timestamps.tz_convert(timezone)
    return np.asarray(local.day_of_week * 24 + local.hour)


def weekly_quantiles(
    demand_of_one_service: pd.Series,
    timezone: str = "UTC",
    *,
    quantiles: tuple[float, ...] = QUANTILES,
) -> WeeklyQuantiles:
    """Quantiles by local hour of the week of one series (UTC index, any unit, gaps allowed).

    Raises UnusableSeries when no finite value is left.
    """
    clean = demand_of_one_service[np.isfinite(demand_of_one_service.to_numpy(dtype=float))]
    if clean.empty:
        raise UnusableSeries("the series holds no finite value: nothing can be said about a week of it")
    index = pd.DatetimeIndex(clean.index)
    index = index.tz_localize("UTC") if index.tz is None else index
    hours = hour_of_week(index, timezone)
    local = index.tz_convert(timezone).tz_localize(None)
    days = np.asarray((local.normalize() - MONDAY).days)
    values = clean.to_numpy(dtype=float)
    rows, borrowed = [], 0
    for hour in range(HOURS_PER_WEEK):
        chosen, source = _evidence(hour, hours, days)
        borrowed += source != ""
        rows.append((hour, *np.quantile(values[chosen], quantiles), int(chosen.sum()), source))
    names = [quantile_name(q) for q in quantiles]
    table = pd.DataFrame(rows, columns=["hour_of_week", *names, "points", "borrowed_from"])
    return WeeklyQuantiles(table, timezone, tuple(quantiles), _notices(borrowed, index))


def _evidence(hour: int, hours: np.ndarray, days: np.ndarray) -> tuple[np.ndarray, str]:
    """The rows that speak for one hour of the week: the narrowest set with enough weeks and points."""
    same_hour = hours % 24 == hour % 24
    weekend = hours >= 5 * 24
    kind = same_hour & (weekend == (hour >= 5 * 24))
    candidates = (
        (hours == hour, ""),
        (kind, "the same hour of like days"),
        (same_hour, "the same hour of every day"),
    )
    for chosen, source in candidates:
        if len(np.unique(days[chosen])) >= MIN_DAYS and chosen.sum() >= MIN_POINTS:
            return chosen, source
    return np.ones(len(hours), dtype=bool), "every hour"


def _notices(borrowed: int, index: pd.DatetimeIndex) -> tuple[Notice, ...]:
    if not borrowed:
        return ()
    days = (index.max() - index.min()) / pd.Timedelta(days=1)
    return (
        Notice(
            "short-history",
            f"{borrowed} of {HOURS_PER_WEEK} hours of the week were seen on fewer than {MIN_DAYS} days "
            f"({days:.1f} days of history) and borrow from other days",
        ),
    )
