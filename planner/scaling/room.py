"""How likely a candidate is to keep its objective in a coming week, by what its known days missed.

A coming week differs from the known ones in three ways. Its level is another one: each candidate tells by its
violations at the known demand and at demand raised by the strain what a higher level costs it, and the level is
drawn: higher where the known weeks grow, from a wider distribution where they grow or where heavy bursts are a
habit of the load. Its days are others: violations of seven drawn days spread as those of the known days do. And it
may hold a worse day than most: one more day like the worst is counted among the known. The violations of a week at
one level are taken as negative binomial, the count of events that come in clumps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from planner.units import DAYS_PER_WEEK, MINUTES_PER_DAY

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

CALM_LEVEL: Final = 0.05
BURSTY_LEVEL: Final = 0.10
"""Standard deviation of the logarithm of a coming week's level without and with bursts; with `CONFIDENCE` set on
unseen weeks of fifteen families of series (docs/decisions/0042)."""
CALM_TAIL: Final = 0.4
BURSTY_TAIL: Final = 0.8
"""Logarithm of one demand above what is expected, exceeded in 0.1 % of minutes, over that of 1 %: 0.28 for normal
noise, 0.41 for an exponential tail, 1.15 for Pareto's with exponent 2."""
TAIL_QUANTILES: Final = (0.99, 0.999)
CONFIDENCE: Final = 0.85
"""Chance of keeping the objective that a candidate needs."""
GROWTH_SHARE: Final = 0.5
"""Share of an evident growth that is expected to go on; a falling level is not trusted at all."""
GROWTH_DOUBT: Final = 0.25
"""Share of the variance of growth that a coming week's level may have."""
EVIDENT: Final = 2.0
"""Standard errors under which a growth is no evidence."""
LEAST_DAYS: Final = 4
"""Pairs of days a week apart that can tell a growth."""
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
"""Of the normal distribution, by Gauss and Hermite."""
HALF_A_MINUTE: Final = 0.5
"""Added to both counts of a ratio, so that none of them is 0."""
LEAST_MINUTES: Final = 1e-6
"""A week's expected violations are at least so many: a count needs a positive mean."""
CLUMPS: Final = 1.0001
"""The variance is at least so many times the mean: below that there is no negative binomial."""
HOPELESS: Final = 4.0
"""Candidates whose strained violations are this many times the budget are not looked at: their chance is 0."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """The logarithm of a coming week's level over the known ones': normal."""

    shift: float = 0.0
    deviation: float = CALM_LEVEL


def outlook(demand: FloatArray, expected: FloatArray, day: IntArray) -> Outlook:
    """By the growth of demand and by how heavy its tail above `expected` is; all of shape (minutes,)."""
    growth, error = weekly_growth(demand)
    rise = max(0.0, growth)
    evident = max(0.0, 1 - (EVIDENT * error / rise) ** 2) if rise > 0 else 0.0
    doubt = GROWTH_DOUBT * (rise**2 + error**2) / 2
    return Outlook(
        GROWTH_SHARE * rise * evident, math.hypot(burst_deviation(demand, expected, day), math.sqrt(doubt))
    )


def weekly_growth(demand: FloatArray) -> tuple[float, float]:
    """Mean logarithm of the last seven whole days' demand over that of the days a week before, and its standard
    error; 0 and 0 where too few days are known."""
    days = len(demand) // MINUTES_PER_DAY
    if days < 2 * DAYS_PER_WEEK:
        return 0.0, 0.0
    by_day = demand[: days * MINUTES_PER_DAY].reshape(days, MINUTES_PER_DAY)
    known = (~np.isnan(by_day)).sum(axis=1)
    means = np.nansum(by_day, axis=1) / np.maximum(known, 1)
    usable = (known >= MINUTES_PER_DAY / 2) & (means > 0)
    last, before = slice(days - DAYS_PER_WEEK, days), slice(days - 2 * DAYS_PER_WEEK, days - DAYS_PER_WEEK)
    both = usable[last] & usable[before]
    if both.sum() < LEAST_DAYS:
        return 0.0, 0.0
    growth = np.log(means[last][both] / means[before][both])
    return float(growth.mean()), float(growth.std() / math.sqrt(len(growth)))


def burst_deviation(demand: FloatArray, expected: FloatArray, day: IntArray) -> float:
    """Standard deviation of a coming week's level, by how heavy the tail of demand above `expected` is.

    The day with most of the tail is left out: bursts of one day are no habit yet.
    """
    above = demand - expected
    known = ~np.isnan(above)
    if not known.any():
        return CALM_LEVEL
    rare = np.quantile(above[known], TAIL_QUANTILES[1])
    worst = np.argmax(np.bincount(day[known], above[known] > rare))
    usual = above[known & (day != worst)]
    if not len(usual):
        return CALM_LEVEL
    low, high = np.quantile(usual, TAIL_QUANTILES)
    if low <= 0:
        return CALM_LEVEL if high <= 0 else BURSTY_LEVEL
    return float(np.interp(math.log(high / low), (CALM_TAIL, BURSTY_TAIL), (CALM_LEVEL, BURSTY_LEVEL)))


def chance(
    violations: IntArray,
    strained: IntArray,
    judged: IntArray,
    *,
    strain: float,
    budget: float,
    level: Outlook = Outlook(),
) -> FloatArray:
    """The chance of at most `budget` violating minutes in a coming week, per candidate.

    `violations` and `strained` (those of demand raised by `strain`) have shape (days, candidates), `judged` the
    known minutes of every day; a day with gaps counts by its known share. `level` is the coming week's.
    """
    days = float(judged.sum()) / MINUTES_PER_DAY
    found = np.zeros(strained.shape[1])
    if days == 0:
        return found
    near = np.flatnonzero(strained.sum(axis=0) <= HOPELESS * max(budget, 1.0) / DAYS_PER_WEEK * (days + 1))
    raised = strained[:, near].astype(np.float64)
    mean, variance = _week(raised, days)
    steepness = _steepness(violations[:, near].sum(axis=0), raised.sum(axis=0), strain)
    for node, weight in zip(NODES, WEIGHTS / WEIGHTS.sum(), strict=True):
        factor = np.exp(steepness * (level.shift + level.deviation * node - math.log1p(strain)))
        found[near] += weight * at_most(budget, mean * factor, variance * factor**2)
    return found


def _week(by_day: FloatArray, days: float) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of seven days drawn from those known and one more like the worst; the variance counts
    that the mean itself is only estimated."""
    worst = by_day.max(axis=0)
    mean = (by_day.sum(axis=0) + worst) / (days + 1)
    square = ((by_day**2).sum(axis=0) + worst**2) / (days + 1)
    of_a_day = np.maximum(0.0, square - mean**2)
    return DAYS_PER_WEEK * mean, DAYS_PER_WEEK * of_a_day * (1 + DAYS_PER_WEEK / (days + 1))


def _steepness(plain: IntArray, raised: FloatArray, strain: float) -> FloatArray:
    """Which power of the level a candidate's violations grow with."""
    ratio = (raised + HALF_A_MINUTE) / (plain + HALF_A_MINUTE)
    return np.asarray(np.log(ratio) / math.log1p(strain))


def at_most(count: float, mean: FloatArray, variance: FloatArray) -> FloatArray:
    """Chance of at most `count` events of a negative binomial distribution of this mean and variance."""
    from scipy.special import betainc  # heavy

    mean = np.maximum(mean, LEAST_MINUTES)
    variance = np.maximum(variance, mean * CLUMPS)
    size = mean**2 / (variance - mean)
    return np.asarray(betainc(size, math.floor(count + 1e-9) + 1.0, size / (size + mean)))
