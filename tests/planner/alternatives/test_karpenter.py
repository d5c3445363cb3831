"""Karpenter's greedy provisioning: every pod on a node that holds it, one large node before the next."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.alternatives import Packed
from planner.alternatives.karpenter import provision
from planner.model import Architecture, InstanceType, Rejection, Resources, TaskType
from planner.units import CpuUnits, MiB, UsdPerHour


def node(name: str, cpu: int, memory: int, usd: float, pods: int = 100, **more: object) -> InstanceType:
    room = Resources(CpuUnits(cpu), MiB(memory), pods)
    return InstanceType(name, room, UsdPerHour(usd), **more)  # type: ignore[arg-type]


def pods(name: str, count: int, cpu: int, memory: int = 100, **more: object) -> TaskType:
    return TaskType(name, count, Resources(CpuUnits(cpu), MiB(memory), 1), **more)  # type: ignore[arg-type]


SMALL, LARGE = node("small", 1000, 4000, 1.0), node("large", 4000, 16000, 4.5)


def test_one_large_node_is_filled_although_small_ones_would_be_cheaper() -> None:
    # four pods of 1,000: one large node at 4.50 where four small ones would cost 4.00
    found = provision([pods("web", 4, 1000)], [SMALL, LARGE])

    assert found == Packed((("large", 1),), UsdPerHour(4.5), None)


def test_the_last_node_becomes_the_cheapest_type_that_holds_its_pods() -> None:
    found = provision([pods("web", 5, 1000)], [SMALL, LARGE])

    assert found == Packed((("large", 1), ("small", 1)), UsdPerHour(5.5), None)


def test_the_pod_limit_of_a_node_counts() -> None:
    dense = node("dense", 4000, 16000, 4.5, pods=2)

    assert provision([pods("web", 4, 100)], [dense]) == Packed((("dense", 2),), UsdPerHour(9.0), None)


def test_zones_get_an_even_share() -> None:
    assert provision([pods("web", 4, 1000)], [SMALL, LARGE], zones=3) == Packed(
        (("large", 1), ("small", 2)), UsdPerHour(6.5), None
    )


def test_architecture_narrows_a_node_for_all_its_pods() -> None:
    arm = node("arm", 4000, 16000, 4.0, architecture=Architecture.ARM64)
    tasks = [pods("any", 1, 1000), pods("x86", 1, 900, architecture=Architecture.X86_64)]

    found = provision(tasks, [arm, LARGE])

    assert found == Packed((("large", 1),), UsdPerHour(4.5), None)


def test_a_pod_that_fits_no_node_is_named() -> None:
    assert provision([pods("huge", 1, 9000)], [SMALL, LARGE]) == Rejection(
        "huge", "no node type holds one pod of it"
    )


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(1, 4000), st.integers(1, 16000)), min_size=1, max_size=4),
    st.integers(1, 3),
)
def test_the_nodes_have_room_for_all_pods(services: list[tuple[int, int, int]], zones: int) -> None:
    tasks = [pods(f"s{i}", count, cpu, memory) for i, (count, cpu, memory) in enumerate(services)]

    found = provision(tasks, [SMALL, LARGE], zones)

    assert isinstance(found, Packed)
    rooms = {"small": SMALL.room, "large": LARGE.room}
    held = sum(rooms[name].cpu_units * count for name, count in found.instances)
    assert held >= sum(t.count * t.needs.cpu_units for t in tasks)
    assert found.usd_per_hour == pytest.approx(
        sum({"small": 1.0, "large": 4.5}[name] * count for name, count in found.instances)
    )
