"""The sandbox in a process of its own: started, found, stepped and stopped by the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from deploy.sandbox import process

DEPLOY = [sys.executable, "-c", "from deploy.cli import main; main()"]


def deploy(*arguments: str, state: Path) -> tuple[int, Any, str]:
    """Run `deploy sandbox ... --json`; (exit code, the JSON answer, standard error)."""
    done = subprocess.run(
        [*DEPLOY, "sandbox", *arguments, "--state", str(state), "--json"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state"
    process.stop(tmp_path / "state")


@pytest.mark.slow
def test_a_sandbox_is_started_used_stepped_and_stopped(state: Path, tmp_path: Path) -> None:
    code, started, _ = deploy("up", "--background", "--seed", "4", state=state)
    assert code == 0
    ecs = boto3.client(
        "ecs", endpoint_url=started["endpoint_url"], region_name=started["region"],
        aws_access_key_id="x", aws_secret_access_key="x",
    )  # fmt: skip
    ecs.create_cluster(clusterName="c")

    assert deploy("up", "--background", state=state)[0] == 1
    code, stepped, _ = deploy("step", "2h", state=state)
    assert (code, stepped["now"]) == (0, "2026-05-13T02:00:00+00:00")
    code, status, _ = deploy("status", state=state)
    assert (status["calls"], status["pid"]) == (1, started["pid"])
    metrics = tmp_path / "m.csv"
    metrics.write_text("timestamp,value\n2026-05-12,1\n", encoding="utf-8")
    code, answer, errors = deploy("load", "--metrics", str(metrics), "--service", "none", state=state)
    assert code == 2
    assert "no service 'none'" in answer["error"]
    assert "Traceback" not in errors
    assert deploy("down", state=state)[:2] == (0, {"stopped": True})
    assert deploy("down", state=state)[0] == 1
    assert process.read_state(state) is None


def test_commands_without_a_sandbox_say_how_to_start_one(state: Path) -> None:
    for arguments in (("status",), ("step", "1m"), ("load", "--sample")):
        code, answer, _ = deploy(*arguments, state=state)
        assert code == 2
        assert "deploy sandbox up --background" in answer["error"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("step", "soon"), "no length of time"),
        (("up", "--start", "noon"), "not a time"),
        (("up", "--port", "99999"), "port"),
        (("up", "--speed", "-1"), "negative"),
        (("load",), "Nothing to load"),
        (("load", "--metrics", "x.csv"), "belong together"),
        (("load", "--metrics", "/does/not/exist.csv", "--service", "web"), "cannot be read"),
    ],
)
def test_bad_input_gets_one_sentence_and_exit_code_2(state: Path, arguments: tuple[str, ...], told: str) -> None:
    code, answer, errors = deploy(*arguments, state=state)

    assert code == 2
    assert told in answer["error"]
    assert "Traceback" not in errors


def test_a_stale_state_file_is_not_taken_for_a_running_sandbox(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    process.write_state(tmp_path, process.State(ended.pid, "http://127.0.0.1:1", "eu-west-2", "now"))

    assert process.read_state(tmp_path) is None
    assert not (tmp_path / process.STATE_FILE).exists()


@pytest.mark.slow
def test_nothing_is_left_behind(tmp_path: Path) -> None:
    # An idle sandbox ends by itself; one that is told to end by a signal removes its state file.
    idle = process.start_in_background(tmp_path / "idle", ["--idle-timeout", "0.5"])
    os.waitpid(idle.pid, 0)
    assert process.read_state(tmp_path / "idle") is None

    killed = process.start_in_background(tmp_path / "killed", [])
    os.kill(killed.pid, signal.SIGTERM)
    os.waitpid(killed.pid, 0)
    assert not (tmp_path / "killed" / process.STATE_FILE).exists()


@pytest.mark.slow
def test_a_port_that_is_taken_is_told_in_one_sentence(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(process.ProcessError, match="did not start"):
            process.start_in_background(tmp_path, ["--port", str(taken.getsockname()[1])])
