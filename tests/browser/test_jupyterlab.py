"""The runbook notebooks in a real JupyterLab in Debian's chromium: opened, run whole, and read off the page."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.deploy.kernel.runbook import Runbook, environment, runbook
from tests.notebooks.test_deploy_notebooks import push_tagged, sign

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHROMIUM = shutil.which("chromium")
START_S = 90
RUN_MS = 240_000
NO_CHROMIUM = "Debian's chromium is not here: apt-get install chromium"


@contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """A JupyterLab over `folder`, without a browser of its own; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
        "--ServerApp.port_retries=0", "--IdentityProvider.token=", "--ServerApp.password=",
        "--LabApp.expose_app_in_browser=True", f"--ServerApp.root_dir={folder}",
        "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    settings = {"JUPYTER_CONFIG_DIR": str(folder / ".jupyter"), "JUPYTER_RUNTIME_DIR": str(folder / ".runtime")}
    log = (folder / "jupyterlab.log").open("w")
    server = subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(f"{address}/api/status", server, folder / "jupyterlab.log")
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)
        log.close()


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            server.poll()
            time.sleep(0.2)  # a server of another process: there is nothing else to wait on
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


def with_parameters(name: str, parameters: Mapping[str, object], folder: Path) -> None:
    """The stored notebook with this run's values in its parameters cell, as a person would type them."""
    notebook = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text())
    cell = next(c for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", []))
    lines = "".join(cell["source"]).splitlines()
    typed = [f"{key} = {value!r}" for key, value in parameters.items()]
    cell["source"] = "\n".join([*lines, *typed])
    (folder / f"{name}.ipynb").write_text(json.dumps(notebook))


class Lab:
    """JupyterLab in chromium."""

    def __init__(self, browser: Any, address: str, folder: Path) -> None:
        self._browser, self._address, self._folder = browser, address, folder

    def run(self, name: str, parameters: Mapping[str, object]) -> tuple[str, str]:
        """What the notebook shows on the page after all its cells ran, and the name of its kernel."""
        with_parameters(name, parameters, self._folder)
        page = self._browser.new_page(viewport={"width": 1400, "height": 2400})
        page.goto(f"{self._address}/lab/workspaces/{name}/tree/{name}.ipynb")
        _run_all(page)
        shown = "\n".join(page.locator(".jp-OutputArea-output").all_inner_texts())
        kernel = page.locator(".jp-Toolbar-kernelName").first.inner_text()
        page.close()
        return shown, kernel


@contextmanager
def lab(folder: Path) -> Iterator[tuple[Runbook, Lab]]:
    playwright = pytest.importorskip("playwright.sync_api")
    notebooks = folder / "lab"
    notebooks.mkdir()
    with (
        runbook(folder) as ready,
        environment(ready),
        jupyterlab(notebooks) as address,
        playwright.sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield ready, Lab(browser, address, notebooks)
        browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
def test_deploy_rollback_and_patch_run_in_jupyterlab(tmp_path: Path) -> None:
    with lab(tmp_path) as (ready, opened):
        deployed, kernel = opened.run("deploy", ready.parameters)
        after_deploy = _running_definition(ready)
        place = {name: ready.parameters[name] for name in ("journal", "endpoint_url", "region")}
        taken_back, _ = opened.run("rollback", place)
        after_rollback = _running_definition(ready)
        push_tagged(ready, "1.1")
        image = "123456789012.dkr.ecr.eu-west-2.amazonaws.com/web:1.1"
        patch = {
            **place,
            "service": "web",
            "image": image,
            "author": "Dev Eloper",
            "out": str(tmp_path / "patch"),
            "approval": str(tmp_path / "patch.json"),
            "journal": str(tmp_path / "patched"),
        }
        unsigned, _ = opened.run("patch", patch)
        sign(ready, tmp_path / "patch", tmp_path / "patch.json")
        patched, _ = opened.run("patch", patch)
        ecs = ready.sandbox.client("ecs")
        definition = ecs.describe_task_definition(taskDefinition=_running_definition(ready))["taskDefinition"]

    assert kernel == "ECS deploy"
    assert "none is NG" in deployed
    assert "the chain holds" in deployed
    assert after_deploy.endswith("web:2")
    assert "Taken back" in taken_back
    assert after_rollback.endswith("web:1")
    assert "cannot be read" in unsigned
    assert "none is NG" in patched
    assert [c["image"] for c in definition["containerDefinitions"]] == [image]


@pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
def test_the_drill_runs_in_jupyterlab(tmp_path: Path) -> None:
    with lab(tmp_path) as (ready, opened):
        shown, _ = opened.run("drill", {**ready.parameters, "hours": 2, "lost_at": 9})

    assert "Zone eu-west-2a is lost, and" in shown
    assert "Mon 09:00" in shown


def _run_all(page: Any) -> None:
    """Await the command itself: a click right after the kernel is idle can be lost."""
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
    page.wait_for_function("() => window.jupyterapp && window.jupyterapp.shell.currentWidget", timeout=60_000)
    page.evaluate("async () => { const s = window.jupyterapp.shell.currentWidget.sessionContext; await s.ready; }")
    page.set_default_timeout(RUN_MS)
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")


def _running_definition(ready: Runbook) -> str:
    ecs = ready.sandbox.client("ecs")
    return str(ecs.describe_services(cluster="public-services", services=["web"])["services"][0]["taskDefinition"])
