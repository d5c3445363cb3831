"""`planner pack`: the cheapest fleet for a list of tasks, with a proof."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner import terminal

if TYPE_CHECKING:
    from planner.packing import Packing, PackingProblem


def register(app: typer.Typer) -> None:
    app.command(help="Pack tasks onto the cheapest instances, with a proof of how near to the optimum.")(pack)


def pack(
    tasks: Annotated[Path, typer.Argument(help="CSV: service,count,cpu_units,memory_mib[,enis,gpus,...]")],
    catalogue: Annotated[
        Path, typer.Option(help="CSV: instance_type,cpu_units,memory_mib,usd_per_hour[,task_enis,...]")
    ],
    zones: Annotated[int, typer.Option(min=1, max=26, help="spread every service evenly over zones")] = 1,
    survive_zone_loss: Annotated[
        bool, typer.Option("--survive-zone-loss", help="keep places for the tasks of any one lost zone")
    ] = False,
    max_types: Annotated[int | None, typer.Option(min=1, help="at most this many instance types")] = None,
    spare_instances: Annotated[
        int, typer.Option(min=0, help="empty instances, each able to take over any one of the fleet")
    ] = 0,
    time_limit: Annotated[float, typer.Option(min=0.0, help="seconds of search")] = 60.0,
    seed: Annotated[int, typer.Option(help="fixes every random choice")] = 0,
    with_explanation: Annotated[
        bool, typer.Option("--explain", help="what tasks and rules cost, and types never worth it")
    ] = False,
    with_ecs: Annotated[
        bool, typer.Option("--ecs", help="what the ECS scheduler needs on top, by placement strategy")
    ] = False,
    with_alternatives: Annotated[
        bool, typer.Option("--alternatives", help="fleets near the optimum: fewer types, ARM or x86 only ...")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON document on standard output")] = False,
) -> None:
    from planner.packing import PackingProblem, ProblemError, load_kernels
    from planner.packing import pack as solve
    from planner.units import Seconds

    wanted, offers = _read(tasks, catalogue)
    try:
        problem = PackingProblem(
            wanted,
            offers,
            zones=zones,
            survive_zone_loss=survive_zone_loss,
            max_types=max_types,
            spare_instances=spare_instances,
        )
        title = f"Packing {sum(task.count for task in wanted):,} tasks onto {len(offers):,} types"

        def solve_within(stated: PackingProblem, seconds: float) -> Packing:
            with terminal.progress(title, total=seconds or None) as advance:
                return solve(
                    stated,
                    time_limit=Seconds(seconds),
                    seed=seed,
                    on_progress=advance,
                    clock=time.monotonic,
                )

        load_kernels()
        result = solve_within(problem, time_limit)

        def again(stated: PackingProblem) -> Packing:
            return solve_within(stated, time_limit / 4)

        more = _more(problem, result, again, with_explanation, with_ecs, with_alternatives)
    except ProblemError as error:
        raise terminal.BadInput(f"{error}.") from None
    if as_json:
        terminal.print_json({**packing_document(result), **more})
    else:
        _show(problem, result)
        _show_more(more)
    if any(u.count for u in result.unplaced):
        raise typer.Exit(terminal.EXIT_REFUSED)


def _read(tasks: Path, catalogue: Path) -> tuple[Any, Any]:
    from planner.cli.place import read_text
    from planner.packing import tables

    try:
        wanted = tables.read_tasks(read_text(tasks), tasks.name)
        text = read_text(catalogue)
        offers = tables.read_catalogue(text, catalogue.name)
        if any(task.needs.enis for task in wanted) and not tables.has_column(text, "task_enis"):
            raise tables.TableError(
                f"{catalogue.name} has no column task_enis, but tasks need network interfaces: "
                "add how many tasks of awsvpc mode each type can hold."
            )
    except tables.TableError as error:
        raise terminal.BadInput(str(error)) from None
    return wanted, offers


def _more(
    problem: PackingProblem,
    result: Packing,
    again: Callable[[PackingProblem], Packing],
    with_explanation: bool,
    with_ecs: bool,
    with_alternatives: bool,
) -> dict[str, Any]:
    from planner.model import Rejection
    from planner.packing import deployment_room, ecs_fleet, explain, near_optimal

    more: dict[str, Any] = {}
    if with_explanation:
        more["certificate"] = asdict(explain(problem, result, again))
    if with_ecs and result.instances:
        with terminal.progress("Replaying the ECS scheduler"):
            fits = ecs_fleet(problem, result)
            more["ecs"] = [asdict(fit) for fit in fits]
            more["deployments"] = [asdict(room) for room in deployment_room(problem, fits[0])]
    if with_alternatives and result.instances:
        more["alternatives"] = [
            {"name": found.what, "rejected": found.reason}
            if isinstance(found, Rejection)
            else {
                "name": found.name,
                "usd_per_hour": found.packing.usd_per_hour,
                "lower_bound_usd_per_hour": found.packing.lower_bound_usd_per_hour,
                "dearer_by": found.dearer_by,
                "different": found.different,
                "types": list(found.packing.types),
            }
            for found in near_optimal(problem, result, again)
        ]
    return more


def _show_more(more: dict[str, Any]) -> None:
    from planner.units import percent

    shown = terminal.console()
    for sentence in more.get("certificate", {}).get("sentences", ()):
        shown.print(sentence, markup=False)
    for fit in more.get("ecs", ()):
        stuck = sum(u["count"] for u in fit["unplaced"])
        added = sum(line["count"] for line in fit["added"])
        shown.print(
            f"ECS with {fit['strategy']} needs {added} more instances: {fit['usd_per_hour']:,.4f} USD per hour, "
            f"{percent(fit['premium']):.2f} % above the packing"
            + (f"; {stuck} tasks stay unplaced." if stuck else "."),
            markup=False,
        )
    for room in more.get("deployments", ())[:5]:
        added = sum(line["count"] for line in room["added"])
        shown.print(
            f"Deploying {room['service']} at 200 % runs {room['extra_tasks']} more tasks and needs {added} more "
            f"instances ({room['usd_per_hour']:,.4f} USD per hour while it lasts).",
            markup=False,
        )
    for found in more.get("alternatives", ()):
        told = found.get("rejected") or (
            f"{found['usd_per_hour']:,.4f} USD per hour, {percent(found['dearer_by']):.2f} % dearer, on "
            + ", ".join(found["types"])
        )
        shown.print(f"Alternative, {found['name']}: {told}", markup=False)


def packing_document(result: Packing) -> dict[str, Any]:
    return {
        "status": result.status,
        "usd_per_hour": result.usd_per_hour,
        "lower_bound_usd_per_hour": result.lower_bound_usd_per_hour,
        "gap": result.gap,
        "instances": [
            {
                "instance_type": line.instance_type,
                "zone": line.zone,
                "count": line.count,
                "tasks": dict(line.tasks),
                "standby": dict(line.standby),
            }
            for line in result.instances
        ],
        "unplaced": [{"service": u.service, "count": u.count, "reason": u.reason} for u in result.unplaced],
    }


def _show(problem: PackingProblem, result: Packing) -> None:
    from rich.table import Table
    from rich.text import Text

    from planner.units import percent, usd_per_month

    table = Table("Instance type", "Zone", "Instances", "USD per hour each")
    for line in result.fleet(problem.catalogue):
        table.add_row(Text(line.instance_type), Text(line.zone), f"{line.count:,}", f"{line.usd_per_hour:.4f}")
    shown = terminal.console()
    shown.print(table)
    shown.print(
        f"{result.usd_per_hour:,.4f} USD per hour ({usd_per_month(result.usd_per_hour):,.0f} a month). "
        f"No fleet costs less than {result.lower_bound_usd_per_hour:,.4f}: "
        f"this one is at most {percent(result.gap):.2f} % above the cheapest possible."
    )
    for u in result.unplaced:
        shown.print(f"Unplaced: {u.count:,} x {u.service}: {u.reason}", markup=False)
