"""The problem as arrays: equal tasks grouped to shapes, and only the types that can be part of an answer.

Services whose tasks have equal needs and the same choice of types are one *shape*, because exchanging their
tasks changes nothing. A service with host ports or distinctInstance is a shape of its own, since at most one
of its tasks may be on an instance.

Where Spot is allowed, the tasks of a service are two *units*: those that need an on-demand instance, numbered
as the service, and those that may run on Spot, numbered as the service plus the number of services.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from planner.packing.dimensions import as_row
from planner.packing.problem import PackingProblem
from planner.packing.room import rooms_for_tasks
from planner.packing.variants import UNLIMITED, Variant, exact, variants_of

_PORTS_A_WORD = 63


@dataclass(frozen=True)
class Shapes:
    """Arrays over shapes (n) and ways to have a type (t); r is the number of resources that any task needs.

    `needs` (n, r) and `rooms` (t, r) are whole numbers; `most` (n) is how many tasks of a shape one instance
    may hold by rule; `ports` (n, w) are bit sets of host ports that two or more services want; `fits` (n, t);
    `limits` (t) is the most that can be had, or UNLIMITED; `prices` (t) USD per hour, `exact_prices` the same
    decimals exactly.
    """

    members: tuple[tuple[int, ...], ...]
    """Units, one tuple a shape."""
    offers: tuple[Variant, ...]
    needs: Any
    most: Any
    ports: Any
    fits: Any
    rooms: Any
    prices: Any
    exact_prices: tuple[Fraction, ...]
    limits: Any
    dimensions: tuple[int, ...]
    """Which columns of `dimensions.DIMENSIONS` the r resources are."""

    @property
    def count(self) -> int:
        return len(self.members)

    def demand(self, counts: Any) -> Any:
        """Tasks a shape from tasks a unit."""
        return np.array([sum(int(counts[i]) for i in group) for group in self.members], np.int64)

    def only(self, types: Any) -> Shapes:
        """The same shapes with some of the types, given by index."""
        chosen = [int(t) for t in types]
        return replace(
            self,
            offers=tuple(self.offers[t] for t in chosen),
            fits=np.ascontiguousarray(self.fits[:, chosen]),
            rooms=np.ascontiguousarray(self.rooms[chosen]),
            prices=self.prices[chosen],
            exact_prices=tuple(self.exact_prices[t] for t in chosen),
            limits=self.limits[chosen],
        )

    def part(self, shapes: Any) -> Shapes:
        """Some of the shapes, given by index, and all types that one of them fits on."""
        return replace(
            self,
            members=tuple(self.members[i] for i in shapes),
            needs=np.ascontiguousarray(self.needs[shapes]),
            most=self.most[shapes],
            ports=np.ascontiguousarray(self.ports[shapes]),
            fits=np.ascontiguousarray(self.fits[shapes]),
        )

    def with_limits(self, limits: Any) -> Shapes:
        """The same shapes and types with other numbers still to be bought."""
        return replace(self, limits=limits)


def unit_counts(problem: PackingProblem, left_out: Any) -> tuple[list[int], list[int]]:
    """Tasks a unit: all that are placed, by service, and those of them that may run on Spot."""
    counts = [0 if s in left_out else task.count for s, task in enumerate(problem.tasks)]
    if problem.spot is None:
        return counts, [0] * len(counts)
    share = exact(problem.spot.share)
    return counts, [
        math.floor(share * count) if task.may_use_spot else 0
        for count, task in zip(counts, problem.tasks, strict=True)
    ]


def uncapped(shapes: Shapes) -> Shapes:
    """The same shapes and types with the limits of the problem itself."""
    return shapes.with_limits(np.array([v.limit for v in shapes.offers], np.int64))


def priced_otherwise(shapes: Shapes, prices: Any) -> Shapes:
    """The same shapes and types at other (exact) prices."""
    return replace(shapes, exact_prices=tuple(prices), prices=np.array([float(p) for p in prices], np.float64))


def build_shapes(
    problem: PackingProblem, allowed: Any, left_out: set[int], *, keep_every_type: bool = False
) -> Shapes:
    """Group the tasks that can be placed and drop the types that cannot be part of a cheapest fleet."""
    services, variants = len(problem.tasks), variants_of(problem)
    base = [v.base for v in variants]
    rooms = np.array([as_row(room) for room in rooms_for_tasks(problem)], np.int64)[base]
    is_spot = np.array([v.is_spot for v in variants], np.bool_)
    groups = _groups(problem, allowed, left_out)
    first = [group[0] for group in groups]
    needs = np.array([as_row(problem.tasks[u % services].needs) for u in first], np.int64).reshape(
        len(groups), rooms.shape[1]
    )
    fits = allowed[[u % services for u in first]][:, base]
    fits &= (needs[:, None, :] <= rooms[None, :, :]).all(axis=2)
    fits &= (np.array(first) >= services)[:, None] | ~is_spot[None, :]
    spread = problem.spot is not None and (problem.spot.max_pool_share < 1.0 or problem.spot.min_pools > 1)
    types = (
        list(range(len(variants))) if keep_every_type else _undominated(variants, rooms, fits, is_spot & spread)
    )
    dimensions = tuple(int(r) for r in np.flatnonzero(needs.any(axis=0))) or (0,)
    offers = tuple(variants[t] for t in types)
    alone = [
        problem.tasks[u % services].distinct_instance or bool(problem.tasks[u % services].host_ports)
        for u in first
    ]
    return Shapes(
        tuple(groups),
        offers,
        np.ascontiguousarray(needs[:, dimensions]),
        np.where(np.array(alone, np.bool_), 1, UNLIMITED).astype(np.int64),
        _port_sets(problem, first),
        np.ascontiguousarray(fits[:, types]),
        np.ascontiguousarray(rooms[np.ix_(types, dimensions)]),
        np.array([float(v.price) for v in offers], np.float64),
        tuple(v.price for v in offers),
        np.array([v.limit for v in offers], np.int64),
        dimensions,
    )


def _groups(problem: PackingProblem, allowed: Any, left_out: set[int]) -> list[tuple[int, ...]]:
    counts, on_spot = unit_counts(problem, left_out)
    services = len(counts)
    groups: dict[Any, list[int]] = {}
    for part, tasks in ((0, [n - f for n, f in zip(counts, on_spot, strict=True)]), (1, on_spot)):
        for s, task in enumerate(problem.tasks):
            # Standby places are never on Spot, so with them every service has a unit of the first kind.
            if s in left_out or (tasks[s] == 0 and not (part == 0 and problem.survive_zone_loss)):
                continue
            alone = task.distinct_instance or task.host_ports
            key = (part, s) if alone else (part, as_row(task.needs), allowed[s].tobytes())
            groups.setdefault(key, []).append(s + part * services)
    return [tuple(group) for group in groups.values()]


def _port_sets(problem: PackingProblem, units: list[int]) -> Any:
    """Bit sets over what only one task of an instance can have and more than one unit wants, 63 a word: host
    ports, and for distinctInstance the instance itself."""
    services = len(problem.tasks)
    wishes: list[list[tuple[str, int]]] = []
    for u in units:
        task = problem.tasks[u % services]
        claims = [("port", port) for port in task.host_ports]
        wishes.append(claims + ([("instance", u % services)] if task.distinct_instance else []))
    wanted = Counter(claim for claims in wishes for claim in claims)
    bit = {claim: k for k, claim in enumerate(sorted(c for c, n in wanted.items() if n > 1))}
    sets = np.zeros((len(units), max(1, -(-len(bit) // _PORTS_A_WORD))), np.int64)
    for k, claims in enumerate(wishes):
        for claim in claims:
            if claim in bit:
                sets[k, bit[claim] // _PORTS_A_WORD] |= 1 << (bit[claim] % _PORTS_A_WORD)
    return sets


def _undominated(variants: tuple[Variant, ...], rooms: Any, fits: Any, needed: Any) -> list[int]:
    """Types by index, cheapest first, without those that another type replaces one for one.

    A type is replaced by one without limit that costs no more, has no less of anything, and takes every task
    the first takes. Those `needed` for diversification stay.
    """
    prices = [v.price for v in variants]
    room_sums = rooms.sum(axis=1)
    order = sorted(range(len(prices)), key=lambda t: (prices[t], -int(room_sums[t]), t))
    kept: list[int] = []
    for t in order:
        if variants[t].limit == 0 or not fits[:, t].any():
            continue
        rivals = [k for k in kept if variants[k].limit >= UNLIMITED] if not needed[t] else []
        if rivals:
            wider = (rooms[rivals] >= rooms[t]).all(axis=1) & ~(fits[:, [t]] & ~fits[:, rivals]).any(axis=0)
            if wider.any():
                continue
        kept.append(t)
    return kept
