"""The deploy notebook in a real JupyterLab in Debian's chromium: opened, run whole, and read off the page."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.deploy.kernel.runbook import Runbook, environment, runbook

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


def with_parameters(ready: Runbook, folder: Path) -> None:
    """The stored notebook with the parameters of this run in its parameters cell, as a person would type them."""
    notebook = json.loads((ROOT / "notebooks" / "deploy.ipynb").read_text())
    cell = next(c for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", []))
    cell["source"] = "\n".join(f"{name} = {value!r}" for name, value in ready.parameters.items())
    (folder / "deploy.ipynb").write_text(json.dumps(notebook))


@pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
def test_the_deploy_notebook_runs_in_jupyterlab(tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    folder = tmp_path / "lab"
    folder.mkdir()
    with runbook(tmp_path) as ready, environment(ready), jupyterlab(folder) as address:
        with_parameters(ready, folder)
        with playwright.sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1400, "height": 2400})
            page.goto(f"{address}/lab/tree/deploy.ipynb")
            _run_all(page)
            shown = "\n".join(page.locator(".jp-OutputArea-output").all_inner_texts())
            kernel = page.locator(".jp-Toolbar-kernelName").first.inner_text()
            browser.close()
        definition = _running_definition(ready)

    assert kernel == "ECS deploy"
    assert "none is NG" in shown
    assert "Applied" in shown
    assert "the chain holds" in shown
    assert definition.endswith("web:2")


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
