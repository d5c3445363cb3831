"""From arrivals to what a service's tasks use: CPU, memory, latency and errors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np

from deploy.sandbox.sample import demand
from deploy.sandbox.sample.workloads import INCIDENT, Workload
from deploy.sandbox.series import Floats
from planner.units import CPU_UNITS_PER_VCPU

BATCH_START_MINUTE: Final = 90
BATCH_MINUTES: Final = 100
"""The nightly batch works from 01:30 London time for 100 minutes."""
BATCH_VCPU: Final = 2.6


@dataclass(frozen=True, slots=True)
class Usage:
    """Per minute: arrivals a second, vCPU wanted by all tasks, and the share of answers that are 5xx
    before any saturation."""

    first_minute: int
    per_second: Floats
    vcpu: Floats
    errors: Floats


def of(workload: Workload, first_minute: int, minutes: int, seed: int) -> Usage:
    """What the service needs in each minute, whatever number of tasks runs (idle CPU comes on top)."""
    arrivals = demand.per_second(workload, first_minute, minutes, seed)
    cost = np.full(minutes, workload.cpu_s_per_request)
    errors = np.full(minutes, 0.0004)
    stamps = (first_minute + np.arange(minutes)) * 60
    if workload.name == INCIDENT.service:
        during = (stamps >= INCIDENT.start.timestamp()) & (stamps < INCIDENT.end.timestamp())
        cost[during] *= INCIDENT.cost_factor
        errors[during] = INCIDENT.error_share
    vcpu = arrivals * cost
    if workload.kind == "batch":
        vcpu = vcpu + BATCH_VCPU * _batch_runs(stamps)
    return Usage(first_minute, arrivals, vcpu, errors)


def _batch_runs(stamps: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Floats:
    # The offset to London time changes on two nights a year; taken per call it is right to the day.
    moment = datetime.fromtimestamp(int(stamps[len(stamps) // 2]), UTC).astimezone(demand.LONDON)
    offset = moment.utcoffset()
    shift = int(offset.total_seconds() // 60) if offset else 0
    minute = (stamps // 60 + shift) % demand.DAY_MINUTES
    return ((minute >= BATCH_START_MINUTE) & (minute < BATCH_START_MINUTE + BATCH_MINUTES)).astype(np.float64)


def tasks_kept(workload: Workload, usage: Usage, cpu_units: Floats) -> Floats:
    """How many tasks ran in each minute: the fixed count, or what target tracking would have kept.

    Tracking is drawn simply: the most that was needed between 20 and 5 minutes ago.
    """
    fixed = np.full(len(usage.vcpu), float(workload.tasks))
    if workload.target_percent is None or workload.most_tasks is None:
        return fixed
    each = cpu_units / CPU_UNITS_PER_VCPU * workload.target_percent / 100 - workload.idle_vcpu
    needed = np.ceil(usage.vcpu / each)
    padded = np.concatenate((np.repeat(needed[:1], 20), needed))
    kept = np.lib.stride_tricks.sliding_window_view(padded[:-5], 16).max(axis=1)
    return np.asarray(np.clip(kept, workload.tasks, workload.most_tasks))


def utilisation(workload: Workload, usage: Usage, tasks: Floats, cpu_units: Floats) -> Floats:
    """CPU used per CPU reserved, 0 to 1: a task cannot use more than it reserved; 0 without tasks."""
    reserved = tasks * cpu_units / CPU_UNITS_PER_VCPU
    used = usage.vcpu + tasks * workload.idle_vcpu
    return np.minimum(np.divide(used, reserved, out=np.zeros_like(used), where=reserved > 0), 1.0)


def overload(workload: Workload, usage: Usage, tasks: Floats, cpu_units: Floats) -> Floats:
    """The share of the wanted CPU that the tasks cannot give, 0 to 1."""
    reserved = tasks * cpu_units / CPU_UNITS_PER_VCPU - tasks * workload.idle_vcpu
    wanted = np.maximum(usage.vcpu, 1e-9)
    return np.clip(1 - np.maximum(reserved, 0) / wanted, 0.0, 1.0)
