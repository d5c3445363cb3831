"""Many policies on one demand series at once; every count equals the scalar reference's.

Policies are sorted into blocks of 64 lanes that share everything but targets, cooldowns and constant
bounds. A policy that the lanes cannot express is replayed by the reference, and the result says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from planner.scaling.alarms import EVALUATION_RANGE_EXTRA
from planner.scaling.bounds import bounds_of
from planner.scaling.policies import CPU, HIGH_RESOLUTION_SUFFIX, CapacityBasis, CooldownFrom, Policy
from planner.scaling.proposals import metric_scale
from planner.scaling.replay import checked_demand, simulate, ticks_per_minute
from planner.scaling.rounding import TOLERANCE
from planner.units import MINUTES_PER_HOUR, SECONDS_PER_MINUTE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DAY_MINUTES: Final = 24 * MINUTES_PER_HOUR
"""int16 counters of a block are emptied every day of the replay, long before they can overflow."""
STREAK: Final = 1_000
CACHE_LINE: Final = 64
"""Bytes; a block that straddles cache lines loses up to half of the speed."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One value a policy, shape (policies,)."""

    task_ticks_by_day: IntArray
    """Tasks times ticks, shape (days, policies); days count from the first minute, the last may be short."""
    ticks_per_hour: IntArray
    violations_by_day: IntArray
    """Violating minutes, shape (days, policies)."""
    strained_by_day: IntArray
    """Minutes that would violate if demand were higher by the batch's `strain`; shape (days, policies)."""
    scale_outs: IntArray
    scale_ins: IntArray
    instance_hours: FloatArray
    """NaN for policies without a capacity provider."""
    by_reference: tuple[str | None, ...]
    """Why the scalar reference replayed a policy; None for those in lanes."""

    @property
    def task_hours_by_day(self) -> FloatArray:
        return np.asarray(self.task_ticks_by_day / self.ticks_per_hour)

    @property
    def task_hours(self) -> FloatArray:
        return np.asarray(self.task_ticks_by_day.sum(axis=0) / self.ticks_per_hour)

    @property
    def violating_minutes(self) -> IntArray:
        return np.asarray(self.violations_by_day.sum(axis=0))


def unlaned(policy: Policy) -> str | None:
    """Why the lanes cannot express a policy, or None."""
    if policy.capacity_provider is not None:
        return "it has a capacity provider"
    if policy.step:
        return "it has step scaling"
    if len(policy.target_tracking) != 1:
        return "it has not exactly one target tracking policy"
    tracking = policy.target_tracking[0]
    if tracking.metric.removesuffix(HIGH_RESOLUTION_SUFFIX) != CPU:
        return "its metric is not CPU"
    if tracking.cooldown_from is not CooldownFrom.DECISION:
        return "its cooldown starts at fulfilment"
    if not policy.delays.are_fixed:
        return "its delays are random"
    if policy.min < 1:
        return "its minimum is 0, where a service without tasks has no metric"
    if any(action.min == 0 or action.max == 0 for action in policy.scheduled):
        return "a scheduled action allows 0 tasks"
    return None


