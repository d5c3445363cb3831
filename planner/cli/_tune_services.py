"""`planner tune --services`: one capacity provider for several services, from their demand files."""

from __future__ import annotations

import csv
from collections.abc import Iterator
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
    from planner.scaling import Infeasible, Policy
    from planner.scaling.demand_file import Demand

COLUMNS = ("service", "demand", "task_vcpu", "task_memory_mib")
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
    region: str | None
    instance_type: str | None
    zones: int
    seed: int


def run(path: Path, asked: Asked, as_json: bool) -> None:
    """Choose managed scaling for the services of `path` together."""
    from planner.provider_choice import ProviderChoice, choose_provider
    from planner.scaling import Infeasible

    rows = list(_rows(path))
    offer = _offer(asked)
    if not 1 <= asked.zones <= len(ZONE_LETTERS):
        raise terminal.BadInput(f"--zones must be from 1 to {len(ZONE_LETTERS)}, not {asked.zones}.")
    start, demands = _together(rows, asked)
    policies: dict[str, Policy] = {}
    for row in rows:
        found = _policy(row, demands[row.service], asked)
        if isinstance(found, Infeasible):
            _refuse(row, found, as_json)
        policies[row.service] = found
    services = [_hosted(row, demands[row.service], start, policies[row.service], asked) for row in rows]
    zones = tuple(f"{asked.region}{letter}" for letter in ZONE_LETTERS[: asked.zones])
    with terminal.progress(f"Replaying {len(services)} services on one capacity provider", 1.0) as advance:
        choice = choose_provider(
            services, offer, zones, slo=asked.slo, smallest=min(2, asked.zones), seed=asked.seed, advance=advance
        )
    if not isinstance(choice, ProviderChoice):
        raise terminal.Refusal(
            f"{'; '.join(f'{r.what}: {r.reason}' for r in choice)}: choose a larger --instance-type."
        )
    document = _document(choice, policies, offer, len(services[0].wanted))
    if as_json:
        terminal.print_json(document)
    else:
        _show(document)
    if document["infeasible"]:
        raise typer.Exit(terminal.EXIT_REFUSED)


def _rows(path: Path) -> Iterator[Row]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            table = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise terminal.BadInput(f"{path.name} cannot be read: {error}.") from None
    if not table:
        raise terminal.BadInput(
            f"{path.name} has no services: give a header with {', '.join(COLUMNS)} and a row each."
        )
    if missing := [name for name in COLUMNS if name not in table[0]]:
        raise terminal.BadInput(f"{path.name} lacks the columns {', '.join(missing)}: add them to its header.")
    seen: set[str] = set()
    for number, cells in enumerate(table, start=2):
        row = _row(
            path, number, {name: (cell or "").strip() for name, cell in cells.items() if isinstance(name, str)}
        )
        if row.service in seen:
            raise terminal.BadInput(f"{path.name} names {row.service} twice (row {number}): leave one out.")
        seen.add(row.service)
        yield row


def _row(path: Path, number: int, cells: dict[str, str]) -> Row:
    if not cells["service"] or not cells["demand"]:
        raise terminal.BadInput(f"{path.name}, row {number}: name the service and its demand file.")
    try:
        task_vcpu, memory = float(cells["task_vcpu"]), int(cells["task_memory_mib"])
    except ValueError:
        raise terminal.BadInput(
            f"{path.name}, row {number}: task_vcpu and task_memory_mib must be numbers, e.g. 0.5 and 1024."
        ) from None
    if not 0 < task_vcpu <= 192 or not 1 <= memory <= MOST_MEMORY_MIB:
        raise terminal.BadInput(f"{path.name}, row {number}: a task needs above 0 to 192 vCPU and some memory.")
    policy = cells.get("policy") or None
    beside = path.parent
    return Row(cells["service"], beside / cells["demand"], task_vcpu, memory, beside / policy if policy else None)


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


def _policy(row: Row, demand: Demand, asked: Asked) -> Policy | Infeasible:
    """The policy of the file, or one chosen on this demand; without a capacity provider of its own."""
    from dataclasses import replace

    from planner.cli.simulate import load_policy
    from planner.cli.tune import tuned
    from planner.scaling import Tuned
    from planner.scaling.policies import CooldownFrom

    if row.policy is not None:
        given = load_policy(row.policy)
        if given.task_vcpu != row.task_vcpu:
            raise terminal.BadInput(
                f"{row.policy.name} is for tasks of {given.task_vcpu:g} vCPU, {row.service} has "
                f"{row.task_vcpu:g}: "
                "make them equal."
            )
        trackers = tuple(replace(t, cooldown_from=CooldownFrom.DECISION) for t in given.target_tracking)
        return replace(given, target_tracking=trackers, capacity_provider=None)
    result = tuned(
        demand, timezone=asked.timezone, task_vcpu=row.task_vcpu, slo=asked.slo, utilisation=asked.utilisation,
        maximum_tasks=asked.maximum, resolution=asked.resolution, metrics=("cpu",), seed=asked.seed,
    )  # fmt: skip
    return result.policy if isinstance(result, Tuned) else result


def _refuse(row: Row, found: Infeasible, as_json: bool) -> NoReturn:
    reason = f"{row.service}: {found.reason}"
    if not as_json:
        raise terminal.Refusal(f"{reason}.")
    terminal.print_json({"infeasible": True, "reason": reason, "provider": None, "services": {}})
    raise typer.Exit(terminal.EXIT_REFUSED)


def _hosted(row: Row, demand: Demand, start: datetime, policy: Policy, asked: Asked) -> Hosted:
    from planner.model import Resources, TaskType
    from planner.provider_choice import hosted
    from planner.scaling import DemandError
    from planner.units import MiB, cpu_units

    task = TaskType(row.service, 1, Resources(cpu_units(row.task_vcpu), MiB(row.task_memory_mib)))
    try:
        return hosted(task, demand.vcpu, start, policy, asked.utilisation, demand.loads)
    except DemandError as problem:
        raise terminal.BadInput(f"{row.demand.name}: {problem}.") from None


def _document(
    choice: ProviderChoice, policies: dict[str, Policy], offer: InstanceType, minutes: int
) -> dict[str, Any]:
    from dataclasses import asdict

    from planner.scaling import print_policy

    chosen = choice.chosen
    return {
        "infeasible": not chosen.holds,
        "reason": choice.reason,
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
            name: {"policy": print_policy(policy), "attainment": choice.attainment[name]}
            for name, policy in policies.items()
        },
        "unseen_weeks": [asdict(week) for week in choice.unseen],
        "frontier": [asdict(point) for point in choice.frontier],
    }


def _show(document: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

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
