"""`planner tune`: choose scaling thresholds that hold on weeks nobody has seen, from a demand file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner import terminal
from planner.units import mib

if TYPE_CHECKING:
    from planner.scaling import Infeasible, Tuned
    from planner.scaling.demand_file import Demand

MOST_MEMORY_MIB = mib(32_768)
"""Above the memory of any instance type."""


def register(app: typer.Typer) -> None:
    app.command("tune")(run)


def run(
    demand: Annotated[
        Path | None, typer.Argument(help="CSV with the columns timestamp,vcpu, one row a minute.")
    ] = None,
    task_vcpu: Annotated[float | None, typer.Option(help="vCPU of one task.")] = None,
    slo: Annotated[float, typer.Option(help="Share of minutes that must stay within --utilisation.")] = 0.999,
    utilisation: Annotated[
        float, typer.Option(help="A minute violates when demand over running capacity exceeds this share.")
    ] = 0.8,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Use only demand from before this moment (ISO 8601).")
    ] = None,
    timezone: Annotated[
        str, typer.Option(help="IANA time zone of the working hours, e.g. Europe/London.")
    ] = "UTC",
    maximum: Annotated[
        int | None, typer.Option("--max", help="Most tasks there may be; default: the ECS quota.")
    ] = None,
    high_resolution: Annotated[
        bool, typer.Option("--high-resolution", help="Only 20-second metrics (extra CloudWatch charge).")
    ] = False,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Metric resolution: 60s, 20s, or either (20s where it repays its charge). Default: either, "
            "and 60s with --tasks-per-instance or --services."
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="A metric to choose among, repeatable: cpu, memory, requests, custom:<column>. Default: all that "
            "the file's columns (and --task-memory-mib) can tell; cpu with --tasks-per-instance."
        ),
    ] = None,
    task_memory_mib: Annotated[
        int | None,
        typer.Option(help="Memory of one task; with a column memory_mib a minute also needs what memory fills."),
    ] = None,
    tasks_per_instance: Annotated[
        int | None,
        typer.Option(help="Also choose the capacity provider's target: tasks that fit one of its instances."),
    ] = None,
    usd_per_task_hour: Annotated[
        float | None, typer.Option(help="Price of a running task; cost is in task-hours without it.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the drawn weeks behind the intervals.")] = 0,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Also draw the frontier and the chosen replay, as a page."),
    ] = None,
    services: Annotated[
        Path | None,
        typer.Option(
            help="Instead of one demand file: CSV with the columns service,demand,task_vcpu,task_memory_mib "
            "and maybe policy, to choose how one capacity provider is run for all of them."
        ),
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="With --services: whose prices apply, e.g. eu-west-2.")
    ] = None,
    instance_type: Annotated[
        str | None, typer.Option(help="With --services: what the capacity provider launches, e.g. m7g.large.")
    ] = None,
    zones: Annotated[int, typer.Option(help="With --services: Availability Zones it launches in.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Choose the cheapest scaling policy expected to keep an objective on unseen weeks."""
    from planner.cli import _tune_shown
    from planner.cli.simulate import check_share, load_demand

    check_share(utilisation, "--utilisation")
    check_share(slo, "--slo")
    if services is not None:
        from planner.cli import _tune_services as several

        if {demand, task_vcpu, task_memory_mib, tasks_per_instance, usd_per_task_hour, html} != {None}:
            raise terminal.BadInput(
                "--services takes demand files and task sizes from its own columns and is priced by the instance: "
                "leave out DEMAND, --task-vcpu, --task-memory-mib, --tasks-per-instance, --usd-per-task-hour and "
                "--html."
            )
        resolution = _resolution(metrics or "60s", high_resolution=high_resolution)
        asked = several.Asked(
            slo, utilisation, as_of, timezone, maximum, resolution, metric, region, instance_type, zones, seed
        )
        several.run(services, asked, as_json)
        return
    if demand is None or task_vcpu is None:
        raise terminal.BadInput("Give a demand file and --task-vcpu, or --services with a file of several.")
    if region is not None or instance_type is not None:
        raise terminal.BadInput("--region and --instance-type go with --services: leave them out or give both.")
    if not 0 < task_vcpu <= 192:
        raise terminal.BadInput(f"--task-vcpu must be above 0 and at most 192, not {task_vcpu:g}.")
    if maximum is not None and maximum < 1:
        raise terminal.BadInput(f"--max must be at least 1, not {maximum}.")
    if tasks_per_instance is not None and not 1 <= tasks_per_instance <= 10_000:
        raise terminal.BadInput(f"--tasks-per-instance must be from 1 to 10,000, not {tasks_per_instance}.")
    if usd_per_task_hour is not None and not 0 <= usd_per_task_hour < 10_000:
        raise terminal.BadInput(f"--usd-per-task-hour must be a price of 0 or more, not {usd_per_task_hour:g}.")
    if task_memory_mib is not None and not 1 <= task_memory_mib <= MOST_MEMORY_MIB:
        raise terminal.BadInput(f"--task-memory-mib must be from 1 to {MOST_MEMORY_MIB:,}, not {task_memory_mib}.")
    on_instances = tasks_per_instance is not None
    resolution = _resolution(metrics or ("60s" if on_instances else "either"), high_resolution=high_resolution)
    if on_instances and metric not in (None, ["cpu"]):
        raise terminal.BadInput(
            "--tasks-per-instance with another metric than cpu is not supported yet: leave one of them out."
        )
    known = known_before(load_demand(demand), as_of)
    result = tuned(
        known,
        task_vcpu=task_vcpu,
        slo=slo,
        utilisation=utilisation,
        timezone=timezone,
        maximum_tasks=maximum,
        resolution=resolution,
        loads=known.loads,
        metrics=("cpu",) if on_instances else metric,
        task_memory_mib=task_memory_mib,
        usd_per_task_hour=usd_per_task_hour,
        seed=seed,
    )
    document = _tune_shown.document_of(result, known)
    if task_memory_mib is None and "memory_mib" in known.loads:
        document["warnings"].append("the column memory_mib is not weighed: that needs --task-memory-mib")
    if tasks_per_instance is not None:
        document |= _with_instances(result, known, tasks_per_instance, slo, utilisation)
    if html is not None:
        _draw(html, result, known, slo, utilisation, demand.name)
    if as_json:
        terminal.print_json(document)
    else:
        _tune_shown.show(document, demand.name)
    if document["infeasible"]:
        raise typer.Exit(terminal.EXIT_REFUSED)


