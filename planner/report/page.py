"""The report page. It shows what the plan says; it decides and computes nothing but sums for display."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from planner import figures
from planner.decide import Option, frontier
from planner.documents import PlanDocument, digest
from planner.frames import PlanTables
from planner.model import Rejection
from planner.plan_cost import lines_by_service, plan_lines
from planner.report import nearness
from planner.units import UsdPerHour, gib, usd_per_month, vcpu

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from planner.alternatives import Comparison
    from planner.cost import Reconciliation
    from planner.documents.plan import FleetPlan
    from planner.purchases import Purchases

TEMPLATE_FOLDER = Path(__file__).resolve().parent


def render(
    plan: PlanDocument,
    tables: PlanTables,
    comparison: Comparison | None = None,
    buying: Purchases | None = None,
    billed: Reconciliation | Rejection | None = None,
) -> str:
    """The page as one HTML text that needs no network. Same plan, tables and advice, same bytes."""
    from planner.report.alternatives import section
    from planner.report.buying import sentences

    return _page(
        "page.html.j2",
        plan=plan,
        digest=digest(plan),
        summary=summary(plan),
        pictures=_pictures(plan, tables),
        near=nearness.section(plan),
        packing=plan.packing,
        cleaned=tables.cleaned.to_dict("records"),
        comparison=section(comparison) if comparison else None,
        buying=sentences(buying) if buying else [],
        billed=billed,
        unreadable_bill=isinstance(billed, Rejection),
    )


def render_comparison(comparison: Comparison, title: str, region: str, price_date: str) -> str:
    """The comparison of platforms as a page of its own, offline like the report."""
    from planner.report.alternatives import section

    return _page(
        "comparison_page.html.j2",
        comparison=section(comparison),
        title=title,
        region=region,
        price_date=price_date,
    )


def render_figures(shown: Sequence[tuple[go.Figure, str]], title: str) -> str:
    """Figures below each other as a page, offline like the report, each under its meaning in a sentence."""
    parts = [(told, figures.fragment(figure, f"figure-{n}", told)) for n, (figure, told) in enumerate(shown)]
    return _page("figure_page.html.j2", title=title, shown=parts)


def _page(template: str, **shown: Any) -> str:
    import jinja2
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_FILTERS)
    page: str = environment.get_template(template).render(plotly_js=get_plotlyjs(), **shown)
    return page


def summary(plan: PlanDocument) -> dict[str, Any]:
    """The three lines an architect wants first, in USD a month."""
    today, planned = plan.cost.today_usd_per_hour, plan.cost.plan_usd_per_hour
    return {
        "today": usd_per_month(today),
        "plan": usd_per_month(planned),
        "saving": usd_per_month(today - planned),
        "saving_share": (today - planned) / today if today else 0.0,
        "changes": changes(plan),
    }


def changes(plan: PlanDocument) -> list[str]:
    """What the plan changes, a sentence each."""
    said = [
        f"{line.min_size} to {line.max_size} x {line.instance_type} in {line.capacity_provider}"
        f" ({line.desired_size} at the start{_busiest(line)})"
        for line in plan.fleet
        if not line.exists
    ]
    said += [f"{r.instances} instances of {r.capacity_provider} are drained and given back" for r in plan.retired]
    resized = [s.service for s in plan.services if s.task != s.task_before]
    scaled = [s.service for s in plan.services if s.scaling is not None]
    scheduled = [s.service for s in plan.services if s.scaling is not None and s.scaling.schedules]
    if resized:
        said.append(f"{len(resized)} services get another task size: {figures.first_names(resized, 4)}")
    if scaled:
        said.append(f"{len(scaled)} services get thresholds, {len(scheduled)} of them with a weekly schedule")
    return said


def _busiest(line: FleetPlan) -> str:
    return "" if line.busiest_size is None else f", {line.busiest_size} at the busiest minute"


def _pictures(plan: PlanDocument, tables: PlanTables) -> dict[str, str]:
    worst = _service_to_show(plan)
    drawn: dict[str, tuple[Callable[[], go.Figure], str]] = {
        "cost": (lambda: figures.cost_bars(cost_rows(plan)), "Bars of today's and the plan's monthly cost"),
        "cost-week": (
            lambda: figures.cost_over_week(cost_week_rows(plan)),
            "The plan's cost in each hour of the week, stacked by service with the idle part on its own",
        ),
        "demand": (
            lambda: figures.demand_panels(tables.demand_history, tables.demand_planned),
            "Observed vCPU of every service over the measured days, with the p99 that is planned for",
        ),
        "week": (
            lambda: figures.week_heatmap(tables.week_shape),
            "Each service's demand by hour of the week as a share of its peak",
        ),
        "packing": (
            lambda: figures.packing_map(tables.placed),
            "Share of CPU and memory that each service takes on each instance at the planned peak",
        ),
        "instances": (
            lambda: figures.instances_over_week(tables.instance_hours),
            "Running instances by hour of the week, today and under the plan",
        ),
        "scaling": (
            lambda: figures.scaling_panel(tables.replayed[tables.replayed["service"] == worst], worst),
            f"Demand and task capacity of {worst} under the plan's scaling, minute by minute",
        ),
        "frontier": (
            lambda: figures.frontier(candidate_rows(plan)),
            "Candidates by monthly cost and by the share of minutes within the objective",
        ),
        "coverage": (
            lambda: figures.coverage_map(tables.coverage),
            "Share of each day's minutes that were measured, by service",
        ),
    }
    return {
        name: figures.fragment(draw(), f"figure-{name}", description)
        for name, (draw, description) in drawn.items()
    }


def _service_to_show(plan: PlanDocument) -> str:
    """The service whose scaling is tightest; the picture of it says most."""
    attained = [
        (s.scaling.attainment, s.service) for s in plan.services if s.scaling and s.scaling.attainment is not None
    ]
    if not attained:
        return plan.services[0].service if plan.services else ""
    return min(attained)[1]


def cost_rows(plan: PlanDocument) -> pd.DataFrame:
    """Both sides of the bill: side, item, usd_per_month."""
    rows = [
        {"side": side, "item": line.item, "usd_per_month": usd_per_month(line.usd_per_hour)}
        for side, lines in (("today", plan.cost.today), ("plan", plan.cost.plan))
        for line in lines
    ]
    frame = pd.DataFrame(rows, columns=["side", "item", "usd_per_month"])
    return frame.groupby(["side", "item"], sort=False, as_index=False).sum()


def cost_week_rows(plan: PlanDocument) -> pd.DataFrame:
    """The plan's cost by service and hour of the week: service, hour_of_week, usd; the dearest service first,
    what is nobody's own last."""
    split = lines_by_service(plan_lines(plan), plan.fleet, plan.services)
    sums: dict[str, Any] = {}
    for hourly in split:
        name = hourly.line.service or "(shared)"
        sums[name] = sums.get(name, 0.0) + hourly.usd_by_hour
    ordered = sorted(sums, key=lambda name: (name.startswith("("), -float(sums[name].sum()), name))
    parts = [
        pd.DataFrame({"service": name, "hour_of_week": range(len(sums[name])), "usd": sums[name]})
        for name in ordered
    ]
    return (
        pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["service", "hour_of_week", "usd"])
    )


