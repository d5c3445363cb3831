"""Forecasts with quantiles, one series or thousands in a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from planner.demand.grid import Grid, to_grid
from planner.demand.notices import Notice, UnusableSeries
from planner.demand.weekly import quantile_name

QUANTILES = (0.5, 0.9, 0.99)


@dataclass(frozen=True, slots=True)
class Forecast:
    """`frame`: columns timestamp (UTC, start of each step) and one a quantile (p50, p90, p99, ...), in the
    unit of the series; quantiles never cross."""

    frame: pd.DataFrame
    model: str
    warnings: tuple[Notice, ...]
    as_of: pd.Timestamp
    step: pd.Timedelta


def forecast(
    series: pd.Series,
    horizon: pd.Timedelta,
    step: pd.Timedelta,
    as_of: pd.Timestamp | None = None,
    timezone: str | None = None,
    holidays: str | None = None,
    quantiles: tuple[float, ...] = QUANTILES,
) -> Forecast:
    """Quantiles of one series (UTC index; naive means UTC) for each step from `as_of` to the horizon.

    Nothing at or after `as_of` is looked at; without it the forecast follows the last point. Raises
    UnusableSeries when no honest forecast can be made and ValueError for a horizon shorter than the step.
    """
    if holidays is not None:
        raise ValueError("bank holidays are not supported yet: leave holidays out")
    if horizon < step:
        raise ValueError(f"the horizon ({horizon}) is shorter than the step ({step})")
    grid = to_grid(series, step, as_of, timezone or "UTC")
    times = _times(grid, horizon)
    paths, model, notices = _quantile_paths(grid, times, quantiles)
    names = [quantile_name(q) for q in quantiles]
    frame = pd.DataFrame(paths, columns=names).assign(timestamp=times)[["timestamp", *names]]
    return Forecast(frame, model, (*grid.notices, *notices), grid.as_of, step)


def forecast_many(
    series: Mapping[str, pd.Series],
    horizon: pd.Timedelta,
    step: pd.Timedelta,
    as_of: pd.Timestamp | None = None,
    timezone: str | None = None,
    holidays: str | None = None,
    quantiles: tuple[float, ...] = QUANTILES,
) -> dict[str, Forecast | UnusableSeries]:
    """One forecast a series by name; a series that cannot be forecast maps to the reason."""
    results: dict[str, Forecast | UnusableSeries] = {}
    for name, one in series.items():
        try:
            results[name] = forecast(one, horizon, step, as_of, timezone, holidays, quantiles)
        except UnusableSeries as reason:
            results[name] = reason
    return results


def _times(grid: Grid, horizon: pd.Timedelta) -> pd.DatetimeIndex:
    start = grid.as_of.ceil(grid.step)
    return pd.date_range(start, periods=int(horizon / grid.step), freq=grid.step).as_unit("ns")


def _quantile_paths(
    grid: Grid, times: pd.DatetimeIndex, quantiles: Sequence[float]
) -> tuple[np.ndarray, str, list[Notice]]:
    values, day = grid.values, grid.steps_per_day
    seen = values[~np.isnan(values)]
    ahead = grid.wall_steps(times) - (grid.first + len(values))
    if len(values) < 3 * day or len(seen) < 2 * day:
        notice = Notice("short-history", f"{len(seen)} steps seen: a plain quantile of them is given")
        return np.tile(np.quantile(seen, quantiles), (len(times), 1)), "plain quantile", [notice]
    filled = pd.Series(values).interpolate(limit_direction="both").to_numpy()
    days = len(filled) // day
    table = filled[len(filled) - days * day :].reshape(days, day)
    weights = 0.8 ** np.arange(days)[::-1]
    slot = ahead % day
    centre = (weights @ table / weights.sum())[slot]
    residual = (table[1:] - table[:-1]).ravel()
    paths = centre[:, None] + np.quantile(residual, quantiles)[None, :]
    floor = 0.0 if seen.min() >= 0 else -np.inf
    return np.maximum(np.maximum.accumulate(paths, axis=1), floor), "daily profile", []
