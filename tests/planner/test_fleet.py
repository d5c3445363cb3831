"""The fleet replay: ECS places, managed scaling adds and takes back, and nothing runs for free."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.fleet import FleetRules, FleetRun, fluid_instances, hours_of, misfits, replay_fleet
from planner.model import Architecture, InstanceType, Resources, TaskType
from planner.units import CpuUnits, MiB, UsdPerHour

RULES = FleetRules(zones=("a", "b", "c"))


def offer(cpu: int = 2048, memory: int = 8000) -> InstanceType:
    return InstanceType("m.large", Resources(CpuUnits(cpu), MiB(memory)), UsdPerHour(0.1))


def task(service: str = "web", cpu: int = 1024, memory: int = 1000) -> TaskType:
    return TaskType(service, 0, Resources(CpuUnits(cpu), MiB(memory)))


def run(counts: list[int], rules: FleetRules = RULES, tasks: TaskType | None = None) -> FleetRun:
    wanted = tasks or task()
    return replay_fleet({wanted.service: np.array(counts)}, [wanted], offer(), rules)


def test_a_steady_load_keeps_a_steady_fleet() -> None:
    # 4 tasks of 1,024 CPU units on instances of 2,048: 2 instances
    assert run([4] * 30).instances.tolist() == [2] * 30


def test_new_tasks_wait_for_the_boot_of_the_instance_that_managed_scaling_adds() -> None:
    result = run([2] * 5 + [4] * 10)

    assert result.instances.tolist() == [1] * 5 + [2] * 10  # asked for, and paid, from minute 5
    assert result.pending["web"].tolist() == [0] * 5 + [2] * 3 + [0] * 7  # boots for 3 minutes


def test_an_empty_instance_leaves_after_fifteen_minutes() -> None:
    result = run([4] * 5 + [2] * 40)
    # spread over zones keeps one task on each of the two instances: ECS moves no running task
    assert result.instances.tolist() == [2] * 45

    packed = run([4] * 5 + [2] * 40, FleetRules(("a",), strategy="binpack:memory"))
    assert packed.instances.tolist() == [2] * 20 + [1] * 25


def test_the_minimum_size_is_kept_when_nothing_runs() -> None:
    assert run([0] * 30, FleetRules(("a", "b"), min_size=2)).instances.tolist() == [2] * 30


def test_a_target_capacity_under_a_hundred_keeps_spare_instances() -> None:
    # 8 tasks need 4 instances; at 80 % that is 4 / 0.8 = 5
    assert run([8] * 10, FleetRules(("a",), target_capacity_percent=80)).instances.tolist()[-1] == 5


def test_the_maximum_size_leaves_tasks_waiting_and_says_so() -> None:
    result = run([6] * 10, FleetRules(("a",), max_size=2))

    assert result.instances.max() == 2
    assert result.pending["web"].tolist() == [2] * 10


def test_a_task_larger_than_the_instance_is_refused_by_name() -> None:
    refused = misfits([task("big", cpu=4096)], offer())

    assert [(r.what, r.reason) for r in refused] == [("big", "one task needs more than a whole m.large leaves")]
    assert run([1], tasks=task("big", cpu=4096)).unplaceable == refused


def test_an_image_of_another_architecture_is_refused_by_name() -> None:
    arm = TaskType("arm", 1, Resources(CpuUnits(1), MiB(1)), architecture=Architecture.ARM64)

    assert [r.reason for r in misfits([arm], offer())] == ["its image runs on arm64 only"]


def test_instance_hours_are_minutes_over_sixty() -> None:
    assert hours_of(np.array([2] * 90)) == pytest.approx(3.0)  # 2 x 90 / 60


COUNTS = st.lists(st.integers(0, 12), min_size=1, max_size=60)


@given(COUNTS, COUNTS, st.sampled_from(["spread:az,binpack:memory", "binpack:cpu", "random"]))
@settings(max_examples=40, deadline=None)
def test_the_fleet_never_runs_fewer_instances_than_what_it_serves_needs(
    web: list[int], api: list[int], strategy: str
) -> None:
    minutes = min(len(web), len(api))
    tasks = [task("web"), task("api", cpu=512, memory=3000)]
    counts = {"web": np.array(web[:minutes]), "api": np.array(api[:minutes])}
    result = replay_fleet(counts, tasks, offer(), FleetRules(("a", "b"), strategy=strategy))
    served = {name: counts[name] - result.pending[name] for name in counts}

    assert (result.instances >= fluid_instances(served, tasks, offer())).all()
    assert all((result.pending[name] >= 0).all() for name in counts)
    assert all((result.pending[name] <= counts[name]).all() for name in counts)


@given(COUNTS)
@settings(max_examples=20, deadline=None)
def test_the_same_inputs_give_the_same_fleet(counts: list[int]) -> None:
    assert run(counts).instances.tolist() == run(counts).instances.tolist()


def test_a_launch_takes_the_minimum_step_and_the_next_waits_for_the_warm_up() -> None:
    counts = [2] * 5 + [4] + [6] * 14
    stepped = run(counts, FleetRules(("a",), minimum_step=3))
    warming = run(counts, FleetRules(("a",), warm_up_minutes=5))

    assert stepped.instances.tolist()[4:8] == [1, 4, 4, 4]  # 3 more at once hold what comes after, too
    # one for 4 tasks in minute 5, one more for 6 tasks only when 5 minutes have passed since
    assert warming.instances.tolist()[4:12] == [1, 2, 2, 2, 2, 2, 3, 3]
