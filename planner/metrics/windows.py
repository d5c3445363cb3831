"""Half-open time windows in whole seconds, and what CloudWatch still has of them.

A window is `(start_s, end_s)`, seconds since 1970, `start_s` inside and `end_s` outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from planner.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

Window = tuple[int, int]

LATE_S: Final = 2 * SECONDS_PER_HOUR
"""Datapoints may arrive up to 2 hours late (CloudWatch user guide, "Publish custom metrics"), so what was
read of the last 2 hours before the moment of reading is read again."""


@dataclass(frozen=True, slots=True)
class Tier:
    """CloudWatch keeps points of `period_s` for `kept_s` (CloudWatch user guide, "Metrics retention")."""

    period_s: int
    kept_s: int


TIERS: Final = (
    Tier(60, 15 * SECONDS_PER_DAY),
    Tier(300, 63 * SECONDS_PER_DAY),
    Tier(3600, 455 * SECONDS_PER_DAY),
)


def union(windows: Iterable[Window]) -> list[Window]:
    """Sorted, disjoint, non-touching windows that cover the same seconds."""
    merged: list[Window] = []
    for start, end in sorted(w for w in windows if w[0] < w[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def subtract(window: Window, covered: Sequence[Window]) -> list[Window]:
    """The parts of `window` that no window of `covered` covers."""
    left: list[Window] = []
    start, end = window
    for covered_start, covered_end in union(covered):
        if covered_end <= start:
            continue
        if covered_start >= end:
            break
        if covered_start > start:
            left.append((start, covered_start))
        start = max(start, covered_end)
    if start < end:
        left.append((start, end))
    return left


def settled(window: Window, observed_s: int) -> Window:
    """The part of a window read at `observed_s` in which no late datapoint can arrive any more."""
    return window[0], min(window[1], observed_s - LATE_S)


def floor(moment_s: int, step_s: int) -> int:
    return moment_s // step_s * step_s


def ceil(moment_s: int, step_s: int) -> int:
    return -(-moment_s // step_s) * step_s


def tiers(window: Window, now_s: int, finest_s: int = 60) -> tuple[list[tuple[int, Window]], Window | None]:
    """Split `window` by the finest period that CloudWatch still keeps at `now_s`.

    Returns (period_s, window) from the newest to the oldest, and the part that is forgotten for good. The
    border of a finer tier is rounded up to the next coarser period, so that no coarse point is cut in two.
    The newest end is rounded down to whole periods: a period still running is not read.
    """
    kept = [tier for tier in TIERS if tier.period_s >= finest_s]
    found: list[tuple[int, Window]] = []
    end = floor(min(window[1], now_s), kept[0].period_s)
    for tier, coarser in zip(kept, [*kept[1:], kept[-1]], strict=True):
        oldest = ceil(now_s - tier.kept_s, coarser.period_s)
        start = max(floor(window[0], tier.period_s), oldest)
        if not found:
            end = floor(end, tier.period_s)
        if start < end:
            found.append((tier.period_s, (start, end)))
            end = start
        if oldest <= window[0]:
            return found, None
    return found, (window[0], min(end, window[1]))
