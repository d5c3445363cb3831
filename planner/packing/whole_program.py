"""What integer programs over zones share: a solver, to which whole columns and rows are put one at a time."""

from __future__ import annotations

import numpy as np

from planner.packing.master import quiet_highs


class WholeProgram:
    """A HiGHS program in whole numbers, at the least cost."""

    def __init__(self) -> None:
        self.solver, self.infinity = quiet_highs()

    def _column(self, cost: float, low: float, high: float) -> int:
        """The number of a new variable."""
        import highspy

        self.solver.addVar(float(low), float(high))
        k = int(self.solver.getNumCol()) - 1
        self.solver.changeColCost(k, float(cost))
        self.solver.changeColIntegrality(k, highspy.HighsVarType.kInteger)
        return k

    def _row(self, low: float, high: float, terms: dict[int, float]) -> None:
        """low <= sum of factor x variable <= high, by `terms`: factors by variable."""
        names, values = np.array(list(terms), np.int32), np.array(list(terms.values()), np.float64)
        self.solver.addRow(float(low), float(high), len(names), names, values)
