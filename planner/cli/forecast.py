"""`planner forecast`: quantiles of one series, from a CSV file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner import terminal

if TYPE_CHECKING:
    from planner.demand import Forecast


def register(app: typer.Typer) -> None:
    app.command("forecast")(run)


def run(
    series: Annotated[Path, typer.Argument(help="CSV with the columns timestamp,value.")],
    horizon: Annotated[str, typer.Option(help="How far ahead, e.g. 24h, 7d, 90d.")],
    step: Annotated[str, typer.Option(help="Length of a step, e.g. 15min, 1min, 1h.")],
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Forecast from this moment; later data are not looked at.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(help="IANA time zone whose days and weeks the load follows.")
    ] = None,
    holidays: Annotated[
        str | None, typer.Option(help="Country or subdivision of bank holidays, e.g. GB or GB-ENG.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Forecast p50, p90 and p99 of a series."""
    result = _forecast(series, horizon, step, as_of, timezone, holidays)
    if as_json:
        terminal.print_json(_document(result))
        return
    _show(result, str(series))


def _forecast(
    path: Path, horizon: str, step: str, as_of: str | None, timezone: str | None, holidays: str | None
) -> Forecast:
    import pandas as pd

    from planner.demand import forecast
    from planner.demand.notices import UnusableSeries
    from planner.demand.reading import read_series, to_timezone
    from planner.moments import moment, span

    try:
        loaded = read_series(path)
        made = forecast(
            loaded.series,
            pd.Timedelta(span(horizon, "--horizon")),
            pd.Timedelta(span(step, "--step")),
            None if as_of is None else pd.Timestamp(moment(as_of, "--as-of")).as_unit("ns"),
            to_timezone(timezone),
            holidays,
        )
    except UnusableSeries as reason:
        raise terminal.Refusal(f"No forecast for {path.name}: {reason}.") from None
    except ValueError as problem:
        raise terminal.BadInput(f"{problem}.") from None
    import dataclasses

    return dataclasses.replace(made, warnings=(*loaded.notices, *made.warnings))


def _document(result: Forecast) -> dict[str, Any]:
    names = [column for column in result.frame.columns if column != "timestamp"]
    rows = zip(result.frame["timestamp"], result.frame[names].to_numpy().tolist(), strict=True)
    return {
        "as_of": _iso(result.as_of),
        "step": _seconds(result.step),
        "forecast": [{"timestamp": _iso(time), **dict(zip(names, values, strict=True))} for time, values in rows],
        "model": result.model,
        "warnings": [str(notice) for notice in result.warnings],
    }


def _iso(time: Any) -> str:
    return str(time.isoformat()).replace("+00:00", "Z")


def _seconds(step: Any) -> str:
    from planner.demand.grid import span_text

    return span_text(step)


def _show(result: Forecast, title: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(f"{title}: {result.model}"))
    for column in result.frame.columns:
        table.add_column(column, justify="left" if column == "timestamp" else "right")
    for row in result.frame.itertuples(index=False):
        table.add_row(_iso(row[0]), *(f"{value:,.4g}" for value in row[1:]))
    Console().print(table)
    for notice in result.warnings:
        terminal.console().print(f"Warning: {notice}", markup=False)
