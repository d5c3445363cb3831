"""The choice between metrics and their resolutions, and what a minute needs besides CPU."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from planner.scaling import Infeasible, MetricError, Tuned, parse_policy, print_policy, tune
from planner.scaling.policies import CPU, MEMORY, REQUESTS, Policy, TargetTracking
from planner.scaling.signals import cpu
from planner.scaling.tuning import _best, _Variant

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
DAY = 1440


def waves(days: int = 4, seed: int = 0) -> np.ndarray:
    """6 vCPU on average, from 2 at night to 10 by day, with noise."""
    hour = np.arange(days * DAY) / 60 % 24
    level = 6 + 4 * np.sin((hour - 8) / 12 * np.pi)
    return level * np.exp(np.random.default_rng(seed).normal(0, 0.03, len(hour)))


def variant(hours: float | None, period_s: int) -> _Variant:
    if hours is None:
        return _Variant(cpu(np.ones(1)), period_s, Infeasible("too fast", 0.9, 9, (), 1))
    policy = Policy(1, 1, 9, target_tracking=(TargetTracking(50, period_s=period_s),))
    found = Tuned(policy, 1.0, (1.0, 1.0), hours, (hours, hours), None, (), 1, "because")
    return _Variant(cpu(np.ones(1)), period_s, found)


@pytest.mark.parametrize(
    ("slow", "fast", "task_vcpu", "taken"),
    [
        (1000, 970, 1.0, 20),  # 970 + 25 <= 1000 x 1.02
        (1000, 990, 1.0, 20),  # 990 + 25 <= 1020: nothing lost, and surprises are met sooner
        (1000, 1000, 1.0, 60),  # 1025 > 1020: the charge is not repaid
        (100, 90, 1.0, 60),  # a small service: 115 > 102
        (100, 90, 16.0, 20),  # the same task-hours of large tasks: 1465 <= 1632
    ],
)
def test_twenty_second_metrics_are_taken_where_they_repay_their_charge(
    slow: float, fast: float, task_vcpu: float, taken: int
) -> None:
    found = _best([variant(slow, 60), variant(fast, 20)], task_vcpu)
    assert isinstance(found, Tuned)
    assert found.alternative is not None

    periods = found.policy.target_tracking[0].period_s, found.alternative.policy.target_tracking[0].period_s
    assert periods == (taken, 80 - taken)


def test_what_only_twenty_second_metrics_hold_stays_infeasible_with_that_policy_beside_it() -> None:
    found = _best([variant(None, 60), variant(50, 20)], 1.0)

    assert isinstance(found, Infeasible)
    assert found.alternative is not None
    assert found.alternative.task_hours_per_week == 50


def test_cpu_is_kept_where_no_other_metric_saves_anything() -> None:
    demand = waves()
    found = tune(demand, MONDAY, task_vcpu=1, slo=0.99, loads={"requests": demand * 100}, metrics=None)
    assert isinstance(found, Tuned)

    assert [t.metric for t in found.policy.target_tracking] == [CPU]
    assert [tried.metric for tried in found.tried] == ["CPU", "requests per target"]


def test_a_service_that_fills_its_memory_first_is_scaled_on_memory() -> None:
    """Caches fill for some hours at times that CPU does not show."""
    demand, rng = waves() / 10, np.random.default_rng(4)
    memory = np.full(len(demand), 2_048.0)
    for first in rng.integers(0, len(demand) - 400, 8):
        memory[first : first + 400] += 8_192 * np.minimum(1, np.arange(400) / 60)
    loads = {"memory_mib": memory}
    found = tune(demand, MONDAY, task_vcpu=1, slo=0.99, loads=loads, task_memory_mib=1024, metrics=None)
    assert isinstance(found, Tuned)

    assert [t.metric for t in found.policy.target_tracking] == [MEMORY]
    assert found.task_hours_per_week > memory.mean() / 1024 / 0.8 * 168  # what memory fills; CPU needs one task
    assert found.policy.task_memory_mib == 1024
    assert "tracking memory saves" in found.reason or "because CPU does not hold" in found.reason


def test_requests_lead_where_cpu_follows_them_late() -> None:
    """CPU that is needed comes with the requests; a queue's depth tells it ten minutes before."""
    rng = np.random.default_rng(2)
    demand = np.full(4 * DAY, 2.0)
    for first in rng.integers(60, len(demand) - 60, 40):
        demand[first : first + 30] += 8
    ahead = np.r_[demand[10:], np.full(10, 2.0)]
    found = tune(
        demand, MONDAY, task_vcpu=1, slo=0.99, loads={"depth": ahead * 7}, metrics=["cpu", "custom:depth"]
    )
    assert isinstance(found, Tuned)

    assert [t.metric for t in found.policy.target_tracking] == ["custom:depth"]
    assert parse_policy(print_policy(found.policy)) == found.policy


@pytest.mark.parametrize(
    ("metrics", "resolution", "words"),
    [
        (["memory"], "standard", "--task-memory-mib"),
        (["requests"], "standard", "needs the column requests"),
        (["disk"], "standard", "not known"),
        (["custom:idle"], "standard", "0 in every known minute"),
        (["custom:depth"], "high", "no 20-second metrics"),
    ],
)
def test_a_metric_that_cannot_be_told_is_refused_by_name(metrics: list[str], resolution: str, words: str) -> None:
    loads = {"idle": np.zeros(4 * DAY), "depth": waves()}
    with pytest.raises(MetricError, match=words):
        tune(waves(), MONDAY, task_vcpu=1, slo=0.99, loads=loads, metrics=metrics, resolution=resolution)  # type: ignore[arg-type]


def test_requests_have_targets_of_requests() -> None:
    """100 requests a minute are one vCPU, and tasks have two: a target of t % of CPU is 2 t requests a task."""
    demand = waves()
    found = tune(demand, MONDAY, task_vcpu=2, slo=0.99, loads={"requests": demand * 100}, metrics=["requests"])
    same = tune(demand, MONDAY, task_vcpu=2, slo=0.99)
    assert isinstance(found, Tuned)
    assert isinstance(same, Tuned)

    assert found.policy.target_tracking[0].metric == REQUESTS
    assert found.policy.target_tracking[0].target == pytest.approx(2 * same.policy.target_tracking[0].target)
    assert found.task_hours_per_week == same.task_hours_per_week
