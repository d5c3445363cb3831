"""Scheduled actions: cron, rate and at expressions of Application Auto Scaling, with time zones and DST.

Source: Application Auto Scaling user guide, "Schedule recurring scaling actions using cron expressions" and
"...using rate expressions". A local time that does not exist (spring) does not run; one that exists twice
(autumn) runs once, as EventBridge documents for its own schedules; the scaling guide is silent [U].
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
WEEKDAYS = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7}


@dataclass(frozen=True, slots=True)
class Cron:
    """The six fields; days are kept as text because L, W and # depend on the month."""

    minutes: frozenset[int]
    hours: frozenset[int]
    day_of_month: str
    months: frozenset[int]
    day_of_week: str
    years: frozenset[int]
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Rate:
    every: timedelta


@dataclass(frozen=True, slots=True)
class At:
    moment: datetime


def parse(expression: str, timezone: str = "UTC") -> Cron | Rate | At:
    """Read one schedule expression; raises ValueError with a sentence that names the rule it breaks."""
    zone = zone_of(timezone)
    found = re.fullmatch(r"\s*(cron|rate|at)\((.*)\)\s*", expression)
    if not found:
        raise ValueError(f"schedule {expression!r} is not cron(...), rate(...) or at(...)")
    kind, body = found.groups()
    if kind == "cron":
        return _cron(body, zone)
    return _rate(body) if kind == "rate" else _at(body, zone)


def zone_of(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"time zone {name!r} is not an IANA name such as Europe/London") from None


def _rate(body: str) -> Rate:
    found = re.fullmatch(r"\s*(\d+)\s+(minute|hour|day)s?\s*", body)
    if not found or int(found[1]) == 0:
        raise ValueError(f"rate({body}) is not a positive number and minute, hour or day")
    return Rate(timedelta(**{f"{found[2]}s": int(found[1])}))


def _at(body: str, zone: ZoneInfo) -> At:
    try:
        moment = datetime.strptime(body.strip(), "%Y-%m-%dT%H:%M:%S")  # noqa: DTZ007 - the zone follows
    except ValueError:
        raise ValueError(f"at({body}) is not at(yyyy-mm-ddThh:mm:ss)") from None
    return At(moment.replace(tzinfo=zone).astimezone(UTC))


def _cron(body: str, zone: ZoneInfo) -> Cron:
    fields = body.upper().split()
    if len(fields) != 6:
        raise ValueError(
            f"cron({body}) has {len(fields)} fields: minutes, hours, day of month, month, day of week and "
            "year make six"
        )
    minute, hour, day, month, weekday, year = fields
    if (day == "?") == (weekday == "?"):
        raise ValueError(f"cron({body}): exactly one of day of month and day of week must be ?")
    cron = Cron(
        minutes=_values(minute, "minutes", 0, 59),
        hours=_values(hour, "hours", 0, 23),
        day_of_month=day,
        months=_values(month, "month", 1, 12, MONTHS),
        day_of_week=weekday,
        years=_values(year, "year", 1970, 2199),
        zone=zone,
    )
    _check_days(cron)
    return cron


def _values(text: str, field: str, low: int, high: int, names: dict[str, int] | None = None) -> frozenset[int]:
    values: set[int] = set()
    for item in text.split(","):
        found = re.fullmatch(r"(\*|\w+)(?:-(\w+))?(?:/(\d+))?", item)
        if not found:
            raise ValueError(f"cron field {field} {text!r} is not valid")
        first, last, step = found.groups()
        if first == "*":
            start, stop = low, high
        else:
            start = _number(first, field, names)
            stop = _number(last, field, names) if last else high if step else start
        if not (low <= start <= high and low <= stop <= high) or step == "0" or (first == "*" and last):
            raise ValueError(f"cron field {field} {text!r} is outside {low} to {high}")
        stride = int(step or 1)
        if start <= stop:
            values.update(range(start, stop + 1, stride))
        else:  # FRI-MON wraps round the end of the week
            values.update(low + (v - low) % (high - low + 1) for v in range(start, stop + high - low + 2, stride))
    return frozenset(values)


