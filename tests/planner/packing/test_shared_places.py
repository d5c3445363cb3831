"""Places that services share for the loss of a zone."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from planner.model import Architecture
from planner.packing import PackingProblem, pack
from planner.packing.check import violations
from planner.packing.room import allowed_types, unplaceable
from planner.packing.shapes import unit_counts
from planner.packing.shared_places import share_places
from planner.packing.zones import zone_demand
from tests.planner.packing.build import offer, task

OFFERS = (offer("t", 100, 100, 1.0), offer("u", 200, 200, 1.9))


def test_services_that_are_short_in_different_zones_keep_one_place_of_the_larger_size() -> None:
    # of 3 tasks, any two of 3 zones hold 1 + 1 and need a third place; so do those of b
    tasks = (task("a", 3, 30, 20), task("b", 5, 20, 40), task("even", 4, 10, 10))
    problem = PackingProblem(tasks, OFFERS, zones=3, survive_zone_loss=True)
    packed, (shared,) = share_places(problem, allowed_types(problem), {})

    assert set(shared.members) == {0, 1}
    assert (packed.tasks[shared.place].needs.cpu_units, packed.tasks[shared.place].needs.memory_mib) == (30, 40)


def test_services_that_may_not_run_on_the_same_types_share_no_place() -> None:
    tasks = (
        task("a", 3, 30, 20, architecture=Architecture.ARM64),
        task("b", 5, 20, 40),
        task("c", 1, 5, 5, distinct=True),
    )
    arm = offer("arm", 100, 100, 1.0, architecture=Architecture.ARM64)
    problem = PackingProblem(tasks, (*OFFERS, arm), zones=3, survive_zone_loss=True)

    assert share_places(problem, allowed_types(problem), {}) == (problem, ())


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(1, 11), min_size=1, max_size=7),
    zones=st.integers(3, 5),
    on_spot=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_in_no_loss_do_two_services_need_the_same_place(counts: list[int], zones: int, on_spot: float) -> None:
    tasks = tuple(task(f"s{k}", n, 10 + k, 20 - k) for k, n in enumerate(counts))
    problem = PackingProblem(tasks, OFFERS, zones=zones, survive_zone_loss=True)
    packed, shared = share_places(problem, allowed_types(problem), {})
    every, _ = unit_counts(packed, unplaceable(problem, allowed_types(problem)))
    loose = [int(on_spot * n) for n in every]
    demand = zone_demand(every, loose, zones, True, shared)
    places = demand.places[:, : len(every)] + demand.places[:, len(every) :]

    assert (demand.places >= 0).all()
    assert (demand.places >= demand.running).all()
    for lost in range(zones):
        missing = [n - int(places[:, s].sum() - places[lost, s]) for s, n in enumerate(every)]
        for group in shared:
            short = sum(max(0, missing[member]) for member in group.members)
            assert short <= int(places[:, group.place].sum() - places[lost, group.place])
        alone = set(range(len(counts))) - {s for group in shared for s in group.members}
        assert all(missing[s] <= 0 for s in alone)


def test_a_fleet_with_shared_places_survives_every_zone_and_says_who_takes_over_what() -> None:
    # 30 services with odd counts: more shapes than are settled by numbers of instances
    tasks = tuple(task(f"s{k}", 1 + 2 * (k % 3), 20 + 31 * k % 60, 23 + 17 * k % 70) for k in range(30))
    problem = PackingProblem(tasks, OFFERS, zones=3, survive_zone_loss=True)
    packing = pack(problem)
    over = [zone for line in packing.instances for zone in line.takes_over]

    assert violations(problem, packing) == []
    assert len(set(over)) >= 2
    assert packing.task_prices.keys() == {t.service for t in tasks}
