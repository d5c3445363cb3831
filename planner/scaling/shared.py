"""What the lanes of a block have in common, tick by tick: prepared once for all policies of a demand series."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from planner.scaling.alarms import EVALUATION_RANGE_EXTRA
from planner.scaling.bounds import Bounds, bounds_of
from planner.scaling.lanes import most
from planner.scaling.policies import Policy
from planner.units import SECONDS_PER_MINUTE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

CACHE_LINE: Final = 64
"""Bytes; a block that straddles cache lines loses up to half of the speed."""
BYTES_PER_TICK: Final = 8 + 4 + 7 * 2 + 2
"""Of the arrays of `Shared`: one float64, one int32, seven int16 and two bytes."""


@dataclass(frozen=True, slots=True)
class Shared:
    """Per tick, what a block's lanes have in common (kernels.run_service)."""

    load: FloatArray
    new_points: NDArray[np.int16]
    source: NDArray[np.int32]
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
    highest: int
    """Most tasks that bounds shared by all lanes ever allow."""
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

    def within(self, floor: IntArray | None, ceiling: IntArray | None) -> Shared:
        """The same demand with bounds (tasks, shape (minutes,)) on top of every policy's own."""
        minutes = len(self.load) // self.ticks_per_minute
        lowest, highest = _unbounded(minutes)
        low = lowest if floor is None else np.asarray(floor, np.int64)
        high = highest if ceiling is None else np.minimum(ceiling, int(most()))
        return dataclasses.replace(
            self,
            low=_per_tick(low, np.empty_like(self.low)),
            high=_per_tick(high, np.empty_like(self.high)),
            changed=_changes(np.empty_like(self.changed), low, high, self.deploying[:: self.ticks_per_minute]),
            initial_minimum=int(low[0]),
            initial_maximum=int(high[0]),
        )

    @classmethod
    def of(
        cls,
        demand: FloatArray,
        start: datetime,
        policy: Policy,
        utilisation: float,
        history: FloatArray | None,
        strain: float,
    ) -> Shared:
        from planner.scaling.kernels import prepare

        tracking = policy.target_tracking[0]
        parts = SECONDS_PER_MINUTE // tracking.period_s
        fast = tracking.period_s < SECONDS_PER_MINUTE
        delay = policy.delays.high_resolution_metric_publishing_s if fast else policy.delays.metric_publishing_s
        late = math.ceil(delay.value_s / tracking.period_s)
        high_datapoints, low_datapoints = tracking.high_datapoints, tracking.low_datapoints
        rows = late + 1 + max(high_datapoints, low_datapoints) + EVALUATION_RANGE_EXTRA
        ticks = len(demand) * parts
        take = _one_block(ticks)
        load, source = take(np.float64), take(np.int32)
        new_points, high_points, low_points = take(np.int16), take(np.int16), take(np.int16)
        known = np.ascontiguousarray(demand)
        prepare(
            known, parts, late, rows, high_datapoints, low_datapoints, EVALUATION_RANGE_EXTRA,
            load, new_points, source, high_points, low_points,
        )  # fmt: skip
        served_vcpu = policy.task_vcpu * utilisation
        needed = _needed(known, 1.0, served_vcpu, take(np.int16))
        strained = _needed(known, 1.0 + strain, served_vcpu, take(np.int16)) if strain else needed
        shared = bool(policy.scheduled or policy.predictive)
        bounds = _bounds(policy, start, demand, history)
        return cls(
            load=load,
            new_points=new_points,
            source=source,
            high_points=high_points,
            low_points=low_points,
            needed=needed,
            strained=strained,
            low=_per_tick(bounds.minimum, take(np.int16)),
            high=_per_tick(bounds.maximum, take(np.int16)),
            changed=_changes(take(np.uint8), bounds.minimum, bounds.maximum, bounds.deploying),
            deploying=_per_tick(bounds.deploying, take(np.uint8)),
            initial_minimum=int(bounds.minimum[0]),
            initial_maximum=int(bounds.maximum[0]),
            highest=min(int(bounds.maximum.max()), int(most())),
            published_rows=rows,
            start_ticks=math.ceil(policy.delays.task_start_s.value_s / tracking.period_s),
            ticks_per_minute=parts,
            bounds_are_shared=shared,
        )


def _one_block(ticks: int) -> Callable[[Any], NDArray[Any]]:
    """Arrays of `ticks` from one allocation, to be taken from the widest type down.

    One large block stays with the process when it is freed; ten of them go back to the system every time, and
    fetching their pages anew takes longer than filling them.
    """
    block, used = np.empty(ticks * BYTES_PER_TICK, np.uint8), 0

    def take(dtype: Any) -> NDArray[Any]:
        nonlocal used
        first, used = used, used + ticks * np.dtype(dtype).itemsize
        return block[first:used].view(dtype)

    return take


def _needed(demand: FloatArray, factor: float, vcpu: float, out: NDArray[np.int16]) -> NDArray[np.int16]:
    from planner.scaling.kernels import tasks_needed

    by_minute = out if len(out) == len(demand) else np.empty(len(demand), np.int16)
    tasks_needed(demand, factor, vcpu, by_minute)
    return by_minute if by_minute is out else _per_tick(by_minute, out)


def _bounds(policy: Policy, start: datetime, demand: FloatArray, history: FloatArray | None) -> Bounds:
    """Bounds that all lanes share; those that each lane has of its own stay out of them."""
    if policy.scheduled or policy.predictive or policy.deployments:
        found = bounds_of(policy, start, demand, history)
        if policy.scheduled or policy.predictive:
            return found
        return Bounds(*_unbounded(len(demand)), found.deploying)
    return Bounds(*_unbounded(len(demand)), np.broadcast_to(np.False_, len(demand)))


def _unbounded(minutes: int) -> tuple[IntArray, IntArray]:
    """Views of one number each: no memory for a bound that never moves."""
    return np.broadcast_to(np.int64(0), minutes), np.broadcast_to(np.int64(most()), minutes)


def _per_tick(values: NDArray[Any], out: NDArray[Any]) -> NDArray[Any]:
    """Fill `out`, one value a tick, from one a minute."""
    if values.strides == (0,):
        out.fill(values[0])
    else:
        out.reshape(len(values), -1)[:] = values[:, None]
    return out


def _changes(out: NDArray[np.uint8], *series: NDArray[Any]) -> NDArray[np.uint8]:
    """Ticks at which any of the series (one value a minute) changes, and the first."""
    out.fill(0)
    out[0] = 1
    parts = len(out) // len(series[0])
    for values in series:
        if values.strides != (0,):
            out[parts::parts] |= values[1:] != values[:-1]
    return out


def aligned(length: int, dtype: Any) -> NDArray[Any]:
    size = np.dtype(dtype).itemsize
    raw = np.zeros(length * size + CACHE_LINE, np.uint8)
    offset = -raw.ctypes.data % CACHE_LINE
    return raw[offset : offset + length * size].view(dtype)
