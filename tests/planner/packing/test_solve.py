"""Packings: right, cheap, and with a bound that holds."""

from __future__ import annotations

import numpy as np
import pytest

from planner.model import InstanceType, Resources, TaskType
from planner.packing import PackingProblem, pack
from planner.units import CpuUnits, MiB, UsdPerHour
from tests.planner.packing.build import offer, task


def test_tasks_that_fill_an_instance_exactly_are_proved_optimal() -> None:
    problem = PackingProblem((task("web", 8, 512, 1024),), (offer("m5.large", 2048, 4096, 0.1),))
    packing = pack(problem)

    assert (packing.status, packing.usd_per_hour, packing.gap) == ("optimal", 0.2, 0.0)  # 8 / 4 instances
    assert [(p.count, p.tasks) for p in packing.instances] == [(2, {"web": 4})]


def test_a_task_larger_than_every_type_is_named_with_what_it_lacks() -> None:
    problem = PackingProblem(
        (task("huge", 2, 4096, 512), task("web", 1, 512, 512)), (offer("m5.large", 2048, 4096, 0.1),)
    )
    packing = pack(problem)

    assert [(u.service, u.count) for u in packing.unplaced] == [("huge", 2)]
    assert "4,096 CPU units where 2,048 fit" in packing.unplaced[0].reason


def test_a_service_scaled_to_zero_is_named_and_not_dropped() -> None:
    problem = PackingProblem((task("idle", 0, 512, 512),), (offer("m5.large", 2048, 4096, 0.1),))
    packing = pack(problem)

    assert (packing.status, packing.usd_per_hour) == ("nothing_placed", 0.0)
    assert [(u.service, u.count) for u in packing.unplaced] == [("idle", 0)]


def test_zones_hold_each_service_evenly() -> None:
    problem = PackingProblem((task("web", 7, 512, 1024),), (offer("m5.large", 2048, 4096, 0.1),), zones=3)
    packing = pack(problem)
    per_zone = {
        zone: sum(p.count * p.tasks["web"] for p in packing.instances if p.zone == zone)
        for zone in ("zone-1", "zone-2", "zone-3")
    }

    assert sorted(per_zone.values()) == [2, 2, 3]


def test_surviving_a_zone_keeps_places_for_every_task_elsewhere() -> None:
    problem = PackingProblem(
        (task("web", 4, 512, 1024),), (offer("m5.large", 2048, 4096, 0.1),), zones=2, survive_zone_loss=True
    )
    packing = pack(problem)
    places = {p.zone: p.count * (p.tasks["web"] + p.standby["web"]) for p in packing.instances}

    assert places == {"zone-1": 4, "zone-2": 4}


def test_a_task_whose_standby_place_max_count_forbids_is_unplaced_rather_than_at_risk() -> None:
    task = TaskType("web", 1, Resources(CpuUnits(10), MiB(10)))
    one = InstanceType("only", Resources(CpuUnits(60), MiB(60)), UsdPerHour(0.01), max_count=1)
    packing = pack(PackingProblem((task,), (one,), zones=2, survive_zone_loss=True))

    # one instance can hold the task or its standby place, never both in two zones
    assert [(u.service, u.count) for u in packing.unplaced] == [("web", 1)]


def test_millions_of_tasks_are_counted_and_not_listed() -> None:
    problem = PackingProblem((task("web", 9_000_001, 512, 512),), (offer("a", 1024, 1024, 0.1),))
    packing = pack(problem)

    assert [(line.count, line.tasks) for line in packing.instances] == [(1, {"web": 1}), (4_500_000, {"web": 2})]
    assert packing.status == "optimal"


def test_a_list_without_tasks_needs_no_instance() -> None:
    assert pack(PackingProblem((), (offer("a", 1024, 1024, 0.1),))).status == "nothing_placed"


@pytest.mark.parametrize("most", [None, 1, 2])
def test_tasks_that_all_fit_on_one_instance_are_not_proved_to_need_a_dearer_one(most: int | None) -> None:
    # 45 different tasks, too many to be solved outright; all of them fit on one instance, so no resource has a
    # price. The cheapest type that takes them all is the answer.
    rng = np.random.default_rng(5)
    for _ in range(6):
        sizes = rng.integers(5, 40, (45, 2))
        tasks = tuple(task(f"s{k}", 1, int(cpu), int(memory)) for k, (cpu, memory) in enumerate(sizes))
        rooms = rng.integers(2000, 5000, (4, 2))
        offers = tuple(
            offer(f"t{k}", int(cpu), int(memory), round(0.1 + 0.07 * k, 2))
            for k, (cpu, memory) in enumerate(rooms)
        )
        packing = pack(PackingProblem(tasks, offers, max_types=most))

        # 45 tasks of at most 39 units need 1,755 at most, fewer than any type has: the cheapest takes them all.
        assert (packing.status, packing.usd_per_hour, packing.lower_bound_usd_per_hour) == ("optimal", 0.1, 0.1)
