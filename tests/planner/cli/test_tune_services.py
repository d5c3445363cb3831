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
    (tmp_path / "memory.json").write_text(json.dumps(policy | {"task_memory_mib": 1024}), encoding="utf-8")
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
        ([WEB, WEB], ON, 'row 3, column service: "web" is listed twice'),
        (["web,web.csv,half,1024,policy.json"], ON, 'row 2, column task_vcpu: "half" is not a number'),
        (["web,web.csv,1,1024,policy.json"], ON, "tasks of 0.5 vCPU, web has 1"),
        (["web,gone.csv,0.5,1024,policy.json"], ON, "gone.csv"),
        (["web,web.csv,0.5,1024,policy.json"], (*ON, "--task-vcpu", "1"), "leave out DEMAND"),
        ([], ON, "has no services"),
        (["web,web.csv,0.5,0,policy.json"], ON, 'row 2, column task_memory_mib: "0" is not from 1 to'),
        ([WEB], (*ON, "--metric", "disk"), "the metric 'disk' is not known"),
        ([WEB], (*ON, "--metric", "custom:depth"), "No demand file has the column depth"),
        (["web,web.csv,0.5,2048,memory.json"], ON, "tasks of 1024 MiB, web has 2048"),
    ],
)
def test_bad_input_is_one_sentence(
    app: typer.Typer, folder: Path, rows: list[str], options: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(terminal.BadInput, match=re.escape(sentence)):
        CliRunner().invoke(app, ["tune", "--services", services(folder, *rows), *options], catch_exceptions=False)


def test_a_missing_column_is_named(app: typer.Typer, folder: Path) -> None:
    path = services(folder, "web,web.csv,0.5", header="service,demand,task_vcpu")
    with pytest.raises(terminal.BadInput, match=r"services\.csv has no column task_memory_mib: its first row"):
        CliRunner().invoke(app, ["tune", "--services", path, *ON], catch_exceptions=False)


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("service;demand;task_vcpu;task_memory_mib", "separated by semicolons: save it with commas"),
        ("service,demand,task_vcpu,task_memory_mib,polcy", "name it policy or take it out"),
    ],
)
def test_a_heading_that_is_meant_otherwise_is_told(
    app: typer.Typer, folder: Path, header: str, sentence: str
) -> None:
    path = services(folder, WEB, header=header)
    with pytest.raises(terminal.BadInput, match=sentence):
        CliRunner().invoke(app, ["tune", "--services", path, *ON], catch_exceptions=False)


def write(path: Path, **columns: np.ndarray) -> None:
    rows = [
        ",".join([(MONDAY + timedelta(minutes=minute)).isoformat(), *(f"{value:.4f}" for value in values)])
        for minute, values in enumerate(zip(*columns.values(), strict=True))
    ]
    path.write_text("\n".join([",".join(["timestamp", *columns]), *rows]) + "\n", encoding="utf-8")


def answered(app: typer.Typer, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(app, ["tune", *arguments, "--slo", "0.99", "--json"])
    return done.exit_code, json.loads(done.stdout)


def test_each_service_tracks_what_its_own_file_tells_best(app: typer.Typer, folder: Path) -> None:
    """The depth of web's queue tells its bursts ten minutes ahead; api's file has no such column."""
    rng, load = np.random.default_rng(2), np.full(2 * 1440, 2.0)
    for first in rng.integers(60, len(load) - 60, 20):
        load[first : first + 30] += 8
    write(folder / "web.csv", vcpu=load, depth=np.r_[load[10:], np.full(10, 2.0)] * 7)
    path = services(folder, "web,web.csv,0.5,1024,", "api,api.csv,0.5,1024,")
    _, document = answered(
        app, "--services", path, *ON, "--metric", "cpu", "--metric", "custom:depth", "--metrics", "either"
    )
    web, api = document["services"]["web"], document["services"]["api"]

    assert [t["metric"] for t in web["policy"]["target_tracking"]] == ["custom:depth"]
    assert "tracks depth" in web["choice"]["reason"] or "tracking depth saves" in web["choice"]["reason"]
    assert {(t["metric"], t["period_s"]) for t in web["choice"]["tried"]} == {
        ("CPU", 60), ("CPU", 20), ("depth", 60),
    }  # fmt: skip
    assert {t["metric"] for t in api["choice"]["tried"]} == {"CPU"}
    assert {t["period_s"] for t in api["choice"]["tried"]} == {60, 20}


def test_a_minute_also_needs_the_tasks_that_memory_fills(app: typer.Typer, folder: Path) -> None:
    """3 GiB in tasks of 1 GiB need more than the two tasks that 0.4 vCPU keep busy: 3 / 0.8 is four."""
    wave = 0.4 + 0.1 * np.sin(np.arange(2 * 1440) / 1440 * 2 * np.pi)
    write(folder / "web.csv", vcpu=wave, memory_mib=np.full(len(wave), 3_072.0))
    path = services(folder, WEB)
    code, document = answered(app, "--services", path, *ON)

    assert code == 1  # its policy tracks CPU at 50 %: two tasks
    assert document["services"]["web"]["attainment"] == 0
    assert document["services"]["web"]["choice"] is None


def test_a_service_that_no_tracking_holds_runs_on_its_floor_and_is_told(app: typer.Typer, folder: Path) -> None:
    """Every hour two minutes of ten times the load, gone before any task starts."""
    load, rng = np.full(2 * 1440, 2.0), np.random.default_rng(3)
    for hour in range(0, len(load), 60):
        first = hour + int(rng.integers(0, 58))
        load[first : first + 2] = 20
    write(folder / "web.csv", vcpu=load)
    code, document = answered(app, "--services", services(folder, "web,web.csv,0.5,1024,", API), *ON)
    web = document["services"]["web"]

    assert code == 1
    assert web["choice"]["instead"] == f"a floor of {web['policy']['min']} tasks"
    assert web["policy"]["min"] == 50  # 20 / (0.5 x 0.8)
    assert document["reason"].startswith("web: infeasible by target tracking alone")
    assert document["provider"]["attainment"] >= 0.99


def test_a_task_that_fits_no_instance_is_a_refusal(app: typer.Typer, folder: Path) -> None:
    path = services(folder, "web,web.csv,0.5,900000,policy.json")
    with pytest.raises(terminal.Refusal, match="choose a larger --instance-type"):
        CliRunner().invoke(app, ["tune", "--services", path, *ON], catch_exceptions=False)


def test_without_services_the_demand_file_is_asked_for(app: typer.Typer) -> None:
    with pytest.raises(terminal.BadInput, match="Give a demand file and --task-vcpu"):
        CliRunner().invoke(app, ["tune"], catch_exceptions=False)
