"""The working-hours guard: what lowers availability waits until the declared hours are over. Pure."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from deploy.emit.fields import replaces_in_place
from deploy.model import WorkingHours
from planner.documents import ConfigDocument
from planner.documents.config import ResourceType

DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
LONGEST_CLOSURE = timedelta(days=14)


class BadHours(ValueError):
    """Working hours that cannot be read; the message says how to write them."""


def parse_hours(text: str, timezone: str, holidays: str | None = None) -> WorkingHours:
    """Read "MON-FRI 08:00-18:00" or "MON,WED 22:00-23:30"."""
    try:
        days_text, hours_text = text.upper().split()
        start, _, end = hours_text.partition("-")
        days = _days(days_text)
        if not time.fromisoformat(start) < time.fromisoformat(end):
            raise ValueError
        ZoneInfo(timezone)
    except (ValueError, KeyError, OSError):
        raise BadHours(
            f"Working hours {text!r} in {timezone!r} are not understood: write them like MON-FRI 08:00-18:00 with "
            "an IANA time zone such as Europe/London."
        ) from None
    if holidays is not None:
        _is_holiday(holidays, date(2026, 1, 1))
    return WorkingHours(days, start, end, timezone, holidays)


def _days(text: str) -> tuple[str, ...]:
    found: list[str] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        low, high = DAYS.index(first), DAYS.index(last or first)
        found += DAYS[low : high + 1] if low <= high else DAYS[low:] + DAYS[: high + 1]
    return tuple(found)


def within(hours: WorkingHours, now: datetime) -> bool:
    """Whether `now` is inside the declared hours of a working day, on the local clock."""
    local = now.astimezone(ZoneInfo(hours.timezone))
    if DAYS[local.weekday()] not in hours.days:
        return False
    if hours.holidays is not None and _is_holiday(hours.holidays, local.date()):
        return False
    return time.fromisoformat(hours.start) <= local.time() < time.fromisoformat(hours.end)


def next_opening(hours: WorkingHours, now: datetime) -> datetime:
    """The first instant from `now` on that is outside the declared hours."""
    if not within(hours, now):
        return now
    zone = ZoneInfo(hours.timezone)
    local = now.astimezone(zone)
    return datetime.combine(local.date(), time.fromisoformat(hours.end), zone).astimezone(now.tzinfo)


def _is_holiday(place: str, day: date) -> bool:
    import holidays

    country, _, subdivision = place.partition("-")
    try:
        calendar = holidays.country_holidays(country, subdiv=subdivision or None, years=day.year)
    except NotImplementedError:
        raise BadHours(
            f"No bank holidays are known for {place!r}: use a country or subdivision, e.g. GB-ENG."
        ) from None
    return day in calendar


def refuse_in_hours(config: ConfigDocument, hours: WorkingHours, now: datetime) -> str | None:
    """Why the bundle must wait: it lowers availability and the declared hours are on."""
    if not within(hours, now):
        return None
    lowering = lowers_availability(config)
    if not lowering:
        return None
    return f"{lowering[0]} lowers availability within working hours ({hours.start}-{hours.end} {hours.timezone})"


def lowers_availability(config: ConfigDocument) -> tuple[str, ...]:
    """What runs with fewer tasks or instances than before, if only for a while."""
    found = []
    for resource in config.resources:
        if resource.type is ResourceType.SERVICE:
            deployment = resource.request.get("deploymentConfiguration", {})
            if deployment.get("minimumHealthyPercent", 100) < 100:
                found.append(resource.id)
        if not resource.present or replaces_in_place(resource):
            found.append(resource.id)
    return tuple(found)
