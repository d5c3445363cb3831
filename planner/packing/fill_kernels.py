"""Filling one instance after another by a fixed order of shapes, compiled with numba."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True)
def fill_one(order, needs, left, most, ports, fits, room, pattern):  # type: ignore[no-untyped-def]
    """First fit in `order` into one empty instance; fills `pattern` (tasks a shape)."""
    rest = room.copy()
    taken = np.zeros(ports.shape[1], np.int64)
    pattern[:] = 0
    for k in range(order.shape[0]):
        i = order[k]
        if left[i] <= 0 or not fits[i]:
            continue
        n = min(left[i], most[i])
        for r in range(rest.shape[0]):
            if needs[i, r] > 0:
                n = min(n, rest[r] // needs[i, r])
        if n <= 0:
            continue
        for w in range(taken.shape[0]):
            if taken[w] & ports[i, w]:
                n = 0
        if n == 0:
            continue
        pattern[i] = n
        for r in range(rest.shape[0]):
            rest[r] -= n * needs[i, r]
        for w in range(taken.shape[0]):
            taken[w] |= ports[i, w]


@numba.njit(cache=True)
def best_fill(orders, needs, left, most, ports, fits, rooms, prices, stock, worth, best, scratch):  # type: ignore[no-untyped-def]
    """The type and pattern with the most worth for its price; fills `best`, returns the type or -1."""
    chosen = -1
    ratio = -1.0
    for t in range(rooms.shape[0]):
        if stock[t] <= 0:
            continue
        for o in range(orders.shape[0]):
            fill_one(orders[o], needs, left, most, ports, fits[:, t], rooms[t], scratch)
            value = 0.0
            for i in range(scratch.shape[0]):
                value += worth[i] * scratch[i]
            if value > 0.0 and value / prices[t] > ratio * (1.0 + 1e-12):
                ratio = value / prices[t]
                chosen = t
                best[:] = scratch
    return chosen
