"""The counts that the guide gives are those of the tests."""

from __future__ import annotations

from tests.faults.table import BEGIN, END, PAGE, written


def test_the_guide_counts_the_tests_that_there_are() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert page.count(BEGIN) == page.count(END) == 1
    assert written(page) == page
