"""A finished planning made by hand, in a second: workloads with given tasks on given types."""

from __future__ import annotations

import numpy as np
import pandas as pd

from planner.candidates import FleetCandidate, Search, search_fleets
from planner.decide import Decision, Limits, decide
from planner.estate_cost import FixedLines
from planner.made import Made
from planner.model import InstanceType
from planner.prices import load
from planner.settings import Settings
from planner.strategies import under_other_strategies
from planner.units import UsdPerHour
from planner.workloads import Workload
from tests.estates import AS_OF, estate
from tests.planner.test_candidates import GRID, ZONES

BOOK = load()


def made(*workloads: Workload, offers: tuple[InstanceType, ...], **settings: object) -> Made:
    """`workloads` as planned on the cheapest of `offers`, in three zones."""
    asked = Settings.model_validate({"timezone": "UTC", **settings})
    search = Search(offers, ZONES, asked, UsdPerHour(0))
    found = search_fleets(workloads, search)
    best = _chosen(found, decided(found, asked))
    siblings = [best, *under_other_strategies(best, workloads, search)]
    decision = decided([*found, *siblings[1:]], asked)
    return Made(
        estate(*(w.service for w in workloads)), AS_OF, asked, BOOK, GRID, workloads,
        _chosen([*found, *siblings], decision), decision, search, FixedLines((), ()), (), (), pd.DataFrame(),
        tuple(siblings),
    )  # fmt: skip


def decided(found: list[FleetCandidate], asked: Settings) -> Decision:
    decision = decide([c.option for c in found], Limits(asked.slo))
    assert isinstance(decision, Decision)
    return decision


def _chosen(found: list[FleetCandidate], decision: Decision) -> FleetCandidate:
    return next(c for c in found if c.option.name == decision.chosen.name)


def steps(*counts: int) -> np.ndarray:
    """Tasks that stay at each of the counts for equal parts of the minutes."""
    return np.repeat(counts, GRID.minutes // len(counts))
