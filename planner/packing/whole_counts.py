"""What whole instances of a few types must cost at least, whatever is packed on them.

With dual prices, fleets of counts x can hold tasks worth d only where worth @ x >= d. Few types and few
instances make that a small covering problem in whole numbers, which branch and bound solves in microseconds.
"""

from __future__ import annotations

import numba
import numpy as np

MOST_TYPES = 4
MOST_WAYS = 6
"""Types, and ways to have them in all, above which the search is not worth its time."""


@numba.njit(cache=True)
def _broken_cost(rest, best_ratio, k):  # type: ignore[no-untyped-def]
    """What covering `rest` with broken instances of the types from k on costs at least."""
    least = 0.0
    for c in range(rest.shape[0]):
        if rest[c] > 0.0:
            least = max(least, rest[c] * best_ratio[k, c])
    return least


@numba.njit(cache=True)
def least_whole_cost(prices, worth, demand, limit, most_nodes):  # type: ignore[no-untyped-def]
    """USD per hour of the cheapest whole counts with worth @ counts >= demand; at least `limit` where that is
    not below it.

    `prices` (types), `worth` (cuts, types), `demand` (cuts). After `most_nodes` nodes the answer is what broken
    instances cost.
    """
    types = prices.shape[0]
    cuts = demand.shape[0]
    order = np.argsort(-prices)
    ratio = np.full((types + 1, cuts), np.inf)
    for k in range(types - 1, -1, -1):
        t = order[k]
        for c in range(cuts):
            own = prices[t] / worth[c, t] if worth[c, t] > 0.0 else np.inf
            ratio[k, c] = min(own, ratio[k + 1, c])
    rest = np.zeros((types + 1, cuts))
    rest[0] = demand
    spent = np.zeros(types + 1)
    count = np.zeros(types, np.int64)
    root = _broken_cost(rest[0], ratio, 0)
    best = limit
    nodes = 0
    k = 0
    while True:
        nodes += 1
        if nodes > most_nodes:
            return root
        t = order[k]
        spent[k + 1] = spent[k] + prices[t] * count[k]
        for c in range(cuts):
            rest[k + 1, c] = rest[k, c] - worth[c, t] * count[k]
        least = _broken_cost(rest[k + 1], ratio, k + 1)
        covered = True
        for c in range(cuts):
            if rest[k + 1, c] > 1e-9 * demand[c]:
                covered = False
        if covered:
            best = min(best, spent[k + 1])
        elif k + 1 < types and spent[k + 1] + least < best * (1.0 - 1e-9):
            k += 1
            count[k] = _first_count(worth, rest[k], order, k, types)
            continue
        if covered or spent[k + 1] + prices[t] >= best:
            k -= 1
            if k < 0:
                return best
        count[k] += 1


@numba.njit(cache=True)
def _first_count(worth, rest, order, k, types):  # type: ignore[no-untyped-def]
    """Where to start counting: at once at what is needed for the last type, else at 0."""
    if k < types - 1:
        return 0
    most = 0.0
    for c in range(rest.shape[0]):
        if rest[c] > 0.0:
            if worth[c, order[k]] <= 0.0:
                return 1 << 40
            most = max(most, rest[c] / worth[c, order[k]])
    return int(np.ceil(most * (1.0 - 1e-9)))


@numba.njit(cache=True)
def least_whole_costs(sets, prices, worth, demand, limit, most_nodes, out):  # type: ignore[no-untyped-def]
    """`least_whole_cost` of every set (rows of type numbers, repeated where fewer); changes `out`."""
    for s in range(sets.shape[0]):
        chosen = np.unique(sets[s])
        out[s] = least_whole_cost(
            prices[chosen], np.ascontiguousarray(worth[:, chosen]), demand, limit, most_nodes
        )
