"""What a block of lanes shares, what each lane holds, and which policies lanes can express at all."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from planner.scaling.alarms import EVALUATION_RANGE_EXTRA
from planner.scaling.bounds import bounds_of
from planner.scaling.policies import (
    CPU,
    HIGH_RESOLUTION_SUFFIX,
    CapacityProvider,
    CooldownFrom,
    Placement,
    Policy,
)
from planner.scaling.proposals import metric_scale
from planner.scaling.provider import Group
from planner.scaling.rounding import TOLERANCE
from planner.units import SECONDS_PER_MINUTE, share

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LARGEST_INSTANCE: Final = 1_000
"""Tasks per instance up to which float32 divides whole numbers exactly enough to round up."""
FULL_PERCENT: Final = 100
CACHE_LINE: Final = 64
"""Bytes; a block that straddles cache lines loses up to half of the speed."""


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
    if tracking.metric.removesuffix(HIGH_RESOLUTION_SUFFIX) != CPU:
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


@dataclass(frozen=True, slots=True)
class Shared:
    """Per tick, what a block's lanes have in common (kernels.run_block)."""

    load: FloatArray
    new_points: NDArray[np.int16]
    source: IntArray
    high_points: NDArray[np.int16]
    low_points: NDArray[np.int16]
    needed: NDArray[np.int16]
    strained: NDArray[np.int16]
    low: NDArray[np.int16]
    high: NDArray[np.int16]
    changed: NDArray[np.uint8]
    deploying: NDArray[np.uint8]
    initial_minimum: int
    initial_maximum: int
    published_rows: int
    start_ticks: int
    ticks_per_minute: int
    bounds_are_shared: bool

    def per_tick(self) -> tuple[NDArray[Any], ...]:
        """In the order the kernels take them."""
        return (
            self.load, self.new_points, self.source, self.high_points, self.low_points, self.needed,
            self.strained, self.low, self.high, self.changed, self.deploying,
        )  # fmt: skip

    @classmethod
    def of(
        cls,
        demand: FloatArray,
        start: datetime,
        policy: Policy,
        utilisation: float,
        history: FloatArray | None,
        floor: IntArray | None,
        strain: float,
    ) -> Shared:
        from planner.scaling.kernels import LANES

        tracking = policy.target_tracking[0]
        parts = SECONDS_PER_MINUTE // tracking.period_s
        fast = tracking.period_s < SECONDS_PER_MINUTE
        delay = policy.delays.high_resolution_metric_publishing_s if fast else policy.delays.metric_publishing_s
        late = math.ceil(delay.value_s / tracking.period_s)
        longest = max(tracking.high_datapoints, tracking.low_datapoints) + EVALUATION_RANGE_EXTRA
        rows = late + 1 + longest
        load = np.repeat(demand, parts)
        newest, real, present = _published(load, late)
        bounds = bounds_of(policy, start, demand, history)
        shared = bool(policy.scheduled or policy.predictive)
        low = bounds.minimum if shared else np.zeros(len(demand), np.int64)
        low = low if floor is None else np.asarray(floor, np.int64)
        high = bounds.maximum if shared else np.full(len(demand), int(most()))
        needed = needed_tasks(demand, policy.task_vcpu * utilisation)
        strained = needed_tasks(demand * (1 + strain), policy.task_vcpu * utilisation) if strain else needed
        return cls(
            load=np.where(newest >= 0, load[newest], 0.0),
            new_points=real.astype(np.int16),
            source=np.where(newest >= 0, newest % rows, 0) * LANES,
            high_points=_points(present, tracking.high_datapoints),
            low_points=_points(present, tracking.low_datapoints),
            needed=np.repeat(needed, parts),
            strained=np.repeat(strained, parts),
            low=np.repeat(low, parts).astype(np.int16),
            high=np.repeat(high, parts).astype(np.int16),
            changed=_changes(parts, low, high, bounds.deploying),
            deploying=np.repeat(bounds.deploying, parts).astype(np.uint8),
            initial_minimum=int(bounds.minimum[0]) if shared else int(low[0]),
            initial_maximum=int(bounds.maximum[0]) if shared else int(high[0]),
            published_rows=rows,
            start_ticks=math.ceil(policy.delays.task_start_s.value_s / tracking.period_s),
            ticks_per_minute=parts,
            bounds_are_shared=shared,
        )


def most() -> float:
    from planner.scaling.kernels import MOST

    return MOST


def _changes(parts: int, *series: NDArray[Any]) -> NDArray[np.uint8]:
    """Ticks at which any of the series (one value a minute) changes, and the first."""
    ticks = np.zeros(len(series[0]) * parts, np.uint8)
    ticks[0] = 1
    for values in series:
        ticks[parts::parts] |= values[1:] != values[:-1]
    return ticks


def needed_tasks(demand: FloatArray, vcpu_per_task: float) -> NDArray[np.int16]:
    tasks = demand / vcpu_per_task
    tasks -= TOLERANCE
    np.ceil(tasks, out=tasks)
    np.minimum(tasks, most(), out=tasks)
    return np.nan_to_num(tasks, copy=False).astype(np.int16)


def _published(load: FloatArray, late: int) -> tuple[IntArray, NDArray[np.bool_], NDArray[np.bool_]]:
    """Per tick: the newest real datapoint published (-1: none), whether one arrives, and the same by age.

    The third is the arrivals' presence with the quiet datapoints of before the replay in front.
    """
    ticks, shift = len(load), min(late + 1, len(load))
    known = ~np.isnan(load)
    newest = np.arange(-shift, ticks - shift, dtype=np.int64)
    newest[:shift] = -1
    real = np.zeros(ticks, np.bool_)
    real[shift:] = known[: ticks - shift]
    present = real.copy()
    present[:shift] = True
    if not known.all():
        newest = np.maximum.accumulate(np.where(real, newest, -1))
    return newest, real, present


