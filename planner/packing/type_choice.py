"""At most K instance types: which ones, and a bound that no other choice can beat.

Every set of dual prices bounds every choice of types: scaled so that none of the chosen types is worth more
than it costs. A choice's bound is the best over all dual prices seen, the bound of the rule is the least over
all choices. Dual prices are plain resource prices in many directions, and those of column generation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations
from typing import Any, Final

import numpy as np

from planner.packing.clock import Deadline
from planner.packing.generate import Generated, generate
from planner.packing.shapes import Shapes
from planner.packing.variants import UNLIMITED
from planner.packing.whole_counts import MOST_TYPES, MOST_WAYS, least_whole_costs

_MOST_CHOICES: Final = 60_000
_CLOSED: Final = 60
"""Choices whose bound is worked out before the bound of the rule is taken as it is."""
_MOST_CUTS: Final = 40
_SPOT_DIRECTIONS: Final = 24
_NODES: Final = 3_000
_MOST_WITH_WAYS: Final = 2_000
_NODES_WITH_WAYS: Final = 400
"""Where types can be had in several ways: choices and nodes, which take longer then."""
_SAFETY: Final = 1e-9
"""Taken off each bound relative to its size: far more than the rounding of a few float products."""


@dataclass
class TypeChoices:
    """Choices of at most K types with a lower bound (USD per hour) each."""

    shapes: Shapes
    places: Any
    """(n) what is packed."""
    demand: Any
    """(n) what every fleet holds at least, which may be parts of tasks."""
    sets: Any
    """(choices, k) numbers of types; a choice of fewer repeats one."""
    bounds: Any
    outside: float
    """A bound of every choice that is not listed, infinity where all are."""
    steps: Any
    """(choices) every fleet of the choice costs a whole multiple of this."""
    ways: tuple[tuple[int, ...], ...] = ()
    """The ways to have each type (on-demand, Spot, running), as indices of the shapes' offers."""
    cuts: list[tuple[Any, Any]] = field(default_factory=list)
    """Dual prices (n) seen, and the most worth an instance of each type (t) can hold by them."""

    def only(self, choice: int) -> Shapes:
        """The shapes with the types of one choice."""
        return self.of_types(np.unique(self.sets[choice]))

    def of_types(self, types: Any) -> Shapes:
        """The shapes with some of the types, by number."""
        return self.shapes.only([way for t in types for way in self.ways[t]])

    def learn(self, duals: Any, worth: Any) -> None:
        """Take dual prices (n) USD, with the most an instance of each type can hold (t) USD, into account."""
        self.cuts.append((duals, worth))
        self.bounds = np.maximum(self.bounds, _bounds(self, duals * self.demand, worth))

    def close(self, choice: int, bound: float) -> None:
        self.bounds[choice] = max(self.bounds[choice], bound)

    def close_by(self, choice: int, state: Generated) -> None:
        """Take what the dual prices of a choice's own linear program prove of `demand`."""
        scale, shapes = state.pricing.scale, state.pricing.shapes
        kinds = list(
            zip(scale.prices, state.worth_at_most.tolist(), (v.limit for v in shapes.offers), strict=True)
        )
        factor = min((p / w for p, w, most in kinds if w > p and most >= UNLIMITED), default=1.0)
        saved = sum(most * max(0.0, factor * w - p) for p, w, most in kinds if most < UNLIMITED)
        bound = factor * float(state.duals @ self.demand) - saved
        self.close(choice, bound / float(scale.per_usd) * (1.0 - _SAFETY))

    def whole(self) -> Any:
        """(choices) the bounds, lifted to what whole instances can cost."""
        # A choice that lacks a resource altogether has an endless bound, and may overflow here.
        with np.errstate(over="ignore"):
            return np.ceil(self.bounds / self.steps * (1.0 - _SAFETY)) * self.steps * (1.0 - _SAFETY)

    def whole_costs(self, demand: Any, limit: float, nodes: int = _NODES) -> Any:
        """(choices) what whole instances that hold `demand` cost at least, as far as that is below `limit`; 0
        where that is not worked out."""
        costs = np.zeros(len(self.bounds))
        size, most = self.sets.shape[1], max(len(ways) for ways in self.ways)
        if size > MOST_TYPES or size * most > MOST_WAYS:
            return costs
        rows = np.arange(len(costs))
        if most > 1:
            rows, nodes = np.argsort(self.bounds, kind="stable")[:_MOST_WITH_WAYS], _NODES_WITH_WAYS
        columns = np.array([[*ways, *[ways[0]] * (most - len(ways))] for ways in self.ways])
        worth, needed = self._covers(demand)
        found = np.zeros(len(rows))
        chosen = np.ascontiguousarray(columns[self.sets[rows]].reshape(len(rows), -1))
        least_whole_costs(chosen, self.shapes.prices, worth, needed, limit, nodes, found)
        costs[rows] = found * (1.0 - 2.0 * _SAFETY)
        return costs

    def _covers(self, demand: Any) -> tuple[Any, Any]:
        """(cuts, t) worth and (cuts) worth needed, by some of the dual prices seen; with Spot, also by what they
        say of the tasks that must not run there."""
        every = range(len(self.cuts))
        chosen = [self.cuts[k] for k in sorted({*every[::4], *every[-_MOST_CUTS:]})]
        is_spot = np.array([v.is_spot for v in self.shapes.offers], np.bool_)
        if is_spot.any():
            firm = ~_may_be_on_spot(self.shapes)
            chosen += [(duals * firm, np.where(is_spot, 0.0, most)) for duals, most in chosen[-_MOST_CUTS:]]
        worth = np.array([most for _, most in chosen], np.float64)
        return worth, np.array([float(duals @ demand) for duals, _ in chosen])

    def raise_to_whole(self, parts: list[tuple[float, Any]], limit: float) -> None:
        """Let the bounds know that instances are whole, as far as that is below `limit`: a fleet costs at least
        factor x what whole instances for the demand of each of `parts` cost."""
        for factor, demand in parts:
            whole = self.whole_costs(demand, limit / factor, 20 * _NODES)
            self.bounds = np.maximum(self.bounds, factor * whole * (1.0 - _SAFETY))

    def below(self, cost: float) -> set[int] | None:
        """Types (index in the catalogue) of the choices that may cost less; None where not all choices are listed
        that may."""
        if self.outside < cost:
            return None
        chosen = np.unique(self.sets[np.maximum(self.whole(), self.bounds) < cost])
        return {self.shapes.offers[self.ways[t][0]].base for t in chosen.tolist()}

    @property
    def least(self) -> float:
        return min(float(np.maximum(self.whole(), self.bounds).min()), self.outside)


