"""Open a file in Debian's chromium and note what its console complains of and what it fetches."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@dataclass(frozen=True, slots=True)
class Opened:
    page: Any
    complaints: list[str]
    requests: list[str]


@contextmanager
def launched() -> Iterator[Any]:
    """A headless browser; skips the test where chromium is missing."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed (Debian's package of that name)")
    sync = pytest.importorskip("playwright.sync_api")
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Any, path: Path) -> Iterator[Opened]:
    """A report, once as many figures are drawn as it has places for."""
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_function(
        "document.querySelectorAll('[role=img] .main-svg:first-child').length"
        " >= document.querySelectorAll('[role=img]').length"
    )
    try:
        yield Opened(page, complaints, requests)
    finally:
        page.close()


def figure_sizes(page: Any) -> list[list[int]]:
    """Width and height of every figure as it is drawn, in pixels."""
    sizes: list[list[int]] = page.eval_on_selector_all(
        "[role=img] .main-svg:first-child", "found => found.map(f => [f.clientWidth, f.clientHeight])"
    )
    return sizes
