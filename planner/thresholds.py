"""The thresholds of a service in the words of the plan: what it tracks, at which target, between which counts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from planner import scaling as scaling_stage
from planner.documents.plan import Carries, ScalingPlan, SchedulePlan, TargetTrackingPlan
from planner.expectations import Expected
from planner.model import FAST_SUFFIX, Service
from planner.settings import MetricResolution, Settings
from planner.timegrid import TimeGrid
from planner.units import SECONDS_PER_MINUTE

if TYPE_CHECKING:
    from planner.scaling import Infeasible, Policy, TaskCounts, Tuned
    from planner.scaling.policies import ScheduledScaling
    from planner.scaling.tuning import Resolution

FloatArray = NDArray[np.float64]
CPU_METRIC: Final = "ECSServiceAverageCPUUtilization"
REQUESTS_METRIC: Final = "ALBRequestCountPerTarget"
FAST_CHARGE: Final = (
    "20-second metrics are charged like detailed monitoring, assumed to be a metric and two alarms of about a "
    "dollar a month, and turning them on or off is a deployment"
)
"""What a plan on them says beside its cost lines, which hold no CloudWatch charges. Amazon ECS developer guide,
"Faster auto scaling with high-resolution metrics"."""
APPLICATION: Final = ":loadbalancer/app/"
"""In the ARN of an Application Load Balancer, the only kind that counts requests per target."""


@dataclass(frozen=True, slots=True)
class TrackedLoad:
    """Requests a minute (shape (minutes,), NaN where unknown) of a service that can be scaled on them."""

    requests: FloatArray
    resource_label: str
    """Of the load balancer and target group, as a policy spells it."""
    requests_per_second_per_task: float | None = None
    """What one task carries within the latency objective, where that binds before CPU does."""

    def least_vcpu(self, task_vcpu: float, utilisation: float) -> FloatArray | None:
        """vCPU that stands for the tasks which latency needs; None where CPU binds first."""
        if self.requests_per_second_per_task is None:
            return None
        tasks = self.requests / SECONDS_PER_MINUTE / self.requests_per_second_per_task
        return np.asarray(tasks * task_vcpu * utilisation)


def tracked_load(
    service: Service,
    requests: FloatArray,
    wanted: FloatArray,
    observed: FloatArray,
    carries: Carries | None = None,
) -> TrackedLoad | None:
    """What a policy on requests would see of the demand that is planned for; None where CPU is to be tracked.

    Requests are tracked where a policy does so today, or where latency binds before CPU does (`carries`, of a
    task of the planned size). Demand that was raised above what was observed (launches, hidden load) raises
    requests alike.
    """
    late = carries is not None and carries.bound_by == "latency"
    label = _present_label(service) or (_label(service) if late else None)
    if label is None or not np.nansum(requests) > 0:
        return None
    raised = np.divide(wanted, observed, out=np.ones_like(wanted), where=observed > 0)
    planned = np.where(np.isnan(wanted), np.nan, requests * raised)
    return TrackedLoad(planned, label, carries.requests_per_second_per_task if carries and late else None)


def _present_label(service: Service) -> str | None:
    present = service.scaling.target_tracking if service.scaling else ()
    return next((t.resource_label for t in present if t.metric == REQUESTS_METRIC and t.resource_label), None)


def _label(service: Service) -> str | None:
    """app/<name>/<id>/targetgroup/<name>/<id>; None unless one target group behind one balancer has it all."""
    pairs = {(route.load_balancer_arn, route.target_group_arn) for route in service.routes}
    if len(pairs) != 1 or len(service.target_group_arns) != 1:
        return None
    balancer, group = pairs.pop()
    if APPLICATION not in balancer:
        return None
    return f"{balancer.split(':loadbalancer/', 1)[1]}/{group.rsplit(':', 1)[1]}"


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
    tracks requests today, or whose latency binds first, keeps to requests unless CPU is cheaper and holds as
    well; any other is scaled on CPU, at the resolution that the settings ask for, and on 20-second metrics before
    it gets a fixed count.
    """
    loads = {} if load is None else {"requests": load.requests}
    least = None if load is None else load.least_vcpu(task_vcpu, settings.utilisation)
    needed = wanted if least is None else np.where(np.isnan(wanted), np.nan, np.fmax(wanted, least))

    def tuned(resolution: Resolution) -> Tuned | Infeasible:
        return scaling_stage.tune(
            wanted, grid.start, task_vcpu=task_vcpu, slo=settings.slo, utilisation=settings.utilisation,
            timezone=settings.timezone, seed=settings.seed, loads=loads, least_vcpu=least, resolution=resolution,
            metrics=("cpu",) if load is None else ("requests", "cpu"),
        )  # fmt: skip

    try:
        found = _holding(service, settings.metric_resolution, tuned)
    except ValueError as unusable:
        return _fixed_count(service, needed, task_vcpu, settings, grid, str(unusable))
    if isinstance(found, scaling_stage.Infeasible):
        return _fixed_count(service, needed, task_vcpu, settings, grid, found.reason)
    policy = with_least(found.policy, settings.min_tasks if service.target_group_arns else 0)
    if expected is not None:
        most = math.ceil(float(expected.p99.max()) / (settings.utilisation * task_vcpu) - 1e-9)
        policy = replace(policy, max=max(policy.max, min(most, scaling_stage.MOST_TASKS)))
    counts = _counts(wanted, policy, settings, grid, loads)
    if least is not None:
        tasks = np.ceil(np.nan_to_num(needed) / (task_vcpu * settings.utilisation) - 1e-6)
        counts = replace(counts, violating=tasks > counts.running)
    return scaling_plan(service.name, policy, found, counts, load), counts