def replay_batch(
    demand_vcpu: FloatArray,
    start: datetime,
    policies: Sequence[Policy],
    *,
    utilisation: float,
    history_vcpu: FloatArray | None = None,
    floor: IntArray | None = None,
    strain: float = 0.0,
    advance: Callable[[float], None] = lambda _lanes: None,
) -> Batch:
    """Replay every policy on `demand_vcpu` as `simulate` would; `advance` hears how many are done.

    `floor` (tasks, shape (minutes,)) raises every policy's minimum minute by minute, as scheduled actions
    would; only policies without schedules of their own take one. `strain` is the share by which demand
    is raised to count the minutes that only just do not violate.
    """
    demand = checked_demand(demand_vcpu)
    result = _empty(policies, -(-len(demand) // DAY_MINUTES))
    if floor is not None and any(p.scheduled or p.predictive or unlaned(p) for p in policies):
        raise ValueError("a floor needs policies that fit the lanes and have no schedule of their own")
    groups: dict[Hashable, list[int]] = {}
    for index, policy in enumerate(policies):
        if result.by_reference[index] is None:
            groups.setdefault(_shape(policy), []).append(index)
        else:
            _by_reference(demand, start, policy, utilisation, history_vcpu, strain, result, index)
            advance(1)
    for members in groups.values():
        shared = _Shared.of(demand, start, policies[members[0]], utilisation, history_vcpu, floor, strain)
        for offset in range(0, len(members), _lanes()):
            block = members[offset : offset + _lanes()]
            _run_block(shared, [policies[i] for i in block], result, block)
            advance(len(block))
    return result


def _lanes() -> int:
    from planner.scaling.kernels import LANES

    return LANES


def _empty(policies: Sequence[Policy], days: int) -> Batch:
    count = len(policies)
    return Batch(
        np.zeros((days, count), np.int64),
        np.full(count, MINUTES_PER_HOUR, np.int64),
        np.zeros((days, count), np.int64),
        np.zeros((days, count), np.int64),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
        np.full(count, np.nan),
        tuple(unlaned(policy) for policy in policies),
    )


def _by_reference(
    demand: FloatArray,
    start: datetime,
    policy: Policy,
    utilisation: float,
    history: FloatArray | None,
    strain: float,
    result: Batch,
    index: int,
) -> None:
    outcome = simulate(demand, start, policy, utilisation=utilisation, history_vcpu=history)
    seen, days = outcome.trajectory, range(0, len(demand), DAY_MINUTES)
    parts = ticks_per_minute(policy)
    result.ticks_per_hour[index] = parts * MINUTES_PER_HOUR
    task_ticks = np.rint(seen.tasks * parts).astype(np.int64)
    result.task_ticks_by_day[:, index] = np.add.reduceat(task_ticks, days)
    needed = _needed(demand * (1 + strain), policy.task_vcpu * utilisation)
    result.strained_by_day[:, index] = np.add.reduceat((needed > seen.running).astype(np.int64), days)
    result.violations_by_day[:, index] = np.add.reduceat(seen.violating.astype(np.int64), days)
    result.scale_outs[index], result.scale_ins[index] = outcome.scale_outs, outcome.scale_ins
    if outcome.instance_hours is not None:
        result.instance_hours[index] = outcome.instance_hours


def _shape(policy: Policy) -> Hashable:
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
        tracking.metric_ceiling_percent is None,
        bounds,
    )


@dataclass(frozen=True, slots=True)
class _Shared:
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
    ) -> _Shared:
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
        high = bounds.maximum if shared else np.full(len(demand), int(_most()))
        edges = [np.diff(low, prepend=-1), np.diff(high, prepend=-1), np.diff(bounds.deploying, prepend=False)]
        return cls(
            load=np.where(newest >= 0, load[newest], 0.0),
            new_points=real.astype(np.int16),
            source=np.where(newest >= 0, newest % rows, 0) * LANES,
            high_points=_points(present, tracking.high_datapoints),
            low_points=_points(present, tracking.low_datapoints),
            needed=np.repeat(_needed(demand, policy.task_vcpu * utilisation), parts),
            strained=np.repeat(_needed(demand * (1 + strain), policy.task_vcpu * utilisation), parts),
            low=np.repeat(low, parts).astype(np.int16),
            high=np.repeat(high, parts).astype(np.int16),
            changed=_on_minutes(np.any([edge != 0 for edge in edges], axis=0), parts),
            deploying=np.repeat(bounds.deploying, parts).astype(np.uint8),
            initial_minimum=int(bounds.minimum[0]) if shared else int(low[0]),
            initial_maximum=int(bounds.maximum[0]) if shared else int(high[0]),
            published_rows=rows,
            start_ticks=math.ceil(policy.delays.task_start_s.value_s / tracking.period_s),
            ticks_per_minute=parts,
            bounds_are_shared=shared,
        )


def _most() -> float:
    from planner.scaling.kernels import MOST

    return MOST


def _on_minutes(changed: NDArray[np.bool_], parts: int) -> NDArray[np.uint8]:
    ticks = np.zeros(len(changed) * parts, np.uint8)
    ticks[::parts] = changed
    return ticks


def _needed(demand: FloatArray, vcpu_per_task: float) -> NDArray[np.int16]:
    tasks = np.ceil(np.nan_to_num(demand) / vcpu_per_task - TOLERANCE)
    return np.minimum(tasks, _most()).astype(np.int16)