def candidate_rows(plan: PlanDocument) -> pd.DataFrame:
    """Candidates with a price and a replay: name, usd_per_month, attainment, state (chosen/frontier/other)."""
    known = [c for c in plan.candidates if c.usd_per_hour is not None and c.attainment is not None]
    options = [
        Option(c.name, c.description, None if c.usd_per_hour is None else UsdPerHour(c.usd_per_hour), c.attainment)
        for c in known
        if not c.breaks_a_rule
    ]
    on_frontier = {option.name for option in frontier(options)}
    rows = [
        {
            "name": c.name,
            "usd_per_month": usd_per_month(c.usd_per_hour or 0.0),
            "attainment": c.attainment,
            "state": "chosen" if c.rejected is None else "frontier" if c.name in on_frontier else "other",
        }
        for c in known
    ]
    return pd.DataFrame(rows, columns=["name", "usd_per_month", "attainment", "state"])


def _task_size(size: Any) -> str:
    return f"{vcpu(size.cpu_units):g} vCPU, {gib(size.memory_mib):.3g} GiB"


def _coded(text: str) -> Any:
    """Text with `commands` as code, everything in it escaped."""
    from markupsafe import Markup, escape

    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part) for number, part in enumerate(parts)
    )


_FILTERS: dict[str, Callable[..., Any]] = {
    "monthly": lambda hourly: f"${usd_per_month(hourly):,.0f}",
    "hourly": lambda hourly: f"${hourly:,.2f}",
    "dollars": lambda amount: f"${amount:,.0f}",
    "share": lambda value, digits=1: "not measured" if value is None else f"{value:.{digits}%}",
    "size": _task_size,
    "coded": _coded,
    "spaced": lambda name: re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.removeprefix("ECSService")),
    "number": lambda value: f"{value:,.3g}",
    "instant": lambda moment: moment.strftime("%d %B %Y, %H:%M UTC").lstrip("0"),
}
