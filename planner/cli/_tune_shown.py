"""What `planner tune` answers, for one service or each of several: the JSON document and its words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from planner import terminal

if TYPE_CHECKING:
    from planner.scaling import Infeasible, Tuned
    from planner.scaling.demand_file import Demand

FRONTIER_SHOWN = 12
FRONTIER_FROM = 0.95
"""Attainment under which a point of the frontier is of no interest on a screen; the JSON has all."""


def document_of(result: Tuned | Infeasible, known: Demand) -> dict[str, Any]:
    import dataclasses

    from planner.scaling import Tuned, print_policy

    document: dict[str, Any] = {
        "infeasible": not isinstance(result, Tuned),
        "reason": result.reason,
        "minutes": len(known.vcpu),
        "candidates": result.candidates,
        "tried": [dataclasses.asdict(tried) for tried in result.tried],
        "frontier": [dataclasses.asdict(point) for point in result.frontier],
        "warnings": list(known.warnings),
        "alternative": _alternative(result.alternative),
    }
    if not isinstance(result, Tuned):
        return (
            document
            | _instead(result)
            | {
                "attainment": result.best_attainment,
                "floor_needed": result.floor_needed,
            }
        )
    return document | {
        "policy": print_policy(result.policy),
        "attainment": result.attainment,
        "attainment_interval": list(result.attainment_interval),
        "cost": {
            "task_hours_per_week": result.task_hours_per_week,
            "task_hours_per_week_interval": list(result.task_hours_interval),
            "usd_per_week": result.usd_per_week,
        },
    }


def _instead(result: Infeasible) -> dict[str, Any]:
    """What holds though target tracking alone does not: 20-second metrics, else the floor, else nothing."""
    from planner.scaling import print_policy
    from planner.units import HOURS_PER_WEEK

    other = result.alternative
    policy = result.fallback if other is None else other.policy
    if policy is None:
        return {"policy": None, "instead": None}
    hours = float(policy.min * HOURS_PER_WEEK) if other is None else other.task_hours_per_week
    interval = [hours, hours] if other is None else list(other.task_hours_interval)
    return {
        "policy": print_policy(policy),
        "instead": f"a floor of {policy.min} tasks" if other is None else "20-second metrics",
        "cost": {
            "task_hours_per_week": hours,
            "task_hours_per_week_interval": interval,
            "usd_per_week": None if other is None else other.usd_per_week,
        },
    }


def _alternative(other: Tuned | None) -> dict[str, Any] | None:
    """The best policy on the other metric resolution."""
    from planner.scaling import print_policy

    if other is None:
        return None
    return {
        "policy": print_policy(other.policy),
        "attainment": other.attainment,
        "task_hours_per_week": other.task_hours_per_week,
        "period_s": other.policy.target_tracking[0].period_s,
    }


def show(document: dict[str, Any], title: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    shown = Console()
    points = document["frontier"]
    table = Table(title=escape(f"{title}: cost against attainment"))
    columns = ("task-hours a week", "attainment", "metric", "target", "scale-in cooldown s", "floor", "holds")
    for column in columns:
        table.add_column(column)
    near = [point for point in points if point["attainment"] >= FRONTIER_FROM] or points
    for point in near[:: -(-len(near) // FRONTIER_SHOWN)]:
        table.add_row(
            f"{point['task_hours_per_week']:,.0f}",
            f"{point['attainment']:.3%}",
            escape(f"{point['metric']}, {point['period_s']} s"),
            f"{point['target']:g}",
            f"{point['scale_in_cooldown_s']:g}",
            f"{point['floor']} x {point['margin']:g}" if point["margin"] else "none",
            "yes" if point["holds"] else "no",
        )
    shown.print(table)
    shown.print(document["reason"], markup=False)
    if document["policy"] is not None:
        shown.print(policy_told(document), markup=False)
    if document.get("capacity"):
        capacity = document["capacity"]
        shown.print(
            f"Instances: {capacity['reason']}; {capacity['instance_hours_per_week']:,.0f} instance-hours a "
            f"week, attainment {capacity['attainment']:.3%}.",
            markup=False,
        )
    for line in others_told(document):
        shown.print(line, markup=False)
    for warning in document["warnings"]:
        terminal.console().print(f"Warning: {warning}", markup=False)


def policy_told(document: dict[str, Any]) -> str:
    """The policy of a document that has one, and what it comes to."""
    policy, cost, instead = document["policy"], document["cost"], document.get("instead")
    lead = "Track" if instead is None else f"What holds instead, on {instead}: track"
    low, high = cost["task_hours_per_week_interval"]
    return (
        f"{lead} {_tracked(policy)}, {policy['min']} to {policy['max']} tasks, "
        f"{len(policy.get('scheduled', []))} scheduled actions; {cost['task_hours_per_week']:,.0f} "
        f"task-hours a week ({low:,.0f} to {high:,.0f})"
        + ("." if instead is not None else f", attainment {document['attainment']:.3%}.")
    )


def others_told(document: dict[str, Any]) -> Iterator[str]:
    """What the metrics and resolutions that were not chosen came to."""
    for tried in document["tried"][1:]:
        hours = tried["task_hours_per_week"]
        came_to = "leaves no room" if hours is None else f"{hours:,.0f} task-hours a week"
        yield f"On {tried['metric']} every {tried['period_s']} seconds: {came_to}."


def _tracked(policy: dict[str, Any]) -> str:
    """What a policy tracks, as a reader says it."""
    from planner.model import FAST_SUFFIX

    told = []
    for tracking in policy["target_tracking"]:
        metric, resolution = tracking["metric"].removesuffix(FAST_SUFFIX), tracking.get("period_s", 60)
        unit = {
            "ECSServiceAverageCPUUtilization": "% CPU",
            "ECSServiceAverageMemoryUtilization": "% memory",
            "ALBRequestCountPerTarget": "requests a minute and target",
        }.get(metric, f"of {metric.removeprefix('custom:')} a task")
        told.append(f"{tracking['target']:g} {unit} every {resolution} s")
    return " and ".join(told)
