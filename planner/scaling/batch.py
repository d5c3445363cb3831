"""Many policies on one demand series at once; every count equals the scalar reference's.

Policies are sorted into blocks of 64 lanes that share everything but targets, cooldowns and constant
bounds. A policy that the lanes cannot express is replayed by the reference, and the result says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from planner.scaling.lanes import (
    FULL_PERCENT,
    FloatArray,
    IntArray,
    Shared,
    aligned,
    block_state,
    group_state,
    needed_tasks,
    overflows,
    shape,
    unlaned,
)
from planner.scaling.policies import CapacityBasis, CapacityProvider, CooldownFrom, Policy
from planner.scaling.replay import checked_demand, simulate, ticks_per_minute
from planner.units import MINUTES_PER_DAY, MINUTES_PER_HOUR, SECONDS_PER_MINUTE

STREAK: Final = 1_000


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
    known = demand[~np.isnan(demand)]
    result = _empty(policies, -(-len(demand) // MINUTES_PER_DAY), float(known.max(initial=0.0)))
    if floor is not None and any(p.scheduled or p.predictive or unlaned(p) for p in policies):
        raise ValueError("a floor needs policies that fit the lanes and have no schedule of their own")
    groups: dict[Hashable, list[int]] = {}
    for index, policy in enumerate(policies):
        if result.by_reference[index] is None:
            groups.setdefault(shape(policy), []).append(index)
        else:
            _by_reference(demand, start, policy, utilisation, history_vcpu, strain, result, index)
            advance(1)
    for members in groups.values():
        shared = Shared.of(demand, start, policies[members[0]], utilisation, history_vcpu, floor, strain)
        for offset in range(0, len(members), _lanes()):
            block = members[offset : offset + _lanes()]
            _run_block(shared, [policies[i] for i in block], result, block)
            advance(len(block))
    return result


def _lanes() -> int:
    from planner.scaling.kernels import LANES

    return LANES


def _empty(policies: Sequence[Policy], days: int, peak_vcpu: float) -> Batch:
    count = len(policies)
    return Batch(
        np.zeros((days, count), np.int64),
        np.full(count, MINUTES_PER_HOUR, np.int64),
        np.zeros((days, count), np.int64),
        np.zeros((days, count), np.int64),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
        np.full(count, np.nan),
        tuple(unlaned(policy) or overflows(policy, peak_vcpu) for policy in policies),
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
    seen, days = outcome.trajectory, range(0, len(demand), MINUTES_PER_DAY)
    parts = ticks_per_minute(policy)
    result.ticks_per_hour[index] = parts * MINUTES_PER_HOUR
    task_ticks = np.rint(seen.tasks * parts).astype(np.int64)
    result.task_ticks_by_day[:, index] = np.add.reduceat(task_ticks, days)
    needed = needed_tasks(demand * (1 + strain), policy.task_vcpu * utilisation)
    result.strained_by_day[:, index] = np.add.reduceat((needed > seen.running).astype(np.int64), days)
    result.violations_by_day[:, index] = np.add.reduceat(seen.violating.astype(np.int64), days)
    result.scale_outs[index], result.scale_ins[index] = outcome.scale_outs, outcome.scale_ins
    if outcome.instance_hours is not None:
        result.instance_hours[index] = outcome.instance_hours


def _run_block(shared: Shared, policies: list[Policy], result: Batch, indices: list[int]) -> None:
    from planner.scaling import kernels

    lanes = kernels.LANES
    state, numbers = block_state(shared, policies)
    published = aligned(shared.published_rows * lanes, np.int16)
    provider = policies[0].capacity_provider
    turn = (
        _service_turn(shared, policies[0], state, numbers, published)
        if provider is None
        else _group_turn(shared, policies, provider, state, numbers, published)
    )
    ticks, day_ticks = len(shared.load), MINUTES_PER_DAY * shared.ticks_per_minute
    firsts = range(0, ticks, day_ticks)
    counts = np.zeros((len(firsts), len(counted()), lanes), np.int16)
    task_ticks = np.zeros((len(firsts), lanes), np.int32)
    instance_ticks = np.zeros((len(firsts), lanes), np.int32)
    rows = state.reshape(-1, lanes)
    for day, first in enumerate(firsts):
        turn(first, min(first + day_ticks, ticks), task_ticks[day], instance_ticks[day])
        counts[day] = rows[counted()]
        rows[counted()] = 0
        rows[kernels.HIGH : kernels.LOW + 1] = np.minimum(rows[kernels.HIGH : kernels.LOW + 1], STREAK)
    used = slice(len(indices))
    result.ticks_per_hour[indices] = shared.ticks_per_minute * MINUTES_PER_HOUR
    result.task_ticks_by_day[:, indices] = task_ticks[:, used]
    result.violations_by_day[:, indices] = counts[:, 0, used]
    result.strained_by_day[:, indices] = counts[:, 1, used]
    result.scale_outs[indices] = counts[:, 2, used].sum(axis=0, dtype=np.int64)
    result.scale_ins[indices] = counts[:, 3, used].sum(axis=0, dtype=np.int64)
    if provider is not None:
        result.instance_hours[indices] = instance_ticks[:, used].sum(axis=0, dtype=np.int64) / MINUTES_PER_HOUR


def counted() -> list[int]:
    """Rows of a block that count up; they are emptied every day, long before int16 could overflow."""
    from planner.scaling import kernels

    return [kernels.VIOLATIONS, kernels.STRAINS, kernels.OUTS, kernels.INS]


Turn = Callable[[int, int, NDArray[np.int32], NDArray[np.int32]], None]
"""Run ticks from one to another, adding up task ticks and instance ticks."""


def _service_turn(
    shared: Shared, policy: Policy, state: NDArray[np.int16], numbers: FloatArray, published: NDArray[np.int16]
) -> Turn:
    from planner.scaling import kernels

    tracking = policy.target_tracking[0]
    history = np.tile(state.reshape(-1, kernels.LANES)[kernels.DESIRED], shared.start_ticks + 1)

    def turn(first: int, last: int, task_ticks: NDArray[np.int32], _instances: NDArray[np.int32]) -> None:
        kernels.run_block(  # type: ignore[call-arg]
            first, last, *shared.per_tick(), state, numbers, published, history, task_ticks, shared.start_ticks,
            shared.ticks_per_minute, tracking.capacity_basis is CapacityBasis.DESIRED,
            tracking.metric_ceiling_percent is not None,
        )  # fmt: skip

    return turn


def _group_turn(
    shared: Shared,
    policies: list[Policy],
    provider: CapacityProvider,
    state: NDArray[np.int16],
    numbers: FloatArray,
    published: NDArray[np.int16],
) -> Turn:
    from planner.scaling import kernels

    lanes, tracking = kernels.LANES, policies[0].target_tracking[0]
    shares = group_state(policies, state, numbers)
    boot_s = policies[0].delays.instance_boot_s.value_s
    booting = aligned(max(1, math.ceil(boot_s / SECONDS_PER_MINUTE)) * lanes, np.int16)
    late = 1 + math.ceil(provider.metric_delay_s / SECONDS_PER_MINUTE)
    measured = aligned(2 * late * lanes, np.int16)

    def turn(first: int, last: int, task_ticks: NDArray[np.int32], instance_ticks: NDArray[np.int32]) -> None:
        kernels.run_block_on_instances(  # type: ignore[call-arg]
            first, last, *shared.per_tick(), state, numbers, shares, published, booting, measured,
            task_ticks, instance_ticks, tracking.capacity_basis is CapacityBasis.DESIRED,
            tracking.metric_ceiling_percent is not None, tracking.cooldown_from is CooldownFrom.FULFILMENT,
            provider.target_capacity_percent == FULL_PERCENT, np.int16(provider.high_datapoints),
            np.int16(provider.low_datapoints),
        )  # fmt: skip

    return turn
