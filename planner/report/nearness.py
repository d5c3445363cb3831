"""How near the plan's fleet is to the cheapest possible one, as a section of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from planner import figures
from planner.documents import PlanDocument
from planner.documents.packing import Certificate, NearFleet, PackingProof, StrategyCost

if TYPE_CHECKING:
    import plotly.graph_objects as go

SHOWN_TYPES: Final = 8
"""Types that come nearest to paying; the rest is in plan.json."""
THE_PLAN: Final = "the plan, as it ran"


def section(plan: PlanDocument) -> dict[str, Any] | None:
    """What the template shows; None where the plan carries no certificate."""
    proof = plan.packing
    if proof.certificate is None:
        return None
    found = proof.certificate
    named = list(found.never_worth[:SHOWN_TYPES])
    return {
        "lead": _lead(proof),
        "picture": figures.fragment(
            near_picture(plan),
            "figure-near",
            "USD an hour at the busiest minute of the plan's fleet and of others for the same tasks, beside the"
            " lower bound; the table below has the same figures",
        ),
        "survives": plan.objective.survive_zone_loss and plan.objective.zones > 1,
        "fleets": [_fleet_row(fleet) for fleet in found.near],
        "never": [(n, 1 - n.worth_at_most_usd_per_hour / n.usd_per_hour) for n in named],
        "never_others": len(found.never_worth) - len(named),
        "strategies": _strategies(plan, found),
        "deployments": [d for d in found.deployments if d.extra_instances],
        "deployed_in_room": [d.service for d in found.deployments if not d.extra_instances],
        "orders": _orders(found),
        "ended": _ended(found),
    }


def near_picture(plan: PlanDocument) -> go.Figure:
    """The plan's fleet and others for the same tasks beside the lower bound."""
    return figures.near_bars(fleet_rows(plan), plan.packing.lower_bound_usd_per_hour, _bound_of(plan))


def fleet_rows(plan: PlanDocument) -> pd.DataFrame:
    """The plan's fleet and the others that have a cost: name, kind (plan, packed, other or rebuilt),
    usd_per_hour."""
    found = plan.packing.certificate
    others = [f for f in (found.near if found else ()) if f.usd_per_hour is not None]
    rows = [{"name": THE_PLAN, "kind": "plan", "usd_per_hour": plan.packing.usd_per_hour}] + [
        {"name": _short(f), "kind": _kind(f, first=f is others[0]), "usd_per_hour": f.usd_per_hour} for f in others
    ]
    return pd.DataFrame(rows, columns=["name", "kind", "usd_per_hour"])


def _short(fleet: NearFleet) -> str:
    return f"{fleet.name}, images rebuilt" if fleet.is_hypothetical else fleet.name


def _kind(fleet: NearFleet, *, first: bool) -> str:
    return "packed" if first else "rebuilt" if fleet.is_hypothetical else "other"


def _bound_of(plan: PlanDocument) -> str:
    most = plan.objective.max_instance_types
    return "no fleet of one type costs less" if most == 1 else f"no fleet of at most {most} types costs less"


def _lead(proof: PackingProof) -> str:
    if not proof.lower_bound_usd_per_hour:
        return "Nothing is proved about a cheaper fleet: no lower bound was found."
    if proof.gap < 0.0005:
        return "The fleet of the busiest minute is the cheapest possible."
    return f"At its busiest minute the fleet costs at most {proof.gap:.1%} more than the cheapest possible."


def _fleet_row(fleet: NearFleet) -> dict[str, Any]:
    return {
        "name": f"{fleet.name}, if every image were built for it" if fleet.is_hypothetical else fleet.name,
        "instances": ", ".join(f"{i.count:,} x {i.instance_type}" for i in fleet.instances),
        "usd_per_hour": fleet.usd_per_hour,
        "compared": _compared(fleet.dearer_by),
        "rejected": fleet.rejected,
    }


def _compared(dearer_by: float | None) -> str:
    if dearer_by is None or abs(dearer_by) < 0.0005:
        return "the same"
    return f"{abs(dearer_by):.1%} {'less' if dearer_by < 0 else 'more'}"


def _strategies(plan: PlanDocument, found: Certificate) -> list[dict[str, Any]]:
    own = plan.cost.plan_usd_per_hour
    taken = next((s.usd_per_hour for s in found.strategies if s.rejected is None), own)
    return [
        {
            "strategy": s.strategy,
            "usd_per_hour": s.usd_per_hour,
            "compared": _compared(s.usd_per_hour / taken - 1 if taken else None),
            "why": _why_not(s, taken),
        }
        for s in found.strategies
    ]


def _why_not(found: StrategyCost, taken: float) -> str:
    if found.rejected is None:
        return "chosen"
    return "it costs more" if found.usd_per_hour > taken else found.rejected


def _orders(found: Certificate) -> str:
    where = f"on the {found.instances:,} instances of the busiest minute"
    if found.orders_placed == found.orders_replayed:
        return (
            f"ECS itself succeeds: in all {found.orders_replayed} random orders of arrival that were replayed, its"
            f" scheduler places all {found.tasks:,} tasks {where}."
        )
    return (
        f"In {found.orders_placed} of {found.orders_replayed} random orders of arrival ECS's scheduler places all"
        f" {found.tasks:,} tasks {where}; in the others managed scaling adds an instance for those that wait."
    )


def _ended(found: Certificate) -> str:
    if not found.searches_ended_by_clock:
        return ""
    return (
        f"The time limit ended {found.searches_ended_by_clock} of {found.searches} searches, so planning again may"
        " give another plan; raise solver_seconds to let them end by themselves."
    )
