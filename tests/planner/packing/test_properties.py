"""What must hold for every packing: brute force agrees, bounds stay below, more demand is never cheaper."""

from __future__ import annotations

from functools import cache
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.model import InstanceType, TaskType
from planner.packing import PackingProblem, pack
from planner.packing.check import violations
from tests.planner.packing.build import offer, task

TOLERANCE = 1e-9


def cheapest_by_brute_force(tasks: tuple[TaskType, ...], offers: tuple[InstanceType, ...]) -> float:
    """Try every content of one more instance until nothing is left (infinity where nothing fits)."""
    contents = [
        (o.usd_per_hour, numbers)
        for o in offers
        for numbers in product(*(range(t.count + 1) for t in tasks))
        if any(numbers)
        and sum(t.needs.cpu_units * n for t, n in zip(tasks, numbers, strict=True)) <= o.room.cpu_units
        and sum(t.needs.memory_mib * n for t, n in zip(tasks, numbers, strict=True)) <= o.room.memory_mib
        and all(n <= 1 for t, n in zip(tasks, numbers, strict=True) if t.distinct_instance or t.host_ports)
        and not (tasks[0].host_ports and tasks[-1].host_ports == tasks[0].host_ports and len(tasks) > 1
                 and numbers[0] and numbers[-1])
    ]  # fmt: skip

    @cache
    def cost(left: tuple[int, ...]) -> float:
        if not any(left):
            return 0.0
        first = next(i for i, n in enumerate(left) if n)
        return min(
            (
                price + cost(tuple(a - b for a, b in zip(left, numbers, strict=True)))
                for price, numbers in contents
                if numbers[first] and all(b <= a for a, b in zip(left, numbers, strict=True))
            ),
            default=float("inf"),
        )

    return cost(tuple(t.count for t in tasks))


@st.composite
def small_problems(draw: st.DrawFn) -> tuple[tuple[TaskType, ...], tuple[InstanceType, ...]]:
    tasks = tuple(
        task(
            f"s{k}",
            draw(st.integers(1, 3)),
            draw(st.integers(0, 60)),
            draw(st.integers(1, 60)),
            distinct=draw(st.booleans()) and draw(st.booleans()),
            ports=(80,) if draw(st.integers(0, 4)) == 0 else (),
        )
        for k in range(draw(st.integers(1, 3)))
    )
    offers = tuple(
        offer(f"t{k}", draw(st.integers(60, 120)), draw(st.integers(60, 120)), draw(st.integers(1, 500)) / 100)
        for k in range(draw(st.integers(1, 3)))
    )
    return tasks, offers


@settings(max_examples=40, deadline=None)
@given(small_problems())
def test_small_problems_cost_what_brute_force_finds(
    problem: tuple[tuple[TaskType, ...], tuple[InstanceType, ...]],
) -> None:
    tasks, offers = problem
    if len(tasks) == 3 and tasks[1].host_ports:
        tasks = (tasks[0], tasks[2])  # the reference knows conflicts of the first and last service only
    packing = pack(PackingProblem(tasks, offers))
    best = cheapest_by_brute_force(tasks, offers)

    assert packing.usd_per_hour == pytest.approx(best)
    assert packing.lower_bound_usd_per_hour <= best + TOLERANCE


@settings(max_examples=25, deadline=None)
@given(
    problem=small_problems(),
    zones=st.integers(1, 3),
    survive=st.booleans(),
    max_types=st.sampled_from([None, 1, 2]),
    max_count=st.sampled_from([None, 0, 1, 2]),
)
def test_every_packing_keeps_every_rule(
    problem: tuple[tuple[TaskType, ...], tuple[InstanceType, ...]],
    zones: int,
    survive: bool,
    max_types: int | None,
    max_count: int | None,
) -> None:
    tasks, offers = problem
    first = offers[0]
    limited = (
        offer(
            first.instance_type, first.room.cpu_units, first.room.memory_mib, first.usd_per_hour,
            max_count=max_count,
        ),
        *offers[1:],
    )  # fmt: skip
    stated = PackingProblem(
        tasks, limited, zones=zones, survive_zone_loss=survive and zones > 1, max_types=max_types
    )

    assert violations(stated, pack(stated)) == []


@settings(max_examples=20, deadline=None)
@given(small_problems(), st.integers(0, 2))
def test_one_more_task_never_costs_less_at_proven_optimality(
    problem: tuple[tuple[TaskType, ...], tuple[InstanceType, ...]], which: int
) -> None:
    tasks, offers = problem
    k = which % len(tasks)
    t = tasks[k]
    more = tuple(
        task(
            t.service, t.count + 1, t.needs.cpu_units, t.needs.memory_mib,
            distinct=t.distinct_instance, ports=t.host_ports,
        )
        if i == k
        else other
        for i, other in enumerate(tasks)
    )  # fmt: skip
    before, after = pack(PackingProblem(tasks, offers)), pack(PackingProblem(more, offers))

    if before.status == after.status == "optimal":
        assert after.usd_per_hour >= before.usd_per_hour - TOLERANCE
    assert after.usd_per_hour >= before.lower_bound_usd_per_hour - TOLERANCE


@pytest.mark.parametrize("magnitude", [1e-7, 1.0, 3.7e5])
def test_the_answer_does_not_depend_on_the_currency_s_magnitude(magnitude: float) -> None:
    tasks = tuple(task(f"s{k}", 3 + k, 17 + 31 * k % 60, 23 + 13 * k % 50) for k in range(8))
    offers = (offer("a", 100, 100, 1.0 * magnitude), offer("b", 200, 150, 1.8 * magnitude))
    packing = pack(PackingProblem(tasks, offers))
    plain = pack(PackingProblem(tasks, (offer("a", 100, 100, 1.0), offer("b", 200, 150, 1.8))))

    assert packing.usd_per_hour / magnitude == pytest.approx(plain.usd_per_hour)
    assert packing.lower_bound_usd_per_hour <= packing.usd_per_hour


def test_the_same_arguments_give_the_same_packing() -> None:
    tasks = tuple(task(f"s{k}", 1 + k % 4, 11 + 29 * k % 70, 13 + 37 * k % 80) for k in range(7))
    problem = PackingProblem(tasks, (offer("a", 128, 128, 1.0), offer("b", 256, 200, 1.7)), zones=2)

    assert pack(problem, seed=5) == pack(problem, seed=5)
