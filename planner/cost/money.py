"""Money as people read it. Inside everything is USD; another currency needs a rate and the rate's date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from planner.model import Rejection

SYMBOLS: Final = {"USD": "$", "GBP": "£", "EUR": "€"}


@dataclass(frozen=True, slots=True)
class Currency:
    """`per_usd` units of `code` for one US dollar on `rate_date`."""

    code: str
    per_usd: float
    rate_date: date


def currency(code: str, per_usd: float | None, rate_date: date | None) -> Currency | Rejection | None:
    """None for USD; a Rejection where the rate or its date is missing, or the rate is not positive."""
    code = code.upper()
    if code == "USD":
        return None
    if len(code) != 3 or not code.isascii() or not code.isalpha():
        return Rejection(code, "not an ISO 4217 currency code such as GBP")
    if per_usd is None or rate_date is None:
        return Rejection(code, f"amounts in {code} need a rate and its date: --rate 0.79 --rate-date 2026-11-02")
    if not per_usd > 0 or per_usd == float("inf"):
        return Rejection(code, f"{per_usd} is not a rate of {code} per USD")
    return Currency(code, per_usd, rate_date)


def convert(usd: float, into: Currency | None) -> float:
    return usd if into is None else usd * into.per_usd


def format_money(usd: float, into: Currency | None = None, places: int = 2) -> str:
    """`$1,234.50` or `£975.26`; the rate is told once by `rate_note`, not with every amount."""
    code = "USD" if into is None else into.code
    amount = convert(usd, into)
    sign = "-" if round(amount, places) < 0 else ""
    return f"{sign}{SYMBOLS.get(code, code + ' ')}{abs(amount):,.{places}f}"


def rate_note(into: Currency | None) -> str:
    """The sentence that a page with converted amounts must carry; empty for USD."""
    if into is None:
        return ""
    return f"Converted at {into.per_usd:g} {into.code} per USD of {into.rate_date.isoformat()}."
