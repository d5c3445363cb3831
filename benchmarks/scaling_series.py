"""Series that had no part in setting the margins of `planner tune`; benchmarks/scaling.py judges by them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Series = NDArray[np.float64]
DAY = 1440


def wander(rng: np.random.Generator, length: int, memory: float, deviation: float) -> Series:
    """A lognormal factor of first-order autocorrelated noise."""
    shocks = rng.normal(0, deviation * np.sqrt(1 - memory**2), length)
    return np.exp(lfilter([1], [1, -memory], shocks))


def days_factor(rng: np.random.Generator, days: int, deviation: float) -> Series:
    return np.repeat(np.exp(rng.normal(0, deviation, days)), DAY)


def arrivals(rng: np.random.Generator, level: Series, mean: float) -> Series:
    return rng.poisson(np.maximum(level, 0) * mean / level.mean()).astype(float)


def clock(days: int) -> tuple[Series, NDArray[np.int64], Series]:
    """Hour of the day, day of the week (0 is Monday), and day, minute by minute."""
    minute = np.arange(days * DAY)
    return minute / 60 % 24, minute // DAY % 7, minute / DAY


def bump(hour: Series, at: float, width: float) -> Series:
    return np.exp(-(((hour - at) / width) ** 2))


def fixtures(days: int, seed: int) -> Series:
    """Evenings with matches on random days; the audience jumps at kick-off, half-time and the end."""
    rng = np.random.default_rng(seed)
    hour, _, _ = clock(days)
    level = 0.4 + 0.6 * bump(hour, 19, 4)
    for day in range(days):
        if rng.random() < (0.7 if day % 7 in (2, 5, 6) else 0.2):
            first, height = day * DAY + int(float(rng.choice([15, 17.5, 20])) * 60), rng.uniform(0.8, 2.0)
            for later, share in ((-10, 0.5), (0, 1.0), (47, 1.2), (105, 1.0)):
                after = np.arange(max(0, min(120, len(level) - first - later)))
                crowd = height * share * np.minimum(1, after / 8) * np.exp(-after / 40) * 0.6
                level[first + later : first + later + len(after)] += crowd
    return arrivals(rng, level * wander(rng, len(level), 0.97, 0.05), 700)


def newsroom(days: int, seed: int) -> Series:
    """Two peaks a day and breaking news: rare, steep, of no typical size."""
    rng = np.random.default_rng(seed)
    hour, weekday, _ = clock(days)
    level = 0.35 + 0.7 * bump(hour, 8, 1.8) + 0.5 * bump(hour, 18, 3)
    level *= np.where(weekday >= 5, 0.8, 1) * days_factor(rng, days, 0.1)
    for _ in range(rng.poisson(days * 0.35)):
        first, height = int(rng.integers(0, len(level) - 5)), 0.3 + rng.pareto(2.2) * 0.4
        length = rng.uniform(20, 120)
        after = np.arange(min(int(5 * length), len(level) - first))
        rise = np.minimum(1, after / rng.uniform(3, 15))
        level[first : first + len(after)] += height * rise * np.exp(-after / length)
    return arrivals(rng, level * wander(rng, len(level), 0.95, 0.05), 500)


def regions(days: int, seed: int) -> Series:
    """Working days in three regions, busy Mondays and month ends, two holidays."""
    rng = np.random.default_rng(seed)
    hour, weekday, day = clock(days)
    level = np.full(len(hour), 0.12)
    for shift, weight in ((0, 1.0), (6, 0.6), (-7, 0.4)):
        local = (hour + shift) % 24
        open_hours = 1 / (1 + np.exp(-(local - 8.5) * 3)) / (1 + np.exp((local - 17.5) * 2))
        level += weight * open_hours * (1 - 0.25 * bump(local, 12.8, 0.6)) * np.where(weekday < 5, 1, 0.08)
    level *= np.where(weekday == 0, 1.12, 1) * days_factor(rng, days, 0.05)
    for holiday in rng.choice(days, 2, replace=False):
        level[holiday * DAY : (holiday + 1) * DAY] *= 0.3
    level *= 1 + 0.3 * ((day % 30) > 27)
    return arrivals(rng, level * wander(rng, len(level), 0.99, 0.05), 350)


def crawled(days: int, seed: int) -> Series:
    """A modest daily wave, and crawlers that add a block of load for an hour or two, three times a week."""
    rng = np.random.default_rng(seed)
    hour, _, _ = clock(days)
    level = 1 + 0.4 * np.sin((hour - 10) / 24 * 2 * np.pi)
    for _ in range(rng.poisson(days * 3 / 7)):
        first, length = int(rng.integers(0, len(level) - 5)), int(rng.uniform(40, 150))
        level[first : first + length] += rng.uniform(0.3, 0.9)
    return arrivals(rng, level * wander(rng, len(level), 0.9, 0.06), 150)


def game(days: int, seed: int) -> Series:
    """Evening and weekend peaks, a patch every other Wednesday, slow decline."""
    rng = np.random.default_rng(seed)
    hour, weekday, day = clock(days)
    level = 0.25 + bump(hour, 20.5, 3.2) + np.where(weekday >= 5, 0.5 * bump(hour, 15, 4), 0)
    level *= np.exp(-day * 0.02 / 7) * days_factor(rng, days, 0.06)
    level *= np.where((day // 1 % 14 == 9) & (hour >= 16), 1.35, 1)
    return arrivals(rng, level * wander(rng, len(level), 0.985, 0.06), 450)


def small(days: int, seed: int) -> Series:
    """Few requests, so that chance alone moves every minute."""
    rng = np.random.default_rng(seed)
    hour, weekday, _ = clock(days)
    level = 0.2 + bump(hour, 14, 4.5) * np.where(weekday < 5, 1, 0.5)
    return arrivals(rng, level * wander(rng, len(level), 0.99, 0.1), 40)


FRESH: dict[str, Callable[[int, int], Series]] = {
    "fixtures": fixtures,
    "newsroom": newsroom,
    "three regions": regions,
    "crawled": crawled,
    "game": game,
    "small": small,
}
SEEDS = (11, 12)
DAYS = 42


# Written before the rule of decision 0042 was last changed, and looked at only after


def campus(days: int, seed: int) -> Series:
    """Few hundred requests a minute with bursts on every time scale, quiet weekends, weeks of unlike level."""
    rng = np.random.default_rng(seed)
    hour, weekday, _ = clock(days)
    level = 0.3 + bump(hour, 14, 4.5) + 0.25 * bump(hour, 21, 2.5)
    level *= np.where(weekday >= 5, 0.6, 1) * days_factor(rng, days, 0.12)
    level *= np.repeat(np.exp(rng.normal(0, 0.1, -(-days // 7))), 7 * DAY)[: len(level)]
    for memory in (0.5, 0.95, 0.995):
        level *= wander(rng, len(level), memory, 0.08)
    return arrivals(rng, level, 60)


def on_the_hour(days: int, seed: int) -> Series:
    """Clients that poll at full hours: a spike of four minutes each, larger at midnight and on weekdays."""
    rng = np.random.default_rng(seed)
    hour, weekday, _ = clock(days)
    level = 0.6 + 0.3 * bump(hour, 13, 5) * np.where(weekday < 5, 1, 0.4)
    minute_of_hour = np.arange(len(level)) % 60
    height = np.repeat(np.exp(rng.normal(-0.6, 0.25, days * 24)), 60)
    level += height * np.where(hour < 1, 1.5, 1) * np.exp(-minute_of_hour / 4)
    return arrivals(rng, level * days_factor(rng, days, 0.04) * wander(rng, len(level), 0.97, 0.04), 400)


def shop(days: int, seed: int) -> Series:
    """Evenings, a level that walks and grows, sales that start within five to fifteen minutes."""
    rng = np.random.default_rng(seed)
    hour, weekday, day = clock(days)
    level = 0.25 + 0.6 * bump(hour, 12.5, 3) + 0.9 * bump(hour, 20, 2.8) * np.where(weekday == 6, 1.3, 1)
    level *= np.repeat(np.exp(np.cumsum(rng.normal(0, 0.03, days))), DAY) * np.exp(0.03 * day / 7)
    for _ in range(rng.poisson(days * 2 / 7)):
        first = int(rng.integers(0, days)) * DAY + int(rng.uniform(9, 21) * 60)
        after = np.arange(min(300, len(level) - first))
        crowd = rng.uniform(0.4, 1.6) * np.minimum(1, after / rng.uniform(5, 15)) * np.exp(-after / 60)
        level[first : first + len(after)] += crowd
    return arrivals(rng, level * wander(rng, len(level), 0.98, 0.05), 600)


def streams(days: int, seed: int) -> Series:
    """Prime time, a weekly release at a fixed hour of unlike success, and two outages that end in a rush."""
    rng = np.random.default_rng(seed)
    hour, weekday, _ = clock(days)
    level = 0.2 + bump(hour, 21, 2.6) + 0.3 * bump(hour, 15, 3) * np.where(weekday >= 5, 1.6, 1)
    for week in range(days // 7):
        first = (week * 7 + 4) * DAY + 18 * 60
        after = np.arange(min(360, len(level) - first))
        crowd = rng.lognormal(-0.3, 0.5) * np.minimum(1, after / 10) * np.exp(-after / 110)
        level[first : first + len(after)] += crowd
    for first in rng.integers(0, len(level) - 120, 2):
        level[first : first + 25] *= 0.2
        level[first + 25 : first + 60] *= 1.5
    return arrivals(rng, level * days_factor(rng, days, 0.05) * wander(rng, len(level), 0.985, 0.04), 900)


HELD_OUT: dict[str, Callable[[int, int], Series]] = {
    "campus": campus,
    "on the hour": on_the_hour,
    "shop": shop,
    "streams": streams,
}
HELD_OUT_SEEDS = (21, 22)
