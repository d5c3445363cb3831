"""Percent of a reservation turned into vCPU and MiB, with the reservation that held at that minute.

The service metrics of AWS/ECS are used / reserved x 100 over the running tasks (Amazon ECS developer guide,
"Amazon ECS service utilization metrics"). A deployment that halves the reservation doubles the percentage
while the load stays as it was, so each minute is multiplied by the size that its own tasks had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from planner.frames import USAGE
from planner.metrics.cleaning import without_overlaps
from planner.model import FAST_SUFFIX, Deployment, Estate, Rejection, Service
from planner.units import CPU_UNITS_PER_VCPU, SECONDS_PER_MINUTE, share

Floats = NDArray[np.float64]

SIZE_TOLERANCE: Final = 0.05
"""Container Insights' reservation is believed when it agrees this closely with a known task size."""
NEWEST_POINTS: Final = 5
"""Points at the end of the history, whose task size is the one that ECS shows."""
HIGH_RESOLUTION_SAMPLES: Final = 3
"""A service that publishes every 20 seconds sends three samples a task and minute."""
COUNTED_METRIC: Final = "CPUUtilization"
"""Its SampleCount is what tells how many tasks ran."""


def usage(points: pd.DataFrame, estate: Estate) -> pd.DataFrame:
    """USAGE of every service of `estate` that `points` (METRIC_POINTS) tell of, by service and time.

    A row needs CPU or memory utilisation, the task count and the size at that minute. Running tasks are the
    sample count of CPUUtilization a minute (Amazon ECS developer guide, "Service RUNNING task count").
    `attrs["rejections"]` of the result says, by service, what could not be computed or had to be assumed.
    """
    points = without_overlaps(points)
    rejections: list[Rejection] = []
    by_resource = {str(name): of_one for name, of_one in points.groupby("resource", sort=False)}
    frames = [
        found
        for service in estate.services
        if (found := _of_service(service, by_resource, estate, rejections)) is not None
    ]
    result = pd.concat(frames, ignore_index=True) if frames else USAGE.empty()
    result = result[USAGE.column_names].astype({c.name: c.dtype for c in USAGE.columns if c.dtype != "object"})
    result.attrs["rejections"] = tuple(rejections)
    return result


def _of_service(
    service: Service,
    by_resource: dict[str, pd.DataFrame],
    estate: Estate,
    rejections: list[Rejection],
) -> pd.DataFrame | None:
    name = f"service/{service.name}"
    table = _wide(by_resource.get(name))
    if table is None or ("CPUUtilization Average" not in table and "MemoryUtilization Average" not in table):
        rejections.append(Rejection(name, "the store has no utilisation of it in this window"))
        return None
    tasks = _running_tasks(table, service)
    if tasks is None:
        rejections.append(Rejection(name, "its task count was not recorded, so percentages have no base"))
        return None
    cpu_size, memory_size = _sizes(table, service, tasks, estate, rejections)
    if not (cpu_size > 0).any() and not (memory_size > 0).any():
        rejections.append(Rejection(name, "its task definition reserves neither CPU nor memory"))
        return None
    period = table.index.get_level_values("period_s").to_numpy(np.int64)
    requests, latency = _traffic(service, by_resource, table.index)
    result = pd.DataFrame(
        {
            "service": service.name,
            "timestamp": table.index.get_level_values("timestamp"),
            "period_s": period,
            "running_tasks": tasks,
            "cpu_reserved_vcpu": tasks * cpu_size,
            "cpu_used_vcpu": _percent(table, "CPUUtilization Average") * tasks * cpu_size,
            "cpu_used_max_per_task_vcpu": _percent(table, "CPUUtilization Maximum") * cpu_size,
            "memory_reserved_mib": tasks * memory_size,
            "memory_used_mib": _percent(table, "MemoryUtilization Average") * tasks * memory_size,
            "memory_used_max_per_task_mib": _percent(table, "MemoryUtilization Maximum") * memory_size,
            "requests_per_second": requests / period,
            "latency_p99_s": latency,
        }
    )
    known = np.isfinite(tasks) & (np.isfinite(result["cpu_used_vcpu"]) | np.isfinite(result["memory_used_mib"]))
    of_service: pd.DataFrame = result[known]
    return of_service


