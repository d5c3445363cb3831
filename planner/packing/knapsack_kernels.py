"""The pricing problem: which tasks on one instance are worth the most? A bounded knapsack in several resources.

Depth-first branch and bound in the manner of Horowitz and Sahni, over shapes sorted by worth per weighted
resource. The weights are Lagrange multipliers of the resources, so the same numbers bound every node from
above. Worth is counted in whole numbers; bounds are floats with a margin far above their rounding error.
"""

from __future__ import annotations

import numba
import numpy as np

_MARGIN = 1e-11
_MOST_BALANCED = 400
"""Shapes up to which the search starts from a balanced filling."""


@numba.njit(cache=True)
def lagrange_value(weights, profits, shares, upper, slope):  # type: ignore[no-untyped-def]
    """Upper bound on the worth for resource prices `weights`; fills `slope` with a subgradient."""
    resources = weights.shape[0]
    total = 0.0
    for r in range(resources):
        total += weights[r]
        slope[r] = 1.0
    for i in range(profits.shape[0]):
        reduced = profits[i]
        for r in range(resources):
            reduced -= weights[r] * shares[i, r]
        if reduced > 0.0:
            total += reduced * upper[i]
            for r in range(resources):
                slope[r] -= upper[i] * shares[i, r]
    return total


@numba.njit(cache=True)
def improve_weights(weights, profits, shares, upper, rounds):  # type: ignore[no-untyped-def]
    """Subgradient steps with a moving target level; leaves the best weights, returns their bound."""
    resources = weights.shape[0]
    slope = np.zeros(resources)
    kept_slope = np.zeros(resources)
    point = weights.copy()
    best = lagrange_value(point, profits, shares, upper, kept_slope)
    slope[:] = kept_slope
    value = best
    drop = 0.02
    since = 0
    for _ in range(rounds):
        length = 0.0
        for r in range(resources):
            length += slope[r] * slope[r]
        if length <= 1e-18:
            break
        pace = (value - best * (1.0 - drop)) / length
        for r in range(resources):
            point[r] = max(0.0, point[r] - pace * slope[r])
        value = lagrange_value(point, profits, shares, upper, slope)
        if value < best * (1.0 - 0.1 * drop):
            since = 0
        else:
            since += 1
        if value < best:
            best = value
            weights[:] = point
            kept_slope[:] = slope
        if since >= 3:
            drop *= 0.5
            since = 0
            point[:] = weights
            slope[:] = kept_slope
            value = best
            if drop < 1e-6:
                break
    return best


@numba.njit(cache=True)
def starting_weights(profits, shares, upper, weights):  # type: ignore[no-untyped-def]
    """Weights from the fractional knapsack in one mixed resource, over a few mixtures; keeps the best."""
    n, resources = shares.shape
    mixtures = 1 + resources + (6 if resources == 2 else 0)
    mix = np.zeros(resources)
    efficiency = np.zeros(n)
    trial = np.zeros(resources)
    slope = np.zeros(resources)
    best = np.inf
    for m in range(mixtures):
        for r in range(resources):
            if m == 0:
                mix[r] = 1.0 / resources
            elif m <= resources:
                mix[r] = 0.94 if r == m - 1 else 0.06 / max(1, resources - 1)
            else:
                mix[r] = (m - 2) / 7.0 if r == 0 else 1.0 - (m - 2) / 7.0
        for i in range(n):
            size = 0.0
            for r in range(resources):
                size += mix[r] * shares[i, r]
            efficiency[i] = profits[i] / max(size, 1e-15)
        order = np.argsort(-efficiency)
        rest = 1.0
        critical = 0.0
        for k in range(n):
            i = order[k]
            size = profits[i] / efficiency[i]
            critical = efficiency[i]
            rest -= size * upper[i]
            if rest <= 0.0:
                break
        if rest > 0.0:
            critical = 0.0
        for r in range(resources):
            trial[r] = critical * mix[r]
        value = lagrange_value(trial, profits, shares, upper, slope)
        if value < best:
            best = value
            weights[:] = trial
    return best


