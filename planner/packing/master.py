"""The restricted master: a linear program over the patterns known so far (HiGHS)."""

from __future__ import annotations

from typing import Any

import numpy as np

from planner.packing.clock import Deadline
from planner.packing.greedy import Pattern
from planner.packing.shapes import Shapes
from planner.packing.variants import UNLIMITED

Column = tuple[int, Pattern]
"""An instance type (index) and what runs on it."""


def quiet_highs() -> tuple[Any, float]:
    """A HiGHS solver that prints nothing, and its infinity.

    highspy's own constructor prints a banner on standard output, where it would spoil a JSON document, before
    an option can be set; so the base class is initialised and silenced first.
    """
    import highspy

    class Quiet(highspy.Highs):
        def __init__(self) -> None:
            super(highspy.Highs, self).__init__()
            self.setOptionValue("output_flag", False)
            self.setOptionValue("threads", 1)

    return Quiet(), highspy.kHighsInf


def run_within(solver: Any, deadline: Deadline) -> bool:
    """Run a HiGHS solver, and say at the deadline where its own clock ended it; True for an optimum."""
    solver.setOptionValue("time_limit", solver.getRunTime() + max(0.05, deadline.left()))
    solver.run()
    status = str(solver.getModelStatus()).rsplit(".", 1)[-1]
    if status == "kTimeLimit":
        deadline.strike()
    return status == "kOptimal"


class Master:
    """min price x count, so that every shape's demand is covered and no max_count is passed.

    Artificial columns, dearer than any use of real ones, keep it feasible; they are positive in the answer
    only where max_count leaves tasks without an instance.
    """

    def __init__(self, shapes: Shapes, demand: Any) -> None:
        self._shapes = shapes
        self._lp, self._inf = quiet_highs()
        self._unit = float(np.exp(np.log(shapes.prices).mean()))
        self.columns: list[Column] = []
        self._known: set[Column] = set()
        self._limited = {int(t): k for k, t in enumerate(np.flatnonzero(shapes.limits < UNLIMITED))}
        self._lp.setOptionValue("presolve", "off")
        n = shapes.count
        empty = np.array([], np.int32)
        for d in demand.tolist():
            self._lp.addRow(float(d), self._inf, 0, empty, empty.astype(np.float64))
        for t in self._limited:
            self._lp.addRow(-self._inf, float(shapes.limits[t]), 0, empty, empty.astype(np.float64))
        penalty = self._cover_price()
        for i in range(n):
            self._lp.addCol(float(penalty[i]), 0.0, self._inf, 1, np.array([i], np.int32), np.ones(1))
        self._artificial = n
        self.cost = float("inf")
        self.uncovered = 0.0
        self.counts = np.zeros(0)
        self.duals = np.zeros(n)

    def _cover_price(self) -> Any:
        """One instance a task is always possible, so no task is worth more than its cheapest type; unless
        max_count says otherwise, where leaving a task out must cost more than any instance."""
        if self._limited:
            return np.full(self._shapes.count, 20.0 * float(self._shapes.prices.max()) / self._unit)
        prices = np.where(self._shapes.fits, self._shapes.prices[None, :], np.inf).min(axis=1)
        return prices * 1.000001 / self._unit

    def add(self, column: Column) -> bool:
        """Add a pattern that is not known yet."""
        if column in self._known or not column[1]:
            return False
        t, pattern = column
        rows = [i for i, _ in pattern]
        values = [float(n) for _, n in pattern]
        if t in self._limited:
            rows.append(self._shapes.count + self._limited[t])
            values.append(1.0)
        self._lp.addCol(
            float(self._shapes.prices[t]) / self._unit, 0.0, self._inf, len(rows),
            np.array(rows, np.int32), np.array(values),
        )  # fmt: skip
        self._known.add(column)
        self.columns.append(column)
        return True

    def assume(self, cost: float, counts: dict[Column, float]) -> None:
        """Take an answer that was found elsewhere, until `solve` finds a better one."""
        self.cost = cost
        self.counts = np.array([counts.get(column, 0.0) for column in self.columns])

    def set_demand(self, demand: Any, limits: Any | None = None) -> None:
        for i, d in enumerate(demand.tolist()):
            self._lp.changeRowBounds(i, float(d), self._inf)
        if limits is not None:
            for t, k in self._limited.items():
                self._lp.changeRowBounds(self._shapes.count + k, -self._inf, float(limits[t]))

    def solve(self, deadline: Deadline) -> bool:
        """Solve; False where no optimum came out in time. Then the values of the last solve stand."""
        if not run_within(self._lp, deadline):
            return False
        answer = self._lp.getSolution()
        self.cost = float(self._lp.getObjectiveValue()) * self._unit
        values = np.array(answer.col_value)
        self.uncovered = float(values[: self._artificial].sum())
        self.counts = values[self._artificial :]
        duals = np.array(answer.row_dual) * self._unit
        self.duals = np.maximum(duals[: self._shapes.count], 0.0)
        return True
