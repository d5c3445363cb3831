"""The scalar reference: both ECS control loops, tick by tick, in plain Python.

Every other implementation must agree with this one. A tick is a minute, or 20 seconds where a policy uses
high-resolution metrics. What a tick sees, in order:

1. booted instances register; 2. the service's bounds and policies set the desired count, on metrics that
have been published by now; 3. tasks stop, or are placed where there is room; 4. once a minute managed
scaling looks at the group; 5. the tick's demand meets the tasks that run during the whole tick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from planner.model import FAST_SUFFIX
from planner.scaling.alarms import MetricStream
from planner.scaling.bounds import Bounds, as_utc, bounds_of
from planner.scaling.disturbances import CALM, Disturbance
from planner.scaling.outcome import Outcome, Trajectory, summarise
from planner.scaling.policies import (
    CPU,
    MEMORY,
    REQUESTS,
    Policy,
    StepScaling,
    TargetTracking,
)
from planner.scaling.proposals import Stepper, Tracker
from planner.scaling.provider import Group
from planner.scaling.rounding import whole
from planner.scaling.service import ServiceScaler
from planner.scaling.tasks import Cohort, Tasks
from planner.units import MINUTES_PER_HOUR, SECONDS_PER_MINUTE, Share

FloatArray = NDArray[np.float64]
DEFAULT_UTILISATION: Share = Share(0.8)


class DemandError(ValueError):
    """Demand that cannot be replayed."""


def simulate(
    demand_vcpu: FloatArray,
    start: datetime,
    policy: Policy,
    *,
    utilisation: float = DEFAULT_UTILISATION,
    loads: Mapping[str, FloatArray] | None = None,
    history_vcpu: FloatArray | None = None,
    usd_per_instance_hour: float | None = None,
    usd_per_task_hour: float | None = None,
    disturbance: Disturbance = CALM,
) -> Outcome:
    """Replay `demand_vcpu` (shape (minutes,), vCPU needed in each minute from `start`) under `policy`.

    NaN is an unknown minute: no metric is published, nothing is judged. `loads` holds the other metrics'
    series by name (memory_mib, requests, or the column of a custom metric). A minute violates when demand
    over running task capacity exceeds `utilisation`. Raises DemandError for demand that is negative,
    infinite or empty, and for a metric whose series is absent.
    """
    demand = checked_demand(demand_vcpu)
    series = _series(demand, policy, loads or {})
    start = as_utc(start)
    bounds = bounds_of(policy, start, demand, history_vcpu)
    return _Replay(demand * disturbance.factors(len(demand)), series, policy, bounds, disturbance).run(
        start, utilisation, usd_per_instance_hour, usd_per_task_hour
    )


def checked_demand(demand_vcpu: FloatArray) -> FloatArray:
    demand = np.asarray(demand_vcpu, dtype=np.float64)
    if demand.ndim != 1 or len(demand) == 0:
        raise DemandError("demand must be one non-empty series of minutes")
    if np.isinf(np.fmax.reduce(np.abs(demand), initial=0.0)):
        raise DemandError(f"demand is infinite at minute {int(np.flatnonzero(np.isinf(demand))[0])}")
    if np.fmin.reduce(demand, initial=0.0) < 0:
        raise DemandError(f"demand is negative at minute {int(np.flatnonzero(demand < 0)[0])}")
    return demand


def column_of(metric: str) -> str:
    """The demand file's column that a metric is computed from."""
    base = metric.removesuffix(FAST_SUFFIX)
    known = {CPU: "vcpu", MEMORY: "memory_mib", REQUESTS: "requests"}
    return known.get(base, base.removeprefix("custom:"))


def ticks_per_minute(policy: Policy) -> int:
    """1, or 3 where a policy uses 20-second metrics."""
    settings: tuple[TargetTracking | StepScaling, ...] = (*policy.target_tracking, *policy.step)
    return SECONDS_PER_MINUTE // min([SECONDS_PER_MINUTE, *(s.period_s for s in settings)])


