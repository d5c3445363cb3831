"""The thresholds of a service in the words of the plan: what it tracks, at which target, between which counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from planner import scaling as scaling_stage
from planner.documents.plan import ScalingPlan, SchedulePlan, TargetTrackingPlan
from planner.expectations import Expected
from planner.model import Service
from planner.settings import Settings
from planner.timegrid import TimeGrid

if TYPE_CHECKING:
    from planner.scaling import Policy, TaskCounts, Tuned
    from planner.scaling.policies import ScheduledScaling

FloatArray = NDArray[np.float64]
CPU_METRIC: Final = "ECSServiceAverageCPUUtilization"
REQUESTS_METRIC: Final = "ALBRequestCountPerTarget"


@dataclass(frozen=True, slots=True)
class TrackedLoad:
    """Requests a minute (shape (minutes,), NaN where unknown) of a service that tracks them today."""

    requests: FloatArray
    resource_label: str
    """Of the load balancer and target group, as the policy of today spells it."""


def tracked_load(
    service: Service, requests: FloatArray, wanted: FloatArray, observed: FloatArray
) -> TrackedLoad | None:
    """What a policy on requests would see of the demand that is planned for; None where none can be kept.

    Demand that was raised above what was observed (launches, hidden load) raises requests alike. A policy on
    requests needs the label of its load balancer and target group, which only a present policy tells.
    """
    present = service.scaling.target_tracking if service.scaling else ()
    label = next((t.resource_label for t in present if t.metric == REQUESTS_METRIC and t.resource_label), None)
    if label is None or not np.nansum(requests) > 0:
        return None
    raised = np.divide(wanted, observed, out=np.ones_like(wanted), where=observed > 0)
    return TrackedLoad(np.where(np.isnan(wanted), np.nan, requests * raised), label)


def choose_scaling(
    service: Service,
    wanted: FloatArray,
    task_vcpu: float,
    settings: Settings,
    grid: TimeGrid,
    expected: Expected | None = None,
    load: TrackedLoad | None = None,
) -> tuple[ScalingPlan, TaskCounts]:
    """Thresholds from the scaling stage; where target tracking cannot hold the objective, a fixed count.

    The maximum holds p99 of the coming week, where that is more than the past needs room for. A service that
    tracks requests today keeps to them unless CPU is cheaper; any other is scaled on CPU.
    """
    loads = {} if load is None else {"requests": load.requests}
    try:
        found = scaling_stage.tune(
            wanted, grid.start, task_vcpu=task_vcpu, slo=settings.slo, utilisation=settings.utilisation,
            timezone=settings.timezone, seed=settings.seed, loads=loads,
            metrics=("cpu",) if load is None else ("requests", "cpu"),
        )  # fmt: skip
    except ValueError as unusable:
        return _fixed_count(service, wanted, task_vcpu, settings, grid, str(unusable))
    if isinstance(found, scaling_stage.Infeasible):
        return _fixed_count(service, wanted, task_vcpu, settings, grid, found.reason)
    policy = with_least(found.policy, settings.min_tasks if service.target_group_arns else 0)
    if expected is not None:
        most = math.ceil(float(expected.p99.max()) / (settings.utilisation * task_vcpu) - 1e-9)
        policy = replace(policy, max=max(policy.max, min(most, scaling_stage.MOST_TASKS)))
    counts = _counts(wanted, policy, settings, grid, loads)
    return scaling_plan(service.name, policy, found, counts, load), counts


def _counts(
    wanted: FloatArray, policy: Policy, settings: Settings, grid: TimeGrid, loads: dict[str, FloatArray]
) -> TaskCounts:
    """Tasks minute by minute; the lanes tell them for CPU, the reference for any other metric."""
    if all(tracking.metric == CPU_METRIC for tracking in policy.target_tracking):
        return scaling_stage.task_counts(wanted, grid.start, policy, utilisation=settings.utilisation)
    outcome = scaling_stage.simulate(wanted, grid.start, policy, utilisation=settings.utilisation, loads=loads)
    seen = outcome.trajectory
    return scaling_stage.TaskCounts(seen.desired, seen.running, seen.violating, int(np.isfinite(wanted).sum()))


def with_least(policy: Policy, least: int) -> Policy:
    """The policy with no minimum under `least`: one task is down while its instance or zone is.

    Scheduled actions that then change nothing are dropped, so that people see only those that matter.
    """
    raised = [
        replace(
            action,
            min=None if action.min is None else max(action.min, least),
            max=None if action.max is None else max(action.max, least),
        )
        for action in policy.scheduled
    ]
    minimum, maximum = max(policy.min, least), max(policy.max, least)
    idle = all(a.min in (None, minimum) and a.max in (None, maximum) for a in raised)
    scheduled = () if idle else tuple(_changing(raised))
    return replace(policy, min=minimum, max=maximum, scheduled=scheduled)


def _changing(actions: Sequence[ScheduledScaling]) -> list[ScheduledScaling]:
    """Without actions that repeat the limits of the action before them on the same days."""
    kept: list[ScheduledScaling] = []
    for action in actions:
        before = next((k for k in reversed(kept) if _days(k) == _days(action)), None)
        if before is None or (before.min, before.max) != (action.min, action.max):
            kept.append(action)
    return kept


def _days(action: ScheduledScaling) -> str:
    """All of a cron expression but its minute and hour: the days on which it acts."""
    return action.schedule.partition(" ")[2].partition(" ")[2] + action.timezone


def _fixed_count(
    service: Service, wanted: FloatArray, task_vcpu: float, settings: Settings, grid: TimeGrid, reason: str
) -> tuple[ScalingPlan, TaskCounts]:
    """The count that serves the busiest measured minute, kept at all times."""
    peak = float(np.nanmax(wanted))
    count = max(1, math.ceil(peak / (settings.utilisation * task_vcpu) - 1e-9))
    count = max(count, settings.min_tasks if service.target_group_arns else 1)
    policy = scaling_stage.Policy(task_vcpu=task_vcpu, min=count, max=count)
    counts = scaling_stage.task_counts(wanted, grid.start, policy, utilisation=settings.utilisation)
    plan = ScalingPlan(
        min_capacity=count,
        max_capacity=count,
        attainment=counts.attainment,
        reason=f"A fixed count: {reason}",
    )
    return plan, counts


def scaling_plan(
    name: str, policy: Policy, tuned: Tuned, counts: TaskCounts, load: TrackedLoad | None = None
) -> ScalingPlan:
    """The chosen policy in the words of the plan."""
    tracking = policy.target_tracking[0] if policy.target_tracking else None
    return ScalingPlan(
        min_capacity=policy.min,
        max_capacity=policy.max,
        target_tracking=None
        if tracking is None
        else TargetTrackingPlan(
            metric=tracking.metric,  # type: ignore[arg-type]  # one of those that choose_scaling tries
            target=float(f"{tracking.target:.4g}"),
            scale_out_cooldown_s=round(tracking.scale_out_cooldown_s),
            scale_in_cooldown_s=round(tracking.scale_in_cooldown_s),
            resource_label=load.resource_label if load and tracking.metric == REQUESTS_METRIC else None,
        ),
        schedules=tuple(
            SchedulePlan(
                name=action.name or f"{name}-{number}",
                cron=action.schedule,
                timezone=action.timezone,
                min_capacity=policy.min if action.min is None else action.min,
                max_capacity=policy.max if action.max is None else action.max,
            )
            for number, action in enumerate(policy.scheduled, start=1)
        ),
        attainment=round(counts.attainment, 6),
        attainment_out_of_sample=round(tuned.attainment, 6),
        reason=tuned.reason,
    )
