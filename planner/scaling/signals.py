"""What a target tracking policy can look at, expressed so that one replay serves every metric.

Target tracking runs ceil(load / target) tasks, whatever the metric counts. A metric's load is therefore put
as the vCPU that would show the same utilisation: a target of t percent of CPU on that load runs the tasks
that the metric's own target, t times `unit`, would run. Several policies at once scale out when any calls and
in when all agree, which is the larger of their loads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from planner.model import FAST_SUFFIX
from planner.scaling.policies import CPU, MEMORY, REQUESTS, Policy, TargetTracking
from planner.units import SECONDS_PER_MINUTE

FloatArray = NDArray[np.float64]

CUSTOM: Final = "custom:"
NAMES: Final = {"cpu": CPU, "memory": MEMORY, "requests": REQUESTS}
WORDS: Final = {CPU: "CPU", MEMORY: "memory", REQUESTS: "requests per target"}
BUSY_QUANTILE: Final = 0.5
"""Minutes above this quantile of demand tell what a unit of a count costs: there it matters, and a task's idle
share hardly shows."""
DIGITS: Final = 6
"""Significant digits of a target that is a count; AWS takes a double."""


class MetricError(ValueError):
    """A metric that the demand file cannot tell."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric: its name in a policy, and its target where CPU's would be 1 percent."""

    metric: str
    unit: float

    @property
    def has_high_resolution(self) -> bool:
        return self.metric in (CPU, MEMORY)


@dataclass(frozen=True, slots=True)
class Signal:
    """The metrics that scale a service together, and their load in vCPU; shape (minutes,)."""

    metrics: tuple[Measured, ...]
    load: FloatArray
    task_memory_mib: int | None = None
    """Of a policy on memory, which cannot do without."""

    @property
    def name(self) -> str:
        """As a reader calls it: CPU, memory, requests per target, or the column of a custom metric."""
        return " and ".join(WORDS.get(m.metric, m.metric.removeprefix(CUSTOM)) for m in self.metrics)

    @property
    def has_high_resolution(self) -> bool:
        """ECS publishes CPU and memory every 20 seconds, load balancers every minute."""
        return all(m.has_high_resolution for m in self.metrics)

    def together(self, other: Signal) -> Signal:
        return Signal(
            (*self.metrics, *other.metrics),
            np.fmax(self.load, other.load),
            self.task_memory_mib or other.task_memory_mib,
        )

    def translated(self, policy: Policy) -> Policy:
        """A policy on CPU of this load, as policies on the metrics themselves."""
        tracking = policy.target_tracking[0]
        named = tuple(_on(measured, tracking) for measured in self.metrics)
        return replace(policy, target_tracking=named, task_memory_mib=self.task_memory_mib)


def _on(measured: Measured, tracking: TargetTracking) -> TargetTracking:
    fast = tracking.period_s < SECONDS_PER_MINUTE
    metric = measured.metric + (FAST_SUFFIX if fast else "")
    target = tracking.target * measured.unit
    if measured.unit != 1:
        target = float(f"{target:.{DIGITS}g}")
    return replace(tracking, metric=metric, target=target)


def cpu(demand_vcpu: FloatArray) -> Signal:
    return Signal((Measured(CPU, 1.0),), demand_vcpu)


def signals(
    demand_vcpu: FloatArray,
    loads: Mapping[str, FloatArray],
    metrics: Sequence[str] | None,
    *,
    task_vcpu: float,
    task_memory_mib: int | None,
) -> list[Signal]:
    """The signals to choose among; `metrics` names cpu, memory, requests or custom:<column>.

    None: CPU, and memory and requests where their columns (and the memory of a task) are known, and CPU with
    memory at once. Raises MetricError for a metric that is asked for and cannot be told.
    """
    names = ["cpu", *_told_by(loads, task_memory_mib)] if metrics is None else list(dict.fromkeys(metrics))
    found = {name: _signal(name, demand_vcpu, loads, task_vcpu, task_memory_mib) for name in names}
    chosen = list(found.values())
    if "cpu" in found and "memory" in found:
        chosen.append(found["cpu"].together(found["memory"]))
    return chosen


def column_for(name: str) -> str:
    """The column that a metric's name asks for. Raises MetricError for a name that is none."""
    known = {"cpu": "vcpu", "memory": "memory_mib", "requests": "requests"}
    if name in known:
        return known[name]
    if not name.startswith(CUSTOM) or name == CUSTOM:
        raise MetricError(f"the metric {name!r} is not known: use cpu, memory, requests or custom:<column>")
    return name.removeprefix(CUSTOM)


def _told_by(loads: Mapping[str, FloatArray], task_memory_mib: int | None) -> list[str]:
    memory = ["memory"] if "memory_mib" in loads and task_memory_mib else []
    return memory + (["requests"] if np.nansum(loads.get("requests", np.zeros(1))) > 0 else [])


def _signal(
    name: str,
    demand_vcpu: FloatArray,
    loads: Mapping[str, FloatArray],
    task_vcpu: float,
    task_memory_mib: int | None,
) -> Signal:
    if name == "cpu":
        return cpu(demand_vcpu)
    if name == "memory":
        if task_memory_mib is None:
            raise MetricError("a policy on memory needs the memory of a task: give --task-memory-mib")
        share = _column(loads, column_for(name), name) / task_memory_mib
        return Signal((Measured(MEMORY, 1.0),), share * task_vcpu, task_memory_mib)
    load = _column(loads, column_for(name), name)
    vcpu = _vcpu_of_one(demand_vcpu, load, name)
    return Signal((Measured(NAMES.get(name, name), task_vcpu / (100 * vcpu)),), load * vcpu)


def _column(loads: Mapping[str, FloatArray], column: str, metric: str) -> FloatArray:
    if column not in loads:
        raise MetricError(f"the metric {metric} needs the column {column} in the demand file")
    return np.asarray(loads[column], np.float64)


def _vcpu_of_one(demand_vcpu: FloatArray, load: FloatArray, name: str) -> float:
    """vCPU per unit of load in busy minutes; any positive number would do, this one keeps targets comparable."""
    both = ~np.isnan(demand_vcpu) & (load > 0)
    if not both.any():
        raise MetricError(f"the metric {name} is 0 in every known minute: it cannot scale anything")
    busy = both & (demand_vcpu >= np.quantile(demand_vcpu[both], BUSY_QUANTILE))
    ratio = float(demand_vcpu[busy].sum() / load[busy].sum())
    if not ratio > 0:
        raise MetricError(f"the metric {name} is counted only while there is no demand: it cannot scale anything")
    return ratio


def binding(
    demand_vcpu: FloatArray, loads: Mapping[str, FloatArray], *, task_vcpu: float, task_memory_mib: int | None
) -> FloatArray:
    """Demand in vCPU of whole tasks: CPU, or memory where that needs more tasks."""
    if task_memory_mib is None:
        return demand_vcpu
    if "memory_mib" not in loads:
        raise MetricError("the memory of a task tells nothing without the column memory_mib in the demand file")
    memory = np.asarray(loads["memory_mib"], np.float64) / task_memory_mib * task_vcpu
    return np.where(np.isnan(demand_vcpu), np.nan, np.fmax(demand_vcpu, memory))