def _series(demand: FloatArray, policy: Policy, loads: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    series = {"vcpu": demand}
    policies: tuple[TargetTracking | StepScaling, ...] = (*policy.target_tracking, *policy.step)
    for settings in policies:
        column = column_of(settings.metric)
        if column not in series:
            if column not in loads:
                raise DemandError(f"metric {settings.metric} needs the column {column!r} beside the demand")
            series[column] = np.asarray(loads[column], dtype=np.float64)
            if len(series[column]) != len(demand):
                raise DemandError(f"column {column!r} has another length than the demand")
    return series


@dataclass(slots=True)
class _Recorded:
    tasks: FloatArray
    running: NDArray[np.int64]
    desired: NDArray[np.int64]
    instances: NDArray[np.int64]
    unserved: FloatArray


class _Replay:
    """The moving parts of one replay; `run` is the loop."""

    def __init__(
        self,
        demand: FloatArray,
        series: Mapping[str, FloatArray],
        policy: Policy,
        bounds: Bounds,
        disturbance: Disturbance,
    ) -> None:
        self.demand, self.policy, self.bounds, self.disturbance = demand, policy, bounds, disturbance
        settings: tuple[TargetTracking | StepScaling, ...] = (*policy.target_tracking, *policy.step)
        self.ticks_per_minute = ticks_per_minute(policy)
        self.tick_s = SECONDS_PER_MINUTE // self.ticks_per_minute
        factors = disturbance.factors(len(demand))
        self.inputs: list[tuple[MetricStream, FloatArray]] = [
            (
                self._stream(s, number),
                demand if column_of(s.metric) == "vcpu" else series[column_of(s.metric)] * factors,
            )
            for number, s in enumerate(settings)
        ]
        streams = [stream for stream, _ in self.inputs]
        trackers = [Tracker(s, policy, streams[i]) for i, s in enumerate(policy.target_tracking)]
        steppers = [Stepper(s, policy, streams[len(trackers) + i]) for i, s in enumerate(policy.step)]
        initial = int(bounds.minimum[0]) if policy.initial is None else policy.initial
        initial = min(max(initial, int(bounds.minimum[0])), int(bounds.maximum[0]))
        self.scaler = ServiceScaler(initial, trackers, steppers)
        self.tasks = Tasks(policy.delays.task_start_s, self._rng(1_000))
        self.group = self._group(initial)
        placed = initial if self.group is None else min(initial, self.group.room(0))
        self.tasks.waiting = initial - placed
        if placed:
            self.tasks.cohorts.append(Cohort(placed, 0.0))

    def _rng(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.policy.delays.seed, stream])

    def _stream(self, settings: TargetTracking | StepScaling, number: int) -> MetricStream:
        delays = self.policy.delays
        fast = settings.period_s < SECONDS_PER_MINUTE
        delay = delays.high_resolution_metric_publishing_s if fast else delays.metric_publishing_s
        return MetricStream(settings.period_s // self.tick_s, self.tick_s, delay, self._rng(number))

    def _group(self, tasks: int) -> Group | None:
        settings = self.policy.capacity_provider
        if settings is None:
            return None
        group = Group(settings, self.policy.delays.instance_boot_s, self._rng(2_000))
        group.running = min(max(group.wanted(group.needed(tasks)), settings.min_size), settings.max_size)
        return group

    def run(
        self,
        start: datetime,
        utilisation: float,
        usd_per_instance_hour: float | None,
        usd_per_task_hour: float | None,
    ) -> Outcome:
        minutes = len(self.demand)
        seen = _Recorded(
            np.zeros(minutes),
            np.full(minutes, np.iinfo(np.int64).max),
            np.zeros(minutes, np.int64),
            np.zeros(minutes, np.int64),
            np.zeros(minutes),
        )
        for tick in range(minutes * self.ticks_per_minute):
            self._tick(tick, seen)
        needed = np.array([0 if d != d else whole(d / (self.policy.task_vcpu * utilisation)) for d in self.demand])
        task_hours = float(seen.tasks.sum()) / (self.ticks_per_minute * MINUTES_PER_HOUR)
        trajectory = Trajectory(
            demand_vcpu=self.demand,
            tasks=seen.tasks / self.ticks_per_minute,
            running=seen.running,
            desired=seen.desired,
            instances=None if self.group is None else seen.instances,
            violating=needed > seen.running,
        )
        price = usd_per_instance_hour
        if price is None and self.policy.capacity_provider is not None:
            price = self.policy.capacity_provider.usd_per_hour
        return summarise(
            trajectory,
            start,
            self.policy.task_vcpu,
            seen.unserved,
            task_hours,
            self.scaler.activities,
            price,
            usd_per_task_hour,
        )

    def _tick(self, tick: int, seen: _Recorded) -> None:
        now_s = float(tick * self.tick_s)
        minute = tick // self.ticks_per_minute
        on_the_minute = tick % self.ticks_per_minute == 0
        bounds, tasks, group = self.bounds, self.tasks, self.group
        if group is not None:
            group.register(now_s)
        if on_the_minute:
            self._disturb(minute)
        deploying = bool(bounds.deploying[minute]) or self.disturbance.blocks_scale_in(minute)
        low, high = int(bounds.minimum[minute]), int(bounds.maximum[minute])
        desired = self.scaler.decide(now_s, low, high, deploying, tasks.running(now_s))
        tasks.set_total(desired)
        if not self.disturbance.blocks_starts(minute):
            tasks.place(tasks.waiting if group is None else min(tasks.waiting, group.room(tasks.placed)), now_s)
        if group is not None and on_the_minute:
            group.decide(now_s, tasks.total, tasks.placed)
        self._meet_demand(tick, minute, tasks.running(now_s), seen)

    def _disturb(self, minute: int) -> None:
        lost = self.disturbance.lost_share(minute)
        if lost == 0:
            return
        group, tasks = self.group, self.tasks
        if group is not None:
            gone = whole(group.running * lost)
            group.running -= gone
            group.terminated += gone
        tasks.lose(whole(tasks.placed * lost))

    def _meet_demand(self, tick: int, minute: int, running: int, seen: _Recorded) -> None:
        demand = float(self.demand[minute])
        share_of_minute = 1 / self.ticks_per_minute
        seen.tasks[minute] += self.tasks.placed
        seen.running[minute] = min(seen.running[minute], running)
        seen.desired[minute] = self.scaler.desired
        seen.instances[minute] = 0 if self.group is None else max(seen.instances[minute], self.group.size)
        if demand == demand:
            seen.unserved[minute] += max(0.0, demand - running * self.policy.task_vcpu) * share_of_minute
        for stream, load in self.inputs:
            stream.record(tick, float(load[minute]), running)
