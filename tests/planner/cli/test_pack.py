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
HEADING = "service,count,cpu_units,memory_mib\n"
TASKS = HEADING + "web,8,512,1024\n"
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
                "purchase": "on-demand",
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


WIDE_TASKS = (
    "service,count,cpu_units,memory_mib,enis,disk_gib,network_mbps,member_of,spot,daemon\n"
    "web,8,256,512,1,10,50,attribute:tier == front,true,\n"
    "agent,,128,128,0,0,0,,,true\n"
)
WIDE_CATALOGUE = (
    "instance_type,cpu_units,memory_mib,usd_per_hour,task_enis,task_enis_trunked,disk_gib,network_mbps,"
    "spot_usd_per_hour,attributes\n"
    "m5.large,2048,8000,0.1,2,10,100,750,0.03,tier=front\n"
    "m6i.large,2048,8000,0.09,2,10,100,750,0.04,tier=back\n"
)


def test_every_column_and_option_of_the_problem_reaches_the_solver(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(
        "instance_type,zone,count,purchase\nm5.large,a,1,on-demand\n", encoding="utf-8"
    )
    arguments = [
        *files(tmp_path, WIDE_TASKS, WIDE_CATALOGUE), "--json", "--trunking", "--reserved-memory", "256",
        "--spot-share", "0.5", "--running", str(tmp_path / "r.csv"), "--price-of-moving", "1",
    ]  # fmt: skip
    done = RUNNER.invoke(app, arguments)
    document = json.loads(done.stdout)

    # one m5.large has room for all 8 (8 x 256 + 128 for the agent is over 2,048, so 7 fit): two are needed
    assert done.exit_code == 0
    assert {i["instance_type"] for i in document["instances"]} == {"m5.large"}
    assert sum(i["count"] for i in document["instances"]) == 2
    assert [(m["kept"], m["started"]) for m in document["moves"] if m["kept"]] == [(1, 0)]
    assert document["moving_usd_per_hour"] == pytest.approx(1 / 730)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--price-of-moving", "1"], "needs --running"),
        (["--spot-pools", "3"], "need --spot-share"),
        (["--spot-share", "0.5"], "Spot price"),
        (["--spot-share", "0.5", "--ecs"], "Spot price"),
        (["--trunking"], "task_enis_trunked"),
        (["--reserved-memory", "9999"], "less than the 9999 reserved"),
        (["--spare-instances", "1", "--max-types", "1"], ""),
    ],
)
def test_options_that_cannot_be_met_are_told_in_one_sentence(
    tmp_path: Path, options: list[str], sentence: str
) -> None:
    done = RUNNER.invoke(app, [*files(tmp_path), "--json", *options])

    if sentence:
        assert isinstance(done.exception, terminal.BadInput)
        assert sentence in str(done.exception)
    else:
        assert done.exit_code == 0


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [("disk_gib", "9", "no column disk_gib"), ("network_mbps", "9", "no column network_mbps"),
     ("member_of", "attribute:x like y", "column member_of"), ("spot", "perhaps", "column spot")],
)  # fmt: skip
def test_a_need_the_catalogue_says_nothing_of_is_refused(
    tmp_path: Path, column: str, value: str, sentence: str
) -> None:
    tasks = f"service,count,cpu_units,memory_mib,{column}\nweb,1,1,1,{value}\n"
    done = RUNNER.invoke(app, [*files(tmp_path, tasks), "--json"])

    assert isinstance(done.exception, terminal.BadInput)
    assert sentence in str(done.exception)


@pytest.mark.parametrize(
    ("tasks", "said"),
    [("", "There is no task to place"), ("big,2,99999,512\n", "No task could be placed"), ("z,0,1,1\n", "0 x z")],
)
def test_an_empty_fleet_is_told_without_a_proof(tmp_path: Path, tasks: str, said: str) -> None:
    told = RUNNER.invoke(app, [*files(tmp_path, HEADING + tasks), "--explain"]).output

    assert said in told
    assert "above the cheapest possible" not in told