def _resolution(metrics: str, *, high_resolution: bool) -> str:
    known = {"60s": "standard", "20s": "high", "either": "either"}
    if metrics not in known:
        raise terminal.BadInput(f"--metrics must be 60s, 20s or either, not {metrics}.")
    if high_resolution and metrics == "60s":
        raise terminal.BadInput("--high-resolution and --metrics 60s exclude each other: leave one out.")
    return "high" if high_resolution else known[metrics]


def known_before(demand: Demand, as_of: str | None) -> Demand:
    from planner.scaling.demand_file import DemandFileError, parse_moment

    if as_of is None:
        return demand
    try:
        known = demand.before(parse_moment(as_of, "--as-of"))
    except DemandFileError as problem:
        raise terminal.BadInput(f"{problem}.") from None
    if not len(known.vcpu):
        raise terminal.BadInput(
            f"No demand before --as-of {as_of}: the file starts at {demand.start.isoformat()}."
        )
    return known


def tuned(known: Demand, *, timezone: str, **settings: Any) -> Tuned | Infeasible:
    from planner.scaling import DemandError, tune
    from planner.scaling.schedule import zone_of

    try:
        zone_of(timezone)
        with terminal.progress(f"Choosing thresholds on {len(known.vcpu):,} minutes", 1.0) as advance:
            return tune(known.vcpu, known.start, timezone=timezone, advance=advance, **settings)
    except (DemandError, ValueError) as problem:
        raise terminal.BadInput(f"{problem}.") from None


def _with_instances(
    result: Tuned | Infeasible, known: Demand, tasks_per_instance: int, slo: float, utilisation: float
) -> dict[str, Any]:
    """The policy on instances, and the choice of the capacity provider's target behind it."""
    import dataclasses

    from planner.scaling import Tuned, print_policy
    from planner.scaling.capacity import choose_capacity
    from planner.scaling.policies import CapacityProvider

    if not isinstance(result, Tuned):
        return {"capacity": None}
    with terminal.progress("Choosing the target capacity", 1.0) as advance:
        found = choose_capacity(
            known.vcpu, known.start, result.policy, CapacityProvider(tasks_per_instance),
            slo=slo, utilisation=utilisation, advance=advance,
        )  # fmt: skip
    capacity = dataclasses.asdict(found.chosen) | {
        "reason": found.reason,
        "frontier": [dataclasses.asdict(point) for point in found.frontier],
    }
    return {"policy": print_policy(found.policy), "capacity": capacity}


def _draw(
    path: Path, result: Tuned | Infeasible, known: Demand, slo: float, utilisation: float, name: str
) -> None:
    from planner import scaling_pictures
    from planner.cli.simulate import write_page
    from planner.scaling import Tuned, simulate

    shown = [(scaling_pictures.choice(result, slo=slo), scaling_pictures.choice_told(result))]
    if isinstance(result, Tuned):
        outcome = simulate(known.vcpu, known.start, result.policy, utilisation=utilisation, loads=known.loads)
        picture = scaling_pictures.replay(outcome, known.start, result.policy, utilisation=utilisation)
        shown.append((picture, f"The chosen policy on the known weeks: {scaling_pictures.replay_told(outcome)}"))
    write_page(path, shown, f"Thresholds for {name}")
