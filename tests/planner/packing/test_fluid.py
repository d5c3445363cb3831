"""The bound and the split of the fluid relaxation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.model import InstanceType, TaskType
from planner.packing import PackingProblem, pack
from planner.packing import generate as generation
from planner.packing.bound import resource_prices
from planner.packing.clock import Deadline
from planner.packing.fluid import FluidPlan, fluid_plan
from planner.packing.room import allowed_types
from planner.packing.shapes import Shapes, build_shapes, unit_counts
from tests.planner.packing.build import offer, task

ALWAYS = Deadline(None, 0.0)


def stated(tasks: tuple[TaskType, ...], offers: tuple[InstanceType, ...]) -> tuple[Shapes, np.ndarray]:
    problem = PackingProblem(tasks, offers)
    shapes = build_shapes(problem, allowed_types(problem), set())
    counts, on_spot = unit_counts(problem, ())
    return shapes, shapes.demand(counts + on_spot)


def planned(shapes: Shapes, demand: np.ndarray) -> FluidPlan:
    plan = fluid_plan(shapes, demand, ALWAYS)
    assert plan is not None
    return plan


def test_tasks_that_cannot_fill_the_large_memory_prove_more_than_one_price_a_resource() -> None:
    # 100 tasks of 1000 x 1000 and 100 of 1000 x 3000: together 200,000 x 400,000.
    tasks = (task("a", 100, 1000, 1000), task("b", 100, 1000, 3000))
    # By sums, 150 of `c` and 50 of `r` are filled: 150 x 1 + 50 x 1.2 = 210. But no task needs more than 3 MiB a
    # CPU unit, so `r` (5 a unit) is never full: what belongs on it costs its CPU units, 1.2 a task of `b`.
    shapes, demand = stated(tasks, (offer("c", 1000, 1000, 1.0), offer("r", 1000, 5000, 1.2)))

    assert demand @ (shapes.needs @ resource_prices(demand, shapes)) == pytest.approx(210.0)
    assert demand @ planned(shapes, demand).worth == pytest.approx(100 * 1.0 + 100 * 1.2)


def test_every_room_is_worth_its_price_at_most_and_every_task_its_resources_at_most() -> None:
    tasks = tuple(task(f"s{k}", 3 + k, 100 + 37 * k, 200 + 91 * k * k % 1700) for k in range(12))
    shapes, demand = stated(tasks, (offer("c", 2048, 3900, 0.10), offer("m", 2048, 7800, 0.13)))
    plan = planned(shapes, demand)

    assert ((plan.prices * shapes.rooms).sum(axis=1) <= shapes.prices).all()
    for t in range(len(shapes.offers)):
        fits = shapes.fits[:, t]
        assert (plan.worth[fits] <= (shapes.needs @ plan.prices[t])[fits]).all()
    assert plan.shares.sum(axis=1) == pytest.approx(1.0)
    assert not plan.shares[~shapes.fits].any()
    # A fluid fleet with whole tasks costs what the tasks are worth: both sides of the linear program meet.
    assert plan.instances @ shapes.prices == pytest.approx(demand @ plan.worth, rel=1e-3)


def test_no_answer_where_max_count_leaves_tasks_without_a_type() -> None:
    few = replace(offer("c", 1000, 1000, 1.0), max_count=3)
    shapes, demand = stated((task("a", 10, 500, 500),), (few,))  # five instances are needed

    assert fluid_plan(shapes, demand, ALWAYS) is None


@settings(max_examples=10)
@given(st.data())
def test_the_bound_of_a_problem_packed_side_by_side_never_exceeds_the_cost(data: st.DataObject) -> None:
    sizes = st.tuples(st.integers(1, 12), st.integers(1, 900), st.integers(1, 3000))
    drawn = data.draw(st.lists(sizes, min_size=3, max_size=8))
    tasks = tuple(task(f"s{k}", *size) for k, size in enumerate(drawn))
    offers = (offer("c", 1000, 3000, 0.10), offer("m", 2000, 7800, 0.26), offer("r", 1000, 9000, 0.17))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation, "MOST_ROWS", 2)
        patch.setattr(generation, "GOOD_ENOUGH", 10.0)  # nothing but what is tested here
        large = pack(PackingProblem(tasks, offers))
    exact = pack(PackingProblem(tasks, offers))
    held: dict[str, int] = {}
    for line in large.instances:
        for service, n in line.tasks.items():
            held[service] = held.get(service, 0) + n * line.count

    assert held == {t.service: t.count for t in tasks}
    assert large.lower_bound_usd_per_hour <= exact.usd_per_hour * (1.0 + 1e-9)
    assert exact.lower_bound_usd_per_hour <= large.usd_per_hour * (1.0 + 1e-9)
