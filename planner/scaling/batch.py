"""Many policies on one demand series at once; every count equals the scalar reference's.

Policies are sorted into blocks of lanes that share everything but targets, cooldowns and constant bounds;
what they share is prepared once. A policy that the lanes cannot express is replayed by the
reference, and the result says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from planner.scaling.blocks import add_group, block_state, by_vector, lanes_for, most_instances
from planner.scaling.lanes import FULL_PERCENT, most, overflows, shape, unlaned
from planner.scaling.policies import CapacityBasis, CapacityProvider, CooldownFrom, Policy
from planner.scaling.replay import checked_demand, simulate, ticks_per_minute
from planner.scaling.rounding import wholes
from planner.scaling.shared import FloatArray, IntArray, Shared, aligned
from planner.units import MINUTES_PER_DAY, MINUTES_PER_HOUR, SECONDS_PER_MINUTE

BLOCK: Final = 64
"""Policies in a block, two vectors: a hundred policies keep two threads equally busy."""


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
    instance_hours_by_day: FloatArray
    """Shape (days, policies); NaN for policies without a capacity provider."""
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

    @property
    def instance_hours(self) -> FloatArray:
        """NaN for policies without a capacity provider."""
        minutes = np.rint(self.instance_hours_by_day * MINUTES_PER_HOUR)
        return np.asarray(minutes.sum(axis=0) / MINUTES_PER_HOUR)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A demand series and policies, ready to be replayed within one floor after another."""

    demand: FloatArray
    start: datetime
    policies: tuple[Policy, ...]
    utilisation: float
    history: FloatArray | None
    strain: float
    blocks: tuple[tuple[Shared, tuple[int, ...]], ...]
    """What a block's lanes share, and which policies are in it."""
    by_reference: tuple[str | None, ...]

    def replay(
        self,
        floor: IntArray | None = None,
        ceiling: IntArray | None = None,
        *,
        workers: int = 1,
        advance: Callable[[float], None] = lambda _policies: None,
    ) -> Batch:
        """Replay every policy; `advance` hears how many are done. See `replay_batch`."""
        bounded = floor is not None or ceiling is not None
        own = any(policy.scheduled or policy.predictive for policy in self.policies)
        if bounded and (own or any(self.by_reference)):
            raise ValueError("a floor needs policies that fit the lanes and have no schedule of their own")
        result = _empty(self.by_reference, -(-len(self.demand) // MINUTES_PER_DAY))
        for index, reason in enumerate(self.by_reference):
            if reason is not None:
                self._by_reference(index, result)
                advance(1)

        def run(block: tuple[Shared, tuple[int, ...]]) -> None:
            shared, members = block
            shared = shared.within(floor, ceiling) if bounded else shared
            _run_block(shared, [self.policies[i] for i in members], result, list(members))
            advance(len(members))

        if workers == 1:
            for block in self.blocks:
                run(block)
        else:
            with ThreadPoolExecutor(workers) as pool:  # the loops release the interpreter's lock
                list(pool.map(run, self.blocks))
        return result

    def _by_reference(self, index: int, result: Batch) -> None:
        policy, demand = self.policies[index], self.demand
        outcome = simulate(demand, self.start, policy, utilisation=self.utilisation, history_vcpu=self.history)
        seen, days = outcome.trajectory, range(0, len(demand), MINUTES_PER_DAY)
        parts = ticks_per_minute(policy)
        result.ticks_per_hour[index] = parts * MINUTES_PER_HOUR
        task_ticks = np.rint(seen.tasks * parts).astype(np.int64)
        result.task_ticks_by_day[:, index] = np.add.reduceat(task_ticks, days)
        needed = wholes(demand * (1 + self.strain) / (policy.task_vcpu * self.utilisation))
        strained = np.nan_to_num(needed) > seen.running
        result.strained_by_day[:, index] = np.add.reduceat(strained.astype(np.int64), days)
        result.violations_by_day[:, index] = np.add.reduceat(seen.violating.astype(np.int64), days)
        result.scale_outs[index], result.scale_ins[index] = outcome.scale_outs, outcome.scale_ins
        if seen.instances is not None:
            result.instance_hours_by_day[:, index] = np.add.reduceat(seen.instances, days) / MINUTES_PER_HOUR


def prepare_batch(
    demand_vcpu: FloatArray,
    start: datetime,
    policies: Sequence[Policy],
    *,
    utilisation: float,
    history_vcpu: FloatArray | None = None,
    strain: float = 0.0,
) -> Prepared:
    """What `replay_batch` does before its first replay; worth keeping where several floors are tried."""
    demand = checked_demand(demand_vcpu)
    peak = float(np.fmax.reduce(demand, initial=0.0))
    reasons = tuple(unlaned(policy) or overflows(policy, peak) for policy in policies)
    groups: dict[Hashable, list[int]] = {}
    for index, policy in enumerate(policies):
        if reasons[index] is None:
            groups.setdefault(shape(policy), []).append(index)
    blocks = []
    for members in groups.values():
        shared = Shared.of(demand, start, policies[members[0]], utilisation, history_vcpu, strain)
        blocks += [(shared, tuple(members[i : i + BLOCK])) for i in range(0, len(members), BLOCK)]
    return Prepared(demand, start, tuple(policies), utilisation, history_vcpu, strain, tuple(blocks), reasons)


def replay_batch(
    demand_vcpu: FloatArray,
    start: datetime,
    policies: Sequence[Policy],
    *,
    utilisation: float,
    history_vcpu: FloatArray | None = None,
    floor: IntArray | None = None,
    ceiling: IntArray | None = None,
    strain: float = 0.0,
    workers: int = 1,
    advance: Callable[[float], None] = lambda _policies: None,
) -> Batch:
    """Replay every policy on `demand_vcpu` as `simulate` would; `advance` hears how many are done.

    `floor` and `ceiling` (tasks, shape (minutes,)) raise every policy's minimum and lower its maximum minute
    by minute, as scheduled actions would; only policies without schedules of their own take them. `strain`
    is the share by which demand is raised to count the minutes that only just do not violate. Blocks of 64
    policies run on `workers` threads.
    """
    prepared = prepare_batch(
        demand_vcpu, start, policies, utilisation=utilisation, history_vcpu=history_vcpu, strain=strain
    )
    return prepared.replay(floor, ceiling, workers=workers, advance=advance)


def _empty(by_reference: tuple[str | None, ...], days: int) -> Batch:
    count = len(by_reference)
    return Batch(
        np.zeros((days, count), np.int64),
        np.full(count, MINUTES_PER_HOUR, np.int64),
        np.zeros((days, count), np.int64),
        np.zeros((days, count), np.int64),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
        np.full((days, count), np.nan),
        by_reference,
    )


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """Tasks of one policy, minute by minute: what `Outcome.trajectory` tells, without its other figures."""

    desired: IntArray
    running: IntArray
    """The least within the minute."""
    violating: NDArray[np.bool_]
    minutes: int
    """Minutes with known demand."""

    @property
    def attainment(self) -> float:
        """Share of the known minutes that do not violate."""
        return 1 - int(self.violating.sum()) / self.minutes if self.minutes else 1.0


def task_counts(demand_vcpu: FloatArray, start: datetime, policy: Policy, *, utilisation: float) -> TaskCounts:
    """Desired and running tasks of each minute, as `simulate` tells them and in a hundredth of its time.

    What the lanes cannot express is replayed by the reference.
    """
    prepared = prepare_batch(demand_vcpu, start, [policy], utilisation=utilisation)
    minutes = int(np.isfinite(prepared.demand).sum())
    if not prepared.blocks or policy.capacity_provider is not None:
        seen = simulate(demand_vcpu, start, policy, utilisation=utilisation).trajectory
        return TaskCounts(seen.desired, seen.running, seen.violating, minutes)
    (shared, _), parts = prepared.blocks[0], ticks_per_minute(policy)
    trace = np.empty((len(prepared.demand) * parts, 2), np.int16)
    spare = _empty(prepared.by_reference, -(-len(prepared.demand) // MINUTES_PER_DAY))
    _run_block(shared, [policy], spare, [0], trace)
    ticks = trace.astype(np.int64).reshape(-1, parts, 2)
    running = ticks[:, :, 1].min(axis=1)
    needed = np.nan_to_num(wholes(prepared.demand / (policy.task_vcpu * utilisation)))
    return TaskCounts(ticks[:, -1, 0], running, needed > running, minutes)


NO_TRACE: Final = np.empty((0, 2), np.int16)


def _run_block(
    shared: Shared, policies: list[Policy], result: Batch, indices: list[int], trace: NDArray[np.int16] = NO_TRACE
) -> None:
    from planner.scaling import kernels

    lanes, days = lanes_for(len(policies)), len(result.violations_by_day)
    state, numbers = block_state(shared, policies)
    published = aligned(shared.published_rows * lanes, np.int16)
    counts = np.zeros((days, kernels.COUNTED, lanes), np.int16)
    task_ticks, instance_ticks = np.zeros((2, days, lanes), np.int32)
    provider, tracking = policies[0].capacity_provider, policies[0].target_tracking[0]
    divides = tracking.capacity_basis is CapacityBasis.DESIRED
    capped = tracking.metric_ceiling_percent is not None
    day_ticks, span = MINUTES_PER_DAY * shared.ticks_per_minute, _span(shared, policies)
    if provider is None:
        history = by_vector(np.tile(state[kernels.DESIRED], (shared.start_ticks + 1, 1)))
        kernels.run_service(  # type: ignore[call-arg]
            *shared.per_tick(), by_vector(state), by_vector(numbers), published, history, counts.reshape(-1),
            task_ticks.reshape(-1), day_ticks, span, shared.start_ticks, shared.ticks_per_minute, divides, capped,
            trace,
        )  # fmt: skip
    else:
        add_group(policies, state, numbers)
        booting, measured = _rings(policies[0], provider, lanes)
        kernels.run_on_instances(  # type: ignore[call-arg]
            *shared.per_tick(), by_vector(state), by_vector(numbers), published, booting, measured,
            counts.reshape(-1), task_ticks.reshape(-1), instance_ticks.reshape(-1), day_ticks, span, divides,
            capped, tracking.cooldown_from is CooldownFrom.FULFILMENT,
            provider.target_capacity_percent == FULL_PERCENT,
            np.int16(provider.high_datapoints), np.int16(provider.low_datapoints),
        )  # fmt: skip
        result.instance_hours_by_day[:, indices] = instance_ticks[:, : len(indices)] / MINUTES_PER_HOUR
    used = slice(len(indices))
    result.ticks_per_hour[indices] = shared.ticks_per_minute * MINUTES_PER_HOUR
    result.task_ticks_by_day[:, indices] = task_ticks[:, used]
    result.violations_by_day[:, indices] = counts[:, 0, used]
    result.strained_by_day[:, indices] = counts[:, 1, used]
    result.scale_outs[indices] = counts[:, 2, used].sum(axis=0, dtype=np.int64)
    result.scale_ins[indices] = counts[:, 3, used].sum(axis=0, dtype=np.int64)


def _span(shared: Shared, policies: Sequence[Policy]) -> int:
    """Ticks whose tasks and instances fit an unsigned 16-bit sum."""
    from planner.scaling.kernels import SUM_MOST

    largest = 1
    for policy in policies:
        tasks = shared.highest if shared.bounds_are_shared else policy.max
        largest = max(largest, tasks, most_instances(policy.capacity_provider, tasks))
    return SUM_MOST // min(largest, int(most()))


def _rings(policy: Policy, provider: CapacityProvider, lanes: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """One row a tick of boot time, and two a minute of the reservation's delay."""
    boot = math.ceil(policy.delays.instance_boot_s.value_s / SECONDS_PER_MINUTE)
    late = 1 + math.ceil(provider.metric_delay_s / SECONDS_PER_MINUTE)
    return aligned(max(1, boot) * lanes, np.int16), aligned(2 * late * lanes, np.int16)
