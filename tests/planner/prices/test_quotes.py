"""Ages, Fargate sizes and billed time."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.model import Rejection, Resources
from planner.prices import billed_hours, is_legal, load, smallest_size
from planner.prices.fargate import SIZES
from planner.prices.quotes import age_days, age_sentence
from planner.units import CpuUnits, MiB, Seconds


@pytest.mark.parametrize(
    ("price_date", "days"),
    [("2026-11-01", 23), ("2026-11", 23), ("2026", 327), ("2024-2026", None), ("", None)],
)
def test_a_date_known_to_the_year_or_month_counts_from_its_first_day(price_date: str, days: int | None) -> None:
    assert age_days(price_date, date(2026, 11, 24)) == days


def test_stale_prices_are_told_by_their_age() -> None:
    book = load()

    # 2025-04-04 to 2026-11-24 are 599 days
    told = age_sentence(book, "eu-west-2", date(2026, 11, 24))
    assert told is not None
    assert "599 days old" in told
    assert "planner prices refresh --region eu-west-2" in told
    assert age_sentence(book, "eu-west-2", date(2025, 4, 30)) is None
    assert "no such Region" in (age_sentence(book, "eu-west-99", date(2026, 11, 24)) or "")


@settings(deadline=None, max_examples=80)
@given(st.integers(1, 33000), st.integers(1, 250000))
def test_the_smallest_size_holds_the_need_and_no_cheaper_one_does(cpu: int, memory: int) -> None:
    found = smallest_size(Resources(CpuUnits(cpu), MiB(memory)))
    holding = [(c, m) for c, sizes in SIZES.items() for m in sizes if c >= cpu and m >= memory]

    if isinstance(found, Rejection):
        assert holding == []
        return
    assert is_legal(found.cpu_units, found.memory_mib)
    cost = {(c, m): c / 1024 * 0.04048 + m / 1024 * 0.004445 for c, m in holding}
    assert cost[found.cpu_units, found.memory_mib] == min(cost.values())


def test_sizes_between_the_steps_are_not_legal() -> None:
    assert is_legal(256, 512)
    assert not is_legal(256, 4096)
    assert not is_legal(8192, 17408)  # 8 vCPU go in steps of 4 GiB
    assert not is_legal(300, 1024)


def test_a_run_is_billed_by_the_second_and_at_least_a_minute() -> None:
    assert billed_hours(Seconds(30), 60) == pytest.approx(1)
    assert billed_hours(Seconds(600.2), 6) == pytest.approx(601 * 6 / 3600)
