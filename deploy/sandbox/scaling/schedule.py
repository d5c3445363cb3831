"""When a scheduled action runs: at(...), rate(...) and six-field cron(...) in an IANA time zone.

Source: Application Auto Scaling user guide, "Schedule recurring scaling actions using cron expressions".
Daylight saving is kept: 07:00 in Europe/London is 07:00 on the clock all year. A time that a change to
summer time leaves out runs as long after the gap as it lies in it; a time that occurs twice runs once, at
its first occurrence (AWS documents neither).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_RATES: Final = {"minute": 60, "hour": 3600, "day": 86_400}
_FARTHEST_DAYS: Final = 5 * 366


class ScheduleError(ValueError):
    """A schedule that Application Auto Scaling would refuse, or one not supported yet; told in the text."""


@dataclass(frozen=True, slots=True)
class _Cron:
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None
    """Days of the month; 0 stands for the last one (L). None: any (`?`)."""
    months: frozenset[int]
    weekdays: frozenset[int] | None
    """1 is Sunday. None: any (`?`)."""
    years: frozenset[int] | None

    def falls_on(self, day: date) -> bool:
        if day.month not in self.months or (self.years is not None and day.year not in self.years):
            return False
        if self.weekdays is not None and day.isoweekday() % 7 + 1 not in self.weekdays:
            return False
        last = (day + timedelta(days=1)).month != day.month
        return self.days is None or day.day in self.days or (0 in self.days and last)


def check(schedule: str, timezone: str) -> None:
    """Raise ScheduleError for a schedule or time zone that cannot be used."""
    following(schedule, timezone, datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))


def following(schedule: str, timezone: str, after: datetime, anchor: datetime) -> datetime | None:
    """The first run later than `after`, in UTC; None where there is no further one.

    `anchor` is where a rate's intervals are counted from: the action's start time or its creation.
    """
    try:
        zone = ZoneInfo(timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ScheduleError(f"{timezone!r} is not a time zone: use an IANA name such as Europe/London") from error
    found = re.fullmatch(r"(at|rate|cron)\((.+)\)", schedule.strip())
    if not found:
        raise ScheduleError(f"the schedule {schedule!r} is none of at(...), rate(...), cron(...)")
    kind, text = found.groups()
    if kind == "at":
        return _at(text, zone, after)
    if kind == "rate":
        return _rate(text, after, anchor)
    return _next(_cron(text), zone, after)


def _at(text: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    try:
        moment = datetime.strptime(text.strip(), "%Y-%m-%dT%H:%M:%S").replace(tzinfo=zone).astimezone(UTC)
    except ValueError as error:
        raise ScheduleError(f"at({text}) needs the form at(yyyy-mm-ddThh:mm:ss)") from error
    return moment if moment > after else None


def _rate(text: str, after: datetime, anchor: datetime) -> datetime:
    found = re.fullmatch(r"(\d+)\s+(minute|hour|day)s?", text.strip())
    if not found or int(found[1]) < 1:
        raise ScheduleError(f"rate({text}) needs a positive number and minutes, hours or days")
    step = int(found[1]) * _RATES[found[2]]
    passed = (after - anchor).total_seconds()
    return anchor + timedelta(seconds=(int(passed // step) + 1) * step if passed >= 0 else step)


def _cron(text: str) -> _Cron:
    fields = text.split()
    if len(fields) != 6:
        raise ScheduleError(f"cron({text}) needs six fields: minutes hours day-of-month month day-of-week year")
    minutes, hours, days, months, weekdays, years = fields
    if (days == "?") == (weekdays == "?"):
        raise ScheduleError(f"cron({text}) needs ? in either day-of-month or day-of-week")
    if "#" in weekdays or days.endswith("W") or weekdays.endswith("L"):
        raise ScheduleError(f"cron({text}): W, # and a weekday's L are not supported yet by the sandbox")
    return _Cron(
        _numbers(minutes, 0, 59),
        _numbers(hours, 0, 23),
        None if days == "?" else frozenset({0}) if days == "L" else _numbers(days, 1, 31),
        _numbers(months, 1, 12, _MONTHS, 1),
        None if weekdays == "?" else _numbers(weekdays, 1, 7, _DAYS, 1),
        None if years == "*" else _numbers(years, 1970, 2199),
    )


def _numbers(text: str, low: int, high: int, names: tuple[str, ...] = (), first: int = 0) -> frozenset[int]:
    """The values of one field: *, lists, ranges (also around the end, as FRI-MON) and steps."""

    def number(word: str) -> int:
        if word.upper() in names:
            return names.index(word.upper()) + first
        if not word.isdigit() or not low <= int(word) <= high:
            raise ScheduleError(f"{word!r} is not between {low} and {high}")
        return int(word)

    values: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        if span == "*":
            begin, end = low, high
        elif "-" in span:
            begin, end = (number(word) for word in span.split("-", 1))
        else:
            begin = number(span)
            end = high if step else begin
        if step and (not step.isdigit() or int(step) < 1):
            raise ScheduleError(f"{part!r} has no usable step")
        width = (end - begin) % (high - low + 1)
        values.update(
            low + (begin - low + offset) % (high - low + 1) for offset in range(0, width + 1, int(step or 1))
        )
    return frozenset(values)


def _next(cron: _Cron, zone: ZoneInfo, after: datetime) -> datetime | None:
    local = after.astimezone(zone)
    day = local.date()
    for _ in range(_FARTHEST_DAYS):
        if cron.falls_on(day):
            for hour in sorted(cron.hours):
                for minute in sorted(cron.minutes):
                    moment = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC)
                    if moment > after:
                        return moment
        day += timedelta(days=1)
    return None
