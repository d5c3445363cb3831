"""What each service needs: its demand by minute, its task size, its thresholds, and its tasks over time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from planner import demand as demand_stage
from planner.documents.plan import (
    ScalingPlan,
    ServiceDemand,
)
from planner.documents.plan import TaskSize as TaskSizePlan
from planner.expectations import Expected, expected_week, judged, wanted_demand
from planner.loads import with_load
from planner.model import Architecture, Resources, Service, TaskType
from planner.settings import Settings
from planner.thresholds import choose_scaling, tracked_load, with_metric_told
from planner.timegrid import TimeGrid
from planner.units import MINUTES_PER_HOUR, SECONDS_PER_MINUTE, CpuUnits, MiB, vcpu

if TYPE_CHECKING:
    from planner.demand import Score

FloatArray = NDArray[np.float64]
BASIC_MONITORING_MINUTES: Final = 5
MANY_POINTS: Final = 100
"""Points from which the usual distance between them says something."""


@dataclass(frozen=True, slots=True)
class Workload:
    """One service as the plan sees it. Arrays are by minute of the grid.

    `demand_vcpu` is NaN where nothing was measured; `tasks` is what the autoscaler wants; `running` is what
    runs when instances are there at once.
    """

    service: Service
    size: TaskSizePlan
    reasons: tuple[str, ...]
    demand_vcpu: FloatArray
    tasks: NDArray[np.int64]
    running: NDArray[np.int64]
    summary: ServiceDemand
    scaling: ScalingPlan | None
    on_fargate: bool
    score: Score | None = None
    """How forecasts of this service held on its own past; None where the history is too short."""

    @property
    def name(self) -> str:
        return self.service.name

    @property
    def task_vcpu(self) -> float:
        return vcpu(self.size.cpu_units)

    @property
    def architecture(self) -> Architecture:
        """x86_64 where the task definition names none (the default of ECS's runtimePlatform)."""
        return self.service.task_definition.architecture or Architecture.X86_64

    @property
    def needs(self) -> Resources:
        held = self.service.task_definition.needs
        return Resources(CpuUnits(self.size.cpu_units), MiB(self.size.memory_mib), held.enis, held.gpus)

    @property
    def task_type(self) -> TaskType:
        """The tasks of the busiest minute."""
        constraints = {kind for kind, _ in self.service.placement_constraints}
        return TaskType(
            self.name, int(self.tasks.max(initial=0)), self.needs,
            self.service.task_definition.host_ports, "distinctInstance" in constraints, self.architecture,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class TooLittleHistory:
    """A service that cannot be planned honestly."""

    service: str
    hours: float


def is_on_fargate(service: Service) -> bool:
    providers = {item.capacity_provider for item in service.capacity_provider_strategy}
    return service.launch_type == "FARGATE" or bool(providers & {"FARGATE", "FARGATE_SPOT"})


def size_of(service: Service) -> TaskSizePlan:
    needs = service.task_definition.needs
    return TaskSizePlan(cpu_units=needs.cpu_units, memory_mib=needs.memory_mib)


def grid_of(usage: pd.DataFrame, as_of: datetime) -> TimeGrid:
    """The minutes from the first measured one to `as_of`."""
    start = usage["timestamp"].min().floor("min").to_pydatetime()
    return TimeGrid(start, int((as_of - start).total_seconds() // SECONDS_PER_MINUTE))


def by_minute(rows: pd.DataFrame, column: str, grid: TimeGrid) -> FloatArray:
    """One service's column on the grid; a row of five minutes holds for each of its minutes, gaps are NaN."""
    values = np.full(grid.minutes, np.nan)
    since = (rows["timestamp"] - pd.Timestamp(grid.start)) // pd.Timedelta(minutes=1)
    at: NDArray[np.int64] = np.asarray(since, np.int64)
    held = rows[column].to_numpy(dtype=np.float64)
    lengths = np.maximum(_published_minutes(at), rows["period_s"].to_numpy(dtype=np.int64) // SECONDS_PER_MINUTE)
    for offset in reversed(range(int(lengths.max(initial=1)))):
        # Backwards, so that a row's own minute is never overwritten by what an earlier row still holds.
        covered = (lengths > offset) & (at + offset >= 0) & (at + offset < grid.minutes)
        values[at[covered] + offset] = held[covered]
    return values


def _published_minutes(at: NDArray[np.int64]) -> int:
    """How many minutes a point speaks for: 5 where a metric is published every five minutes, as EC2's basic
    monitoring does, although it is read with a period of one."""
    if len(at) < MANY_POINTS:
        return 1
    steps, counts = np.unique(np.diff(np.unique(at)), return_counts=True)
    usual = int(steps[np.argmax(counts)]) if len(steps) else 1
    return usual if usual == BASIC_MONITORING_MINUTES else 1


def measured_hours(values: FloatArray) -> float:
    return float(np.isfinite(values).sum()) / MINUTES_PER_HOUR


def kept_workload(service: Service, demand_vcpu: FloatArray, settings: Settings, grid: TimeGrid) -> Workload:
    """A service that stays exactly as it is: its desired count in every minute."""
    tasks = np.full(grid.minutes, service.desired_count, np.int64)
    measured = np.isfinite(demand_vcpu).any()
    expected = expected_week(demand_vcpu, grid, settings, service.name) if measured else None
    summary = summarise(service.name, demand_vcpu, np.zeros(grid.minutes, bool), expected)
    return Workload(
        service, size_of(service), ("kept as it is by the parameters",), demand_vcpu, tasks, tasks, summary, None,
        is_on_fargate(service),
    )  # fmt: skip


def plan_workload(
    service: Service, usage: pd.DataFrame, demand: pd.DataFrame, settings: Settings, grid: TimeGrid
) -> Workload | TooLittleHistory:
    """Demand, task size and thresholds of one service from its rows of frames.USAGE and frames.DEMAND."""
    merged = demand.merge(usage[["timestamp", "period_s"]], on="timestamp")
    observed = by_minute(merged, "vcpu", grid)
    if measured_hours(observed) < settings.min_history_hours:
        return TooLittleHistory(service.name, measured_hours(observed))
    expected = expected_week(observed, grid, settings, service.name)
    wanted, changes = wanted_demand(observed, expected, grid, settings, service.name)
    expected = expected.changed(grid, settings, service.name)
    score = judged(service.name, observed, grid, settings)
    notes = (*changes, f"back-test: {score}") if isinstance(score, str) else changes
    censored = np.nan_to_num(by_minute(merged.assign(censored=merged["censored"].astype(float)), "censored", grid))
    size, reasons = _size(service, usage, settings)
    summary = summarise(service.name, wanted, censored > 0, expected, notes, usage)
    summary = with_load(summary, service, usage, settings)
    requests = by_minute(usage, "requests_per_second", grid) * SECONDS_PER_MINUTE
    carries = summary.carries if size == size_of(service) else None  # it is told of a task of the present size
    load = tracked_load(service, requests, wanted, observed, carries)
    scaling, counts = choose_scaling(service, wanted, vcpu(size.cpu_units), settings, grid, expected, load)
    scaling = with_metric_told(scaling, summary.scale_on, load)
    return Workload(
        service=service,
        size=size,
        reasons=reasons,
        demand_vcpu=wanted,
        tasks=counts.desired,
        running=counts.running,
        summary=summary,
        scaling=scaling,
        on_fargate=is_on_fargate(service),
        score=None if isinstance(score, str) else score,
    )


def _size(service: Service, usage: pd.DataFrame, settings: Settings) -> tuple[TaskSizePlan, tuple[str, ...]]:
    present = size_of(service)
    if not settings.resize_tasks:
        return present, ("task sizes are kept by the parameters",)
    heap = settings.jvm_heaps_mib.get(service.name)
    found = demand_stage.rightsize(
        usage,
        demand_stage.TaskSize(CpuUnits(present.cpu_units), MiB(present.memory_mib)),
        launch="fargate" if is_on_fargate(service) else "ec2",
        scaling=service.scaling,
        deployments=tuple(pd.Timestamp(at) for at in settings.deployments.get(service.name, ())),
        jvm_heap_mib=None if heap is None else MiB(heap),
    )
    if isinstance(found, demand_stage.Kept):
        return present, (found.reason,)
    return TaskSizePlan(cpu_units=found.size.cpu_units, memory_mib=found.size.memory_mib), found.reasons


def summarise(
    name: str,
    values: FloatArray,
    censored: NDArray[np.bool_],
    expected: Expected | None = None,
    notes: tuple[str, ...] = (),
    usage: pd.DataFrame | None = None,
) -> ServiceDemand:
    """The demand of one service in the words of the plan: what was, and what the coming week is expected to be."""
    known = values[np.isfinite(values)]
    if not len(known):
        return ServiceDemand(
            service=name, p50_vcpu=0, p90_vcpu=0, p99_vcpu=0, peak_vcpu=0, p99_vcpu_by_hour_of_week=(),
            observed_minutes=0, censored_minutes=0, model="nothing was measured",
        )  # fmt: skip
    p50, p90, p99 = (float(q) for q in np.quantile(known, (0.5, 0.9, 0.99)))
    fullest = np.nan if usage is None else float(usage["memory_used_max_per_task_mib"].max())
    bounds = int((censored & np.isfinite(values)).sum())
    if bounds:
        notes = (*notes, f"censored: in {bounds} minutes use sat at a limit, so more may have been needed")
    return ServiceDemand(
        service=name,
        p50_vcpu=round(p50, 4),
        p90_vcpu=round(p90, 4),
        p99_vcpu=round(p99, 4),
        peak_vcpu=round(float(known.max()), 4),
        memory_peak_mib_per_task=None if math.isnan(fullest) else round(fullest, 1),
        p50_vcpu_by_hour_of_week=() if expected is None else _rounded(expected.p50),
        p90_vcpu_by_hour_of_week=() if expected is None else _rounded(expected.p90),
        p99_vcpu_by_hour_of_week=() if expected is None else _rounded(expected.p99),
        observed_minutes=len(known),
        censored_minutes=bounds,
        model="none" if expected is None else expected.model,
        warnings=notes if expected is None else (*expected.warnings, *notes),
    )


def _rounded(values: FloatArray) -> tuple[float, ...]:
    return tuple(round(max(0.0, float(v)), 4) for v in values)


def capacity_vcpu(workload: Workload, pending: Mapping[str, NDArray[np.int64]]) -> FloatArray:
    """vCPU of the tasks that really run: those that wait for an instance do not count."""
    waiting = pending.get(workload.name)
    running = workload.running if waiting is None else np.maximum(0, workload.running - waiting)
    return np.asarray(running * workload.task_vcpu, np.float64)


def violated(workload: Workload, capacity: FloatArray, utilisation: float) -> NDArray[np.bool_]:
    """Minutes in which demand over capacity is above the objective; unmeasured minutes are none."""
    return np.nan_to_num(workload.demand_vcpu) > utilisation * capacity + 1e-9


def attainment(workload: Workload, capacity: FloatArray, utilisation: float) -> float:
    """Share of the measured minutes that kept the objective."""
    known = np.isfinite(workload.demand_vcpu)
    if not known.any():
        return 1.0
    return 1.0 - float(violated(workload, capacity, utilisation)[known].mean())
