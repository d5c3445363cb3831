"""The calendar a load follows: local days of the week, and bank holidays of a named country.

A bank holiday counts as a Sunday: like days are then found among Sundays and other holidays, and an
ordinary weekday is never judged by a holiday that fell on it.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

SUNDAY = 6
EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday."""


def day_kinds(local_days: np.ndarray, holiday_days: frozenset[int]) -> np.ndarray:
    """Day of the week (0 Monday .. 6 Sunday) of days counted from 1970-01-01, holidays as Sundays."""
    kinds = (local_days + EPOCH_WEEKDAY) % 7
    if holiday_days:
        kinds = np.where(np.isin(local_days, list(holiday_days)), SUNDAY, kinds)
    return np.asarray(kinds)


def holiday_days(region: str | None, first: pd.Timestamp, last: pd.Timestamp) -> frozenset[int]:
    """Bank holidays between two moments as days from 1970-01-01.

    region: a country code (GB) or country and subdivision (GB-ENG), from the `holidays` library. Raises
    ValueError for one the library does not know.
    """
    if region is None:
        return frozenset()
    import holidays

    country, _, subdivision = region.strip().upper().partition("-")
    years = range(first.year, last.year + 1)
    try:
        found = holidays.country_holidays(country, subdiv=subdivision or None, years=years)
    except NotImplementedError:
        raise ValueError(
            f"There are no bank holidays for {region!r}: write a country like GB or a part of it like GB-ENG"
        ) from None
    epoch = date(1970, 1, 1)
    return frozenset((day - epoch).days for day in found)
