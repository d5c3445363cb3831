"""Moments and lengths of time as people write them on a command line or in a notebook's parameters."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from planner.terminal import BadInput

FIRST_YEAR: Final = 1900
LAST_YEAR: Final = 2200
"""Moments outside are slips of the hand, and nanosecond timestamps end in 2262."""
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(s|sec|m|min|minutes?|h|hours?|d|days?|w|weeks?)")


def moment(text: str, option: str) -> datetime:
    """An ISO 8601 moment as UTC; without an offset it means UTC. BadInput names the option."""
    try:
        found = datetime.fromisoformat(text.strip())
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInput(
            f"{option} {text!r} is not a moment: write e.g. 2026-05-01 or 2026-05-01T12:00:00Z."
        ) from None
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise BadInput(f"{option} {text!r} lies outside the years {FIRST_YEAR} to {LAST_YEAR}: check its year.")
    return found


def span(text: str, option: str) -> timedelta:
    """`30s`, `15min`, `24h`, `90d`, `2w`; BadInput for anything else and for nothing."""
    match = _SPAN.fullmatch(text.strip().lower())
    try:
        found = timedelta(**{_UNITS[match[2][0]]: float(match[1])}) if match else timedelta()
    except OverflowError:
        found = timedelta()
    if found <= timedelta():
        raise BadInput(f"{option} {text!r} is not a length of time: write it like 15min, 24h or 14d.")
    return found


def start_of(text: str, end: datetime, option: str = "--since") -> datetime:
    """Where a window begins that ends at `end`: a length of time before it, or a moment."""
    if re.match(r"\d{4}-", text.strip()):
        return moment(text, option)
    try:
        return end - span(text, option)
    except OverflowError:
        raise BadInput(f"{option} {text!r} reaches back before all calendars: write it like 14d.") from None
