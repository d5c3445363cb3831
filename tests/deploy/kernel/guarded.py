"""A process with the write guard in place, in which tests run cells: `python -m tests.deploy.kernel.guarded`.

Reads {"endpoint_url": ..., "cells": {name: source}} from standard input. The guard cannot be taken out again, so
each cell runs in a fork of the guarded process; the answer maps each name to how its cell ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]

PREPARED = """
import boto3, botocore, botocore.client, botocore.session, botocore.auth, botocore.httpsession, botocore.awsrequest
import threading, importlib, sys, os, gc, http.client, socket
from urllib.parse import urlsplit
settings = dict(endpoint_url=url, region_name="eu-west-2", aws_access_key_id="a", aws_secret_access_key="b")
def client(service, **more):
    return boto3.session.Session().client(service, **{**settings, **more})
"""


def run_cells(endpoint_url: str, cells: dict[str, str]) -> dict[str, dict[str, Any]]:
    """How each cell ended: {"error": class name or None, "message", "calls": [[service, operation, verdict]]}."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.deploy.kernel.guarded"],
        input=json.dumps({"endpoint_url": endpoint_url, "cells": cells}),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    return dict(json.loads(ended.stdout.splitlines()[-1]))


def _main() -> None:
    from deploy.kernel import guard

    asked = json.load(sys.stdin)
    calls: list[guard.Observed] = []
    guard.install(calls.append)
    space: dict[str, Any] = {"url": asked["endpoint_url"]}
    exec(PREPARED, space)
    answers = {name: _in_a_fork(source, space, calls) for name, source in asked["cells"].items()}
    print(json.dumps(answers))
    sys.stdout.flush()
    os._exit(0)


def _in_a_fork(source: str, space: dict[str, Any], calls: list[Any]) -> dict[str, Any]:
    read, write = os.pipe()
    if os.fork() == 0:
        answer: dict[str, Any] = {"error": None, "message": ""}
        try:
            exec(compile(source, "<cell>", "exec"), space)
            answer["message"] = str(space.get("result", ""))
        except BaseException as error:  # noqa: BLE001  (how it ended is the answer)
            answer = {"error": type(error).__name__, "message": str(error)}
        answer["calls"] = [[o.service, o.operation, o.verdict] for o in calls]
        os.write(write, json.dumps(answer).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        answer = json.loads(pipe.read())
    os.wait()
    return dict(answer)


if __name__ == "__main__":
    _main()
