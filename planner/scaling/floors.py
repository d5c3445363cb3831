"""Minimum capacity by time of week, learned from demand: working-hours schedules found, not given.

A floor is a quantile of the demand seen around the same local hour on days of the same kind, times a
margin. To judge a floor on the days it was learned from, every day gets the floor its other days give
(leave one day out); the schedule handed over is learned from all days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from planner.scaling.policies import ScheduledScaling
from planner.units import DAYS_PER_WEEK, HOURS_PER_DAY, MINUTES_PER_DAY, MINUTES_PER_HOUR

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
SATURDAY: Final = 5


class Shape(StrEnum):
    CONSTANT = "constant"
    HOUR_OF_DAY = "hour of day"
    WORKING_HOURS = "hour of working day or weekend"
    HOUR_OF_WEEK = "hour of week"


CRON_DAYS: Final = {
    Shape.HOUR_OF_DAY: ("SUN-SAT",),
    Shape.WORKING_HOURS: ("MON-FRI", "SAT-SUN"),
    Shape.HOUR_OF_WEEK: ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"),
}


@dataclass(frozen=True, slots=True)
class Calendar:
    """Local time of every minute; shape (minutes,)."""

    day: IntArray
    """Local day, counted from the first."""
    hour: IntArray
    weekday: IntArray
    """0 is Monday."""

    @classmethod
    def of(cls, start: datetime, minutes: int, zone: ZoneInfo) -> Calendar:
        """Offsets are looked up once a quarter hour, finer than any time zone's changes."""
        quarter = 15
        moments = [
            (start + timedelta(minutes=m)).astimezone(zone).replace(tzinfo=None)
            for m in range(0, minutes, quarter)
        ]
        first = moments[0].replace(hour=0, minute=0, second=0, microsecond=0) if moments else start
        since = np.array([(m - first) // timedelta(minutes=1) for m in moments], np.int64)
        local = (since[:, None] + np.arange(quarter)).ravel()[:minutes]
        day = local // MINUTES_PER_DAY
        return cls(day, local // MINUTES_PER_HOUR % HOURS_PER_DAY, (first.weekday() + day) % DAYS_PER_WEEK)

    def kind(self, shape: Shape) -> IntArray:
        """Which of the shape's kinds of day each minute belongs to."""
        match shape:
            case Shape.WORKING_HOURS:
                return (self.weekday >= SATURDAY).astype(np.int64)
            case Shape.HOUR_OF_WEEK:
                return self.weekday
            case _:
                return np.zeros_like(self.weekday)


@dataclass(frozen=True, slots=True)
class Levels:
    """Demand levels of one shape and quantile, before any margin.

    `table` has shape (kinds, 24); `crossed` has shape (minutes,) and leaves out each minute's own day.
    """

    shape: Shape
    quantile: float
    table: FloatArray
    crossed: FloatArray


def levels(demand: FloatArray, calendar: Calendar, shape: Shape, quantiles: Sequence[float]) -> list[Levels]:
    """Levels for each quantile; a kind of day that was never seen borrows from all days."""
    kinds, kind = len(CRON_DAYS.get(shape, ("",))), calendar.kind(shape)
    known = ~np.isnan(demand)
    tables = np.zeros((len(quantiles), kinds, HOURS_PER_DAY))
    crossed = np.zeros((len(quantiles), len(demand)))
    hours = range(HOURS_PER_DAY) if shape is not Shape.CONSTANT else range(1)
    for number in range(kinds):
        of_kind = known & (kind == number)
        for hour in hours:
            near = _near(calendar.hour, hour) if shape is not Shape.CONSTANT else np.ones(len(demand), bool)
            here = (kind == number) & ((calendar.hour == hour) | (shape is Shape.CONSTANT))
            pool = near & of_kind if (near & of_kind).any() else near & known
            _fill(demand, calendar.day, pool, here, quantiles, tables[:, number, hour], crossed)
    if shape is Shape.CONSTANT:
        tables[:] = tables[:, :1, :1]
    return [Levels(shape, q, tables[i], crossed[i]) for i, q in enumerate(quantiles)]


def _near(hours: IntArray, hour: int) -> NDArray[np.bool_]:
    """The hour and its neighbours, so that a floor is up before its hour begins."""
    return np.isin(hours, [(hour + shift) % HOURS_PER_DAY for shift in (-1, 0, 1)])


def _fill(
    demand: FloatArray,
    day: IntArray,
    pool: NDArray[np.bool_],
    here: NDArray[np.bool_],
    quantiles: Sequence[float],
    table: FloatArray,
    crossed: FloatArray,
) -> None:
    values, days = demand[pool], day[pool]
    if not len(values):
        return
    table[:] = np.quantile(values, quantiles)
    at = np.flatnonzero(here)
    for own in np.unique(day[at]):
        others = values[days != own]
        level = np.quantile(others, quantiles) if len(others) else table
        crossed[:, at[day[at] == own]] = level[:, None]


def schedule(floor: IntArray, shape: Shape, timezone: str) -> tuple[ScheduledScaling, ...]:
    """Scheduled actions that set a floor (shape (kinds, 24)) hour by hour, where it changes.

    The first hour of each kind of day is always set, because the day before may be of another kind.
    """
    actions = []
    for days, hours in zip(CRON_DAYS.get(shape, ()), floor.tolist(), strict=False):
        for hour, tasks in enumerate(hours):
            if hour == 0 or tasks != hours[hour - 1]:
                name = f"floor-{days.lower()}-{hour:02d}00"
                actions.append(ScheduledScaling(f"cron(0 {hour} ? * {days} *)", int(tasks), None, timezone, name))
    return tuple(actions)
