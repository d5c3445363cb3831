"""Back-test: forecasts made from the past only, scored on what followed.

Per series and pooled: pinball loss as a ratio to the daily seasonal naive, coverage of p90 and p99, and
what following the advice (capacity at p99) would have cost and missed, beside capacity held at the
highest value of the two weeks before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from planner.demand.forecasting import Forecast, forecast_many
from planner.demand.naive import WINDOW_DAYS, seasonal_naive
from planner.demand.notices import Notice
from planner.demand.training import pinball
from planner.model import Rejection

DAY = pd.Timedelta(days=1)
QUARTER = pd.Timedelta(minutes=15)
SCORED = (0.5, 0.9, 0.99)
LEAST_HISTORY = pd.Timedelta(days=4)


@dataclass(frozen=True, slots=True)
class Score:
    """How forecasts of one series (or of all, pooled) did on steps they had not seen.

    `pinball_ratio`: loss over that of the seasonal naive for p50, p90, p99 (below 1 is better; pooled: the
    geometric mean); None where the naive's loss was 0. `coverage`: share of values at or below p90 and
    p99. Capacity is in the unit of the series times hours; `missed_minutes` are those in which the value
    exceeded it.
    """

    name: str
    forecasts: int
    steps: int
    pinball_ratio: tuple[float | None, ...]
    coverage_p90: float
    coverage_p99: float
    capacity_hours: float
    missed_minutes: float
    peak_capacity_hours: float
    peak_missed_minutes: float
    usd: float | None = None
    peak_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Backtest:
    scores: tuple[Score, ...]
    pooled: Score | None
    skipped: tuple[Rejection, ...]
    warnings: tuple[Notice, ...]


@dataclass
class _Record:
    """What one series gathers over all origins."""

    actual: list[np.ndarray]
    made: list[np.ndarray]
    naive: list[np.ndarray]
    peak: list[np.ndarray]
    warnings: set[str]


def backtest(
    series: Mapping[str, pd.Series],
    *,
    horizon: pd.Timedelta = DAY,
    step: pd.Timedelta = QUARTER,
    every: pd.Timedelta = DAY,
    origins: int = 7,
    timezone: str | None = None,
    holidays: str | None = None,
    usd_per_unit_hour: float | None = None,
) -> Backtest:
    """Score forecasts of each series (UTC index) from its last `origins` origins, `every` so far apart.

    The last origin lies one horizon before a series' end. usd_per_unit_hour prices capacity, e.g. the
    price of a vCPU-hour for series in vCPU. Series too short for one origin are skipped with the reason.
    """
    observed = {name: _observed(one, step) for name, one in series.items()}
    by_origin: dict[pd.Timestamp, list[str]] = {}
    skipped = []
    for name, one in observed.items():
        places = _origins(one, horizon, step, every, origins)
        if not places:
            days = (one.index[-1] - one.index[0]) / pd.Timedelta(days=1) if len(one) else 0.0
            skipped.append(Rejection(name, f"{days:.1f} days of history leave nothing to forecast and score"))
        for place in places:
            by_origin.setdefault(place, []).append(name)
    records: dict[str, _Record] = {}
    for origin in sorted(by_origin):
        chosen = {name: series[name] for name in by_origin[origin]}
        made = forecast_many(chosen, horizon, step, origin, timezone, holidays, SCORED)
        for name, result in made.items():
            if isinstance(result, Forecast):
                _add(records.setdefault(name, _Record([], [], [], [], set())), result, observed[name], origin)
    return _scored(records, skipped, step, usd_per_unit_hour)


def _observed(series: pd.Series, step: pd.Timedelta) -> pd.Series:
    """Means over steps on a regular UTC grid."""
    index = pd.DatetimeIndex(series.index)
    index = index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC")
    values: pd.Series = pd.Series(np.asarray(series.to_numpy(), dtype=float), index=index)
    values = values[np.isfinite(values) & np.asarray(index.notna())]
    if len(values):
        values = values.sort_index(kind="stable").resample(step).mean()
    return values


def _origins(
    observed: pd.Series, horizon: pd.Timedelta, step: pd.Timedelta, every: pd.Timedelta, count: int
) -> list[pd.Timestamp]:
    if not len(observed):
        return []
    last = (observed.index[-1] + step - horizon).floor(step)
    places = [last - i * every for i in range(count)]
    return [place for place in places if place - observed.index[0] >= LEAST_HISTORY]


def _add(record: _Record, made: Forecast, observed: pd.Series, origin: pd.Timestamp) -> None:
    times = pd.DatetimeIndex(made.frame["timestamp"])
    actual = observed.reindex(times).to_numpy()
    naive = seasonal_naive(observed, times, origin, SCORED)
    before = observed[(observed.index < origin) & (observed.index >= origin - WINDOW_DAYS * pd.Timedelta(days=1))]
    known = np.isfinite(actual) & np.isfinite(naive).all(axis=1)
    record.actual.append(actual[known])
    record.made.append(made.frame[["p50", "p90", "p99"]].to_numpy()[known])
    record.naive.append(naive[known])
    record.peak.append(np.full(int(known.sum()), float(before.max())))
    record.warnings |= {notice.name for notice in made.warnings}


def _scored(
    records: dict[str, _Record], skipped: list[Rejection], step: pd.Timedelta, price: float | None
) -> Backtest:
    scores, warnings = [], []
    for name, record in sorted(records.items()):
        if not sum(len(part) for part in record.actual):
            skipped.append(Rejection(name, "no step that was forecast has both a value and one a day before"))
            continue
        scores.append(_score(name, record, step, price))
        warnings += [Notice(warning, f"said of {name}") for warning in sorted(record.warnings)]
    return Backtest(tuple(scores), pooled(scores) if scores else None, tuple(skipped), tuple(warnings))


def _score(name: str, record: _Record, step: pd.Timedelta, price: float | None) -> Score:
    actual, made = np.concatenate(record.actual), np.concatenate(record.made)
    naive, peak = np.concatenate(record.naive), np.concatenate(record.peak)
    ratios: list[float | None] = []
    for place, quantile in enumerate(SCORED):
        reference = float(pinball(actual - naive[:, place], quantile).mean())
        loss = float(pinball(actual - made[:, place], quantile).mean())
        ratios.append(loss / reference if reference > 0 else None)
    hours, minutes = step / pd.Timedelta(hours=1), step / pd.Timedelta(minutes=1)
    capacity, peak_capacity = float(made[:, 2].sum()) * hours, float(peak.sum()) * hours
    return Score(
        name,
        len(record.actual),
        len(actual),
        tuple(ratios),
        float((actual <= made[:, 1]).mean()),
        float((actual <= made[:, 2]).mean()),
        capacity,
        float((actual > made[:, 2]).sum()) * minutes,
        peak_capacity,
        float((actual > peak).sum()) * minutes,
        None if price is None else capacity * price,
        None if price is None else peak_capacity * price,
    )


def pooled(scores: Sequence[Score]) -> Score:
    """All series together: coverage over all steps, the geometric mean of the ratios, sums of the rest."""
    weights = np.array([score.steps for score in scores], dtype=float)

    def mean_ratio(place: int) -> float | None:
        known = [r for r in (score.pinball_ratio[place] for score in scores) if r is not None and r > 0]
        return float(np.exp(np.mean(np.log(known)))) if known else None

    def share(values: list[float]) -> float:
        return float(np.average(values, weights=weights))

    def total(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return float(sum(known)) if len(known) == len(values) else None

    return Score(
        "pooled",
        sum(score.forecasts for score in scores),
        int(weights.sum()),
        tuple(mean_ratio(place) for place in range(len(SCORED))),
        share([score.coverage_p90 for score in scores]),
        share([score.coverage_p99 for score in scores]),
        float(sum(score.capacity_hours for score in scores)),
        float(sum(score.missed_minutes for score in scores)),
        float(sum(score.peak_capacity_hours for score in scores)),
        float(sum(score.peak_missed_minutes for score in scores)),
        total([score.usd for score in scores]),
        total([score.peak_usd for score in scores]),
    )
