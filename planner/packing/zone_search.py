"""A whole fleet for each zone, one zone after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from planner.packing.clock import Deadline
from planner.packing.generate import Generated
from planner.packing.greedy import Fleet
from planner.packing.integer import pack_zone
from planner.packing.problem import PackingProblem
from planner.packing.shapes import Shapes
from planner.packing.variants import UNLIMITED
from planner.packing.zones import ZoneDemand


@dataclass
class ZoneSearch:
    """What packing the zones needs to know. `goal` is the cost (USD per hour) of one zone that is good enough."""

    problem: PackingProblem
    state: Generated
    demand: ZoneDemand
    goal: float
    deadline: Deadline
    seed: int

    def fleets(
        self,
        first: list[Fleet] | None,
        tick: Callable[[], None],
        caps: Any = None,
        deadline: Deadline | None = None,
    ) -> list[Fleet]:
        """One fleet a zone. `first` are fleets to start from; `caps` (zones, types) are
        further limits on instances."""
        shapes, whole = self.state.pricing.shapes, deadline or self.deadline
        stock = shapes.limits.copy()
        if caps is not None:
            stock[[v.is_spot for v in shapes.offers]] = UNLIMITED
        kept = _kept_by_zone(shapes, self.problem.zones)
        stock[kept.any(axis=0)] = UNLIMITED
        _leave_room_for_kept(stock, kept, shapes)
        fleets: list[Fleet] = []
        solved: dict[bytes, Fleet] = {}
        for zone in range(self.problem.zones):
            demand = shapes.demand(self.demand.places[zone])
            zones_left = self.problem.zones - zone
            share = np.where(stock < UNLIMITED, -(-stock // zones_left), stock)
            share = np.where(kept.any(axis=0), kept[zone], share)
            share = share if caps is None else np.minimum(share, caps[zone])
            key = demand.tobytes() + share.tobytes()
            if key not in solved:
                solved[key] = pack_zone(
                    self.state, demand, share, self.goal, whole.share(1.0 / zones_left), self.seed,
                    known=first[zone] if first and _within(first[zone], share) else None,
                ).fleet  # fmt: skip
            for (t, _), count in solved[key].items():
                if stock[t] < UNLIMITED:
                    stock[t] -= count
            fleets.append(dict(solved[key]))
            tick()
        return fleets


def _within(fleet: Fleet, limits: Any) -> bool:
    bought = np.zeros(len(limits), np.int64)
    for (t, _), count in fleet.items():
        bought[t] += count
    return bool((bought <= limits).all())


def _kept_by_zone(shapes: Shapes, zones: int) -> Any:
    """(zones, types) instances that run already, where the type is one of those; within an even share of
    max_count."""
    kept = np.zeros((zones, len(shapes.offers)), np.int64)
    for t, variant in enumerate(shapes.offers):
        if variant.by_zone:
            kept[:, t] = variant.by_zone
            if variant.limit < sum(variant.by_zone):
                left = variant.limit
                for zone in range(zones):
                    kept[zone, t] = min(kept[zone, t], -(-left // (zones - zone)))
                    left -= int(kept[zone, t])
    return kept


def _leave_room_for_kept(stock: Any, kept: Any, shapes: Shapes) -> None:
    """Instances that run count towards max_count, so fewer of the type can be started."""
    held = {
        (shapes.offers[t].base, shapes.offers[t].purchase): int(kept[:, t].sum())
        for t in np.flatnonzero(kept.any(axis=0))
    }
    for t, variant in enumerate(shapes.offers):
        if not variant.by_zone and stock[t] < UNLIMITED:
            stock[t] = max(0, int(stock[t]) - held.get((variant.base, variant.purchase), 0))
