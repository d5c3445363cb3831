"""Replay both ECS control loops on a demand series, and choose thresholds that hold on unseen weeks."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planner.scaling.batch import Batch, TaskCounts, replay_batch, task_counts
    from planner.scaling.capacity import CapacityChoice, choose_capacity
    from planner.scaling.choose import MOST_TASKS, Infeasible, Tuned
    from planner.scaling.documents import PolicyError, parse_policy, policy_schema, print_policy
    from planner.scaling.outcome import Outcome
    from planner.scaling.policies import Policy
    from planner.scaling.replay import DemandError, simulate
    from planner.scaling.signals import MetricError
    from planner.scaling.tuning import tune

_HOME = {
    "Batch": "batch",
    "CapacityChoice": "capacity",
    "choose_capacity": "capacity",
    "TaskCounts": "batch",
    "task_counts": "batch",
    "Infeasible": "choose",
    "MetricError": "signals",
    "MOST_TASKS": "choose",
    "Tuned": "choose",
    "replay_batch": "batch",
    "tune": "tuning",
    "DemandError": "replay",
    "Outcome": "outcome",
    "Policy": "policies",
    "PolicyError": "documents",
    "parse_policy": "documents",
    "policy_schema": "documents",
    "print_policy": "documents",
    "simulate": "replay",
}

__all__ = [
    "MOST_TASKS",
    "Batch",
    "CapacityChoice",
    "DemandError",
    "Infeasible",
    "MetricError",
    "Outcome",
    "Policy",
    "PolicyError",
    "TaskCounts",
    "Tuned",
    "choose_capacity",
    "parse_policy",
    "policy_schema",
    "print_policy",
    "replay_batch",
    "simulate",
    "task_counts",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
