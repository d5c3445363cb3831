"""Minimum capacity by time of week, learned from demand: working-hours schedules found, not given.

A floor is a level of the demand seen around the same local time on days of the same kind: a quantile times a
margin, or the median plus so many times what demand usually rises above it. To judge a floor on the days it
was learned from, every day gets the floor its other days give (leave one day out); the schedule handed over
is learned from all days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from planner.scaling.policies import ScheduledScaling
from planner.units import DAYS_PER_WEEK, MINUTES_PER_DAY, MINUTES_PER_HOUR

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
SATURDAY: Final = 5
MEDIAN: Final = 0.5
RISE_QUANTILE: Final = 0.99
"""Of demand above the median level of its time: one `rise`."""


class Shape(StrEnum):
    CONSTANT = "constant"
    HOUR_OF_DAY = "hour of day"
    HALF_HOUR_OF_DAY = "half hour of day"
    WORKING_HOURS = "hour of working day or weekend"
    WORKING_HALF_HOURS = "half hour of working day or weekend"
    HOUR_OF_WEEK = "hour of week"


CRON_DAYS: Final = {
    Shape.HOUR_OF_DAY: ("SUN-SAT",),
    Shape.HALF_HOUR_OF_DAY: ("SUN-SAT",),
    Shape.WORKING_HOURS: ("MON-FRI", "SAT-SUN"),
    Shape.WORKING_HALF_HOURS: ("MON-FRI", "SAT-SUN"),
    Shape.HOUR_OF_WEEK: ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"),
}
"""At most 168 actions; a scalable target takes 200 (Application Auto Scaling quotas)."""
HALF_HOURS: Final = (Shape.HALF_HOUR_OF_DAY, Shape.WORKING_HALF_HOURS)


def slot_minutes(shape: Shape) -> int:
    """How long a shape keeps one level."""
    if shape is Shape.CONSTANT:
        return MINUTES_PER_DAY
    return MINUTES_PER_HOUR // 2 if shape in HALF_HOURS else MINUTES_PER_HOUR


def pad_minutes(shape: Shape) -> int:
    """How far a level looks beyond its slot, so that a floor is up before its time begins."""
    if shape is Shape.CONSTANT:
        return 0
    return MINUTES_PER_HOUR // 4 if shape in HALF_HOURS else MINUTES_PER_HOUR


@dataclass(frozen=True, slots=True)
class Calendar:
    """Local time of every minute; shape (minutes,)."""

    day: IntArray
    """Local day, counted from the first."""
    minute: IntArray
    """Of the local day."""
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
        return cls(day, local % MINUTES_PER_DAY, (first.weekday() + day) % DAYS_PER_WEEK)

    def kind(self, shape: Shape) -> IntArray:
        """Which of the shape's kinds of day each minute belongs to."""
        match len(CRON_DAYS.get(shape, ("",))):
            case 2:
                return (self.weekday >= SATURDAY).astype(np.int64)
            case 7:
                return self.weekday
            case _:
                return np.zeros_like(self.weekday)

    def slot(self, shape: Shape) -> IntArray:
        return self.minute // slot_minutes(shape)


@dataclass(frozen=True, slots=True)
class Levels:
    """Demand levels (vCPU) of one shape and quantile, before any margin.

    `table` has shape (kinds, slots); `crossed` has shape (minutes,) and leaves out each minute's own day.
    """

    shape: Shape
    quantile: float
    table: FloatArray
    crossed: FloatArray
    rise: float = 0.0
    """Where above 0, a margin adds so many rises to the level instead of multiplying it."""

    @property
    def name(self) -> str:
        if self.rise:
            return f"{self.shape.value}, median plus rises"
        return f"{self.shape.value}, quantile {self.quantile:g}"

    def over_week(self, margin: float) -> FloatArray:
        """vCPU by kind of day and slot, learned from all days."""
        return self._with(self.table, margin)

    def over_known(self, margin: float) -> FloatArray:
        """vCPU by known minute, learned from other days."""
        return self._with(self.crossed, margin)

    def _with(self, level: FloatArray, margin: float) -> FloatArray:
        return level + margin * self.rise if self.rise else level * margin

    def by_rises(self, demand: FloatArray) -> Levels:
        """The same levels with additive margins."""
        above = np.nanquantile(demand - self.crossed, RISE_QUANTILE)
        return replace(self, rise=max(float(above), 1e-9))


def levels(demand: FloatArray, calendar: Calendar, shape: Shape, quantiles: Sequence[float]) -> list[Levels]:
    """Levels for each quantile; a kind of day that was never seen borrows from all days."""
    kinds, kind, slot = len(CRON_DAYS.get(shape, ("",))), calendar.kind(shape), calendar.slot(shape)
    slots = MINUTES_PER_DAY // slot_minutes(shape)
    known = ~np.isnan(demand)
    tables = np.zeros((len(quantiles), kinds, slots))
    crossed = np.zeros((len(quantiles), len(demand)))
    for number in range(slots):
        near = _near(calendar.minute, number, shape) & known
        for day_kind in range(kinds):
            of_kind = near & (kind == day_kind)
            pool = of_kind if of_kind.any() else near
            here = (kind == day_kind) & (slot == number)
            _fill(demand, calendar.day, pool, here, quantiles, tables[:, day_kind, number], crossed)
    return [Levels(shape, q, tables[i], crossed[i]) for i, q in enumerate(quantiles)]


def _near(minute: IntArray, slot: int, shape: Shape) -> NDArray[np.bool_]:
    """The slot and its pads, round midnight."""
    length, pad = slot_minutes(shape), pad_minutes(shape)
    return (minute - slot * length + pad) % MINUTES_PER_DAY < length + 2 * pad


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


def schedule(
    floor: IntArray, shape: Shape, timezone: str, ceiling: IntArray | None = None
) -> tuple[ScheduledScaling, ...]:
    """Scheduled actions that set a floor, and a ceiling, (shape (kinds, slots)) where either changes.

    The first slot of each kind of day is always set, because the day before may be of another kind.
    """
    actions, length = [], slot_minutes(shape)
    for number, days in enumerate(CRON_DAYS.get(shape, ())):
        before: tuple[int, int | None] | None = None
        for slot in range(floor.shape[1]):
            bounds = int(floor[number, slot]), None if ceiling is None else int(ceiling[number, slot])
            if bounds != before:
                hour, minute = divmod(slot * length, MINUTES_PER_HOUR)
                name, cron = f"floor-{days.lower()}-{hour:02d}{minute:02d}", f"cron({minute} {hour} ? * {days} *)"
                actions.append(ScheduledScaling(cron, *bounds, timezone, name))
            before = bounds
    return tuple(actions)
