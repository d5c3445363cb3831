"""Searches for packings: equal problems once, several side by side, each within its time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from planner.packing import Packing, PackingProblem, load_kernels, pack
from planner.packing.clock import Clock
from planner.parallel import in_order
from planner.units import Seconds, UsdPerHour

MANY_SERVICES: Final = 30
"""With fewer, searches take less time than other processes to start."""
NEAR_GAP: Final = 0.005
"""What is only compared need not be nearer to its optimum."""


@dataclass(frozen=True, slots=True)
class Effort:
    """What a proof may use. Without a clock searches end by their own limits, so that equal plans get equal
    proofs; with one, the certificate counts those that it ended."""

    workers: int = 1
    clock: Clock | None = None
    is_whole: bool = True
    """False: the bound alone, for who turns knobs and waits."""


@dataclass(frozen=True, slots=True)
class _Search:
    problem: PackingProblem
    gap_goal: float
    seconds: float
    seed: int

    @property
    def key(self) -> str:
        return repr(self)


def _solve(search: _Search, clock: Clock | None) -> Packing:
    if clock is not None:
        load_kernels()
    return pack(
        search.problem, time_limit=Seconds(search.seconds), seed=search.seed, clock=clock, gap_goal=search.gap_goal
    )


class Searches:
    """The packings of one proof."""

    def __init__(self, seconds: float, seed: int, effort: Effort) -> None:
        self._seconds, self._seed, self._effort = seconds, seed, effort
        self._known: dict[str, Packing] = {}

    def exact(self, problem: PackingProblem) -> Packing:
        """As near to the optimum as the search comes."""
        return self._found(self._exact(problem))

    def near(self, problem: PackingProblem) -> Packing:
        """Near enough to be compared; the answer of `exact` where that is known."""
        known = self._known.get(self._exact(problem).key)
        return known or self._found(self._near(problem))

    def together(self, exact: Sequence[PackingProblem], near: Sequence[PackingProblem]) -> None:
        """Solve all of them now, side by side where that pays."""
        wanted = {s.key: s for s in [*map(self._exact, exact), *map(self._near, near)]}
        for problem in [*exact, *(p for p in near if self._exact(p).key in self._known)]:
            wanted.pop(self._near(problem).key, None)
        missing = [s for key, s in wanted.items() if key not in self._known]
        work = [(s, self._effort.clock) for s in missing]
        many = any(len(s.problem.tasks) >= MANY_SERVICES for s in missing)
        found = in_order(_solve, work, self._effort.workers if many else 1, fewest=2)
        self._known.update((s.key, packing) for s, packing in zip(missing, found, strict=True))

    def stand_in(self, problem: PackingProblem, smaller: PackingProblem) -> None:
        """Let the answer for `smaller`, whose fleets are fleets of `problem` too, be the one of `problem`; what it
        proves does not carry over."""
        found = self.near(smaller)
        unproved = replace(found, status="feasible", lower_bound_usd_per_hour=UsdPerHour(0.0), gap=0.0)
        self._known.setdefault(self._near(problem).key, found if found.status == "time_limit" else unproved)

    @property
    def ended_by_clock(self) -> int:
        """How many searches the time limit ended."""
        return sum(packing.status == "time_limit" for packing in self._known.values())

    @property
    def count(self) -> int:
        return len(self._known)

    def _found(self, search: _Search) -> Packing:
        if search.key not in self._known:
            self._known[search.key] = _solve(search, self._effort.clock)
        return self._known[search.key]

    def _exact(self, problem: PackingProblem) -> _Search:
        return _Search(problem, 0.0, self._seconds, self._seed)

    def _near(self, problem: PackingProblem) -> _Search:
        return _Search(problem, NEAR_GAP, self._seconds, self._seed)
