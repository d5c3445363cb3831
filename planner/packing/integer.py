"""Whole fleets: dive, repack, and try again another way while time and the gap allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from planner.packing.balanced import balanced_fleet
from planner.packing.clock import Deadline
from planner.packing.dive import dive
from planner.packing.generate import GOOD_ENOUGH, Generated
from planner.packing.greedy import Fleet, fleet_cost, greedy_fleet
from planner.packing.repack import improve
from planner.packing.small import solve_small
from planner.packing.variants import UNLIMITED

_ATTEMPTS: Final = ((0.5, 1), (0.3, 1), (0.15, 2), (0.1, 6))
"""Dives from quick to thorough: the share rounded up a step, and rounds of new patterns a step."""
_ATTEMPTS_A_PART: Final = 2
"""Of a problem in parts: what a part leaves half empty, the repacking of the whole fleet still fills."""


@dataclass(frozen=True)
class ZoneFleet:
    fleet: Fleet
    left: Any
    """(n) tasks a shape that found no instance."""

    @property
    def missing(self) -> int:
        return int(self.left.sum())


def pack_zone(
    state: Generated,
    demand: Any,
    stock: Any,
    goal: float,
    deadline: Deadline,
    seed: int,
    attempts: int = 4,
    known: Fleet | None = None,
) -> ZoneFleet:
    """The cheapest fleet found for `demand` (tasks a shape); ends early at a cost of `goal`. `known` is a
    whole fleet for the demand to start from."""
    shapes = state.pricing.shapes.with_limits(stock)
    best = ZoneFleet(known or {}, np.zeros_like(demand) if known else demand.copy())
    best_key = (best.missing, fleet_cost(best.fleet, shapes))
    if known and deadline.passed():
        return best
    worth = state.worth()
    if deadline.passed():
        return ZoneFleet(*greedy_fleet(shapes, demand, worth))
    if state.is_large:
        return _pack_large(state, demand, stock, goal, deadline, seed, best if known else None)
    for number, (batch, rounds) in enumerate(_ATTEMPTS[:attempts]):
        if number and deadline.passed():
            break
        fleet, left = dive(
            state.master, state.pricing, demand, stock, deadline.share(0.6), batch=batch, rounds=rounds
        )
        fleet = improve(
            fleet, shapes, worth, np.arange(len(shapes.offers)), deadline,
            seed=seed * len(_ATTEMPTS) + number, good_enough=goal,
        )  # fmt: skip
        key = (int(left.sum()), fleet_cost(fleet, shapes))
        if key < best_key:
            best, best_key = ZoneFleet(fleet, left), key
        if best.missing == 0 and best_key[1] <= goal * (1.0 + 1e-12):
            return best
    if not deadline.passed():
        small = solve_small(shapes, demand, stock, deadline)
        if small is not None and (0, fleet_cost(small.fleet, shapes)) < best_key:
            return ZoneFleet(small.fleet, np.zeros_like(demand))
    return best


def _pack_large(
    state: Generated,
    demand: Any,
    stock: Any,
    goal: float,
    deadline: Deadline,
    seed: int,
    known: ZoneFleet | None,
) -> ZoneFleet:
    """All instances filled side by side, or part by part where that is cheaper; then repacked."""
    shapes = state.pricing.shapes.with_limits(stock)
    found = [known or ZoneFleet(*balanced_fleet(shapes, demand, stock, deadline))]
    if state.parts:
        found.append(_pack_parts(state, demand, stock, deadline.share(0.8), seed))
    best = min(found, key=lambda zone: (zone.missing, fleet_cost(zone.fleet, shapes)))
    types = np.arange(len(shapes.offers))
    near = goal * (1.0 + GOOD_ENOUGH)
    fleet = improve(best.fleet, shapes, state.worth(), types, deadline, seed=seed, good_enough=near)
    return ZoneFleet(fleet, best.left)


def _pack_parts(state: Generated, demand: Any, stock: Any, time: Deadline, seed: int) -> ZoneFleet:
    """Each part by itself, one after the other."""
    fleet: Fleet = {}
    left, rest = demand.copy(), stock.copy()
    for number, part in enumerate(state.parts):
        share = time.share(1.0 / (len(state.parts) - number))
        packed = pack_zone(part.generated, demand[part.chosen], rest, 0.0, share, seed, _ATTEMPTS_A_PART)
        left[part.chosen] = packed.left
        for column, count in packed.fleet.items():
            whole = part.whole_column(column)
            fleet[whole] = fleet.get(whole, 0) + count
            if rest[column[0]] < UNLIMITED:
                rest[column[0]] -= count
    return ZoneFleet(fleet, left)
