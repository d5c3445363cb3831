"""Playing with a plan in JupyterLab: controls over what may be asked, figures of what follows.

Thresholds depend only on the objective and the growth, so they are worked out once for each; changing
families, zones or the number of instance types replays fleets alone.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any, Final

from planner import figures, pipeline, report
from planner.packing.clock import Clock
from planner.pipeline import Planned, Study, Unplannable
from planner.prices import PriceBook
from planner.proof import Effort
from planner.settings import Settings, parse_settings
from planner.workloads import Workload

WORKLOAD_SETTINGS: Final = (
    "slo", "utilisation", "timezone", "holidays", "growth", "launches", "deployments", "resize_tasks", "min_tasks",
    "keep", "latency_objective_s", "jvm_heaps_mib",
)  # fmt: skip
"""Settings that change what a service needs; the others only change the fleet."""

OBJECTIVES: Final = (0.99, 0.995, 0.999, 0.9995)


class Explorer:
    """Plans of one study, remembered by what was asked; of the proof they have the bound alone, so that nobody
    waits for the rest. A `clock` (e.g. time.monotonic) makes `settings.solver_seconds` a limit."""

    def __init__(self, studied: Study, book: PriceBook, settings: Settings, clock: Clock | None = None) -> None:
        self._effort = Effort(clock=clock, is_whole=False)
        self.studied, self.book, self.settings = studied, book, settings
        self._workloads: dict[str, tuple[Workload, ...] | Unplannable] = {}
        self._plans: dict[str, Planned | Unplannable] = {}

    def plan(self, **changes: Any) -> Planned | Unplannable:
        """The plan under the base settings with `changes`; BadInput for a name or value that is none."""
        settings = parse_settings({**self.settings.model_dump(), **changes})
        key = settings.model_dump_json()
        if key not in self._plans:
            workloads = self._workloads_under(settings)
            self._plans[key] = (
                workloads
                if isinstance(workloads, Unplannable)
                else pipeline.plan_workloads(self.studied, workloads, settings, self.book, effort=self._effort)
            )
        return self._plans[key]

    def _workloads_under(self, settings: Settings) -> tuple[Workload, ...] | Unplannable:
        key = settings.model_dump_json(include=set(WORKLOAD_SETTINGS))
        if key not in self._workloads:
            self._workloads[key] = pipeline.workloads_of(self.studied, settings)
        return self._workloads[key]

    def families(self) -> list[str]:
        """Families that the Region sells, for the control that picks among them."""
        from planner.prices import catalogue

        offers, _ = catalogue(self.book, self.studied.estate.region)
        return sorted({offer.instance_type.partition(".")[0] for offer in offers})


def controls(explorer: Explorer) -> Any:
    """The widgets: objective, growth, families, zones; a picture of cost, packing and demand below them."""
    import ipywidgets as widgets

    base = explorer.settings
    inputs: dict[str, Any] = {
        "utilisation": widgets.FloatSlider(
            value=base.utilisation, min=0.4, max=0.95, step=0.05, description="CPU at most", readout_format=".0%",
            continuous_update=False,
        ),
        "slo": widgets.Dropdown(
            options=[(f"{share:.2%}", share) for share in sorted({*OBJECTIVES, base.slo})], value=base.slo,
            description="of minutes",
        ),
        "growth": widgets.FloatSlider(
            value=base.growth, min=0, max=2, step=0.1, description="Growth", readout_format=".0%",
            continuous_update=False,
        ),
        "max_instance_types": widgets.Dropdown(
            options=[1, 2, 3], value=base.max_instance_types, description="Types",
        ),
        "survive_zone_loss": widgets.Checkbox(
            value=base.survive_zone_loss, description="Survive the loss of a zone",
        ),
        "families": widgets.SelectMultiple(
            options=explorer.families(), value=base.families, rows=6, description="Families",
        ),
    }  # fmt: skip
    shown = widgets.VBox()
    show = _redraw(explorer, inputs, shown)
    for control in inputs.values():
        control.observe(lambda _change: show(), names="value")
    show()
    left = widgets.VBox([inputs[name] for name in ("utilisation", "slo", "growth")])
    right = widgets.VBox([inputs[name] for name in ("max_instance_types", "survive_zone_loss", "families")])
    return widgets.VBox([widgets.HBox([left, right]), shown])


def _redraw(explorer: Explorer, inputs: dict[str, Any], shown: Any) -> Callable[[], None]:
    import ipywidgets as widgets
    import plotly.graph_objects as go

    def show() -> None:
        planned = explorer.plan(**{name: control.value for name, control in inputs.items()})
        told = f"No plan: {planned.reason}" if isinstance(planned, Unplannable) else headline(planned)
        drawn = [] if isinstance(planned, Unplannable) else pictures(planned)
        text = widgets.HTML(f"<p>{html.escape(told)}</p>")
        shown.children = (text, *(go.FigureWidget(figure) for figure in drawn))

    return show


def headline(planned: Planned) -> str:
    """Cost, fleet and proof in two lines."""
    document = planned.document
    fleet = ", ".join(f"{f.min_size} to {f.max_size} x {f.instance_type}" for f in document.fleet)
    told = report.summary(document)
    return f"${told['plan']:,.0f} a month (today ${told['today']:,.0f}) on {fleet}.\n{document.packing.statement}"


def pictures(planned: Planned) -> list[Any]:
    """Cost, packing, the candidates, and demand."""
    return [
        figures.cost_bars(report.cost_rows(planned.document)),
        figures.packing_map(planned.tables.placed),
        figures.frontier(report.candidate_rows(planned.document)),
        figures.demand_panels(planned.tables.demand_history, planned.tables.demand_planned),
    ]
