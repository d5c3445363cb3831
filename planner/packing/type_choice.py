"""At most K instance types: which ones, and a bound that no other choice can beat.

Every set of dual prices bounds every choice of types: scaled so that none of the chosen types is worth more
than it costs. A choice's bound is the best over all dual prices seen, the bound of the rule is the least over
all choices. Dual prices are plain resource prices in many directions, and those of column generation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Any, Final

import numpy as np

from planner.packing.clock import Deadline
from planner.packing.generate import Generated, generate
from planner.packing.greedy import fleet_cost, greedy_fleet
from planner.packing.integer import pack_zone
from planner.packing.repack import improve
from planner.packing.shapes import Shapes

_MOST_CHOICES: Final = 60_000
_QUICK_TRIALS: Final = 200
_FULL_TRIALS: Final = 12
_SAFETY: Final = 1e-9
"""Taken off each bound relative to its size: far more than the rounding of a few float products."""


@dataclass
class TypeChoices:
    """Choices of at most K types with a lower bound (USD per hour) each."""

    shapes: Shapes
    demand: Any
    sets: Any
    """(choices, k) indices of types; a choice of fewer repeats one."""
    bounds: Any
    outside: float
    """A bound of every choice that is not listed, infinity where all are."""
    steps: Any
    """(choices) every fleet of the choice costs a whole multiple of this."""

    def learn(self, duals: Any, worth: Any) -> None:
        """Take dual prices (n) USD, with the most an instance of each type can hold (t) USD, into account."""
        self.bounds = np.maximum(self.bounds, _bounds(self, float(duals @ self.demand), worth))

    def close(self, choice: int, bound: float) -> None:
        self.bounds[choice] = max(self.bounds[choice], bound)

    def whole(self) -> Any:
        """(choices) the bounds, lifted to what whole instances can cost."""
        return np.ceil(self.bounds / self.steps * (1.0 - _SAFETY)) * self.steps * (1.0 - _SAFETY)

    @property
    def least(self) -> float:
        return min(float(np.maximum(self.whole(), self.bounds).min()), self.outside)


def _bounds(choices: TypeChoices, total: float, worth: Any) -> Any:
    with np.errstate(divide="ignore"):
        factor = np.where(worth > 0, choices.shapes.prices / np.maximum(worth, 1e-300), np.inf)
    return total * np.minimum(factor[choices.sets].min(axis=1), 1e300) * (1.0 - _SAFETY)


def list_choices(shapes: Shapes, demand: Any, most: int) -> TypeChoices:
    """All choices of `most` types that can take every task, or the likeliest where there are too many."""
    types = len(shapes.offers)
    size = min(most, types)
    kept = np.arange(types)
    directions = _directions(shapes)
    if math.comb(types, size) > _MOST_CHOICES:
        kept = _likeliest(shapes, demand, size)
    sets = np.array(list(combinations(kept.tolist(), size)), np.int64)
    covers = np.array([shapes.fits[:, chosen].any(axis=1).all() for chosen in sets], np.bool_)
    sets = sets[covers]
    choices = TypeChoices(
        shapes,
        demand,
        sets,
        np.zeros(len(sets)),
        math.inf if kept.shape[0] == types else 0.0,
        _price_steps(shapes, sets),
    )
    total = (demand[:, None] * shapes.needs).sum(axis=0).astype(np.float64)
    for direction in directions:
        choices.bounds = np.maximum(
            choices.bounds, _bounds(choices, float(total @ direction), shapes.rooms @ direction)
        )
    return choices


def _price_steps(shapes: Shapes, sets: Any) -> Any:
    """(choices) the greatest common divisor of the prices of each choice, in USD per hour."""
    common = math.lcm(*(price.denominator for price in shapes.exact_prices))
    whole = [int(price * common) for price in shapes.exact_prices]
    divisors = [math.gcd(*(whole[t] for t in chosen)) for chosen in sets.tolist()]
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
    price = shapes.prices / np.maximum(shapes.rooms @ (1.0 / np.maximum(total, 1.0)), 1e-300)
    count = len(shapes.offers)
    while math.comb(count, size) > _MOST_CHOICES:
        count -= 1
    return np.sort(np.argsort(price, kind="stable")[:count])


@dataclass(frozen=True)
class Chosen:
    shapes: Shapes
    generated: Generated
    bound: Fraction
    """Holds for every fleet of at most K types."""


def choose_types(
    shapes: Shapes, demand: Any, zone_demand: Any, unlimited: Generated, most: int, deadline: Deadline, seed: int
) -> Chosen | None:
    """The choice whose quick fleet is the cheapest, solved properly; None where no choice takes all tasks."""
    choices = list_choices(shapes, demand, most)
    if choices.sets.shape[0] == 0:
        return None
    per_usd = float(unlimited.pricing.scale.per_usd)
    choices.learn(unlimited.duals / per_usd, unlimited.worth_at_most / per_usd)
    choices.outside = max(choices.outside, float(unlimited.bound) * (1.0 - _SAFETY))
    ranked = np.argsort(choices.bounds, kind="stable")[:_QUICK_TRIALS].tolist()
    quick = sorted((_quick_cost(shapes, zone_demand, unlimited, choices.sets[c], seed), c) for c in ranked)
    best: tuple[float, Generated, Shapes] | None = None
    for number, (_, c) in enumerate(quick[:_FULL_TRIALS]):
        if best is not None and deadline.passed():
            break
        chosen = shapes.only(np.unique(choices.sets[c]))
        slot = deadline.share(1.0 / (2 + _FULL_TRIALS - number))
        state = generate(chosen, demand, slot.share(0.6), max_rounds=200)
        choices.close(c, float(state.bound) * (1.0 - _SAFETY))
        packed = pack_zone(state, zone_demand, chosen.limits, 0.0, slot, seed, attempts=1)
        cost = fleet_cost(packed.fleet, chosen) if packed.missing == 0 else math.inf
        if best is None or cost < best[0]:
            best = (cost, state, chosen)
    assert best is not None  # there is at least one choice
    share_of_all = float(demand.sum()) / max(1.0, float(zone_demand.sum()))
    _raise_bound(choices, best[0] * share_of_all, deadline)
    return Chosen(best[2], best[1], max(Fraction(choices.least), unlimited.bound))


def _quick_cost(shapes: Shapes, demand: Any, unlimited: Generated, chosen: Any, seed: int) -> float:
    some = shapes.only(np.unique(chosen))
    worth = unlimited.worth()
    fleet, left = greedy_fleet(some, demand, worth)
    if left.any():
        return math.inf
    fleet = improve(
        fleet,
        some,
        worth,
        np.arange(len(some.offers)),
        Deadline(None, 0.0),
        seed=seed,
        good_enough=0.0,
        most_rounds=400,
    )
    return float(sum(some.prices[t] * n for (t, _), n in fleet.items()))


def _raise_bound(choices: TypeChoices, cost: float, deadline: Deadline) -> None:
    """Solve the choices with the least bound until the rest are within reach of `cost`, or time is up."""
    for _ in range(30):
        whole = choices.whole()
        c = int(np.argmin(whole))
        if deadline.passed() or whole[c] >= min(cost * 0.999, choices.outside):
            return
        some = choices.shapes.only(np.unique(choices.sets[c]))
        before = float(whole[c])
        state = generate(some, choices.demand, deadline, max_rounds=60, enough=1e-3)
        choices.close(c, float(state.bound) * (1.0 - _SAFETY))
        if choices.whole()[c] <= before * (1.0 + 1e-7):
            return
