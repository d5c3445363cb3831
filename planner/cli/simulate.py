"""`planner simulate`: replay a scaling policy on a demand series, from plain files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner import terminal

if TYPE_CHECKING:
    from planner.scaling import Outcome, Policy
    from planner.scaling.demand_file import Demand


def register(app: typer.Typer) -> None:
    app.command("simulate")(run)


def run(
    demand: Annotated[Path, typer.Argument(help="CSV with the columns timestamp,vcpu, one row a minute.")],
    policy: Annotated[Path, typer.Option(help="The scaling policy, JSON (docs/guide/scaling.md).")],
    utilisation: Annotated[
        float, typer.Option(help="A minute violates when demand over running capacity exceeds this share.")
    ] = 0.8,
    region: Annotated[str | None, typer.Option(help="Region whose prices apply, e.g. eu-west-2.")] = None,
    instance_type: Annotated[
        str | None, typer.Option(help="Instance type of the capacity provider, e.g. m7g.large.")
    ] = None,
    drills: Annotated[bool, typer.Option("--drills", help="Also rehearse four failures.")] = False,
    trajectory: Annotated[
        Path | None, typer.Option(help="Also write demand, tasks, instances and violations a minute, CSV.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Also draw the replay over time, one page, no network.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Replay both ECS scaling loops on a demand series and say what they cost and missed."""
    check_share(utilisation, "--utilisation")
    loaded, settings = load_demand(demand), load_policy(policy)
    settings, price, notes = with_price(settings, region, instance_type)
    outcome = _replay(loaded, settings, utilisation, price)
    document = outcome.document() | {"warnings": [*loaded.warnings, *notes]}
    if price is None and outcome.usd is None:
        document["usd_reason"] = "no price: pass --region and --instance-type, or usd_per_hour in the policy"
    if drills:
        document["drills"] = _drills(loaded, settings, utilisation, price)
    if trajectory is not None:
        _write_trajectory(trajectory, loaded, outcome)
    if html is not None:
        from planner import scaling_pictures

        picture = scaling_pictures.replay(outcome, loaded.start, settings, utilisation=utilisation)
        write_page(html, [(picture, scaling_pictures.replay_told(outcome))], f"Scaling of {demand.name}")
    if as_json:
        terminal.print_json(document)
    else:
        _show(document, demand.name)


def write_page(path: Path, shown: list[tuple[Any, str]], title: str) -> None:
    """Figures with their sentences as one page; its folder is made."""
    from planner.report.page import render_figures

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render_figures(shown, title), encoding="utf-8")
    except OSError as error:
        raise terminal.BadInput(f"{path} cannot be written: {error}.") from None


def check_share(value: float, option: str) -> None:
    if not 0 < value <= 1:
        raise terminal.BadInput(f"{option} must be above 0 and at most 1, not {value:g}.")


def load_demand(path: Path) -> Demand:
    from planner.scaling.demand_file import DemandFileError, read_demand

    try:
        return read_demand(path)
    except DemandFileError as problem:
        raise terminal.BadInput(f"{path.name}: {problem}.") from None


def load_policy(path: Path) -> Policy:
    from planner.scaling import PolicyError, parse_policy

    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise terminal.BadInput(f"{path.name} cannot be read: {error}.") from None
    except json.JSONDecodeError as error:
        raise terminal.BadInput(f"{path.name} is not JSON (line {error.lineno}: {error.msg}).") from None
    if isinstance(document, dict) and isinstance(document.get("policy"), dict):
        document = document["policy"]  # what `planner tune --json` prints
    try:
        return parse_policy(document)
    except PolicyError as problem:
        raise terminal.BadInput(f"{path.name}: {problem}.") from None