def _holding(
    service: Service, asked: MetricResolution, tuned: Callable[[Resolution], Tuned | Infeasible]
) -> Tuned | Infeasible:
    """The choice at the resolution asked for, or on 20-second metrics where those of a minute do not hold."""
    if asked == "standard-only":
        return tuned("standard")
    if service.minute_metrics_only:
        found = tuned("standard")
        if asked == "standard" and isinstance(found, scaling_stage.Tuned):
            return found
        return replace(found, reason=f"{found.reason}; only metrics of a minute: {service.minute_metrics_only}")
    if (
        asked == "standard"
        and service.scaling
        and any(_is_fast(t.metric) for t in service.scaling.target_tracking)
    ):
        asked = "either"  # they are paid for today: judged, not dropped unseen
    found = tuned(asked)
    if not isinstance(found, scaling_stage.Infeasible) or asked == "high":
        return found
    fast = found.alternative if asked == "either" else tuned("high")
    if not isinstance(fast, scaling_stage.Tuned):
        return found
    return replace(fast, reason=f"{fast.reason}; on metrics of a minute: {found.reason}")


def _counts(
    wanted: FloatArray, policy: Policy, settings: Settings, grid: TimeGrid, loads: dict[str, FloatArray]
) -> TaskCounts:
    """Tasks minute by minute; the lanes tell them for CPU, the reference for any other metric."""
    if all(tracking.metric.removesuffix(FAST_SUFFIX) == CPU_METRIC for tracking in policy.target_tracking):
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
        reason=f"{tuned.reason}; {FAST_CHARGE}" if tracking and _is_fast(tracking.metric) else tuned.reason,
    )


def _is_fast(metric: str) -> bool:
    return metric.endswith(FAST_SUFFIX)


def with_metric_told(plan: ScalingPlan, scale_on: str | None, load: TrackedLoad | None) -> ScalingPlan:
    """The plan with a reason where it does not track the metric that tells the load of a task."""
    tracked = plan.target_tracking.metric.removesuffix(FAST_SUFFIX) if plan.target_tracking else None
    if tracked is None or scale_on is None or scale_on == tracked:
        return plan
    if scale_on == CPU_METRIC:
        words = f"{tracked} is kept: it is tracked today and CPU would save nothing"
    elif scale_on != REQUESTS_METRIC:
        words = f"{scale_on} is not tracked: what a task holds without any load would drive it"
    elif load is None:
        words = (
            f"{scale_on} is not tracked: its task is resized, or no one target group of an Application Load "
            "Balancer counts all its requests"
        )
    else:
        words = f"{scale_on} is not tracked: CPU costs less and holds as well"
    return plan.model_copy(update={"reason": f"{plan.reason}; {words}"})