def _published(load: FloatArray, late: int) -> tuple[IntArray, NDArray[np.bool_], NDArray[np.bool_]]:
    """Per tick: the newest real datapoint published (-1: none), whether one arrives, and the same by age.

    The third is the arrivals' presence with the quiet datapoints of before the replay in front.
    """
    ticks = len(load)
    known = ~np.isnan(load)
    index = np.where(known, np.arange(ticks), -1)
    latest = np.maximum.accumulate(index) if ticks else index
    shift = late + 1
    newest = np.concatenate([np.full(min(shift, ticks), -1), latest[: max(0, ticks - shift)]])
    real = np.concatenate([np.zeros(min(shift, ticks), bool), known[: max(0, ticks - shift)]])
    present = np.concatenate([np.ones(min(shift, ticks), bool), known[: max(0, ticks - shift)]])
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


def _aligned(length: int, dtype: Any) -> NDArray[Any]:
    size = np.dtype(dtype).itemsize
    raw = np.zeros(length * size + CACHE_LINE, np.uint8)
    offset = -raw.ctypes.data % CACHE_LINE
    return raw[offset : offset + length * size].view(dtype)


def _run_block(shared: _Shared, policies: list[Policy], result: Batch, indices: list[int]) -> None:
    from planner.scaling import kernels

    lanes = kernels.LANES
    state, numbers = _block_state(shared, policies)
    published = _aligned(shared.published_rows * lanes, np.int16)
    history = np.tile(state.reshape(-1, lanes)[kernels.DESIRED], shared.start_ticks + 1)
    ticks, day_ticks = len(shared.load), DAY_MINUTES * shared.ticks_per_minute
    result.ticks_per_hour[indices] = shared.ticks_per_minute * MINUTES_PER_HOUR
    tracking = policies[0].target_tracking[0]
    for day, first in enumerate(range(0, ticks, day_ticks)):
        task_ticks = _aligned(lanes, np.int32)
        kernels.run_block(
            first, min(first + day_ticks, ticks), shared.load, shared.new_points, shared.source,
            shared.high_points, shared.low_points, shared.needed, shared.strained, shared.low, shared.high,
            shared.changed, shared.deploying, state, numbers, published, history, task_ticks, shared.start_ticks,
            shared.ticks_per_minute, tracking.capacity_basis is CapacityBasis.DESIRED,
            tracking.metric_ceiling_percent is not None,
        )  # fmt: skip
        result.task_ticks_by_day[day, indices] = task_ticks[: len(indices)]
        _empty_counters(state.reshape(-1, lanes), result, day, indices)


def _empty_counters(rows: NDArray[np.int16], result: Batch, day: int, indices: list[int]) -> None:
    from planner.scaling import kernels

    used = len(indices)
    result.violations_by_day[day, indices] = rows[kernels.VIOLATIONS, :used]
    result.scale_outs[indices] += rows[kernels.OUTS, :used]
    result.scale_ins[indices] += rows[kernels.INS, :used]
    result.strained_by_day[day, indices] = rows[kernels.STRAINS, :used]
    rows[[kernels.VIOLATIONS, kernels.STRAINS, kernels.OUTS, kernels.INS]] = 0
    streaks = [kernels.HIGH, kernels.LOW]
    rows[streaks] = np.minimum(rows[streaks], STREAK)


def _block_state(shared: _Shared, policies: list[Policy]) -> tuple[NDArray[np.int16], FloatArray]:
    from planner.scaling import kernels

    lanes = kernels.LANES
    state = _aligned(kernels.ROWS * lanes, np.int16)
    numbers = _aligned(kernels.FLOAT_ROWS * lanes, np.float64)
    rows, floats = state.reshape(-1, lanes), numbers.reshape(-1, lanes)
    rows[kernels.LOWEST], rows[kernels.HIGHEST] = 0, int(kernels.MOST)
    rows[kernels.DESIRED] = 1
    for lane, policy in enumerate(policies):
        tracking = policy.target_tracking[0]
        low, high = shared.initial_minimum, shared.initial_maximum
        if not shared.bounds_are_shared:
            rows[kernels.LOWEST, lane], rows[kernels.HIGHEST, lane] = policy.min, policy.max
            low, high = max(low, policy.min), min(high, policy.max)
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
    return state, numbers
