"""`planner place`: where the ECS scheduler would put each task."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner import terminal

if TYPE_CHECKING:
    from planner.model import TaskType
    from planner.packing import Placement


def register(app: typer.Typer) -> None:
    app.command(help="Replay the ECS scheduler: where would each task start on this fleet?")(place)


def place(
    tasks: Annotated[Path, typer.Argument(help="CSV: service,count,cpu_units,memory_mib[,enis,gpus,...]")],
    fleet: Annotated[Path, typer.Option(help="CSV: instance_type,zone,count,cpu_units,memory_mib[,...]")],
    strategy: Annotated[
        str, typer.Option(help='e.g. "spread:az,binpack:memory"; empty is ECS\'s own default')
    ] = "",
    order: Annotated[str, typer.Option(help="given: as listed; random: all tasks mixed")] = "given",
    seed: Annotated[int, typer.Option(help="fixes every random choice")] = 0,
    scale_in: Annotated[
        list[str] | None, typer.Option(help="SERVICE=N: then stop N tasks as ECS would; can be repeated")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON document on standard output")] = False,
) -> None:
    from planner.packing import ProblemError, StrategyError, parse_strategy, tables
    from planner.packing import place as replay
    from planner.packing.constraints import ConstraintError
    from planner.packing.fleet_facts import with_daemons

    if order not in {"given", "random"}:
        raise terminal.BadInput('--order is "given" or "random".')
    try:
        rules = parse_strategy(strategy)
        wanted, daemons = tables.read_services(read_text(tasks), tasks.name)
        lines = with_daemons(tables.read_fleet(read_text(fleet), fleet.name), daemons)
        stops = _scale_in(scale_in or [], {task.service for task in wanted})
        with terminal.progress(f"Placing {sum(task.count for task in wanted):,} tasks"):
            result = replay(wanted, lines, rules, "random" if order == "random" else "given", seed, scale_in=stops)
    except (StrategyError, tables.TableError, ConstraintError, ProblemError) as error:
        raise terminal.BadInput(f"{str(error).rstrip('.')}.") from None
    told = _told_apart(wanted, stops, result)
    if as_json:
        document = placement_document(result)
        terminal.print_json({**document, "unplaced": [*document["unplaced"], *told.pop("unplaced")], **told})
    else:
        _show(result)
        _show_told_apart(told)
    if result.unplaced:
        raise typer.Exit(terminal.EXIT_REFUSED)


def _told_apart(wanted: tuple[TaskType, ...], stops: dict[str, int], result: Placement) -> dict[str, Any]:
    """What was asked for and came to nothing: services without tasks, and tasks to stop that do not run."""
    stopped = Counter[str]()
    for stop in result.stopped:
        stopped[stop.service] += stop.count
    short = {s: n - stopped[s] for s, n in stops.items() if n > stopped[s]}
    none = [t.service for t in wanted if t.count == 0]
    return {
        "unplaced": [{"service": s, "count": 0, "reason": "count is 0: there is nothing to place"} for s in none],
        "not_stopped": [
            {"service": s, "count": n, "reason": "no more of its tasks run"} for s, n in short.items()
        ],
    }


def _show_told_apart(told: dict[str, Any]) -> None:
    shown = terminal.console()
    for words, rows in (("Unplaced", told["unplaced"]), ("Not stopped", told["not_stopped"])):
        for row in rows:
            shown.print(f"{words}: {row['count']:,} x {row['service']}: {row['reason']}", markup=False)


def _scale_in(wishes: list[str], services: set[str]) -> dict[str, int]:
    stops: dict[str, int] = {}
    for wish in wishes:
        service, _, number = wish.rpartition("=")
        if service not in services or not (number.isascii() and number.isdigit()):
            raise terminal.BadInput(f'--scale-in is SERVICE=N with a service of the table, not "{wish[:60]}".')
        stops[service] = stops.get(service, 0) + int(number)
    return stops


def read_text(path: Path) -> str:
    """A table's text, or one sentence about why the file cannot be read."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise terminal.BadInput(f"{path} is not UTF-8 text: save the table as CSV in UTF-8.") from None
    except OSError as error:
        raise terminal.BadInput(f"{path} cannot be read: {error.strerror or error}.") from None


def placement_document(result: Placement) -> dict[str, Any]:
    return {
        "placed": result.placed,
        "empty_instances": result.empty_instances,
        "overloaded_instances": result.overloaded_instances,
        "stopped": [
            {"service": s.service, "instance_id": s.instance_id, "count": s.count} for s in result.stopped
        ],
        "instances": [
            {
                "instance_id": instance.instance_id,
                "instance_type": instance.instance_type,
                "zone": instance.zone,
                "count": 1,
                "tasks": dict(instance.tasks),
                "remaining": {
                    "cpu_units": instance.remaining.cpu_units,
                    "memory_mib": instance.remaining.memory_mib,
                    "task_enis": instance.remaining.enis,
                    "gpus": instance.remaining.gpus,
                    "disk_gib": instance.remaining.disk_gib,
                    "network_mbps": instance.remaining.network_mbps,
                },
            }
            for instance in result.instances
        ],
        "unplaced": [{"service": u.service, "count": u.count, "reason": u.reason} for u in result.unplaced],
    }


def _show(result: Placement) -> None:
    from rich.table import Table
    from rich.text import Text

    from planner.packing.replay import grouped

    table = Table("Instance type", "Zone", "Instances", "CPU units left", "MiB left", "Tasks")
    for instance, count in grouped(result):
        held = ", ".join(f"{n} x {service}" for service, n in sorted(instance.tasks.items())) or "none"
        table.add_row(
            Text(instance.instance_type),
            Text(instance.zone),
            f"{count:,}",
            f"{instance.remaining.cpu_units:,}",
            f"{instance.remaining.memory_mib:,}",
            Text(held),
        )
    shown = terminal.console()
    shown.print(table)
    shown.print(f"{result.placed:,} tasks placed; {result.empty_instances:,} instances empty.")
    if result.overloaded_instances:
        shown.print(
            f"{result.overloaded_instances:,} instances have more disk or network given away than they have: "
            "the ECS scheduler looks at neither."
        )
    for stop in result.stopped:
        shown.print(f"Scale-in stops {stop.count:,} x {stop.service} on {stop.instance_id}", markup=False)
    for u in result.unplaced:
        shown.print(f"Unplaced: {u.count:,} x {u.service}: {u.reason}", markup=False)
