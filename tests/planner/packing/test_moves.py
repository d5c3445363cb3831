"""Instances that run already, and the price of moving."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.model import FleetLine, Resources
from planner.packing import PackingProblem, ProblemError, pack
from planner.packing.check import violations
from planner.units import UsdPerHour
from tests.planner.packing.build import offer, task

OFFERS = (offer("old", 1000, 1000, 1.0), offer("new", 1000, 1000, 0.9))
TASKS = (task("web", 16, 250, 250),)


def running(name: str, count: int, zone: str = "zone-1") -> FleetLine:
    return FleetLine(name, zone, count, Resources())


def test_without_a_price_of_moving_the_cheapest_fleet_is_taken_and_its_moves_are_told() -> None:
    packing = pack(PackingProblem(TASKS, OFFERS, running=(running("old", 4),)))

    assert packing.usd_per_hour == pytest.approx(4 * 0.9)
    assert [(m.instance_type, m.kept, m.started, m.stopped) for m in packing.moves] == [
        ("new", 0, 4, 0),
        ("old", 0, 0, 4),
    ]


def test_a_price_of_moving_above_what_is_saved_keeps_what_runs() -> None:
    packing = pack(
        PackingProblem(TASKS, OFFERS, running=(running("old", 4),), moving_usd_per_hour=UsdPerHour(0.2))
    )

    assert (packing.types, packing.usd_per_hour, packing.moving_usd_per_hour) == (("old",), 4.0, 0.0)
    assert [(m.kept, m.started) for m in packing.moves] == [(4, 0)]
    assert packing.status == "optimal"


def test_the_price_of_moving_is_part_of_the_cost_and_not_of_the_bill() -> None:
    packing = pack(
        PackingProblem(TASKS, OFFERS, running=(running("old", 1),), moving_usd_per_hour=UsdPerHour(0.2))
    )

    # one old instance kept at 1.0 is cheaper than a new one at 0.9 + 0.2; three are started
    assert packing.usd_per_hour == pytest.approx(1.0 + 3 * (0.9 + 0.2))
    assert packing.bill_usd_per_hour == pytest.approx(1.0 + 3 * 0.9)


def test_what_runs_in_a_zone_is_kept_in_that_zone_only() -> None:
    packing = pack(
        PackingProblem(
            TASKS, OFFERS, zones=2, running=(running("old", 4, "zone-2"),), moving_usd_per_hour=UsdPerHour(0.2)
        )
    )
    kept = {(m.instance_type, m.zone): m.kept for m in packing.moves if m.kept}

    assert kept == {("old", "zone-2"): 2}  # 8 of 16 tasks in each zone


@pytest.mark.parametrize(
    ("line", "sentence"),
    [(running("ghost", 1), "no row in the catalogue"), (running("old", 1, "moon"), "zone moon")],
)
def test_a_running_instance_that_cannot_be_placed_in_the_problem_is_refused(
    line: FleetLine, sentence: str
) -> None:
    with pytest.raises(ProblemError, match=sentence):
        PackingProblem(TASKS, OFFERS, running=(line,))


@settings(max_examples=20, deadline=None)
@given(
    needs=st.lists(st.tuples(st.integers(1, 9), st.integers(5, 60), st.integers(5, 60)), min_size=1, max_size=4),
    rooms=st.lists(
        st.tuples(st.integers(60, 150), st.integers(60, 150), st.integers(50, 200), st.integers(0, 6)),
        min_size=1, max_size=3,
    ),
    price=st.sampled_from([0.0, 0.05, 0.5]),
    zones=st.integers(1, 3),
    max_count=st.sampled_from([None, 2, 9]),
    max_types=st.sampled_from([None, 1]),
)  # fmt: skip
def test_weighing_moves_keeps_every_rule_and_never_costs_more_than_starting_afresh(  # type: ignore[no-untyped-def]
    needs, rooms, price, zones, max_count, max_types
) -> None:
    tasks = tuple(task(f"s{k}", n, cpu, memory) for k, (n, cpu, memory) in enumerate(needs))
    offers = tuple(
        offer(f"t{k}", cpu, memory, usd / 100, max_count=max_count if k == 0 else None)
        for k, (cpu, memory, usd, _) in enumerate(rooms)
    )
    present = tuple(running(f"t{k}", n, f"zone-{1 + k % zones}") for k, (_, _, _, n) in enumerate(rooms) if n)
    problem = PackingProblem(
        tasks, offers, zones=zones, running=present, moving_usd_per_hour=UsdPerHour(price), max_types=max_types
    )
    packing = pack(problem)

    assert violations(problem, packing) == []
    afresh = pack(replace(problem, running=()))
    if not packing.unplaced and not afresh.unplaced:
        assert packing.lower_bound_usd_per_hour <= afresh.usd_per_hour + 1e-9
