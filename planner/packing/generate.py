"""Column generation: patterns that pay, and the best bound on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from planner.packing.balanced import balanced_fleet
from planner.packing.bound import dual_bound, resource_prices, rounded_up, volume_bound, volume_worth
from planner.packing.clock import Deadline
from planner.packing.fluid import fluid_plan
from planner.packing.greedy import Fleet, fleet_cost, greedy_fleet
from planner.packing.master import Column, Master
from planner.packing.pricing import Pricing, as_column
from planner.packing.shapes import Shapes

MOST_ROWS = 400
"""With more shapes than this one master is too slow: its time grows with the square of its rows and more."""
GOOD_ENOUGH = 2e-3
"""A fleet of many shapes this near the bound (relative) is not searched further. Else they are solved in parts;
each of these, being a fair sample of all sizes, packs nearly as well as the whole."""
_FEW_ROWS = 100
"""So few shapes are solved to the end, because that is quick."""
_ROWS_OF_A_PART = 200
_ROUNDS_AFTER_PARTS = 10
_WORTH_A_BOUND = 2e-4
"""Rounds on the whole are made where the parts' bounds add up to this much more than the known one (relative)."""


@dataclass
class Generated:
    """What column generation leaves: a master with its patterns, the best bound and the duals behind it."""

    master: Master
    pricing: Pricing
    bound: Fraction
    duals: Any
    """(n) whole numbers in `pricing.scale` that prove `bound`."""
    worth_at_most: Any
    first_fleet: Fleet
    first_left: Any
    rounds: int
    is_large: bool = False
    """Packed side by side or in parts, without a master of the whole."""
    parts: tuple[Part, ...] = ()
    """Of a large problem, where its first fleet left much to gain."""

    def worth(self) -> Any:
        """(n) USD that one more task costs, by the duals of the best bound."""
        return self.duals / float(self.pricing.scale.per_usd)

    def useful_columns(self) -> list[Column]:
        """The patterns of the last answer, and those that nearly pay."""
        duals, prices = self.master.duals, self.pricing.shapes.prices
        return [
            (t, pattern)
            for (t, pattern), count in zip(self.master.columns, self.master.counts, strict=False)
            if count > 1e-9 or sum(duals[i] * n for i, n in pattern) > 0.998 * prices[t]
        ]


@dataclass(frozen=True)
class Part:
    """Some of the shapes, solved by themselves."""

    chosen: Any
    """Indices of the shapes, ascending."""
    generated: Generated

    def whole_column(self, column: Column) -> Column:
        """The part's column with the numbers that the shapes have in the whole."""
        t, pattern = column
        return t, tuple((int(self.chosen[i]), n) for i, n in pattern)


