"""How much of each day the store holds, of each resource and metric."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from planner.metrics.blocks import Rows
from planner.metrics.parts import Part
from planner.units import SECONDS_PER_DAY, SECONDS_PER_MINUTE


class Held(NamedTuple):
    """What the store has of one resource and metric on one day."""

    rows: int
    share: float
    """Of the day, 0 to 1."""
    finest_s: int
    coarsest_s: int


@dataclass(frozen=True, slots=True)
class MetricStatus:
    """What the store holds of one metric of one cluster."""

    metric: str
    resources: int
    first_day: str
    last_day: str
    days: int
    rows: int
    size_bytes: int
    periods_s: tuple[int, ...]
    """More than one: the history has seams, over which percentiles must not be compared."""


@dataclass(frozen=True, slots=True)
class StoreStatus:
    cluster: str
    metrics: tuple[MetricStatus, ...]
    refusals: tuple[tuple[str, str, str], ...]
    """(resource, metric, reason) of what could not be read."""


def held_by(parts: Iterable[Part]) -> tuple[dict[str, Held], list[str]]:
    """What each resource has by the indexes of a day's parts, and the resources whose rows must be counted
    because several parts or periods may hold the same minutes."""
    found: dict[str, Held] = {}
    holders: Counter[str] = Counter()
    for part in parts:
        for resource in part.index:
            place = part.place(resource)
            if place is not None:
                holders[resource] += 1
                share = min(1.0, place.covered_s / SECONDS_PER_DAY)
                found[resource] = Held(place.rows, share, place.finest_s, place.coarsest_s)
    several = [r for r, held in found.items() if holders[r] > 1 or held.finest_s != held.coarsest_s]
    return found, several


def held_in(rows: Rows) -> dict[str, Held]:
    """What each resource has by the rows of a day, overlapping minutes counted once."""
    found: dict[str, Held] = {}
    for code, name in enumerate(rows.names):
        of_one = rows.take(np.flatnonzero(rows.resource == code))
        if not len(of_one):
            continue
        periods = of_one.period_s
        seconds = np.concatenate(
            [
                np.arange(t, t + p, SECONDS_PER_MINUTE)
                for t, p in zip(of_one.timestamp_s.tolist(), periods.tolist(), strict=True)
            ]
        )
        share = min(1.0, len(np.unique(seconds)) * SECONDS_PER_MINUTE / SECONDS_PER_DAY)
        found[name] = Held(len(of_one), share, int(periods.min()), int(periods.max()))
    return found


def metric_status(metric: str, held: pd.DataFrame, size_bytes: int) -> MetricStatus:
    periods = set(held["finest_s"]) | set(held["coarsest_s"])
    return MetricStatus(
        metric,
        held["resource"].nunique(),
        str(held["day"].min()),
        str(held["day"].max()),
        held["day"].nunique(),
        int(held["rows"].sum()),
        size_bytes,
        tuple(sorted(int(period) for period in periods)),
    )
