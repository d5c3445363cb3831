"""The pricing problem as an integer program (HiGHS), for the few types that branch and bound leaves open."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from planner.packing.master import quiet_highs

_NODES = 3_000
_MARGIN = 2e-6
"""Added to the solver's bound, relative: more than its tolerances can hide."""


def hard_pattern(worth: Any, needs: Any, upper: Any, fits: Any, room: Any) -> tuple[int, int, Any]:
    """(worth, upper bound, pattern) of the most worthy filling within `upper` tasks a shape; host ports are
    ignored. (0, -1, none) where the solver gave no bound."""
    useful = np.flatnonzero((worth > 0) & (upper > 0) & fits)
    pattern = np.zeros(worth.shape[0], np.int64)
    most = np.where(needs[useful] > 0, room // np.maximum(needs[useful], 1), 2**40).min(axis=1)
    most = np.minimum(most, upper[useful])
    useful, most = useful[most > 0], most[most > 0]
    if useful.shape[0] == 0:
        return 0, 0, pattern
    solver, infinity = quiet_highs()
    scale = float(worth[useful].max())
    for k, i in enumerate(useful.tolist()):
        solver.addVar(0.0, float(most[k]))
        solver.changeColCost(k, -float(worth[i]) / scale)
    columns = np.arange(useful.shape[0], dtype=np.int32)
    for r in range(room.shape[0]):
        row = needs[useful, r] / max(1.0, float(room[r]))
        solver.addRow(-infinity, 1.0 if room[r] > 0 else 0.0, len(columns), columns, row)
    for k in range(useful.shape[0]):
        solver.changeColIntegrality(k, _integer())
    solver.setOptionValue("mip_max_nodes", _NODES)
    solver.setOptionValue("mip_rel_gap", 1e-6)
    solver.setOptionValue("random_seed", 0)
    solver.run()
    bound = -float(solver.getInfo().mip_dual_bound) * scale
    if not math.isfinite(bound) or bound < 0.0:
        return 0, -1, pattern
    values = np.array(solver.getSolution().col_value)
    if values.shape[0] == useful.shape[0]:
        pattern[useful] = np.clip(np.floor(values + 1e-6).astype(np.int64), 0, most)
        if ((pattern @ needs) > room).any():
            pattern[:] = 0
    return int(pattern @ worth), math.ceil(bound * (1.0 + _MARGIN)) + 2, pattern


def relaxed_weights(worth: Any, needs: Any, upper: Any, fits: Any, room: Any) -> Any:
    """(r) Lagrange multipliers of the linear relaxation: worth of the whole room of each resource. None where it
    has no answer."""
    from scipy.optimize import linprog

    useful = np.flatnonzero((worth > 0) & (upper > 0) & fits)
    shares = needs[useful] / np.maximum(room, 1)
    most = np.where(needs[useful] > 0, room // np.maximum(needs[useful], 1), 2**40).min(axis=1, initial=2**40)
    scale = float(worth[useful].max(initial=1))
    answer = linprog(
        -worth[useful] / scale,
        A_ub=shares.T,
        b_ub=(room > 0).astype(np.float64),
        bounds=np.stack([np.zeros(len(useful)), np.minimum(most, upper[useful])], axis=1),
        method="highs",
    )
    return np.maximum(-answer.ineqlin.marginals, 0.0) * scale if answer.status == 0 else None


def _integer() -> Any:
    import highspy

    return highspy.HighsVarType.kInteger
