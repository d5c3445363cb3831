"""The decision and everything it rests on, put into the words of plan.json."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import pandas as pd

from planner.back_tests import judged_demand
from planner.cost import CostLine, fleet_lines, total
from planner.decide import Decision
from planner.documents import PlanDocument
from planner.documents.plan import (
    Candidate,
    Cost,
    CostLinePlan,
    Excluded,
    FleetPlan,
    Input,
    Objective,
    PackingProof,
    PlacementPlan,
    PriceBookUsed,
    Scope,
    ServicePlan,
    StrategyItemPlan,
    TaskSize,
)
from planner.estate_cost import price_of
from planner.fleet_plan import fleet_line, kept_providers, retired_providers
from planner.made import DECIMALS, Made, counts_by_hour
from planner.model import Estate, Rejection
from planner.packing import parse_strategy
from planner.plan_cost import lines_by_service
from planner.prices.quotes import age_sentence
from planner.workloads import Workload


def assemble(made: Made, packing: PackingProof) -> PlanDocument:
    """The plan as a checked document."""
    fleet = [fleet_line(made, group) for group in made.chosen.groups]
    kept = kept_providers(made)
    services = tuple(_service(made, w, fleet) for w in made.workloads)
    cost = _cost(made, fleet, kept, services)
    demand, back_test = judged_demand(made.workloads, made.chosen.groups, made.settings.utilisation)
    return PlanDocument(
        created_at=made.as_of,
        author=made.settings.author,
        scope=Scope(account_id=made.estate.account_id, region=made.estate.region, cluster=made.estate.cluster),
        objective=_objective(made),
        inputs=_inputs(made),
        price_book=PriceBookUsed(date=_price_date(made), sha256=made.book.digest, sources=_sources(cost)),
        demand=demand,
        back_test=back_test,
        services=services,
        fleet=(*fleet, *kept),
        retired=tuple(retired_providers(made, [*fleet, *kept])),
        packing=packing,
        cost=cost,
        candidates=_candidates(made.decision),
        excluded=_excluded(made.excluded),
        warnings=tuple(_warnings(made)),
    )


# Services


def _service(made: Made, workload: Workload, fleet: list[FleetPlan]) -> ServicePlan:
    service = workload.service
    group = next((g for g in made.chosen.groups if workload.name in g.services), None)
    providers: tuple[StrategyItemPlan, ...] = ()
    placement: tuple[PlacementPlan, ...] = ()
    if group is not None:
        name = next(f.capacity_provider for f in fleet if f.instance_type == group.offer.instance_type)
        providers = (StrategyItemPlan(capacity_provider=name, weight=1, base=0),)
        rules = parse_strategy(group.rules.strategy)
        placement = tuple(PlacementPlan(type=r.kind, field=r.field) for r in rules)  # type: ignore[arg-type]
    return ServicePlan(
        service=workload.name,
        task_definition_arn=service.task_definition.arn,
        task=workload.size,
        task_before=TaskSize(
            cpu_units=service.task_definition.needs.cpu_units, memory_mib=service.task_definition.needs.memory_mib
        ),
        architecture=workload.architecture,
        capacity_providers=providers,
        placement=placement,
        minimum_healthy_percent=service.minimum_healthy_percent,
        maximum_percent=service.maximum_percent,
        scaling=workload.scaling,
        tasks_before=service.running_count,
        tasks_typical=int(np.median(workload.tasks)),
        tasks_peak=int(workload.tasks.max(initial=0)),
        tasks_by_hour_of_week=counts_by_hour(made, workload.tasks - made.waiting(workload.name)),
        routes=tuple(f"{r.load_balancer}:{r.listener_port} {' and '.join(r.conditions)}" for r in service.routes),
        reasons=workload.reasons,
    )


# Cost


def _cost(made: Made, fleet: list[FleetPlan], kept: list[FleetPlan], services: tuple[ServicePlan, ...]) -> Cost:
    plan = (*_compute_lines(made, fleet, kept), *made.fixed.lines)
    balancers = tuple(line for line in made.fixed.lines if line.kind.value == "load balancing")
    today = (*made.today, *balancers)
    split = lines_by_service(plan, [*fleet, *kept], services)
    return Cost(
        today_usd_per_hour=round(total(today), DECIMALS),
        plan_usd_per_hour=round(total(plan), DECIMALS),
        today=_lines(today),
        plan=_lines(plan),
        by_service=_lines(hourly.line for hourly in split),
    )


def _compute_lines(made: Made, fleet: list[FleetPlan], kept: list[FleetPlan]) -> list[CostLine]:
    lines: list[CostLine] = []
    counts = [round(group.run.mean_instances, 4) for group in made.chosen.groups] + [k.desired_size for k in kept]
    for line, count in zip([*fleet, *kept], counts, strict=True):
        price = price_of(made.book, made.estate.region, line.instance_type)
        lines += fleet_lines([(line.instance_type, count)], {line.instance_type: price}, line.capacity_provider)
    return lines


def _lines(lines: Iterable[CostLine]) -> tuple[CostLinePlan, ...]:
    return tuple(
        CostLinePlan(
            item=line.item, kind=line.kind.value, service=line.service, basis=line.basis, source=line.source,
            capacity_provider=line.capacity_provider, price_date=line.date,
            usd_per_hour=round(line.usd_per_hour, DECIMALS),
        )
        for line in lines
    )  # fmt: skip


def _candidates(decision: Decision) -> tuple[Candidate, ...]:
    both = [(decision.chosen, None), *((option, rejection.reason) for option, rejection in decision.rejected)]
    return tuple(
        Candidate(
            name=option.name,
            description=option.description,
            usd_per_hour=None if option.usd_per_hour is None else round(option.usd_per_hour, DECIMALS),
            attainment=None if option.attainment is None else round(option.attainment, 6),
            lower_bound_usd_per_hour=None
            if option.lower_bound_usd_per_hour is None
            else round(option.lower_bound_usd_per_hour, DECIMALS),
            rejected=reason,
            breaks_a_rule=True if option.impossible else None,
        )
        for option, reason in both
    )


# What it rests on


def _objective(made: Made) -> Objective:
    s = made.settings
    return Objective(
        slo=s.slo, utilisation=s.utilisation, timezone=s.timezone, holidays=s.holidays,
        zones=len(made.search.zones), survive_zone_loss=s.survive_zone_loss, growth=s.growth,
        architectures=tuple(sorted({w.architecture for w in made.workloads})),
        max_instance_types=s.max_instance_types, resize_tasks=s.resize_tasks,
    )  # fmt: skip


def _inputs(made: Made) -> tuple[Input, ...]:
    first, last = made.grid.start, made.as_of
    return (
        Input(
            name="metrics", sha256=_frame_digest(made.points), rows=len(made.points),
            description=f"CloudWatch points from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC, cleaned",
        ),
        Input(
            name="estate", sha256=hashlib.sha256(_estate_text(made.estate).encode()).hexdigest(),
            rows=len(made.estate.services), description="the cluster's services and capacity as they were read",
        ),
    )  # fmt: skip


def _frame_digest(frame: pd.DataFrame) -> str:
    """SHA-256 over the rows in a fixed order, column by column."""
    ordered = frame.sort_values([c for c in frame.columns if c != "value"], kind="stable")
    hashed = pd.util.hash_pandas_object(ordered, index=False).to_numpy()
    return hashlib.sha256(hashed.tobytes()).hexdigest()


def _estate_text(estate: Estate) -> str:
    """What planning uses of the estate; the instant of reading and instance identifiers are left out."""
    instances = sorted((i.instance_type, i.zone, i.capacity_provider or "") for i in estate.container_instances)
    return repr((estate.account_id, estate.region, estate.cluster, estate.services, instances))


def _price_date(made: Made) -> str:
    """The oldest on-demand price of the Region, so that another Region's age says nothing here."""
    dated = made.book.region_date(made.estate.region)
    return made.book.date if isinstance(dated, Rejection) else dated


