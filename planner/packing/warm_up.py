"""The compiled kernels of the packer, compiled or loaded before a time limit starts."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from planner.model import InstanceType, Resources, TaskType
from planner.packing.balanced import balanced_fleet
from planner.packing.clock import Deadline
from planner.packing.exact_kernels import exact_pattern, work_of
from planner.packing.pricing import Pricing
from planner.packing.problem import PackingProblem
from planner.packing.room import allowed_types
from planner.packing.shapes import build_shapes
from planner.packing.small import solve_small
from planner.packing.solve import pack
from planner.units import CpuUnits, MiB, UsdPerHour


@lru_cache(maxsize=1)
def load_kernels() -> None:
    """Compile or load the numba kernels now, once a process, so that a time limit started afterwards is spent on
    the search.

    The first run on a machine compiles for some seconds; later runs load from numba's cache.
    """
    # Too many shapes to be solved outright, so that every part of the search has a turn.
    tasks = tuple(
        TaskType(f"s{k}", 2, Resources(CpuUnits(301 + 7 * k % 90), MiB(300 + 11 * k % 130))) for k in range(42)
    )
    offers = tuple(
        InstanceType(f"t{k}", Resources(CpuUnits(1000 + k), MiB(1000 + 400 * k)), UsdPerHour(1.0 + 0.3 * k))
        for k in range(3)
    )
    problem = PackingProblem(tasks, offers, max_types=2)
    pack(problem)
    # What such a problem may not need.
    shapes = build_shapes(problem, allowed_types(problem), set())
    few, none = np.ones_like(shapes.most), np.zeros_like(shapes.most)
    needs, room = shapes.needs // 300, shapes.rooms[0] // 300
    work_of(needs, few, room)
    exact_pattern(few, needs, few, shapes.ports, shapes.fits[:, 0], room, none)
    Pricing(shapes).one(0, few, few, 0, 200)
    balanced_fleet(shapes, few, shapes.limits, Deadline(None, 0.0))
    solve_small(shapes.part(range(3)), few[:3], shapes.limits, Deadline(None, 0.0))
