"""A metric as the CPU that would show it: lanes on that load equal the reference on the metric itself."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from planner.scaling import simulate
from planner.scaling.search import Problem, Source
from planner.scaling.signals import Signal, binding, signals

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
MINUTES = 2_000
RNG = np.random.default_rng(5)
DEMAND = 5 + 3 * np.sin(np.arange(MINUTES) / 229) + RNG.normal(0, 0.3, MINUTES)
LOADS = {
    "memory_mib": DEMAND[::-1] * 1_200,
    "requests": DEMAND * 90 * np.exp(RNG.normal(0, 0.05, MINUTES)),
    "depth": DEMAND**2,
}
LOADS["requests"][700:740] = np.nan  # the load balancer told nothing: no datapoint, while demand goes on
MEMORY_MIB = 1_024
NEEDED = binding(DEMAND, LOADS, task_vcpu=1.0, task_memory_mib=MEMORY_MIB)


def told(*metrics: str) -> list[Signal]:
    return signals(DEMAND, LOADS, metrics, task_vcpu=1.0, task_memory_mib=MEMORY_MIB)


def both(signal: Signal, target: float, period_s: int = 60) -> tuple[tuple[float, int], tuple[float, int]]:
    """Task-hours and violating minutes by the lanes, and by the reference on the metric itself."""
    problem = Problem(NEEDED, MONDAY, 1.0, 0.999, 0.8, ZoneInfo("UTC"), None, signal)
    policy = problem.policy(target, 60, period_s)
    lanes = problem.replayed([policy], [Source()])
    seen = simulate(DEMAND, MONDAY, signal.translated(policy), loads=LOADS)
    missed = int((np.ceil(NEEDED / 0.8 - 1e-6) > seen.trajectory.running).sum())
    return (float(lanes.hours.sum()), int(lanes.violations.sum())), (seen.task_hours, missed)


@pytest.mark.parametrize("metric", ["cpu", "memory", "requests", "custom:depth"])
@pytest.mark.parametrize("target", [35, 62])
def test_lanes_on_the_load_equal_the_reference_on_the_metric(metric: str, target: float) -> None:
    by_lanes, by_reference = both(told(metric)[0], target)

    assert by_lanes == pytest.approx(by_reference)


def test_twenty_second_memory_is_replayed_as_such() -> None:
    by_lanes, by_reference = both(told("memory")[0], 50, period_s=20)

    assert by_lanes == pytest.approx(by_reference)


def test_two_policies_at_once_are_the_larger_of_their_loads() -> None:
    """Not to the task, since each policy has an alarm of its own: within a hundredth of task-hours."""
    pair = told("cpu", "memory")[-1]
    by_lanes, by_reference = both(pair, 50)

    assert pair.name == "CPU and memory"
    assert by_lanes[0] == pytest.approx(by_reference[0], rel=0.01)


def test_a_minute_needs_the_tasks_its_memory_fills() -> None:
    loads = {"memory_mib": np.array([512.0, 4096.0])}

    assert binding(np.array([1.0, 1.0]), loads, task_vcpu=0.5, task_memory_mib=1024).tolist() == [
        1.0,  # CPU: 2 tasks of 0.5 vCPU; memory half a task
        2.0,  # memory: 4 tasks of 1 GiB, which have 2 vCPU
    ]
