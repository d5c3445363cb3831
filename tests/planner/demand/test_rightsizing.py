"""Task sizes: memory by its maximum, CPU by the objective, Fargate's legal sizes, the scaling policy in view."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from planner.demand import Kept, Objective, Resize, TaskSize, rightsize
from planner.demand.rightsizing import FARGATE_SIZES, leak_mib_per_day, legal_size
from planner.model import ScalingTarget, TargetTracking
from planner.units import CpuUnits, MiB
from tests.planner.demand.usage import usage_table

WEEK = 7 * 288  # periods of five minutes
BIG = TaskSize(CpuUnits(2048), MiB(8192))


def big_usage(**changes: object) -> pd.DataFrame:
    return usage_table(WEEK, task_vcpu=2.0, task_mib=8192.0, **changes)  # type: ignore[arg-type]


def test_an_oversized_task_gets_the_smallest_fargate_size_that_holds_it() -> None:
    result = rightsize(big_usage(cpu_per_task=0.35, mib_per_task=1700.0), BIG)

    # 0.35 vCPU / 0.8 = 448 CPU units -> 512; 1700 MiB x 1.15 = 1955 MiB -> 2048
    assert isinstance(result, Resize)
    assert result.size == TaskSize(CpuUnits(512), MiB(2048))


def test_on_ec2_sizes_go_in_steps_of_64() -> None:
    result = rightsize(big_usage(cpu_per_task=0.35, mib_per_task=1700.0), BIG, launch="ec2")

    assert result.size == TaskSize(CpuUnits(448), MiB(1984))


def test_the_highest_memory_ever_seen_rules() -> None:
    memory = np.full(WEEK, 1000.0)
    memory[100] = 3000.0

    result = rightsize(big_usage(cpu_per_task=0.35, mib_per_task=memory), BIG)

    assert result.size.memory_mib == 4096  # 3000 x 1.15 = 3450


def test_a_leak_adds_its_growth_until_the_task_is_replaced() -> None:
    days = np.arange(WEEK) / 288
    usage = big_usage(cpu_per_task=0.35, mib_per_task=1000 + 50 * days)

    result = rightsize(usage, BIG, objective=Objective(leak_horizon_days=20))

    assert leak_mib_per_day(usage) == pytest.approx(50, rel=0.01)
    # (1350 + 20 x 50) x 1.15 = 2702 -> 3072
    assert result.size.memory_mib == 3072
    assert [notice.name for notice in result.warnings] == ["memory-grows"]


def test_memory_that_follows_the_day_is_no_leak() -> None:
    day = np.arange(WEEK) / 288
    rng = np.random.default_rng(0)
    usage = big_usage(mib_per_task=1000 + 300 * np.sin(day * 2 * np.pi) + rng.normal(0, 20, WEEK))

    assert leak_mib_per_day(usage) == 0.0


def test_a_jvm_heap_that_has_not_grown_yet_is_counted() -> None:
    result = rightsize(big_usage(cpu_per_task=0.35, mib_per_task=900.0), BIG, jvm_heap_mib=MiB(3000))

    assert result.size.memory_mib == 4096  # 3000 x 1.25 = 3750


@pytest.mark.parametrize(
    "metric", ["ECSServiceAverageCPUUtilization", "ECSServiceAverageCPUUtilizationHighResolution"]
)
def test_a_tracking_target_keeps_the_load_per_task(metric: str) -> None:
    scaling = ScalingTarget(2, 10, (TargetTracking("cpu-50", metric, 40.0),))

    result = rightsize(big_usage(cpu_per_task=0.2, mib_per_task=900.0), BIG, scaling=scaling)

    # At 40 % of 2048 a task may use 819 units, which is 80 % of 1024: not the 256 that its use now suggests.
    assert isinstance(result, Resize)
    assert result.size.cpu_units == 1024
    assert result.tracking_targets == (("cpu-50", 80.0),)


def test_following_the_advice_again_changes_nothing() -> None:
    """The loop other tools fall into: after a resize the same load per task must give the same size."""
    scaling = ScalingTarget(2, 10, (TargetTracking("cpu", "ECSServiceAverageCPUUtilization", 40.0),))
    first = rightsize(big_usage(cpu_per_task=0.7, mib_per_task=1700.0), BIG, scaling=scaling)
    assert isinstance(first, Resize)

    after = ScalingTarget(
        2, 10, (TargetTracking("cpu", "ECSServiceAverageCPUUtilization", first.tracking_targets[0][1]),)
    )
    usage = usage_table(
        WEEK, task_vcpu=1.0, task_mib=float(first.size.memory_mib), cpu_per_task=0.7, mib_per_task=1700.0
    )

    assert isinstance(rightsize(usage, first.size, scaling=after), Kept)


def test_cpu_that_sat_at_its_limit_is_not_cut() -> None:
    cpu = np.full(WEEK, 0.2)
    cpu[:30] = 2.0  # 1.5 % of periods at the limit of 2 vCPU: p99 is the limit itself
    result = rightsize(big_usage(cpu_per_task=cpu, mib_per_task=1700.0), BIG)
    assert result.size.cpu_units >= BIG.cpu_units

    relaxed = rightsize(
        big_usage(cpu_per_task=cpu, mib_per_task=1700.0), BIG, objective=Objective(cpu_quantile=0.985)
    )
    assert isinstance(relaxed, Kept) or relaxed.size.cpu_units < BIG.cpu_units


@pytest.mark.parametrize(("rows", "reason"), [(50, "not enough data: 50 points"), (288, "over 1.0 days")])
def test_short_history_keeps_the_size_with_the_reason(rows: int, reason: str) -> None:
    result = rightsize(usage_table(rows), TaskSize(CpuUnits(1024), MiB(2048)))

    assert isinstance(result, Kept)
    assert reason in result.reason


def test_a_right_size_is_kept() -> None:
    size = TaskSize(CpuUnits(512), MiB(2048))

    result = rightsize(usage_table(WEEK, task_vcpu=0.5, cpu_per_task=0.35, mib_per_task=1700.0), size)

    assert isinstance(result, Kept)
    assert "already the right one" in result.reason


def test_every_fargate_size_is_legal_and_holds_what_was_asked() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        cpu, memory = CpuUnits(int(rng.integers(1, 32_769))), MiB(int(rng.integers(1, 249_857)))
        size = legal_size(cpu, memory, "fargate")
        assert isinstance(size, TaskSize)
        assert size.memory_mib in FARGATE_SIZES[size.cpu_units]
        assert size.cpu_units >= cpu
        assert size.memory_mib >= memory


def test_what_no_fargate_size_holds_is_told() -> None:
    assert "no Fargate size holds" in str(legal_size(CpuUnits(40_000), MiB(1), "fargate"))
