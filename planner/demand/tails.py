"""The far tail: trees corrected by the errors of the very series, and by what it has not shown yet.

Trees trained on other series give p99 a shape; the errors that this series made in its last two weeks say
how far that shape fits, in the manner of split conformal prediction (Vovk, Gammerman and Shafer, 2005).
Neither knows of a level that a series never had, and two weeks of days cannot rule one out: with n days
seen and none of them unlike the others, the next one is unlike them with a chance of about 1 / (n + 1).
So a series that does not follow the day is given an upward shift of level as a prior: shifts come at
SHIFT_RATE a day at first, the less the longer the history, last SHIFT_DAYS, and multiply the level by
exp|N(0, SHIFT_SIZE)|. A quantile q lies where the chance of a shift above it is 1 - q.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Final

import numpy as np

from planner.demand.features import Rows
from planner.demand.smoothing import Array

TAIL_FROM: Final = 0.99
TREES_REACH: Final = 1.6
"""The trees' tail is held within this many times the 99.5th percentile of past errors: a burst a thousand
times the load makes the trees expect the next one everywhere."""
RECORD_SHARE: Final = 0.5
"""Share of the series' own errors in the tail of one that does not follow the day; the rest is the trees'."""
SHORTNESS: Final = 1.0
"""The tail is widened by this over the days of history: 7 % after two weeks, 2 % after six."""
SHIFT_RATE: Final = 0.25
"""Upward shifts a day where nothing is known. With the three below chosen so that p99 held in 98.4 % of the
steps of made series with 1.2 shifts of either sign in two weeks (benchmarks/forecast.py, `instance`)."""
SHIFT_SIZE: Final = 0.8
SHIFT_DAYS: Final = 1.0
EVIDENCE_DAYS: Final = 14.0
"""Days of history after which the rate of shifts is half of what it was."""
SEASONAL_FROM: Final = 1.0
SEASONAL_FULLY: Final = 1.2
"""Error of the best level over that of the best daily profile: from the first on shifts are held less
likely, above the second the series follows the day and shifts are not allowed for."""
HALF_NORMAL_MOST: Final = 1 - 1e-9


def corrected(levels: Array, offsets: Array, rows: Rows) -> Array:
    """Offsets (n, levels), in spreads from the centre, with their far tail drawn to the series' record."""
    offsets = offsets.copy()
    median = offsets[:, int(np.argmin(np.abs(levels - 0.5)))]
    level, high, worst = rows.record.T
    share = RECORD_SHARE * (1 - _seasonal(rows))
    wider = 1 + SHORTNESS / np.maximum(rows.days_known, 1.0)
    for place in np.flatnonzero(levels >= TAIL_FROM):
        known, end = (level, high) if levels[place] == TAIL_FROM else (worst, worst)
        bound = median + TREES_REACH * (end - median)
        bound = np.where(np.isfinite(bound) & (bound > median), bound, np.inf)
        held = np.minimum(offsets[:, place], bound)
        mixed = np.where(np.isfinite(known), (1 - share) * held + share * known, held)
        offsets[:, place] = mixed * np.where(mixed > 0, wider, 1.0)
    return np.sort(offsets, axis=1)


def with_shifts(path: Array, quantiles: Sequence[float], rows: Rows) -> Array:
    """Path (n, quantiles in rising order), in the unit of the series, with room for a shift of level."""
    rate = SHIFT_RATE / (1 + rows.days_known / EVIDENCE_DAYS) * (1 - _seasonal(rows))
    chance = rate * SHIFT_DAYS * (1 - np.exp(-rows.lead_days / SHIFT_DAYS))
    path = path.copy()
    for place, quantile in enumerate(quantiles):
        reached = np.clip(1 - (1 - quantile) / np.maximum(chance, 1e-12), 0.0, HALF_NORMAL_MOST)
        shifted = rows.centre + rows.level * np.expm1(SHIFT_SIZE * _half_normal(reached))
        path[:, place] = np.maximum(path[:, place], np.where(reached > 0, shifted, -np.inf))
    return np.asarray(np.maximum.accumulate(path, axis=1))


def _seasonal(rows: Rows) -> Array:
    """0 where the level tells as much as the time of day, 1 where the time of day tells clearly more."""
    return np.clip((rows.season - SEASONAL_FROM) / (SEASONAL_FULLY - SEASONAL_FROM), 0.0, 1.0)


def _half_normal(share: Array) -> Array:
    """Quantiles of |N(0, 1)|."""
    inverse = NormalDist().inv_cdf
    return np.array([inverse((1 + float(one)) / 2) for one in share])
