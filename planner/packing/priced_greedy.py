"""A fleet from the pricing problem alone: instance after instance, the best filling for what is left.

Better than first fit where tasks are small against instances, because each filling is a solved knapsack; and
its patterns are good first columns for the master.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from planner.packing.clock import Deadline
from planner.packing.pricing import Pricing
from planner.packing.residual import Residual

_LOOK_AGAIN = 12
"""After so many instances of the leading type, the other types are asked again."""


def priced_greedy(pricing: Pricing, rest: Residual, worth: Any, deadline: Deadline, nodes: int = 200) -> None:
    """Buy instances for all of `rest` with `worth` (n, whole numbers) until nothing fits or time is up."""
    leader, uses, standard = -1, 0, 0.0
    while rest.left.any() and not deadline.passed():
        upper = np.minimum(rest.left, pricing.shapes.most)
        ratio, t, pattern = -1.0, -1, None
        if leader >= 0 and uses < _LOOK_AGAIN:
            ratio, t, pattern = _best_of([leader], pricing, rest, worth, upper, nodes)
            uses += 1
        if ratio < 0.999 * standard or pattern is None:
            ratio, t, pattern = _best_of(range(len(pricing.shapes.offers)), pricing, rest, worth, upper, nodes)
            leader, uses, standard = t, 0, ratio
        if pattern is None:
            return
        used = np.flatnonzero(pattern)
        pairs = tuple(zip(used.tolist(), pattern[used].tolist(), strict=True))
        rest.buy(t, pairs, rest.times_possible(t, pairs))


def _best_of(
    types: Any, pricing: Pricing, rest: Residual, worth: Any, upper: Any, nodes: int
) -> tuple[float, int, Any]:
    best, chosen, pattern = 0.0, -1, None
    for t in types:
        if rest.stock[t] <= 0:
            continue
        price = int(pricing.prices[t])
        value, found = pricing.one(t, worth, upper, int(best * price), nodes)
        if value > best * price:
            best, chosen, pattern = value / price, t, found.copy()
    return best, chosen, pattern
