"""The only reads of AWS: clients, the estate of one cluster, and CloudWatch history into the store.

Everything here is thin: it asks, pages, waits for its turn and turns answers into `planner.model` values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planner.aws.clients import Clients, connect
    from planner.aws.inventory import discover
    from planner.aws.observation import Observation, observe, reopen
    from planner.aws.transfer import PullReport, pull

__all__ = ["Clients", "Observation", "PullReport", "connect", "discover", "observe", "pull", "reopen"]

_HOMES = {
    "Clients": "clients",
    "connect": "clients",
    "discover": "inventory",
    "pull": "transfer",
    "PullReport": "transfer",
    "Observation": "observation",
    "observe": "observation",
    "reopen": "observation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
