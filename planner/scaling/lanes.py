"""Which policies lanes can express at all, and which fit one block together."""

from __future__ import annotations

import math
from collections.abc import Hashable
from functools import cache
from typing import Final

from planner.model import FAST_SUFFIX
from planner.scaling.policies import (
    CPU,
    CapacityProvider,
    CooldownFrom,
    Placement,
    Policy,
)
from planner.scaling.proposals import metric_scale
from planner.units import SECONDS_PER_MINUTE

LARGEST_INSTANCE: Final = 1_000
"""Tasks per instance up to which counts plus one instance's tasks stay below 2 ** 15 (kernels.group_needs)."""
FULL_PERCENT: Final = 100


def unlaned(policy: Policy) -> str | None:
    """Why the lanes cannot express a policy, or None."""
    if policy.capacity_provider is not None:
        return unlaned_provider(policy, policy.capacity_provider)
    if any(t.cooldown_from is not CooldownFrom.DECISION for t in policy.target_tracking):
        return "its cooldown starts at fulfilment, without a capacity provider"
    return _unlaned_service(policy)


def overflows(policy: Policy, peak_vcpu: float) -> str | None:
    """Why the counts of this demand would not fit a lane, or None."""
    tracking = policy.target_tracking[0]
    per_low = metric_scale(tracking.metric, policy) / tracking.target / tracking.low_alarm_factor
    if peak_vcpu * per_low >= most():
        return f"its demand needs more than {most():,.0f} tasks"
    if policy.min >= most():
        return f"its minimum is above {most():,.0f} tasks"
    return None


def unlaned_provider(policy: Policy, provider: CapacityProvider) -> str | None:
    """The same for what stands below the service."""
    if provider.placement is not Placement.BINPACK or provider.reservation != "needed_over_running":
        return "its capacity provider spreads tasks or counts empty instances"
    if provider.warm_pool_size:
        return "it has a warm pool"
    if provider.maximum_scale_in_share != CapacityProvider(1).maximum_scale_in_share:
        return "its group has a scale-in share of its own"
    if any(t.period_s < SECONDS_PER_MINUTE for t in policy.target_tracking):
        return "it has 20-second metrics on a capacity provider"
    if math.ceil(policy.delays.task_start_s.value_s / SECONDS_PER_MINUTE) != 1:
        return "its tasks do not start within one minute on a capacity provider"
    if provider.tasks_per_instance > LARGEST_INSTANCE:
        return f"its instances hold more than {LARGEST_INSTANCE} tasks"
    return _unlaned_service(policy)


def _unlaned_service(policy: Policy) -> str | None:
    if policy.step:
        return "it has step scaling"
    if len(policy.target_tracking) != 1:
        return "it has not exactly one target tracking policy"
    tracking = policy.target_tracking[0]
    if tracking.metric.removesuffix(FAST_SUFFIX) != CPU:
        return "its metric is not CPU"
    if not policy.delays.are_fixed:
        return "its delays are random"
    if policy.min < 1:
        return "its minimum is 0, where a service without tasks has no metric"
    if any(action.min == 0 or action.max == 0 for action in policy.scheduled):
        return "a scheduled action allows 0 tasks"
    return None


def shape(policy: Policy) -> Hashable:
    """What the lanes of one block must share."""
    tracking = policy.target_tracking[0]
    bounds: Hashable = (policy.scheduled, policy.predictive, policy.deployments)
    if policy.scheduled or policy.predictive:
        bounds = (bounds, policy.min, policy.max)
    return (
        policy.task_vcpu,
        policy.delays,
        tracking.period_s,
        tracking.high_datapoints,
        tracking.low_datapoints,
        tracking.capacity_basis,
        tracking.cooldown_from,
        _group_shape(policy.capacity_provider),
        tracking.metric_ceiling_percent is None,
        bounds,
    )


def _group_shape(provider: CapacityProvider | None) -> Hashable:
    if provider is None:
        return None
    return (
        provider.high_datapoints,
        provider.low_datapoints,
        provider.metric_delay_s,
        provider.target_capacity_percent == FULL_PERCENT,
    )


@cache
def most() -> float:
    """Tasks that a lane can count."""
    from planner.scaling.kernels import MOST

    return MOST
