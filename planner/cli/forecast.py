"""`planner forecast`: quantiles of one series or of many, from CSV files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner import terminal

if TYPE_CHECKING:
    import pandas as pd

    from planner.demand import Forecast, Launch, Notice, UnusableSeries


def register(app: typer.Typer) -> None:
    app.command("forecast")(run)


def run(
    series: Annotated[
        list[Path],
        typer.Argument(help="CSV with the columns timestamp,value, or series,timestamp,value for many."),
    ],
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
    quantiles: Annotated[
        str, typer.Option(help="Between 0.1 and 0.999, e.g. 0.5,0.9,0.99,0.999.")
    ] = "0.5,0.9,0.99",
    growth: Annotated[float, typer.Option(help="Demand to add, as a share of it: 0.2 is 20 %.")] = 0.0,
    growth_per_year: Annotated[
        float, typer.Option(help="Growth a year on top, from the start of the forecast: 0.2 is 20 %.")
    ] = 0.0,
    launch: Annotated[
        list[str] | None,
        typer.Option(
            help="Planned change, e.g. 2026-06-01,factor=1.5,add=20,ramp=3d,until=2026-07-01. Repeatable."
        ),
    ] = None,
    deployment: Annotated[
        list[str] | None,
        typer.Option(help="Moment at which a release changed the level for good. Repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Forecast p50, p90 and p99 of a series, or of thousands in one call."""
    from planner.demand.reading import to_timezone
    from planner.moments import moment, span

    try:
        results = _forecasts(
            _read(series),
            horizon=_span(span(horizon, "--horizon")),
            step=_span(span(step, "--step")),
            as_of=None if as_of is None else _stamp(moment(as_of, "--as-of")),
            timezone=to_timezone(timezone),
            holidays=holidays,
            quantiles=_quantiles(quantiles),
            growth=growth,
            growth_per_year=growth_per_year,
            launches=[_launch(text) for text in launch or []],
            deployments=[_stamp(moment(text, "--deployment")) for text in deployment or []],
        )
    except ValueError as problem:
        raise terminal.BadInput(f"{problem}.") from None
    _answer(results, single=len(series) == 1 and len(results) == 1, as_json=as_json)


def _read(paths: list[Path]) -> dict[str, tuple[pd.Series, tuple[Notice, ...]]]:
    """Every series of the files with what reading it told, by name."""
    from planner.demand.notices import UnusableSeries
    from planner.demand.reading import read_many

    found: dict[str, tuple[pd.Series, tuple[Notice, ...]]] = {}
    for path in paths:
        try:
            loaded = read_many(path)
        except UnusableSeries as reason:
            raise terminal.Refusal(f"No forecast for {path.name}: {reason}.") from None
        for name, one in loaded.items():
            found[name if name not in found else f"{path}: {name}"] = (one.series, one.notices)
    return found


def _forecasts(
    loaded: Mapping[str, tuple[pd.Series, tuple[Notice, ...]]], **options: Any
) -> dict[str, Forecast | UnusableSeries]:
    import dataclasses

    from planner.demand import Forecast, forecast_many

    with terminal.progress(f"Forecasting {len(loaded):,} series"):
        made = forecast_many({name: series for name, (series, _) in loaded.items()}, **options)
    return {
        name: dataclasses.replace(one, warnings=(*loaded[name][1], *one.warnings))
        if isinstance(one, Forecast)
        else one
        for name, one in made.items()
    }


def _span(length: Any) -> pd.Timedelta:
    import pandas as pd

    return pd.Timedelta(length)


def _stamp(at: Any) -> pd.Timestamp:
    import pandas as pd

    return pd.Timestamp(at).as_unit("ns")


def _quantiles(text: str) -> tuple[float, ...]:
    try:
        return tuple(sorted({float(part) for part in text.split(",")}))
    except ValueError:
        raise ValueError(f"--quantiles {text!r} are no shares: write them like 0.5,0.9,0.99,0.999") from None


def _launch(text: str) -> Launch:
    """`MOMENT[,factor=F][,add=A][,ramp=SPAN][,until=MOMENT]`."""
    from planner.demand import Launch
    from planner.moments import moment, span

    at, *parts = text.split(",")
    fields: dict[str, Any] = {}
    for part in parts:
        name, _, value = part.partition("=")
        match name.strip():
            case "factor" | "add" as key:
                fields[key] = _number(value, f"--launch {key}")
            case "ramp":
                fields["ramp"] = _span(span(value, "--launch ramp"))
            case "until":
                fields["until"] = _stamp(moment(value, "--launch until"))
            case other:
                raise ValueError(f"--launch has no {other!r}: it takes factor, add, ramp and until")
    if not {"factor", "add"} & set(fields):
        raise ValueError(f"--launch {text!r} changes nothing: add factor=1.5 or add=20")
    return Launch(_stamp(moment(at, "--launch")), **fields)


def _number(text: str, option: str) -> float:
    import math

    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{option} {text!r} is no number from 0 up: write it like 1.5")
    return value


def _answer(results: dict[str, Forecast | UnusableSeries], *, single: bool, as_json: bool) -> None:
    from planner.demand import Forecast

    made = {name: one for name, one in results.items() if isinstance(one, Forecast)}
    refused = {name: str(one) for name, one in results.items() if not isinstance(one, Forecast)}
    if not made:
        name, reason = next(iter(refused.items()))
        more = f", nor for {len(refused) - 1} others" if len(refused) > 1 else ""
        raise terminal.Refusal(f"No forecast for {name}{more}: {reason}.")
    if as_json:
        terminal.print_json(_document(next(iter(made.values()))) if single else _documents(made, refused))
    else:
        for name, one in made.items():
            _show(one, name)
        for name, reason in refused.items():
            terminal.console().print(f"No forecast for {name}: {reason}", markup=False)
    if refused:
        raise typer.Exit(terminal.EXIT_REFUSED)


def _documents(made: Mapping[str, Forecast], refused: Mapping[str, str]) -> dict[str, Any]:
    return {
        "series": [{"series": name, **_document(one)} for name, one in made.items()],
        "refused": [{"series": name, "reason": reason} for name, reason in refused.items()],
    }


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