def _bounds(choices: TypeChoices, total: Any, worth: Any) -> Any:
    """(choices) bounds by one set of dual prices, which make the tasks of each shape worth `total` (n) USD.

    Each choice scales them down by its own overrated types. Overrated Spot types scale only the tasks that may
    run on Spot, because there is nothing else on them.
    """
    shapes = choices.shapes
    is_spot = np.array([v.is_spot for v in shapes.offers], np.bool_)
    with np.errstate(divide="ignore"):
        each = np.where(worth > 0, shapes.prices / np.maximum(worth, 1e-300), np.inf)
    firm = _least_of_choice(choices, np.where(is_spot, np.inf, each))
    loose = np.minimum(firm, _least_of_choice(choices, np.where(is_spot, each, np.inf)))
    on_spot = _may_be_on_spot(shapes)
    return (firm * total[~on_spot].sum() + loose * total[on_spot].sum()) * (1.0 - _SAFETY)


def _may_be_on_spot(shapes: Shapes) -> Any:
    """(n) True for shapes whose tasks may run on Spot."""
    return shapes.fits[:, [v.is_spot for v in shapes.offers]].any(axis=1)


def _least_of_choice(choices: TypeChoices, values: Any) -> Any:
    """(choices) the least of `values` (t) over all ways to have the types of each choice, finite."""
    by_type = np.array([values[list(ways)].min() for ways in choices.ways])
    return np.minimum(by_type[choices.sets].min(axis=1), 1e150)


def _learn_spot(choices: TypeChoices, directions: Any) -> None:
    """Bounds from resource prices that differ on demand and on Spot, where each is as high as the types of the
    choice allow. Room on demand is worth what on-demand tasks pay, so no resource may be dearer on Spot."""
    shapes = choices.shapes
    is_spot = np.array([v.is_spot for v in shapes.offers], np.bool_)
    on_spot = _may_be_on_spot(shapes)
    if not on_spot.any():
        return
    totals = [(choices.demand[part, None] * shapes.needs[part]).sum(axis=0) for part in (~on_spot, on_spot)]
    scales = []
    for kind in (~is_spot, is_spot):
        rooms = shapes.rooms @ directions.T
        with np.errstate(divide="ignore"):
            each = np.where(
                kind[:, None] & (rooms > 0), shapes.prices[:, None] / np.maximum(rooms, 1e-300), np.inf
            )
        scales.append([_least_of_choice(choices, column) for column in each.T])
    for firm, firm_scale in zip(directions, scales[0], strict=True):
        for loose, loose_scale in zip(directions, scales[1], strict=True):
            with np.errstate(divide="ignore", invalid="ignore"):
                most = np.where(loose > 0, firm / np.where(loose > 0, loose, 1.0), np.inf).min()
            scale = np.minimum(loose_scale, firm_scale * most)
            bound = firm_scale * float(totals[0] @ firm) + scale * float(totals[1] @ loose)
            choices.bounds = np.maximum(choices.bounds, bound * (1.0 - _SAFETY))


