"""Spot instances spread over pools: a bound that knows the rule, and fleets that keep it.

"No pool has more than a share x of the Spot capacity" couples all instances. For the bound it goes into the
prices: with any multipliers m >= 0 (one a type), an instance of Spot type t with w CPU units costs
p + w (m_t - x * sum of m) instead of p, and the bound of the problem without the rule at these prices is a bound
of the problem with it (Lagrange; the rule's right-hand side is 0). Good multipliers come from a small linear
program in which resources are poured like water. For the fleet, the rule becomes a number of instances a pool,
which is made smaller until the fleet keeps the rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Final

import numpy as np

from planner.packing.bound import part_bound
from planner.packing.clock import Deadline
from planner.packing.generate import generate
from planner.packing.greedy import Fleet
from planner.packing.problem import PackingProblem, SpotRule
from planner.packing.shapes import Shapes, priced_otherwise
from planner.packing.variants import UNLIMITED, exact
from planner.packing.zone_search import ZoneSearch

_ATTEMPTS: Final = 6
_SLACK: Final = 0.98
"""Of the Spot capacity that the last attempt had: what the next one counts on."""


@dataclass
class SpotPools:
    """The pools of one problem and their rule."""

    problem: PackingProblem
    shapes: Shapes
    rule: SpotRule
    weight: Any
    """(types) CPU units of an instance where it is a Spot instance, else 0."""
    capacity: float = 0.0
    """CPU units on Spot in the poured fleet."""

    @staticmethod
    def of(problem: PackingProblem, shapes: Shapes) -> SpotPools | None:
        """None where nothing is on Spot, or any spread over pools is as good as another."""
        rule = problem.spot
        if rule is None or (rule.max_pool_share >= 1.0 and rule.min_pools <= 1):
            return None
        weight = np.array([max(1, v.offer.room.cpu_units) if v.is_spot else 0 for v in shapes.offers], np.int64)
        return SpotPools(problem, shapes, rule, weight) if weight.any() else None

    @property
    def _type_share(self) -> Fraction:
        """Most of the Spot capacity that one type can have, which has a pool in every zone."""
        return min(Fraction(1), exact(self.rule.max_pool_share) * self.problem.zones)

    def bound(self, total: Any, part: tuple[Fraction, Any], deadline: Deadline) -> Fraction:
        """USD per hour; holds for every fleet that keeps the rule. `part` is the (factor, demand) that every fleet
        holds, `total` the places that are going to be packed."""
        multipliers = self._pour(total)
        share, bases = self._type_share, [v.base for v in self.shapes.offers]
        for _ in range(40):
            sum_of_all = sum(multipliers.values(), Fraction(0))
            prices = [
                price + int(w) * (multipliers.get(base, Fraction(0)) - share * sum_of_all) if w else price
                for price, w, base in zip(self.shapes.exact_prices, self.weight, bases, strict=True)
            ]
            if min(prices) > 0:
                break
            multipliers = {base: m / 2 for base, m in multipliers.items()}
        else:
            prices = list(self.shapes.exact_prices)
        state = generate(priced_otherwise(self.shapes, prices), total, deadline)
        pricing = state.pricing
        return part_bound(state.duals, state.worth_at_most.tolist(), part, pricing.shapes, pricing.scale)

    def _pour(self, total: Any) -> dict[int, Fraction]:
        """Multipliers of the rule by type, from the fleet of broken instances; also learns its Spot capacity."""
        from scipy.optimize import linprog

        shapes, services = self.shapes, len(self.problem.tasks)
        firm = np.array([group[0] < services for group in shapes.members], np.bool_)
        on_demand = self.weight == 0
        unit = np.maximum(shapes.rooms.max(axis=0), 1).astype(np.float64)
        rooms = (shapes.rooms / unit).T
        needs = total[:, None] * shapes.needs / unit
        bases = sorted({v.base for v, w in zip(shapes.offers, self.weight, strict=True) if w})
        heavy = self.weight / float(self.weight.max())
        pools = np.array(
            [
                [
                    w * ((v.base == base) - float(self._type_share))
                    for v, w in zip(shapes.offers, heavy, strict=True)
                ]
                for base in bases
            ]
        )
        answer = linprog(
            shapes.prices / shapes.prices.max(),
            A_ub=np.vstack([-rooms * on_demand, -rooms, pools]),
            b_ub=np.concatenate([-needs[firm].sum(axis=0), -needs.sum(axis=0), np.zeros(len(bases))]),
            bounds=[(0, None if limit >= UNLIMITED else int(limit)) for limit in shapes.limits],
            method="highs",
        )
        if answer.status != 0:
            return {}
        self.capacity = float(answer.x @ self.weight)
        scale = Fraction(float(shapes.prices.max())) / int(self.weight.max())
        duals = -answer.ineqlin.marginals[-len(bases) :]
        return {b: Fraction(max(0.0, float(m))) * scale for b, m in zip(bases, duals, strict=True)}

    def capped(self) -> Shapes:
        """The shapes with a number of instances for every Spot type, so that patterns of many types are made."""
        caps = self._caps(self.capacity, exact(self.rule.max_pool_share)).sum(axis=0)
        limits = np.where(self.weight > 0, np.minimum(self.shapes.limits, caps), self.shapes.limits)
        return replace(self.shapes, limits=limits)

    def _caps(self, capacity: float, share: Fraction) -> Any:
        """(zones, types) instances a pool may have when all pools together have `capacity` CPU units."""
        zones = self.problem.zones
        caps = np.full((zones, len(self.shapes.offers)), UNLIMITED, np.int64)
        most = int(share * Fraction(capacity))
        for t in np.flatnonzero(self.weight).tolist():
            caps[:, t] = most // int(self.weight[t])
        held: dict[int, Any] = {}
        for t, variant in enumerate(self.shapes.offers):
            if variant.is_spot and variant.by_zone:
                caps[:, t] = held[variant.base] = np.minimum(caps[:, t], variant.by_zone)
        for t, variant in enumerate(self.shapes.offers):
            if variant.is_spot and not variant.by_zone and variant.base in held:
                caps[:, t] = np.maximum(0, caps[:, t] - held[variant.base])
        return caps

    def fleets(self, search: ZoneSearch, shapes: Shapes, tick: Callable[[], None]) -> list[Fleet]:
        """The cheapest fleets (one a zone) that keep the rule; without Spot where none does."""
        pools = self._on(shapes)
        best: list[Fleet] | None = None
        share, capacity = exact(self.rule.max_pool_share), self.capacity
        for attempt in range(_ATTEMPTS):
            if best is not None or (attempt and search.deadline.passed()):
                break
            caps = pools._caps(capacity, share)
            fleets = search.fleets(None, tick, caps, search.deadline.share(0.5))
            pools._widen(fleets)
            had = pools._capacity_by_pool(fleets)
            if pools._keeps_rule(had):
                best = fleets
            capacity = float(had.total()) * _SLACK ** (attempt + 1)
        without = np.where(pools.weight > 0, 0, UNLIMITED)[None, :].repeat(self.problem.zones, axis=0)
        if best is None:
            return search.fleets(None, tick, without, search.deadline)
        return best

    def _widen(self, fleets: list[Fleet]) -> None:
        """Move single instances to pools not used yet, the cheapest exchange first, until there are enough."""
        had = self._capacity_by_pool(fleets)
        while had and len(had) < self.rule.min_pools:
            exchange = min(self._exchanges(fleets, had), default=None)
            if exchange is None:
                return
            _, zone, t, new, pattern = exchange
            fleet = fleets[zone]
            fleet[t, pattern] -= 1
            if not fleet[t, pattern]:
                del fleet[t, pattern]
            fleet[new, pattern] = fleet.get((new, pattern), 0) + 1
            had = self._capacity_by_pool(fleets)

    def _exchanges(self, fleets: list[Fleet], had: Counter[tuple[int, int]]) -> Iterator[Any]:
        """(USD more, zone, type, other type, pattern) for each Spot instance that another pool could hold."""
        shapes = self.shapes
        for zone, fleet in enumerate(fleets):
            for t, pattern in fleet:
                if not self.weight[t] or had[shapes.offers[t].base, zone] <= self.weight[t]:
                    continue
                held = [i for i, _ in pattern]
                load = sum((shapes.needs[i] * n for i, n in pattern), start=0)
                for new in np.flatnonzero(self.weight).tolist():
                    is_new = (shapes.offers[new].base, zone) not in had and not shapes.offers[new].by_zone
                    if is_new and shapes.fits[held, new].all() and (load <= shapes.rooms[new]).all():
                        yield float(shapes.prices[new] - shapes.prices[t]), zone, t, new, pattern

    def _on(self, shapes: Shapes) -> SpotPools:
        """The same rule on some of the types."""
        weight = np.array([max(1, v.offer.room.cpu_units) if v.is_spot else 0 for v in shapes.offers], np.int64)
        return SpotPools(self.problem, shapes, self.rule, weight, self.capacity)

    def _capacity_by_pool(self, fleets: list[Fleet]) -> Counter[tuple[int, int]]:
        had: Counter[tuple[int, int]] = Counter()
        for zone, fleet in enumerate(fleets):
            for (t, _), count in fleet.items():
                if self.weight[t]:
                    had[self.shapes.offers[t].base, zone] += count * int(self.weight[t])
        return had

    def _keeps_rule(self, had: Counter[tuple[int, int]]) -> bool:
        most = exact(self.rule.max_pool_share) * had.total()
        return not had or (max(had.values()) <= most and len(had) >= self.rule.min_pools)
