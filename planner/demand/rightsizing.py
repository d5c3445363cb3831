"""Task sizes from what tasks used: memory by its maximum, CPU by the objective.

Memory cannot be squeezed: a task that passes its limit is killed, so the maximum rules, with a margin and
what a leak adds before the next restart. CPU can wait: a quantile rules. A service that scales by target
tracking on CPU is sized with its policy in view, because a smaller reservation raises the utilisation and
would make the same policy add tasks (robusta-dev/krr issue 169 and pull request 80 tell of that loop).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd

from planner import units
from planner.model import ScalingTarget
from planner.units import CpuUnits, MiB, Share

FARGATE_SIZES: Final[dict[int, tuple[int, ...]]] = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4096 + 1, 1024)),
    1024: tuple(range(2048, 8192 + 1, 1024)),
    2048: tuple(range(4096, 16384 + 1, 1024)),
    4096: tuple(range(8192, 30720 + 1, 1024)),
    8192: tuple(range(16384, 61440 + 1, 4096)),
    16384: tuple(range(32768, 122880 + 1, 8192)),
    32768: (61440, 122880, 249856),
}
"""MiB allowed for each CPU size. Source: botocore RegisterTaskDefinition for up to 16,384 CPU units, the
ECS task definition reference (also cfn-lint's fargate_cpu_memory schema) for 32,768. Read 2026-11."""
SMALLEST_EC2_CPU: Final = CpuUnits(128)
"""Smallest task-level CPU on EC2 (ECS task definition reference)."""
LARGEST_EC2_CPU: Final = CpuUnits(196_608)
CPU_STEP: Final = 64
MEMORY_STEP: Final = 64

Launch = Literal["fargate", "ec2"]


@dataclass(frozen=True, slots=True)
class TaskSize:
    cpu_units: CpuUnits
    memory_mib: MiB


@dataclass(frozen=True, slots=True)
class Kept:
    """The size stays, with the reason why."""

    size: TaskSize
    reason: str


@dataclass(frozen=True, slots=True)
class Resize:
    """A new size, why, and what a target tracking policy must become for the same behaviour."""

    size: TaskSize
    reasons: tuple[str, ...]
    tracking_targets: tuple[tuple[str, float], ...] = ()
    """(policy name, target in percent of the new reservation) for policies on CPU or memory."""


@dataclass(frozen=True, slots=True)
class Objective:
    """What the size must hold. Shares are of the new reservation."""

    cpu_quantile: float = 0.99
    """Share of periods in which the busiest task must stay within `cpu_used_per_reserved`."""
    cpu_used_per_reserved: Share = Share(0.8)
    memory_margin: Share = Share(0.15)
    """Kept above the highest use ever seen (the margin of robusta-dev/krr's simple strategy)."""
    leak_horizon_days: float = 30.0
    """How long a task may run before it is replaced; leak growth over that time is added."""
    min_points: int = 100
    min_days: float = 2.0
    least_change: Share = Share(0.1)


def rightsize(
    usage: pd.DataFrame,
    current: TaskSize,
    *,
    launch: Launch = "fargate",
    objective: Objective | None = None,
    scaling: ScalingTarget | None = None,
    jvm_heap_mib: MiB | None = None,
) -> Resize | Kept:
    """A task size for one service from its usage (frames.USAGE rows of that service).

    CPU: the objective's quantile of the busiest task's use over its highest share of the reservation.
    Memory: the highest use of any task, plus leak growth, plus the margin. On Fargate the smallest legal
    size that holds both. Kept with the reason where the history is too short or the change too small.
    """
    goal = objective or Objective()
    seen = usage[np.isfinite(usage["cpu_used_max_per_task_vcpu"])]
    seen = seen[np.isfinite(seen["memory_used_max_per_task_mib"])]
    days = (seen["timestamp"].max() - seen["timestamp"].min()) / pd.Timedelta(days=1) if len(seen) else 0.0
    if len(seen) < goal.min_points or days < goal.min_days:
        return Kept(current, f"not enough data: {len(seen)} points over {days:.1f} days")
    cpu = float(seen["cpu_used_max_per_task_vcpu"].quantile(goal.cpu_quantile)) / goal.cpu_used_per_reserved
    memory = float(seen["memory_used_max_per_task_mib"].max()) * (1 + goal.memory_margin)
    if jvm_heap_mib is not None:
        memory = max(memory, jvm_heap_mib * (1 + goal.memory_margin))
    size = _legal(units.cpu_units(cpu), MiB(math.ceil(memory)), launch)
    if size == current:
        return Kept(current, "the current size is the smallest that holds the objective")
    reasons = (f"CPU p{goal.cpu_quantile * 100:g} of the busiest task", "highest memory plus margin")
    return Resize(size, reasons, _tracking_targets(current, size, scaling))


def _tracking_targets(
    old: TaskSize, new: TaskSize, scaling: ScalingTarget | None
) -> tuple[tuple[str, float], ...]:
    """The same load per task expressed in percent of the new reservation."""
    ratios = {
        "ECSServiceAverageCPUUtilization": old.cpu_units / new.cpu_units,
        "ECSServiceAverageMemoryUtilization": old.memory_mib / new.memory_mib,
    }
    policies = scaling.target_tracking if scaling else ()
    return tuple((p.name, p.target * ratios[p.metric]) for p in policies if p.metric in ratios)


def _legal(cpu: CpuUnits, memory: MiB, launch: Launch) -> TaskSize:
    if launch == "fargate":
        for units_allowed, sizes in FARGATE_SIZES.items():
            fitting = [size for size in sizes if size >= memory]
            if units_allowed >= cpu and fitting:
                return TaskSize(CpuUnits(units_allowed), MiB(fitting[0]))
        raise ValueError(f"no Fargate size holds {cpu} CPU units and {memory} MiB")
    stepped = max(SMALLEST_EC2_CPU, math.ceil(cpu / CPU_STEP) * CPU_STEP)
    return TaskSize(CpuUnits(stepped), MiB(max(MEMORY_STEP, math.ceil(memory / MEMORY_STEP) * MEMORY_STEP)))
