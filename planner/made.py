"""A finished planning: what documents and pictures are made from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from planner.candidates import FleetCandidate, Search
from planner.cost import CostLine
from planner.decide import Decision
from planner.estate_cost import FixedLines
from planner.model import Estate, Rejection
from planner.prices import PriceBook
from planner.settings import Settings
from planner.timegrid import TimeGrid
from planner.units import UsdPerHour
from planner.week import local_hours, week_means
from planner.workloads import Workload

DECIMALS = 6
"""Of USD per hour in documents: a thousandth of a cent a month."""
COUNT_DECIMALS = 3
"""Of tasks and instances that ran on average."""


@dataclass(frozen=True, slots=True)
class Made:
    """All that a finished planning knows."""

    estate: Estate
    as_of: datetime
    settings: Settings
    book: PriceBook
    grid: TimeGrid
    workloads: tuple[Workload, ...]
    chosen: FleetCandidate
    decision: Decision
    search: Search
    fixed: FixedLines
    today: tuple[CostLine, ...]
    excluded: tuple[Rejection, ...]
    points: pd.DataFrame
    by_strategy: tuple[FleetCandidate, ...] = ()
    """The chosen instances under each placement strategy that was replayed, `chosen` among them."""

    @property
    def fleet_cost(self) -> UsdPerHour:
        return UsdPerHour(sum(g.usd_per_hour for g in self.chosen.groups))

    def workload(self, name: str) -> Workload:
        return next(w for w in self.workloads if w.name == name)

    def waiting(self, name: str) -> np.ndarray:
        """Tasks of a service that waited for room, by minute."""
        return self.chosen.pending().get(name, np.zeros(self.grid.minutes, np.int64))


def busiest_minute(made: Made) -> int:
    """The minute in which the chosen fleet ran most instances; the first of equals."""
    runs = [g.run.instances for g in made.chosen.groups]
    return int(np.argmax(np.sum(runs, axis=0))) if runs else 0


def counts_by_hour(made: Made, by_minute: np.ndarray) -> tuple[float, ...]:
    """The mean of each hour of the week, 168 of them, from counts by minute."""
    means = week_means(by_minute, local_hours(made.grid, made.settings.timezone))
    return tuple(round(float(mean), COUNT_DECIMALS) for mean in means)
