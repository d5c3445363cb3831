"""Pictures of the comparison: stacked bars a platform, break-even curves, the tornado. No number is computed here
beyond the month's hours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from planner.alternatives.compare import Comparison
from planner.cost import Kind, by_kind
from planner.cost.break_even import BreakEven
from planner.figures import BLUE, GREY, ORANGE, PALETTE, PATTERNS, label
from planner.units import usd_per_month

if TYPE_CHECKING:
    import plotly.graph_objects as go

LAYOUT: Final[dict[str, Any]] = {
    "template": "plotly_white",
    "margin": {"l": 180, "r": 20, "t": 30, "b": 45},
    "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#1b2430"},
    "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
    "separators": ".,",
}
MONEY_AXIS: Final = {"title": "USD a month", "tickprefix": "$", "tickformat": ",.0f"}
ROW_HEIGHT: Final = 44


def platform_bars(comparison: Comparison) -> go.Figure:
    """One bar a platform that has a cost, stacked by kind of line, the cheapest on top. A platform with a price
    missing is named "at least"."""
    import plotly.graph_objects as go

    priced = [e for e in comparison.evaluations if not e.refused]
    names = [e.title if e.is_complete else f"{e.title} (at least)" for e in priced]
    kinds = [by_kind(e.lines) for e in priced]
    figure = go.Figure(layout={**LAYOUT, "barmode": "stack", "height": 120 + ROW_HEIGHT * len(priced)})
    for index, kind in enumerate(Kind):
        if not any(kind.value in found for found in kinds):
            continue
        figure.add_trace(
            go.Bar(
                name=kind.value,
                y=names,
                x=[usd_per_month(found.get(kind.value, 0.0)) for found in kinds],
                orientation="h",
                marker={
                    "color": PALETTE[index % len(PALETTE)],
                    "pattern": {"shape": PATTERNS[index % len(PATTERNS)], "fgopacity": 0.35},
                },
                hovertemplate="%{y}: $%{x:,.0f} a month<extra>" + kind.value + "</extra>",
            )
        )
    figure.update_xaxes(**MONEY_AXIS)
    figure.update_yaxes(autorange="reversed")
    return figure


def break_even_curves(found: Mapping[str, BreakEven]) -> go.Figure:
    """USD a task-hour against how full the instances are: one falling curve an instance type, and Fargate's level
    line for the same tasks. They cross at the break-even utilisation."""
    import plotly.graph_objects as go

    figure = go.Figure(layout={**LAYOUT, "height": 380, "margin": {"l": 70, "r": 20, "t": 30, "b": 45}})
    dashes: Sequence[str] = ("solid", "dot", "dashdot", "longdash")
    for index, (name, point) in enumerate(found.items()):
        curve = [row for row in point.curve() if row[0] >= 0.2]
        figure.add_trace(
            go.Scatter(
                name=label(name),
                x=[row[0] for row in curve],
                y=[row[1] for row in curve],
                line={"color": PALETTE[index % len(PALETTE)], "dash": dashes[index % len(dashes)]},
            )
        )
    levels = sorted({point.fargate_usd_per_task_hour for point in found.values()})
    for level in levels:
        figure.add_hline(y=level, line={"color": GREY, "dash": "dash"}, annotation_text="Fargate")
    figure.update_xaxes(title="task places filled", tickformat=".0%")
    figure.update_yaxes(title="USD a task-hour", tickprefix="$", rangemode="tozero")
    return figure


def tornado_bars(comparison: Comparison) -> go.Figure:
    """The cheapest platform's advantage over the best other one, with each input at its low and at its high end;
    left of zero another platform is the cheapest."""
    import plotly.graph_objects as go

    bars = comparison.tornado
    figure = go.Figure(layout={**LAYOUT, "barmode": "overlay", "height": 120 + ROW_HEIGHT * len(bars)})
    ends = (
        ("low end", BLUE, [(b.low, b.low_advantage_usd_per_hour, b.cheapest_at_low) for b in bars]),
        ("high end", ORANGE, [(b.high, b.high_advantage_usd_per_hour, b.cheapest_at_high) for b in bars]),
    )
    for name, colour, values in ends:
        figure.add_trace(
            go.Scatter(
                name=name,
                mode="markers",
                y=[bar.input for bar in bars],
                x=[usd_per_month(advantage) for _factor, advantage, _cheapest in values],
                marker={"color": colour, "size": 12, "symbol": "circle" if name == "low end" else "diamond"},
                text=[f"x{factor:g}: {cheapest.value} is the cheapest" for factor, _a, cheapest in values],
                hovertemplate="%{y}, %{text}: $%{x:,.0f} a month<extra></extra>",
            )
        )
    for bar in bars:
        low, high = bar.low_advantage_usd_per_hour, bar.high_advantage_usd_per_hour
        figure.add_shape(
            type="line",
            x0=usd_per_month(low),
            x1=usd_per_month(high),
            y0=bar.input,
            y1=bar.input,
            line={"color": GREY, "width": 4},
            layer="below",
        )
    figure.add_vline(x=0, line={"color": GREY, "width": 1})
    figure.update_xaxes(**{**MONEY_AXIS, "title": "advantage of the cheapest platform, USD a month"})
    figure.update_yaxes(autorange="reversed")
    return figure