def _points(present: NDArray[np.bool_], datapoints: int) -> NDArray[np.int16]:
    """Datapoints that make the alarm at each tick: fewer where some are missing, never where all are."""
    from planner.scaling.kernels import NEVER

    if present.all():
        return np.full(len(present), datapoints, np.int16)
    window = datapoints + EVALUATION_RANGE_EXTRA
    padded = np.concatenate([np.ones(window, np.int64), present.astype(np.int64)])
    total = np.cumsum(padded)
    count = total[window:] - total[:-window]
    return np.where(count == 0, NEVER, np.minimum(count, datapoints)).astype(np.int16)


def aligned(length: int, dtype: Any) -> NDArray[Any]:
    size = np.dtype(dtype).itemsize
    raw = np.zeros(length * size + CACHE_LINE, np.uint8)
    offset = -raw.ctypes.data % CACHE_LINE
    return raw[offset : offset + length * size].view(dtype)


def group_state(policies: list[Policy], state: NDArray[np.int16], numbers: FloatArray) -> NDArray[np.float32]:
    """Fill the rows of managed scaling; returns the float32 block."""
    from planner.scaling import kernels

    lanes = kernels.LANES
    rows, floats = state.reshape(-1, lanes), numbers.reshape(-1, lanes)
    shares = aligned(kernels.GROUP_ROWS * lanes, np.float32)
    parts = shares.reshape(-1, lanes)
    for lane in range(lanes):
        policy = policies[min(lane, len(policies) - 1)]  # lanes to spare repeat the last policy
        provider = policy.capacity_provider
        if provider is None:
            raise ValueError("a block on instances needs a capacity provider in every policy")
        parts[kernels.PER_INSTANCE, lane] = provider.tasks_per_instance
        parts[kernels.INVERSE, lane] = 1 / provider.tasks_per_instance
        parts[kernels.ROUNDING, lane] = provider.tasks_per_instance - 0.5
        floats[kernels.GROUP_TARGET, lane] = 1 / share(provider.target_capacity_percent)
        group = Group(provider, policy.delays.instance_boot_s, np.random.default_rng(0))
        tasks = int(rows[kernels.DESIRED, lane])
        running = min(max(group.wanted(group.needed(tasks)), provider.min_size), provider.max_size)
        rows[[kernels.INSTANCES, kernels.SIZE], lane] = running
        placed = min(tasks, running * provider.tasks_per_instance)
        rows[[kernels.PLACED, kernels.BEFORE], lane] = placed
        rows[kernels.GROUP_MINIMUM, lane], rows[kernels.GROUP_MAXIMUM, lane] = provider.min_size, provider.max_size
        rows[kernels.STEP_LEAST, lane], rows[kernels.STEP_MOST, lane] = (
            provider.minimum_step,
            provider.maximum_step,
        )
        rows[kernels.WARM_TICKS, lane] = math.ceil(provider.instance_warmup_s / SECONDS_PER_MINUTE)
    return shares


def block_state(shared: Shared, policies: list[Policy]) -> tuple[NDArray[np.int16], FloatArray]:
    from planner.scaling import kernels

    lanes = kernels.LANES
    state = aligned(kernels.ROWS * lanes, np.int16)
    numbers = aligned(kernels.FLOAT_ROWS * lanes, np.float64)
    rows, floats = state.reshape(-1, lanes), numbers.reshape(-1, lanes)
    for lane, policy in enumerate(policies):
        tracking = policy.target_tracking[0]
        low, high = shared.initial_minimum, shared.initial_maximum
        if not shared.bounds_are_shared:
            rows[kernels.LOWEST, lane], rows[kernels.HIGHEST, lane] = policy.min, policy.max
            low, high = max(low, policy.min), min(high, policy.max)
        else:
            rows[kernels.HIGHEST, lane] = int(kernels.MOST)
        initial = low if policy.initial is None else policy.initial
        rows[kernels.DESIRED, lane] = min(max(initial, low), high)
        rows[kernels.BEFORE, lane] = rows[kernels.DESIRED, lane]
        rows[kernels.OUT_TICKS, lane] = math.ceil(tracking.scale_out_cooldown_s / tracking.period_s)
        rows[kernels.IN_TICKS, lane] = math.ceil(tracking.scale_in_cooldown_s / tracking.period_s)
        most = int(kernels.MOST) if tracking.maximum_scale_in is None else tracking.maximum_scale_in
        rows[kernels.SCALE_IN_MOST, lane] = 0 if tracking.disable_scale_in else most
        per_target = metric_scale(tracking.metric, policy) / tracking.target
        floats[kernels.PER_TARGET, lane] = per_target
        floats[kernels.PER_LOW, lane] = per_target / tracking.low_alarm_factor
        if tracking.metric_ceiling_percent is not None:
            ceiling = tracking.metric_ceiling_percent / tracking.target
            floats[kernels.CEILING, lane] = ceiling
            floats[kernels.CEILING_LOW, lane] = ceiling / tracking.low_alarm_factor
    used = len(policies)  # lanes to spare repeat the last policy: a lane without tasks would divide by zero
    rows[:, used:], floats[:, used:] = rows[:, used - 1 : used], floats[:, used - 1 : used]
    return state, numbers
