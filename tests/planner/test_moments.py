"""Moments and lengths of time, read as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from planner.moments import moment, span, start_of
from planner.terminal import BadInput

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-01T12:00:00Z", NOON),
        ("2026-05-01T13:00+01:00", NOON),
        (" 2026-05-01 12:00 ", NOON),  # without an offset it means UTC
        ("2026-05-01", datetime(2026, 5, 1, tzinfo=UTC)),
    ],
)
def test_moments_become_utc(text: str, expected: datetime) -> None:
    assert moment(text, "--as-of") == expected


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-13-01", "0001-01-01T00:00+14:00"])
def test_a_text_that_is_no_moment_is_refused_by_its_option(text: str) -> None:
    with pytest.raises(BadInput, match=r"--as-of .* is not a moment"):
        moment(text, "--as-of")


@pytest.mark.parametrize("text", ["0206-05-01", "9999-12-31"])
def test_a_year_that_must_be_a_slip_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="outside the years 1900 to 2200"):
        moment(text, "--as-of")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", timedelta(seconds=30)),
        ("90min", timedelta(minutes=90)),
        ("1 minute", timedelta(minutes=1)),
        ("15m", timedelta(minutes=15)),
        ("12H", timedelta(hours=12)),
        ("1.5 hours", timedelta(minutes=90)),
        ("14d", timedelta(days=14)),
        ("2w", timedelta(days=14)),
    ],
)
def test_lengths_of_time_are_read_as_people_write_them(text: str, expected: timedelta) -> None:
    assert span(text, "--horizon") == expected


@pytest.mark.parametrize("text", ["", "14", "d", "-3d", "0h", "3 months", "nan d", "9" * 400 + "d"])
def test_a_text_that_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"--horizon .* is not a length of time"):
        span(text, "--horizon")


def test_a_window_begins_a_length_of_time_before_its_end_or_at_a_moment() -> None:
    assert start_of("12h", NOON) == datetime(2026, 5, 1, tzinfo=UTC)
    assert start_of("2026-04-01", NOON) == datetime(2026, 4, 1, tzinfo=UTC)


def test_a_window_that_begins_before_all_calendars_is_refused() -> None:
    with pytest.raises(BadInput, match="reaches back before all calendars"):
        start_of("9999999d", NOON)
