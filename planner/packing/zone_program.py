"""Small problems in several zones, or with few types, solved outright: one integer program (HiGHS) over every full
filling of every type in every zone.

It also decides where the odd tasks of each service go, which the search takes as given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np

from planner.packing.clock import Deadline
from planner.packing.greedy import Fleet
from planner.packing.problem import PackingProblem
from planner.packing.residual import Residual
from planner.packing.shapes import Shapes
from planner.packing.small import all_fillings, buy_filling, run_to_optimum, whole_bound
from planner.packing.variants import UNLIMITED
from planner.packing.whole_program import WholeProgram
from planner.packing.zones import ZoneDemand

_MOST_COLUMNS: Final = 240
"""Fillings times zones."""
_MOST_TASKS: Final = 40
_NODES: Final = 400


@dataclass(frozen=True)
class ZonesAnswer:
    demand: ZoneDemand
    fleets: list[Fleet]
    bound: Fraction
    """USD per hour; holds for every fleet that keeps the rules."""


def solve_zones(
    problem: PackingProblem, shapes: Shapes, counts: list[int], deadline: Deadline
) -> ZonesAnswer | None:
    """The cheapest fleets and a bound; None where the problem is not small, has to survive a zone, has Spot or
    running instances, or gave no answer before the deadline."""
    if problem.survive_zone_loss:
        return None
    many = sum(counts) > _MOST_TASKS or (problem.zones == 1 and problem.max_types is None)
    if many or any(v.is_spot or v.by_zone for v in shapes.offers) or problem.spot is not None:
        return None
    columns = all_fillings(shapes, shapes.demand(counts + [0] * len(counts)), _MOST_COLUMNS // problem.zones)
    if columns is None:
        return None
    program = _Program(problem, shapes, counts, *columns)
    return program.solve(deadline)


@dataclass
class _Program(WholeProgram):
    """Columns: fillings by zone, then running tasks by service and zone, then the types that are used."""

    problem: PackingProblem
    shapes: Shapes
    counts: list[int]
    kinds: Any
    fillings: Any

    def __post_init__(self) -> None:
        super().__init__()
        zones, services = self.problem.zones, len(self.counts)
        self.scale = float(self.shapes.prices.max())
        tasks = float(sum(self.counts))
        buys = [
            self._column(self.shapes.prices[t] / self.scale, 0, tasks) for _ in range(zones) for t in self.kinds
        ]
        self.buys = np.array(buys, np.int32).reshape(zones, -1)
        shape = (services, zones)
        self.running = np.zeros(shape, np.int32)
        for s, count in enumerate(self.counts):
            for z in range(zones):
                self.running[s, z] = self._column(0.0, count // zones, -(-count // zones))
        bases = sorted({v.base for v in self.shapes.offers})
        self.used = {base: self._column(0.0, 0, 1) for base in bases}

    def _state(self) -> None:
        zones = range(self.problem.zones)
        for s, count in enumerate(self.counts):
            self._row(count, count, {int(self.running[s, z]): 1.0 for z in zones})
        for i, group in enumerate(self.shapes.members):
            for z in zones:
                held = {int(self.buys[z, k]): float(n) for k, n in enumerate(self.fillings[:, i].tolist()) if n}
                self._row(0.0, self.infinity, held | {int(self.running[s, z]): -1.0 for s in group})
        self._state_types()
        for z in list(zones)[1:]:
            # Zones are alike, so the dearer may come first.
            prices = self.shapes.prices[self.kinds] / self.scale
            earlier = dict(zip(self.buys[z - 1].tolist(), prices.tolist(), strict=True))
            later = dict(zip(self.buys[z].tolist(), (-prices).tolist(), strict=True))
            self._row(0.0, self.infinity, earlier | later)

    def _state_types(self) -> None:
        base_of = np.array([v.base for v in self.shapes.offers])[self.kinds]
        for t in np.flatnonzero(self.shapes.limits < UNLIMITED).tolist():
            bought = self.buys[:, self.kinds == t].ravel().tolist()
            self._row(-self.infinity, float(self.shapes.limits[t]), dict.fromkeys(bought, 1.0))
        if self.problem.max_types is not None:
            self._row(-self.infinity, float(self.problem.max_types), dict.fromkeys(self.used.values(), 1.0))
            for base, used in self.used.items():
                for column in self.buys[:, base_of == base].ravel().tolist():
                    self._row(-self.infinity, 0.0, {column: 1.0, used: -float(sum(self.counts))})

    def solve(self, deadline: Deadline) -> ZonesAnswer | None:
        self._state()
        run_to_optimum(self.solver, _NODES, deadline)
        bound = float(self.solver.getInfo().mip_dual_bound) * self.scale
        values = np.round(np.array(self.solver.getSolution().col_value)).astype(np.int64)
        if not math.isfinite(bound) or values.shape[0] != self.solver.getNumCol():
            return None
        if (values[self.running].sum(axis=1) != self.counts).any():
            return None
        unused = np.zeros((self.problem.zones, len(self.counts)), np.int64)
        running = np.hstack([values[self.running].T, unused])
        demand = ZoneDemand(running, running)
        found = [self._fleet(values[self.buys[z]], demand.places[z]) for z in range(self.problem.zones)]
        fleets = [fleet for fleet in found if fleet is not None]
        return ZonesAnswer(demand, fleets, whole_bound(bound, self.shapes)) if len(fleets) == len(found) else None

    def _fleet(self, times: Any, places: Any) -> Fleet | None:
        rest = Residual(self.shapes, self.shapes.demand(places), self.shapes.limits)
        for k in np.argsort(-times, kind="stable").tolist():
            buy_filling(rest, int(self.kinds[k]), self.fillings[k], int(times[k]))
        return None if rest.left.any() else rest.fleet
