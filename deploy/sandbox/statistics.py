"""CloudWatch's statistics over periods: the numbers, without any API around them.

Periods are aligned to multiples of their length since 1970, as CloudWatch aligns them. Definitions:
CloudWatch user guide, "CloudWatch statistics definitions". CloudWatch does not publish how it
interpolates percentiles; here it is linear between the closest ranks (type 7 of Hyndman and Fan), each
value counted as often as its weight says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from deploy.sandbox.series import Floats, Ints, Series

SIMPLE: Final = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
_NUMBER: Final = r"(\d{1,3}(?:\.\d{1,10})?)"
_PERCENTILE: Final = re.compile(rf"^p{_NUMBER}$")
_TRIMMED: Final = re.compile(rf"^(tm|tc|ts){_NUMBER}$")
_TRIMMED_RANGE: Final = re.compile(rf"^(TM|TC|TS)\({_NUMBER}?%?:{_NUMBER}?%?\)$")


@dataclass(frozen=True, slots=True)
class Statistic:
    """A parsed statistic: `kind` is one of SIMPLE, "percentile", "tm", "tc" or "ts" (trimmed mean,
    count, sum) with the quantiles between which values count."""

    text: str
    kind: str
    low: float = 0.0
    high: float = 1.0


class UnknownStatistic(ValueError):
    """Not a statistic of CloudWatch."""


class UnsupportedStatistic(ValueError):
    """A statistic of CloudWatch that the sandbox does not compute."""


def parse(text: str) -> Statistic:
    """Read a statistic's name, e.g. Average, p99.9, tm90, TM(10%:90%), IQM.

    Raises UnsupportedStatistic for wm and PR (and trimming by absolute value), UnknownStatistic else.
    """
    if text in SIMPLE:
        return Statistic(text, text)
    if text == "IQM":
        return Statistic(text, "tm", 0.25, 0.75)
    found = _PERCENTILE.match(text)
    if found and float(found[1]) <= 100:
        return Statistic(text, "percentile", float(found[1]) / 100, float(found[1]) / 100)
    found = _TRIMMED.match(text)
    if found and float(found[2]) <= 100:
        return Statistic(text, found[1], 0.0, float(found[2]) / 100)
    found = _TRIMMED_RANGE.match(text)
    if found and "%" in text:
        low, high = float(found[2] or 0) / 100, float(found[3] or 100) / 100
        if low < high <= 1:
            return Statistic(text, found[1].lower(), low, high)
    if re.match(rf"^(wm{_NUMBER}|WM\(.*\)|PR\(.*\)|T[MCS]\(.*\))$", text):
        raise UnsupportedStatistic(text)
    raise UnknownStatistic(text)


@dataclass(frozen=True, slots=True)
class _Buckets:
    """Rows of one kind sorted by period: where each period's rows start, and the period's time."""

    periods: Ints
    starts: Ints

    @classmethod
    def of(cls, timestamps: Floats, period_s: int) -> _Buckets:
        numbers = (timestamps // period_s).astype(np.int64)
        starts = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1))
        return cls(numbers[starts], starts.astype(np.int64))


def over_periods(
    series: Sequence[Series], statistic: Statistic, start_s: float, end_s: float, period_s: int
) -> tuple[Ints, Floats]:
    """The statistic of each period that has data: (period start in epoch seconds, value), in time order.

    `start_s` is included and `end_s` is not. Periods holding a statistic set of differing values have no
    percentile or trimmed statistic (CloudWatch cannot tell one either) and are left out.
    """
    samples = [s.samples.between(start_s, end_s) for s in series]
    sets = [s.sets.between(start_s, end_s) for s in series]
    rows = _in_time_order([block for block in samples if block.shape[1]], 3)
    set_rows = _in_time_order([block for block in sets if block.shape[1]], 5)
    if statistic.kind in SIMPLE:
        return _simple(rows, set_rows, statistic.kind, period_s)
    return _ranked(rows, set_rows, statistic, period_s)


def _in_time_order(blocks: list[Floats], width: int) -> Floats:
    if not blocks:
        return np.empty((width, 0))
    if len(blocks) == 1:
        return blocks[0]
    joined = np.concatenate(blocks, axis=1)
    return joined[:, np.argsort(joined[0], kind="stable")]


def _simple(rows: Floats, sets: Floats, kind: str, period_s: int) -> tuple[Ints, Floats]:
    """Average, Sum, Minimum, Maximum or SampleCount of weighted samples and statistic sets together."""
    count, total = np.concatenate((rows[2], sets[1])), np.concatenate((rows[1] * rows[2], sets[2]))
    low, high = np.concatenate((rows[1], sets[3])), np.concatenate((rows[1], sets[4]))
    stamps = np.concatenate((rows[0], sets[0]))
    if not len(stamps):
        return np.empty(0, np.int64), np.empty(0)
    if sets.shape[1] and rows.shape[1]:
        order = np.argsort(stamps, kind="stable")
        stamps, count, total, low, high = (c[order] for c in (stamps, count, total, low, high))
    buckets = _Buckets.of(stamps, period_s)
    starts = buckets.starts
    if kind == "Minimum":
        values = np.minimum.reduceat(low, starts)
    elif kind == "Maximum":
        values = np.maximum.reduceat(high, starts)
    elif kind == "SampleCount":
        values = np.add.reduceat(count, starts)
    elif kind == "Sum":
        values = np.add.reduceat(total, starts)
    else:
        values = np.add.reduceat(total, starts) / np.add.reduceat(count, starts)
    return buckets.periods * period_s, values


def _ranked(rows: Floats, sets: Floats, statistic: Statistic, period_s: int) -> tuple[Ints, Floats]:
    """A percentile or trimmed statistic per period, from values sorted within their period."""
    uniform = sets[:, (sets[1] == 1) | (sets[3] == sets[4])]
    mixed = sets[:, ~((sets[1] == 1) | (sets[3] == sets[4]))]
    if uniform.shape[1]:
        as_samples = np.stack((uniform[0], uniform[3], uniform[1]))
        rows = _in_time_order([block for block in (rows, as_samples) if block.shape[1]], 3)
    if not rows.shape[1]:
        return np.empty(0, np.int64), np.empty(0)
    numbers = (rows[0] // period_s).astype(np.int64)
    order = np.lexsort((rows[1], numbers))
    values, weights = rows[1][order], rows[2][order]
    buckets = _Buckets.of(rows[0], period_s)
    measured = (
        _percentiles(values, weights, buckets.starts, statistic.high)
        if statistic.kind == "percentile"
        else _trimmed(values, weights, buckets.starts, statistic)
    )
    unknown = np.isin(buckets.periods, (mixed[0] // period_s).astype(np.int64)) | np.isnan(measured)
    return (buckets.periods * period_s)[~unknown], measured[~unknown]


def _percentiles(values: Floats, weights: Floats, starts: Ints, quantile: float) -> Floats:
    """The weighted percentile of each bucket: linear between the ranks around q * (count - 1)."""
    cumulative = np.cumsum(weights)
    before = np.concatenate(([0.0], cumulative))[starts]
    ends = np.append(starts[1:], len(values))
    counts = cumulative[ends - 1] - before
    rank = quantile * np.maximum(counts - 1, 0)
    lower = np.floor(rank + 1e-9)
    share = np.clip(rank - lower, 0, 1)

    def at(ranks: Floats) -> Floats:
        found = np.searchsorted(cumulative, before + ranks + 1e-9, side="right")
        return values[np.clip(found, starts, ends - 1)]

    low, high = at(lower), at(np.minimum(lower + 1, np.maximum(counts - 1, 0)))
    return np.asarray(low + (high - low) * share)


def _trimmed(values: Floats, weights: Floats, starts: Ints, statistic: Statistic) -> Floats:
    """Mean, count or sum of the values between two quantiles of each bucket; NaN where none is left."""
    cumulative = np.cumsum(weights)
    ends = np.append(starts[1:], len(values))
    before = np.repeat(np.concatenate(([0.0], cumulative))[starts], ends - starts)
    counts = np.add.reduceat(weights, starts)
    within = cumulative - before
    floor, ceiling = (np.repeat(counts * q, ends - starts) for q in (statistic.low, statistic.high))
    kept = np.clip(np.minimum(within, ceiling) - np.maximum(within - weights, floor), 0, None)
    total, number = np.add.reduceat(kept * values, starts), np.add.reduceat(kept, starts)
    if statistic.kind == "tc":
        return np.asarray(number)
    if statistic.kind == "ts":
        return np.asarray(total)
    return np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0)
