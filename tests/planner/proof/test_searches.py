"""Searches for packings: equal ones once, small ones here, many services side by side."""

from __future__ import annotations

import pickle

import pytest

from planner.packing import PackingProblem
from planner.proof import searches
from planner.proof.searches import MANY_SERVICES, Effort, Searches
from tests.planner.packing.build import offer, task

OFFERS = (offer("good", 1000, 1000, 1.0), offer("dear", 1000, 1000, 5.0))
PROBLEM = PackingProblem((task("web", 8, 250, 250),), OFFERS)
OTHER = PackingProblem((task("web", 5, 250, 250),), OFFERS)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[PackingProblem, float]]:
    """The problems that were solved, each with its gap goal."""
    seen: list[tuple[PackingProblem, float]] = []
    solve = searches._solve

    def spied(search: searches._Search, clock: None) -> object:
        seen.append((search.problem, search.gap_goal))
        return solve(search, clock)

    monkeypatch.setattr(searches, "_solve", spied)
    return seen


def test_equal_problems_are_solved_once(asked: list[tuple[PackingProblem, float]]) -> None:
    found = Searches(10, 0, Effort())
    found.together([PROBLEM], [PROBLEM, OTHER, OTHER])

    assert found.near(PROBLEM) is found.exact(PROBLEM)
    assert found.near(OTHER).usd_per_hour == 2.0
    assert asked == [(PROBLEM, 0.0), (OTHER, searches.NEAR_GAP)]
    assert found.count == 2


def test_what_a_smaller_problem_proves_does_not_carry_over() -> None:
    found = Searches(10, 0, Effort())
    found.stand_in(PROBLEM, OTHER)

    assert found.near(PROBLEM).usd_per_hour == found.near(OTHER).usd_per_hour
    assert found.near(PROBLEM).lower_bound_usd_per_hour == 0.0
    assert found.near(OTHER).lower_bound_usd_per_hour == 2.0


def test_only_many_services_are_worth_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []

    def in_order(work: object, items: list[object], workers: int, fewest: int) -> list[object]:
        used.append(workers)
        return [searches._solve(*item) for item in items]  # type: ignore[misc]

    monkeypatch.setattr(searches, "in_order", in_order)
    many = PackingProblem(tuple(task(f"s{k}", 1, 250, 250) for k in range(MANY_SERVICES)), OFFERS)
    Searches(10, 0, Effort(workers=2)).together([PROBLEM], [OTHER])
    Searches(10, 0, Effort(workers=2)).together([many], [OTHER])

    assert used == [1, 2]


def test_a_search_and_its_answer_travel_between_processes() -> None:
    search = searches._Search(PROBLEM, 0.0, 10, 0)
    again = pickle.loads(pickle.dumps(search))

    assert again.key == search.key
    assert pickle.loads(pickle.dumps(searches._solve(again, None))) == searches._solve(search, None)
