"""`planner pack` in its fixed form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from planner import terminal
from planner.cli import _register_verbs, app

_register_verbs()
RUNNER = CliRunner()
TASKS = "service,count,cpu_units,memory_mib\nweb,8,512,1024\n"
CATALOGUE = "instance_type,cpu_units,memory_mib,usd_per_hour\nm5.large,2048,4096,0.1\n"


def files(folder: Path, tasks: str = TASKS, catalogue: str = CATALOGUE) -> list[str]:
    (folder / "t.csv").write_text(tasks, encoding="utf-8")
    (folder / "c.csv").write_text(catalogue, encoding="utf-8")
    return ["pack", str(folder / "t.csv"), "--catalogue", str(folder / "c.csv")]


def test_the_document_has_the_fixed_fields(tmp_path: Path) -> None:
    done = RUNNER.invoke(app, [*files(tmp_path), "--json", "--seed", "1", "--time-limit", "5"])
    document = json.loads(done.stdout)

    assert done.exit_code == 0
    assert document == {
        "status": "optimal",
        "usd_per_hour": 0.2,
        "lower_bound_usd_per_hour": 0.2,
        "gap": 0.0,
        "instances": [
            {
                "instance_type": "m5.large",
                "zone": "zone-1",
                "count": 2,
                "tasks": {"web": 4},
                "standby": {},
            }
        ],
        "unplaced": [],
    }


def test_an_unplaced_task_is_named_and_the_exit_code_is_one(tmp_path: Path) -> None:
    done = RUNNER.invoke(app, [*files(tmp_path, TASKS + "huge,1,9999,1\n"), "--json"])

    assert done.exit_code == 1
    assert [u["service"] for u in json.loads(done.stdout)["unplaced"]] == ["huge"]


def test_every_extra_report_comes_with_its_option(tmp_path: Path) -> None:
    arguments = [*files(tmp_path), "--explain", "--ecs", "--alternatives", "--json"]
    document = json.loads(RUNNER.invoke(app, arguments).stdout)

    assert document["certificate"]["task_prices"][0]["service"] == "web"
    assert document["ecs"][0]["premium"] == 0.0
    assert document["deployments"][0]["extra_tasks"] == 8
    assert {a["name"] for a in document["alternatives"]} >= {"cheapest", "one type", "two types"}


@pytest.mark.parametrize(
    ("tasks", "catalogue", "sentence"),
    [
        (TASKS, "instance_type,cpu_units,memory_mib,usd_per_hour\n", "has no rows"),
        (TASKS, CATALOGUE + "m5.large,1,1,1\n", "row 3, column instance_type"),
        (TASKS + "web,1,1,1\n", CATALOGUE, "row 3, column service"),
        (TASKS + "=cmd(),x,1,1\n", CATALOGUE, "row 3, column count"),
        ("service,count,cpu_units,memory_mib,enis\nweb,1,1,1,1\n", CATALOGUE, "no column task_enis"),
    ],
)
def test_bad_tables_are_told_in_one_sentence(tmp_path: Path, tasks: str, catalogue: str, sentence: str) -> None:
    done = RUNNER.invoke(app, [*files(tmp_path, tasks, catalogue), "--json"])

    assert isinstance(done.exception, terminal.BadInput)
    assert sentence in str(done.exception)


def test_a_missing_and_a_binary_file_are_bad_input(tmp_path: Path) -> None:
    arguments = files(tmp_path)
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00\x01")
    binary = RUNNER.invoke(app, arguments)
    (tmp_path / "t.csv").unlink()
    missing = RUNNER.invoke(app, arguments)

    assert isinstance(binary.exception, terminal.BadInput)
    assert isinstance(missing.exception, terminal.BadInput)