def _number(text: str, field: str, names: dict[str, int] | None) -> int:
    if names and text in names:
        return names[text]
    if not text.isdigit():
        raise ValueError(f"cron field {field} has {text!r}, which is neither a number nor a name")
    return int(text)


def _check_days(cron: Cron) -> None:
    """Refuse a bad day field when it is read, not when the first matching date comes."""
    if cron.day_of_month not in ("?", "*", "L", "LW") and not re.fullmatch(r"(\d+)W", cron.day_of_month):
        _values(cron.day_of_month, "day of month", 1, 31)
    if cron.day_of_week not in ("?", "*") and not re.fullmatch(r"(\w+)#[1-5]|(\w+)L|L", cron.day_of_week):
        _values(cron.day_of_week, "day of week", 1, 7, WEEKDAYS)
    if found := re.fullmatch(r"(\w+)#[1-5]|(\w+)L", cron.day_of_week):
        _values(found[1] or found[2], "day of week", 1, 7, WEEKDAYS)
    if (found := re.fullmatch(r"(\d+)W", cron.day_of_month)) and not 1 <= int(found[1]) <= 31:
        raise ValueError(f"cron field day of month {cron.day_of_month!r} is outside 1 to 31")


def occurrences(
    parsed: Cron | Rate | At, start: datetime, end: datetime, anchor: datetime | None = None
) -> Iterator[datetime]:
    """UTC moments in [start, end), in order. `anchor` is where a rate starts to count (default: start)."""
    if isinstance(parsed, At):
        if start <= parsed.moment < end:
            yield parsed.moment
    elif isinstance(parsed, Rate):
        moment = anchor or start
        if moment < start:
            moment += parsed.every * -((moment - start) // parsed.every)
        while moment < end:
            yield moment
            moment += parsed.every
    else:
        yield from _cron_occurrences(parsed, start, end)


def _cron_occurrences(cron: Cron, start: datetime, end: datetime) -> Iterator[datetime]:
    first = start.astimezone(cron.zone).date() - timedelta(days=1)
    last = end.astimezone(cron.zone).date() + timedelta(days=1)
    found: set[datetime] = set()
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        if not _day_matches(cron, day):
            continue
        for hour in cron.hours:
            for minute in cron.minutes:
                local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=cron.zone)
                moment = local.astimezone(UTC)
                exists = moment.astimezone(cron.zone).replace(tzinfo=None) == local.replace(tzinfo=None)
                if exists and start <= moment < end:
                    found.add(moment)
    yield from sorted(found)


def _day_matches(cron: Cron, day: date) -> bool:
    if day.month not in cron.months or day.year not in cron.years:
        return False
    if cron.day_of_week == "?":
        return _month_day_matches(cron.day_of_month, day)
    return _week_day_matches(cron.day_of_week, day)


def _month_day_matches(text: str, day: date) -> bool:
    length = calendar.monthrange(day.year, day.month)[1]
    if text == "L":
        return day.day == length
    if text == "LW" or text.endswith("W"):
        return day.day == _nearest_weekday(day, length if text == "LW" else int(text[:-1]), length)
    return day.day in _values(text, "day of month", 1, 31)


def _nearest_weekday(month_of: date, wanted: int, length: int) -> int | None:
    if wanted > length:
        return None
    weekday = date(month_of.year, month_of.month, wanted).weekday()
    if weekday < 5:
        return wanted
    shift = -1 if weekday == 5 else 1
    if not 1 <= wanted + shift <= length:
        shift = 2 if weekday == 5 else -2
    return wanted + shift


def _week_day_matches(text: str, day: date) -> bool:
    weekday = day.isoweekday() % 7 + 1  # 1 is Sunday, as in AWS's cron
    length = calendar.monthrange(day.year, day.month)[1]
    if found := re.fullmatch(r"(\w+)#([1-5])", text):
        return weekday == _number(found[1], "day of week", WEEKDAYS) and (day.day - 1) // 7 + 1 == int(found[2])
    if text == "L":
        return weekday == 7
    if found := re.fullmatch(r"(\w+)L", text):
        return weekday == _number(found[1], "day of week", WEEKDAYS) and day.day > length - 7
    return weekday in _values(text, "day of week", 1, 7, WEEKDAYS)
