"""What lowers availability waits until the working hours are over; bank holidays are not working days."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.apply import ApplyRefused, apply
from deploy.hours import BadHours, lowers_availability, next_opening, parse_hours, within
from tests.deploy import small
from tests.deploy.estate import person

OFFICE = parse_hours("MON-FRI 08:00-18:00", "Europe/London", "GB-ENG")


@pytest.mark.parametrize(
    ("now", "inside"),
    [
        (datetime(2026, 5, 13, 6, 59, tzinfo=UTC), False),  # 07:59 BST
        (datetime(2026, 5, 13, 7, 0, tzinfo=UTC), True),  # 08:00 BST
        (datetime(2026, 5, 13, 16, 59, tzinfo=UTC), True),
        (datetime(2026, 5, 13, 17, 0, tzinfo=UTC), False),  # 18:00 BST
        (datetime(2026, 5, 16, 12, tzinfo=UTC), False),  # Saturday
        (datetime(2026, 5, 25, 12, tzinfo=UTC), False),  # spring bank holiday
        (datetime(2026, 1, 14, 7, 30, tzinfo=UTC), False),  # 07:30 GMT
    ],
)
def test_working_hours_follow_the_local_clock_and_calendar(now: datetime, inside: bool) -> None:
    assert within(OFFICE, now) is inside


def test_the_next_opening_is_the_end_of_the_local_day() -> None:
    assert next_opening(OFFICE, datetime(2026, 5, 13, 9, tzinfo=UTC)) == datetime(2026, 5, 13, 17, tzinfo=UTC)
    late = datetime(2026, 5, 13, 20, tzinfo=UTC)
    assert next_opening(OFFICE, late) == late


@pytest.mark.parametrize("text", ["MON-FRI", "MON-FRI 18:00-08:00", "XYZ 08:00-18:00", "MON 8-18"])
def test_hours_that_are_not_understood_say_how_to_write_them(text: str) -> None:
    with pytest.raises(BadHours, match="MON-FRI 08:00-18:00"):
        parse_hours(text, "Europe/London")


def test_an_unknown_zone_or_calendar_is_refused() -> None:
    with pytest.raises(BadHours, match="Europe/London"):
        parse_hours("MON 08:00-18:00", "Mars/Olympus")
    with pytest.raises(BadHours, match="No bank holidays"):
        parse_hours("MON 08:00-18:00", "UTC", "ZZ")


def test_retiring_a_provider_and_running_below_desired_lower_availability() -> None:
    assert lowers_availability(small.bundle()) == ("auto-scaling-group/old",)


def test_apply_in_working_hours_is_refused_or_waits(tmp_path: Path) -> None:
    fake, config, maria = small.cloud(), small.bundle(), person(tmp_path)
    fake.clock.at = datetime(2026, 5, 13, 12, tzinfo=UTC)
    approval, approvers = small.approved(config, fake, maria, OFFICE)

    with pytest.raises(ApplyRefused, match="may run from 2026-05-13T17:00:00"):
        apply(config, approval, approvers, small.world(fake), tmp_path / "j")
    assert fake.writes == []
    assert apply(config, approval, approvers, small.world(fake), tmp_path / "j", wait_for_hours=True).succeeded
    assert fake.clock.now() >= datetime(2026, 5, 13, 17, tzinfo=UTC)


def test_waiting_longer_than_the_approval_lasts_is_refused(tmp_path: Path) -> None:
    fake, config, maria = small.cloud(), small.bundle(), person(tmp_path)
    fake.clock.at = datetime(2026, 5, 13, 7, 30, tzinfo=UTC)  # 9.5 hours before the end of the day, valid for 8
    approval, approvers = small.approved(config, fake, maria, OFFICE)

    with pytest.raises(ApplyRefused, match="expires before"):
        apply(config, approval, approvers, small.world(fake), tmp_path / "j", wait_for_hours=True)
