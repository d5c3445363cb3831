"""The certificate: task prices add up to the bound, rules cost what they cost, bad types are named."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.model import InstanceType
from planner.packing import PackingProblem, explain, pack
from planner.packing.certificate import never_worth
from tests.planner.packing.build import line, offer, task

OFFERS = (offer("good", 1000, 1000, 1.0), offer("dear", 1000, 1000, 5.0))


def test_the_price_of_a_task_is_its_share_of_the_instance_it_fills() -> None:
    problem = PackingProblem((task("web", 8, 250, 250),), OFFERS)
    certificate = explain(problem, pack(problem))

    assert certificate.task_prices[0].service == "web"
    assert certificate.task_prices[0].usd_per_hour == pytest.approx(0.25, rel=1e-6)


@pytest.mark.parametrize(("zones", "price"), [(2, 0.5), (3, 0.375)])
def test_the_price_of_a_task_that_must_survive_a_zone_has_the_room_kept_for_it(zones: int, price: float) -> None:
    # a quarter of an instance, times zones / (zones - 1); 24 tasks fill whole instances in 2 and in 3 zones
    problem = PackingProblem((task("web", 24, 250, 250),), OFFERS, zones=zones, survive_zone_loss=True)
    certificate = explain(problem, pack(problem))

    assert certificate.task_prices[0].usd_per_hour == pytest.approx(price, rel=1e-6)
    assert certificate.never_worth[0].worth_at_most == pytest.approx(1.0, rel=1e-3)


def test_a_type_that_was_never_worth_it_is_named_with_the_price_at_which_it_may_be() -> None:
    problem = PackingProblem((task("web", 8, 250, 250),), OFFERS)
    certificate = explain(problem, pack(problem))

    assert [(n.instance_type, n.is_proved) for n in certificate.never_worth] == [("dear", True)]
    assert certificate.never_worth[0].worth_at_most == pytest.approx(1.0, rel=1e-3)


def test_surviving_a_zone_costs_the_places_kept_free() -> None:
    problem = PackingProblem((task("web", 8, 250, 250),), OFFERS, zones=2, survive_zone_loss=True)
    certificate = explain(problem, pack(problem))

    assert [r.rule for r in certificate.rule_costs] == ["surviving the loss of a zone"]
    assert certificate.rule_costs[0].usd_per_hour == pytest.approx(2.0)  # 4 instances instead of 2
    assert any("surviving the loss of a zone" in s for s in certificate.sentences)


def test_types_that_come_nearest_to_paying_are_told_first() -> None:
    offers = (*OFFERS, offer("close", 1000, 1000, 1.01), offer("worse", 1000, 1000, 2.0))
    problem = PackingProblem((task("web", 8, 250, 250),), offers)

    assert [n.instance_type for n in never_worth(problem, pack(problem))] == ["close", "worse", "dear"]


def test_where_one_type_is_allowed_the_price_is_that_of_a_whole_fleet_of_it() -> None:
    # 8 tasks of 250: 2 instances of good for 2.0; of half, which holds 3, at least 3: 2.0 / 3
    offers = (offer("good", 1000, 1000, 1.0), offer("half", 750, 750, 0.9))
    problem = PackingProblem((task("web", 8, 250, 250),), offers, max_types=1)
    (half,) = never_worth(problem, pack(problem))

    assert (half.instance_type, half.is_proved) == ("half", True)
    assert half.worth_at_most == pytest.approx(2.0 / 3)


def test_a_type_that_cannot_take_every_task_is_no_matter_of_price_where_one_type_is_allowed() -> None:
    offers = (offer("good", 1000, 1000, 1.0), offer("small", 200, 200, 9.0))
    problem = PackingProblem((task("web", 8, 250, 250),), offers, max_types=1)

    assert never_worth(problem, pack(problem)) == ()


def test_nothing_is_proved_about_types_where_starting_instances_has_a_price() -> None:
    problem = PackingProblem((task("web", 8, 250, 250),), OFFERS, running=(line("good", "zone-1", 1, 1000, 1000),))

    assert [n.is_proved for n in never_worth(problem, pack(problem))] == [False]


@settings(deadline=None, max_examples=15)
@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(9, 20), st.integers(9, 20), st.integers(5, 30)), min_size=2, max_size=3),
    st.booleans(),
)
def test_one_instance_of_a_type_that_is_proved_not_to_pay_makes_every_fleet_dearer(
    shapes: list[tuple[int, int, int]], kinds: list[tuple[int, int, int]], is_one_type: bool
) -> None:
    tasks = tuple(task(f"s{k}", n, 100 * cpu, 100 * memory) for k, (n, cpu, memory) in enumerate(shapes))
    offers = tuple(offer(f"t{k}", 100 * cpu, 100 * mem, usd / 10) for k, (cpu, mem, usd) in enumerate(kinds))
    problem = PackingProblem(tasks, offers, max_types=1 if is_one_type else None)
    found = pack(problem)
    for type_ in (n for n in never_worth(problem, found) if n.is_proved):
        own = next(o for o in offers if o.instance_type == type_.instance_type)
        if is_one_type:
            assert pack(replace(problem, catalogue=(own,))).usd_per_hour > found.usd_per_hour
        else:
            assert least_with_one(own, problem) > found.usd_per_hour - 1e-9


def least_with_one(own: InstanceType, problem: PackingProblem) -> float:
    """The bound of what costs least beside one instance of `own`, over every way to fill that one."""
    fillings = itertools.product(*(range(t.count + 1) for t in problem.tasks))
    best = math.inf
    for held in fillings:
        cpu = sum(n * t.needs.cpu_units for n, t in zip(held, problem.tasks, strict=True))
        memory = sum(n * t.needs.memory_mib for n, t in zip(held, problem.tasks, strict=True))
        if cpu <= own.room.cpu_units and memory <= own.room.memory_mib:
            rest = tuple(replace(t, count=t.count - n) for t, n in zip(problem.tasks, held, strict=True))
            others = (
                pack(replace(problem, tasks=rest)).lower_bound_usd_per_hour if any(t.count for t in rest) else 0
            )
            best = min(best, own.usd_per_hour + others)
    return best
