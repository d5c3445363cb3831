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


def many_scales(rng: np.random.Generator, length: int, deviation: float) -> Series:
    """A lognormal factor whose noise looks alike over minutes, hours and days."""
    level = np.ones(length)
    for memory in (0.6, 0.93, 0.99, 0.999):
        level *= wander(rng, length, memory, deviation)
    return level


def provider(days: int, seed: int) -> Series:
    """Pages of an access provider's customers: long evenings, few requests, noise on every scale, single readers
    who fetch whole sites within minutes, a level that grows, and hours that the log misses."""
    rng = np.random.default_rng(seed)
    hour, weekday, day = clock(days)
    level = 0.35 + 0.65 * bump((hour - 4) % 24, 11, 6) + 0.15 * bump(hour, 22, 2)
    level *= np.where(weekday >= 5, 0.82, 1) * days_factor(rng, days, 0.07) * np.exp(0.04 * day / 7)
    for _ in range(rng.poisson(days * 1.5)):
        first, length = int(rng.integers(0, len(level) - 5)), int(rng.lognormal(2.3, 0.7)) + 2
        level[first : first + length] += rng.lognormal(-1.2, 0.5)
    load = arrivals(rng, level * many_scales(rng, len(level), 0.05), 110)
    for first in rng.integers(0, len(load) - 300, 3):
        load[first : first + int(rng.uniform(60, 240))] = np.nan
    return load


def championship(days: int, seed: int) -> Series:
    """A site of a competition: rounds of some days with games at two fixed hours, the crowd gathers over half an
    hour and comes back in a minute for the result; the level climbs until the final and falls after it."""
    rng = np.random.default_rng(seed)
    hour, weekday, day = clock(days)
    final = days * rng.uniform(0.65, 0.8)
    level = (0.35 + 0.5 * bump(hour, 15, 5)) * np.where(weekday >= 5, 0.85, 1)
    climb = np.where(day < final, np.exp((day - final) * 0.11 / 7 * 2), np.exp(-(day - final) * 0.5 / 7))
    for number in range(days):
        for at in (16.5, 20.0):
            if rng.random() < (0.75 if number % 5 < 3 else 0.15):
                first = number * DAY + int(at * 60)
                gather = np.minimum(1, np.arange(30) / 30) * 0.4
                rest = 0.5 + 0.5 * rng.random() + rng.lognormal(-0.4, 0.4) * np.exp(-np.arange(150) / 45)
                crowd = np.r_[gather, np.full(105, 0.45), rest * np.exp(-np.arange(150) / 80)]
                stop = min(len(level), first - 30 + len(crowd))
                level[first - 30 : stop] += crowd[: stop - first + 30]
    return arrivals(rng, level * climb * days_factor(rng, days, 0.06) * wander(rng, len(level), 0.98, 0.04), 1_200)


def encyclopedia(days: int, seed: int) -> Series:
    """Readers of a whole continent: smooth days with two humps, Sundays like Mondays, a news story every other
    week that adds up to half within ten minutes and lasts for hours, one short outage with a rush after it."""
    rng = np.random.default_rng(seed)
    hour, weekday, day = clock(days)
    level = 0.45 + 0.4 * bump(hour, 13, 4.5) + 0.5 * bump(hour, 20.5, 2.6)
    level *= np.array([1.05, 1.04, 1.02, 1.0, 0.92, 0.86, 1.0])[weekday] * np.exp(0.01 * np.sin(day / 5))
    for _ in range(max(1, rng.poisson(days / 14))):
        first, length = int(rng.integers(0, len(level) - 30)), rng.uniform(60, 300)
        after = np.arange(min(int(4 * length), len(level) - first))
        level[first : first + len(after)] += (
            rng.uniform(0.1, 0.5) * np.minimum(1, after / 10) * np.exp(-after / length)
        )
    outage = int(rng.integers(0, len(level) - 90))
    level[outage : outage + 12] *= 0.1
    level[outage + 12 : outage + 40] *= 1.25
    return arrivals(rng, level * days_factor(rng, days, 0.025) * wander(rng, len(level), 0.99, 0.02), 3_000)


