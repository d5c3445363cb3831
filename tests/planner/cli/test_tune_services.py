"""`planner tune --services`: several demand files, one capacity provider, every refusal one sentence."""

from __future__ import annotations

import json
import re
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
ON = ("--region", "eu-west-2", "--instance-type", "m7i.large")


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    tune.register(made)
    simulate.register(made)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two services of two days; each tracks 50 %."""
    wave = 2 + np.sin(np.arange(2 * 1440) / 1440 * 2 * np.pi)
    for name, load in (("web", wave), ("api", 3 - wave / 2)):
        rows = [f"{(MONDAY + timedelta(minutes=m)).isoformat()},{v:.4f}" for m, v in enumerate(load)]
        (tmp_path / f"{name}.csv").write_text("timestamp,vcpu\n" + "\n".join(rows) + "\n", encoding="utf-8")
    policy = {"task_vcpu": 0.5, "min": 2, "max": 40, "target_tracking": {"metric": "cpu", "target": 50}}
    (tmp_path / "policy.json").write_text(json.dumps(policy), encoding="utf-8")
    return tmp_path


def services(folder: Path, *rows: str, header: str = "service,demand,task_vcpu,task_memory_mib,policy") -> str:
    path = folder / "services.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return str(path)


WEB, API = "web,web.csv,0.5,1024,policy.json", "api,api.csv,0.5,1024,policy.json"


def test_services_share_a_provider_whose_setting_is_told(app: typer.Typer, folder: Path) -> None:
    asked = ["tune", "--services", services(folder, WEB, API), *ON, "--slo", "0.99", "--json"]
    done = CliRunner().invoke(app, asked)
    document: dict[str, Any] = json.loads(done.stdout)
    provider = document["provider"]

    assert done.exit_code == 0
    assert provider["instance_type"] == "m7i.large"
    assert 2 <= provider["min_size"] <= provider["max_size"]
    assert 50 <= provider["target_capacity_percent"] <= 100
    assert provider["usd_per_week"] > 0
    assert {name: s["policy"]["min"] for name, s in document["services"].items()} == {"web": 2, "api": 2}
    assert min(s["attainment"] for s in document["services"].values()) == provider["attainment"] >= 0.99
    assert "no unseen week" in document["reason"]


@pytest.mark.parametrize(
    ("rows", "options", "sentence"),
    [
        ([WEB], (), "--region and --instance-type"),
        ([WEB, WEB], ON, "names web twice (row 3)"),
        (["web,web.csv,half,1024,policy.json"], ON, "row 2: task_vcpu and task_memory_mib must be numbers"),
        (["web,web.csv,1,1024,policy.json"], ON, "tasks of 0.5 vCPU, web has 1"),
        (["web,gone.csv,0.5,1024,policy.json"], ON, "gone.csv"),
        (["web,web.csv,0.5,1024,policy.json"], (*ON, "--task-vcpu", "1"), "leave out DEMAND"),
        ([], ON, "has no services"),
    ],
)
def test_bad_input_is_one_sentence(
    app: typer.Typer, folder: Path, rows: list[str], options: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(terminal.BadInput, match=re.escape(sentence)):
        CliRunner().invoke(app, ["tune", "--services", services(folder, *rows), *options], catch_exceptions=False)


def test_a_missing_column_is_named(app: typer.Typer, folder: Path) -> None:
    path = services(folder, "web,web.csv,0.5", header="service,demand,task_vcpu")
    with pytest.raises(terminal.BadInput, match="lacks the columns task_memory_mib"):
        CliRunner().invoke(app, ["tune", "--services", path, *ON], catch_exceptions=False)


def test_a_task_that_fits_no_instance_is_a_refusal(app: typer.Typer, folder: Path) -> None:
    path = services(folder, "web,web.csv,0.5,900000,policy.json")
    with pytest.raises(terminal.Refusal, match="choose a larger --instance-type"):
        CliRunner().invoke(app, ["tune", "--services", path, *ON], catch_exceptions=False)


def test_without_services_the_demand_file_is_asked_for(app: typer.Typer) -> None:
    with pytest.raises(terminal.BadInput, match="Give a demand file and --task-vcpu"):
        CliRunner().invoke(app, ["tune"], catch_exceptions=False)