def generate(
    shapes: Shapes,
    demand: Any,
    deadline: Deadline,
    *,
    max_rounds: int = 300,
    enough: float = 2e-4,
    on_round: Callable[[], None] | None = None,
    thorough: bool = True,
    quick: bool = False,
) -> Generated:
    """Solve the configuration linear program to within `enough` of its bound, or as far as time allows.
    `thorough` also spends integer programs on types whose worth stays open. `quick` asks for no more than the
    fluid relaxation where its fleet is good enough.

    With many shapes it always is no more. Else the patterns come from parts of the problem that are solved by
    themselves, and rounds on the whole are made only where they can raise the bound.
    """
    is_large = shapes.count > MOST_ROWS
    if is_large or (quick and shapes.count > _FEW_ROWS):
        state = _fluid_state(shapes, demand, deadline if is_large else deadline.share(0.2))
        if _is_good_enough(state):
            return state
        state.is_large = is_large
    else:
        state = _first_state(shapes, demand)
    if is_large:
        deadline = deadline.share(0.5)
        _generate_parts(state, demand, -(-shapes.count // _ROWS_OF_A_PART), deadline.share(0.5), on_round)
        if sum(part.generated.bound for part in state.parts) <= state.bound * Fraction(1.0 + _WORTH_A_BOUND):
            return state
        max_rounds = min(max_rounds, _ROUNDS_AFTER_PARTS)
    search = _Smoothing(state.pricing.scale.per_usd, state.duals)
    for _ in range(max_rounds):
        if deadline.passed() or not state.master.solve(deadline):
            break
        state.rounds += 1
        if on_round is not None:
            on_round()
        added, improved = _one_round(state, search.target(state.master.duals), demand)
        if is_settled(state, enough):
            break
        if added == 0 and search.is_plain and not _last_try(state, demand, thorough):
            break
        search.learn(state, added, improved)
    return state


def _last_try(state: Generated, demand: Any, thorough: bool) -> bool:
    """Search longer for a pattern that pays; True where one was found."""
    return _one_round(state, state.master.duals, demand, nodes=30_000, is_last=True, thorough=thorough)[0] > 0


class _Smoothing:
    """Dual prices between the master's and those of the best bound (Wentges 1997), which swing less."""

    def __init__(self, per_usd: Fraction, duals: Any) -> None:
        self._per_usd = float(per_usd)
        self._centre = duals / self._per_usd
        self._share = 0.5

    @property
    def is_plain(self) -> bool:
        return self._share == 0.0

    def target(self, duals: Any) -> Any:
        return self._share * self._centre + (1.0 - self._share) * duals

    def learn(self, state: Generated, added: int, improved: bool) -> None:
        if improved:
            self._centre = state.duals / self._per_usd
        if added == 0:
            self._share = 0.0
        elif self.is_plain:
            self._share = 0.3
        else:
            self._share = min(0.8, self._share + 0.02) if improved else self._share * 0.95


def _first_state(shapes: Shapes, demand: Any) -> Generated:
    prices = resource_prices(demand, shapes)
    state = _priced_by_resources(shapes, demand, prices)
    _take_fleet(state, *greedy_fleet(shapes, demand, shapes.needs @ prices, shapes.rooms @ prices))
    return state


def _fluid_state(shapes: Shapes, demand: Any, deadline: Deadline) -> Generated:
    """The fleet and the bound of the fluid relaxation; the greedy fleet where that is cheaper or holds more."""
    from planner.packing.polish import polished  # which solves small problems by this module

    prices = resource_prices(demand, shapes)
    state = replace(_priced_by_resources(shapes, demand, prices), is_large=True)
    balanced = balanced_fleet(shapes, demand, shapes.limits, deadline)
    _price_by_types(state, demand, deadline)
    if not balanced[1].any():
        balanced = polished(balanced[0], shapes, state.worth(), deadline.share(0.5)), balanced[1]
    _take_fleet(state, *balanced)
    if not deadline.passed() and not _is_good_enough(state):
        greedy = greedy_fleet(shapes, demand, state.worth(), shapes.rooms @ prices)
        if (int(greedy[1].sum()), fleet_cost(greedy[0], shapes)) < (int(balanced[1].sum()), _first_cost(state)):
            _take_fleet(state, *greedy)
    return state


def _is_good_enough(state: Generated) -> bool:
    return not state.first_left.any() and _first_cost(state) <= float(state.bound) * (1.0 + GOOD_ENOUGH)


def _priced_by_resources(shapes: Shapes, demand: Any, prices: Any) -> Generated:
    """No fleet yet, and the bound that one price a resource proves."""
    pricing = Pricing(shapes)
    return Generated(
        Master(shapes, demand),
        pricing,
        volume_bound(prices, demand, shapes, pricing.scale),
        pricing.scale.whole(shapes.needs @ prices),
        volume_worth(prices, shapes, pricing.scale),
        {},
        demand.copy(),
        0,
    )


def _price_by_types(state: Generated, demand: Any, deadline: Deadline) -> None:
    """Raise the bound to what prices of the resources by type prove."""
    pricing = state.pricing
    plan = fluid_plan(pricing.shapes, demand, deadline)
    if plan is not None:
        pricing.weights[:] = plan.prices * pricing.shapes.rooms * float(pricing.scale.per_usd)
        worth = pricing.scale.whole(plan.worth)
        _take_bound(state, worth, pricing.price(worth, demand, 200, 1e-5), demand)


def _take_fleet(state: Generated, fleet: Fleet, left: Any) -> None:
    state.first_fleet, state.first_left = fleet, left
    for column in fleet:
        state.master.add(column)


def _first_cost(state: Generated) -> float:
    return fleet_cost(state.first_fleet, state.pricing.shapes)


def _take_bound(state: Generated, worth: Any, found: Any, demand: Any) -> bool:
    """Keep what `worth` proves with `found` (worth and upper bound a type), if it is more than is known."""
    bound = dual_bound(worth, found[:, 1].tolist(), demand, state.pricing.shapes, state.pricing.scale)
    improved = bound > state.bound
    if improved:
        state.bound, state.duals, state.worth_at_most = bound, worth, found[:, 1].copy()
    return improved


def _generate_parts(
    state: Generated, demand: Any, parts: int, deadline: Deadline, on_round: Callable[[], None] | None
) -> None:
    """Solve `parts` parts of the shapes, each a fair sample of all sizes; the whole master takes their answers."""
    shapes = state.pricing.shapes
    by_size = np.argsort((shapes.needs / np.maximum(shapes.rooms.max(axis=0), 1)).sum(axis=1), kind="stable")
    solved = []
    answer: dict[Column, float] = {}
    for number in range(parts):
        if deadline.passed():
            return
        chosen = np.sort(by_size[number::parts])
        part = generate(
            shapes.part(chosen), demand[chosen], deadline.share(1.0 / (parts - number)),
            max_rounds=150, enough=1e-3, on_round=on_round, thorough=False,
        )  # fmt: skip
        solved.append(Part(chosen, part))
        counts = dict(zip(part.master.columns, part.master.counts.tolist(), strict=False))
        for column in part.useful_columns():
            answer[solved[-1].whole_column(column)] = counts[column]
    state.parts = tuple(solved)
    for column in answer:
        state.master.add(column)
    state.master.assume(sum(part.generated.master.cost for part in solved), answer)


def is_settled(state: Generated, enough: float) -> bool:
    """True where the master cannot improve on what the bound already proves."""
    shapes = state.pricing.shapes
    if len(shapes.offers) == 1:
        return rounded_up(state.bound, shapes) >= Fraction(state.master.cost * (1.0 - 1e-7))
    return state.master.cost <= float(state.bound) * (1.0 + enough)


def _one_round(
    state: Generated,
    target: Any,
    demand: Any,
    nodes: int = 3_000,
    *,
    is_last: bool = False,
    thorough: bool = False,
) -> tuple[int, bool]:
    """Price all types at `target`; returns how many patterns were added and whether the bound rose."""
    pricing, shapes = state.pricing, state.pricing.shapes
    worth = pricing.scale.whole(target)
    found = pricing.price(worth, demand, nodes, 1e-5)
    if is_last:
        pricing.settle(found, worth, demand, thorough=thorough)
    improved = _take_bound(state, worth, found, demand)
    ratio = found[:, 0] / pricing.prices
    best = np.argsort(-ratio, kind="stable")
    added = 0
    for t in best[:12].tolist():
        pattern = pricing.patterns[t]
        if pattern @ state.master.duals > shapes.prices[t] * (1.0 + 1e-9):
            added += state.master.add(as_column(t, pattern))
    for t in best[:2].tolist():
        if ratio[t] > 1.0:
            for pattern in pricing.sequence(t, worth, demand, 30, 300):
                added += state.master.add(as_column(t, pattern))
    return added, improved
