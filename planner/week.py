"""Minutes of a history gathered by the hour of the local week."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from planner.timegrid import TimeGrid
from planner.units import HOURS_PER_DAY, HOURS_PER_WEEK

Floats = npt.NDArray[np.float64]
Hours = npt.NDArray[np.int64]


def local_hours(grid: TimeGrid, timezone: str) -> Hours:
    """The hour of the local week of each minute of the grid; 0 is Monday 00:00."""
    local = grid.index.tz_convert(timezone)
    return np.asarray(local.day_of_week * HOURS_PER_DAY + local.hour, np.int64)


def week_means(values: npt.ArrayLike, hours: Hours) -> Floats:
    """Mean of `values` (by minute) in each of the 168 hours of the week.

    An hour of the week that the history does not reach takes the mean of that hour of the day, or of all.
    """
    known = np.asarray(values, np.float64)
    count = np.bincount(hours, minlength=HOURS_PER_WEEK).astype(np.float64)
    total = np.bincount(hours, weights=known, minlength=HOURS_PER_WEEK)
    by_day = (-1, HOURS_PER_DAY)
    day_count, day_total = count.reshape(by_day).sum(axis=0), total.reshape(by_day).sum(axis=0)
    overall = known.mean() if known.size else 0.0
    of_day = np.divide(day_total, day_count, out=np.full(HOURS_PER_DAY, overall), where=day_count > 0)
    filled = np.tile(of_day, HOURS_PER_WEEK // HOURS_PER_DAY)
    means: Floats = np.divide(total, count, out=filled, where=count > 0)
    return means
