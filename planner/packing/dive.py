"""From the fractional answer to whole instances: fix what is whole, round up the most certain, solve again."""

from __future__ import annotations

from typing import Any

import numpy as np

from planner.packing.clock import Deadline
from planner.packing.greedy import Fleet, greedy_fleet
from planner.packing.master import Master
from planner.packing.priced_greedy import priced_greedy
from planner.packing.pricing import Pricing, as_column
from planner.packing.residual import Residual

_WHOLE = 1e-6


def dive(
    master: Master,
    pricing: Pricing,
    demand: Any,
    stock: Any,
    deadline: Deadline,
    *,
    batch: float = 0.1,
    rounds: int = 12,
) -> tuple[Fleet, Any]:
    """Pack `demand` following the master; returns the fleet and what found no instance.

    After each rounding the master is solved for what is left, with new patterns made for it. `batch` is the
    share of the instances still needed that one step may round up.
    """
    rest = Residual(pricing.shapes, demand, stock)
    while rest.left.any():
        master.set_demand(rest.left, rest.stock)
        if deadline.passed() or not _solve_with_new_patterns(master, pricing, rest, deadline, rounds):
            break
        counts = master.counts.copy()
        wanted = max(1, int(batch * counts.sum()))
        bought = _buy_whole(master, rest, counts)
        bought += _buy_most_certain(master, rest, counts, wanted - bought)
        if not bought:
            break
    priced_greedy(pricing, rest, np.maximum(pricing.scale.whole(master.duals), 1), deadline)
    _fill_quickly(pricing, rest, master.duals)
    return rest.fleet, rest.left


def _fill_quickly(pricing: Pricing, rest: Residual, worth: Any) -> None:
    """Whatever is left when time is up goes where first fit puts it."""
    if not rest.left.any():
        return
    fleet, _ = greedy_fleet(pricing.shapes.with_limits(rest.stock), rest.left, worth)
    for (t, pattern), count in fleet.items():
        rest.buy(t, pattern, count)


def _solve_with_new_patterns(
    master: Master, pricing: Pricing, rest: Residual, deadline: Deadline, rounds: int
) -> bool:
    """Solve the master for what is left, adding patterns made for it until none pays or `rounds` are over."""
    shapes = pricing.shapes
    for _ in range(rounds):
        if deadline.passed() or not master.solve(deadline):
            return False
        worth = pricing.scale.whole(master.duals)
        found = pricing.price(worth, rest.left, 2_000, 1e-4)
        ratio = np.where(rest.stock > 0, found[:, 0] / pricing.prices, 0.0)
        best = np.argsort(-ratio, kind="stable")
        added = 0
        for t in best[:6].tolist():
            if pricing.patterns[t] @ master.duals > shapes.prices[t] * (1.0 + 1e-5):
                added += master.add(as_column(t, pricing.patterns[t]))
        if not added:
            return True
        for pattern in pricing.sequence(int(best[0]), worth, rest.left, 20, 300):
            master.add(as_column(int(best[0]), pattern))
    return master.solve(deadline)


def _buy_whole(master: Master, rest: Residual, counts: Any) -> int:
    """Buy every column as often as its count is whole, and leave the fractions in `counts`."""
    bought = 0
    for k in np.flatnonzero(counts >= 1.0 - _WHOLE).tolist():
        t, pattern = master.columns[k]
        times = min(int(counts[k] + _WHOLE), rest.times_possible(t, pattern))
        if times > 0:
            rest.buy(t, pattern, times)
            counts[k] -= times
            bought += times
    return bought


def _buy_most_certain(master: Master, rest: Residual, counts: Any, most: int) -> int:
    """Round up the columns with the largest fractions, `most` at most, that still fill their instance well."""
    bought = 0
    for k in np.argsort(-counts, kind="stable").tolist():
        if bought >= most or counts[k] <= _WHOLE:
            break
        t, pattern = master.columns[k]
        cut = rest.cut(pattern)
        if rest.stock[t] <= 0 or not cut or (bought and cut != pattern):
            continue
        rest.buy(t, cut, 1)
        bought += 1
    return bought
