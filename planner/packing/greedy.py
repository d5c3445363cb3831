"""A first fleet: again and again the instance whose tasks are worth the most for its price."""

from __future__ import annotations

from typing import Any

import numpy as np

from planner.packing.fill_kernels import best_fill
from planner.packing.shapes import Shapes
from planner.packing.variants import UNLIMITED

Pattern = tuple[tuple[int, int], ...]
"""(shape, tasks) pairs on one instance, by shape."""
Fleet = dict[tuple[int, Pattern], int]
"""How many instances of a type (index) run a pattern."""


def orders_by_size(shapes: Shapes) -> Any:
    """(orders, n): shapes from large to small, by each resource and by the sum of shares of an average room."""
    size = shapes.needs / np.maximum(shapes.rooms.mean(axis=0), 1.0)
    keys = [size.sum(axis=1), size.max(axis=1), *size.T]
    return np.unique(np.array([np.argsort(-key, kind="stable") for key in keys], np.int64), axis=0)


def greedy_fleet(shapes: Shapes, demand: Any, worth: Any) -> tuple[Fleet, Any]:
    """Pack `demand` (tasks a shape) with `worth` (n) USD a task; returns the fleet and what is left over."""
    left = demand.astype(np.int64).copy()
    stock = shapes.limits.copy()
    best, scratch = np.zeros(shapes.count, np.int64), np.zeros(shapes.count, np.int64)
    orders = orders_by_size(shapes)
    value = np.maximum(worth, 1e-12 * max(float(worth.max(initial=0.0)), 1e-300))
    fleet: Fleet = {}
    while left.any():
        t = best_fill(
            orders, shapes.needs, left, shapes.most, shapes.ports, shapes.fits, shapes.rooms,
            shapes.prices, stock, value, best, scratch,
        )  # fmt: skip
        if t < 0:
            break
        used = np.flatnonzero(best)
        times = int(min((left[used] // best[used]).min(), stock[t]))
        pattern = tuple((int(i), int(best[i])) for i in used)
        fleet[t, pattern] = fleet.get((t, pattern), 0) + times
        left[used] -= times * best[used]
        if stock[t] < UNLIMITED:
            stock[t] -= times
    return fleet, left


def fleet_cost(fleet: Fleet, shapes: Shapes) -> float:
    return float(sum(shapes.prices[t] * count for (t, _), count in fleet.items()))
