"""A replay and a choice in pictures, for `--html` and for notebooks.

    from planner.scaling_pictures import choice, replay
    replay(simulate(demand, start, policy), start, policy, utilisation=0.8)

Long replays are drawn in steps of several minutes, each with its highest demand and its fewest running
tasks, so that no violation is lost between two points.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from planner import figures
from planner.figures import BLUE, GREEN, GREY, ORANGE, VERMILION

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from planner.scaling import Infeasible, Outcome, Policy, Tuned
    from planner.scaling.choose import Point

FloatArray = NDArray[np.float64]
SHARES: Final = ("CPU", "memory", "CPU and memory")
"""Metrics whose targets are percents."""
MOST_POINTS: Final = 12_000
"""On one line; a page with more is slow to open."""


@dataclass(frozen=True, slots=True)
class Steps:
    """A replay in steps of `minutes`, shape (steps,)."""

    minutes: int
    moments: list[datetime]
    demand: FloatArray
    running: FloatArray
    desired: FloatArray
    instances: FloatArray | None
    violating: NDArray[np.bool_]

    @classmethod
    def of(cls, outcome: Outcome, start: datetime, most: int = MOST_POINTS) -> Steps:
        seen, total = outcome.trajectory, len(outcome.trajectory.demand_vcpu)
        minutes = max(1, -(-total // most))
        at = np.arange(0, total, minutes)
        instances = seen.instances
        return cls(
            minutes,
            [start + timedelta(minutes=int(m)) for m in at],
            np.fmax.reduceat(seen.demand_vcpu, at),
            np.minimum.reduceat(seen.running, at).astype(np.float64),
            np.maximum.reduceat(seen.desired, at).astype(np.float64),
            None if instances is None else np.maximum.reduceat(instances, at).astype(np.float64),
            np.logical_or.reduceat(seen.violating, at),
        )


def replay(outcome: Outcome, start: datetime, policy: Policy, *, utilisation: float) -> go.Figure:
    """Demand against what the running tasks serve within the objective, tasks, and instances, over time."""
    from plotly.subplots import make_subplots

    steps = Steps.of(outcome, start)
    rows = 2 if steps.instances is None else 3
    figure = make_subplots(rows=rows, cols=1, shared_xaxes=True, vertical_spacing=0.06)
    served = steps.running * policy.task_vcpu * utilisation
    _line(figure, 1, steps, served, f"served within {utilisation:.0%} utilisation", GREEN, dash="dash", step=True)
    _line(figure, 1, steps, steps.demand, "demand", BLUE)
    _violations(figure, steps)
    _line(figure, 2, steps, steps.running, "tasks running", GREEN, step=True)
    _line(figure, 2, steps, steps.desired, "tasks desired", ORANGE, dash="dot", step=True)
    figure.update_yaxes(title_text="vCPU", row=1, col=1)
    figure.update_yaxes(title_text="tasks", row=2, col=1)
    if steps.instances is not None:
        _line(figure, 3, steps, steps.instances, "instances", GREY, step=True)
        figure.update_yaxes(title_text="instances", row=3, col=1)
    figure.update_yaxes(rangemode="tozero")
    note = "UTC" if steps.minutes == 1 else f"UTC; each point is {steps.minutes} minutes at their worst"
    figure.update_xaxes(title_text=note, row=rows, col=1)
    _house_style(figure, 190 * rows + 80)
    return figure


def replay_told(outcome: Outcome) -> str:
    """The picture of a replay in a sentence."""
    worst = outcome.worst_hour
    when = "" if worst is None else f", most of them in the hour from {worst.start:%Y-%m-%d %H:%M} UTC"
    instances = "" if outcome.instance_hours is None else f", {outcome.instance_hours:,.0f} instance-hours"
    return (
        f"{outcome.violating_minutes:,} of {outcome.minutes:,} minutes are beyond the objective "
        f"({outcome.slo_attainment:.3%} within it){when}; {outcome.task_hours:,.0f} task-hours{instances}, "
        f"{outcome.scale_outs:,} scale-outs and {outcome.scale_ins:,} scale-ins"
    )


def choice(found: Tuned | Infeasible, *, slo: float) -> go.Figure:
    """The frontier of cost against attainment, the objective, and the recommended point with its interval."""
    import plotly.graph_objects as go

    from planner.scaling import Tuned

    figure = go.Figure()
    for holds, colour, symbol, name in (
        (False, GREY, "circle-open", "on the frontier, too little room"),
        (True, BLUE, "diamond", "on the frontier, leaves room for a worse week"),
    ):
        points = [point for point in found.frontier if point.holds is holds]
        figure.add_scatter(
            x=[p.task_hours_per_week for p in points], y=[p.attainment for p in points], mode="markers", name=name,
            text=[figures.label(_told(p)) for p in points],
            marker={"color": colour, "symbol": symbol, "size": 9, "line": {"width": 1.5}},
            hovertemplate="%{text}<br>%{x:,.0f} task-hours a week, %{y:.3%}<extra></extra>",
        )  # fmt: skip
    if isinstance(found, Tuned):
        figure.add_trace(_recommended(found))
    figure.add_hline(y=slo, line={"color": VERMILION, "dash": "dash", "width": 1}, annotation_text="objective")
    figure.update_xaxes(title_text="task-hours a week", tickformat=",.0f")
    figure.update_yaxes(
        title_text="minutes within the objective", tickformat=".2%", range=_attainments(found, slo)
    )
    _house_style(figure, 420)
    return figure


def choice_told(found: Tuned | Infeasible) -> str:
    """The picture of a choice in a sentence."""
    from planner.scaling import Tuned

    if not isinstance(found, Tuned):
        return found.reason
    low, high = found.task_hours_interval
    worst, best = found.attainment_interval
    return (
        f"Recommended: {found.task_hours_per_week:,.0f} task-hours a week ({low:,.0f} to {high:,.0f} in eight "
        f"weeks of ten), {found.attainment:.3%} of minutes within the objective ({worst:.3%} to {best:.3%}); "
        f"{found.reason}"
    )


def _recommended(found: Tuned) -> Any:
    import plotly.graph_objects as go

    cost, (low, high) = found.task_hours_per_week, found.task_hours_interval
    reached, (worst, best) = found.attainment, found.attainment_interval
    return go.Scatter(
        x=[cost],
        y=[reached],
        mode="markers",
        name="recommended, with the span of eight weeks of ten",
        marker={"color": VERMILION, "symbol": "star", "size": 18, "line": {"width": 1, "color": "#1b2430"}},
        error_x=_bar(high - cost, cost - low),
        error_y=_bar(best - reached, reached - worst),
        hovertemplate="recommended<br>%{x:,.0f} task-hours a week, %{y:.3%}<extra></extra>",
    )


def _bar(above: float, below: float) -> dict[str, Any]:
    return {
        "type": "data", "symmetric": False, "array": [max(0.0, above)], "arrayminus": [max(0.0, below)],
        "color": VERMILION, "thickness": 1.5,
    }  # fmt: skip


def _attainments(found: Tuned | Infeasible, slo: float) -> list[float]:
    """From somewhat below the objective to just above 100 %, so that the end that matters is legible."""
    reached = [point.attainment for point in found.frontier]
    lowest = min(slo, max(reached, default=slo)) - 4 * max(1 - slo, 0.0005)
    return [max(0.0, lowest), 1 + (1 - lowest) / 20]


def _told(point: Point) -> str:
    floor = "no floor" if point.floor == "none" else f"{point.floor} x {point.margin:g}"
    unit = f"% {point.metric}" if point.metric in SHARES else point.metric
    return f"{point.target:g} {unit} every {point.period_s} s, {floor}"


def _line(
    figure: go.Figure, row: int, steps: Steps, values: FloatArray, name: str, colour: str, *, dash: str = "solid",
    step: bool = False,
) -> None:  # fmt: skip
    figure.add_scatter(
        x=steps.moments, y=values, name=name, mode="lines", connectgaps=False, row=row, col=1,
        line={"color": colour, "width": 1.3, "dash": dash, "shape": "hv" if step else "linear"},
    )  # fmt: skip


def _violations(figure: go.Figure, steps: Steps) -> None:
    at = np.flatnonzero(steps.violating)
    figure.add_scatter(
        x=[steps.moments[i] for i in at], y=steps.demand[at], name="beyond the objective", mode="markers",
        marker={"color": VERMILION, "symbol": "x", "size": 7}, row=1, col=1,
    )  # fmt: skip


def _house_style(figure: go.Figure, height: int) -> None:
    figure.update_layout(
        template="plotly_white", height=height, separators=".,", hovermode="closest",
        margin={"l": 70, "r": 20, "t": 60, "b": 50},
        font={"family": "system-ui, sans-serif", "size": 13, "color": "#1b2430"},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0},
    )  # fmt: skip
