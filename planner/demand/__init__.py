"""From metrics to demand, and from demand to what each service will need, with quantiles.

The names below are loaded when first used, so that `import planner.demand` costs nothing at the start
of a command.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planner.demand.forecasting import Forecast, forecast, forecast_many
    from planner.demand.notices import Notice
    from planner.demand.observed import demand, request_demand
    from planner.demand.rightsizing import Kept, Resize, TaskSize, rightsize
    from planner.demand.weekly import WeeklyQuantiles, weekly_quantiles

_HOMES = {
    "Forecast": "forecasting",
    "Kept": "rightsizing",
    "Notice": "notices",
    "Resize": "rightsizing",
    "TaskSize": "rightsizing",
    "WeeklyQuantiles": "weekly",
    "demand": "observed",
    "forecast": "forecasting",
    "forecast_many": "forecasting",
    "request_demand": "observed",
    "rightsize": "rightsizing",
    "weekly_quantiles": "weekly",
}

__all__ = [
    "Forecast",
    "Kept",
    "Notice",
    "Resize",
    "TaskSize",
    "WeeklyQuantiles",
    "demand",
    "forecast",
    "forecast_many",
    "request_demand",
    "rightsize",
    "weekly_quantiles",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
