"""Local search: empty a few instances, fill new ones with their tasks, keep what is cheaper (numba).

The fleet is sparse: instance b has type `kind[b]` and `size[b]` entries (`shape[b, k]`, `number[b, k]`).
Worth a task (`value`, USD) comes from the duals, so the worth of the tasks that are still to be placed bounds
what they cost, and most trials end early.
"""

from __future__ import annotations

import numba
import numpy as np

from planner.packing.knapsack_kernels import best_pattern
from planner.packing.scheduler_kernels import next_random


@numba.njit(cache=True)
def _worth_of(b, shape, number, size, value):  # type: ignore[no-untyped-def]
    total = 0.0
    for k in range(size[b]):
        total += value[shape[b, k]] * number[b, k]
    return total


@numba.njit(cache=True)
def _pick(chosen, wanted, bins, kind, shape, number, size, value, prices, rng):  # type: ignore[no-untyped-def]
    """`wanted` different instances: the first a wasteful one, the others any, one more of them wasteful."""
    got = 0
    tries = 0
    while got < wanted and tries < 20 * wanted:
        tries += 1
        best = next_random(rng, bins)
        if got == 0 or got == 2:
            waste = 1.0 - _worth_of(best, shape, number, size, value) / prices[kind[best]]
            for _ in range(5):
                other = next_random(rng, bins)
                rival = 1.0 - _worth_of(other, shape, number, size, value) / prices[kind[other]]
                if rival > waste:
                    waste = rival
                    best = other
        new = True
        for k in range(got):
            if chosen[k] == best:
                new = False
        if new:
            chosen[got] = best
            got += 1
    return got


@numba.njit(cache=True)
def _refill(  # type: ignore[no-untyped-def]
    active, needs, most, ports, fits, rooms, prices, exact, value, left, stock, types, limit, node_limit, noise,
    rng, weights, out_kind, out_pattern,
):  # fmt: skip
    """Fill instances for `left` (over the `active` shapes) below the cost `limit`; returns how many, or -1."""
    m = active.shape[0]
    worth = np.zeros(m, np.int64)
    upper = np.zeros(m, np.int64)
    pattern = np.zeros(m, np.int64)
    best = np.zeros(m, np.int64)
    spent = 0.0
    rest = 0.0
    for j in range(m):
        rest += value[active[j]] * left[j]
        shake = 1.0 + noise * (next_random(rng, 2001) - 1000) / 1000.0
        worth[j] = max(1, np.int64(value[active[j]] * exact * shake))
    made = 0
    while True:
        open_tasks = False
        for j in range(m):
            upper[j] = min(left[j], most[active[j]])
            if left[j] > 0:
                open_tasks = True
        if not open_tasks:
            return made
        if spent + rest >= limit or made >= out_kind.shape[0]:
            return -1
        top = -1.0
        chosen = -1
        for k in range(types.shape[0]):
            t = types[k]
            if stock[t] <= 0 or spent + prices[t] >= limit:
                continue
            floor = np.int64(0) if top < 0.0 else np.int64(top * prices[t] * 0.999999)
            got, _, _ = best_pattern(
                worth, needs[active], upper, ports[active], fits[active, t], rooms[t], floor, weights[t],
                node_limit, 1e-4, pattern,
            )  # fmt: skip
            if got > 0 and got / prices[t] > top:
                top = got / prices[t]
                chosen = t
                best[:] = pattern
        if chosen < 0:
            return -1
        out_kind[made] = chosen
        out_pattern[made, :m] = best
        made += 1
        stock[chosen] -= 1
        spent += prices[chosen]
        for j in range(m):
            left[j] -= best[j]
            rest -= value[active[j]] * best[j]