@numba.njit(cache=True)
def balanced_filling(p, w, u, source, ports, room, weights, count):  # type: ignore[no-untyped-def]
    """Fill `count` task by task, always the most worthy for the resources it takes, where a resource is the
    dearer the less of it is left; returns the worth. Uses both resources up where the order by efficiency alone
    runs out of one."""
    m, resources = w.shape
    rest = room.copy()
    taken = np.zeros(ports.shape[1], np.int64)
    scale = weights.sum()
    if scale <= 0.0:  # everything fits, so that no resource has a price; any price is valid in the search
        scale = 1.0
    worth = np.int64(0)
    open_shape = np.ones(m, np.bool_)
    while True:
        best = -1
        top = -1.0
        most = np.int64(0)
        for k in range(m):
            if not open_shape[k]:
                continue
            n = u[k] - count[k]
            size = 0.0
            for r in range(resources):
                if w[k, r] > 0:
                    n = min(n, rest[r] // w[k, r])
                    size += (weights[r] + 1e-3 * scale) * w[k, r] / max(rest[r], 1)
            for q in range(taken.shape[0]):
                if taken[q] & ports[source[k], q]:
                    n = 0
            if n <= 0:
                open_shape[k] = False
                continue
            score = p[k] / max(size, 1e-300)
            if score > top:
                top = score
                best = k
                most = n
        if best < 0:
            return worth
        n = max(1, most // 8)
        count[best] += n
        worth += n * p[best]
        for r in range(resources):
            rest[r] -= n * w[best, r]
        for q in range(taken.shape[0]):
            taken[q] |= ports[source[best], q]


@numba.njit(cache=True)
def best_pattern(worth, needs, upper, ports, fits, room, price, weights, node_limit, tolerance, pattern):  # type: ignore[no-untyped-def]
    """Fill `pattern` with the most worthy tasks for one instance; returns (worth, upper bound, nodes).

    Where the upper bound shows that nothing is worth more than `price`, the search is left out.

    `worth` (n) whole numbers, `upper` (n) most tasks a shape. `weights` (r) are a warm start, updated. The
    bound equals the worth where the search finished; it stops early within `tolerance` (relative) of the bound.
    """
    resources = needs.shape[1]
    pattern[:] = 0
    items = np.zeros(worth.shape[0], np.int64)
    m = 0
    for i in range(worth.shape[0]):
        if worth[i] > 0 and upper[i] > 0 and fits[i]:
            items[m] = i
            m += 1
    if m == 0:
        return 0, 0, 0
    profits = np.zeros(m)
    shares = np.zeros((m, resources))
    most = np.zeros(m, np.int64)
    for k in range(m):
        i = items[k]
        profits[k] = worth[i]
        most[k] = upper[i]
        for r in range(resources):
            if needs[i, r] > 0:
                shares[k, r] = needs[i, r] / room[r]
                most[k] = min(most[k], room[r] // needs[i, r])
    if weights.sum() <= 0.0:
        starting_weights(profits, shares, most, weights)
    bound = improve_weights(weights, profits, shares, most, 60 if node_limit >= 1000 else 12)
    if bound * (1.0 + _MARGIN) + 2.0 <= price:
        return 0, np.int64(np.floor(bound * (1.0 + _MARGIN) + 2.0)), 0

    efficiency = np.zeros(m)
    sizes = np.zeros(m)
    scale = weights.sum()
    if scale <= 0.0:  # everything fits, so that no resource has a price; any price is valid in the search
        scale = 1.0
    for k in range(m):
        size = 0.0
        for r in range(resources):
            size += (weights[r] + 1e-7 * scale) * shares[k, r]
        sizes[k] = max(size, 1e-300)
        efficiency[k] = profits[k] / sizes[k]
    order = np.argsort(-efficiency)
    # Sorted copies, and what the rest of the list can do at best.
    p = np.zeros(m, np.int64)
    w = np.zeros((m, resources), np.int64)
    s = np.zeros(m)
    u = np.zeros(m, np.int64)
    source = np.zeros(m, np.int64)
    for k in range(m):
        source[k] = items[order[k]]
        p[k] = worth[source[k]]
        u[k] = most[order[k]]
        s[k] = sizes[order[k]]
        for r in range(resources):
            w[k, r] = needs[source[k], r]
    per_unit = np.zeros((m + 1, resources))
    least = np.full((m + 1, resources), np.int64(2**62))
    for k in range(m - 1, -1, -1):
        for r in range(resources):
            best_here = p[k] / w[k, r] if w[k, r] > 0 else np.inf
            per_unit[k, r] = max(per_unit[k + 1, r], best_here)
            least[k, r] = min(least[k + 1, r], w[k, r])
    weight_of = np.zeros(resources)
    for r in range(resources):
        weight_of[r] = (weights[r] + 1e-7 * scale) / room[r] if room[r] > 0 else 0.0

    words = ports.shape[1]
    taken = np.zeros(words, np.int64)
    rest = room.copy()
    count = np.zeros(m, np.int64)
    best = np.int64(0)
    value = np.int64(0)
    nodes = 0
    stop_at = (1.0 - tolerance) * bound
    finished = True
    if m > 1 and m <= _MOST_BALANCED and resources > 1 and node_limit >= 200:
        best = balanced_filling(p, w, u, source, ports, room, weights, count)
        for j in range(m):
            pattern[source[j]] = count[j]
        count[:] = 0
        if best >= stop_at:
            return best, max(best, np.int64(np.floor(bound * (1.0 + _MARGIN) + 2.0))), 0
    k = 0
    while True:
        # Go down: take as many as fit, while the rest of the list can still beat the best.
        while k < m:
            limit = np.inf
            room_left = True
            for r in range(resources):
                if rest[r] < least[k, r]:
                    room_left = False
                    break
                if per_unit[k, r] < np.inf:
                    limit = min(limit, rest[r] * per_unit[k, r])
            if not room_left:
                break
            free = 0.0
            for r in range(resources):
                free += weight_of[r] * rest[r]
            # Fractional filling of the mixed resource from k on.
            fractional = 0.0
            j = k
            while j < m and free > 0.0:
                most_j = u[j] * s[j]
                if most_j <= free:
                    fractional += p[j] * u[j]
                    free -= most_j
                else:
                    fractional += p[j] * (free / s[j])
                    free = 0.0
                j += 1
            limit = min(limit, fractional)
            if value + np.floor(limit * (1.0 + _MARGIN) + 1e-3) <= best:
                k = m + 1
                break
            n = u[k]
            for r in range(resources):
                if w[k, r] > 0:
                    n = min(n, rest[r] // w[k, r])
            if n > 0 and words > 0:
                for q in range(words):
                    if taken[q] & ports[source[k], q]:
                        n = 0
            if n > 0:
                count[k] = n
                value += n * p[k]
                for r in range(resources):
                    rest[r] -= n * w[k, r]
                for q in range(words):
                    taken[q] |= ports[source[k], q]
            k += 1
        nodes += 1
        if value > best:
            best = value
            pattern[:] = 0
            for j in range(m):
                pattern[source[j]] = count[j]
            if best >= stop_at:
                finished = False
                break
        if nodes >= node_limit:
            finished = False
            break
        # Go back: one task less of the last shape taken.
        k = min(k, m) - 1
        while k >= 0 and count[k] == 0:
            k -= 1
        if k < 0:
            break
        count[k] -= 1
        value -= p[k]
        for r in range(resources):
            rest[r] += w[k, r]
        if count[k] == 0:
            for q in range(words):
                taken[q] &= ~ports[source[k], q]
        k += 1
    if finished:
        return best, best, nodes
    return best, max(best, np.int64(np.floor(bound * (1.0 + _MARGIN) + 2.0))), nodes


@numba.njit(cache=True)
def price_types(worth, needs, upper, ports, fits, rooms, prices, weights, node_limit, tolerance, patterns, found):  # type: ignore[no-untyped-def]
    """`best_pattern` for every type: fills `patterns` (t, n) and `found` (t, 2) with worth and upper bound."""
    for t in range(rooms.shape[0]):
        value, bound, _ = best_pattern(
            worth, needs, upper, ports, fits[:, t], rooms[t], prices[t], weights[t], node_limit, tolerance,
            patterns[t],
        )  # fmt: skip
        found[t, 0] = value
        found[t, 1] = bound


@numba.njit(cache=True)
def price_sequence(worth, needs, left, most, ports, fits, room, price, weights, node_limit, patterns):  # type: ignore[no-untyped-def]
    """Patterns for one type after another, each from the tasks that the ones before left over.

    Fills rows of `patterns` while they are worth more than `price`; returns how many.
    """
    rest = left.copy()
    upper = np.zeros(rest.shape[0], np.int64)
    for row in range(patterns.shape[0]):
        for i in range(rest.shape[0]):
            upper[i] = min(rest[i], most[i])
        value, _, _ = best_pattern(
            worth, needs, upper, ports, fits, room, price, weights, node_limit, 1e-3, patterns[row]
        )
        if value <= price:
            return row
        times = np.int64(2**62)
        for i in range(rest.shape[0]):
            if patterns[row, i] > 0:
                times = min(times, rest[i] // patterns[row, i])
        for i in range(rest.shape[0]):
            rest[i] -= times * patterns[row, i]
    return patterns.shape[0]
