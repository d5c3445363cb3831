"""What a plan states for the comparison: tasks by hour of the week, and the fleet that the plan itself runs."""

from __future__ import annotations

import pytest

from planner.alternatives.from_plan import demanded_of, load_balancing_of, planned_fleet_of
from planner.cost import total
from planner.documents import PlanDocument
from tests.plans import plan, plan_values


def test_tasks_follow_the_p99_of_each_hour_within_the_limits() -> None:
    found = demanded_of(plan())

    (service,) = found.services
    assert found.hours == 168
    # a task of 0.5 vCPU serves 0.4 at the objective of 0.8; 00:00 needs nothing, so the minimum of 2 runs;
    # 12:00 needs 1.5 / 0.4 = 3.75, so 4; 23:00 needs 2.875 / 0.4 = 7.19, so 8
    assert (service.tasks[0], service.tasks[12], service.tasks[23]) == (2, 4, 8)
    assert max(service.tasks) <= 9
    assert (service.needs.cpu_units, service.needs.memory_mib, service.needs.enis) == (512, 1024, 1)


def test_a_service_without_hourly_demand_runs_its_typical_count() -> None:
    values = plan_values()
    values["demand"][0]["p99_vcpu_by_hour_of_week"] = []

    (service,) = demanded_of(PlanDocument.model_validate(values)).services

    assert set(service.tasks) == {3}


def test_load_balancer_lines_are_taken_over_as_they_were_measured() -> None:
    values = plan_values()
    line = values["cost"]["plan"][0]
    values["cost"]["plan"] = [line, {**line, "kind": "load balancing", "item": "public: hours"}]

    lines = load_balancing_of(PlanDocument.model_validate(values))

    assert lines is not None
    assert [x.item for x in lines] == ["public: hours"]
    assert load_balancing_of(plan()) is None


def test_a_plan_that_tells_what_ran_is_taken_at_its_word() -> None:
    values = plan_values()
    values["services"][0]["tasks_by_hour_of_week"] = [2.4, 0.3, 0.0, 5.6] * 42

    (service,) = demanded_of(PlanDocument.model_validate(values)).services

    # whole tasks for fleets: the nearest, and one where any ran; (2.4 + 0.3 + 0 + 5.6) / 4 for Fargate
    assert service.tasks[:4] == (2, 1, 0, 6)
    assert service.mean_tasks == pytest.approx(2.075)


def test_the_plan_s_own_fleet_is_its_compute_its_instances_and_how_full_they_are() -> None:
    values = plan_values()
    line = values["cost"]["plan"][0]
    values["cost"]["by_service"] = [
        {**line, "service": "web", "usd_per_hour": 0.3}, {**line, "service": "(idle)", "usd_per_hour": 0.1},
    ]  # fmt: skip

    found = planned_fleet_of(PlanDocument.model_validate(values))

    assert total(found.lines) == pytest.approx(0.4)
    assert found.instances == pytest.approx(4)  # 0.40 USD/h at 0.10 each
    assert found.filled == pytest.approx(0.75)
    assert planned_fleet_of(plan()).filled is None  # no split is told
