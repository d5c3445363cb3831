"""Task sizes from what tasks used: memory by its maximum, CPU by the objective.

Memory cannot be squeezed: a task that passes its limit is killed, so the maximum rules, with a margin and
what a leak adds before the task is replaced. CPU can wait: a quantile rules. A service that scales by
target tracking is sized with its policy in view, because a smaller reservation raises the utilisation, so
the same target would add tasks, whose lower use would shrink the reservation again (robusta-dev/krr issue
169 and pull request 80 tell of that loop). Here use at the target, not use as it happens to be, sets the
size, and the target that keeps the load per task comes with the new size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd

from planner import units
from planner.demand.notices import Notice
from planner.model import FAST_SUFFIX, ScalingTarget, TargetTracking
from planner.units import CpuUnits, MiB, Share

FARGATE_SIZES: Final = units.FARGATE_MEMORY_MIB
SMALLEST_EC2_CPU: Final = CpuUnits(128)
"""Smallest task-level CPU on EC2 (ECS task definition reference)."""
LARGEST_EC2_CPU: Final = CpuUnits(196_608)
CPU_STEP: Final = 64
MEMORY_STEP: Final = 64
CPU_METRIC: Final = "ECSServiceAverageCPUUtilization"
MEMORY_METRIC: Final = "ECSServiceAverageMemoryUtilization"
HIGHEST_TARGET: Final = 90.0
"""A target tracking policy above this percentage cannot react in time; such sizes are not advised."""

Launch = Literal["fargate", "ec2"]


@dataclass(frozen=True, slots=True)
class TaskSize:
    cpu_units: CpuUnits
    memory_mib: MiB


@dataclass(frozen=True, slots=True)
class Objective:
    """What the size must hold. Shares are of the new reservation."""

    cpu_quantile: float = 0.99
    """Share of periods in which the busiest task must stay within `cpu_used_per_reserved`."""
    cpu_used_per_reserved: Share = Share(0.8)
    memory_margin: Share = Share(0.15)
    """Kept above the highest use ever seen (the margin of robusta-dev/krr's simple strategy)."""
    jvm_overhead: Share = Share(0.25)
    """Metaspace, threads and buffers on top of a JVM's heap, as a share of the heap."""
    leak_horizon_days: float = 30.0
    """How long a task may run before it is replaced; leak growth over that time is added."""
    min_points: int = 100
    min_days: float = 2.0
    least_change: Share = Share(0.1)
    """A size whose CPU and memory both move by less is not worth a deployment."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The size stays, with the reason why."""

    size: TaskSize
    reason: str
    warnings: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Resize:
    """A new size, why, and what a target tracking policy must become for the same behaviour."""

    size: TaskSize
    reasons: tuple[str, ...]
    tracking_targets: tuple[tuple[str, float], ...] = ()
    """(policy name, target in percent of the new reservation) for policies on CPU or memory."""
    warnings: tuple[Notice, ...] = ()


def rightsize(
    usage: pd.DataFrame,
    current: TaskSize,
    *,
    launch: Launch = "fargate",
    objective: Objective | None = None,
    scaling: ScalingTarget | None = None,
    jvm_heap_mib: MiB | None = None,
    deployments: tuple[pd.Timestamp, ...] = (),
) -> Resize | Kept:
    """A task size for one service from its usage (frames.USAGE rows of that service).

    CPU: the objective's quantile of the busiest task's use over its highest share of the reservation; with
    a target tracking policy on CPU, at least what holds the policy's load per task. Memory: the highest use
    of any task plus leak growth plus the margin; with a JVM heap (-Xmx), at least heap plus overhead, since
    a heap that has not grown yet will. On Fargate the smallest legal size that holds both.

    deployments: moments at which tasks were replaced; leak growth is measured between them.
    Kept, with the reason, where the history is too short, CPU sat at its limit so that the need is
    unknown, or the change is too small.
    """
    goal = objective or Objective()
    seen = usage[np.isfinite(usage["cpu_used_max_per_task_vcpu"])]
    seen = seen[np.isfinite(seen["memory_used_max_per_task_mib"])].sort_values("timestamp", kind="stable")
    days = (seen["timestamp"].iloc[-1] - seen["timestamp"].iloc[0]) / pd.Timedelta(days=1) if len(seen) else 0.0
    if len(seen) < goal.min_points or days < goal.min_days:
        return Kept(current, f"not enough data: {len(seen)} points over {days:.1f} days")
    cpu, cpu_reason = _cpu_need(seen, current, goal, scaling)
    memory, memory_reason, warnings = _memory_need(seen, goal, jvm_heap_mib, deployments)
    throttled = _throttled(seen, current, goal)
    if throttled > 0 and cpu < current.cpu_units:
        return Kept(
            current, f"CPU sat at its limit in {throttled:.1%} of periods, so what is needed is unknown", warnings
        )
    size = legal_size(cpu, memory, launch)
    if isinstance(size, str):
        return Kept(current, size, warnings)
    if not _worthwhile(current, size, goal):
        return Kept(current, "the current size is already the right one, or nearly so", warnings)
    targets = _tracking_targets(current, size, scaling)
    too_high = [name for name, target in targets if target > HIGHEST_TARGET]
    if too_high:
        return Kept(current, f"policy {too_high[0]} would need a target above {HIGHEST_TARGET:g} %", warnings)
    return Resize(size, (cpu_reason, memory_reason), targets, warnings)


def legal_size(cpu: CpuUnits, memory: MiB, launch: Launch) -> TaskSize | str:
    """The smallest size that holds both, or the sentence why none does."""
    if launch == "fargate":
        for cpu_size, memory_sizes in FARGATE_SIZES.items():
            fitting = [size for size in memory_sizes if size >= memory]
            if cpu_size >= cpu and fitting:
                return TaskSize(CpuUnits(cpu_size), MiB(fitting[0]))
        return f"no Fargate size holds {cpu} CPU units and {memory} MiB"
    if cpu > LARGEST_EC2_CPU:
        return f"{cpu} CPU units are beyond the largest task on EC2 ({LARGEST_EC2_CPU})"
    stepped = max(SMALLEST_EC2_CPU, math.ceil(cpu / CPU_STEP) * CPU_STEP)
    return TaskSize(CpuUnits(stepped), MiB(max(MEMORY_STEP, math.ceil(memory / MEMORY_STEP) * MEMORY_STEP)))


def _cpu_need(
    seen: pd.DataFrame, current: TaskSize, goal: Objective, scaling: ScalingTarget | None
) -> tuple[CpuUnits, str]:
    busiest = float(seen["cpu_used_max_per_task_vcpu"].quantile(goal.cpu_quantile))
    need = units.cpu_units(busiest / goal.cpu_used_per_reserved)
    reason = (
        f"the busiest task used at most {busiest:.2f} vCPU in {goal.cpu_quantile:.0%} of periods; that is "
        f"{goal.cpu_used_per_reserved:.0%} of {need} CPU units"
    )
    policy = _policy(scaling, CPU_METRIC)
    if policy is None:
        return need, reason
    # At the target every task uses target * reservation, whatever the demand: that use must fit.
    at_target = current.cpu_units * policy.target / 100
    floor = CpuUnits(math.ceil(at_target / goal.cpu_used_per_reserved - 1e-9))
    if floor <= need:
        return need, reason
    return floor, (
        f"policy {policy.name} lets each task use {at_target:.0f} CPU units, which is "
        f"{goal.cpu_used_per_reserved:.0%} of {floor}"
    )


def _memory_need(
    seen: pd.DataFrame, goal: Objective, heap: MiB | None, deployments: tuple[pd.Timestamp, ...]
) -> tuple[MiB, str, tuple[Notice, ...]]:
    highest = float(seen["memory_used_max_per_task_mib"].max())
    growth = leak_mib_per_day(seen, deployments)
    extra = growth * goal.leak_horizon_days
    need = (highest + extra) * (1 + goal.memory_margin)
    reason = f"the fullest task held {highest:,.0f} MiB; a margin of {goal.memory_margin:.0%} is kept"
    warnings: tuple[Notice, ...] = ()
    if growth > 0:
        reason += f", and {extra:,.0f} MiB for {goal.leak_horizon_days:g} days of growth"
        warnings = (
            Notice("memory-grows", f"memory grows by {growth:,.1f} MiB a day between restarts: likely a leak"),
        )
    if heap is not None and heap * (1 + goal.jvm_overhead) > need:
        need = heap * (1 + goal.jvm_overhead)
        reason = f"the JVM heap may grow to {heap:,} MiB; {goal.jvm_overhead:.0%} more is kept beside it"
    return MiB(math.ceil(need - 1e-9)), reason, warnings


def leak_mib_per_day(seen: pd.DataFrame, deployments: tuple[pd.Timestamp, ...] = ()) -> float:
    """Steady growth of memory per task between deployments, in MiB per day; 0 where there is none.

    The slope through the daily lowest values (Theil-Sen, Sen 1968) of the longest stretch without a
    deployment: a leak lifts the floor, load only the peaks. It must span three days, have a lower 90 %
    bound above zero and lift the floor by 2 % of it.
    """
    from scipy.stats import theilslopes

    stretch = _longest_stretch(seen, deployments)
    daily = stretch.groupby(stretch["timestamp"].dt.floor("D"))["memory_used_max_per_task_mib"].min()
    if len(daily) < 4:
        return 0.0
    days = np.arange(len(daily), dtype=float)
    slope, _, low, _ = theilslopes(daily.to_numpy(), days, alpha=0.9)
    lifted = slope * (len(daily) - 1)
    return float(slope) if low > 0 and lifted > 0.02 * float(daily.iloc[0]) else 0.0


def _longest_stretch(seen: pd.DataFrame, deployments: tuple[pd.Timestamp, ...]) -> pd.DataFrame:
    edges = np.array(sorted(at.value for at in (d.tz_convert("UTC").as_unit("ns") for d in deployments)))
    part = np.searchsorted(edges, seen["timestamp"].dt.as_unit("ns").astype("int64"), side="right")
    longest: pd.DataFrame = max((rows for _, rows in seen.groupby(part)), key=len)
    return longest


def _throttled(seen: pd.DataFrame, current: TaskSize, goal: Objective) -> float:
    """Share of periods with the busiest task at its limit, where they outnumber what the objective allows."""
    limit = units.vcpu(current.cpu_units)
    share = float((seen["cpu_used_max_per_task_vcpu"].between(0.98 * limit, 1.02 * limit)).mean())
    return share if share > 1 - goal.cpu_quantile else 0.0


def _worthwhile(current: TaskSize, size: TaskSize, goal: Objective) -> bool:
    moved = max(abs(size.cpu_units / current.cpu_units - 1), abs(size.memory_mib / current.memory_mib - 1))
    return moved >= goal.least_change


def _policy(scaling: ScalingTarget | None, metric: str) -> TargetTracking | None:
    """The policy on this metric that acts first: the one with the lowest target."""
    found = [
        p for p in (scaling.target_tracking if scaling else ()) if p.metric.removesuffix(FAST_SUFFIX) == metric
    ]
    return min(found, key=lambda p: p.target) if found else None


def _tracking_targets(
    old: TaskSize, new: TaskSize, scaling: ScalingTarget | None
) -> tuple[tuple[str, float], ...]:
    """The same load per task expressed in percent of the new reservation."""
    ratios = {
        CPU_METRIC: old.cpu_units / new.cpu_units,
        MEMORY_METRIC: old.memory_mib / new.memory_mib,
    }
    policies = scaling.target_tracking if scaling else ()
    named = ((p, p.metric.removesuffix(FAST_SUFFIX)) for p in policies)
    return tuple((p.name, round(p.target * ratios[metric], 1)) for p, metric in named if metric in ratios)
