"""`planner pack`: the cheapest fleet for a list of tasks, with a proof."""

from __future__ import annotations

import time
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
    time_limit: Annotated[float, typer.Option(min=0.0, help="seconds of search")] = 60.0,
    seed: Annotated[int, typer.Option(help="fixes every random choice")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON document on standard output")] = False,
) -> None:
    from planner.packing import PackingProblem, ProblemError
    from planner.packing import pack as solve
    from planner.units import Seconds

    wanted, offers = _read(tasks, catalogue)
    try:
        problem = PackingProblem(
            wanted, offers, zones=zones, survive_zone_loss=survive_zone_loss, max_types=max_types
        )
        title = f"Packing {sum(task.count for task in wanted):,} tasks onto {len(offers):,} types"
        with terminal.progress(title, total=time_limit or None) as advance:
            result = solve(
                problem,
                time_limit=Seconds(time_limit),
                seed=seed,
                on_progress=advance,
                clock=time.monotonic,
            )
    except ProblemError as error:
        raise terminal.BadInput(f"{error}.") from None
    if as_json:
        terminal.print_json(packing_document(result))
    else:
        _show(problem, result)
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
