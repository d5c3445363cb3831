"""What a service is expected to need in the coming week, and how far such forecasts held on its own past.

The demand that thresholds and fleets are chosen on is the measured one, changed by what the past cannot
show (releases that moved its level, planned launches, growth) and raised to the level that the forecast
expects where demand has been rising.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from planner import demand as demand_stage
from planner.demand import Launch, Score
from planner.settings import Settings
from planner.timegrid import TimeGrid
from planner.units import DAYS_PER_WEEK, HOURS_PER_WEEK, MINUTES_PER_DAY

FloatArray = NDArray[np.float64]
WEEK: Final = pd.Timedelta(days=DAYS_PER_WEEK)
MINUTE: Final = pd.Timedelta(minutes=1)
JUDGED_STEP: Final = pd.Timedelta(minutes=15)
JUDGED_DAYS: Final = 7
QUANTILES: Final = (0.5, 0.9, 0.99)
RISING_FROM: Final = 1.1
"""Level expected over that of a past day from which the day is raised: days differ by less from mood alone."""
RAISED_AT_MOST: Final = 3.0
LEAST_DAYS_TO_RISE: Final = 10
"""With fewer days there is no second weekend to compare with."""
SAID_ELSEWHERE: Final = ("gaps", "clock-change")
"""Gaps are counted in the plan already, and clocks change for every service alike."""
LEAST_MEASURED: Final = 0.5
"""Share of a day's minutes that must be measured before its level says anything."""


@dataclass(frozen=True, slots=True)
class Expected:
    """Quantiles of the coming week by hour of the local week (168 from Monday 00:00), in vCPU by minute."""

    p50: FloatArray
    p90: FloatArray
    p99: FloatArray
    model: str
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, paths: FloatArray, model: str, warnings: tuple[str, ...]) -> Expected:
        """paths: (168, 3) for p50, p90 and p99."""
        p50, p90, p99 = paths.T
        return cls(p50, p90, p99, model, warnings)

    def changed(self, grid: TimeGrid, settings: Settings, service: str) -> Expected:
        """The same with growth and launches of the service, each hour as in the coming week."""
        hours = pd.date_range(grid.end, periods=HOURS_PER_WEEK, freq="h")
        place = demand_stage.hour_of_week(hours, settings.timezone)
        paths = np.column_stack([self.p50, self.p90, self.p99])
        changed = paths * (1 + settings.growth)  # an hour that a clock change skips has no launch either
        changed[place] = demand_stage.planned(
            paths[place], hours, hours[0], growth=settings.growth, launches=launches_of(settings, service)
        )
        return Expected.of(changed, self.model, self.warnings)


def launches_of(settings: Settings, service: str) -> tuple[Launch, ...]:
    return tuple(
        Launch(
            pd.Timestamp(one.at),
            one.factor,
            one.add_vcpu,
            until=None if one.until is None else pd.Timestamp(one.until),
        )
        for one in settings.launches
        if one.service == service
    )


def expected_week(observed: FloatArray, grid: TimeGrid, settings: Settings, service: str) -> Expected:
    """Forecast the week after the grid from demand by minute (NaN: not measured).

    With fewer than three days, quantiles by hour of the week stand in, and a warning says so. Raises
    UnusableSeries where nothing was measured.
    """
    series = pd.Series(observed, index=grid.index)
    made = demand_stage.forecast(
        series,
        WEEK,
        MINUTE,
        pd.Timestamp(grid.end),
        settings.timezone,
        settings.holidays,
        deployments=[pd.Timestamp(at) for at in settings.deployments.get(service, ())],
    )
    warnings = tuple(str(notice) for notice in made.warnings if notice.name not in SAID_ELSEWHERE)
    if made.model == demand_stage.PLAIN:
        week = demand_stage.weekly_quantiles(series, settings.timezone)
        table = week.table[["p50", "p90", "p99"]].to_numpy()
        return Expected.of(table, "quantiles by hour of the week", (*warnings, *map(str, week.warnings)))
    place = demand_stage.hour_of_week(pd.DatetimeIndex(made.frame["timestamp"]), settings.timezone)
    means = made.frame[["p50", "p90", "p99"]].groupby(place).mean()
    whole = means.reindex(range(HOURS_PER_WEEK)).ffill().bfill()  # a clock change skips an hour
    return Expected.of(whole.to_numpy(), made.model, warnings)


