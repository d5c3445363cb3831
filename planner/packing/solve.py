"""`pack`: the cheapest fleet that can be found, with a bound that proves how near it is."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Final

from planner.packing.assemble import assemble, left_over
from planner.packing.bound import (
    floor_to_float,
    money_scale,
    resource_prices,
    rounded_up,
    volume_bound,
)
from planner.packing.check import checked
from planner.packing.greedy import greedy_fleet
from planner.packing.problem import Packing, PackingProblem, ProblemError, Unplaced
from planner.packing.shapes import allowed_types, build_shapes, unplaceable
from planner.packing.zones import zone_demand
from planner.units import Seconds, UsdPerHour

DEFAULT_TIME_LIMIT: Final = Seconds(60)
Progress = Callable[[float], None]


def pack(
    problem: PackingProblem,
    *,
    time_limit: Seconds = DEFAULT_TIME_LIMIT,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> Packing:
    """Pack the tasks onto the cheapest fleet found within `time_limit`."""
    del time_limit, seed, on_progress
    if problem.max_types is not None:
        raise ProblemError("max_types is not supported yet: leave it out")
    allowed = allowed_types(problem)
    left_out = unplaceable(problem, allowed)
    if len(left_out) == len(problem.tasks):
        return nothing_placed(tuple(left_out.values()))
    shapes = build_shapes(problem, allowed, set(left_out))
    counts = [0 if s in left_out else task.count for s, task in enumerate(problem.tasks)]
    demand = zone_demand(counts, problem.zones, problem.survive_zone_loss)
    total = shapes.demand(counts)
    prices = resource_prices(total, shapes)
    fleets = []
    stock = shapes
    for zone in range(problem.zones):
        fleet, _ = greedy_fleet(stock, shapes.demand(demand.places[zone]), shapes.needs @ prices)
        fleets.append(fleet)
    instances, running = assemble(problem, shapes, fleets, demand)
    cost = sum((shapes.exact_prices[t] * n for fleet in fleets for (t, _), n in fleet.items()), Fraction(0))
    placed = shapes.demand([running[s] for s in range(len(problem.tasks))])
    bound = volume_bound(prices, placed, shapes, money_scale(shapes))
    if problem.survive_zone_loss:
        bound = bound * problem.zones / (problem.zones - 1)
    bound = min(rounded_up(bound, shapes), cost)
    packing = Packing(
        status="optimal" if bound == cost else "feasible",
        usd_per_hour=UsdPerHour(float(cost)),
        lower_bound_usd_per_hour=UsdPerHour(floor_to_float(bound)),
        gap=float(cost / bound - 1) if bound else 0.0,
        instances=instances,
        unplaced=tuple(left_over(problem, running, left_out)),
    )
    return checked(problem, packing)


def nothing_placed(unplaced: tuple[Unplaced, ...]) -> Packing:
    return Packing("nothing_placed", UsdPerHour(0.0), UsdPerHour(0.0), 0.0, (), unplaced)
