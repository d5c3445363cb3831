"""Schedule expressions: when they act, and which are refused."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from planner.scaling.schedule import occurrences, parse

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def days(expression: str, timezone: str = "UTC", start: datetime = MONDAY, span: int = 31) -> list[str]:
    moments = occurrences(parse(expression, timezone), start, start + timedelta(days=span))
    return [f"{moment:%m-%d %H:%M}" for moment in moments]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("cron(0 7 ? * MON-FRI *)", [f"03-0{d} 07:00" for d in (2, 3, 4, 5, 6)]),
        ("cron(0 7 ? * 7,1 *)", ["03-07 07:00", "03-08 07:00"]),  # 7 is Saturday, 1 is Sunday
        ("cron(0/30 7 3 * ? *)", ["03-03 07:00", "03-03 07:30"]),
        ("cron(0 0 ? MAR FRI-MON 2026)", ["03-02 00:00", "03-06 00:00", "03-07 00:00", "03-08 00:00"]),
        ("at(2026-03-04T05:06:00)", ["03-04 05:06"]),
        ("rate(3 days)", ["03-02 00:00", "03-05 00:00", "03-08 00:00"]),
    ],
)
def test_expressions_act_when_they_say(expression: str, expected: list[str]) -> None:
    assert days(expression, span=7) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("cron(0 0 L * ? *)", ["03-31 00:00"]),
        ("cron(0 0 LW * ? *)", ["03-31 00:00"]),  # a Tuesday
        ("cron(0 0 15W * ? *)", ["03-16 00:00"]),  # the 15th is a Sunday
        ("cron(0 0 ? * MON#2 *)", ["03-09 00:00"]),
        ("cron(0 0 ? * FRIL *)", ["03-27 00:00"]),
    ],
)
def test_days_relative_to_the_month(expression: str, expected: list[str]) -> None:
    assert days(expression, span=30) == expected


def test_local_time_keeps_its_hour_over_daylight_saving() -> None:
    # London is UTC+1 from 29 March
    assert days("cron(0 7 28-30 * ? *)", "Europe/London") == ["03-28 07:00", "03-29 06:00", "03-30 06:00"]


def test_a_local_time_that_does_not_exist_is_skipped() -> None:
    assert days("cron(30 1 28-30 * ? *)", "Europe/London") == ["03-28 01:30", "03-30 00:30"]


def test_a_local_time_that_exists_twice_acts_once() -> None:
    october = datetime(2026, 10, 24, tzinfo=UTC)

    assert days("cron(30 1 25 * ? *)", "Europe/London", october, 3) == ["10-25 00:30"]


@pytest.mark.parametrize(
    ("expression", "timezone", "words"),
    [
        ("cron(0 7 ? * MON-FRI)", "UTC", "has 5 fields"),
        ("cron(0 24 ? * MON *)", "UTC", "hours"),
        ("cron(0 7 ? * FUN *)", "UTC", "neither a number nor a name"),
        ("cron(0 7 32 * ? *)", "UTC", "day of month"),
        ("cron(0 7 ? * ? *)", "UTC", "exactly one"),
        ("cron(0/0 7 ? * MON *)", "UTC", "minutes"),
        ("rate(0 minutes)", "UTC", "positive"),
        ("rate(5 weeks)", "UTC", "minute, hour or day"),
        ("at(tomorrow)", "UTC", "yyyy-mm-dd"),
        ("every day", "UTC", "cron(...)"),
        ("rate(1 day)", "London", "IANA"),
        ("rate(1 day)", "../etc/passwd", "IANA"),
    ],
)
def test_a_bad_expression_is_refused_by_name(expression: str, timezone: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        parse(expression, timezone)
