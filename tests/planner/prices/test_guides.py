"""The commands in the guides run as they are written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from planner.cli import compare, price, prices
from planner.documents import dump_plan
from tests.conftest import ROOT
from tests.plans import plan

GUIDES = ("prices", "compare")
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    texts = ((ROOT / "docs" / "guide" / f"{name}.md").read_text() for name in GUIDES)
    return [line for text in texts for block in SHELL.findall(text) for line in block.splitlines() if line]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the guides speak of."""
    (tmp_path / "tasks.csv").write_text("service,count,cpu_units,memory_mib,enis\nweb,6,512,1024,1\n")
    hours = "".join(f"web,{hour},{2 + hour % 5}\n" for hour in range(168))
    (tmp_path / "hours_of_week.csv").write_text("service,hour_of_week,tasks\n" + hours)
    (tmp_path / "hours.csv").write_text("usd_per_hour\n3\n5\n4\n")
    (tmp_path / "forecast.csv").write_text("p50,p90,p99\n3,4,5\n")
    dump_plan(plan(), tmp_path / "plan.json")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_guides_have_commands() -> None:
    assert len(commands()) >= 14


@pytest.mark.parametrize("command", commands())
def test_the_command_runs(command: str, folder: Path) -> None:
    app = typer.Typer()
    for verbs in (price, prices, compare):
        verbs.register(app)
    program, *arguments = shlex.split(command)

    result = CliRunner().invoke(app, arguments)

    assert program == "planner"
    assert result.exit_code == 0, result.output or result.exception
    assert result.stdout
