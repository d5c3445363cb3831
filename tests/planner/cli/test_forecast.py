"""`planner forecast` and `planner backtest`: the fixed JSON form, and one sentence for whatever is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from planner import terminal
from planner.cli import backtest, forecast

app = typer.Typer()
forecast.register(app)
backtest.register(app)
ROWS = [f"2026-03-{day:02d}T{hour:02d}:00:00Z,{10 + hour}" for day in range(1, 15) for hour in range(24)]


def write(folder: Path, rows: list[str], header: str = "timestamp,value") -> str:
    path = folder / "series.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return str(path)


def run(*arguments: str) -> dict[str, object]:
    result = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    document: dict[str, object] = json.loads(result.stdout)
    return document


def error_of(*arguments: str) -> terminal.UserError:
    with pytest.raises(terminal.UserError) as caught:
        CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    return caught.value


def test_the_json_has_the_fixed_form(tmp_path: Path) -> None:
    document = run("forecast", write(tmp_path, ROWS), "--horizon", "24h", "--step", "1h")

    assert set(document) == {"as_of", "step", "forecast", "model", "warnings"}
    assert document["as_of"] == "2026-03-15T00:00:00Z"
    rows = document["forecast"]
    assert isinstance(rows, list)
    assert len(rows) == 24
    assert list(rows[0]) == ["p50", "p90", "p99", "timestamp"]
    # the series repeats 10 + hour every day
    assert [round(row["p50"]) for row in rows] == [10 + hour for hour in range(24)]


def test_shuffled_rows_give_the_same_forecast(tmp_path: Path) -> None:
    options = ("--horizon", "24h", "--step", "1h")
    ordered = run("forecast", write(tmp_path, ROWS), *options)

    reversed_rows = run("forecast", write(tmp_path, ROWS[::-1]), *options)

    assert reversed_rows["forecast"] == ordered["forecast"]
    assert any(str(text).startswith("unsorted:") for text in reversed_rows["warnings"])  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        ([row.replace("Z,", "+01:00,") if i % 2 else row for i, row in enumerate(ROWS)], "mixed-time-zones"),
        ([*ROWS, "2026-03-15T00:00:00Z,soon"], "unreadable-values"),
        ([*ROWS, "some day,5"], "unreadable-timestamps"),
        ([*ROWS, "9999-01-01T00:00:00Z,5"], "unreadable-timestamps"),
        ([*ROWS, "2026-03-15T00:00:00Z,inf"], "infinite-values"),
        (ROWS[:1], "short-history"),
    ],
)
def test_odd_rows_are_told_by_name(tmp_path: Path, rows: list[str], name: str) -> None:
    document = run("forecast", write(tmp_path, rows), "--horizon", "24h", "--step", "1h")

    assert name in [str(text).split(":")[0] for text in document["warnings"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "sentence", "code"),
    [
        (("--horizon", "5min", "--step", "1h"), "shorter than the step", 2),
        (("--horizon", "soon", "--step", "1h"), "not a length of time", 2),
        (("--horizon", "24h", "--step", "1h", "--as-of", "noon"), "not a moment", 2),
        (("--horizon", "24h", "--step", "1h", "--timezone", "Mars/Base"), "no time zone", 2),
        (("--horizon", "24h", "--step", "1h", "--holidays", "QQ"), "no bank holidays", 2),
        (("--horizon", "24h", "--step", "1h", "--as-of", "1999-01-01"), "no point lies before", 1),
        (("--horizon", "24h", "--step", "1h", "--quantiles", "p50"), "are no shares", 2),
        (("--horizon", "24h", "--step", "1h", "--quantiles", "0.5,0.9999"), "must lie between", 2),
        (("--horizon", "24h", "--step", "1h", "--growth", "-1"), "makes no sense", 2),
        (("--horizon", "24h", "--step", "1h", "--growth-per-year", "nan"), "makes no sense", 2),
        (("--horizon", "24h", "--step", "1h", "--launch", "2026-03-15"), "changes nothing", 2),
        (("--horizon", "24h", "--step", "1h", "--launch", "2026-03-15,factor=-1"), "no number from 0 up", 2),
        (("--horizon", "24h", "--step", "1h", "--launch", "2026-03-15,times=2"), "it takes factor, add", 2),
        (("--horizon", "24h", "--step", "1h", "--launch", "soon,factor=2"), "is not a moment", 2),
        (("--horizon", "24h", "--step", "1h", "--deployment", "once"), "is not a moment", 2),
    ],
)
def test_options_that_make_no_sense_are_refused(
    tmp_path: Path, options: tuple[str, ...], sentence: str, code: int
) -> None:
    error = error_of("forecast", write(tmp_path, ROWS), *options)

    assert sentence in str(error)
    assert error.exit_code == code


def test_growth_launches_and_p999_come_when_asked(tmp_path: Path) -> None:
    path = write(tmp_path, ROWS)
    options = ("--horizon", "24h", "--step", "1h", "--quantiles", "0.5,0.999")
    changes = ("--growth", "0.1", "--launch", "2026-03-15T12:00Z,factor=2,add=1")

    plain, changed = (run("forecast", path, *options, *more)["forecast"] for more in ((), changes))

    assert list(plain[0]) == ["p50", "p99.9", "timestamp"]  # type: ignore[index]
    for hour, (was, now) in enumerate(zip(plain, changed, strict=True)):  # type: ignore[call-overload]
        expected = was["p50"] if hour < 12 else was["p50"] * 2 + 1
        assert now["p50"] == pytest.approx(expected * 1.1)


def test_a_deployment_brings_the_days_before_it_to_its_level(tmp_path: Path) -> None:
    rows = [
        f"2026-03-{day:02d}T{hour:02d}:00:00Z,{((day < 13 and 30) or 10) + hour % 7}"
        for day in range(1, 15)
        for hour in range(24)
    ]
    options = ("--horizon", "24h", "--step", "1h")

    document = run("forecast", write(tmp_path, rows), *options, "--deployment", "2026-03-13")

    assert any(str(text).startswith("deployment-shift: ") for text in document["warnings"])  # type: ignore[attr-defined]


def test_many_series_in_one_file_give_a_forecast_each(tmp_path: Path) -> None:
    rows = [f"{name},{row}" for row in ROWS for name in ("web", "api")]
    path = write(tmp_path, rows, "series,timestamp,value")
    options = ("--horizon", "24h", "--step", "1h")

    document = run("forecast", path, *options)

    alone = run("forecast", write(tmp_path, ROWS), *options)
    assert [one["series"] for one in document["series"]] == ["web", "api"]  # type: ignore[attr-defined]
    assert document["series"][0]["forecast"] == alone["forecast"]  # type: ignore[index]
    assert document["refused"] == []


def test_a_series_without_values_among_others_is_refused_by_name(tmp_path: Path) -> None:
    rows = [f"web,{row}" for row in ROWS] + ["api,2026-03-01T00:00:00Z,"]
    path = write(tmp_path, rows, "series,timestamp,value")

    result = CliRunner().invoke(app, ["forecast", path, "--horizon", "24h", "--step", "1h", "--json"])

    assert result.exit_code == terminal.EXIT_REFUSED
    document = json.loads(result.stdout)
    assert [one["series"] for one in document["series"]] == ["web"]
    assert document["refused"][0]["series"] == "api"


def test_a_missing_file_is_bad_input(tmp_path: Path) -> None:
    error = error_of("forecast", str(tmp_path / "none.csv"), "--horizon", "24h", "--step", "1h")

    assert error.exit_code == terminal.EXIT_BAD_INPUT


def test_a_file_without_values_is_refused(tmp_path: Path) -> None:
    rows = [row.split(",")[0] + "," for row in ROWS]

    error = error_of("forecast", write(tmp_path, rows), "--horizon", "24h", "--step", "1h")

    assert error.exit_code == terminal.EXIT_REFUSED


def test_a_back_test_scores_what_followed(tmp_path: Path) -> None:
    # Every other day is one higher, so yesterday is always one off and p50 can do better than it.
    rows = [f"{row.split(',')[0]},{float(row.split(',')[1]) + int(row[8:10]) % 2}" for row in ROWS]

    document = run(
        "backtest", write(tmp_path, rows), "--step", "1h", "--origins", "3", "--usd-per-unit-hour", "0.04"
    )

    (score,) = document["series"]  # type: ignore[misc]
    assert score["forecasts"] == 3
    assert score["steps"] == 72
    assert score["coverage_p99"] >= 0.9
    assert score["usd"] == pytest.approx(score["capacity_hours"] * 0.04)


def test_many_series_in_one_file_are_scored_each_and_pooled(tmp_path: Path) -> None:
    rows = [f"{name},{row}{extra}" for row in ROWS for name, extra in (("web", ""), ("api", "5"))]
    path = write(tmp_path, rows, "series,timestamp,value")

    document = run("backtest", path, "--step", "1h", "--origins", "2")

    assert [one["name"] for one in document["series"]] == ["api", "web"]  # type: ignore[attr-defined]
    assert document["pooled"]["steps"] == 2 * 2 * 24  # type: ignore[index]


def test_a_series_too_short_to_back_test_is_refused(tmp_path: Path) -> None:
    error = error_of("backtest", write(tmp_path, ROWS[:48]))

    assert error.exit_code == terminal.EXIT_REFUSED
    assert "leave nothing to forecast" in str(error)
