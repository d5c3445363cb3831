"""`planner simulate`: the fixed keys, people's text, and one sentence for bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from planner import terminal
from planner.cli import simulate

KEYS = {
    "minutes",
    "violating_minutes",
    "slo_attainment",
    "task_hours",
    "instance_hours",
    "usd",
    "scale_outs",
    "scale_ins",
    "unserved_vcpu_minutes",
}
POLICY: dict[str, Any] = {"task_vcpu": 1, "min": 2, "max": 20, "target_tracking": {"target": 50}}


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    simulate.register(made)
    made.callback()(lambda: None)
    return made


@pytest.fixture
def demand(tmp_path: Path) -> Path:
    path = tmp_path / "demand.csv"
    rows = [f"2026-01-05T{m // 60:02d}:{m % 60:02d}:00Z,{4 if m >= 30 else 1}" for m in range(120)]
    path.write_text("timestamp,vcpu\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def policy_file(folder: Path, document: Any) -> Path:
    path = folder / "policy.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_json_has_the_fixed_keys(app: typer.Typer, demand: Path, tmp_path: Path) -> None:
    policy = policy_file(tmp_path, POLICY)
    done = CliRunner().invoke(app, ["simulate", str(demand), "--policy", str(policy), "--json"])
    document = json.loads(done.stdout)

    assert done.exit_code == 0
    assert set(document) >= KEYS
    assert (document["minutes"], document["violating_minutes"], document["scale_outs"]) == (120, 7, 1)
    assert document["task_hours"] == pytest.approx((36 * 2 + 84 * 8) / 60)
    assert document["usd"] is None
    assert "no price" in document["usd_reason"]


def test_an_instance_type_prices_the_replay(app: typer.Typer, demand: Path, tmp_path: Path) -> None:
    policy = policy_file(tmp_path, {**POLICY, "capacity_provider": {"tasks_per_instance": 2}})
    options = ["--region", "eu-west-2", "--instance-type", "m7g.large", "--json"]
    done = CliRunner().invoke(app, ["simulate", str(demand), "--policy", str(policy), *options])
    document = json.loads(done.stdout)

    assert document["usd"] > 0
    assert document["instance_hours"] > 2


def test_the_trajectory_is_written_minute_by_minute(app: typer.Typer, demand: Path, tmp_path: Path) -> None:
    policy, out = policy_file(tmp_path, POLICY), tmp_path / "trajectory.csv"
    CliRunner().invoke(app, ["simulate", str(demand), "--policy", str(policy), "--trajectory", str(out)])
    lines = out.read_text(encoding="utf-8").splitlines()

    assert lines[0] == "timestamp,vcpu,tasks,running,instances,violating"
    assert lines[31] == "2026-01-05T00:30:00+00:00,4.0,2.0,2,,1"
    assert len(lines) == 121


def test_drills_are_told(app: typer.Typer, demand: Path, tmp_path: Path) -> None:
    policy = policy_file(tmp_path, POLICY)
    done = CliRunner().invoke(app, ["simulate", str(demand), "--policy", str(policy), "--drills", "--json"])

    assert [d["drill"] for d in json.loads(done.stdout)["drills"]] == [
        "zone-lost",
        "bad-deployment",
        "spot-reclaim",
        "load-doubles",
    ]


def refusal(app: typer.Typer, *arguments: str) -> terminal.UserError:
    done = CliRunner().invoke(app, ["simulate", *arguments])
    assert isinstance(done.exception, terminal.UserError)
    return done.exception


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"min": 30}, "min 30 is above max 20"),
        ({"target_tracking": {"target": 0}}, "target_tracking[0]"),
        ({"colour": 1}, "colour: this key is not known"),
    ],
)
def test_a_bad_policy_is_bad_input(
    app: typer.Typer, demand: Path, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    error = refusal(app, str(demand), "--policy", str(policy_file(tmp_path, {**POLICY, **changes})))

    assert isinstance(error, terminal.BadInput)
    assert words in str(error)


def test_bad_files_and_options_are_bad_input(app: typer.Typer, demand: Path, tmp_path: Path) -> None:
    policy = str(policy_file(tmp_path, POLICY))
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")

    assert "cannot be read" in str(refusal(app, "absent.csv", "--policy", policy))
    assert "not JSON" in str(refusal(app, str(demand), "--policy", str(broken)))
    assert "--utilisation" in str(refusal(app, str(demand), "--policy", policy, "--utilisation", "0"))
    assert "needs --instance-type" in str(refusal(app, str(demand), "--policy", policy, "--region", "eu-west-2"))


def test_importing_the_verb_loads_nothing_heavy() -> None:
    heavy = "('numba', 'numpy', 'pandas')"
    code = f"import planner.cli.simulate, planner.cli.tune, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
