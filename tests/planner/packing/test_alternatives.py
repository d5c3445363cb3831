"""Fleets near the optimum."""

from __future__ import annotations

import pytest

from planner.model import Architecture, Rejection
from planner.packing import Alternative, PackingProblem, near_optimal, pack
from tests.planner.packing.build import offer, task


def test_alternatives_keep_their_rule_and_say_how_much_dearer_they_are() -> None:
    tasks = (task("web", 6, 500, 500), task("db", 2, 500, 2000))
    offers = (
        offer("c1.large", 1000, 1000, 1.0),
        offer("r1.large", 1000, 4000, 2.0),
        offer("m1.large", 1000, 2010, 1.51),
        offer("g1.large", 1000, 1000, 1.02, architecture=Architecture.ARM64),
    )
    problem = PackingProblem(tasks, offers)
    cheapest = pack(problem)
    found = {a.name: a for a in near_optimal(problem, cheapest) if isinstance(a, Alternative)}
    refused = {a.what: a.reason for a in near_optimal(problem, cheapest) if isinstance(a, Rejection)}

    assert len(found["one type"].packing.types) == 1
    assert found["one type"].dearer_by >= 0.0
    assert set(found["x86 only"].packing.types) <= {"c1.large", "r1.large", "m1.large"}
    assert "cannot place every task" in refused["ARM only"]
    assert all(a.dearer_by <= 0.03 for name, a in found.items() if name.startswith("without"))


def test_more_types_than_the_rule_allows_are_told_as_cheaper() -> None:
    tasks = (task("web", 8, 500, 500), task("db", 4, 500, 2000))
    offers = (offer("c1.large", 1000, 1000, 1.0), offer("r1.large", 1000, 4000, 1.6))
    problem = PackingProblem(tasks, offers, max_types=1)
    found = {a.name: a for a in near_optimal(problem, pack(problem)) if isinstance(a, Alternative)}

    # one type: 6 x 1.6 = 9.6; two: 4 x 1.0 and 2 x 1.6 = 7.2
    assert found["cheapest"].packing.usd_per_hour == pytest.approx(9.6)
    for name in ("two types", "any number of types"):
        assert found[name].packing.usd_per_hour == pytest.approx(7.2)
        assert found[name].dearer_by == pytest.approx(-0.25)


def test_tasks_that_ask_for_an_architecture_are_named_where_only_the_other_is_tried() -> None:
    tasks = (task("web", 2, 500, 500, architecture=Architecture.X86_64),)
    problem = PackingProblem(tasks, (offer("c1.large", 1000, 1000, 1.0),))
    (refused,) = [a for a in near_optimal(problem, pack(problem)) if isinstance(a, Rejection)]

    assert (refused.what, refused.reason) == ("ARM only", "the other architecture is asked for by web")
