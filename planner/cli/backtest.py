"""`planner backtest`: how forecasts of a series would have done on data they had not seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner import terminal

if TYPE_CHECKING:
    import pandas as pd

    from planner.demand.backtesting import Backtest, Score


def register(app: typer.Typer) -> None:
    app.command("backtest")(run)


def run(
    series: Annotated[
        list[Path], typer.Argument(help="CSV files with the columns timestamp,value, or series,timestamp,value.")
    ],
    horizon: Annotated[str, typer.Option(help="How far each forecast looks, e.g. 24h.")] = "24h",
    step: Annotated[str, typer.Option(help="Length of a step, e.g. 15min.")] = "15min",
    every: Annotated[str, typer.Option(help="Time between two forecasts, e.g. 24h or 1h.")] = "24h",
    origins: Annotated[int, typer.Option(min=1, help="Forecasts a series, the newest last.")] = 7,
    timezone: Annotated[str | None, typer.Option(help="IANA time zone of days and weeks.")] = None,
    holidays: Annotated[str | None, typer.Option(help="Bank holidays, e.g. GB or GB-ENG.")] = None,
    usd_per_unit_hour: Annotated[
        float | None, typer.Option(min=0.0, help="Price of one unit of the series for an hour.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Fit on the past, score on what followed: pinball loss, coverage, cost and missed minutes."""
    loaded = _read(series)
    result = _backtest(loaded, horizon, step, every, origins, timezone, holidays, usd_per_unit_hour)
    if not result.scores:
        reasons = "; ".join(f"{skip.what}: {skip.reason}" for skip in result.skipped)
        raise terminal.Refusal(f"Nothing could be scored ({reasons}): pass a longer history.")
    if as_json:
        terminal.print_json(_document(result))
        return
    _show(result)


def _read(paths: list[Path]) -> dict[str, pd.Series]:
    from planner.demand.notices import UnusableSeries
    from planner.demand.reading import read_many

    loaded: dict[str, pd.Series] = {}
    for path in paths:
        try:
            for name, one in read_many(path).items():
                loaded[name if name not in loaded else f"{path}: {name}"] = one.series
        except UnusableSeries as reason:
            raise terminal.Refusal(f"No back-test of {path.name}: {reason}.") from None
        except ValueError as problem:
            raise terminal.BadInput(f"{problem}.") from None
    return loaded


def _backtest(
    loaded: dict[str, pd.Series],
    horizon: str,
    step: str,
    every: str,
    origins: int,
    timezone: str | None,
    holidays: str | None,
    price: float | None,
) -> Backtest:
    import pandas as pd

    from planner.demand import backtest
    from planner.demand.reading import to_timezone
    from planner.moments import span

    try:
        with terminal.progress("Forecasting from each origin"):
            return backtest(
                loaded,
                horizon=pd.Timedelta(span(horizon, "--horizon")),
                step=pd.Timedelta(span(step, "--step")),
                every=pd.Timedelta(span(every, "--every")),
                origins=origins,
                timezone=to_timezone(timezone),
                holidays=holidays,
                usd_per_unit_hour=price,
            )
    except ValueError as problem:
        raise terminal.BadInput(f"{problem}.") from None


def _document(result: Backtest) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "series": [_score(score) for score in result.scores],
        "pooled": _score(result.pooled) if result.pooled else None,
        "skipped": [asdict(skip) for skip in result.skipped],
        "warnings": [str(notice) for notice in result.warnings],
    }


def _score(score: Score) -> dict[str, Any]:
    from dataclasses import asdict

    record = asdict(score)
    record["pinball_ratio"] = dict(zip(("p50", "p90", "p99"), score.pinball_ratio, strict=True))
    return record


def _show(result: Backtest) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="Pinball loss over that of the daily seasonal naive, coverage, and capacity at p99")
    heads = ("series", "forecasts", "p50", "p90", "p99", "p90 held", "p99 held", "missed min", "capacity", "peak")
    for head in heads:
        table.add_column(head, justify="left" if head == "series" else "right")
    for score in (*result.scores, *([result.pooled] if result.pooled and len(result.scores) > 1 else [])):
        ratios = ["-" if ratio is None else f"{ratio:.2f}" for ratio in score.pinball_ratio]
        money = [
            f"{hours:,.1f} h" if usd is None else f"{usd:,.2f} USD"
            for hours, usd in (
                (score.capacity_hours, score.usd),
                (score.peak_capacity_hours, score.peak_usd),
            )
        ]
        coverage = [f"{score.coverage_p90:.1%}", f"{score.coverage_p99:.1%}"]
        table.add_row(
            escape(score.name), str(score.forecasts), *ratios, *coverage, f"{score.missed_minutes:g}", *money
        )
    Console().print(table)
    for skip in result.skipped:
        terminal.console().print(f"Skipped {skip.what}: {skip.reason}", markup=False)
