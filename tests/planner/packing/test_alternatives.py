"""Fleets near the optimum."""

from __future__ import annotations

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
