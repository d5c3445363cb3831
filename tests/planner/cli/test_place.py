"""`planner place` in its fixed form."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from planner import terminal
from planner.cli import _register_verbs, app

_register_verbs()
RUNNER = CliRunner()


def arguments(folder: Path, count: int, strategy: str = "spread:az,binpack:memory") -> list[str]:
    (folder / "t.csv").write_text(f"service,count,cpu_units,memory_mib\nweb,{count},512,1024\n", encoding="utf-8")
    (folder / "f.csv").write_text(
        "instance_type,zone,count,cpu_units,memory_mib\nm5.large,a,1,2048,4096\nm5.large,b,1,2048,4096\n",
        encoding="utf-8",
    )
    return ["place", str(folder / "t.csv"), "--fleet", str(folder / "f.csv"), "--strategy", strategy, "--json"]


def test_tasks_are_placed_evenly_and_told_by_instance(tmp_path: Path) -> None:
    done = RUNNER.invoke(app, [*arguments(tmp_path, 6), "--order", "random", "--seed", "0"])
    document = json.loads(done.stdout)

    assert (done.exit_code, document["placed"], document["unplaced"]) == (0, 6, [])
    assert [(i["zone"], i["tasks"]) for i in document["instances"]] == [("a", {"web": 3}), ("b", {"web": 3})]


def test_tasks_without_room_make_the_exit_code_one(tmp_path: Path) -> None:
    done = RUNNER.invoke(app, arguments(tmp_path, 9))

    assert done.exit_code == 1
    assert json.loads(done.stdout)["unplaced"][0]["count"] == 1  # 2 x 4 of 9


def test_an_unknown_strategy_is_bad_input(tmp_path: Path) -> None:
    done = RUNNER.invoke(app, arguments(tmp_path, 1, "tightest"))

    assert isinstance(done.exception, terminal.BadInput)
    assert "binpack, spread or random" in str(done.exception)


def test_scale_in_is_told_by_instance_and_an_unknown_service_is_bad_input(tmp_path: Path) -> None:
    done = RUNNER.invoke(app, [*arguments(tmp_path, 6), "--scale-in", "web=2"])
    wrong = RUNNER.invoke(app, [*arguments(tmp_path, 6), "--scale-in", "ghost=2"])

    assert [s["count"] for s in json.loads(done.stdout)["stopped"]] == [1, 1]  # one in each zone
    assert isinstance(wrong.exception, terminal.BadInput)


def test_a_service_without_tasks_and_tasks_that_cannot_be_stopped_are_named(tmp_path: Path) -> None:
    none = json.loads(RUNNER.invoke(app, arguments(tmp_path, 0)).stdout)
    few = json.loads(RUNNER.invoke(app, [*arguments(tmp_path, 2), "--scale-in", "web=5"]).stdout)

    assert none["unplaced"] == [{"service": "web", "count": 0, "reason": "count is 0: there is nothing to place"}]
    assert few["not_stopped"] == [{"service": "web", "count": 3, "reason": "no more of its tasks run"}]
