"""At most K instance types: which ones, and a bound that no other choice can beat.

Every set of dual prices bounds every choice of types: scaled so that none of the chosen types is worth more
than it costs. A choice's bound is the best over all dual prices seen, the bound of the rule is the least over
all choices. Dual prices are plain resource prices in many directions, and those of column generation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, zip_longest
from typing import Any, Final

import numpy as np

from planner.packing.clock import Deadline
from planner.packing.generate import Generated, generate
from planner.packing.greedy import Fleet, fleet_cost, greedy_fleet
from planner.packing.integer import pack_zone
from planner.packing.repack import improve
from planner.packing.shapes import Shapes

_MOST_CHOICES: Final = 60_000
_QUICK_TRIALS: Final = 120
_TRIALS: Final = 12
_CLOSED: Final = 15
"""Choices whose bound is worked out before the bound of the rule is taken as it is."""
_DESCENTS: Final = 3
_MOST_TO_DESCEND: Final = 60_000
_MANY_INSTANCES: Final = 200
_SAFETY: Final = 1e-9
"""Taken off each bound relative to its size: far more than the rounding of a few float products."""


@dataclass
class TypeChoices:
    """Choices of at most K types with a lower bound (USD per hour) each."""

    shapes: Shapes
    demand: Any
    sets: Any
    """(choices, k) numbers of types; a choice of fewer repeats one."""
    bounds: Any
    outside: float
    """A bound of every choice that is not listed, infinity where all are."""
    steps: Any
    """(choices) every fleet of the choice costs a whole multiple of this."""
    ways: tuple[tuple[int, ...], ...] = ()
    """The ways to have each type (on-demand, Spot, running), as indices of the shapes' offers."""

    def only(self, choice: int) -> Shapes:
        """The shapes with the types of one choice."""
        return self.shapes.only([way for t in np.unique(self.sets[choice]) for way in self.ways[t]])

    def learn(self, duals: Any, worth: Any) -> None:
        """Take dual prices (n) USD, with the most an instance of each type can hold (t) USD, into account."""
        self.bounds = np.maximum(self.bounds, _bounds(self, float(duals @ self.demand), worth))

    def close(self, choice: int, bound: float) -> None:
        self.bounds[choice] = max(self.bounds[choice], bound)

    def whole(self) -> Any:
        """(choices) the bounds, lifted to what whole instances can cost."""
        # A choice that lacks a resource altogether has an endless bound, and may overflow here.
        with np.errstate(over="ignore"):
            return np.ceil(self.bounds / self.steps * (1.0 - _SAFETY)) * self.steps * (1.0 - _SAFETY)

    @property
    def least(self) -> float:
        return min(float(np.maximum(self.whole(), self.bounds).min()), self.outside)


def _bounds(choices: TypeChoices, total: float, worth: Any) -> Any:
    with np.errstate(divide="ignore"):
        each = np.where(worth > 0, choices.shapes.prices / np.maximum(worth, 1e-300), np.inf)
    factor = np.array([each[list(ways)].min() for ways in choices.ways])
    return total * np.minimum(factor[choices.sets].min(axis=1), 1e300) * (1.0 - _SAFETY)


def list_choices(shapes: Shapes, demand: Any, most: int) -> TypeChoices:
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
        demand,
        sets,
        np.zeros(len(sets)),
        math.inf if kept.shape[0] == types else 0.0,
        _price_steps(shapes, sets, ways),
        ways,
    )
    total = (demand[:, None] * shapes.needs).sum(axis=0).astype(np.float64)
    for direction in directions:
        choices.bounds = np.maximum(
            choices.bounds, _bounds(choices, float(total @ direction), shapes.rooms @ direction)
        )
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


@dataclass(frozen=True)
class Chosen:
    shapes: Shapes
    generated: Generated
    bound: Fraction
    """Holds for every fleet of at most K types."""
    fleets: list[Fleet] | None
    """A fleet for every zone, where they were made."""


def choose_types(
    shapes: Shapes, demand: Any, zones: list[Any], unlimited: Generated, most: int, deadline: Deadline, seed: int
) -> Chosen | None:
    """The choice whose quick fleets are the cheapest, solved properly; None where no choice takes all tasks.

    `demand` is places a shape in all, `zones` the places a shape in each zone.
    """
    choices = list_choices(shapes, demand, most)
    if choices.sets.shape[0] == 0:
        return None
    per_usd = float(unlimited.pricing.scale.per_usd)
    choices.learn(unlimited.duals / per_usd, unlimited.worth_at_most / per_usd)
    choices.outside = max(choices.outside, float(unlimited.bound) * (1.0 - _SAFETY))
    candidates = _candidates(choices, zones, unlimited, seed, deadline.share(0.4))
    trials: list[_Trial] = []
    for number, c in enumerate(candidates[:_TRIALS]):
        if trials and deadline.passed():
            break
        trials.append(_trial(choices, c, zones, deadline.share(0.7 / (_TRIALS - number)), seed))
    best = min(trials, key=lambda trial: (trial.estimate, len(trial.shapes.offers)))
    _raise_bound(choices, best.estimate, deadline)
    bound = max(Fraction(choices.least), unlimited.bound)
    return Chosen(best.shapes, best.state, bound, best.fleets)


