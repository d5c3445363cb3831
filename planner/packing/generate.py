"""Column generation: patterns that pay, and the best bound on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from planner.packing.bound import (
    MoneyScale,
    dual_bound,
    money_scale,
    resource_prices,
    rounded_up,
    volume_bound,
    volume_worth,
)
from planner.packing.clock import Deadline
from planner.packing.exact_kernels import exact_pattern, work_of
from planner.packing.greedy import Fleet, greedy_fleet
from planner.packing.hard_pricing import hard_pattern, relaxed_weights
from planner.packing.knapsack_kernels import best_pattern, price_sequence, price_types
from planner.packing.master import Column, Master
from planner.packing.shapes import Shapes

_MOST_ROWS = 400
"""With more shapes than this, the problem is first solved in parts."""
_ROUNDS_AFTER_PARTS = 25
_MOST_STATES = 3e6
_MOST_STEPS = 6e8
"""Of the exact pricing of all types together: about a second."""
_SHARPENED = 60
"""Types whose linear relaxation is solved, so many a round."""
_HARD_TYPES = 4
_WORTH_A_PROGRAM = 2e-4
"""Types left open by more than this (relative) are worth an integer program, so many a round."""
_MOST_SHAPES_OF_A_PROGRAM = 120


@dataclass
class Pricing:
    """The pricing problem of all types, with warm starts kept from call to call."""

    shapes: Shapes
    scale: MoneyScale = field(init=False)
    weights: Any = field(init=False)
    prices: Any = field(init=False)
    patterns: Any = field(init=False)
    coarse_needs: Any = field(init=False)
    """Needs and rooms in the steps that all needs share, by resource."""
    coarse_rooms: Any = field(init=False)

    def __post_init__(self) -> None:
        types = len(self.shapes.offers)
        self.scale = money_scale(self.shapes)
        self.prices = np.array(self.scale.prices, np.int64)
        self.weights = np.zeros((types, self.shapes.needs.shape[1]))
        self.patterns = np.zeros((types, self.shapes.count), np.int64)
        step = np.maximum(np.gcd.reduce(self.shapes.needs, axis=0), 1)
        self.coarse_needs, self.coarse_rooms = self.shapes.needs // step, self.shapes.rooms // step

    def price(self, worth: Any, demand: Any, node_limit: int, tolerance: float) -> Any:
        """(types, 2): worth and upper bound of the best pattern of each type; patterns in `self.patterns`."""
        shapes = self.shapes
        found = np.zeros((len(shapes.offers), 2), np.int64)
        upper = np.minimum(demand, shapes.most)
        price_types(
            worth, shapes.needs, upper, shapes.ports, shapes.fits, shapes.rooms, self.prices, self.weights,
            node_limit, tolerance, self.patterns, found,
        )  # fmt: skip
        return found

    def settle(self, found: Any, worth: Any, demand: Any, *, thorough: bool = True) -> None:
        """Solve exactly what `price` left open, the types that could pay the most first, where that takes
        few steps; changes `found` and `self.patterns`."""
        shapes = self.shapes
        upper = np.minimum(demand, shapes.most)
        excess = np.where(found[:, 1] > found[:, 0], found[:, 1] / self.prices - 1.0, 0.0)
        most_steps, sharpened = _MOST_STEPS, 0
        hard = _HARD_TYPES if thorough and shapes.count <= _MOST_SHAPES_OF_A_PROGRAM else 0
        for t in np.argsort(-excess, kind="stable").tolist():
            if excess[t] <= 0.0:
                return
            if sharpened < _SHARPENED and excess[t] > _WORTH_A_PROGRAM:
                sharpened += 1
                self._sharpen(t, found, worth, upper)
                excess[t] = found[t, 1] / self.prices[t] - 1.0
                if found[t, 1] <= found[t, 0]:
                    continue
            states, steps = work_of(self.coarse_needs, upper, self.coarse_rooms[t])
            pattern = np.zeros(shapes.count, np.int64)
            if states <= _MOST_STATES and steps <= most_steps:
                most_steps -= steps
                value, bound = exact_pattern(
                    worth, self.coarse_needs, upper, shapes.ports, shapes.fits[:, t], self.coarse_rooms[t], pattern
                )
            elif hard > 0 and excess[t] > _WORTH_A_PROGRAM and not shapes.ports.any():
                hard -= 1
                value, bound, pattern = hard_pattern(
                    worth, shapes.needs, upper, shapes.fits[:, t], shapes.rooms[t]
                )
            else:
                continue
            if 0 <= bound < found[t, 1]:
                found[t, 1] = max(bound, found[t, 0])
            if value > found[t, 0]:
                found[t, 0], self.patterns[t] = value, pattern

    def _sharpen(self, t: int, found: Any, worth: Any, upper: Any) -> None:
        """Search type t once more from the weights of its linear relaxation, which the subgradient steps can
        miss by per cents; changes `found` and `self.patterns`."""
        shapes = self.shapes
        weights = relaxed_weights(worth, shapes.needs, upper, shapes.fits[:, t], shapes.rooms[t])
        if weights is None:
            return
        pattern = np.zeros(shapes.count, np.int64)
        value, bound, _ = best_pattern(
            worth, shapes.needs, upper, shapes.ports, shapes.fits[:, t], shapes.rooms[t], self.prices[t], weights,
            30_000, 1e-5, pattern,
        )  # fmt: skip
        if bound < found[t, 1]:
            found[t, 1] = max(bound, found[t, 0])
            self.weights[t] = weights
        if value > found[t, 0]:
            found[t, 0], self.patterns[t] = value, pattern

    def sequence(self, t: int, worth: Any, left: Any, rows: int, node_limit: int) -> Any:
        """Up to `rows` patterns of type t that together stay within `left`."""
        shapes = self.shapes
        out = np.zeros((rows, shapes.count), np.int64)
        count = price_sequence(
            worth, shapes.needs, left, shapes.most, shapes.ports, shapes.fits[:, t], shapes.rooms[t],
            self.prices[t], self.weights[t], node_limit, out,
        )  # fmt: skip
        return out[:count]

    def one(self, t: int, worth: Any, upper: Any, at_least: int, nodes: int) -> tuple[int, Any]:
        """The best pattern of type t within `upper` tasks a shape; worth 0 where none reaches `at_least`."""
        shapes = self.shapes
        value, _, _ = best_pattern(
            worth, shapes.needs, upper, shapes.ports, shapes.fits[:, t], shapes.rooms[t], at_least,
            self.weights[t], nodes, 1e-4, self.patterns[t],
        )  # fmt: skip
        return value, self.patterns[t]


def as_column(t: int, pattern: Any) -> Column:
    used = np.flatnonzero(pattern)
    return t, tuple(zip(used.tolist(), pattern[used].tolist(), strict=True))


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


def generate(
    shapes: Shapes,
    demand: Any,
    deadline: Deadline,
    *,
    max_rounds: int = 300,
    enough: float = 2e-4,
    on_round: Callable[[], None] | None = None,
    thorough: bool = True,
) -> Generated:
    """Solve the configuration linear program to within `enough` of its bound, or as far as time allows.
    `thorough` also spends integer programs on types whose worth stays open.

    With many shapes the first patterns come from parts of the problem that are solved by themselves: the
    master's rows, not its columns, are what makes it slow.
    """
    state = _first_state(shapes, demand)
    parts = -(-shapes.count // _MOST_ROWS)
    if parts > 1:
        _generate_parts(state, demand, parts, deadline.share(0.5), on_round)
        max_rounds = min(max_rounds, _ROUNDS_AFTER_PARTS)
    search = _Smoothing(state.pricing.scale.per_usd, state.duals)
    for _ in range(max_rounds):
        if deadline.passed() or not state.master.solve(deadline.left()):
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
    pricing = Pricing(shapes)
    prices = resource_prices(demand, shapes)
    fluid = shapes.needs @ prices
    state = Generated(
        Master(shapes, demand),
        pricing,
        volume_bound(prices, demand, shapes, pricing.scale),
        pricing.scale.whole(fluid),
        volume_worth(prices, shapes, pricing.scale),
        *greedy_fleet(shapes, demand, fluid, shapes.rooms @ prices),
        0,
    )
    for column in state.first_fleet:
        state.master.add(column)
    return state


def _generate_parts(
    state: Generated, demand: Any, parts: int, deadline: Deadline, on_round: Callable[[], None] | None
) -> None:
    """Solve `parts` parts of the shapes, each a fair sample of all sizes, and take over their patterns."""
    shapes = state.pricing.shapes
    by_size = np.argsort((shapes.needs / np.maximum(shapes.rooms.max(axis=0), 1)).sum(axis=1), kind="stable")
    for number in range(parts):
        if deadline.passed():
            return
        chosen = np.sort(by_size[number::parts])
        part = generate(
            shapes.part(chosen), demand[chosen], deadline.share(1.0 / (parts - number)),
            max_rounds=150, enough=1e-3, on_round=on_round, thorough=False,
        )  # fmt: skip
        for t, pattern in part.useful_columns():
            state.master.add((t, tuple((int(chosen[i]), n) for i, n in pattern)))


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
    bound = dual_bound(worth, found[:, 1].tolist(), demand, shapes, pricing.scale)
    improved = bound > state.bound
    if improved:
        state.bound, state.duals, state.worth_at_most = bound, worth, found[:, 1].copy()
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