def _wide(points: pd.DataFrame | None) -> pd.DataFrame | None:
    """One row a (timestamp, period_s), one column a "metric statistic"."""
    if points is None or points.empty:
        return None
    labels = points["metric"].astype(str) + " " + points["statistic"].astype(str)
    table = points.assign(label=labels).pivot_table(
        index=["timestamp", "period_s"], columns="label", values="value", aggfunc="last"
    )
    table = table.sort_index()
    return table[~table.index.get_level_values("timestamp").duplicated(keep="first")]


def _column(table: pd.DataFrame, label: str) -> Floats:
    if label not in table:
        return np.full(len(table), np.nan)
    return table[label].to_numpy(np.float64)


def _percent(table: pd.DataFrame, label: str) -> Floats:
    return share(_column(table, label))  # type: ignore[arg-type,return-value]


def _running_tasks(table: pd.DataFrame, service: Service) -> Floats | None:
    """Tasks of each period: Container Insights' count, else samples a minute of the utilisation metrics."""
    minutes = table.index.get_level_values("period_s").to_numpy(np.float64) / SECONDS_PER_MINUTE
    samples = _column(table, "CPUUtilization SampleCount")
    samples = np.where(np.isfinite(samples), samples, _column(table, "MemoryUtilization SampleCount"))
    counted = samples / minutes
    insights = _column(table, "RunningTaskCount Average")
    told = _told_samples(table.index.get_level_values("timestamp"), service)
    counted = counted / (_samples_per_task(counted, insights, service) if told is None else told)
    tasks = np.where(np.isfinite(insights), insights, counted)
    return tasks if np.isfinite(tasks).any() else None


def _told_samples(times: pd.Index, service: Service) -> Floats | None:
    """Samples that a task sends a minute at each time, from the monitoring of the service's deployments.

    None where a deployment does not tell, or where none sends other than one: then the counts themselves have to.
    """
    told = [(d, d.fast_metrics) for d in service.deployments if d.fast_metrics is not None]
    if len(told) < len(service.deployments) or not any(COUNTED_METRIC in fast for _, fast in told):
        return None
    per_task = [HIGH_RESOLUTION_SAMPLES if COUNTED_METRIC in fast else 1 for _, fast in told]
    samples = np.full(len(times), float(per_task[0]))
    for (deployment, _), now in zip(told[1:], per_task[1:], strict=True):
        done = _done(
            pd.DatetimeIndex(times), deployment.started_at, deployment.finished_at or deployment.started_at
        )
        samples = samples + (now - samples) * done
    return samples


def _samples_per_task(counted: Floats, insights: Floats, service: Service) -> int:
    """Samples that one task sends a minute: 1, or 3 where the service publishes every 20 seconds."""
    tracking = service.scaling.target_tracking if service.scaling else ()
    both = np.isfinite(counted) & np.isfinite(insights) & (insights > 0)
    if both.any():
        ratio = float(np.median(counted[both] / insights[both]))
    elif any(policy.metric.endswith(FAST_SUFFIX) for policy in tracking):
        latest = counted[np.isfinite(counted)][-1:]
        ratio = float(latest[0] / service.running_count) if len(latest) and service.running_count else 1.0
    else:
        return 1
    return HIGH_RESOLUTION_SAMPLES if abs(ratio - HIGH_RESOLUTION_SAMPLES) < 0.5 else 1


def _sizes(
    table: pd.DataFrame,
    service: Service,
    tasks: Floats,
    estate: Estate,
    rejections: list[Rejection],
) -> tuple[Floats, Floats]:
    """vCPU and MiB that one task reserved in each period."""
    times = pd.DatetimeIndex(table.index.get_level_values("timestamp"))
    history = TaskSizes.of(service, estate.observed_at)
    cpu, memory = history.at(times)
    first = history.known_since
    if first is not None and len(times) and times[0] < pd.Timestamp(first):
        rejections.append(
            Rejection(
                f"service/{service.name}",
                f"its task size before {first:%Y-%m-%d %H:%M} UTC is not known; the size of then is assumed, "
                "except where Container Insights recorded the reservation",
            )
        )
    cpu = _from_insights(_column(table, "CpuReserved Average"), cpu, tasks)
    memory = _from_insights(_column(table, "MemoryReserved Average"), memory, tasks)
    return cpu / CPU_UNITS_PER_VCPU, memory


