"""`planner tune`: a policy that simulate accepts, only data before --as-of, exit 1 where it is infeasible."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from planner import terminal
from planner.cli import simulate, tune

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    simulate.register(made)
    tune.register(made)
    return made


def write(path: Path, load: np.ndarray[Any, Any]) -> Path:
    rows = [f"{(MONDAY + timedelta(minutes=m)).isoformat()},{v:.4f}" for m, v in enumerate(load) if v == v]
    path.write_text("timestamp,vcpu\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def daily(days: int) -> np.ndarray[Any, Any]:
    return 10 + 6 * np.sin(np.arange(days * 1440) / 1440 * 2 * np.pi)


def run(app: typer.Typer, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(app, [*arguments, "--json"])
    return done.exit_code, json.loads(done.stdout)


def test_the_chosen_policy_replays_as_promised(app: typer.Typer, tmp_path: Path) -> None:
    demand = write(tmp_path / "demand.csv", daily(3))
    code, chosen = run(app, "tune", str(demand), "--task-vcpu", "0.5", "--slo", "0.999", "--utilisation", "0.8")
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(chosen["policy"]), encoding="utf-8")
    _, outcome = run(app, "simulate", str(demand), "--policy", str(policy))

    assert code == 0
    assert chosen["infeasible"] is False
    assert chosen["cost"]["task_hours_per_week"] > 0
    assert outcome["slo_attainment"] >= 0.999


def test_what_happens_after_as_of_changes_nothing(app: typer.Typer, tmp_path: Path) -> None:
    load = daily(5)
    other = load.copy()
    other[3 * 1440 :] *= 40
    other[4 * 1440 : 4 * 1440 + 99] = np.nan
    options = ["--task-vcpu", "0.5", "--slo", "0.999", "--as-of", "2026-01-08T00:00:00Z", "--metrics", "60s"]
    found = [
        run(app, "tune", str(write(tmp_path / f"{n}.csv", x)), *options)[1] for n, x in enumerate((load, other))
    ]

    assert found[0] == found[1]


def test_infeasible_exits_1_with_the_reason(app: typer.Typer, tmp_path: Path) -> None:
    demand = write(tmp_path / "demand.csv", daily(3))
    code, answer = run(app, "tune", str(demand), "--task-vcpu", "0.5", "--slo", "0.999", "--max", "5")

    assert code == 1
    assert answer["infeasible"] is True
    assert answer["policy"] is None
    assert "more than 5 tasks" in answer["reason"]


def test_people_see_the_frontier_and_the_choice(app: typer.Typer, tmp_path: Path) -> None:
    demand = write(tmp_path / "demand.csv", daily(3))
    done = CliRunner().invoke(app, ["tune", str(demand), "--task-vcpu", "0.5"])

    assert done.exit_code == 0
    assert "cost against attainment" in done.stdout
    assert "task-hours a week" in done.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--task-vcpu", "0"], "--task-vcpu"),
        (["--task-vcpu", "1", "--slo", "1.2"], "--slo"),
        (["--task-vcpu", "1", "--as-of", "soon"], "--as-of"),
        (["--task-vcpu", "1", "--as-of", "2020-01-01"], "No demand before"),
        (["--task-vcpu", "1", "--timezone", "Mars"], "IANA"),
        (["--task-vcpu", "1", "--as-of", "2026-01-05T12:00:00Z"], "2 days"),
        (["--task-vcpu", "1", "--max", "0"], "--max"),
    ],
)
def test_bad_options_are_bad_input(app: typer.Typer, tmp_path: Path, options: list[str], words: str) -> None:
    demand = write(tmp_path / "demand.csv", daily(3))
    done = CliRunner().invoke(app, ["tune", str(demand), *options])

    assert isinstance(done.exception, terminal.BadInput)
    assert words in str(done.exception)


def test_the_capacity_providers_target_and_a_page_come_on_request(app: typer.Typer, tmp_path: Path) -> None:
    demand, page = write(tmp_path / "demand.csv", daily(3)), tmp_path / "page.html"
    options = ("--metrics", "60s", "--tasks-per-instance", "4", "--html", str(page))
    code, chosen = run(app, "tune", str(demand), "--task-vcpu", "1", "--slo", "0.99", *options)

    assert code == 0
    provider = chosen["policy"]["capacity_provider"]
    assert provider["tasks_per_instance"] == 4
    assert provider.get("target_capacity_percent", 100) == chosen["capacity"]["capacity_target_percent"]
    assert page.read_text(encoding="utf-8").count('role="img"') == 2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--metrics", "5s"), "60s, 20s or either"),
        (("--metrics", "60s", "--high-resolution"), "exclude each other"),
        (("--tasks-per-instance", "0"), "from 1 to 10,000"),
        (("--usd-per-task-hour", "-1"), "0 or more"),
        (("--task-memory-mib", "0"), "from 1 to"),
        (("--metric", "memory"), "--task-memory-mib"),
        (("--task-memory-mib", "512"), "without the column memory_mib"),
        (("--metric", "custom:depth"), "needs the column depth"),
        (("--metric", "memory", "--tasks-per-instance", "4"), "not supported yet"),
    ],
)
def test_options_that_cannot_be_are_refused(
    app: typer.Typer, tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    demand = write(tmp_path / "demand.csv", daily(3))
    done = CliRunner().invoke(app, ["tune", str(demand), "--task-vcpu", "1", *options])

    assert isinstance(done.exception, terminal.BadInput)
    assert told in str(done.exception)


def test_requests_of_the_file_are_weighed_against_cpu_and_replayed(app: typer.Typer, tmp_path: Path) -> None:
    demand = write(tmp_path / "demand.csv", daily(3))
    lines = demand.read_text(encoding="utf-8").splitlines()
    rows = [f"{line},{float(line.split(',')[1]) * 300:.0f}" for line in lines[1:]]
    demand.write_text("\n".join([lines[0] + ",requests", *rows]) + "\n", encoding="utf-8")
    options = ("--task-vcpu", "1", "--slo", "0.99", "--metrics", "60s")
    _, weighed = run(app, "tune", str(demand), *options)
    _, chosen = run(app, "tune", str(demand), *options, "--metric", "requests")
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(chosen), encoding="utf-8")
    _, outcome = run(app, "simulate", str(demand), "--policy", str(policy))

    assert [tried["metric"] for tried in weighed["tried"]] == ["CPU", "requests per target"]
    assert chosen["policy"]["target_tracking"][0]["metric"] == "ALBRequestCountPerTarget"
    assert outcome["slo_attainment"] >= 0.99


def test_an_infeasible_verdict_comes_with_what_holds_instead(app: typer.Typer, tmp_path: Path) -> None:
    """Every hour two minutes of ten times the load, at minutes nobody can know."""
    load, rng = np.full(2 * 1440, 2.0), np.random.default_rng(3)
    for hour in range(0, len(load), 60):
        first = hour + int(rng.integers(0, 58))
        load[first : first + 2] = 20
    demand = write(tmp_path / "demand.csv", load)
    code, answer = run(app, "tune", str(demand), "--task-vcpu", "1", "--slo", "0.999", "--metrics", "60s")
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(answer), encoding="utf-8")
    _, outcome = run(app, "simulate", str(demand), "--policy", str(policy))

    assert (code, answer["infeasible"], answer["instead"]) == (1, True, "a floor of 25 tasks")  # 20 vCPU / 0.8
    assert outcome["slo_attainment"] == 1
