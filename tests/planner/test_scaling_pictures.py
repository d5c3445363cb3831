"""Pictures of a replay and of a choice show what the figures say, and nothing that names can smuggle in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from planner import scaling_pictures
from planner.cli import simulate as simulate_verb
from planner.scaling import Policy, Tuned, simulate, tune
from planner.scaling.policies import CapacityProvider, TargetTracking

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def policy(provider: CapacityProvider | None = None) -> Policy:
    return Policy(1, 2, 50, target_tracking=(TargetTracking(50),), capacity_provider=provider)


def jump() -> np.ndarray:
    return np.r_[np.full(30, 1.0), np.full(30, 8.0)]


@pytest.fixture(scope="module")
def daily() -> np.ndarray:
    """A daily wave over a fortnight with small seeded noise."""
    minute = np.arange(14 * 1440)
    noise = np.random.default_rng(7).normal(1, 0.03, len(minute))
    return np.maximum(0.1, (6 + 4 * np.sin(minute / 1440 * 2 * np.pi)) * noise)


@pytest.fixture(scope="module")
def chosen(daily: np.ndarray) -> Tuned:
    found = tune(daily, MONDAY, task_vcpu=1, slo=0.999)
    assert isinstance(found, Tuned)
    return found


def test_a_replay_shows_demand_capacity_tasks_and_every_violation() -> None:
    outcome = simulate(jump(), MONDAY, policy())
    figure = scaling_pictures.replay(outcome, MONDAY, policy(), utilisation=0.8)
    traces = {trace.name: trace for trace in figure.data}

    assert set(traces) == {
        "served within 80% utilisation", "demand", "beyond the objective", "tasks desired", "tasks running",
    }  # fmt: skip
    assert len(traces["beyond the objective"].x) == outcome.violating_minutes > 0
    assert list(traces["tasks running"].y) == outcome.trajectory.running.tolist()
    assert f"{outcome.violating_minutes} of 60 minutes" in scaling_pictures.replay_told(outcome)


def test_instances_have_a_panel_of_their_own_where_there_is_a_capacity_provider() -> None:
    hosted = policy(CapacityProvider(2))
    figure = scaling_pictures.replay(simulate(jump(), MONDAY, hosted), MONDAY, hosted, utilisation=0.8)

    assert [trace.name for trace in figure.data][-1] == "instances"


def test_a_long_replay_is_thinned_without_losing_a_violation() -> None:
    outcome = simulate(jump(), MONDAY, policy())
    steps = scaling_pictures.Steps.of(outcome, MONDAY, most=6)

    assert steps.minutes == 10
    assert steps.moments[1] - steps.moments[0] == timedelta(minutes=10)
    by_ten = outcome.trajectory.violating.reshape(6, 10).any(axis=1)
    assert steps.violating.tolist() == by_ten.tolist()
    assert steps.demand.tolist() == [1, 1, 1, 8, 8, 8]


def test_the_frontier_shows_the_recommended_point_with_its_interval(chosen: Tuned) -> None:
    figure = scaling_pictures.choice(chosen, slo=0.999)
    star = figure.data[-1]

    assert (star.x[0], star.y[0]) == (chosen.task_hours_per_week, chosen.attainment)
    low, high = chosen.task_hours_interval
    assert star.error_x.array[0] == pytest.approx(high - chosen.task_hours_per_week)
    assert star.error_x.arrayminus[0] == pytest.approx(chosen.task_hours_per_week - low)
    drawn = sum(len(trace.x) for trace in figure.data[:-1])
    assert drawn == len(chosen.frontier)


def test_pages_need_no_network_and_names_stay_text(tmp_path: Path) -> None:
    demand, rules, page = tmp_path / "<img src=x>.csv", tmp_path / "p.json", tmp_path / "out" / "page.html"
    rows = [f"{(MONDAY + timedelta(minutes=m)).isoformat()},{v}" for m, v in enumerate(jump())]
    demand.write_text("\n".join(["timestamp,vcpu", *rows]), encoding="utf-8")
    rules.write_text('{"task_vcpu": 1, "min": 2, "max": 9, "target_tracking": {"target": 50}}', encoding="utf-8")
    app = typer.Typer()
    app.callback()(lambda: None)
    simulate_verb.register(app)
    result = CliRunner().invoke(app, ["simulate", str(demand), "--policy", str(rules), "--html", str(page)])

    assert result.exit_code == 0, result.output
    text = page.read_text(encoding="utf-8")
    assert "<img src=x>" not in text
    assert "&lt;img src=x&gt;" in text
    assert 'role="img" aria-label="' in text
    assert "<script src" not in text
