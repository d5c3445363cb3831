"""Metric history: the archive, its cleaning, and percent of reservation turned into vCPU and MiB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planner.metrics.cleaning import CleaningReport, clean
    from planner.metrics.coverage import StoreStatus
    from planner.metrics.reservation import usage
    from planner.metrics.series import read_csv
    from planner.metrics.store import MetricStore

__all__ = ["CleaningReport", "MetricStore", "StoreStatus", "clean", "read_csv", "usage"]

_HOMES = {
    "CleaningReport": "cleaning",
    "MetricStore": "store",
    "StoreStatus": "coverage",
    "clean": "cleaning",
    "read_csv": "series",
    "usage": "reservation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
