"""Averages over arrays with gaps (NaN): plain numpy, trailing where they must not see the future."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def rolling_mean(values: Array, window: int) -> Array:
    """Mean of the last `window` values up to and including each position; NaN where all are missing."""
    seen = ~np.isnan(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(seen, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(seen)])
    end = np.arange(1, len(values) + 1)
    start = np.maximum(0, end - window)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((sums[end] - sums[start]) / (counts[end] - counts[start]))


def rolling_median(values: Array, window: int, every: int) -> Array:
    """Trailing median over `window`, refreshed each `every` positions on at most 48 values of it."""
    at = np.arange(len(values) - 1, -1, -every)[::-1]
    back = np.arange(0, window, max(1, window // 48))
    places = at[:, None] - back[None, :]
    taken = np.where(places >= 0, values[np.maximum(places, 0)], np.nan)
    medians = sorted_quantile(np.sort(taken, axis=1).T, 0.5)
    latest = np.searchsorted(at, np.arange(len(values)), side="right") - 1
    return np.where(latest >= 0, medians[np.maximum(latest, 0)], np.nan)


def weighted_mean(stack: Array, weights: Array) -> Array:
    """Weighted mean over axis 0 of (lags, n), leaving missing values out."""
    seen = ~np.isnan(stack)
    weights = weights * seen
    total = weights.sum(axis=0)
    summed = (weights * np.where(seen, stack, 0.0)).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, summed / total, np.nan)


def smooth(values: Array, reach: int) -> Array:
    """Mean over `reach` neighbours on either side."""
    seen = ~np.isnan(values)
    kernel = np.ones(2 * reach + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(
            np.convolve(np.where(seen, values, 0.0), kernel, "same") / np.convolve(seen, kernel, "same")
        )


def decayed_mean(rows: Array, half_life: float) -> Array:
    """Trailing exponentially weighted mean along axis 1 of (k, n), with gaps left out.

    Sums of growing weights stay exact to rounding while n is below some 900 half-lives.
    """
    weights = np.exp2(np.arange(rows.shape[1]) / half_life)
    seen = ~np.isnan(rows)
    sums = np.cumsum(np.where(seen, rows, 0.0) * weights, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums / np.cumsum(seen * weights, axis=1))


def sorted_quantile(ordered: Array, quantile: float) -> Array:
    """Linear quantile over axis 0 of values already sorted with NaN last (as np.sort leaves them)."""
    counts = (~np.isnan(ordered)).sum(axis=0)
    place = np.maximum(counts - 1, 0) * quantile
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, np.maximum(counts - 1, 0))
    columns = np.arange(ordered.shape[1])
    below, above = ordered[low, columns], ordered[high, columns]
    return np.asarray(below + (above - below) * (place - low))
