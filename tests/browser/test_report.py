"""The report in a real browser: every figure is drawn, nothing complains, nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from planner.comparison import compare_plan
from planner.documents import PlanDocument
from planner.prices import load
from planner.purchases import purchases
from planner.report import render
from tests.browser.opening import Opened, figure_sizes, launched, opened
from tests.planner.report.test_nearness import proof
from tests.plans import plan_values, tables

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def whole_plan() -> PlanDocument:
    """The plan with its split by service and its certificate, so that every figure has something to show."""
    values = {**plan_values(), "packing": proof()}
    line = values["cost"]["plan"][0]
    values["cost"]["by_service"] = [
        {**line, "service": "web", "usd_per_hour": 0.3}, {**line, "service": "(idle)", "usd_per_hour": 0.1},
    ]  # fmt: skip
    return PlanDocument.model_validate(values)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as found:
        yield found


@pytest.fixture(scope="module")
def report(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    path = tmp_path_factory.mktemp("report") / "report.html"
    shown, book = whole_plan(), load()
    page = render(shown, tables(), compare_plan(shown, book), purchases(shown, book))
    path.write_text(page, encoding="utf-8")
    with opened(browser, path) as page:
        yield page


def test_every_figure_is_drawn_with_a_size_a_person_can_see(report: Opened) -> None:
    boxes = figure_sizes(report.page)

    assert (
        len(boxes) == report.page.locator("[role=img]").count() >= 13
    )  # ten of the plan, three of the comparison
    assert all(width > 300 and height > 150 for width, height in boxes)


def test_the_console_stays_silent(report: Opened) -> None:
    assert report.complaints == []


def test_nothing_is_fetched_but_the_page_itself(report: Opened) -> None:
    assert [url for url in report.requests if not url.startswith(("file:", "data:", "blob:"))] == []


def test_every_part_that_the_navigation_names_is_there(report: Opened) -> None:
    targets = report.page.eval_on_selector_all("nav a", "links => links.map(a => a.getAttribute('href'))")

    assert len(targets) >= 8
    assert [t for t in targets if report.page.query_selector(t) is None] == []


@pytest.mark.parametrize("width", [390, 768, 1200])
def test_the_page_never_scrolls_sideways(report: Opened, width: int) -> None:
    report.page.set_viewport_size({"width": width, "height": 900})

    assert report.page.evaluate("document.documentElement.scrollWidth") <= width


def test_every_table_cell_of_a_row_has_a_heading(report: Opened) -> None:
    bare = report.page.evaluate("document.querySelectorAll('table:not(:has(th))').length")

    assert bare == 0


def test_what_is_folded_away_is_printed(report: Opened) -> None:
    report.page.emulate_media(media="print")

    hidden = report.page.eval_on_selector_all(
        "details",
        "all => all.filter(d => d.getBoundingClientRect().bottom"
        " < d.lastElementChild.getBoundingClientRect().bottom).map(d => d.querySelector('summary').innerText)",
    )

    report.page.emulate_media(media="screen")
    assert hidden == []
