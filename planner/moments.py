"""Moments and lengths of time as people write them on a command line or in a notebook's parameters."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from planner.terminal import BadInput

_SECONDS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w)")


def moment(text: str, option: str) -> datetime:
    """An ISO 8601 moment as UTC; without an offset it means UTC. BadInput names the option."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(
            f"{option} {text!r} is not a moment: write e.g. 2026-05-01 or 2026-05-01T12:00:00Z."
        ) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def span(text: str, option: str) -> timedelta:
    """`15min`, `24h`, `90d`, `2w`; BadInput for anything else and for nothing."""
    match = _SPAN.fullmatch(text.strip().lower())
    found = timedelta(seconds=float(match[1]) * _SECONDS[match[2]]) if match else timedelta()
    if found <= timedelta():
        raise BadInput(f"{option} {text!r} is not a length of time: write it like 15min, 24h or 14d.")
    return found


def start_of(text: str, end: datetime, option: str = "--since") -> datetime:
    """Where a window begins that ends at `end`: a length of time before it, or a moment."""
    return moment(text, option) if re.match(r"\d{4}-", text) else end - span(text, option)