@dataclass(frozen=True)
class _Trial:
    estimate: float
    """USD per hour of all zones."""
    shapes: Shapes
    state: Generated
    fleets: list[Fleet] | None


class _QuickCosts:
    """The cost of a quick fleet for each choice that was asked for."""

    def __init__(self, choices: TypeChoices, zones: list[Any], unlimited: Generated, seed: int) -> None:
        self._choices, self._zones, self._unlimited, self._seed = choices, zones, unlimited, seed
        self.known: dict[int, float] = {}

    def of(self, c: int) -> float:
        if c not in self.known:
            self.known[c] = sum(
                _quick_cost(self._choices, zone, self._unlimited, c, self._seed) for zone in self._zones
            )
        return self.known[c]


def _descend(choices: TypeChoices, quick: _QuickCosts, start: int, deadline: Deadline) -> None:
    """Exchange one type at a time for the one with which the quick fleet is the cheapest, while that helps.

    With few instances a zone, which sizes go together matters more than any bound can tell.
    """
    number = {tuple(sorted(chosen)): c for c, chosen in enumerate(choices.sets.tolist())}
    at, position, since = start, 0, 0
    while since < choices.sets.shape[1] and not deadline.passed():
        chosen = choices.sets[at].tolist()
        nearby = {at}
        for t in range(len(choices.ways)):
            other = tuple(sorted([*chosen[:position], t, *chosen[position + 1 :]]))
            if other in number and not deadline.passed():
                quick.of(number[other])
                nearby.add(number[other])
        best = min((c for c in nearby if c in quick.known), key=lambda c: (quick.of(c), c))
        since = 0 if quick.of(best) < quick.of(at) * (1.0 - 1e-9) else since + 1
        at = best if since == 0 else at
        position = (position + 1) % choices.sets.shape[1]


def _candidates(
    choices: TypeChoices, zones: list[Any], unlimited: Generated, seed: int, deadline: Deadline
) -> list[int]:
    """Choices worth a trial: those of the types that the unlimited answer spends most on, and those whose
    quick fleet is the cheapest, in turns."""
    costs = _QuickCosts(choices, zones, unlimited, seed)
    for number, c in enumerate(np.argsort(choices.bounds, kind="stable")[:_QUICK_TRIALS].tolist()):
        if number and deadline.passed():
            break
        costs.of(c)
    if choices.sets.shape[0] <= _MOST_TO_DESCEND:
        for start in sorted(costs.known, key=lambda c: (costs.of(c), c))[:_DESCENTS]:
            _descend(choices, costs, start, deadline)
    quick = sorted((cost, c) for c, cost in costs.known.items())
    type_of = {way: t for t, ways in enumerate(choices.ways) for way in ways}
    spent = np.zeros(len(choices.ways))
    for (way, _), count in zip(unlimited.master.columns, unlimited.master.counts, strict=False):
        spent[type_of[way]] += count * choices.shapes.prices[way]
    leading = np.sort(np.argsort(-spent, kind="stable")[: max(6, choices.sets.shape[1])])
    by_spending = np.flatnonzero(np.isin(choices.sets, leading).all(axis=1))
    order = by_spending[np.argsort(-spent[choices.sets[by_spending]].sum(axis=1), kind="stable")].tolist()
    turns = [c for pair in zip_longest((c for _, c in quick), order) for c in pair if c is not None]
    return list(dict.fromkeys(turns))


def _trial(choices: TypeChoices, c: int, zones: list[Any], deadline: Deadline, seed: int) -> _Trial:
    """Solve one choice: whole fleets where instances are few and roundings matter, else the linear program."""
    chosen = choices.only(c)
    state = generate(chosen, choices.demand, deadline.share(0.5), max_rounds=60, thorough=False)
    choices.close(c, float(state.bound) * (1.0 - _SAFETY))
    if sum(state.first_fleet.values()) > _MANY_INSTANCES * len(zones):
        return _Trial(state.master.cost, chosen, state, None)
    packed = [
        pack_zone(state, zone, chosen.limits, 0.0, deadline.share(1.0 / (len(zones) - z)), seed, attempts=1)
        for z, zone in enumerate(zones)
    ]
    missing = any(zone.missing for zone in packed)
    cost = math.inf if missing else sum(fleet_cost(zone.fleet, chosen) for zone in packed)
    return _Trial(cost, chosen, state, None if missing else [zone.fleet for zone in packed])


def _quick_cost(choices: TypeChoices, demand: Any, unlimited: Generated, c: int, seed: int) -> float:
    some = choices.only(c)
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
    for _ in range(_CLOSED):
        whole = choices.whole()
        c = int(np.argmin(whole))
        if deadline.passed() or whole[c] >= min(cost * 0.999, choices.outside):
            return
        some = choices.only(c)
        before = float(whole[c])
        state = generate(some, choices.demand, deadline, max_rounds=60, enough=1e-3, thorough=False)
        choices.close(c, float(state.bound) * (1.0 - _SAFETY))
        if choices.whole()[c] <= before * (1.0 + 1e-7):
            return
