"""The pricing problem solved exactly by dynamic programming, where sizes share a coarse step (numba).

Task sizes people choose are multiples of 128 or 256; counted in such steps an instance has few states. Branch and
bound has its worst cases there, because many fillings are worth nearly the same.
"""

from __future__ import annotations

import numba
import numpy as np

_MOST_CHOICES = 200_000_000
"""Bytes for the choices of the shapes of which there are few tasks."""


@numba.njit(cache=True)
def work_of(needs, upper, room):  # type: ignore[no-untyped-def]
    """(states, steps) of `exact_pattern` for one type, before the shapes that are worth nothing are left out."""
    states = 1.0
    for r in range(room.shape[0]):
        total = 0.0
        for i in range(needs.shape[0]):
            total += needs[i, r] * float(upper[i])
        if total > room[r]:
            states *= room[r] + 1
    return states, states * needs.shape[0]


@numba.njit(cache=True)
def exact_pattern(worth, needs, upper, ports, fits, room, pattern):  # type: ignore[no-untyped-def]
    """Fill `pattern` with the most worthy tasks for one instance; returns (worth of the pattern, upper bound).

    The bound is exact unless shapes compete for host ports; then it ignores them, and the pattern is empty where
    it breaks one. At most three resources may be scarce, else the answer is (0, -1).
    """
    n, resources = needs.shape
    pattern[:] = 0
    # The scarce resources, the one with most steps last, so that the inner loop runs along memory.
    size = np.ones(3, np.int64)
    source = np.full(3, -1, np.int64)
    scarce = 0
    for r in range(resources):
        total = 0.0
        for i in range(n):
            if worth[i] > 0 and fits[i]:
                total += needs[i, r] * float(upper[i])
        if total > room[r]:
            if scarce == 3:
                return np.int64(0), np.int64(-1)
            source[scarce] = r
            size[scarce] = room[r] + 1
            scarce += 1
    for a in range(3):
        for b in range(a + 1, 3):
            if size[b] < size[a]:
                size[a], size[b] = size[b], size[a]
                source[a], source[b] = source[b], source[a]
    stride_x = size[1] * size[2]
    stride_y = size[2]
    states = size[0] * stride_x
    value = np.zeros(states, np.int64)
    # Shapes with enough tasks to fill the instance need no count.
    plenty = np.zeros(n, np.int64)
    endless = 0
    splits = 0
    small = np.zeros((n, 3), np.int64)
    most = np.zeros(n, np.int64)
    for i in range(n):
        if worth[i] <= 0 or upper[i] <= 0 or not fits[i]:
            continue
        fit = np.int64(2**62)
        for d in range(3):
            if source[d] >= 0:
                small[i, d] = needs[i, source[d]]
                if small[i, d] > 0:
                    fit = min(fit, room[source[d]] // small[i, d])
        if fit <= 0:
            continue
        if upper[i] >= fit:
            plenty[endless] = i
            endless += 1
        else:
            most[i] = upper[i]
            left = upper[i]
            piece = np.int64(1)
            while left > 0:
                splits += 1
                left -= min(piece, left)
                piece *= 2
    if splits * states > _MOST_CHOICES:
        return np.int64(0), np.int64(-1)
    for e in range(endless):
        i = plenty[e]
        offset = small[i, 0] * stride_x + small[i, 1] * stride_y + small[i, 2]
        p = worth[i]
        for x in range(small[i, 0], size[0]):
            for y in range(small[i, 1], size[1]):
                at = x * stride_x + y * stride_y
                for z in range(small[i, 2], size[2]):
                    other = value[at + z - offset] + p
                    if other > value[at + z]:
                        value[at + z] = other
    unbounded = value.copy()
    taken = np.zeros((splits, states), np.bool_)
    item = np.zeros(splits, np.int64)
    times = np.zeros(splits, np.int64)
    k = 0
    for i in range(n):
        left = most[i]
        piece = np.int64(1)
        while left > 0:
            m = min(piece, left)
            left -= m
            piece *= 2
            item[k] = i
            times[k] = m
            a, b, c = small[i, 0] * m, small[i, 1] * m, small[i, 2] * m
            offset = a * stride_x + b * stride_y + c
            p = worth[i] * m
            for x in range(size[0] - 1, a - 1, -1):
                for y in range(size[1] - 1, b - 1, -1):
                    at = x * stride_x + y * stride_y
                    for z in range(size[2] - 1, c - 1, -1):
                        other = value[at + z - offset] + p
                        if other > value[at + z]:
                            value[at + z] = other
                            taken[k, at + z] = True
            k += 1
    # Back from the full instance to what fills it.
    s = states - 1
    best = value[s]
    for k in range(splits - 1, -1, -1):
        if taken[k, s]:
            i = item[k]
            pattern[i] += times[k]
            s -= times[k] * (small[i, 0] * stride_x + small[i, 1] * stride_y + small[i, 2])
    while unbounded[s] > 0:
        x = s // stride_x
        y = (s % stride_x) // stride_y
        z = s % stride_y
        found = False
        for e in range(endless):
            i = plenty[e]
            if x < small[i, 0] or y < small[i, 1] or z < small[i, 2]:
                continue
            offset = small[i, 0] * stride_x + small[i, 1] * stride_y + small[i, 2]
            if unbounded[s] == unbounded[s - offset] + worth[i]:
                pattern[i] += 1
                s -= offset
                found = True
                break
        if not found:
            break
    held = np.zeros(ports.shape[1], np.int64)
    for i in range(n):
        if pattern[i] > 0:
            for w in range(ports.shape[1]):
                if held[w] & ports[i, w]:
                    pattern[:] = 0
                    return np.int64(0), best
                held[w] |= ports[i, w]
    return best, best