def term(days: int, seed: int) -> Series:
    """A university's server: lectures, assignments due at midnight on some days, and a break of a fortnight after
    which the level is back within two days; requests come in clumps."""
    rng = np.random.default_rng(seed)
    hour, weekday, day = clock(days)
    level = 0.2 + bump(hour, 14, 4) * np.where(weekday < 5, 1, 0.35) + 0.4 * bump(hour, 21.5, 2.5)
    away = int(rng.integers(14, days - 14))
    share = np.clip(np.minimum(np.abs(day - away), np.abs(day - away - 14)) / 2, 0, 1)
    level *= np.where((day > away) & (day < away + 14), 1 - 0.55 * share, 1) * days_factor(rng, days, 0.08)
    for number in np.flatnonzero(rng.random(days) < 0.2):
        due = np.arange(number * DAY + 21 * 60, (number + 1) * DAY)
        level[due] += rng.uniform(0.3, 0.9) * (due - due[0]) / len(due)
    clumps = rng.gamma(8, 1 / 8, len(level))
    return arrivals(rng, level * clumps * many_scales(rng, len(level), 0.04), 180)


FRESH: dict[str, tuple[Callable[[int, int], Series], tuple[int, int]]] = {
    "fixtures": (fixtures, (11, 12)),
    "newsroom": (newsroom, (11, 12)),
    "three regions": (regions, (11, 12)),
    "crawled": (crawled, (11, 12)),
    "game": (game, (11, 12)),
    "small": (small, (11, 12)),
    "campus": (campus, (21, 22)),
    "on the hour": (on_the_hour, (21, 22)),
    "shop": (shop, (21, 22)),
    "streams": (streams, (21, 22)),
    "provider": (provider, (41, 42)),
    "championship": (championship, (41, 42)),
    "encyclopedia": (encyclopedia, (41, 42)),
    "term": (term, (41, 42)),
}
DAYS = 42


# Written before the rule of decision 0042 was last changed, and looked at only after


def library(days: int, seed: int) -> Series:
    """A catalogue that is searched all day long, quiet at night and on Sundays, with noise on every scale and
    harvesters that ask for everything, some at a fixed hour and some at any."""
    rng = np.random.default_rng(seed)
    hour, weekday, day = clock(days)
    level = 0.25 + bump(hour, 11, 3.2) + 0.8 * bump(hour, 16, 3) * np.where(weekday == 4, 0.7, 1)
    level *= np.where(weekday == 6, 0.35, np.where(weekday == 5, 0.6, 1)) * days_factor(rng, days, 0.06)
    level += 0.5 * (hour >= 3) * (hour < 3 + 0.7 * rng.random(days)[day.astype(int)])
    for _ in range(rng.poisson(days * 0.6)):
        first, length = int(rng.integers(0, len(level) - 5)), int(rng.lognormal(3.2, 0.6)) + 3
        level[first : first + length] += rng.uniform(0.15, 0.6)
    return arrivals(rng, level * many_scales(rng, len(level), 0.04), 140)


def tickets(days: int, seed: int) -> Series:
    """Sales that open at ten on some mornings, known to the buyers alone, over a plain daily wave."""
    rng = np.random.default_rng(seed)
    hour, weekday, _ = clock(days)
    level = 0.3 + 0.5 * bump(hour, 19.5, 3.5) + 0.35 * bump(hour, 12, 3) * np.where(weekday >= 5, 1.3, 1)
    level *= days_factor(rng, days, 0.07)
    for number in np.flatnonzero(rng.random(days) < 0.4):
        first = number * DAY + 600 - 4
        after = np.arange(min(240, len(level) - first))
        crowd = rng.lognormal(-0.2, 0.45) * np.minimum(1, after / 6) * np.exp(-after / rng.uniform(15, 70))
        level[first : first + len(after)] += crowd
    return arrivals(rng, level * wander(rng, len(level), 0.98, 0.05), 500)


def forum(days: int, seed: int) -> Series:
    """Readers who follow threads: a slow walk of the level, weekends above working days, waves of half an hour."""
    rng = np.random.default_rng(seed)
    hour, weekday, _ = clock(days)
    level = 0.3 + 0.7 * bump(hour, 21, 3.5) + 0.35 * bump(hour, 13, 3.5)
    level *= np.where(weekday >= 5, 1.2, 1) * np.repeat(np.exp(np.cumsum(rng.normal(0, 0.025, days))), DAY)
    level *= wander(rng, len(level), 0.97, 0.08) * wander(rng, len(level), 0.998, 0.06)
    for _ in range(rng.poisson(days * 0.5)):
        first, length = int(rng.integers(0, len(level) - 5)), rng.uniform(10, 60)
        after = np.arange(min(int(5 * length), len(level) - first))
        level[first : first + len(after)] += (
            rng.uniform(0.2, 0.7) * np.minimum(1, after / 8) * np.exp(-after / length)
        )
    return arrivals(rng, level, 260)


HELD_OUT: dict[str, tuple[Callable[[int, int], Series], tuple[int, int]]] = {
    "library": (library, (51, 52)),
    "tickets": (tickets, (51, 52)),
    "forum": (forum, (51, 52)),
}
