"""How much arrives at each service in each minute: working hours, weekends, bank holidays and noise.

A pure function of the service, the minute and the seed, so that history and the minutes to come are one
series, whatever was asked before.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from deploy.sandbox.sample.workloads import Workload
from deploy.sandbox.series import Floats

LONDON: Final = ZoneInfo("Europe/London")
DAY_MINUTES: Final = 1440
BANK_HOLIDAYS: Final = frozenset(
    date(2026, month, day) for month, day in ((1, 1), (4, 3), (4, 6), (5, 4), (5, 25), (8, 31), (12, 25), (12, 28))
)
"""England and Wales, 2026 (gov.uk/bank-holidays)."""
HOLIDAY: Final = 0.30
"""Share of a working day's load on a bank holiday."""
_HOURS: Final = (0, 5, 7, 8, 9.5, 11, 12.5, 13.5, 15, 16.5, 18, 20, 22.5, 24)
_SHAPE: Final = (0, 0, 0.12, 0.45, 0.92, 1.0, 0.82, 0.86, 0.95, 0.80, 0.42, 0.30, 0.10, 0)
"""A working day in London: two humps around lunch, an evening tail."""


def per_second(workload: Workload, first_minute: int, minutes: int, seed: int) -> Floats:
    """Arrivals a second in each of `minutes` minutes from `first_minute` (minutes since 1970)."""
    days = range(first_minute // DAY_MINUTES, (first_minute + minutes - 1) // DAY_MINUTES + 1)
    whole = np.concatenate([_day(workload, day, seed) for day in days])
    offset = first_minute - days[0] * DAY_MINUTES
    return whole[offset : offset + minutes]


@lru_cache(maxsize=512)
def _day(workload: Workload, day: int, seed: int) -> Floats:
    """One UTC day of arrivals a second."""
    begin = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)
    name = int.from_bytes(workload.name.encode()[:8].ljust(8), "big")
    random = np.random.default_rng([seed, day, name])
    if workload.kind == "batch":
        return np.zeros(DAY_MINUTES)
    level = np.repeat([_level(workload, begin + timedelta(minutes=m)) for m in range(0, DAY_MINUTES, 10)], 10)
    level = np.convolve(np.pad(level, 10, mode="edge"), np.full(21, 1 / 21), mode="valid")
    slow = _wander(seed, day, name)
    quick = random.normal(0.0, 0.06, DAY_MINUTES)
    return np.asarray(workload.peak * level * np.exp(slow + quick))


def _level(workload: Workload, moment: datetime) -> float:
    local = moment.astimezone(LONDON)
    hour = local.hour + local.minute / 60
    working = float(np.interp(hour, _HOURS, _SHAPE))
    if local.date() in BANK_HOLIDAYS:
        working *= HOLIDAY
    elif local.weekday() >= 5:
        working *= workload.weekend
    return workload.night + (1 - workload.night) * working


def _wander(seed: int, day: int, name: int) -> Floats:
    """A slow drift around 0 (standard deviation about 0.1) with a new direction every two hours; one day
    ends where the next begins."""
    knots = [_knots(seed, each, name) for each in (day, day + 1)]
    heights = np.append(knots[0], knots[1][0])
    drift = np.interp(np.arange(DAY_MINUTES), np.linspace(0, DAY_MINUTES, len(heights)), heights)
    return np.asarray(drift)


def _knots(seed: int, day: int, name: int) -> Floats:
    return np.random.default_rng([seed, day, name, 1]).normal(0.0, 0.12, 12)
