"""The sequence of reasoning: metrics -> demand -> scaling -> fleets -> cost -> decision -> plan.

The only place that strings the stages together. Everything comes in as a value, the instant to look from
included, so the same inputs give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import pandas as pd

from planner import demand as demand_stage
from planner import metrics, plan_pictures
from planner.assemble import assemble
from planner.candidates import FleetCandidate, Search, impossible, search_fleets
from planner.cost import MissingPrice
from planner.decide import Decision, Limits, Option, Undecided, decide
from planner.documents import PlanDocument
from planner.estate_cost import fixed_lines, today_lines, today_option, zones_of
from planner.expectations import unknown_services
from planner.frames import PlanTables
from planner.kept_instances import keeping_fewer
from planner.loads import turned_away
from planner.made import Made
from planner.model import Architecture, Estate, Rejection, Service
from planner.offers import offers
from planner.packing.clock import Clock
from planner.parallel import in_order
from planner.prices import PriceBook
from planner.proof import Effort, prove
from planner.settings import Settings
from planner.strategies import under_other_strategies
from planner.terminal import Refusal
from planner.timegrid import TimeGrid
from planner.units import UsdPerHour, usd_per_hour
from planner.workloads import (
    TooLittleHistory,
    Workload,
    by_minute,
    grid_of,
    is_on_fargate,
    kept_workload,
    plan_workload,
)

Progress = Callable[[str], None]
Settled = TypeVar("Settled")


@dataclass(frozen=True, slots=True)
class Planned:
    document: PlanDocument
    tables: PlanTables


@dataclass(frozen=True, slots=True)
class Unplannable:
    """Why there is no plan, and what to do next, in one sentence."""

    reason: str


def settled(outcome: Settled | Unplannable) -> Settled:
    """The outcome, or a Refusal with the reason: for notebooks and commands, where no plan ends the run."""
    if isinstance(outcome, Unplannable):
        raise Refusal(outcome.reason)
    return outcome


@dataclass(frozen=True, slots=True)
class Study:
    """An estate with its history cleaned and turned into demand once; plans for many settings follow from it."""

    estate: Estate
    as_of: datetime
    clean: pd.DataFrame
    cleaning: metrics.CleaningReport
    usage: pd.DataFrame
    demand: pd.DataFrame
    grid: TimeGrid


def study(estate: Estate, points: pd.DataFrame, as_of: datetime) -> Study | Unplannable:
    """Clean the points (frames.METRIC_POINTS) before `as_of` and turn them into demand."""
    clean, cleaning = metrics.clean(points[points["timestamp"] < pd.Timestamp(as_of)], estate)
    usage = metrics.usage(clean, estate)
    if usage.empty:
        return Unplannable(
            f"Cluster {estate.cluster} has no CPU metrics of any service before {as_of:%Y-%m-%d %H:%M} UTC: "
            "check the cluster's name and Region, or wait until its services have run for two days."
        )
    demand = demand_stage.demand(
        usage,
        rejected_per_second=turned_away(clean, estate),
        hard_cpu_limit={s.name: True for s in estate.services if is_on_fargate(s)},
    )
    return Study(estate, as_of, clean, cleaning, usage, demand, grid_of(usage, as_of))


def plan(
    estate: Estate,
    points: pd.DataFrame,
    as_of: datetime,
    settings: Settings,
    book: PriceBook,
    on_progress: Progress = lambda _what: None,
    *,
    workers: int = 1,
    clock: Clock | None = None,
) -> Planned | Unplannable:
    """Plan one estate from its metric points up to `as_of`, in `workers` processes.

    With a `clock` (e.g. time.monotonic) `settings.solver_seconds` limits each search for a packing, and the plan
    tells where that ended one; without, searches end by their own limits. Raises nothing for what an estate may
    hold; what cannot be planned is an Unplannable with the reason.
    """
    on_progress("Cleaning the metrics")
    studied = study(estate, points, as_of)
    if isinstance(studied, Unplannable):
        return studied
    workloads = workloads_of(studied, settings, on_progress, workers=workers)
    if isinstance(workloads, Unplannable):
        return workloads
    return plan_workloads(studied, workloads, settings, book, on_progress, Effort(workers, clock))


def workloads_of(
    studied: Study, settings: Settings, on_progress: Progress = lambda _what: None, *, workers: int = 1
) -> tuple[Workload, ...] | Unplannable:
    """What each service needs under `settings`, in the order of the estate; daemons are left out."""
    estate = studied.estate
    if unknown := unknown_services(settings, [s.name for s in estate.services], estate.cluster):
        return Unplannable(unknown)
    services = [s for s in estate.services if s.scheduling_strategy != "DAEMON"]
    usage, demand = by_service(studied.usage), by_service(studied.demand)
    nothing = studied.usage.iloc[:0], studied.demand.iloc[:0]
    work = [
        (
            service,
            usage.get(service.name, nothing[0]),
            demand.get(service.name, nothing[1]),
            settings,
            studied.grid,
        )
        for service in services
    ]
    planned: list[Workload] = []
    refused: list[TooLittleHistory] = []
    for service, found in zip(services, in_order(_workload, work, workers), strict=True):
        on_progress(f"Thresholds of {service.name}")
        if isinstance(found, TooLittleHistory):
            refused.append(found)
        else:
            planned.append(found)
    return Unplannable(_too_little(refused, settings)) if refused else tuple(planned)


def by_service(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each service."""
    return {str(name): rows for name, rows in table.groupby("service", observed=True, sort=False)}


