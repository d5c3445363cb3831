"""Fleets filled side by side, and their last instances solved again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.model import TaskType
from planner.packing import PackingProblem, balanced, pack
from planner.packing import generate as generation
from planner.packing.balanced import balanced_fleet
from planner.packing.clock import Deadline
from planner.packing.fluid import fluid_plan
from planner.packing.greedy import Fleet, fleet_cost, greedy_fleet
from planner.packing.polish import polished
from planner.packing.room import allowed_types
from planner.packing.shapes import Shapes, build_shapes, unit_counts
from planner.units import Seconds
from tests.planner.packing.build import offer, task

ALWAYS = Deadline(None, 0.0)
OFFERS = tuple(
    offer(f"{family}{size}", 1024 * size, memory * size, price * size)
    for family, memory, price in (("c", 1986, 0.0262), ("m", 3973, 0.0383))
    for size in (1, 4, 16, 32, 96)
)


def odd_tasks(shapes: int = 150, most: int = 80, seed: int = 5) -> tuple[TaskType, ...]:
    rng = np.random.default_rng(seed)
    cpu = rng.lognormal(6.2, 0.9, shapes).astype(int) + 10
    memory = (cpu * rng.lognormal(0.9, 0.7, shapes)).astype(int) + 20
    counts = rng.integers(1, most, shapes)
    return tuple(task(f"s{k}", int(counts[k]), int(cpu[k]), int(memory[k])) for k in range(shapes))


def stated(problem: PackingProblem) -> tuple[Shapes, np.ndarray]:
    shapes = build_shapes(problem, allowed_types(problem), set())
    counts, on_spot = unit_counts(problem, ())
    return shapes, shapes.demand(counts + on_spot)


def held_by(fleet: Fleet, shapes: Shapes) -> np.ndarray:
    """Tasks a shape; fails where an instance is too full."""
    held = np.zeros(shapes.count, np.int64)
    for (t, pattern), count in fleet.items():
        on_one = np.zeros(shapes.count, np.int64)
        for i, n in pattern:
            on_one[i] += n
            assert shapes.fits[i, t]
            assert n <= shapes.most[i]
        assert (on_one @ shapes.needs <= shapes.rooms[t]).all()
        held += count * on_one
    return held


def test_many_tasks_an_instance_are_packed_within_half_a_per_cent_where_greedy_takes_more_than_two() -> None:
    shapes, demand = stated(PackingProblem(odd_tasks(), OFFERS))
    plan = fluid_plan(shapes, demand, ALWAYS)
    assert plan is not None
    fleet, left = balanced_fleet(shapes, demand, shapes.limits, ALWAYS)
    rival, _ = greedy_fleet(shapes, demand, plan.worth)
    bound = float(demand @ plan.worth)

    assert not left.any()
    assert (held_by(fleet, shapes) == demand).all()
    assert fleet_cost(fleet, shapes) < 1.005 * bound
    assert fleet_cost(rival, shapes) > 1.02 * bound


def test_rules_and_limits_of_instances_hold_side_by_side() -> None:
    # Of the first service one task an instance at most, and two services want the same host port.
    tasks = odd_tasks(40)
    tasks = (
        replace(tasks[0], count=5, distinct_instance=True),
        replace(tasks[1], count=4, host_ports=(8080,)),
        replace(tasks[2], count=4, host_ports=(8080,)),
        *tasks[3:],
    )
    few = (*OFFERS[:-2], replace(OFFERS[-1], max_count=1), offer("r", 16_384, 123_000, 1.1))
    problem = PackingProblem(tasks, few)
    shapes, demand = stated(problem)
    fleet, left = balanced_fleet(shapes, demand, shapes.limits, ALWAYS)
    limited = next(t for t, v in enumerate(shapes.offers) if v.instance_type == "m96")
    port = [i for i, group in enumerate(shapes.members) if set(group) & {1, 2}]

    assert (held_by(fleet, shapes) + left == demand).all()
    assert not left.any()
    assert sum(count for (t, _), count in fleet.items() if t == limited) <= 1
    assert all(sum(n for i, n in pattern if i in port) <= 1 for _, pattern in fleet)


def test_lots_filled_one_after_the_other_hold_the_same_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balanced, "_SIDE_BY_SIDE", 5)
    shapes, demand = stated(PackingProblem(odd_tasks(), OFFERS))
    fleet, left = balanced_fleet(shapes, demand, shapes.limits, ALWAYS)

    assert not left.any()
    assert (held_by(fleet, shapes) == demand).all()


def test_the_worst_filled_instances_are_solved_again_with_the_same_tasks() -> None:
    shapes, demand = stated(PackingProblem(odd_tasks(160, 2), OFFERS[:3]))
    cheapest = np.where(shapes.fits, shapes.prices, np.inf).argmin(axis=1).tolist()
    fleet: Fleet = {(t, ((i, 1),)): int(demand[i]) for i, t in enumerate(cheapest)}
    plan = fluid_plan(shapes, demand, ALWAYS)
    assert plan is not None
    better = polished(fleet, shapes, plan.worth, ALWAYS)

    assert (held_by(better, shapes) == demand).all()
    assert fleet_cost(better, shapes) < fleet_cost(fleet, shapes)


def test_many_services_are_within_a_fifth_of_a_per_cent_without_any_part() -> None:
    problem = PackingProblem(odd_tasks(450, 60), OFFERS)
    packing = pack(problem)

    assert packing.gap <= generation.GOOD_ENOUGH
    assert sum(n * line.count for line in packing.instances for n in line.tasks.values()) == sum(
        t.count for t in problem.tasks
    )
    assert pack(problem) == packing


def test_a_limit_that_strikes_at_once_still_places_every_task() -> None:
    now = iter(np.arange(0.0, 1e6, 10.0))
    problem = PackingProblem(odd_tasks(450, 5), OFFERS)
    packing = pack(problem, time_limit=Seconds(1.0), clock=lambda: float(next(now)))

    assert packing.status == "time_limit"
    assert not packing.unplaced
    assert packing.lower_bound_usd_per_hour <= packing.usd_per_hour
