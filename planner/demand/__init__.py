"""From metrics to demand, and from demand to what each service will need, with quantiles.

The names below are loaded when first used, so that `import planner.demand` costs nothing at the start
of a command.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planner.demand.backtesting import Backtest, Score, backtest, pooled
    from planner.demand.changes import Launch, levelled, planned
    from planner.demand.engine import PLAIN
    from planner.demand.forecasting import Forecast, forecast, forecast_many
    from planner.demand.load import LoadToCapacity, ScaleOn, load_to_capacity
    from planner.demand.notices import Notice, UnusableSeries
    from planner.demand.observed import demand, request_demand
    from planner.demand.rightsizing import Kept, Objective, Resize, TaskSize, rightsize
    from planner.demand.weekly import WeeklyQuantiles, hour_of_week, weekly_quantiles

_HOMES = {
    "PLAIN": "engine",
    "Backtest": "backtesting",
    "Forecast": "forecasting",
    "Kept": "rightsizing",
    "Launch": "changes",
    "LoadToCapacity": "load",
    "Notice": "notices",
    "Objective": "rightsizing",
    "Resize": "rightsizing",
    "ScaleOn": "load",
    "Score": "backtesting",
    "TaskSize": "rightsizing",
    "UnusableSeries": "notices",
    "WeeklyQuantiles": "weekly",
    "backtest": "backtesting",
    "demand": "observed",
    "forecast": "forecasting",
    "forecast_many": "forecasting",
    "hour_of_week": "weekly",
    "levelled": "changes",
    "load_to_capacity": "load",
    "planned": "changes",
    "pooled": "backtesting",
    "request_demand": "observed",
    "rightsize": "rightsizing",
    "weekly_quantiles": "weekly",
}

__all__ = [
    "PLAIN",
    "Backtest",
    "Forecast",
    "Kept",
    "Launch",
    "LoadToCapacity",
    "Notice",
    "Objective",
    "Resize",
    "ScaleOn",
    "Score",
    "TaskSize",
    "UnusableSeries",
    "WeeklyQuantiles",
    "backtest",
    "demand",
    "forecast",
    "forecast_many",
    "hour_of_week",
    "levelled",
    "load_to_capacity",
    "planned",
    "pooled",
    "request_demand",
    "rightsize",
    "weekly_quantiles",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
