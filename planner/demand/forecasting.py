"""Forecasts with quantiles, one series or thousands in a call.

How: many simple forecasts are made and combined by their past errors (planner.demand.candidates);
gradient-boosted trees trained for the pinball loss on made series (planner.demand.synthetic) then give
each quantile as a distance from that centre in units of its usual error (planner.demand.features); the
far tail is then corrected by the errors of this very series and by room for a level it never had
(planner.demand.tails). A series that says too little gets the plain quantiles of its recent values and a
named warning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from planner.demand import boosting, engine
from planner.demand.changes import Launch, planned
from planner.demand.grid import span_text
from planner.demand.notices import Notice, UnusableSeries
from planner.demand.weekly import quantile_name

QUANTILES = (0.5, 0.9, 0.99)
LONGEST = pd.Timedelta(days=400)
MOST_STEPS = 600_000


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
    *,
    growth: float = 0.0,
    growth_per_year: float = 0.0,
    launches: Sequence[Launch] = (),
    deployments: Sequence[pd.Timestamp] = (),
) -> Forecast:
    """Quantiles of one series (UTC index; naive means UTC) for each step from `as_of` to the horizon.

    Nothing at or after `as_of` is looked at; without it the forecast follows the last point. A value is
    the mean over its step, in the unit of the series. Days and weeks follow `timezone` (UTC by default);
    `holidays` names a country (GB) or a part of it (GB-ENG). growth 0.2 adds 20 % at once, growth_per_year
    as much by a year from `as_of` on; deployments are moments at which the level may have changed for good.

    Raises UnusableSeries when no honest forecast can be made, ValueError for options that make no sense.
    """
    made = forecast_many(
        {"series": series},
        horizon,
        step,
        as_of,
        timezone,
        holidays,
        quantiles,
        growth=growth,
        growth_per_year=growth_per_year,
        launches=launches,
        deployments=deployments,
    )["series"]
    if isinstance(made, UnusableSeries):
        raise made
    return made


def forecast_many(
    series: Mapping[str, pd.Series],
    horizon: pd.Timedelta,
    step: pd.Timedelta,
    as_of: pd.Timestamp | None = None,
    timezone: str | None = None,
    holidays: str | None = None,
    quantiles: tuple[float, ...] = QUANTILES,
    *,
    growth: float = 0.0,
    growth_per_year: float = 0.0,
    launches: Sequence[Launch] = (),
    deployments: Sequence[pd.Timestamp] = (),
    train: bool = True,
) -> dict[str, Forecast | UnusableSeries]:
    """One forecast a series by name, as `forecast`; a series that cannot be forecast maps to the reason.

    From twenty series on the trees for p50 and p90 are trained further on the past of all of them, unless
    `train` is False; a forecast then depends on the company it is made in, and not on their order.
    """
    _check(horizon, step, quantiles)
    past_rows = boosting.rows_a_series(len(series)) if train and series else 0
    settings = engine.Settings(horizon, step, timezone or "UTC", holidays, tuple(quantiles), past_rows)
    prepared: dict[str, engine.Prepared | UnusableSeries] = {}
    for name in sorted(series):
        try:
            prepared[name] = engine.prepare(series[name], settings, as_of, deployments)
        except UnusableSeries as reason:
            prepared[name] = reason
    ready = {name: one for name, one in prepared.items() if isinstance(one, engine.Prepared)}
    paths = engine.quantile_paths(list(ready.values()), settings)
    results: dict[str, Forecast | UnusableSeries] = {}
    found = dict(zip(ready, paths, strict=True))
    for name in series:
        one = prepared[name]
        if isinstance(one, UnusableSeries):
            results[name] = one
            continue
        changed = planned(
            found[name],
            one.times,
            one.as_of,
            growth=growth,
            growth_per_year=growth_per_year,
            launches=launches,
        )
        results[name] = _forecast(one, changed, settings)
    return results


def _forecast(one: engine.Prepared, paths: np.ndarray, settings: engine.Settings) -> Forecast:
    ordered = np.maximum.accumulate(paths, axis=1)
    if one.never_negative:
        ordered = np.maximum(ordered, 0.0)
    names = [quantile_name(q) for q in sorted(settings.quantiles)]
    frame = pd.DataFrame(ordered, columns=names).assign(timestamp=one.times)[["timestamp", *names]]
    return Forecast(frame, one.model, one.notices, one.as_of, settings.step)


def _check(horizon: pd.Timedelta, step: pd.Timedelta, quantiles: tuple[float, ...]) -> None:
    if step <= pd.Timedelta(0) or horizon <= pd.Timedelta(0):
        raise ValueError("the horizon and the step must be longer than nothing")
    if horizon < step:
        raise ValueError(
            f"the horizon ({span_text(horizon)}) is shorter than the step ({span_text(step)}): pass a "
            "longer horizon or a shorter step"
        )
    if horizon > LONGEST:
        raise ValueError(f"the horizon ({span_text(horizon)}) is beyond {LONGEST.days} days")
    if horizon / step > MOST_STEPS:
        raise ValueError(f"the horizon holds more than {MOST_STEPS:,} steps: pass a longer step")
    lowest, highest = engine.QUANTILE_RANGE
    wrong = [q for q in quantiles if not lowest <= q <= highest]
    if wrong or not quantiles:
        raise ValueError(f"quantiles must lie between {lowest} and {highest}, not {wrong or 'none at all'}")
