"""The kernelspec: installed, found, replaced and removed; its command names no path of one machine."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from deploy.cli.kernel import register
from deploy.kernel.credentials import NOWHERE, take_from
from deploy.kernel.install import LOGOS, install


def test_a_kernelspec_is_whole_and_names_no_path(tmp_path: Path) -> None:
    folder = install(prefix=tmp_path)
    spec = json.loads((folder / "kernel.json").read_text())

    assert folder == tmp_path / "share" / "jupyter" / "kernels" / "ecs-deploy"
    assert spec["argv"] == ["python", "-m", "deploy.kernel", "-f", "{connection_file}"]
    assert (spec["display_name"], spec["language"]) == ("ECS deploy", "python")
    assert all((folder / name).stat().st_size > 100 for name in LOGOS)


def test_installing_again_replaces_what_is_there(tmp_path: Path) -> None:
    folder = install(prefix=tmp_path)
    (folder / "stale").write_text("x")

    assert sorted(p.name for p in install(prefix=tmp_path).iterdir()) == sorted(["kernel.json", *LOGOS])


def test_the_command_line_installs_tells_and_removes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli, run = typer.Typer(), CliRunner()
    register(cli)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share" / "jupyter"))
    installed = run.invoke(cli, ["kernel", "install", "--prefix", str(tmp_path), "--json"])
    told = run.invoke(cli, ["kernel", "status", "--json"])

    assert json.loads(installed.stdout) == json.loads(told.stdout)
    assert run.invoke(cli, ["kernel", "uninstall"]).exit_code == 0
    assert not (tmp_path / "share" / "jupyter" / "kernels" / "ecs-deploy").exists()


def test_nothing_that_leads_to_credentials_is_left_in_the_environment() -> None:
    environment = {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_PROFILE": "admin",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://localhost/x",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/token",
        "AWS_REGION": "eu-west-2",
        "PATH": os.environ["PATH"],
    }
    taken = take_from(environment)

    assert environment == {"AWS_REGION": "eu-west-2", "PATH": os.environ["PATH"], **NOWHERE}
    assert taken["AWS_PROFILE"] == "admin"
    assert len(taken) == 5
