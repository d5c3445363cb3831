"""`planner tune --services`: one capacity provider for several services, from their demand files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from planner import terminal
from planner.cli.tune import MOST_MEMORY_MIB
from planner.units import MINUTES_PER_DAY

if TYPE_CHECKING:
    from planner.model import InstanceType
    from planner.provider_choice import Hosted, ProviderChoice
    from planner.scaling import Policy
    from planner.scaling.demand_file import Demand

COLUMNS = ("service", "demand", "task_vcpu", "task_memory_mib")
OPTIONAL = ("policy",)
MOST_VCPU = 192
"""Of one task, as of any instance type."""
LEAST_MINUTES = 2 * MINUTES_PER_DAY
ZONE_LETTERS = "abcdef"


@dataclass(frozen=True, slots=True)
class Row:
    """One service of the file."""

    service: str
    demand: Path
    task_vcpu: float
    task_memory_mib: int
    policy: Path | None


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of the command."""

    slo: float
    utilisation: float
    as_of: str | None
    timezone: str
    maximum: int | None
    resolution: str
    metrics: Sequence[str] | None
    region: str | None
    instance_type: str | None
    zones: int
    seed: int


@dataclass(frozen=True, slots=True)
class Scaled:
    """A service with the policy that scales it, without a capacity provider of its own."""

    row: Row
    demand: Demand
    policy: Policy
    choice: dict[str, Any] | None
    """What `planner tune` answers for this service alone; None where its policy was given."""


def run(path: Path, asked: Asked, as_json: bool) -> None:
    """Choose managed scaling for the services of `path` together."""
    from planner.provider_choice import ProviderChoice, choose_provider

    rows = _rows(path)
    offer = _offer(asked)
    if not 1 <= asked.zones <= len(ZONE_LETTERS):
        raise terminal.BadInput(f"--zones must be from 1 to {len(ZONE_LETTERS)}, not {asked.zones}.")
    start, demands = _together(rows, asked)
    _check_metrics(demands, asked)
    scaled = [_scaled(row, demands[row.service], asked, as_json) for row in rows]
    services = [_hosted(service, start, asked) for service in scaled]
    zones = tuple(f"{asked.region}{letter}" for letter in ZONE_LETTERS[: asked.zones])
    with terminal.progress(f"Replaying {len(services)} services on one capacity provider", 1.0) as advance:
        choice = choose_provider(
            services, offer, zones, slo=asked.slo, smallest=min(2, asked.zones), seed=asked.seed, advance=advance
        )
    if not isinstance(choice, ProviderChoice):
        raise terminal.Refusal(
            f"{'; '.join(f'{r.what}: {r.reason}' for r in choice)}: choose a larger --instance-type."
        )
    document = _document(choice, scaled, offer, len(services[0].wanted))
    if as_json:
        terminal.print_json(document)
    else:
        _show(document)
    if document["infeasible"]:
        raise typer.Exit(terminal.EXIT_REFUSED)


def _rows(path: Path) -> list[Row]:
    from planner import csv_rows
    from planner.cli.place import read_text

    seen: set[str] = set()
    beside = path.parent
    try:
        found = [
            Row(
                row.unseen("service", seen),
                beside / row.text("demand"),
                row.positive("task_vcpu", MOST_VCPU),
                row.whole("task_memory_mib", least=1, most=MOST_MEMORY_MIB),
                beside / row.text("policy") if row.has("policy") else None,
            )
            for row in csv_rows.rows(read_text(path), path.name, csv_rows.Row, COLUMNS, OPTIONAL)
        ]
    except csv_rows.TableError as problem:
        raise terminal.BadInput(str(problem)) from None
    if not found:
        raise terminal.BadInput(f"{path.name} has no services: give it a row each below its heading.")
    return found


def _offer(asked: Asked) -> InstanceType:
    from planner import prices

    if asked.region is None or asked.instance_type is None:
        raise terminal.BadInput(
            "--services needs --region and --instance-type, e.g. --region eu-west-2 --instance-type m7g.large."
        )
    found, rejected = prices.catalogue(
        prices.load(), asked.region, instance_types=[asked.instance_type], include_burstable=True,
        include_bare_metal=True, include_previous_generation=True, include_gpu=True,
    )  # fmt: skip
    if found:
        return found[0]
    reason = next((r.reason for r in rejected if r.what in (asked.instance_type, asked.region)), "it is not known")
    raise terminal.Refusal(f"{asked.instance_type} in {asked.region}: {reason}.")


