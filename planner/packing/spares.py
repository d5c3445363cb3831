"""Spare instances (N + 1): empty ones, each able to take over any one instance of the fleet."""

from __future__ import annotations

from fractions import Fraction

from planner.packing.greedy import Fleet
from planner.packing.problem import PackingProblem, ProblemError
from planner.packing.shapes import Shapes
from planner.packing.variants import UNLIMITED


def add_spares(fleets: list[Fleet], shapes: Shapes, problem: PackingProblem) -> None:
    """Add the spares, on-demand; zones take turns.

    Where max_types is used up, the spare is of a type of the fleet. Raises ProblemError where no type is large
    enough.
    """
    lines = [(t, pattern) for fleet in fleets for t, pattern in fleet]
    used = {shapes.offers[t].base for t, _ in lines}
    is_full = problem.max_types is not None and len(used) >= problem.max_types
    loads = [sum((shapes.needs[i] * n for i, n in pattern), start=0) for _, pattern in lines]
    held = sorted({i for _, pattern in lines for i, _ in pattern})
    options = [
        t
        for t, offer in enumerate(shapes.offers)
        if not offer.is_spot and shapes.limits[t] >= UNLIMITED and (not is_full or offer.base in used)
        if shapes.fits[held, t].all() and all((load <= shapes.rooms[t]).all() for load in loads)
    ]
    if not options:
        raise ProblemError(
            "no instance type can take over every instance of the fleet: leave spare_instances out or allow "
            "larger types"
        )
    spare = min(options, key=lambda t: (shapes.exact_prices[t], t))
    for number in range(problem.spare_instances):
        fleet = fleets[number % len(fleets)]
        fleet[spare, ()] = fleet.get((spare, ()), 0) + 1


def spare_floor(shapes: Shapes, problem: PackingProblem) -> Fraction:
    """USD per hour below which no spares can be had: each must be of a type that takes every single task."""
    able = [
        shapes.exact_prices[t]
        for t, offer in enumerate(shapes.offers)
        if not offer.is_spot and shapes.fits[:, t].all()
    ]
    return problem.spare_instances * min(able, default=Fraction(0))
