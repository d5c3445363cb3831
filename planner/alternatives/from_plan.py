"""The demand that a plan.json states, hour of week by hour of week."""

from __future__ import annotations

import math

from planner.alternatives.demanded import Demanded, DemandedService
from planner.cost import CostLine, Kind
from planner.documents.plan import PlanDocument, ServiceDemand, ServicePlan
from planner.model import Resources
from planner.units import HOURS_PER_WEEK, CpuUnits, MiB, UsdPerHour, vcpu


def demanded_of(plan: PlanDocument) -> Demanded:
    """Tasks of each planned service that hold its p99 demand of the hour at the utilisation objective, within
    its scaling limits; a service without an hourly demand runs its typical count all week."""
    demand = {d.service: d for d in plan.demand}
    return Demanded(
        tuple(
            DemandedService(
                s.service,
                Resources(CpuUnits(s.task.cpu_units), MiB(s.task.memory_mib), enis=1),
                _tasks(s, demand.get(s.service), plan.objective.utilisation),
                s.architecture,
            )
            for s in plan.services
        )
    )


def _tasks(service: ServicePlan, demand: ServiceDemand | None, utilisation: float) -> tuple[int, ...]:
    hourly = demand.p99_vcpu_by_hour_of_week if demand else ()
    size = vcpu(service.task.cpu_units)
    if not hourly or not size or not utilisation:
        return (service.tasks_typical,) * HOURS_PER_WEEK
    low = service.scaling.min_capacity if service.scaling else 0
    high = service.scaling.max_capacity if service.scaling else math.inf
    wanted = (math.ceil(value / (utilisation * size) - 1e-9) for value in hourly)
    return tuple(int(min(high, max(low, count))) for count in wanted)


def load_balancing_of(plan: PlanDocument) -> tuple[CostLine, ...] | None:
    """The plan's load balancer lines, None where it has none."""
    lines = tuple(
        CostLine(
            line.item, Kind.LOAD_BALANCING, line.service, line.capacity_provider, UsdPerHour(line.usd_per_hour),
            line.basis, line.source, line.price_date,
        )
        for line in plan.cost.plan
        if line.kind == Kind.LOAD_BALANCING
    )  # fmt: skip
    return lines or None
