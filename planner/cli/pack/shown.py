"""The answers of `planner pack`, as JSON values and as text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from planner import terminal

if TYPE_CHECKING:
    from planner.packing import PackedInstances, Packing, PackingProblem


def reports(
    problem: PackingProblem,
    result: Packing,
    again: Callable[[PackingProblem], Packing],
    *,
    explanation: bool,
    ecs: bool,
    alternatives: bool,
    maximum_percent: int,
) -> dict[str, Any]:
    """The parts of the answer that were asked for, as JSON values."""
    from planner.model import Rejection
    from planner.packing import deployment_room, ecs_fleet, explain, near_optimal

    more: dict[str, Any] = {}
    if explanation:
        more["certificate"] = asdict(explain(problem, result, again))
    if ecs and result.instances:
        with terminal.progress("Replaying the ECS scheduler"):
            fits = ecs_fleet(problem, result)
            more["ecs"] = [asdict(fit) for fit in fits]
            more["deployments"] = [
                {**asdict(room), "maximum_percent": maximum_percent}
                for room in deployment_room(problem, fits[0], maximum_percent=maximum_percent)
            ]
    if alternatives and result.instances:
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


def show_reports(more: dict[str, Any]) -> None:
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
            f"Deploying {room['service']} at {room['maximum_percent']} % runs {room['extra_tasks']} more tasks "
            f"and needs {added} more "
            f"instances ({room['usd_per_hour']:,.4f} USD per hour while it lasts).",
            markup=False,
        )
    for found in more.get("alternatives", ()):
        told = found.get("rejected") or (
            f"{found['usd_per_hour']:,.4f} USD per hour, {_compared(found['dearer_by'])}, on "
            + ", ".join(found["types"])
        )
        shown.print(f"Alternative, {found['name']}: {told}", markup=False)


def _compared(dearer_by: float) -> str:
    from planner.units import percent

    return f"{percent(abs(dearer_by)):.2f} % {'cheaper' if dearer_by < 0 else 'dearer'}"


def packing_document(result: Packing) -> dict[str, Any]:
    document: dict[str, Any] = {
        "status": result.status,
        "usd_per_hour": result.usd_per_hour,
        "lower_bound_usd_per_hour": result.lower_bound_usd_per_hour,
        "gap": result.gap,
        "instances": [_line_document(line) for line in result.instances],
        "unplaced": [{"service": u.service, "count": u.count, "reason": u.reason} for u in result.unplaced],
    }
    if result.moves:
        document["moves"] = [asdict(move) for move in result.moves]
        document["moving_usd_per_hour"] = result.moving_usd_per_hour
        document["bill_usd_per_hour"] = result.bill_usd_per_hour
    return document


def _line_document(line: PackedInstances) -> dict[str, Any]:
    document: dict[str, Any] = {
        "instance_type": line.instance_type,
        "zone": line.zone,
        "count": line.count,
        "tasks": dict(line.tasks),
        "standby": dict(line.standby),
        "purchase": line.purchase,
    }
    if line.takes_over:
        document["takes_over"] = {zone: dict(tasks) for zone, tasks in line.takes_over.items()}
    return document


def _cost_and_proof(result: Packing) -> str:
    from planner.units import percent, usd_per_month

    cost = f"{result.usd_per_hour:,.4f} USD per hour ({usd_per_month(result.usd_per_hour):,.0f} a month)."
    return (
        f"{cost} No fleet costs less than {result.lower_bound_usd_per_hour:,.4f}: "
        f"this one is at most {percent(result.gap):.2f} % above the cheapest possible."
    )


def show(problem: PackingProblem, result: Packing) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("Instance type", "Zone", "Bought", "Instances", "USD per hour each")
    for line in result.fleet(problem.catalogue):
        table.add_row(
            Text(line.instance_type), Text(line.zone), line.purchase, f"{line.count:,}", f"{line.usd_per_hour:.4f}"
        )
    shown = terminal.console()
    if result.instances:
        shown.print(table)
        shown.print(_cost_and_proof(result))
    else:
        wanted = any(task.count for task in problem.tasks)
        shown.print(
            "No task could be placed." if wanted else "There is no task to place, so no instance is needed."
        )
    if result.moves:
        kept, started, stopped = (sum(getattr(m, n) for m in result.moves) for n in ("kept", "started", "stopped"))
        shown.print(
            f"To get there {kept:,} instances are kept, {started:,} started and {stopped:,} stopped; once it runs "
            f"the fleet costs {result.bill_usd_per_hour:,.4f} USD per hour."
        )
    for u in result.unplaced:
        shown.print(f"Unplaced: {u.count:,} x {u.service}: {u.reason}", markup=False)