def _sources(cost: Cost) -> tuple[str, ...]:
    return tuple(sorted({f"{line.source} ({line.price_date})" for line in (*cost.today, *cost.plan)}))


MANY = 4


def _excluded(rejections: Iterable[Rejection]) -> tuple[Excluded, ...]:
    """By name; where one reason holds for many, they share a line that counts them."""
    by_reason: dict[str, list[str]] = {}
    for r in rejections:
        by_reason.setdefault(r.reason, []).append(r.what)
    return tuple(
        Excluded(
            what=", ".join(names) if len(names) < MANY else f"{len(names)}: {', '.join(names)}", reason=reason
        )
        for reason, names in by_reason.items()
    )


def _counted(names: list[str]) -> str:
    told = ", ".join(names)
    return told if len(names) < MANY else f"{len(names)}: {told}"


def _warnings(made: Made) -> list[str]:
    unreadable = [f"{r.what} could not be read: {r.reason}" for r in made.estate.unreadable]
    unstated = [w.name for w in made.workloads if w.service.task_definition.architecture is None]
    if unstated:
        unreadable.append(
            f"No architecture is stated by {', '.join(unstated)}; x86_64, the default of ECS, is assumed."
        )
    others = [
        f"{w.name} has scaling policies that are not modelled ({', '.join(w.service.scaling.other_policies)})"
        for w in made.workloads
        if w.service.scaling and w.service.scaling.other_policies
    ]
    stale = age_sentence(made.book, made.estate.region, made.as_of.date())
    return [*([stale] if stale else []), *unreadable, *others]
