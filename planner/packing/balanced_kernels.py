"""Filling many equal instances side by side, compiled with numba."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True)
def fill_evenly(order, needs, counts, most, ports, room, weight, load, where):  # type: ignore[no-untyped-def]
    """Place `counts` tasks a shape, in `order`, each on the instance that is the emptiest of what the task needs.

    `load` (instances, r) starts empty; `weight` (r) is how much each resource matters. Fills `where`, one entry a
    task in the same order, with the instance or -1 where no instance has room.
    """
    bins, resources = load.shape
    words = ports.shape[1]
    taken = np.zeros((bins, words), np.int64)
    held = np.zeros(bins, np.int64)
    price = np.zeros(resources)
    k = 0
    for q in range(order.shape[0]):
        i = order[q]
        held[:] = 0
        for r in range(resources):
            price[r] = weight[r] * needs[i, r] / max(room[r], 1) / max(room[r], 1)
        full = False
        for _ in range(counts[i]):
            best = -1
            least = np.inf
            if not full:
                for b in range(bins):
                    if held[b] >= most[i]:
                        continue
                    score = 0.0
                    for r in range(resources):
                        if load[b, r] + needs[i, r] > room[r]:
                            score = np.inf
                            break
                        score += price[r] * load[b, r]
                    if score < least:
                        clash = False
                        for w in range(words):
                            if taken[b, w] & ports[i, w]:
                                clash = True
                        if not clash:
                            least = score
                            best = b
            where[k] = best
            k += 1
            if best < 0:
                full = True
                continue
            held[best] += 1
            for r in range(resources):
                load[best, r] += needs[i, r]
            for w in range(words):
                taken[best, w] |= ports[i, w]
