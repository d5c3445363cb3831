"""Tables in, plotly figures out; no number is computed here.

Colours are the Okabe-Ito palette, which colour-blind readers can tell apart; a second mark (dash, pattern,
text) always carries the same difference. Names from outside are escaped, because plotly reads a subset of
HTML in its labels.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

if TYPE_CHECKING:
    import plotly.graph_objects as go

BLUE: Final = "#0072B2"
ORANGE: Final = "#E69F00"
GREEN: Final = "#009E73"
VERMILION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"
SKY: Final = "#56B4E9"
YELLOW: Final = "#F0E442"
GREY: Final = "#5f6b7a"
PALETTE: Final = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, YELLOW, "#7f7f7f", "#004c6d", "#8c510a", "#35978f")
PATTERNS: Final = ("", "/", ".", "x", "-", "\\", "|", "+")
LEGEND_COLUMNS: Final = 3
"""Names that stand beside each other on a phone."""
DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def label(name: str) -> str:
    """A name from outside as plotly text: no markup of its own, not longer than a label can be."""
    shown = name if len(name) <= 40 else name[:37] + "..."
    return html.escape(shown, quote=False)


def _figure(height: int, **layout: Any) -> go.Figure:
    import plotly.graph_objects as go

    settings: dict[str, Any] = {
        "template": "plotly_white",
        "height": height,
        "margin": {"l": 60, "r": 20, "t": 30, "b": 45},
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#1b2430"},
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        "hoverlabel": {"namelength": -1},
        "separators": ".,",
    }
    return go.Figure(layout={**settings, **layout})


def cost_bars(lines: pd.DataFrame) -> go.Figure:
    """Two stacked bars, today and the plan. `lines`: side, item, usd_per_month."""
    import plotly.graph_objects as go

    figure = _figure(360, barmode="stack", xaxis={"title": "USD a month", "tickprefix": "$", "tickformat": ",.0f"})
    for index, item in enumerate(lines["item"].drop_duplicates()):
        rows = lines[lines["item"] == item]
        figure.add_trace(
            go.Bar(
                name=label(item),
                y=rows["side"],
                x=rows["usd_per_month"],
                orientation="h",
                marker={
                    "color": PALETTE[index % len(PALETTE)],
                    "pattern": {"shape": PATTERNS[index % len(PATTERNS)], "fgopacity": 0.35},
                },
                hovertemplate="%{y}: $%{x:,.0f} a month<extra>" + label(item) + "</extra>",
            )
        )
    figure.update_yaxes(autorange="reversed")
    return figure


def cost_over_week(hours: pd.DataFrame) -> go.Figure:
    """USD by hour of the week, stacked by service. `hours`: service, hour_of_week, usd."""
    import plotly.graph_objects as go

    figure = _figure(340, yaxis={"title": "USD an hour", "tickformat": "$,.2f", "rangemode": "tozero"})
    figure.update_layout(legend_traceorder="normal")
    for index, service in enumerate(hours["service"].drop_duplicates()):
        rows = hours[hours["service"] == service]
        colour = GREY if service.startswith("(") else PALETTE[index % len(PALETTE)]
        figure.add_trace(
            go.Scatter(
                x=rows["hour_of_week"], y=rows["usd"], name=label(service), mode="lines", stackgroup="cost",
                line={"shape": "hv", "width": 0.5, "color": colour},
                fillpattern={"shape": PATTERNS[index % len(PATTERNS)], "fgopacity": 0.35},
                hovertemplate="hour %{x} of the week: $%{y:,.3f}<extra>" + label(service) + "</extra>",
            )
        )  # fmt: skip
    figure.update_xaxes(tickvals=[24 * day + 12 for day in range(7)], ticktext=list(DAYS), range=[0, 167])
    return figure


def demand_panels(history: pd.DataFrame, quantiles: pd.DataFrame) -> go.Figure:
    """One small panel a service: observed vCPU with the p99 that the plan uses.

    `history`: service, timestamp, vcpu. `quantiles`: service, timestamp, p99_vcpu.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    services = list(history["service"].drop_duplicates())
    columns = 2
    rows = max(1, -(-len(services) // columns))
    figure = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=[label(s) for s in services],
        vertical_spacing=min(0.08, 0.5 / rows),
        shared_xaxes=True,
    )
    for index, service in enumerate(services):
        where = {"row": index // columns + 1, "col": index % columns + 1}
        seen = history[history["service"] == service]
        planned = quantiles[quantiles["service"] == service]
        figure.add_trace(
            go.Scatter(
                x=seen["timestamp"], y=seen["vcpu"], name="observed", mode="lines",
                line={"color": BLUE, "width": 1}, legendgroup="observed", showlegend=index == 0,
                connectgaps=False,
            ),
            **where,
        )  # fmt: skip
        figure.add_trace(
            go.Scatter(
                x=planned["timestamp"], y=planned["p99_vcpu"], name="planned for (p99)", mode="lines",
                line={"color": VERMILION, "width": 1.4, "dash": "dot"}, legendgroup="p99", showlegend=index == 0,
            ),
            **where,
        )  # fmt: skip
    figure.update_yaxes(rangemode="tozero")
    base = _figure(max(260, 165 * rows)).layout
    figure.update_layout(
        template="plotly_white", height=base.height, font=base.font, margin=base.margin, separators=".,",
        legend={"orientation": "h", "yanchor": "bottom", "y": 1 + 0.3 / rows, "x": 0},
    )  # fmt: skip
    figure.update_annotations(font_size=12)
    return figure


def week_heatmap(by_hour: pd.DataFrame) -> go.Figure:
    """Services against the hours of the week. `by_hour`: service, hour_of_week, share_of_peak (0-1)."""
    import plotly.graph_objects as go

    table = by_hour.pivot_table(index="service", columns="hour_of_week", values="share_of_peak", sort=False)
    figure = _figure(max(220, 28 * len(table) + 90))
    figure.add_trace(
        go.Heatmap(
            z=table.to_numpy(),
            x=[int(hour) for hour in table.columns],
            y=[label(str(name)) for name in table.index],
            colorscale="Cividis",
            zmin=0,
            zmax=1,
            colorbar={"title": "of peak", "tickformat": ".0%"},
            hovertemplate="%{y}<br>hour %{x} of the week: %{z:.0%} of its peak<extra></extra>",
        )
    )
    figure.update_xaxes(tickvals=[24 * day + 12 for day in range(7)], ticktext=list(DAYS))
    figure.update_yaxes(autorange="reversed")
    return figure


def packing_map(placed: pd.DataFrame) -> go.Figure:
    """What stands on each instance at the planned peak: one bar an instance, CPU left and memory right.

    `placed`: instance (label), service, tasks, cpu_share, memory_share (of the instance's room, 0-1).
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    instances = list(placed["instance"].drop_duplicates())
    figure = make_subplots(
        cols=2, rows=1, shared_yaxes=True, subplot_titles=("CPU", "Memory"), horizontal_spacing=0.07
    )
    for index, service in enumerate(placed["service"].drop_duplicates()):
        rows = placed[placed["service"] == service]
        for column, share in ((1, "cpu_share"), (2, "memory_share")):
            figure.add_trace(
                go.Bar(
                    y=[label(name) for name in rows["instance"]], x=rows[share], orientation="h",
                    name=label(service), legendgroup=service, showlegend=column == 1,
                    customdata=rows["tasks"],
                    marker={
                        "color": PALETTE[index % len(PALETTE)],
                        "pattern": {"shape": PATTERNS[index % len(PATTERNS)], "fgopacity": 0.35},
                        "line": {"color": "white", "width": 0.5},
                    },
                    hovertemplate="%{customdata} task(s), %{x:.0%} of it<extra>" + label(service) + "</extra>",
                ),
                row=1, col=column,
            )  # fmt: skip
    services = placed["service"].nunique()
    base = _figure(max(240, 26 * len(instances) + 140)).layout
    figure.update_layout(
        barmode="stack", template="plotly_white", height=base.height, font=base.font, separators=".,",
        margin={"l": 10, "r": 20, "t": 60, "b": 50 + 20 * -(-services // LEGEND_COLUMNS)},
        legend={"orientation": "h", "xref": "container", "x": 0, "yref": "container", "y": 0, "yanchor": "bottom"},
    )  # fmt: skip
    figure.update_xaxes(range=[0, 1], tickformat=".0%", nticks=3, tickangle=0)
    figure.update_yaxes(
        autorange="reversed", categoryorder="array", categoryarray=[label(i) for i in instances], automargin=True
    )
    return figure


def instances_over_week(hours: pd.DataFrame) -> go.Figure:
    """Running instances by hour of the week. `hours`: side, hour_of_week, instances."""
    import plotly.graph_objects as go

    figure = _figure(300, yaxis={"title": "instances", "rangemode": "tozero"})
    styles = ((GREY, "dash"), (BLUE, "solid"), (ORANGE, "dot"))
    for index, side in enumerate(hours["side"].drop_duplicates()):
        rows = hours[hours["side"] == side]
        colour, dash = styles[index % len(styles)]
        figure.add_trace(
            go.Scatter(
                x=rows["hour_of_week"], y=rows["instances"], name=label(side), mode="lines",
                line={"shape": "hv", "color": colour, "dash": dash, "width": 2},
            )
        )  # fmt: skip
    figure.update_xaxes(tickvals=[24 * day + 12 for day in range(7)], ticktext=list(DAYS), range=[0, 168])
    return figure


def scaling_panel(minutes: pd.DataFrame, service: str) -> go.Figure:
    """One service under the plan's scaling. `minutes`: timestamp, demand_vcpu, capacity_vcpu, violated (bool)."""
    import plotly.graph_objects as go

    figure = _figure(300, yaxis={"title": "vCPU", "rangemode": "tozero"})
    figure.add_trace(
        go.Scatter(
            x=minutes["timestamp"], y=minutes["capacity_vcpu"], name="capacity of running tasks", mode="lines",
            line={"shape": "hv", "color": GREEN, "width": 1.5, "dash": "dash"},
        )
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=minutes["timestamp"], y=minutes["demand_vcpu"], name="demand", mode="lines",
            line={"color": BLUE, "width": 1},
        )
    )  # fmt: skip
    broken = minutes[minutes["violated"]]
    if len(broken):
        figure.add_trace(
            go.Scatter(
                x=broken["timestamp"], y=broken["demand_vcpu"], name="beyond the objective", mode="markers",
                marker={"color": VERMILION, "symbol": "x", "size": 7},
            )
        )  # fmt: skip
    figure.update_layout(title={"text": label(service), "font": {"size": 14}, "x": 0.01, "y": 0.99})
    return figure


def near_bars(fleets: pd.DataFrame, bound: float, told: str) -> go.Figure:
    """Fleets for the same tasks beside a lower bound, which a line shows and `told` explains.

    `fleets`: name, kind (plan, packed, other, rebuilt), usd_per_hour.
    """
    import plotly.graph_objects as go

    styles = {"plan": (VERMILION, ""), "packed": (BLUE, "/"), "other": (SKY, ""), "rebuilt": (YELLOW, "x")}
    names = [label(name) for name in fleets["name"]]
    figure = _figure(max(200, 34 * len(names) + 100), showlegend=False)
    figure.add_trace(
        go.Bar(
            y=names, x=fleets["usd_per_hour"], orientation="h",
            marker={
                "color": [styles[kind][0] for kind in fleets["kind"]],
                "pattern": {"shape": [styles[kind][1] for kind in fleets["kind"]], "fgopacity": 0.35},
            },
            text=[f"${usd:,.2f}" for usd in fleets["usd_per_hour"]], textposition="auto",
            hovertemplate="%{y}: $%{x:,.2f} an hour<extra></extra>",
        )
    )  # fmt: skip
    figure.add_vline(x=bound, line={"color": GREY, "dash": "dash", "width": 2})
    figure.add_annotation(
        x=bound, y=1, yref="paper", yanchor="bottom", xanchor="right", showarrow=False,
        text=f"{told}: ${bound:,.2f}",
    )  # fmt: skip
    figure.update_layout(margin={"l": 10, "r": 20, "t": 30, "b": 45})
    figure.update_xaxes(tickprefix="$", tickformat=",.2f", title="USD an hour", nticks=4, tickangle=0)
    figure.update_yaxes(autorange="reversed", categoryorder="array", categoryarray=names, automargin=True)
    return figure


def frontier(candidates: pd.DataFrame) -> go.Figure:
    """Cost against attainment. `candidates`: name, usd_per_month, attainment, state (chosen/frontier/other)."""
    import plotly.graph_objects as go

    styles = {
        "other": (GREY, "circle-open", 9),
        "frontier": (BLUE, "diamond", 11),
        "chosen": (VERMILION, "star", 18),
    }
    figure = _figure(
        380,
        xaxis={"title": "USD a month", "tickprefix": "$", "tickformat": ",.0f"},
        yaxis={"title": "minutes within the objective", "tickformat": ".2%"},
    )
    for state, (colour, symbol, size) in styles.items():
        rows = candidates[candidates["state"] == state]
        figure.add_trace(
            go.Scatter(
                x=rows["usd_per_month"], y=rows["attainment"], name=state, mode="markers",
                text=[label(name) for name in rows["name"]],
                marker={"color": colour, "symbol": symbol, "size": size, "line": {"width": 1.5}},
                hovertemplate="%{text}<br>$%{x:,.0f} a month, %{y:.3%}<extra></extra>",
            )
        )  # fmt: skip
    return figure


def coverage_map(days: pd.DataFrame) -> go.Figure:
    """How much of each day was measured. `days`: resource, day, share (0-1)."""
    import plotly.graph_objects as go

    table = days.pivot_table(index="resource", columns="day", values="share", sort=False)
    figure = _figure(max(220, 22 * len(table) + 90))
    figure.add_trace(
        go.Heatmap(
            z=table.to_numpy(),
            x=[str(day) for day in table.columns],
            y=[label(str(name)) for name in table.index],
            colorscale=[[0, VERMILION], [0.5, YELLOW], [1, BLUE]],
            zmin=0,
            zmax=1,
            colorbar={"title": "measured", "tickformat": ".0%"},
            hovertemplate="%{y}, %{x}: %{z:.1%} of the minutes<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(type="category")
    figure.update_layout(margin={"l": 170, "r": 20, "t": 30, "b": 45})
    return figure


def fragment(figure: go.Figure, identifier: str, description: str) -> str:
    """The figure as part of a page that carries plotly once, with its meaning in words for those who hear it."""
    body: str = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=identifier,
        config={"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": ["lasso2d", "select2d"]},
    )
    return f'<div role="img" aria-label="{html.escape(description)}">{body}</div>'


def first_names(names: Sequence[str], most: int = 3) -> str:
    """`a, b, c and 4 more`."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
