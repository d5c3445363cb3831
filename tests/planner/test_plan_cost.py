"""A plan's cost hour by hour: it adds to the plan's own figure whatever it is grouped by."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.cost import IDLE, total
from planner.documents import PlanDocument
from planner.plan_cost import hourly_lines, lines_by_service, plan_lines, plan_period
from tests.plans import plan, plan_values

DAY_AND_NIGHT = [2.0 if hour % 24 < 12 else 6.0 for hour in range(168)]


def plan_that_ran(instances: list[float], tasks: list[float], *more: dict[str, Any]) -> PlanDocument:
    values = plan_values()
    values["fleet"][0]["instances_by_hour_of_week"] = instances
    values["services"][0]["tasks_by_hour_of_week"] = tasks
    values["cost"]["plan"] += list(more)
    return PlanDocument.model_validate(values)


def test_instances_cost_what_ran_in_the_hour() -> None:
    ran = plan_that_ran(DAY_AND_NIGHT, [4.0] * 168)
    (line,) = hourly_lines(plan_lines(ran), ran.fleet, ran.services)

    # 0.40 USD/h on average over 4 instances: 2 cost 0.20, 6 cost 0.60
    assert (line.usd_by_hour[0], line.usd_by_hour[12]) == (pytest.approx(0.2), pytest.approx(0.6))


def test_shared_instances_are_split_in_every_hour_with_the_idle_part_apart() -> None:
    # a task of 512 of 2,048 CPU units and 1,024 of 7,900 MiB takes a quarter of an instance
    ran = plan_that_ran(DAY_AND_NIGHT, [4.0] * 168)
    by_name = {h.line.service: h for h in lines_by_service(plan_lines(ran), ran.fleet, ran.services)}

    # 4 tasks fill 1 of 2 instances by night, 1 of 6 by day
    assert by_name["web"].usd_by_hour[0] == pytest.approx(0.2 / 2)
    assert by_name["web"].usd_by_hour[12] == pytest.approx(0.6 / 6)
    assert by_name[IDLE].usd_by_hour[12] == pytest.approx(0.6 * 5 / 6)


def test_tasks_that_fill_more_than_the_instances_leave_nothing_idle() -> None:
    ran = plan_that_ran([1.0] * 168, [8.0] * 168)

    assert [h.line.service for h in lines_by_service(plan_lines(ran), ran.fleet, ran.services)] == ["web"]


def test_fargate_follows_its_service_and_a_load_balancer_stays_level() -> None:
    fargate = {
        **plan_values()["cost"]["plan"][0], "item": "Fargate vCPU", "service": "web", "usd_per_hour": 0.2,
        "capacity_provider": "FARGATE",
    }  # fmt: skip
    balancer = {**fargate, "item": "public: hours", "kind": "load balancing", "capacity_provider": None}
    ran = plan_that_ran([4.0] * 168, DAY_AND_NIGHT, fargate, balancer)
    _machines, task, level = hourly_lines(plan_lines(ran), ran.fleet, ran.services)

    assert (task.usd_by_hour[0], task.usd_by_hour[12]) == (pytest.approx(0.1), pytest.approx(0.3))
    assert set(level.usd_by_hour) == {0.2}


def test_a_plan_that_tells_no_hours_costs_the_same_in_each() -> None:
    period = plan_period(plan(), datetime(2026, 5, 13, tzinfo=UTC), 24)

    assert {round(hour.usd, 9) for hour in period.hours} == {0.4}


def test_hours_are_those_of_the_plan_s_own_time_zone() -> None:
    monday = [1.0] + [0.0] * 167
    period = plan_period(plan_that_ran(monday, monday), datetime(2026, 5, 10, 22, tzinfo=UTC), 3)

    # Monday 00:00 in London is 23:00 UTC on Sunday in May
    assert [hour.usd > 0 for hour in period.hours] == [False, True, False]


COUNTS = st.lists(st.floats(0, 50).map(lambda x: round(x, 3)), min_size=168, max_size=168)


@given(COUNTS, COUNTS)
def test_a_week_adds_to_the_plan_by_line_and_by_service(instances: list[float], tasks: list[float]) -> None:
    ran = plan_that_ran(instances, tasks)
    start = datetime(2026, 1, 5, tzinfo=UTC)
    lines, split = (plan_period(ran, start, 168, split=s) for s in (False, True))

    week = 168 * total(plan_lines(ran))
    assert lines.usd == pytest.approx(week)
    assert split.usd == pytest.approx(week)
    assert math.fsum(split.by_service().values()) == pytest.approx(week)
    assert math.fsum(lines.by_month().values()) == pytest.approx(week)
    assert np.allclose([h.usd for h in lines.hours], [h.usd for h in split.hours])