def _from_insights(reserved: Floats, size: Floats, tasks: Floats) -> Floats:
    """The size of a task from Container Insights where it was recorded, else `size`.

    The metric is the reservation of one task or of the whole service, depending on the log event it was
    made from; the base that agrees with the known size at the newest minutes is used. One that agrees with
    neither is not used.
    """
    both = np.flatnonzero(np.isfinite(reserved) & np.isfinite(tasks) & (tasks > 0) & (size > 0))
    if not len(both):
        return size
    newest = both[-NEWEST_POINTS:]
    for base in (np.ones_like(tasks), tasks):
        ratio = float(np.median(reserved[newest] / (size[newest] * base[newest])))
        if abs(ratio - 1) <= SIZE_TOLERANCE:
            per_task = np.divide(reserved, base, out=np.full_like(size, np.nan), where=base > 0)
            return np.where(np.isfinite(per_task) & (per_task > 0), per_task, size)
    return size


@dataclass(frozen=True, slots=True)
class TaskSizes:
    """The task size of one service over time: changes are blended over the time a deployment took."""

    changes: tuple[tuple[datetime, datetime, float, float], ...]
    """(start, end, CPU units, MiB) of each deployment, oldest first."""
    cpu_units: float
    memory_mib: float
    """The size that holds where no deployment is known."""

    @classmethod
    def of(cls, service: Service, observed_at: datetime) -> TaskSizes:
        needs = service.task_definition.needs
        return cls(
            tuple(
                (d.started_at, _end(d, observed_at), float(d.needs.cpu_units), float(d.needs.memory_mib))
                for d in service.deployments
            ),
            float(needs.cpu_units),
            float(needs.memory_mib),
        )

    @property
    def known_since(self) -> datetime | None:
        return self.changes[0][0] if self.changes else None

    def at(self, times: pd.DatetimeIndex) -> tuple[Floats, Floats]:
        """CPU units and MiB of one task at each time; before the first deployment, its size."""
        if not self.changes:
            return np.full(len(times), self.cpu_units), np.full(len(times), self.memory_mib)
        cpu = np.full(len(times), self.changes[0][2])
        memory = np.full(len(times), self.changes[0][3])
        for start, end, new_cpu, new_memory in self.changes[1:]:
            done = _done(times, start, end)
            cpu = cpu + (new_cpu - cpu) * done
            memory = memory + (new_memory - memory) * done
        return cpu, memory


def _end(deployment: Deployment, observed_at: datetime) -> datetime:
    if deployment.finished_at is not None:
        return deployment.finished_at
    return max(deployment.started_at, observed_at)


def _done(times: pd.DatetimeIndex, start: datetime, end: datetime) -> Floats:
    """The share of a rolling deployment that is done at each time, 0 to 1, taken as linear."""
    since = (times - pd.Timestamp(start)).total_seconds().to_numpy(np.float64)
    length = (end - start).total_seconds()
    if length <= 0:
        return (since >= 0).astype(np.float64)
    return np.clip(since / length, 0.0, 1.0)


def _traffic(
    service: Service, by_resource: dict[str, pd.DataFrame], index: pd.MultiIndex | pd.Index
) -> tuple[Floats, Floats]:
    """Requests in each period, and the worst p99 of the target response time, over all target groups.

    RequestCount is published only when there are requests, so a minute without a point between the first
    and the last point of a target group had none.
    """
    requests = np.full(len(index), np.nan)
    latency = np.full(len(index), np.nan)
    for group in target_group_names(service.target_group_arns):
        table = _wide(by_resource.get(f"target-group/{group}"))
        if table is None:
            continue
        aligned = table.reindex(index)
        if "RequestCount Sum" in table:
            times = index.get_level_values("timestamp")
            seen = table["RequestCount Sum"].dropna().index.get_level_values("timestamp")
            inside = (times >= seen.min()) & (times <= seen.max()) if len(seen) else np.zeros(len(index), bool)
            count = np.where(inside, np.nan_to_num(_column(aligned, "RequestCount Sum")), np.nan)
            requests = np.where(np.isnan(requests), count, requests + np.nan_to_num(count))
        latency = np.fmax(latency, _column(aligned, "TargetResponseTime p99"))
    return requests, latency


def target_group_names(arns: Sequence[str]) -> list[str]:
    """arn:...:targetgroup/<name>/<id> -> <name>"""
    return [arn.split(":targetgroup/", 1)[-1].split("/", 1)[0] for arn in arns]