def list_choices(shapes: Shapes, places: Any, demand: Any, most: int) -> TypeChoices:
    """All choices of `most` types that can take every task, or the likeliest where there are too many."""
    ways = _ways(shapes)
    types = len(ways)
    size = min(most, types)
    kept = np.arange(types)
    directions = _directions(shapes)
    if math.comb(types, size) > _MOST_CHOICES:
        kept = _likeliest(shapes, demand, size)
    sets = np.array(list(combinations(kept.tolist(), size)), np.int64)
    fits = np.stack([shapes.fits[:, list(of_type)].any(axis=1) for of_type in ways], axis=1)
    covers = np.array([fits[:, chosen].any(axis=1).all() for chosen in sets], np.bool_)
    sets = sets[covers]
    choices = TypeChoices(
        shapes,
        places,
        demand,
        sets,
        np.zeros(len(sets)),
        math.inf if kept.shape[0] == types else 0.0,
        _price_steps(shapes, sets, ways),
        ways,
    )
    for direction in directions:
        choices.learn(shapes.needs @ direction, shapes.rooms @ direction)
    _learn_spot(choices, directions[:: max(1, len(directions) // _SPOT_DIRECTIONS)])
    return choices


def _ways(shapes: Shapes) -> tuple[tuple[int, ...], ...]:
    found: dict[int, list[int]] = {}
    for t, variant in enumerate(shapes.offers):
        found.setdefault(variant.base, []).append(t)
    return tuple(tuple(ways) for ways in found.values())


def _price_steps(shapes: Shapes, sets: Any, ways: tuple[tuple[int, ...], ...]) -> Any:
    """(choices) the greatest common divisor of the prices of each choice, in USD per hour."""
    common = math.lcm(*(price.denominator for price in shapes.exact_prices))
    whole = [int(price * common) for price in shapes.exact_prices]
    of_type = [math.gcd(*(whole[way] for way in type_ways)) for type_ways in ways]
    divisors = [math.gcd(*(of_type[t] for t in chosen)) for chosen in sets.tolist()]
    return np.array([float(Fraction(divisor, common)) for divisor in divisors])


def _directions(shapes: Shapes) -> Any:
    """(directions, r) resource prices: every mixture of two resources, and even mixtures of all."""
    unit = 1.0 / np.maximum(shapes.rooms.max(axis=0), 1)
    resources = unit.shape[0]
    rows = [np.ones(resources)]
    for a, b in combinations(range(resources), 2):
        for share in np.linspace(0.0, 1.0, 65):
            row = np.zeros(resources)
            row[a], row[b] = share, 1.0 - share
            rows.append(row)
    rows.extend(np.eye(resources))
    return np.array(rows) * unit


def _likeliest(shapes: Shapes, demand: Any, size: int) -> Any:
    """The types with the least price for their room in some direction, as many as can be combined."""
    total = (demand[:, None] * shapes.needs).sum(axis=0).astype(np.float64)
    each = shapes.prices / np.maximum(shapes.rooms @ (1.0 / np.maximum(total, 1.0)), 1e-300)
    price = np.array([each[list(ways)].min() for ways in _ways(shapes)])
    count = len(price)
    while math.comb(count, size) > _MOST_CHOICES:
        count -= 1
    return np.sort(np.argsort(price, kind="stable")[:count])


def close_choices(choices: TypeChoices, unlimited: Generated, target: float, deadline: Deadline) -> None:
    """Solve the linear program of the choice with the least bound, and let its dual prices bound all others,
    until the least bound is solved already, reaches `target`, or time is up."""
    solved: set[int] = set()
    pricing = unlimited.pricing
    per_usd = float(pricing.scale.per_usd)
    while len(solved) < _CLOSED and not deadline.passed():
        c = int(np.argmin(choices.whole()))
        if c in solved or choices.whole()[c] >= min(target, choices.outside):
            return
        solved.add(c)
        state = generate(choices.only(c), choices.places, deadline, max_rounds=60, enough=5e-4, thorough=False)
        choices.close_by(c, state)
        worth = pricing.scale.whole(state.worth())
        found = pricing.price(worth, choices.places, 3_000, 1e-5)
        choices.learn(worth / per_usd, found[:, 1] / per_usd)


def rule_bound(choices: TypeChoices, unlimited: Fraction) -> Fraction:
    """USD per hour; holds for every fleet of at most K types. `unlimited` is a bound without that rule."""
    return max(Fraction(choices.least), unlimited)
