"""The rollout is replayed before approval: it fits, needs more instances for a while, or deadlocks, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deploy.drains import Drain, DrainFit, prove_drains
from deploy.fit import FitInstance, FitProvider, FitService, prove
from planner.model import Architecture, Resources, TaskType
from planner.packing.strategy import DEFAULT_STRATEGY
from planner.units import CpuUnits, MiB

ROOM = Resources(CpuUnits(2048), MiB(7700), 2)


def task(cpu: int, memory: int = 1024, **more: object) -> TaskType:
    return TaskType("web", 1, Resources(CpuUnits(cpu), MiB(memory)), **more)  # type: ignore[arg-type]


def service(old: TaskType, new: TaskType, **more: object) -> FitService:
    plain = FitService("web", old, new, 4, 100, 200, (("main", 1, 0),), DEFAULT_STRATEGY)
    return replace(plain, **more)  # type: ignore[arg-type]


def instances(count: int, tasks_on_each: int) -> list[FitInstance]:
    return [
        FitInstance(
            f"i-{n}",
            "main",
            f"eu-west-2{'abc'[n % 3]}",
            "m5.large",
            Architecture.X86_64,
            ROOM,
            {"web": tasks_on_each},
        )
        for n in range(count)
    ]


def provider(planned: int, most: int) -> FitProvider:
    return FitProvider("main", "m5.large", Architecture.X86_64, ROOM, ("eu-west-2a", "eu-west-2b"), planned, most)


def test_a_rollout_with_room_for_both_fits() -> None:
    (fit,) = prove([service(task(512), task(512))], instances(4, 1), [provider(4, 4)])

    assert fit.fits
    assert fit.reason.startswith("fits")


def test_a_full_cluster_needs_more_instances_for_some_minutes() -> None:
    # 2 instances x 2,048 units hold 4 x 1,024 and nothing more: 4 new tasks beside them need 2 more instances
    (fit,) = prove([service(task(1024), task(1024))], instances(2, 2), [provider(2, 10)])

    assert fit.fits
    assert dict(fit.extra) == {"m5.large": 2}
    assert "needs 2 more m5.large for" in fit.reason


def test_a_full_group_at_its_maximum_deadlocks_and_says_why() -> None:
    (fit,) = prove([service(task(1024), task(1024))], instances(2, 2), [provider(2, 2)])

    assert not fit.fits
    assert "will deadlock" in fit.reason
    assert "main is at its maximum of 2" in fit.reason


def test_a_lower_bound_that_lets_old_tasks_stop_first_needs_no_room() -> None:
    halves = service(task(1024), task(1024), minimum_healthy_percent=50)

    (fit,) = prove([halves], instances(2, 2), [provider(2, 2)])
    assert fit.fits


def test_bounds_that_allow_neither_a_start_nor_a_stop_deadlock() -> None:
    # floor(4 x 100 %) = 4 may run and ceil(4 x 100 %) = 4 must stay
    (fit,) = prove([service(task(512), task(512), maximum_percent=100)], instances(4, 1), [provider(4, 9)])

    assert not fit.fits
    assert "at least 4 tasks must stay and at most 4 may run" in fit.reason


def test_a_task_larger_than_an_empty_instance_deadlocks() -> None:
    (fit,) = prove([service(task(512), task(4096))], instances(4, 1), [provider(4, 9)])

    assert not fit.fits
    assert "does not fit an empty m5.large (cpu_units 4096 of 2048)" in fit.reason


def test_a_fixed_host_port_needs_one_instance_a_task() -> None:
    port = (8080,)

    (fit,) = prove(
        [service(task(256, host_ports=port), task(256, host_ports=port))], instances(4, 1), [provider(4, 4)]
    )
    assert not fit.fits
    assert "host port" in fit.reason


def test_network_interfaces_limit_tasks() -> None:
    needs = TaskType("web", 1, Resources(CpuUnits(256), MiB(256), 1))
    full = [replace(i, tasks={"web": 2}) for i in instances(2, 2)]  # two interfaces each, both used

    (fit,) = prove([service(needs, needs)], full, [provider(2, 2)])
    assert not fit.fits
    assert "network interface" in fit.reason.lower() or "eni" in fit.reason.lower()


def test_new_tasks_start_on_the_new_provider() -> None:
    new = FitProvider("new", "m7g.large", Architecture.ARM64, ROOM, ("eu-west-2a",), 1, 4)
    moved = service(task(512), task(512, architecture=Architecture.ARM64), providers=(("new", 1, 0),))

    (fit,) = prove([moved], instances(2, 2), [new])
    assert fit.fits
    assert dict(fit.extra) == {}  # 4 x 512 = 2,048 units: one instance


def test_fargate_takes_what_it_is_given() -> None:
    (fit,) = prove([service(task(512), task(512), providers=(("FARGATE", 1, 0),))], instances(2, 2), [])

    assert fit.fits


def test_base_and_weights_share_tasks_between_providers() -> None:
    mixed = service(task(512), task(1024), providers=(("main", 0, 1), ("FARGATE", 1, 0)))

    (fit,) = prove([mixed], instances(4, 1), [provider(4, 4)])
    assert fit.fits


@pytest.mark.parametrize("seed", range(3))
def test_the_proof_is_deterministic_for_a_seed(seed: int) -> None:
    services = [service(task(1024), task(1024))]

    assert prove(services, instances(3, 2), [provider(3, 9)], seed) == prove(
        services, instances(3, 2), [provider(3, 9)], seed
    )


# Draining


def drained(
    services: list[FitService], fleet: list[FitInstance], providers: list[FitProvider], **more: object
) -> DrainFit:
    drain = Drain("main", tuple(i.id for i in fleet if i.provider == "main"), **more)  # type: ignore[arg-type]
    _, (fit,) = prove_drains([], services, fleet, providers, [drain])
    return fit


def bystander(**more: object) -> FitService:
    return service(task(1024), task(1024), **more)


def test_tasks_of_a_drained_provider_need_another_place() -> None:
    # 2 x 2,048 units full of 4 x 1,024; the service may only run on the provider that is emptied
    fit = drained([bystander()], instances(2, 2), [])

    assert not fit.fits
    assert "will deadlock in wave 1 of 2" in fit.reason


def test_tasks_move_to_a_provider_that_has_room() -> None:
    other = FitProvider("other", "m5.large", Architecture.X86_64, ROOM, ("eu-west-2a",), 2, 4)

    fit = drained([bystander(providers=(("other", 1, 0),))], instances(2, 2), [other])
    assert fit.fits
    assert dict(fit.extra) == {}


def test_a_drain_that_leaves_tasks_without_a_place_does_not_fit() -> None:
    # A minimum of 50 % lets ECS stop 2 of 4 tasks first; there is nowhere to start them again
    fit = drained([bystander(minimum_healthy_percent=50)], instances(2, 2), [])

    assert not fit.fits


def test_a_replaced_group_moves_its_tasks_to_the_instances_that_join() -> None:
    fit = drained([bystander()], instances(2, 2), [provider(2, 4)], planned=2)

    assert fit.fits
    assert dict(fit.extra) == {}  # 1 joins before each wave of 1, and takes its 2 tasks


def test_a_replaced_group_whose_new_instances_are_too_small_deadlocks() -> None:
    small = FitProvider(
        "main", "m5.small", Architecture.X86_64, Resources(CpuUnits(512), MiB(900), 2), ("eu-west-2a",), 2, 9
    )

    fit = drained([bystander()], instances(2, 2), [small], planned=2)
    assert not fit.fits
    assert "does not fit an empty m5.small" in fit.reason


def test_a_replaced_group_may_need_more_than_was_planned() -> None:
    # 4 x 1,024 need 2 instances of 2,048; 1 is planned
    fit = drained([bystander()], instances(2, 2), [provider(2, 4)], planned=1)

    assert fit.fits
    assert dict(fit.extra) == {"m5.large": 1}