def _together(rows: list[Row], asked: Asked) -> tuple[datetime, dict[str, Demand]]:
    """The demand files cut to the minutes that all of them span."""
    from planner.cli.simulate import load_demand
    from planner.cli.tune import known_before

    loaded = {row.service: known_before(load_demand(row.demand), asked.as_of) for row in rows}
    start = max(demand.start for demand in loaded.values())
    end = min(demand.start + timedelta(minutes=len(demand.vcpu)) for demand in loaded.values())
    if end - start < timedelta(minutes=LEAST_MINUTES):
        raise terminal.BadInput("The demand files share less than two days: give files of the same weeks.")
    return start, {service: demand.before(end).since(start) for service, demand in loaded.items()}


def _check_metrics(demands: dict[str, Demand], asked: Asked) -> None:
    """Every metric that is named must be told by some service's file."""
    from planner.scaling import MetricError
    from planner.scaling.signals import column_for

    for metric in asked.metrics or ():
        try:
            column = column_for(metric)
        except MetricError as problem:
            raise terminal.BadInput(f"{problem}.") from None
        if metric != "cpu" and not any(column in demand.loads for demand in demands.values()):
            raise terminal.BadInput(
                f"No demand file has the column {column} that --metric {metric} needs: add it to one, or leave "
                "the metric out."
            )


def _scaled(row: Row, demand: Demand, asked: Asked, as_json: bool) -> Scaled:
    from planner.cli import _tune_shown
    from planner.cli.tune import tuned
    from planner.scaling import Tuned

    if row.policy is not None:
        return Scaled(row, demand, _given(row, row.policy), None)
    try:
        result = tuned(
            demand, timezone=asked.timezone, task_vcpu=row.task_vcpu, slo=asked.slo, utilisation=asked.utilisation,
            maximum_tasks=asked.maximum, resolution=asked.resolution, loads=demand.loads,
            metrics=_metrics(row, demand, asked), task_memory_mib=_weighed_memory(row, demand), seed=asked.seed,
        )  # fmt: skip
    except terminal.BadInput as problem:
        raise terminal.BadInput(f"{row.service}: {problem}") from None
    choice = _tune_shown.document_of(result, demand)
    if isinstance(result, Tuned):
        return Scaled(row, demand, result.policy, choice)
    holds_instead = result.fallback if result.alternative is None else result.alternative.policy
    if holds_instead is None:
        _refuse(row, result.reason, as_json)
    return Scaled(row, demand, holds_instead, choice)


def _metrics(row: Row, demand: Demand, asked: Asked) -> list[str] | None:
    """Those that are named and that the service's file can tell."""
    from planner.scaling.signals import column_for

    if asked.metrics is None:
        return None
    told = [metric for metric in asked.metrics if metric == "cpu" or column_for(metric) in demand.loads]
    if not told:
        raise terminal.BadInput(
            f"{row.demand.name} has a column for none of the metrics {', '.join(asked.metrics)}: add one, or "
            "--metric cpu."
        )
    return told


def _weighed_memory(row: Row, demand: Demand) -> int | None:
    return row.task_memory_mib if "memory_mib" in demand.loads else None


def _given(row: Row, path: Path) -> Policy:
    from dataclasses import replace

    from planner.cli.simulate import load_policy
    from planner.scaling.policies import CooldownFrom

    policy = load_policy(path)
    if policy.task_vcpu != row.task_vcpu:
        raise terminal.BadInput(
            f"{path.name} is for tasks of {policy.task_vcpu:g} vCPU, {row.service} has {row.task_vcpu:g}: "
            "make them equal."
        )
    if policy.task_memory_mib not in (None, row.task_memory_mib):
        raise terminal.BadInput(
            f"{path.name} is for tasks of {policy.task_memory_mib} MiB, {row.service} has {row.task_memory_mib}: "
            "make them equal."
        )
    trackers = tuple(replace(t, cooldown_from=CooldownFrom.DECISION) for t in policy.target_tracking)
    return replace(policy, target_tracking=trackers, capacity_provider=None)


