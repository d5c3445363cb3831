"""The proof of a plan: a bound that holds, steps that add up, and the words that tell them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.documents.packing import Certificate, PackingProof
from planner.made import Made
from planner.packing import PackingProblem, pack
from planner.proof import Effort, prove
from tests.planner.proof.finished import made, steps
from tests.planner.test_candidates import offer, workload

SMALL, LARGE = offer("x.large", 4096, 8000, 0.2), offer("y.large", 8192, 16000, 0.41)


def certificate_of(proof: PackingProof) -> Certificate:
    assert proof.certificate is not None
    return proof.certificate


@pytest.fixture(scope="module")
def planning() -> Made:
    """Two services, one of which needs half of its tasks later, on one of two types."""
    return made(workload("web", steps(24, 12)), workload("db", steps(5, 5), 512, 3000), offers=(SMALL, LARGE))


@pytest.fixture(scope="module")
def proof(planning: Made) -> PackingProof:
    return prove(planning, Effort())


def test_the_steps_lead_from_the_bound_to_the_fleet(proof: PackingProof) -> None:
    added = sum(step.usd_per_hour for step in certificate_of(proof).added)

    assert proof.lower_bound_usd_per_hour + added == pytest.approx(proof.usd_per_hour, abs=1e-9)
    assert proof.usd_per_hour == pytest.approx(certificate_of(proof).instances * SMALL.usd_per_hour)


def test_the_tasks_of_the_busiest_minute_are_counted(proof: PackingProof) -> None:
    found = certificate_of(proof)

    assert found.tasks == 29  # 24 of web and 5 of db
    assert found.at.hour < 2  # the first half of four hours


def test_evenness_over_zones_has_its_own_step() -> None:
    # 4 tasks fill one instance; even over 3 zones they are 2, 1 and 1, so that 3 instances are needed
    found = prove(made(workload("web", steps(4)), offers=(SMALL,)), Effort())

    assert found.lower_bound_usd_per_hour == pytest.approx(0.2)
    assert found.usd_per_hour == pytest.approx(0.4)  # ECS spreads over the zones that have instances: 2
    assert [(s.what, s.usd_per_hour) for s in certificate_of(found).added] == [
        ("keeping every service even over 3 zones", 0.2)
    ]


def test_one_more_task_costs_its_share_of_the_instance_it_fills() -> None:
    found = certificate_of(prove(made(workload("web", steps(40)), offers=(SMALL,)), Effort()))

    assert found.task_costs[0].usd_per_hour == pytest.approx(0.05)  # 1,024 of 4,096 CPU units at 0.2


def test_rules_are_priced_within_their_range(proof: PackingProof) -> None:
    costs = certificate_of(proof).rule_costs

    assert [c.rule for c in costs] == ["spreading every service over 3 zones", "at most 1 instance type"]
    for cost in costs:
        assert cost.at_least_usd_per_hour <= cost.usd_per_hour <= cost.at_most_usd_per_hour


def test_surviving_a_zone_is_a_rule_with_a_price() -> None:
    planned = made(workload("web", steps(24)), offers=(SMALL,), survive_zone_loss=True)
    found = prove(planned, Effort())

    # 24 tasks need 6 instances, which any two of three zones must have: 9, so 3 for the rule
    assert found.lower_bound_usd_per_hour == pytest.approx(1.8)
    (survive, *_) = certificate_of(found).rule_costs
    assert survive.rule == "surviving the loss of a zone"
    assert survive.usd_per_hour == pytest.approx(0.6)
    assert "that survives the loss of a zone" in found.statement


def test_a_type_that_is_dearer_for_its_room_is_told_with_the_price_at_which_it_pays(proof: PackingProof) -> None:
    (dear,) = certificate_of(proof).never_worth

    assert dear.instance_type == "y.large"
    assert dear.is_proved
    assert dear.worth_at_most_usd_per_hour < dear.usd_per_hour


def test_two_architectures_are_never_held_to_one_type() -> None:
    arm = offer("g.large", 4096, 8000, 0.15, arm=True)
    both = made(workload("web", steps(8)), workload("arm", steps(8), arm=True), offers=(SMALL, arm))
    found = prove(both, Effort())

    assert found.lower_bound_usd_per_hour == pytest.approx(0.7)  # 2 x 0.2 and 2 x 0.15
    assert "of at most 2 instance types" in found.statement


def test_another_architecture_is_told_as_what_it_would_take(proof: PackingProof) -> None:
    (arm,) = [f for f in certificate_of(proof).near if f.name == "ARM only"]

    assert arm.is_hypothetical
    assert arm.usd_per_hour is not None


def test_every_strategy_that_was_replayed_is_told_and_the_cheapest_that_spreads_is_taken(
    proof: PackingProof,
) -> None:
    found = certificate_of(proof).strategies
    spreading = [s for s in found if s.strategy.startswith("spread")]

    assert [s.strategy for s in found if s.rejected is None] == [spreading[0].strategy]
    assert {s.strategy for s in found} == {
        "spread:az,binpack:cpu", "spread:az,binpack:memory", "spread:az", "binpack:memory,spread:az",
        "binpack:cpu,spread:az",
    }  # fmt: skip


def test_a_deployment_needs_what_its_new_tasks_need_beside_the_old(proof: PackingProof) -> None:
    web = next(d for d in certificate_of(proof).deployments if d.service == "web")

    assert (web.maximum_percent, web.extra_tasks) == (200, 24)
    assert web.usd_per_hour == pytest.approx(web.extra_instances * 0.2)
    assert 0 < web.extra_instances <= 6  # 24 tasks, 4 an instance, less what is free


def test_ecs_places_every_task_on_the_instances_that_ran(proof: PackingProof) -> None:
    found = certificate_of(proof)

    assert (found.orders_placed, found.orders_replayed) == (5, 5)


def test_a_clock_that_ends_no_search_changes_nothing(planning: Made, proof: PackingProof) -> None:
    assert prove(planning, Effort(clock=lambda: 0.0)) == proof


def test_a_clock_that_ends_a_search_is_told(planning: Made) -> None:
    ticks = itertools.count()
    found = prove(planning, Effort(clock=lambda: next(ticks) * 1000.0))

    assert certificate_of(found).searches_ended_by_clock > 0
    assert found.status in {"time_limit", "optimal"}
    assert found.lower_bound_usd_per_hour <= found.usd_per_hour


def test_the_bound_alone_is_the_same_bound(planning: Made, proof: PackingProof) -> None:
    found = prove(planning, Effort(is_whole=False))

    assert found.certificate is None
    assert found.lower_bound_usd_per_hour == proof.lower_bound_usd_per_hour


def test_no_service_on_instances_is_nothing_to_prove() -> None:
    planning = made(workload("web", steps(0)), offers=(SMALL,))

    assert prove(planning, Effort()).status == "nothing to pack"


@settings(deadline=None, max_examples=5)
@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(1, 8), st.integers(1, 8)), min_size=1, max_size=3),
    st.booleans(),
)
def test_steps_add_up_and_the_bound_holds_whatever_the_tasks(
    shapes: list[tuple[int, int, int]], survives: bool
) -> None:
    workloads = [workload(f"s{k}", steps(n), 256 * cpu, 500 * memory) for k, (n, cpu, memory) in enumerate(shapes)]
    planning = made(*workloads, offers=(SMALL, LARGE), survive_zone_loss=survives)
    found = prove(planning, Effort())
    added = [step.usd_per_hour for step in certificate_of(found).added]

    assert all(usd > 0 for usd in added)
    assert found.lower_bound_usd_per_hour + sum(added) == pytest.approx(found.usd_per_hour, abs=1e-5)
    tasks = tuple(replace(w.task_type, count=int(w.tasks.max())) for w in workloads)
    best = pack(PackingProblem(tasks, (SMALL, LARGE), max_types=1))
    assert best.lower_bound_usd_per_hour <= found.usd_per_hour + 1e-9
