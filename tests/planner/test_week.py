"""Means by hour of the local week, whatever part of it the history reaches."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from planner.week import local_hours, week_means


def hours_from(start: datetime, count: int) -> np.ndarray:
    from planner.timegrid import TimeGrid

    return local_hours(TimeGrid(start, count * 60), "Europe/London")


def test_hours_are_those_of_the_local_week() -> None:
    # Monday 2026-05-11 00:00 in London is Sunday 23:00 UTC in summer
    hours = hours_from(datetime(2026, 5, 10, 23, tzinfo=UTC), 2)

    assert (hours[0], hours[60]) == (0, 1)


def test_an_hour_is_the_mean_of_its_minutes_over_the_weeks() -> None:
    hours = hours_from(datetime(2026, 5, 10, 23, tzinfo=UTC), 2 * 168)
    values = np.where(np.arange(len(hours)) < 168 * 60, 2.0, 4.0)

    assert week_means(values, hours) == pytest.approx(np.full(168, 3.0))


def test_hours_without_history_take_the_same_hour_of_the_other_days() -> None:
    # two days, Monday and Tuesday, in which every hour has its own number as its value
    hours = hours_from(datetime(2026, 5, 10, 23, tzinfo=UTC), 48)
    means = week_means(hours % 24, hours)

    assert means[5] == 5
    assert means[6 * 24 + 5] == 5  # Sunday 05:00


def test_no_history_is_nothing_running() -> None:
    assert week_means(np.array([]), np.array([], np.int64)) == pytest.approx(np.zeros(168))
