"""`planner metrics status`: what the archive holds, by service and day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner import terminal

if TYPE_CHECKING:
    import pandas as pd

    from planner.metrics.coverage import StoreStatus

_SHADES = " ░▒▓█"


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The archive of metrics.", no_args_is_help=True)
    group.command("status")(status)
    group.callback()(lambda: None)
    app.add_typer(group, name="metrics")


def status(
    store: Annotated[str, typer.Option(help="Folder of the archive, or s3://bucket/prefix.")],
    cluster: Annotated[str | None, typer.Option(help="Only this cluster.")] = None,
    metric: Annotated[str, typer.Option(help="The metric whose days are drawn.")] = "CPUUtilization",
    days: Annotated[int, typer.Option(help="How many of the newest days are drawn.")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as JSON.")] = False,
) -> None:
    """Show what the archive holds: by metric, by service and day, with seams and what could not be read."""
    from planner.metrics import MetricStore

    archive = MetricStore(store)
    with terminal.progress(f"Reading {store}"):
        clusters = archive.clusters()
        if not clusters:
            raise terminal.BadInput(f"The store {store!r} is empty: run `planner pull --store {store}` first.")
        chosen = [cluster] if cluster else clusters
        found = [(archive.status(name), archive.coverage(name)) for name in chosen]
    if as_json:
        terminal.print_json({"store": store, "clusters": [_as_json(*one) for one in found]})
        return
    for one, coverage in found:
        _show(one, coverage, metric, days)


def _as_json(status: StoreStatus, coverage: pd.DataFrame) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "cluster": status.cluster,
        "metrics": [asdict(metric) for metric in status.metrics],
        "refusals": [
            {"resource": resource, "metric": metric, "reason": reason}
            for resource, metric, reason in status.refusals
        ],
        "coverage": [
            {
                "resource": str(row.resource),
                "metric": str(row.metric),
                "day": str(row.day),
                "covered": round(float(row.covered), 4),  # type: ignore[arg-type]
                "finest_s": int(row.finest_s),  # type: ignore[arg-type]
                "coarsest_s": int(row.coarsest_s),  # type: ignore[arg-type]
            }
            for row in coverage.itertuples()
        ],
    }


def _show(status: StoreStatus, coverage: pd.DataFrame, metric: str, days: int) -> None:
    from rich.table import Table

    out = terminal.console()
    table = Table(title=f"Cluster {status.cluster}", title_justify="left")
    for heading in ("metric", "resources", "days", "from", "to", "rows", "bytes a row", "periods"):
        table.add_column(heading)
    for one in status.metrics:
        table.add_row(
            _plain(one.metric),
            f"{one.resources:,}",
            str(one.days),
            one.first_day,
            one.last_day,
            f"{one.rows:,}",
            f"{one.size_bytes / max(1, one.rows):.1f}",
            ", ".join(f"{period} s" for period in one.periods_s),
        )
    out.print(table)
    _draw(coverage, metric, days)
    for resource, name, reason in status.refusals:
        out.print(f"Not read: {name} of {resource}: {reason}", markup=False, soft_wrap=True)


def _draw(coverage: pd.DataFrame, metric: str, days: int) -> None:
    """One line a resource, one shade a day: how much of the day is stored."""
    chosen = coverage[coverage["metric"] == metric]
    if chosen.empty:
        return
    out = terminal.console()
    shown = sorted(chosen["day"].unique())[-days:]
    table = chosen.pivot_table(index="resource", columns="day", values="covered", aggfunc="max").reindex(
        columns=shown
    )
    out.print(f"{metric}, {shown[0]} to {shown[-1]} (one column a day, █ is a whole day)", markup=False)
    for resource, row in table.iterrows():
        shades = "".join(_SHADES[round(float(value or 0) * 4)] if value == value else "·" for value in row)
        out.print(f"  {shades}  {resource}", markup=False, no_wrap=True)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