def _refuse(row: Row, why: str, as_json: bool) -> NoReturn:
    reason = f"{row.service}: {why}"
    if not as_json:
        raise terminal.Refusal(f"{reason}.")
    terminal.print_json({"infeasible": True, "reason": reason, "provider": None, "services": {}})
    raise typer.Exit(terminal.EXIT_REFUSED)


def _hosted(service: Scaled, start: datetime, asked: Asked) -> Hosted:
    from planner.model import Resources, TaskType
    from planner.provider_choice import hosted
    from planner.scaling import DemandError
    from planner.scaling.signals import binding
    from planner.units import MiB, cpu_units

    row, demand = service.row, service.demand
    task = TaskType(row.service, 1, Resources(cpu_units(row.task_vcpu), MiB(row.task_memory_mib)))
    needs = binding(
        demand.vcpu, demand.loads, task_vcpu=row.task_vcpu, task_memory_mib=_weighed_memory(row, demand)
    )
    try:
        return hosted(task, demand.vcpu, start, service.policy, asked.utilisation, demand.loads, needs)
    except DemandError as problem:
        raise terminal.BadInput(f"{row.demand.name}: {problem}.") from None


def _document(choice: ProviderChoice, scaled: list[Scaled], offer: InstanceType, minutes: int) -> dict[str, Any]:
    from dataclasses import asdict

    from planner.scaling import print_policy

    chosen = choice.chosen
    short = [s for s in scaled if s.choice is not None and s.choice["infeasible"]]
    return {
        "infeasible": bool(short) or not chosen.holds,
        "reason": "; ".join([*(_short_told(s) for s in short), choice.reason]),
        "minutes": minutes,
        "candidates": choice.tried,
        "provider": {
            "instance_type": offer.instance_type,
            "target_capacity_percent": chosen.setting.target_capacity_percent,
            "min_size": chosen.setting.min_size,
            "max_size": choice.max_size,
            "minimum_step": chosen.setting.minimum_step,
            "maximum_step": choice.maximum_step,
            "placement_strategy": choice.strategy,
            "instance_hours_per_week": chosen.instance_hours_per_week,
            "usd_per_week": chosen.instance_hours_per_week * offer.usd_per_hour,
            "attainment": chosen.attainment,
        },
        "services": {
            s.row.service: {
                "policy": print_policy(s.policy),
                "attainment": choice.attainment[s.row.service],
                "choice": s.choice,
            }
            for s in scaled
        },
        "unseen_weeks": [asdict(week) for week in choice.unseen],
        "frontier": [asdict(point) for point in choice.frontier],
    }


def _short_told(service: Scaled) -> str:
    choice = service.choice or {}
    return f"{service.row.service}: {choice['reason']}, so it runs on {choice['instead']} here"


def _show(document: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from planner.cli._tune_shown import others_told, policy_told

    shown, provider = Console(), document["provider"]
    table = Table(
        title=escape(f"{provider['instance_type']}: cost against the attainment of the worst-kept service")
    )
    for column in ("instance-hours a week", "attainment", "target capacity", "min", "min step", "holds"):
        table.add_column(column)
    for point in document["frontier"]:
        setting = point["setting"]
        table.add_row(
            f"{point['instance_hours_per_week']:,.0f}", f"{point['attainment']:.3%}",
            f"{setting['target_capacity_percent']} %", str(setting["min_size"]), str(setting["minimum_step"]),
            "yes" if point["holds"] else "no",
        )  # fmt: skip
    shown.print(table)
    shown.print(document["reason"], markup=False)
    shown.print(
        f"{provider['min_size']} to {provider['max_size']} x {provider['instance_type']}, at most "
        f"{provider['maximum_step']} a launch, placed {provider['placement_strategy']}: "
        f"{provider['instance_hours_per_week']:,.0f} instance-hours, {provider['usd_per_week']:,.2f} USD a week.",
        markup=False,
    )
    for name, service in document["services"].items():
        shown.print(f"{name}: attainment {service['attainment']:.3%}", markup=False)
        if (choice := service["choice"]) is not None:
            for line in (choice["reason"], policy_told(choice), *others_told(choice)):
                shown.print(f"  {line}", markup=False)
