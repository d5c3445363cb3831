"""Zones, surviving one of them and few types: small problems cost what brute force finds."""

from __future__ import annotations

from functools import cache
from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.model import InstanceType, TaskType
from planner.packing import PackingProblem, pack
from tests.planner.packing.build import offer, task
from tests.planner.packing.test_properties import TOLERANCE, cheapest_by_brute_force


def spreads(count: int, zones: int, survive: bool) -> list[tuple[int, ...]]:
    """Every way to give a service places in each zone, by the rules as they are told."""
    found = []
    for places in product(range(count + 1), repeat=zones):
        # The zones with most places take the odd running tasks.
        running = [count // zones + (z < count % zones) for z in range(zones)]
        holds = all(p >= r for p, r in zip(sorted(places, reverse=True), running, strict=True))
        survives = not survive or sum(places) - max(places) >= count
        if holds and survives:
            found.append(places)
    return found


def cheapest_in_zones(
    tasks: tuple[TaskType, ...], offers: tuple[InstanceType, ...], zones: int, survive: bool, max_types: int
) -> float:
    """Try every choice of types and every spread of every service, each zone packed by brute force."""

    def with_types(chosen: tuple[InstanceType, ...]) -> float:
        @cache
        def zone_cost(counts: tuple[int, ...]) -> float:
            wanted = tuple(
                task(t.service, n, t.needs.cpu_units, t.needs.memory_mib, distinct=t.distinct_instance)
                for t, n in zip(tasks, counts, strict=True)
            )
            return cheapest_by_brute_force(wanted, chosen)

        options = product(*(spreads(t.count, zones, survive) for t in tasks))
        return min(sum(zone_cost(counts) for counts in zip(*places, strict=True)) for places in options)

    return min(with_types(chosen) for chosen in combinations(offers, min(max_types, len(offers))))


@settings(max_examples=12, deadline=None)
@given(
    needs=st.lists(
        st.tuples(st.integers(1, 4), st.integers(5, 60), st.integers(5, 60), st.booleans()),
        min_size=1, max_size=2,
    ),
    rooms=st.lists(
        st.tuples(st.integers(60, 150), st.integers(60, 150), st.integers(20, 300)), min_size=1, max_size=3
    ),
    zones=st.integers(2, 3),
    survive=st.booleans(),
    max_types=st.integers(1, 2),
)  # fmt: skip
def test_small_problems_with_rules_cost_what_brute_force_finds(  # type: ignore[no-untyped-def]
    needs, rooms, zones, survive, max_types
) -> None:
    tasks = tuple(task(f"s{k}", n, cpu, mem, distinct=alone) for k, (n, cpu, mem, alone) in enumerate(needs))
    offers = tuple(offer(f"t{k}", cpu, mem, price / 100) for k, (cpu, mem, price) in enumerate(rooms))
    problem = PackingProblem(tasks, offers, zones=zones, survive_zone_loss=survive, max_types=max_types)
    packing = pack(problem)
    best = cheapest_in_zones(tasks, offers, zones, survive, max_types)

    assert packing.usd_per_hour == pytest.approx(best)
    assert packing.lower_bound_usd_per_hour <= best + TOLERANCE


def test_the_odd_places_go_where_they_cost_least() -> None:
    # 3 tasks in 2 zones are 2 and 1; with the other service's 1 and 2 each has 3, which one instance holds
    tasks = (task("a", 3, 10, 10), task("b", 3, 10, 10))
    packing = pack(PackingProblem(tasks, (offer("t", 30, 30, 1.0),), zones=2))

    assert (packing.status, packing.usd_per_hour) == ("optimal", 2.0)


def test_uneven_kept_places_are_used_where_that_is_cheaper() -> None:
    # 8 tasks, 3 to an instance, 3 zones: spread evenly, 4 + 4 + 4 places take 2 + 2 + 2 instances. Any two zones
    # need 3 instances, so 2 + 2 + 1 do, with 6 + 6 + 3 places.
    problem = PackingProblem((task("a", 8, 10, 10),), (offer("t", 30, 30, 1.0),), zones=3, survive_zone_loss=True)
    packing = pack(problem)

    assert (packing.status, packing.usd_per_hour) == ("optimal", 5.0)
