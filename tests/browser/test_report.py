"""The report in a real browser: every figure is drawn, nothing complains, nothing is fetched."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from planner.report import render
from tests.plans import plan, tables

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed (Debian's package of that name)")
    sync = pytest.importorskip("playwright.sync_api")
    with sync.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def opened(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, list[str], list[str]]]:
    """The page, what its console complained of, and what it asked the network for."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(plan(), tables()), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_function("document.querySelectorAll('.main-svg').length >= 8")
    yield page, complaints, requests
    page.close()


def test_every_figure_is_drawn_with_a_size_a_person_can_see(opened: tuple[Any, list[str], list[str]]) -> None:
    boxes = opened[0].eval_on_selector_all(
        "[role=img] .main-svg:first-child", "found => found.map(f => [f.clientWidth, f.clientHeight])"
    )

    assert len(boxes) == 8
    assert all(width > 300 and height > 150 for width, height in boxes)


def test_the_console_stays_silent(opened: tuple[Any, list[str], list[str]]) -> None:
    assert opened[1] == []


def test_nothing_is_fetched_but_the_page_itself(opened: tuple[Any, list[str], list[str]]) -> None:
    assert [url for url in opened[2] if not url.startswith(("file:", "data:", "blob:"))] == []


def test_every_part_that_the_navigation_names_is_there(opened: tuple[Any, list[str], list[str]]) -> None:
    targets = opened[0].eval_on_selector_all("nav a", "links => links.map(a => a.getAttribute('href'))")

    assert len(targets) >= 8
    assert [t for t in targets if opened[0].query_selector(t) is None] == []


@pytest.mark.parametrize("width", [390, 768, 1200])
def test_the_page_never_scrolls_sideways(opened: tuple[Any, list[str], list[str]], width: int) -> None:
    opened[0].set_viewport_size({"width": width, "height": 900})

    assert opened[0].evaluate("document.documentElement.scrollWidth") <= width


def test_every_table_cell_of_a_row_has_a_heading(opened: tuple[Any, list[str], list[str]]) -> None:
    bare = opened[0].evaluate("document.querySelectorAll('table:not(:has(th))').length")

    assert bare == 0
