"""What the past cannot tell: growth, planned launches, and deployments that changed the level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from planner.demand.notices import Notice

DAYS_PER_YEAR = 365.25
MOST_GROWTH = 1000.0
BEFORE = pd.Timedelta(days=7)
NEEDED_AFTER = pd.Timedelta(hours=6)
LEAST_SHIFT = 0.1
"""A level that moved by less is left alone: day-to-day moods move it as much."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A planned change of load: multiplied by `factor`, then `add` (in the series' unit) from `at` on.

    It comes in evenly over `ramp` and ends at `until` (None: it stays).
    """

    at: pd.Timestamp
    factor: float = 1.0
    add: float = 0.0
    ramp: pd.Timedelta = pd.Timedelta(0)
    until: pd.Timestamp | None = None


def planned(
    paths: np.ndarray,
    times: pd.DatetimeIndex,
    as_of: pd.Timestamp,
    *,
    growth: float = 0.0,
    growth_per_year: float = 0.0,
    launches: Sequence[Launch] = (),
) -> np.ndarray:
    """Quantile paths (n, quantiles) with launches, then growth, applied to all of them.

    growth: demand to add at once, as a share of it; growth_per_year: what comes on top from `as_of` on.
    """
    for share, words in ((growth, "growth"), (growth_per_year, "growth a year")):
        if not -1 < share < MOST_GROWTH:
            raise ValueError(f"{words} of {share:.0%} makes no sense: write 0.2 for 20 %")
    for launch in launches:
        force = _share_in_force(launch, times)[:, None]
        paths = paths * (1 + (launch.factor - 1) * force) + launch.add * force
    years = np.asarray((times - as_of) / pd.Timedelta(days=DAYS_PER_YEAR))
    return np.asarray(paths * (1 + growth) * ((1 + growth_per_year) ** years)[:, None])


def _share_in_force(launch: Launch, times: pd.DatetimeIndex) -> np.ndarray:
    since = np.asarray((times - launch.at) / pd.Timedelta(seconds=1))
    ramp = launch.ramp / pd.Timedelta(seconds=1)
    share = np.clip(since / ramp, 0.0, 1.0) if ramp > 0 else (since >= 0).astype(float)
    if launch.until is not None:
        share = np.where(np.asarray(times >= launch.until), 0.0, share)
    return np.asarray(share)


def levelled(
    values: np.ndarray, moments: Sequence[int], per_day: int, when: Sequence[str]
) -> tuple[np.ndarray, list[Notice]]:
    """History before each deployment brought to the level after it.

    values: one per step; moments: the step each deployment lies at; when: how to name it. The ratio is
    the median over steps after the deployment (up to a week) of the value over that of the same time of
    day in the week before. Fewer than six hours after it tell nothing, and a notice says so.
    """
    values, notices = values.copy(), []
    for moment, name in sorted(zip(moments, when, strict=True)):
        if moment <= 0 or moment >= len(values):
            continue
        after = values[moment : moment + 7 * per_day]
        if len(after) < per_day * (NEEDED_AFTER / pd.Timedelta(days=1)) or moment < per_day:
            notices.append(
                Notice("recent-deployment", f"too little is known around {name} to see what it changed")
            )
            continue
        ratio = _level_ratio(values, moment, after, per_day)
        if ratio is not None and abs(ratio - 1) >= LEAST_SHIFT:
            values[:moment] *= ratio
            notices.append(
                Notice("deployment-shift", f"history before {name} was multiplied by {ratio:.2f} to match")
            )
    return values, notices


def _level_ratio(values: np.ndarray, moment: int, after: np.ndarray, per_day: int) -> float | None:
    days = min(7, moment // per_day)
    before = values[moment - days * per_day : moment].reshape(days, per_day)
    with np.errstate(invalid="ignore", divide="ignore"):
        usual = np.nanmedian(before, axis=0) if np.isfinite(before).any() else np.full(per_day, np.nan)
        ratios = after / np.tile(usual, 8)[: len(after)]
    ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
    return float(np.median(ratios)) if len(ratios) else None
