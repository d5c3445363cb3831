"""Solving the worst filled instances of a fleet again, all of them together, as a problem of their own.

A fleet of many tasks that was filled side by side is nearly full but for its last instances, which hold what was
left. A few hundred tasks of those are a small problem, which column generation solves to within a few
hundredths of its bound.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from planner.packing.clock import Deadline
from planner.packing.dive import dive
from planner.packing.generate import generate
from planner.packing.greedy import Fleet, fleet_cost
from planner.packing.repack import improve
from planner.packing.shapes import Shapes
from planner.packing.variants import UNLIMITED

_MOST_TASKS: Final = 800
_MOST_SHAPES: Final = 150
_MOST_POOLS: Final = 4
_TRIALS: Final = 500
"""Of repacking a pool."""
_WORTH_GOING_ON: Final = 3e-5
"""What a pool must save at least, relative to the fleet's cost, for another one to be tried."""


def polished(fleet: Fleet, shapes: Shapes, worth: Any, deadline: Deadline) -> Fleet:
    """The fleet with its worst filled instances packed anew, as long as that is cheaper. `worth` (n) USD."""
    if shapes.count <= _MOST_SHAPES:
        return fleet  # a problem this small is solved by column generation as a whole
    cost = fleet_cost(fleet, shapes)
    for _ in range(_MOST_POOLS):
        if deadline.passed():
            break
        fleet = _packed_again(fleet, shapes, worth, deadline)
        saved, cost = cost - fleet_cost(fleet, shapes), fleet_cost(fleet, shapes)
        if saved < _WORTH_GOING_ON * cost:
            break
    return fleet


def _packed_again(fleet: Fleet, shapes: Shapes, worth: Any, deadline: Deadline) -> Fleet:
    taken = _worst(fleet, shapes, worth)
    tasks = np.zeros(shapes.count, np.int64)
    rest, stock = dict(fleet), shapes.limits.copy()
    for column, count in taken.items():
        rest[column] -= count
        for i, n in column[1]:
            tasks[i] += n * count
    for (t, _), count in rest.items():
        stock[t] -= count if stock[t] < UNLIMITED else 0
    chosen = np.flatnonzero(tasks)
    if len(chosen) == 0:
        return fleet
    part = shapes.part(chosen).with_limits(stock)
    state = generate(part, tasks[chosen], deadline.share(0.5), max_rounds=60, enough=1e-3, thorough=False)
    packed, left = dive(state.master, state.pricing, tasks[chosen], stock, deadline, batch=0.3, rounds=1)
    packed = improve(
        packed, part.with_limits(stock), state.worth(), np.arange(len(part.offers)), deadline,
        seed=0, good_enough=0.0, most_rounds=_TRIALS,
    )  # fmt: skip
    if left.any() or fleet_cost(packed, part) >= fleet_cost(taken, shapes) * (1.0 - 1e-12):
        return fleet
    for (t, pattern), count in packed.items():
        whole = t, tuple((int(chosen[i]), n) for i, n in pattern)
        rest[whole] = rest.get(whole, 0) + count
    return {column: count for column, count in rest.items() if count}


def _worst(fleet: Fleet, shapes: Shapes, worth: Any) -> Fleet:
    """The instances whose tasks are worth the least for their price, until they hold many tasks or shapes."""
    columns = sorted(fleet)
    fill = [sum(worth[i] * n for i, n in pattern) / shapes.prices[t] for t, pattern in columns]
    taken: Fleet = {}
    tasks, kinds = 0, set[int]()
    for k in np.argsort(fill, kind="stable").tolist():
        held = sum(n for _, n in columns[k][1])
        kinds |= {i for i, _ in columns[k][1]}
        count = min(fleet[columns[k]], (_MOST_TASKS - tasks) // held)
        if count == 0 or len(kinds) > _MOST_SHAPES:
            break
        taken[columns[k]] = count
        tasks += count * held
    return taken
