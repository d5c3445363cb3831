"""Small problems solved outright: every full filling of every type, and an integer program over them (HiGHS).

Where few tasks fit on an instance, or there are few tasks, the fillings can be counted. The linear program over
them is then exact, and what branch and bound proves about whole numbers is a bound too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numba
import numpy as np

from planner.packing.bound import rounded_up
from planner.packing.clock import Deadline
from planner.packing.greedy import Fleet
from planner.packing.master import quiet_highs, run_within
from planner.packing.residual import Residual
from planner.packing.shapes import Shapes
from planner.packing.variants import UNLIMITED

_MOST_FILLINGS: Final = 1_000
_MOST_SHAPES: Final = 40
_NODES: Final = 60
_MARGIN: Final = 1e-6


@dataclass(frozen=True)
class SmallAnswer:
    fleet: Fleet
    bound: Fraction
    """USD per hour; holds for every fleet."""


@numba.njit(cache=True)
def full_fillings(needs, upper, ports, fits, room, most, out):  # type: ignore[no-untyped-def]
    """Rows of `out`: every filling of one type to which no task can be added; -1 where there are more than
    `most`."""
    n, resources = needs.shape
    count = np.zeros(n, np.int64)
    rest = room.copy()
    taken = np.zeros(ports.shape[1], np.int64)
    rows = 0
    steps = 0
    k = 0
    going_down = True
    while True:
        steps += 1
        if steps > 200 * most:
            return -1
        if going_down and k < n:
            m = upper[k] if fits[k] else 0
            for r in range(resources):
                if needs[k, r] > 0:
                    m = min(m, rest[r] // needs[k, r])
            for q in range(taken.shape[0]):
                if taken[q] & ports[k, q]:
                    m = 0
            count[k] = m
            for r in range(resources):
                rest[r] -= m * needs[k, r]
            if m > 0:
                for q in range(taken.shape[0]):
                    taken[q] |= ports[k, q]
            k += 1
            continue
        if going_down:
            full = True
            for i in range(n):
                if not fits[i] or count[i] >= upper[i]:
                    continue
                more = True
                for r in range(resources):
                    if needs[i, r] > rest[r]:
                        more = False
                for q in range(taken.shape[0]):
                    if taken[q] & ports[i, q]:
                        more = False
                if more:
                    full = False
                    break
            if full:
                if rows >= most:
                    return -1
                out[rows] = count
                rows += 1
            going_down = False
        k -= 1
        while k >= 0 and count[k] == 0:
            k -= 1
        if k < 0:
            return rows
        count[k] -= 1
        for r in range(resources):
            rest[r] += needs[k, r]
        if count[k] == 0:
            for q in range(taken.shape[0]):
                taken[q] &= ~ports[k, q]
        k += 1
        going_down = True


def solve_small(shapes: Shapes, demand: Any, limits: Any, deadline: Deadline) -> SmallAnswer | None:
    """The cheapest fleet found and a bound; None where the problem is not small, or gave no answer before
    the deadline or within a number of nodes."""
    if shapes.count > _MOST_SHAPES:
        return None
    columns = all_fillings(shapes, demand, _MOST_FILLINGS)
    if columns is None:
        return None
    kinds, fillings = columns
    solver, infinity = quiet_highs()
    scale = float(shapes.prices.max())
    for t in kinds.tolist():
        solver.addVar(0.0, infinity if limits[t] >= UNLIMITED else float(limits[t]))
        solver.changeColCost(solver.getNumCol() - 1, float(shapes.prices[t]) / scale)
    for i in range(shapes.count):
        used = np.flatnonzero(fillings[:, i]).astype(np.int32)
        solver.addRow(float(demand[i]), infinity, len(used), used, fillings[used, i].astype(np.float64))
    for t in np.flatnonzero(limits < UNLIMITED).tolist():
        used = np.flatnonzero(kinds == t).astype(np.int32)
        solver.addRow(-infinity, float(limits[t]), len(used), used, np.ones(len(used)))
    _run_whole(solver, len(kinds), deadline)
    bound = float(solver.getInfo().mip_dual_bound) * scale
    values = np.array(solver.getSolution().col_value)
    if not math.isfinite(bound) or values.shape[0] != len(kinds):
        return None
    rest = Residual(shapes, demand, limits)
    for k in np.argsort(-values, kind="stable").tolist():
        buy_filling(rest, int(kinds[k]), fillings[k], round(values[k]))
    if rest.left.any():
        return None
    return SmallAnswer(rest.fleet, whole_bound(bound, shapes))


def whole_bound(usd_per_hour: float, shapes: Shapes) -> Fraction:
    """A solver's bound less what its tolerances can hide, lifted to what whole instances can cost."""
    return rounded_up(max(Fraction(0), Fraction(usd_per_hour * (1.0 - _MARGIN))), shapes)


def buy_filling(rest: Residual, t: int, filling: Any, times: int) -> None:
    """Buy `times` instances, the last of them with what is left to place."""
    pairs = tuple((int(i), int(filling[i])) for i in np.flatnonzero(filling))
    whole = min(times, rest.times_possible(t, pairs)) if times else 0
    if whole:
        rest.buy(t, pairs, whole)
    for _ in range(times - whole):
        cut = rest.cut(pairs)
        if not cut or rest.stock[t] <= 0:
            return
        rest.buy(t, cut, 1)


def all_fillings(shapes: Shapes, demand: Any, left: int) -> tuple[Any, Any] | None:
    """(types) and (fillings, n) of every full filling; None where there are `left` or more."""
    upper = np.minimum(demand, shapes.most)
    kinds: list[int] = []
    found: list[Any] = []
    for t in range(len(shapes.offers)):
        out = np.zeros((left, shapes.count), np.int64)
        rows = full_fillings(shapes.needs, upper, shapes.ports, shapes.fits[:, t], shapes.rooms[t], left, out)
        if rows < 0 or rows >= left:
            return None
        kinds += [t] * rows
        found.append(out[:rows])
        left -= rows
    return np.array(kinds, np.int64), np.concatenate(found)


def _run_whole(solver: Any, columns: int, deadline: Deadline) -> None:
    import highspy

    for k in range(columns):
        solver.changeColIntegrality(k, highspy.HighsVarType.kInteger)
    # Without its restarts and most of its heuristics, which take seconds, the proof comes as often.
    solver.setOptionValue("mip_heuristic_effort", 0.01)
    solver.setOptionValue("mip_allow_restart", False)
    run_to_optimum(solver, _NODES, deadline)


def run_to_optimum(solver: Any, nodes: int, deadline: Deadline, within: float = 1e-7) -> None:
    """Solve in whole numbers to the optimum or `within` of it, or as far as `nodes` and the deadline allow."""
    solver.setOptionValue("mip_max_nodes", nodes)
    solver.setOptionValue("mip_rel_gap", 0.0)
    solver.setOptionValue("mip_abs_gap", max(1e-7, within))
    solver.setOptionValue("random_seed", 0)
    run_within(solver, deadline)
