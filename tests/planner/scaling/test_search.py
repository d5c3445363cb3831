"""Candidates: floors by half hour, additive margins, ceilings, and the choice between metric resolutions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from planner.scaling.floors import CRON_DAYS, Calendar, Shape, levels, schedule, slot_minutes
from planner.scaling.search import Problem, Source

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
ACTIONS_MOST = 200  # scheduled actions of one scalable target (Application Auto Scaling quotas)


def week_of_half_hours() -> np.ndarray:
    """1 vCPU, and 9 from 12:30 to 13:00 every day."""
    minute = np.arange(7 * 1440) % 1440
    return np.where((minute >= 750) & (minute < 780), 9.0, 1.0)


def problem(demand: np.ndarray) -> Problem:
    return Problem(demand, MONDAY, 1.0, 0.999, 0.8, ZoneInfo("UTC"), None)


def level(shape: Shape, quantile: float = 0.95) -> Source:
    demand = week_of_half_hours()
    return Source(levels(demand, problem(demand).calendar, shape, (quantile,))[0], 1.0)


def test_half_hours_follow_a_short_peak_that_hours_must_stretch() -> None:
    floor, _ = problem(week_of_half_hours()).week_bounds(level(Shape.HALF_HOUR_OF_DAY), 100)
    hourly, _ = problem(week_of_half_hours()).week_bounds(level(Shape.HOUR_OF_DAY), 100)
    assert floor is not None
    assert hourly is not None

    # 9 vCPU at 80 % are 12 tasks; the half hours beside it see the peak in their pads of a quarter hour
    assert np.flatnonzero(floor[0] == 12).tolist() == [24, 25, 26]
    assert np.flatnonzero(hourly[0] == 12).tolist() == [11, 12, 13]


def test_actions_stand_at_the_half_hour_and_stay_within_the_quota() -> None:
    floor = np.ones((1, 48), np.int64)
    floor[0, 25:27] = 12
    actions = schedule(floor, Shape.HALF_HOUR_OF_DAY, "Europe/London")

    assert [(action.schedule, action.min) for action in actions] == [
        ("cron(0 0 ? * SUN-SAT *)", 1),
        ("cron(30 12 ? * SUN-SAT *)", 12),
        ("cron(30 13 ? * SUN-SAT *)", 1),
    ]


@pytest.mark.parametrize("shape", list(CRON_DAYS))
def test_even_a_floor_that_always_moves_fits_the_quota(shape: Shape) -> None:
    kinds, slots = len(CRON_DAYS[shape]), 1440 // slot_minutes(shape)
    floor = np.arange(kinds * slots).reshape(kinds, slots) + 1

    assert len(schedule(floor, shape, "UTC")) <= ACTIONS_MOST


def test_a_ceiling_is_an_action_too_and_never_below_the_floor() -> None:
    demand = week_of_half_hours()
    calendar = problem(demand).calendar
    highest = levels(demand, calendar, Shape.HALF_HOUR_OF_DAY, (1.0,))[0]
    source = replace(level(Shape.HALF_HOUR_OF_DAY), margin=3.0, highest=highest, headroom=1.25)
    floor, ceiling = problem(demand).week_bounds(source, 100)
    assert floor is not None
    assert ceiling is not None

    assert (ceiling >= floor).all()
    assert schedule(floor, Shape.HALF_HOUR_OF_DAY, "UTC", ceiling)[0].max == ceiling[0, 0]


def test_rises_are_added_to_the_median_and_not_multiplied() -> None:
    demand = week_of_half_hours() + np.tile([0.0, 1.0], 7 * 720)  # half of the minutes are one vCPU higher
    found = levels(demand, Calendar.of(MONDAY, len(demand), ZoneInfo("UTC")), Shape.HALF_HOUR_OF_DAY, (0.5,))[0]
    rising = found.by_rises(demand)

    assert rising.rise > 0
    assert rising.over_week(2.0) == pytest.approx(found.table + 2 * rising.rise)
    assert found.over_week(2.0) == pytest.approx(found.table * 2)


def test_a_day_is_judged_by_floors_that_never_saw_it() -> None:
    demand = np.ones(7 * 1440)
    demand[3 * 1440 : 4 * 1440] = 50.0
    source = Source(levels(demand, problem(demand).calendar, Shape.HOUR_OF_DAY, (1.0,))[0], 1.0)
    floor, _ = problem(demand).known_bounds(source)
    assert floor is not None

    assert set(floor[3 * 1440 : 4 * 1440]) == {2}  # 1 vCPU at 80 %
    assert set(floor[:1440]) == {63}  # 50 / 0.8 = 62.5
