"""The cost of a plan hour by hour of the week, by line and by service.

A line that stands for instances or Fargate tasks follows what ran under the simulated scaling; its mean over
the week is the line's own rate, so hours add to the plan's cost whatever they are grouped by.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from planner.cost import IDLE, CostLine, Kind, Period, period_of
from planner.documents.plan import CostLinePlan, FleetPlan, PlanDocument, ServicePlan
from planner.units import HOURS_PER_DAY, HOURS_PER_WEEK, UsdPerHour

Floats = npt.NDArray[np.float64]

FARGATE_PROVIDERS = ("FARGATE", "FARGATE_SPOT")


@dataclass(frozen=True, slots=True)
class HourlyLine:
    """A line with its rate in each hour of the week; their mean is `line.usd_per_hour`."""

    line: CostLine
    usd_by_hour: Floats


def cost_line(line: CostLinePlan) -> CostLine:
    """A line of plan.json as the cost stage has it; ValueError for a kind it does not know."""
    return CostLine(
        line.item, Kind(line.kind), line.service, line.capacity_provider, UsdPerHour(line.usd_per_hour),
        line.basis, line.source, line.price_date,
    )  # fmt: skip


def hourly_lines(
    lines: Iterable[CostLine], fleet: Sequence[FleetPlan], services: Sequence[ServicePlan]
) -> list[HourlyLine]:
    """Every line of a plan with its rate in each hour of the week."""
    return [HourlyLine(line, line.usd_per_hour * _shape(line, fleet, services)) for line in lines]


def _shape(line: CostLine, fleet: Sequence[FleetPlan], services: Sequence[ServicePlan]) -> Floats:
    """What the hour runs over what the mean hour runs; 1 for what does not follow the scaling."""
    ran: Sequence[float] = ()
    if line.kind is Kind.COMPUTE and line.capacity_provider in FARGATE_PROVIDERS:
        ran = next((s.tasks_by_hour_of_week for s in services if s.service == line.service), ())
    elif line.kind is Kind.COMPUTE:
        ran = next(
            (f.instances_by_hour_of_week for f in fleet if f.capacity_provider == line.capacity_provider), ()
        )
    mean = math.fsum(ran) / len(ran) if ran else 0.0
    return np.array(ran) / mean if mean else np.ones(HOURS_PER_WEEK)


def _pool_of(line: CostLine, fleet: Sequence[FleetPlan]) -> FleetPlan | None:
    return next((f for f in fleet if f.capacity_provider == line.capacity_provider), None)


def lines_by_service(
    lines: Iterable[CostLine], fleet: Sequence[FleetPlan], services: Sequence[ServicePlan]
) -> list[HourlyLine]:
    """The same cost by service: instances are split, in every hour, by the larger of the CPU share and the
    memory share of the tasks that ran; what nobody uses is `IDLE`. Lines of one service, and lines of no
    instance, stay as they are."""
    split: list[HourlyLine] = []
    for hourly in hourly_lines(lines, fleet, services):
        line = hourly.line
        pool = _pool_of(line, fleet)
        if pool is None or line.kind is not Kind.COMPUTE or line.service is not None:
            split.append(hourly)
        else:
            split += _split(hourly, pool, services)
    return split


def _split(hourly: HourlyLine, pool: FleetPlan, services: Sequence[ServicePlan]) -> list[HourlyLine]:
    taken = {s.service: part for s in services if (part := _taken(s, pool)) is not None}
    if not taken:
        return [hourly]
    held = np.sum(list(taken.values()), axis=0)
    whole = np.maximum(np.maximum(_by_hour(pool.instances_by_hour_of_week, pool.typical_size), held), 1e-12)
    shares = {name: part / whole for name, part in sorted(taken.items())}
    shares[IDLE] = np.maximum(0.0, 1 - np.sum(list(shares.values()), axis=0))
    found = [_share(hourly, name, hourly.usd_by_hour * share) for name, share in shares.items()]
    return [part for part in found if part.line.usd_per_hour]


def _share(hourly: HourlyLine, service: str, usd: Floats) -> HourlyLine:
    mean = UsdPerHour(math.fsum(usd) / HOURS_PER_WEEK)
    basis = "larger of CPU and memory share of the instances that ran, hour by hour"
    return HourlyLine(replace(hourly.line, service=service, usd_per_hour=mean, basis=basis), usd)


def _taken(service: ServicePlan, pool: FleetPlan) -> Floats | None:
    """Instances of the pool that the service's tasks fill by hour; None where it does not run there."""
    weights = {item.capacity_provider: item.weight for item in service.capacity_providers}
    if pool.capacity_provider not in weights:
        return None
    here = weights[pool.capacity_provider] / (sum(weights.values()) or 1)
    each = max(
        service.task.cpu_units / max(1, pool.room.cpu_units),
        service.task.memory_mib / max(1, pool.room.memory_mib),
    )
    return _by_hour(service.tasks_by_hour_of_week, service.tasks_typical) * each * here


def _by_hour(ran: Sequence[float], otherwise: float) -> Floats:
    return np.array(ran) if ran else np.full(HOURS_PER_WEEK, float(otherwise))


def plan_lines(plan: PlanDocument) -> list[CostLine]:
    return [cost_line(line) for line in plan.cost.plan]


def plan_period(plan: PlanDocument, start: datetime, hours: int, *, split: bool = False) -> Period:
    """The plan's cost over `hours` from `start` (with a time zone), each hour as that hour of the local week;
    `split` has it by service."""
    by_line = lines_by_service if split else hourly_lines
    known = by_line(plan_lines(plan), plan.fleet, plan.services)
    zone = ZoneInfo(plan.objective.timezone)
    lines = []
    for number in range(hours):
        local = (start + timedelta(hours=number)).astimezone(zone)
        lines.append(_at(known, local.weekday() * HOURS_PER_DAY + local.hour))
    return period_of(start, lines)


def _at(known: Sequence[HourlyLine], hour: int) -> list[CostLine]:
    """The lines of one hour of the week; a line that follows the scaling says its part of the mean."""
    found = []
    for hourly in known:
        usd, mean = float(hourly.usd_by_hour[hour]), hourly.line.usd_per_hour
        same = math.isclose(usd, mean, rel_tol=1e-9)
        basis = hourly.line.basis if same or not mean else f"{usd / mean:.3f} of the mean, {hourly.line.basis}"
        found.append(replace(hourly.line, usd_per_hour=UsdPerHour(usd), basis=basis))
    return found
