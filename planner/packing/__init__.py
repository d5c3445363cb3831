"""Packing: the cheapest fleet with a proof, and what ECS will really make of it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from planner.packing.problem import (
    Moved,
    PackedInstances,
    Packing,
    PackingProblem,
    ProblemError,
    SpotRule,
    Unplaced,
)
from planner.packing.strategy import Strategy, StrategyError, parse_strategy

if TYPE_CHECKING:
    from planner.packing.alternatives import Alternative, near_optimal
    from planner.packing.certificate import Certificate, explain
    from planner.packing.ecs_fit import DeploymentRoom, EcsFleet, deployment_room, ecs_fleet
    from planner.packing.placement import EcsScheduler, Placed
    from planner.packing.replay import Placement, place
    from planner.packing.solve import pack, pack_many
    from planner.packing.warm_up import load_kernels

__all__ = [
    "Alternative",
    "Certificate",
    "DeploymentRoom",
    "EcsFleet",
    "EcsScheduler",
    "Moved",
    "PackedInstances",
    "Packing",
    "PackingProblem",
    "Placed",
    "Placement",
    "ProblemError",
    "SpotRule",
    "Strategy",
    "StrategyError",
    "Unplaced",
    "deployment_room",
    "ecs_fleet",
    "explain",
    "load_kernels",
    "near_optimal",
    "pack",
    "pack_many",
    "parse_strategy",
    "place",
]

# Modules that need numba or HiGHS load when one of their names is first used.
_HEAVY = {
    "Alternative": "alternatives",
    "near_optimal": "alternatives",
    "DeploymentRoom": "ecs_fit",
    "EcsFleet": "ecs_fit",
    "deployment_room": "ecs_fit",
    "ecs_fleet": "ecs_fit",
    "Certificate": "certificate",
    "explain": "certificate",
    "pack_many": "solve",
    "load_kernels": "warm_up",
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