@numba.njit(cache=True)
def repack(  # type: ignore[no-untyped-def]
    bins, kind, shape, number, size, needs, most, ports, fits, rooms, prices, value, exact, stock, pool, rounds,
    most_taken, node_limit, weights, rng,
):  # fmt: skip
    """`rounds` trials, fewer where the rows for more instances run out; changes the fleet in place, returns
    (instances, USD saved)."""
    saved = 0.0
    width = shape.shape[1]
    chosen = np.zeros(most_taken, np.int64)
    slot = np.full(needs.shape[0], -1, np.int64)
    out_kind = np.zeros(most_taken + 2, np.int64)
    for _ in range(rounds):
        if bins < 2 or bins + out_kind.shape[0] > kind.shape[0]:
            break
        wanted = min(bins, 2 + next_random(rng, most_taken - 1))
        taken = _pick(chosen, wanted, bins, kind, shape, number, size, value, prices, rng)
        # The tasks of the chosen instances, by shape.
        m = 0
        old_cost = 0.0
        old_square = 0.0
        entries = 0
        for c in range(taken):
            entries += size[chosen[c]]
        active = np.zeros(entries, np.int64)
        left = np.zeros(entries, np.int64)
        for c in range(taken):
            b = chosen[c]
            old_cost += prices[kind[b]]
            fill = _worth_of(b, shape, number, size, value) / prices[kind[b]]
            old_square += fill * fill
            stock[kind[b]] += 1
            for k in range(size[b]):
                i = shape[b, k]
                if slot[i] < 0:
                    slot[i] = m
                    active[m] = i
                    m += 1
                left[slot[i]] += number[b, k]
        for j in range(m):
            slot[active[j]] = -1
        active = active[:m]
        left = left[:m]
        types = pool
        if pool.shape[0] > 10:
            # A few of the types, always with those just given back.
            types = np.zeros(8 + taken, np.int64)
            for k in range(8):
                types[k] = pool[next_random(rng, pool.shape[0])]
            for c in range(taken):
                types[8 + c] = kind[chosen[c]]
        patterns = np.zeros((out_kind.shape[0], m), np.int64)
        noise = 0.0 if next_random(rng, 4) == 0 else 0.02 + 0.1 * next_random(rng, 100) / 100.0
        made = _refill(
            active, needs, most, ports, fits, rooms, prices, exact, value, left, stock.copy(), types,
            old_cost * (1.0 + 1e-12), node_limit, noise, rng, weights, out_kind, patterns,
        )  # fmt: skip
        keep = made >= 0
        new_cost = 0.0
        new_square = 0.0
        if keep:
            for q in range(made):
                new_cost += prices[out_kind[q]]
                fill = 0.0
                kinds = 0
                for j in range(m):
                    fill += value[active[j]] * patterns[q, j]
                    kinds += 1 if patterns[q, j] > 0 else 0
                if kinds > width:
                    keep = False
                fill /= prices[out_kind[q]]
                new_square += fill * fill
            if new_cost > old_cost * (1.0 - 1e-12) and (
                made > taken or new_square < old_square - 0.02 * (next_random(rng, 10) == 0)
            ):
                keep = False
        if not keep:
            for c in range(taken):
                stock[kind[chosen[c]]] -= 1
            continue
        for q in range(made):
            stock[out_kind[q]] -= 1
        saved += old_cost - new_cost
        # Write the new instances over the old ones; close gaps from the end.
        for q in range(made):
            b = chosen[q] if q < taken else bins + q - taken
            kind[b] = out_kind[q]
            size[b] = 0
            for j in range(m):
                if patterns[q, j] > 0:
                    shape[b, size[b]] = active[j]
                    number[b, size[b]] = patterns[q, j]
                    size[b] += 1
        if made > taken:
            bins += made - taken
        elif made < taken:
            gone = np.sort(chosen[made:taken])
            for g in range(gone.shape[0] - 1, -1, -1):
                last = bins - 1
                b = gone[g]
                if b != last:
                    kind[b] = kind[last]
                    size[b] = size[last]
                    for k in range(size[last]):
                        shape[b, k] = shape[last, k]
                        number[b, k] = number[last, k]
                bins -= 1
    return bins, saved