def with_price(
    policy: Policy, region: str | None, instance_type: str | None
) -> tuple[Policy, float | None, list[str]]:
    """The policy with a capacity provider of that type where it named none, its price, and notes."""
    provider = policy.capacity_provider
    instance_type = instance_type or (provider.instance_type if provider else None)
    if region is None and instance_type is None:
        return policy, None, []
    if region is None:
        if provider is not None and provider.usd_per_hour is not None:
            return policy, provider.usd_per_hour, []
        raise terminal.BadInput(f"A price of {instance_type} needs --region, e.g. --region eu-west-2.")
    if instance_type is None:
        raise terminal.BadInput("--region needs --instance-type, e.g. --instance-type m7g.large.")
    from planner import prices
    from planner.model import Rejection

    book = prices.load()
    price = book.instance(region, instance_type)
    if isinstance(price, Rejection):
        raise terminal.Refusal(f"{price.what}: {price.reason}.")
    if provider is not None:
        return policy, price.usd, []
    facts = book.instance_types.get(instance_type)
    return (
        _with_provider(policy, instance_type, facts),
        price.usd,
        [f"the policy has no capacity_provider: {instance_type} with ECS's default managed scaling is assumed"],
    )


def _with_provider(policy: Policy, instance_type: str, facts: Any) -> Policy:
    import dataclasses

    from planner.scaling.policies import CapacityProvider, CooldownFrom

    if facts is None or facts.vcpu is None:
        raise terminal.Refusal(
            f"The size of {instance_type} is not known: give the policy a capacity_provider with "
            "tasks_per_instance."
        )
    fitting = [facts.vcpu / policy.task_vcpu]
    if policy.task_memory_mib is not None:
        memory = facts.registered_memory_mib or facts.memory_mib
        if memory is None:
            raise terminal.Refusal(f"The memory of {instance_type} is not known: give tasks_per_instance.")
        fitting.append(memory / policy.task_memory_mib)
    per_instance = int(min(fitting) + 1e-6)
    if per_instance < 1:
        raise terminal.Refusal(f"No task of {policy.task_vcpu:g} vCPU fits on {instance_type}.")
    trackers = tuple(dataclasses.replace(t, cooldown_from=CooldownFrom.FULFILMENT) for t in policy.target_tracking)
    provider = CapacityProvider(tasks_per_instance=per_instance, instance_type=instance_type)
    return dataclasses.replace(policy, capacity_provider=provider, target_tracking=trackers)


def _replay(demand: Demand, policy: Policy, utilisation: float, price: float | None) -> Outcome:
    from planner.scaling import DemandError, simulate

    with terminal.progress(f"Replaying {len(demand.vcpu):,} minutes"):
        try:
            return simulate(
                demand.vcpu,
                demand.start,
                policy,
                utilisation=utilisation,
                loads=demand.loads,
                usd_per_instance_hour=price,
            )
        except DemandError as problem:
            raise terminal.BadInput(f"{problem}.") from None


def _drills(demand: Demand, policy: Policy, utilisation: float, price: float | None) -> list[dict[str, Any]]:
    from planner.scaling.drills import rehearse

    with terminal.progress("Rehearsing failures"):
        found = rehearse(
            demand.vcpu,
            demand.start,
            policy,
            utilisation=utilisation,
            loads=demand.loads,
            usd_per_instance_hour=price,
        )
    return [drill.document() for drill in found]


def _write_trajectory(path: Path, demand: Demand, outcome: Outcome) -> None:
    import csv
    from datetime import timedelta

    seen = outcome.trajectory
    try:
        with path.open("w", newline="", encoding="utf-8") as lines:
            writer = csv.writer(lines)
            writer.writerow(["timestamp", "vcpu", "tasks", "running", "instances", "violating"])
            for minute, value in enumerate(seen.demand_vcpu):
                moment = demand.start + timedelta(minutes=minute)
                instances = "" if seen.instances is None else int(seen.instances[minute])
                row = [round(float(seen.tasks[minute]), 6), int(seen.running[minute]), instances]
                known = "" if value != value else float(value)
                writer.writerow([moment.isoformat(), known, *row, int(seen.violating[minute])])
    except OSError as error:
        raise terminal.BadInput(f"{path} cannot be written: {error}.") from None


def _show(document: dict[str, Any], title: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), show_header=False)
    for key, value in document.items():
        if key in ("warnings", "drills"):
            continue
        table.add_row(key, _text(value))
    Console().print(table)
    for drill in document.get("drills", []):
        terminal.console().print(f"Drill {drill['drill']}: {drill['sentence']}", markup=False)
    for warning in document["warnings"]:
        terminal.console().print(f"Warning: {warning}", markup=False)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key} {_text(inner)}" for key, inner in value.items())
    if isinstance(value, float):
        return f"{value:,.6g}"
    return "-" if value is None else str(value)
