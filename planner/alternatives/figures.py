"""Pictures of the comparison: stacked bars a platform, break-even curves, the tornado. No number is computed here
beyond the month's hours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from planner.alternatives.compare import Comparison
from planner.cost import Kind, by_kind
from planner.cost.break_even import BreakEven, FleetBreakEven
from planner.figures import BLUE, GREEN, GREY, ORANGE, PALETTE, PATTERNS, PURPLE, VERMILION, label
from planner.units import usd_per_month

if TYPE_CHECKING:
    import plotly.graph_objects as go

LAYOUT: Final[dict[str, Any]] = {
    "template": "plotly_white",
    "margin": {"l": 215, "r": 20, "t": 30, "b": 45},
    "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#1b2430"},
    "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "traceorder": "normal"},
    "separators": ".,",
}
MONEY_AXIS: Final = {"title": "USD a month", "tickformat": "$,.0f"}
ROW_HEIGHT: Final = 36
DASHES: Final[Sequence[str]] = ("dash", "dot", "dashdot", "longdash")


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
    _totals(figure, names, [usd_per_month(e.usd_per_hour or 0.0) for e in priced])
    figure.update_yaxes(autorange="reversed")
    return figure


def _totals(figure: go.Figure, names: Sequence[str], totals: Sequence[float]) -> None:
    """The sum at the end of each bar, so that a printed page needs no pointer."""
    for name, total in zip(names, totals, strict=True):
        figure.add_annotation(
            x=total, y=name, text=f"${total:,.0f}", showarrow=False, xanchor="left", xshift=4, font={"size": 12}
        )
    figure.update_xaxes(**MONEY_AXIS, range=[0, max(totals, default=1.0) * 1.12])


def break_even_curves(found: Mapping[str, BreakEven]) -> go.Figure:
    """USD a task-hour against how full the instances are: one falling curve an instance type, and Fargate's level
    line for the same tasks. They cross at the break-even utilisation."""
    import plotly.graph_objects as go

    figure = go.Figure(layout={**LAYOUT, "height": 380, "margin": {"l": 70, "r": 20, "t": 30, "b": 45}})
    for index, (name, point) in enumerate(found.items()):
        curve = [row for row in point.curve() if row[0] >= 0.2]
        figure.add_trace(
            go.Scatter(
                name=label(name),
                x=[row[0] for row in curve],
                y=[row[1] for row in curve],
                line={"color": PALETTE[index % len(PALETTE)], "dash": ("solid", *DASHES)[index % 5]},
            )
        )
    levels = sorted({point.fargate_usd_per_task_hour for point in found.values()})
    for level in levels:
        figure.add_hline(y=level, line={"color": GREY, "dash": "dash"}, annotation_text="Fargate")
    figure.update_xaxes(title="task places filled", tickformat=".0%")
    figure.update_yaxes(title="USD a task-hour", tickprefix="$", rangemode="tozero")
    return figure


def fleet_break_even(found: FleetBreakEven) -> go.Figure:
    """The whole fleet's cost a month against how full its instances are, Fargate's level lines for the same tasks,
    the crossings, and where the fleet stands."""
    import plotly.graph_objects as go

    figure = go.Figure(layout={**LAYOUT, "height": 400, "margin": {"l": 75, "r": 20, "t": 30, "b": 50}})
    curve = found.curve(min(0.2, found.filled))
    figure.add_trace(
        go.Scatter(
            name=label(found.name), x=[share for share, _usd in curve],
            y=[usd_per_month(usd) for _share, usd in curve], mode="lines", line={"color": BLUE, "width": 2.5},
            hovertemplate="%{x:.0%} full: $%{y:,.0f} a month<extra></extra>",
        )
    )  # fmt: skip
    first, last = curve[0][0], 1.0
    colours = (ORANGE, GREEN, PURPLE)
    for index, (kind, usd) in enumerate(found.fargate.items()):
        colour, monthly, crossing = colours[index % len(colours)], usd_per_month(usd), found.break_even(kind)
        figure.add_trace(
            go.Scatter(
                name=label(kind), x=[first, last], y=[monthly, monthly], mode="lines",
                line={"color": colour, "dash": DASHES[index % len(DASHES)], "width": 2},
                hovertemplate="$%{y:,.0f} a month<extra>" + label(kind) + "</extra>",
            )
        )  # fmt: skip
        if first <= crossing <= last:
            where = "bottom left" if crossing > 0.8 * last else "bottom right"
            _mark(figure, crossing, monthly, f"even at {crossing:.0%}", colour, "circle", where)
    _mark(
        figure, found.filled, usd_per_month(found.usd_per_hour), f"now {found.filled:.0%}", VERMILION, "star",
        "top right",
    )  # fmt: skip
    figure.update_xaxes(
        title="how full the instances are, on average over time", tickformat=".0%", range=[first, 1.02]
    )
    figure.update_yaxes(title="compute, USD a month", tickformat="$,.0f", rangemode="tozero")
    return figure


def _mark(figure: go.Figure, x: float, y: float, text: str, colour: str, symbol: str, where: str) -> None:
    import plotly.graph_objects as go

    figure.add_trace(
        go.Scatter(
            x=[x], y=[y], mode="markers+text", text=[text], textposition=where, showlegend=False,
            marker={"color": colour, "size": 13, "symbol": symbol}, hoverinfo="skip",
        )
    )  # fmt: skip


def tornado_bars(comparison: Comparison) -> go.Figure:
    """What the cheapest platform saves against its rival with each input at its low and at its high end; left of
    zero the rival is the cheaper one. Inputs that move nothing here are left out."""
    import plotly.graph_objects as go

    bars = [bar for bar in comparison.tornado if usd_per_month(bar.swing_usd_per_hour) >= 1]
    pair = [e.title for e in (comparison.cheapest, comparison.rival) if e is not None]
    figure = go.Figure(layout={**LAYOUT, "height": 120 + ROW_HEIGHT * len(bars)})
    names = [bar.input for bar in bars]
    now = usd_per_month(comparison.advantage_usd_per_hour or 0.0)
    ends = (
        ("low end", BLUE, "/", [(b.low, b.low_advantage_usd_per_hour, b.cheapest_at_low) for b in bars]),
        ("high end", ORANGE, "", [(b.high, b.high_advantage_usd_per_hour, b.cheapest_at_high) for b in bars]),
    )
    for name, colour, pattern, values in ends:
        monthly = [usd_per_month(advantage) for _factor, advantage, _cheapest in values]
        figure.add_trace(
            go.Bar(
                name=name,
                orientation="h",
                y=names,
                x=[usd - now for usd in monthly],
                base=now,
                marker={"color": colour, "pattern": {"shape": pattern, "fgopacity": 0.35}},
                customdata=[
                    (f"x{factor:g}", usd, cheapest.value)
                    for (factor, _a, cheapest), usd in zip(values, monthly, strict=True)
                ],
                hovertemplate="%{y} %{customdata[0]}: $%{customdata[1]:,.0f} a month, %{customdata[2]} is the"
                " cheapest<extra></extra>",
            )
        )
    figure.add_vline(x=now, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.add_vline(x=0, line={"color": VERMILION, "width": 1.5})
    figure.update_layout(barmode="overlay")
    figure.update_xaxes(**{**MONEY_AXIS, "title": f"saving of {' against '.join(pair)}, USD a month"})
    figure.update_yaxes(autorange="reversed")
    return figure