def _workload(
    service: Service, usage: pd.DataFrame, demand: pd.DataFrame, settings: Settings, grid: TimeGrid
) -> Workload | TooLittleHistory:
    if service.name in settings.keep:
        return kept_workload(service, by_minute(usage, "cpu_used_vcpu", grid), settings, grid)
    return plan_workload(service, usage, demand, settings, grid)


def plan_workloads(
    studied: Study,
    workloads: tuple[Workload, ...],
    settings: Settings,
    book: PriceBook,
    on_progress: Progress = lambda _what: None,
    effort: Effort | None = None,
) -> Planned | Unplannable:
    """Fleets, cost and decision for workloads that are known."""
    try:
        return _plan_workloads(studied, workloads, settings, book, on_progress, effort or Effort())
    except MissingPrice as missing:
        return Unplannable(
            f"Something that runs has no price ({missing}), so today's cost would be wrong: "
            f"refresh the price book with `planner prices refresh --region {studied.estate.region}`."
        )


def _plan_workloads(
    studied: Study,
    workloads: tuple[Workload, ...],
    settings: Settings,
    book: PriceBook,
    on_progress: Progress,
    effort: Effort,
) -> Planned | Unplannable:
    estate = studied.estate
    wanted = set(settings.architectures) or {w.architecture for w in workloads} or {Architecture.X86_64}
    considered, excluded = offers(estate, wanted, settings, book)
    if refused := impossible(workloads, considered):
        return Unplannable("; ".join(f"{r.what}: {r.reason}" for r in refused) + ".")
    fixed = fixed_lines(estate, studied.clean, workloads, book)
    search = Search(considered, zones_of(estate), settings, fixed.usd_per_hour)
    found = search_fleets(workloads, search, lambda: on_progress("Replaying fleets"))
    decided = _decide(estate, workloads, found, settings, book, fixed.usd_per_hour)
    siblings: list[FleetCandidate] = []
    for refine in (keeping_fewer, under_other_strategies):
        if isinstance(decided, Undecided):
            break
        best = next(c for c in found if c.option.name == decided.chosen.name)
        others = refine(best, workloads, search)
        siblings = [best, *others]
        found += others
        decided = _decide(estate, workloads, found, settings, book, fixed.usd_per_hour)
    if isinstance(decided, Undecided):
        return Unplannable(decided.reason)
    chosen = next(c for c in found if c.option.name == decided.chosen.name)
    on_progress("Proving the packing")
    made = Made(
        estate, studied.as_of, settings, book, studied.grid, workloads, chosen, decided, search, fixed,
        today_lines(estate, workloads, book), (*excluded, *fixed.excluded), studied.clean,
        tuple(siblings),
    )  # fmt: skip
    document = assemble(made, prove(made, effort))
    return Planned(document, plan_pictures.tables(made, document, studied.cleaning))


def _too_little(refused: list[TooLittleHistory], settings: Settings) -> str:
    told = ", ".join(f"{r.service} {r.hours:.1f}" for r in refused)
    names = ", ".join(r.service for r in refused)
    return (
        f"Too little history to plan honestly (hours of metrics: {told}; {settings.min_history_hours:g} are asked "
        f"for): wait, or leave such services as they are with `keep: [{names}]` in the parameters."
    )


def _decide(
    estate: Estate,
    workloads: tuple[Workload, ...],
    found: list[FleetCandidate],
    settings: Settings,
    book: PriceBook,
    fixed: UsdPerHour,
) -> Decision | Undecided:
    ceiling = settings.ceiling_usd_per_month
    limits = Limits(settings.slo, None if ceiling is None else usd_per_hour(ceiling))
    options: list[Option] = [c.option for c in found]
    decided = decide(options, limits)
    today = today_option(estate, workloads, settings, book, fixed)
    if isinstance(decided, Undecided):
        return decided
    # Today's estate is shown beside the candidates, and is never the plan: a plan that changes nothing
    # is a candidate like any other when its instance type wins.
    reason = Rejection(today.name, "what runs now; shown for comparison")
    return Decision(decided.chosen, ((today, reason), *decided.rejected), decided.frontier)
