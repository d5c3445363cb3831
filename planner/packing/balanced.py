"""A whole fleet from the fluid relaxation: the instances it asks for, filled side by side.

Where many tasks share an instance, whole fillings of thousands of shapes need no search: every type gets the tasks
that the fluid relaxation gives it, large ones first, each on the emptiest instance. Small tasks then even out what
large ones left, in all resources at once, which filling one instance after the other cannot do, because it spends
the small tasks early.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from planner.packing.balanced_kernels import fill_evenly
from planner.packing.clock import Deadline
from planner.packing.fluid import FluidPlan, fluid_plan
from planner.packing.greedy import Fleet, greedy_fleet
from planner.packing.residual import Residual
from planner.packing.shapes import Shapes

_WASTE: Final = 0.1
"""What an instance leaves empty, in tasks of average size, about: types that hold few tasks count as dearer."""
_FINEST: Final = 8.0
"""Finer proportions of the needs change the bound by less than 0.001 %, and the fleet not for the better."""
_MOST_STEPS: Final = 6
"""What finds no instance is planned anew, so often at most."""
_SIDE_BY_SIDE: Final = 1_000
"""Instances filled at once: the time grows with tasks times instances."""


def balanced_fleet(shapes: Shapes, demand: Any, stock: Any, deadline: Deadline) -> tuple[Fleet, Any]:
    """Pack `demand` (tasks a shape) with at most `stock` instances a type; returns the fleet and what is left."""
    rest = Residual(shapes, demand, stock)
    worth = shapes.needs @ (1.0 / np.maximum(shapes.rooms.mean(axis=0), 1.0))
    for _ in range(_MOST_STEPS):
        if deadline.passed() or not rest.left.any():
            break
        plan = _plan(rest, deadline)
        if plan is None:
            break
        worth = plan.worth
        if not _buy_planned(rest, plan, deadline):
            break
    fleet, left = greedy_fleet(shapes.with_limits(rest.stock), rest.left, worth)
    for (t, pattern), count in fleet.items():
        rest.fleet[t, pattern] = rest.fleet.get((t, pattern), 0) + count
    return rest.fleet, left


def _plan(rest: Residual, deadline: Deadline) -> FluidPlan | None:
    """Where the tasks left should go, if instances with few tasks waste room."""
    shapes = rest.shapes
    some = np.flatnonzero(rest.left)
    left = rest.left[some]
    task = (left @ shapes.needs[some]) / left.sum()
    dearer = 1.0 + _WASTE * (task / np.maximum(shapes.rooms, 1)).max(axis=1)
    plan = fluid_plan(shapes.part(some).with_limits(rest.stock), left, deadline, dearer=dearer, finest=_FINEST)
    if plan is None:
        return None
    shares = np.zeros((shapes.count, len(shapes.offers)))
    shares[some] = plan.shares
    worth = np.zeros(shapes.count)
    worth[some] = plan.worth
    return FluidPlan(plan.instances, shares, plan.prices, worth)


def _buy_planned(rest: Residual, plan: FluidPlan, deadline: Deadline) -> bool:
    """Buy the whole instances of the plan; True where there were any."""
    tasks = _whole_shares(rest.left, plan.shares)
    bought = False
    for t in np.argsort(-plan.instances, kind="stable").tolist():
        count = int(min(plan.instances[t] + 1e-6, rest.stock[t]))
        for start in range(0, count, _SIDE_BY_SIDE):
            if deadline.passed():
                return bought
            some = min(_SIDE_BY_SIDE, count - start)
            # A fair sample of the tasks for these instances; what one lot leaves goes to the next.
            here = -(-tasks[:, t] * some // (count - start))
            tasks[:, t] -= here
            tasks[:, t] += here - _fill(rest, t, some, here, plan.prices[t])
            bought = True
    return bought


def _whole_shares(left: Any, shares: Any) -> Any:
    """(n, t) whole tasks a type by largest remainders."""
    exact = left[:, None] * shares
    whole = np.floor(exact + 1e-9).astype(np.int64)
    order = np.argsort(-(exact - whole), axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable")
    return whole + (rank < (left - whole.sum(axis=1))[:, None])


def _fill(rest: Residual, t: int, count: int, tasks: Any, prices: Any) -> Any:
    """Buy `count` instances of type t for `tasks` (n); returns how many tasks of each shape they hold."""
    shapes = rest.shapes
    room = shapes.rooms[t]
    order = np.argsort(-(shapes.needs / np.maximum(room, 1)).max(axis=1), kind="stable")
    where = np.full(int(tasks.sum()), -1, np.int64)
    weight = prices * room
    load = np.zeros((count, len(room)), np.int64)
    fill_evenly(
        order, shapes.needs, tasks, shapes.most, shapes.ports, room,
        weight + 0.01 * max(float(weight.sum()), 1e-300), load, where,
    )  # fmt: skip
    shape = np.repeat(order, tasks[order])[where >= 0]
    pairs, numbers = np.unique(where[where >= 0] * shapes.count + shape, return_counts=True)
    bins, members = pairs // shapes.count, pairs % shapes.count
    starts = np.flatnonzero(np.diff(bins, prepend=-1))
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(bins)], strict=True):
        pattern = tuple(zip(members[start:end].tolist(), numbers[start:end].tolist(), strict=True))
        rest.buy(t, pattern, 1)
    return np.bincount(shape, minlength=shapes.count)
