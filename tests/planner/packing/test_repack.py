"""Local search on whole fleets."""

from __future__ import annotations

import numpy as np

from planner.packing import PackingProblem
from planner.packing.clock import Deadline
from planner.packing.repack import FleetArrays, improve
from planner.packing.room import allowed_types
from planner.packing.shapes import build_shapes
from tests.planner.packing.build import offer, task


def test_a_fleet_that_splits_into_many_more_instances_stays_within_its_rows() -> None:
    # Each of 200 instances is a little dearer than two small ones: a trial can add two rows.
    problem = PackingProblem(
        (task("web", 8_000, 100, 100),), (offer("large", 4000, 4000, 1.01), offer("small", 2000, 2000, 0.50))
    )
    shapes = build_shapes(problem, allowed_types(problem), set())
    large = next(t for t, v in enumerate(shapes.offers) if problem.catalogue[v.base].instance_type == "large")
    fleet = {(large, ((0, 40),)): 200}

    better = improve(
        fleet, shapes, np.array([0.025]), np.arange(2), Deadline(None, 0.0), seed=1, good_enough=0.0,
        most_taken=2, most_rounds=3_000,
    )  # fmt: skip

    assert sum(n * count for (_, pattern), count in better.items() for _, n in pattern) == 8_000
    assert sum(better.values()) > 200 + 64
    assert FleetArrays(better, shapes).bins == sum(better.values())