def wanted_demand(
    observed: FloatArray, expected: Expected, grid: TimeGrid, settings: Settings, service: str
) -> tuple[FloatArray, tuple[str, ...]]:
    """Demand by minute that the plan has to serve, and what was changed of the measured one, in words."""
    values, told = released(observed, grid, settings.deployments.get(service, ()))
    values, raised = _raised(values, expected, grid, settings)
    values = values * (1 + settings.growth)
    for launch in launches_of(settings, service):
        if launch.until is None or launch.until > grid.end:
            values = values * launch.factor + launch.add
            told = (*told, f"launch: planned for from the start, though it comes at {launch.at.isoformat()}")
    return values, (*told, *raised)


def released(
    observed: FloatArray, grid: TimeGrid, moments: Sequence[datetime]
) -> tuple[FloatArray, tuple[str, ...]]:
    """Demand before each release brought to the level after it."""
    if not moments:
        return observed, ()
    places = [int((pd.Timestamp(at) - pd.Timestamp(grid.start)) / MINUTE) for at in moments]
    names = [pd.Timestamp(at).isoformat() for at in moments]
    values, notices = demand_stage.levelled(observed, places, MINUTES_PER_DAY, names)
    return values, tuple(str(notice) for notice in notices)


def _raised(
    values: FloatArray, expected: Expected, grid: TimeGrid, settings: Settings
) -> tuple[FloatArray, tuple[str, ...]]:
    """Past days raised to the level expected for the coming week, as far as demand rose since.

    The ratio of the expected level to that of each past day (at the same hours of the week) is fitted by a
    line of steps that never rises again towards today (isotonic regression), so that one odd day counts
    little and a shift or a trend counts whole. What falls is left alone: capacity is not planned away
    because a week was quiet.
    """
    ratios, measured = _day_ratios(values, expected, grid, settings)
    if (measured > 0).sum() < LEAST_DAYS_TO_RISE or not (ratios[measured > 0] > RISING_FROM).any():
        return values, ()
    from scipy.optimize import isotonic_regression

    known = np.flatnonzero(measured)
    fitted = isotonic_regression(ratios[known], weights=measured[known], increasing=False).x
    factors = np.interp(np.arange(len(ratios)), known, fitted)
    factors = np.where(factors >= RISING_FROM, np.minimum(factors, RAISED_AT_MOST), 1.0)
    if (factors == 1).all():
        return values, ()
    days = int((factors > 1).sum())
    words = (
        f"rising-demand: {days} of {len(factors)} past days were raised, by up to {factors.max():.2f} times, to "
        "the level that the forecast expects"
    )
    return values * factors[np.arange(len(values)) // MINUTES_PER_DAY], (words,)


def _day_ratios(
    values: FloatArray, expected: Expected, grid: TimeGrid, settings: Settings
) -> tuple[FloatArray, FloatArray]:
    """(days of 24 hours from the start of the grid): expected over measured level, and minutes measured."""
    usual = expected.p50[demand_stage.hour_of_week(grid.index, settings.timezone)]
    known = np.isfinite(values)
    starts = np.arange(0, len(values), MINUTES_PER_DAY)
    sums = np.add.reduceat(np.where(known, values, 0.0), starts)
    expected_sums = np.add.reduceat(np.where(known, usual, 0.0), starts)
    measured = np.add.reduceat(known.astype(float), starts)
    usable = (measured >= LEAST_MEASURED * MINUTES_PER_DAY) & (sums > 0)
    ratios = np.divide(expected_sums, sums, out=np.ones_like(sums), where=usable)
    return ratios, np.where(usable, measured, 0.0)


def judged(service: str, observed: FloatArray, grid: TimeGrid, settings: Settings) -> Score | str:
    """Day-ahead forecasts of quarter hours from the last seven days' starts; the reason where there is none."""
    means = pd.Series(observed, index=grid.index).resample(JUDGED_STEP).mean()
    found = demand_stage.backtest(
        {service: means},
        step=JUDGED_STEP,
        origins=JUDGED_DAYS,
        timezone=settings.timezone,
        holidays=settings.holidays,
    )
    return found.scores[0] if found.scores else found.skipped[0].reason


def unknown_services(settings: Settings, known: Mapping[str, object] | Sequence[str], cluster: str) -> str | None:
    """One sentence for services that settings name and the cluster does not have."""
    problems = [
        f"{name} names {', '.join(sorted(set(missing)))}"
        for name, services in settings.named_services.items()
        if (missing := [s for s in services if s not in known])
    ]
    return f"{'; '.join(problems)}, which cluster {cluster} does not have." if problems else None
