"""Which at most K types: from what whole instances must cost, over quick fleets, to whole ones in every zone."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np

from planner.packing.clock import Deadline
from planner.packing.generate import Generated, generate
from planner.packing.greedy import Fleet, fleet_cost, greedy_fleet
from planner.packing.integer import pack_zone
from planner.packing.repack import improve
from planner.packing.shapes import Shapes
from planner.packing.type_choice import TypeChoices, close_choices, list_choices, rule_bound

_QUICK: Final = 60
"""Choices with quick fleets, those with the least estimate."""
_QUICK_ROUNDS: Final = 400
_SEARCHED: Final = 3
"""Types up to which whole choices are compared; more are added to the best choice of so many."""
_MOST_ADDED: Final = 2
_TRIALS: Final = 6
"""Of these, choices with fleets by the duals of their own linear program."""
_ALIKE: Final = 2
_NEARLY_EQUAL: Final = 2e-3
_MANY_INSTANCES: Final = 200
"""In one zone; above this roundings matter less than the linear program."""


@dataclass(frozen=True)
class Chosen:
    shapes: Shapes
    generated: Generated
    bound: Fraction
    """Holds for every fleet of at most K types."""
    spread: int
    """Which of the demands is the cheapest to pack."""
    fleets: list[Fleet] | None
    """A fleet for every zone, where they were made."""
    choices: TypeChoices


@dataclass(frozen=True)
class _Trial:
    cost: float
    """USD per hour, estimated for all zones."""
    choice: int
    state: Generated
    spread: int = 0
    fleets: list[Fleet] | None = None

    @property
    def key(self) -> tuple[float, int, int]:
        return self.cost, self.choice, self.spread


def choose_types(
    shapes: Shapes,
    places: Any,
    parts: list[tuple[float, Any]],
    spreads: list[list[Any]],
    unlimited: Generated,
    proved: Fraction,
    most: int,
    deadline: Deadline,
    seed: int,
) -> Chosen | None:
    """The choice with the cheapest fleets found; None where no choice takes all tasks.

    `places` (n) are packed; `parts` are demands (n) that bound the fleet by factor x cost, the first of them,
    which may be parts of tasks, with factor 1; `spreads` are ways to spread the places, each the places a shape in
    each zone. `proved` is a bound without the rule.
    """
    choices = list_choices(shapes, places, parts[0][1], most)
    if choices.sets.shape[0] == 0:
        return None
    per_usd = float(unlimited.pricing.scale.per_usd)
    choices.learn(unlimited.duals / per_usd, unlimited.worth_at_most / per_usd)
    choices.outside = max(choices.outside, float(proved))
    close_choices(choices, unlimited, math.inf, deadline.share(0.3))
    few = _few_of(choices, most)
    many = sum(unlimited.first_fleet.values()) > _MANY_INSTANCES * len(spreads[0])
    if many:
        best = _Search(choices, spreads, unlimited, deadline, seed).by_program()
    else:
        search = _Search(few, spreads, unlimited, deadline, seed)
        best = search.by_fleets()
        best = search.widened(best, min(_MOST_ADDED, most - few.sets.shape[1]))
    if best.fleets is not None:
        choices.raise_to_whole(parts, best.cost)
    bound = rule_bound(choices, proved)
    return Chosen(best.state.pricing.shapes, best.state, bound, best.spread, best.fleets, choices)


def _few_of(choices: TypeChoices, most: int) -> TypeChoices:
    """Choices of a few types, from which more are added one at a time; `choices` itself where that is enough."""
    if most <= _SEARCHED:
        return choices
    few = list_choices(choices.shapes, choices.places, choices.demand, _SEARCHED)
    for duals, worth in choices.cuts[len(few.cuts) :]:
        few.learn(duals, worth)
    return few if few.sets.shape[0] else choices


@dataclass
class _Search:
    choices: TypeChoices
    spreads: list[list[Any]]
    unlimited: Generated
    deadline: Deadline
    seed: int

    def by_program(self) -> _Trial:
        """The choice whose linear program is the cheapest."""
        # Bounds that are nearly equal say little; then what the unlimited answer spends on the types decides.
        steps = np.floor(np.log(np.maximum(self.choices.bounds + self._rounding(), 1e-300)) / _NEARLY_EQUAL)
        order = np.lexsort((-self._spending(), steps))[:_TRIALS].tolist()
        trials: list[_Trial] = []
        for number, c in enumerate(order):
            if trials and self.deadline.passed():
                break
            state = self._program(c, self.deadline.share(1.0 / (len(order) - number)))
            trials.append(_Trial(state.master.cost + float(self._rounding()[c]), c, state))
        return min(trials, key=lambda trial: trial.key)

    def _rounding(self) -> Any:
        """(choices) USD per hour that whole instances add, about: in every zone half of the smallest."""
        smallest = np.array([self.choices.shapes.prices[list(ways)].min() for ways in self.choices.ways])
        return 0.5 * len(self.spreads[0]) * smallest[self.choices.sets].min(axis=1)

    def _spending(self) -> Any:
        """(choices) USD per hour that the unlimited answer spends on the types of each choice."""
        type_of = {way: t for t, ways in enumerate(self.choices.ways) for way in ways}
        spent = np.zeros(len(self.choices.ways))
        master = self.unlimited.master
        for (way, _), count in zip(master.columns, master.counts, strict=False):
            spent[type_of[way]] += count * self.choices.shapes.prices[way]
        return spent[self.choices.sets].sum(axis=1)

    def by_fleets(self) -> _Trial:
        """The choice whose fleets are the cheapest. Ever fewer choices get ever better fleets."""
        trials: list[_Trial] = []
        order = self._try_quickly()
        for number, (c, spread) in enumerate(order):
            if trials and self.deadline.passed():
                break
            state = self._program(c, self.deadline.share(0.2))
            share = self.deadline.share(0.7 / (len(order) - number))
            fleets = self._fleets(state, self.spreads[spread], share)
            cost = sum(fleet_cost(fleet, state.pricing.shapes) for fleet in fleets or ())
            trials.append(_Trial(cost if fleets else math.inf, c, state, spread, fleets))
        return min(trials, key=lambda trial: trial.key)

    def widened(self, trial: _Trial, more: int) -> _Trial:
        """The trial with up to `more` further types, each the one with which its fleets become the cheapest."""
        if trial.fleets is None:
            return trial
        types = set(np.unique(self.choices.sets[trial.choice]).tolist())
        shapes, fleets, cost = trial.state.pricing.shapes, trial.fleets, trial.cost
        for _ in range(more):
            options = []
            for t in sorted(set(range(len(self.choices.ways))) - types):
                if self.deadline.passed():
                    break
                some = self.choices.of_types(sorted({*types, t}))
                better = [self._repacked(fleet, shapes, some) for fleet in fleets]
                options.append((sum(fleet_cost(fleet, some) for fleet in better), t, some, better))
            best = min(options, key=lambda option: option[:2], default=None)
            if best is None or best[0] >= cost * (1.0 - 1e-9):
                break
            cost, t, shapes, fleets = best
            types.add(t)
        if shapes is trial.state.pricing.shapes:
            return trial
        return _Trial(cost, trial.choice, self._solved(shapes, self.deadline), trial.spread, fleets)

    def _repacked(self, fleet: Fleet, shapes: Shapes, wider: Shapes) -> Fleet:
        """A fleet of `shapes` improved with the types of `wider`, which has those of `shapes` too."""
        known = {(wider.offers.index(shapes.offers[t]), pattern): count for (t, pattern), count in fleet.items()}
        return _improved(known, wider, self.unlimited.worth(), self.seed)

    def _program(self, c: int, deadline: Deadline) -> Generated:
        state = self._solved(self.choices.only(c), deadline)
        self.choices.close_by(c, state)
        return state

    def _solved(self, shapes: Shapes, deadline: Deadline) -> Generated:
        return generate(shapes, self.choices.places, deadline, max_rounds=60, enough=5e-4, thorough=False)

    def _fleets(self, state: Generated, zones: list[Any], deadline: Deadline) -> list[Fleet] | None:
        """A fleet for each of `zones`; None where max_count leaves tasks out."""
        limits = state.pricing.shapes.limits
        known: dict[bytes, Fleet] = {}
        for number, zone in enumerate(zones):
            if zone.tobytes() not in known:
                share = deadline.share(1.0 / (len(zones) - number))
                packed = pack_zone(state, zone, limits, 0.0, share, self.seed, attempts=1)
                if packed.missing:
                    return None
                known[zone.tobytes()] = packed.fleet
        return [known[zone.tobytes()] for zone in zones]

    def _try_quickly(self) -> list[tuple[int, int]]:
        """(choice, spread) pairs worth a trial: those with the cheapest quick fleets, which are made where
        whole instances may be cheaper than the best of them.

        Fleets of one cost mostly are one fleet that leaves a type unused; of these two are enough.
        """
        estimates = self._estimates()
        deadline = self.deadline.share(0.5)
        worth = self.unlimited.worth()
        quick: list[tuple[float, float, int, int]] = []
        for number, at in enumerate(np.argsort(estimates, axis=None, kind="stable")[:_QUICK].tolist()):
            spread, c = divmod(at, estimates.shape[1])
            if number and (deadline.passed() or estimates[spread, c] > min(quick)[0]):
                break
            zones = {zone.tobytes(): zone for zone in self.spreads[spread]}
            some = self.choices.only(c)
            costs = {key: _quick_cost(some, zone, worth, self.seed) for key, zone in zones.items()}
            cost = sum(costs[zone.tobytes()] for zone in self.spreads[spread])
            quick.append((round(cost, 9), float(estimates[spread, c]), c, spread))
        taken: Counter[float] = Counter()
        found = []
        for cost, _, c, spread in sorted(quick):
            taken[cost] += 1
            if taken[cost] <= _ALIKE:
                found.append((c, spread))
        return found[:_TRIALS]

    def _estimates(self) -> Any:
        """(spreads, choices) USD per hour that whole instances in all zones cost at least."""
        limit = 1.2 * self.choices.least / len(self.spreads[0])
        known: dict[bytes, Any] = {}
        for zone in (zone for zones in self.spreads for zone in zones):
            if zone.tobytes() not in known:
                known[zone.tobytes()] = self.choices.whole_costs(zone, limit)
        each = [sum(known[zone.tobytes()] for zone in zones) for zones in self.spreads]
        return np.maximum(np.array(each), self.choices.bounds)


def _quick_cost(some: Shapes, demand: Any, worth: Any, seed: int) -> float:
    fleet, left = greedy_fleet(some, demand, worth)
    if left.any():
        return math.inf
    return fleet_cost(_improved(fleet, some, worth, seed), some)


def _improved(fleet: Fleet, some: Shapes, worth: Any, seed: int) -> Fleet:
    types, never = np.arange(len(some.offers)), Deadline(None, 0.0)
    return improve(fleet, some, worth, types, never, seed=seed, good_enough=0.0, most_rounds=_QUICK_ROUNDS)
