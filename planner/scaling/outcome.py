"""What a replay amounts to: money, violations, scalings, queueing, the worst hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.scaling.service import Activity
from planner.units import MINUTES_PER_HOUR

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Minute by minute, shape (minutes,)."""

    demand_vcpu: FloatArray
    """NaN where the demand is unknown."""
    tasks: FloatArray
    """Placed tasks (starting and running), the mean over the minute: what is paid for."""
    running: IntArray
    """Tasks that ran the whole minute: the capacity it is judged by."""
    desired: IntArray
    instances: IntArray | None
    """Instances paid for; None without a capacity provider."""
    violating: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Queueing:
    """An estimate by Sakasegawa's formula for M/M/c with c running tasks (Queueing Systems, 1977).

    Times are in units of one request's service time, weighted by demand over minutes below saturation.
    """

    mean_wait: float
    p99_wait: float
    saturated_minutes: int
    """Minutes with demand at or above capacity, where a queue grows without bound."""


@dataclass(frozen=True, slots=True)
class WorstHour:
    start: datetime
    violating_minutes: int
    unserved_vcpu_minutes: float


@dataclass(frozen=True, slots=True)
class Outcome:
    minutes: int
    """Minutes with known demand, the base of the attainment."""
    missing_minutes: int
    violating_minutes: int
    slo_attainment: float
    """Share of `minutes` that do not violate."""
    task_hours: float
    instance_hours: float | None
    usd: float | None
    """None where no price was given."""
    scale_outs: int
    scale_ins: int
    served_vcpu_minutes: float
    unserved_vcpu_minutes: float
    queueing: Queueing
    worst_hour: WorstHour | None
    """None when no minute violates."""
    activities: tuple[Activity, ...]
    trajectory: Trajectory

    def document(self) -> dict[str, Any]:
        """The fixed keys of `planner simulate --json`, and more; no trajectory."""
        worst = self.worst_hour
        return {
            "minutes": self.minutes,
            "missing_minutes": self.missing_minutes,
            "violating_minutes": self.violating_minutes,
            "slo_attainment": self.slo_attainment,
            "task_hours": self.task_hours,
            "instance_hours": self.instance_hours,
            "usd": self.usd,
            "scale_outs": self.scale_outs,
            "scale_ins": self.scale_ins,
            "served_vcpu_minutes": self.served_vcpu_minutes,
            "unserved_vcpu_minutes": self.unserved_vcpu_minutes,
            "queueing": {
                "mean_wait_service_times": self.queueing.mean_wait,
                "p99_wait_service_times": self.queueing.p99_wait,
                "saturated_minutes": self.queueing.saturated_minutes,
            },
            "worst_hour": None
            if worst is None
            else {
                "start": worst.start.isoformat(),
                "violating_minutes": worst.violating_minutes,
                "unserved_vcpu_minutes": worst.unserved_vcpu_minutes,
            },
        }


def summarise(
    trajectory: Trajectory,
    start: datetime,
    task_vcpu: float,
    unserved: FloatArray,
    task_hours: float,
    activities: list[Activity],
    usd_per_instance_hour: float | None,
    usd_per_task_hour: float | None,
) -> Outcome:
    known = ~np.isnan(trajectory.demand_vcpu)
    minutes, violations = int(known.sum()), int(trajectory.violating.sum())
    instances = trajectory.instances
    instance_hours = None if instances is None else float(instances.sum()) / MINUTES_PER_HOUR
    return Outcome(
        minutes=minutes,
        missing_minutes=len(known) - minutes,
        violating_minutes=violations,
        slo_attainment=1 - violations / minutes if minutes else 1.0,
        task_hours=task_hours,
        instance_hours=instance_hours,
        usd=_usd(task_hours, instance_hours, usd_per_task_hour, usd_per_instance_hour),
        scale_outs=sum(a.after > a.before for a in activities),
        scale_ins=sum(a.after < a.before for a in activities),
        served_vcpu_minutes=float(np.nansum(trajectory.demand_vcpu) - unserved.sum()),
        unserved_vcpu_minutes=float(unserved.sum()),
        queueing=queueing_estimate(trajectory.demand_vcpu, trajectory.running, task_vcpu),
        worst_hour=_worst_hour(trajectory.violating, unserved, start),
        activities=tuple(activities),
        trajectory=trajectory,
    )


def _usd(
    task_hours: float,
    instance_hours: float | None,
    per_task: float | None,
    per_instance: float | None,
) -> float | None:
    if instance_hours is not None and per_instance is not None:
        return instance_hours * per_instance
    return None if per_task is None else task_hours * per_task


def queueing_estimate(demand_vcpu: FloatArray, running: IntArray, task_vcpu: float) -> Queueing:
    """Mean and p99 (over demand) of the wait before service, in service times."""
    busy = ~np.isnan(demand_vcpu) & (demand_vcpu > 0)
    load, count = demand_vcpu[busy], running[busy].astype(np.float64)
    rho = np.divide(load, count * task_vcpu, out=np.full(len(load), np.inf), where=count > 0)
    stable = rho < 1
    rho, servers, weight = rho[stable], count[stable], load[stable]
    wait = rho ** (np.sqrt(2 * (servers + 1)) - 1) / (servers * (1 - rho))
    if not len(wait):
        return Queueing(0.0, 0.0, int((~stable).sum()))
    order = np.argsort(wait)
    reached = np.cumsum(weight[order]) / weight.sum()
    p99 = float(wait[order][min(np.searchsorted(reached, 0.99), len(wait) - 1)])
    return Queueing(float(np.average(wait, weights=weight)), p99, int((~stable).sum()))


def _worst_hour(violating: NDArray[np.bool_], unserved: FloatArray, start: datetime) -> WorstHour | None:
    """The clock hour with most violating minutes; of equals the one with most unserved, then the first."""
    if not violating.any():
        return None
    hours = (np.arange(len(violating)) + start.minute) // MINUTES_PER_HOUR
    counts = np.bincount(hours, weights=violating).astype(int)
    lost = np.bincount(hours, weights=unserved)
    worst = max(range(len(counts)), key=lambda h: (counts[h], lost[h], -h))
    moment = start.replace(minute=0, second=0, microsecond=0) + timedelta(hours=worst)
    return WorstHour(moment, int(counts[worst]), float(lost[worst]))
