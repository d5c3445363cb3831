"""Packing: the cheapest fleet with a proof, and what ECS will really make of it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from planner.packing.problem import PackedInstances, Packing, PackingProblem, ProblemError, Unplaced
from planner.packing.strategy import Strategy, StrategyError, parse_strategy

if TYPE_CHECKING:
    from planner.packing.placement import EcsScheduler, Placed
    from planner.packing.replay import Placement, place
    from planner.packing.solve import pack

__all__ = [
    "EcsScheduler",
    "PackedInstances",
    "Packing",
    "PackingProblem",
    "Placed",
    "Placement",
    "ProblemError",
    "Strategy",
    "StrategyError",
    "Unplaced",
    "pack",
    "parse_strategy",
    "place",
]

# Modules that need numba or HiGHS load when one of their names is first used.
_HEAVY = {
    "EcsScheduler": "placement",
    "Placed": "placement",
    "Placement": "replay",
    "place": "replay",
    "pack": "solve",
}


def __getattr__(name: str) -> Any:
    if name in _HEAVY:
        return getattr(importlib.import_module(f"{__name__}.{_HEAVY[name]}"), name)
    raise AttributeError(f"module {__name__} has no attribute {name}")
