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


_MOST_PAIRS = 20_000
"""Shapes times types up to which a greedy step looks at every type."""


def orders_by_size(shapes: Shapes) -> Any:
    """(orders, n): shapes from large to small, by each resource and by the sum of shares of an average room."""
    size = shapes.needs / np.maximum(shapes.rooms.mean(axis=0), 1.0)
    keys = [size.sum(axis=1), size.max(axis=1), *size.T]
    return np.unique(np.array([np.argsort(-key, kind="stable") for key in keys], np.int64), axis=0)


def greedy_fleet(shapes: Shapes, demand: Any, worth: Any, room_worth: Any = None) -> tuple[Fleet, Any]:
    """Pack `demand` (tasks a shape) with `worth` (n) USD a task; returns the fleet and what is left over.

    `room_worth` (types) USD an instance helps to choose the types to look at where there are many.
    """
    left = demand.astype(np.int64).copy()
    stock = shapes.limits.copy()
    best, scratch = np.zeros(shapes.count, np.int64), np.zeros(shapes.count, np.int64)
    orders = orders_by_size(shapes)
    value = np.maximum(worth, 1e-12 * max(float(worth.max(initial=0.0)), 1e-300))
    fleet: Fleet = {}
    tried = _promising(shapes, stock, room_worth)
    while left.any():
        t = best_fill(
            orders, shapes.needs, left, shapes.most, shapes.ports, shapes.fits, shapes.rooms,
            shapes.prices, np.where(tried, stock, 0), value, best, scratch,
        )  # fmt: skip
        if t < 0 and not tried.all():
            tried[:] = True
            continue
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


def _promising(shapes: Shapes, stock: Any, room_worth: Any) -> Any:
    """(types) True for those that are tried first: all of them, or where that took long, those with the least
    price for their room in several mixtures of the resources."""
    count = len(shapes.offers)
    if count * shapes.count <= _MOST_PAIRS:
        return np.ones(count, np.bool_)
    share = shapes.rooms / np.maximum(shapes.rooms.max(axis=0), 1)
    chosen = np.zeros(count, np.bool_)
    if room_worth is not None:
        chosen[np.argsort(np.where(stock > 0, -room_worth / shapes.prices, np.inf), kind="stable")[:12]] = True
        return chosen
    for mix in [np.ones(share.shape[1]), *(np.eye(share.shape[1]) + 0.1)]:
        price = np.where(stock > 0, shapes.prices / np.maximum(share @ mix, 1e-12), np.inf)
        chosen[np.argsort(price, kind="stable")[:4]] = True
    return chosen


def fleet_cost(fleet: Fleet, shapes: Shapes) -> float:
    return float(sum(shapes.prices[t] * count for (t, _), count in fleet.items()))
