"""What a plan.json states for the comparison: demand by hour of the week, and what the plan itself runs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from planner.alternatives.demanded import Demanded, DemandedService
from planner.alternatives.flips import is_machine
from planner.alternatives.question import PlannedFleet
from planner.cost import IDLE, CostLine, Kind
from planner.documents.plan import FleetPlan, PlanDocument, ServiceDemand, ServicePlan
from planner.model import Resources
from planner.plan_cost import cost_line
from planner.units import HOURS_PER_WEEK, CpuUnits, MiB, vcpu


def demanded_of(plan: PlanDocument) -> Demanded:
    """Tasks of each planned service as they ran under its simulated scaling. A plan that does not tell them
    has the tasks that hold the p99 demand of the hour at the utilisation objective, within the scaling limits;
    a service without an hourly demand runs its typical count all week."""
    demand = {d.service: d for d in plan.demand}
    return Demanded(
        tuple(
            DemandedService(
                s.service,
                Resources(CpuUnits(s.task.cpu_units), MiB(s.task.memory_mib), enis=1),
                tuple(_whole(count) for count in s.tasks_by_hour_of_week)
                or _tasks(s, demand.get(s.service), plan.objective.utilisation),
                s.architecture,
                running=s.tasks_by_hour_of_week,
            )
            for s in plan.services
        )
    )


def _whole(mean: float) -> int:
    """Tasks that a fleet holds in an hour with this mean: the nearest whole number, but one where any ran."""
    return max(1, round(mean)) if mean > 0 else 0


def _tasks(service: ServicePlan, demand: ServiceDemand | None, utilisation: float) -> tuple[int, ...]:
    hourly = demand.p99_vcpu_by_hour_of_week if demand else ()
    size = vcpu(service.task.cpu_units)
    if not hourly or not size or not utilisation:
        return (service.tasks_typical,) * HOURS_PER_WEEK
    low = service.scaling.min_capacity if service.scaling else 0
    high = service.scaling.max_capacity if service.scaling else math.inf
    wanted = (math.ceil(value / (utilisation * size) - 1e-9) for value in hourly)
    return tuple(int(min(high, max(low, count))) for count in wanted)


def planned_fleet_of(plan: PlanDocument) -> PlannedFleet:
    """The compute lines of the plan, its mean instances, and how full they are."""
    lines = tuple(cost_line(line) for line in plan.cost.plan if line.kind == Kind.COMPUTE)
    machine_lines = [line for line in lines if is_machine(line)]
    by_provider = {f.capacity_provider: f for f in plan.fleet}
    pools = [by_provider[p] for line in machine_lines if (p := line.capacity_provider) in by_provider]
    instances = math.fsum(
        line.usd_per_hour / by_provider[line.capacity_provider].usd_per_hour
        for line in machine_lines
        if line.capacity_provider in by_provider and by_provider[line.capacity_provider].usd_per_hour
    )
    return PlannedFleet(lines, round(instances, 4), _filled(plan, pools))


def _filled(plan: PlanDocument, pools: Sequence[FleetPlan]) -> float | None:
    """Share of the instances' cost that is not idle; the split is by the larger of CPU and memory."""
    names = {pool.capacity_provider for pool in pools}
    split = [line for line in plan.cost.by_service if line.capacity_provider in names]
    whole = math.fsum(line.usd_per_hour for line in split)
    idle = math.fsum(line.usd_per_hour for line in split if line.service == IDLE)
    return 1 - idle / whole if whole and plan.services else None


def load_balancing_of(plan: PlanDocument) -> tuple[CostLine, ...] | None:
    """The plan's load balancer lines, None where it has none."""
    lines = tuple(cost_line(line) for line in plan.cost.plan if line.kind == Kind.LOAD_BALANCING)
    return lines or None
