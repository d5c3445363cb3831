"""What a service needs, minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from planner.scaling import Policy
from planner.scaling.policies import ScheduledScaling
from planner.thresholds import with_least
from planner.timegrid import TimeGrid
from planner.workloads import attainment, by_minute, violated
from tests.planner.test_candidates import flat, workload

START = datetime(2026, 5, 11, tzinfo=UTC)


def rows(minutes: list[int], values: list[float], period_s: int = 60) -> pd.DataFrame:
    at = pd.DatetimeIndex([START + timedelta(minutes=m) for m in minutes])
    return pd.DataFrame({"timestamp": at, "period_s": period_s, "vcpu": values})


def test_a_gap_stays_a_gap() -> None:
    values = by_minute(rows([0, 2], [1.0, 3.0]), "vcpu", TimeGrid(START, 4))

    np.testing.assert_array_equal(values, [1.0, np.nan, 3.0, np.nan])


def test_a_five_minute_point_holds_for_its_five_minutes() -> None:
    values = by_minute(rows([0, 5], [1.0, 2.0], 300), "vcpu", TimeGrid(START, 11))

    np.testing.assert_array_equal(values, [1.0] * 5 + [2.0] * 5 + [np.nan])


def test_a_metric_published_every_five_minutes_holds_too_though_read_by_the_minute() -> None:
    at = list(range(0, 1000, 5))
    values = by_minute(rows(at, [float(m) for m in at]), "vcpu", TimeGrid(START, 1000))

    assert np.isfinite(values).all()
    assert values[:6].tolist() == [0.0, 0.0, 0.0, 0.0, 0.0, 5.0]


def test_what_lies_outside_the_grid_is_left_out() -> None:
    values = by_minute(rows([-1, 0, 9], [7.0, 1.0, 9.0]), "vcpu", TimeGrid(START, 2))

    np.testing.assert_array_equal(values, [1.0, np.nan])


def test_a_minute_violates_when_demand_over_capacity_is_above_the_objective() -> None:
    web = workload("web", flat(4))  # demand 3.2 vCPU
    capacity = np.array([4.0, 3.99])  # 3.2 / 4.0 = 0.8 keeps it, 3.2 / 3.99 = 0.802 does not

    narrowed = type(web)(**{**_fields(web), "demand_vcpu": web.demand_vcpu[:2]})
    assert violated(narrowed, capacity, 0.8).tolist() == [False, True]
    assert attainment(narrowed, capacity, 0.8) == 0.5


def test_unmeasured_minutes_neither_keep_nor_break_the_objective() -> None:
    web = workload("web", flat(4))
    half = type(web)(**{**_fields(web), "demand_vcpu": np.array([3.2, np.nan])})

    assert attainment(half, np.array([4.0, 0.0]), 0.8) == 1.0


def test_no_minimum_of_a_policy_is_under_the_least() -> None:
    morning, night = ScheduledScaling("cron(0 7 * * ? *)", min=3), ScheduledScaling("cron(0 19 * * ? *)", min=1)
    raised = with_least(Policy(task_vcpu=1, min=1, max=1, scheduled=(morning, night)), 2)

    assert (raised.min, raised.max) == (2, 2)
    assert [a.min for a in raised.scheduled] == [3, 2]


def test_scheduled_actions_that_change_nothing_are_dropped() -> None:
    day = [
        ScheduledScaling(f"cron(0 {hour} ? * MON-FRI *)", min=m) for hour, m in ((0, 1), (7, 2), (9, 4), (12, 4))
    ]
    policy = Policy(task_vcpu=1, min=1, max=9, scheduled=tuple(day))

    # 1 and 2 both become 2, and the second 4 repeats the first
    assert [(a.schedule, a.min) for a in with_least(policy, 2).scheduled] == [
        ("cron(0 0 ? * MON-FRI *)", 2),
        ("cron(0 9 ? * MON-FRI *)", 4),
    ]
    assert with_least(policy, 4).scheduled == ()


def _fields(value: object) -> dict[str, object]:
    return {name: getattr(value, name) for name in value.__slots__}  # type: ignore[attr-defined]
