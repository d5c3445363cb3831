"""The comparison of platforms as a section of the report, and as a page of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from planner import figures
from planner.alternatives import TITLES, Assumptions, Comparison, Evaluation, Platform
from planner.alternatives import figures as drawn
from planner.alternatives.assumptions import MIGRATION_DAYS
from planner.alternatives.words import bill, break_even_sentences, flips, headline, monthly, months

if TYPE_CHECKING:
    import plotly.graph_objects as go


def section(comparison: Comparison) -> dict[str, Any]:
    """What the template shows of a comparison."""
    return {
        "headline": headline(comparison),
        "rows": [_row(comparison, e) for e in comparison.evaluations],
        "pictures": pictures(comparison),
        "flips": flips(comparison),
        "rival": comparison.rival.title if comparison.rival else "",
        "break_even": break_even_sentences(comparison),
        "assumptions": assumptions(comparison.assumed),
    }


def _row(comparison: Comparison, evaluation: Evaluation) -> dict[str, Any]:
    paid_back = comparison.payback_months(evaluation)
    return {
        "title": evaluation.title,
        "refused": [f"{r.what}: {r.reason}" for r in evaluation.refused],
        "missing": [f"{r.what}: {r.reason}" for r in evaluation.missing],
        "total": ("" if evaluation.is_complete else "at least ") + monthly(evaluation),
        "bill": bill(evaluation),
        "staff_hours": f"{evaluation.staff_hours_per_month:g}",
        "migration_days": f"{evaluation.migration_days:g}",
        "payback": "never" if paid_back is None else months(paid_back),
        "is_home": evaluation is comparison.home,
        "notes": evaluation.notes,
        "cannot": evaluation.cannot,
        "re_evaluate": evaluation.re_evaluate,
    }


def assumptions(assumed: Assumptions) -> list[tuple[str, str]]:
    """The parameters that a team sets for itself, with their values."""
    hours = ", ".join(f"{TITLES[p]} {assumed.staff_hours_per_month[p]:g}" for p in Platform)
    days = ", ".join(f"{TITLES[p]} {assumed.migration_days[p]:g}" for p in MIGRATION_DAYS)
    return [
        ("Staff, USD an hour", f"{assumed.staff_usd_per_hour:g}"),
        ("Staff hours a month", hours),
        ("Person-days to get there", days),
        (
            "Instances beyond a packed fleet",
            f"{assumed.headroom:.0%}; none on the plan's own, which were replayed",
        ),
        ("Root volume of an instance, GB", f"{assumed.root_volume_gb:g}"),
        ("Nodes of Kubernetes are chosen by", assumed.kubernetes_packing),
        (
            "Daemon sets on a Kubernetes node",
            f"{assumed.kubernetes_daemons.cpu_units} CPU units, {assumed.kubernetes_daemons.memory_mib} MiB,"
            f" {assumed.kubernetes_daemons.enis} pods",
        ),
        (
            "Own control plane",
            f"{assumed.control_plane_nodes} x {assumed.control_plane_type},"
            f" {assumed.etcd_volume_gb:g} GB for etcd each",
        ),
        ("Tasks kept off Fargate Spot", f"{assumed.fargate_spot_on_demand_share:.0%}"),
    ]


def pictures(comparison: Comparison) -> dict[str, str]:
    """The figures as parts of a page; one that has nothing to show is left out."""
    cheapest = comparison.cheapest
    lead = f", led by {cheapest.title}" if cheapest else ""
    wanted: dict[str, tuple[Callable[[], go.Figure], str]] = {
        "platforms": (
            lambda: drawn.platform_bars(comparison),
            f"Monthly cost of each platform for the same demand, stacked by kind of cost{lead}",
        ),
    }
    if (found := comparison.break_even) is not None:
        wanted["break-even"] = (
            lambda: drawn.fleet_break_even(found),
            "Monthly cost of instances falling with how full they are, and of Fargate for the same tasks. "
            + " ".join(break_even_sentences(comparison)),
        )
    if comparison.tornado:
        wanted["tornado"] = (
            lambda: drawn.tornado_bars(comparison),
            "How far the cheapest platform's saving moves with each input, the largest first: "
            + ", ".join(bar.input for bar in comparison.tornado),
        )
    return {
        name: figures.fragment(draw(), f"figure-{name}", description)
        for name, (draw, description) in wanted.items()
    }
