"""The planner's packer and a plan's demand behind the comparison."""

from __future__ import annotations

import pytest

from planner.alternatives import Assumptions, Pack, Packed, Platform
from planner.comparison import compare_plan, packer, question_of
from planner.cost import Kind, total
from planner.documents import PlanDocument
from planner.model import InstanceType, Rejection, Resources, TaskType
from planner.prices import load
from planner.units import CpuUnits, MiB, Seconds, UsdPerHour
from tests.plans import plan, plan_values

ROOM = Resources(CpuUnits(2048), MiB(4096), 10)
OFFER = InstanceType("m.large", ROOM, UsdPerHour(0.1))


def test_the_packer_gives_instances_cost_and_bound() -> None:
    task = TaskType("web", 8, Resources(CpuUnits(512), MiB(512), 1))

    found = packer(1, Seconds(0.5))([task], [OFFER])

    # four tasks of 512 fill 2,048 CPU units, so eight need two instances
    assert isinstance(found, Packed)
    assert found.instances == (("m.large", 2),)
    assert found.usd_per_hour == pytest.approx(0.2)
    assert found.lower_bound_usd_per_hour is not None
    assert found.lower_bound_usd_per_hour <= 0.2 + 1e-9


def test_tasks_that_fit_nowhere_are_named() -> None:
    huge = TaskType("huge", 2, Resources(CpuUnits(9999), MiB(512), 1))

    found = packer(1, Seconds(0.5))([huge], [OFFER])

    assert isinstance(found, Rejection)
    assert "huge" in found.reason


def test_a_plan_is_compared_in_its_region_and_architectures() -> None:
    found = compare_plan(
        plan(), load(), platforms=[Platform.ECS_FARGATE, Platform.ECS_EC2], time_limit=Seconds(0.1)
    )

    by_platform = {e.platform: e for e in found.evaluations}
    fargate = total(x for x in by_platform[Platform.ECS_FARGATE].lines if x.kind is Kind.COMPUTE)
    # tasks by hour: 0.5 vCPU x 0.8 serves 0.4; p99 is hour / 8 vCPU, from 2 (the minimum) up to 8 tasks
    mean = sum(max(2, -(-h * 1000 // 3200)) for h in range(24)) / 24
    assert fargate == pytest.approx(mean * (0.5 * 0.04656 + 1 * 0.00511))
    assert by_platform[Platform.ECS_EC2].refused == ()
    # what the plan itself runs, not a fleet packed anew
    machines = total(x for x in by_platform[Platform.ECS_EC2].lines if x.kind is Kind.COMPUTE)
    assert machines == pytest.approx(plan().cost.plan_usd_per_hour)


def test_other_machines_or_another_region_are_packed_anew() -> None:
    asked: list[int] = []

    def pack_in(zones: int) -> Pack:
        asked.append(zones)
        return packer(zones, Seconds(0.1))

    home, elsewhere, families = (
        question_of(plan(), load(), region, pack_in, Assumptions(), families=chosen)
        for region, chosen in (("eu-west-2", None), ("eu-west-1", None), ("eu-west-2", ["m7g"]))
    )

    assert home.planned is not None
    assert elsewhere.planned is None
    assert families.planned is None
    assert asked == [3, 3, 3]


def test_a_plan_of_which_nothing_ran_has_no_break_even() -> None:
    values = plan_values()
    values["services"][0]["tasks_by_hour_of_week"] = [0.0] * 168
    line = values["cost"]["plan"][0]
    values["cost"]["by_service"] = [{**line, "service": "web"}]

    found = compare_plan(PlanDocument.model_validate(values), load())

    assert found.break_even is None
    assert found.cheapest is not None


def test_a_plan_that_runs_nothing_itself_is_packed_anew() -> None:
    values = plan_values()
    values["cost"]["plan"] = []
    bare = PlanDocument.model_validate(values)

    asked = question_of(bare, load(), "eu-west-2", lambda zones: packer(zones, Seconds(0.1)), Assumptions())

    assert asked.planned is None
