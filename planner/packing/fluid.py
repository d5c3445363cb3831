"""The fluid relaxation: tasks poured like water, every type with prices of its own for its resources.

One price a resource for all types (`bound.resource_prices`) proves less where the tasks do not mix freely: where
few tasks need much memory a CPU unit, instances with as much memory cannot be filled, although the sums of all
needs would fill them. Here a task is worth the least of what its needs cost on the types that it fits on, and
the room of every type is worth the type's price at most. So no filling is worth more than its instance, and the
worth of all tasks is a bound. The primal answer tells which share of each shape belongs on which type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from planner.packing.clock import Deadline
from planner.packing.master import quiet_highs, run_within
from planner.packing.shapes import Shapes
from planner.packing.variants import UNLIMITED

_STEPS: Final = (20.0, 8.0, 3.0)
"""Shapes that fit on the same types and whose needs have nearly the same proportions are poured as one: those
within a step of 1/20, coarser where that leaves too many."""
_MOST_PAIRS: Final = 30_000
"""Of a group of shapes and a type: one variable of the linear program each."""
_BELOW = 1.0 - 1e-10
"""So that the worth of a room stays below the price however its sum is rounded."""


@dataclass(frozen=True)
class FluidPlan:
    """Over shapes (n), types (t) and resources (r)."""

    instances: Any
    """(t) how many of each type, fractional."""
    shares: Any
    """(n, t) which share of a shape's tasks goes to which type."""
    prices: Any
    """(t, r) USD a unit of the resource on an instance of the type."""
    worth: Any
    """(n) USD a task: the least that its needs cost on a type that it fits on."""


def fluid_plan(
    shapes: Shapes, demand: Any, deadline: Deadline, *, dearer: Any = 1.0, finest: float = _STEPS[0]
) -> FluidPlan | None:
    """Pour `demand` (tasks a shape) at the least cost; None where the solver has no answer in time or max_count
    leaves tasks without a type. `dearer` (t) multiplies the prices; `finest` is the step to group shapes by.

    The answer is not a corner of the linear program but from its middle, where every type gets small tasks as
    well as large ones.
    """
    unit = np.maximum(shapes.rooms.max(axis=0), 1).astype(np.float64)
    group, poured = _grouped(shapes, demand, unit, finest)
    fits = shapes.fits[np.unique(group, return_index=True)[1]]
    rooms, prices = shapes.rooms / unit, shapes.prices * dearer
    answer = _solved(poured, fits, rooms, prices / prices.max(), shapes.limits, deadline)
    if answer is None:
        return None
    instances, shares, each = answer
    each = np.maximum(each, 0.0) * prices.max()
    worth_of_room = (each * rooms).sum(axis=1)
    free = (shapes.limits >= UNLIMITED) & (worth_of_room > 0.0)
    each[free] *= (prices[free] / worth_of_room[free] * _BELOW)[:, None]
    each /= unit
    worth = np.where(shapes.fits, shapes.needs @ each.T, np.inf).min(axis=1)
    return FluidPlan(instances, shares[group], each, worth)


def _grouped(shapes: Shapes, demand: Any, unit: Any, finest: float) -> tuple[Any, Any]:
    """(n) the group of each shape, and (groups, r) what the tasks of each group need."""
    share = shapes.needs / unit
    proportion = np.log(np.maximum(share / np.maximum(share.max(axis=1, keepdims=True), 1e-300), 1e-6))
    for step in [step for step in _STEPS if step <= finest]:
        key = np.hstack([np.round(proportion * step).astype(np.int64), shapes.fits])
        _, group = np.unique(key, axis=0, return_inverse=True)
        group = group.reshape(-1)
        if (int(group.max()) + 1) * len(shapes.offers) <= _MOST_PAIRS:
            break
    poured = np.zeros((int(group.max()) + 1, share.shape[1]))
    np.add.at(poured, group, share * demand[:, None])
    return group, poured


def _solved(
    poured: Any, fits: Any, rooms: Any, prices: Any, limits: Any, deadline: Deadline
) -> tuple[Any, Any, Any] | None:
    """Instances (t), shares (groups, t) and prices (t, r) of the least cost."""
    solver, infinity = quiet_highs()
    (groups, resources), types = poured.shape, len(prices)
    rows = groups + types * resources
    none = np.zeros(0, np.int32)
    lower = np.concatenate([np.ones(groups), np.full(types * resources, -infinity)])
    upper = np.concatenate([np.full(groups, infinity), np.zeros(types * resources)])
    solver.addRows(rows, lower, upper, 0, np.zeros(rows, np.int32), none, none.astype(np.float64))
    room_row = groups + np.arange(types * resources).reshape(types, resources)
    most = np.where(limits < UNLIMITED, limits, infinity).astype(np.float64)
    _add_columns(solver, prices, most, room_row, -rooms)
    g, t = np.nonzero(fits)
    index, used = np.hstack([g[:, None], room_row[t]]), np.hstack([np.ones((len(g), 1)), poured[g]])
    _add_columns(solver, np.zeros(len(g)), np.full(len(g), infinity), index, used)
    solver.setOptionValue("solver", "ipm")
    solver.setOptionValue("run_crossover", "off")
    if not run_within(solver, deadline):
        return None
    answer = solver.getSolution()
    values, duals = np.array(answer.col_value), np.array(answer.row_dual)
    shares = np.zeros((groups, types))
    shares[g, t] = np.maximum(values[types:], 0.0)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-300)
    return values[:types], shares, -duals[groups:].reshape(types, resources)


def _add_columns(solver: Any, costs: Any, upper: Any, index: Any, values: Any) -> None:
    """Columns with equally many entries each: (columns, entries) rows and values."""
    count, entries = index.shape
    starts = np.arange(0, count * entries, entries, dtype=np.int32)
    solver.addCols(
        count, np.asarray(costs, np.float64), np.zeros(count), upper, count * entries, starts,
        index.reshape(-1).astype(np.int32), np.ascontiguousarray(values, np.float64).reshape(-1),
    )  # fmt: skip
