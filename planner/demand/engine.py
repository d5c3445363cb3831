"""The forecast of one series step by step: prepare, predict with all others, assemble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pandas as pd

from planner.demand import boosting, calendar, tails, trees
from planner.demand.candidates import MAX_DAYS_AHEAD, Candidates, History
from planner.demand.changes import levelled
from planner.demand.features import Featuriser, Rows
from planner.demand.grid import Grid, clock_change, to_grid
from planner.demand.notices import Notice
from planner.demand.smoothing import Array

QUANTILE_RANGE = (0.1, 0.999)
DAY = pd.Timedelta(days=1)
PLAIN = "plain quantile"
"""The model of a series that says too little."""
ENGINE_MINUTES = (15, 16, 18, 20, 24, 30, 36, 40, 45, 48, 60)
"""Steps the trees work on: those that divide a day. A finer step adds the spread within one of these, a
coarser one averages them."""
MEMORY_DAYS = 56
"""History beyond eight weeks is not looked at: profiles reach back four, their errors are weighed over four."""
RECORD_DAYS = 28
LEAST_DAYS = 3
WEEKLY_DAYS = 14
LEAST_SEEN = 0.5
STALE_DAYS = 28
DEFAULT_DRIFT = 0.05
"""Weekly drift of the level, as a share of it, where the history is too short to measure any."""


@dataclass(frozen=True, slots=True)
class Settings:
    horizon: pd.Timedelta
    step: pd.Timedelta
    timezone: str
    holidays: str | None
    quantiles: tuple[float, ...]
    past_rows: int = 0
    """Forecasts of each series' own past to lay out, for training on all series of the call."""

    @property
    def engine_step(self) -> pd.Timedelta:
        minutes = self.step / pd.Timedelta(minutes=1)
        return pd.Timedelta(minutes=next((m for m in ENGINE_MINUTES if m >= minutes), ENGINE_MINUTES[-1]))


@dataclass(frozen=True, slots=True)
class Prepared:
    """One series ready for the trees (`rows`), or already answered by constants (`plain`)."""

    times: pd.DatetimeIndex
    as_of: pd.Timestamp
    model: str
    notices: tuple[Notice, ...]
    never_negative: bool
    plain: Array | None = None
    """(quantiles,) where the history says too little."""
    rows: Rows | None = None
    weeks_beyond: Array | None = None
    """(rows,) whole weeks that each row stands beyond the seven days the trees look ahead."""
    drift: float = 0.0
    """Standard deviation of the level from one week to the next."""
    places: Array | None = None
    """(steps, k): the rows that each step of the answer averages."""
    past: boosting.Past | None = None
    within: Array | None = None
    """(steps, quantiles): spread inside one engine step, where the answer's step is finer."""


def prepare(
    series: pd.Series, settings: Settings, as_of: pd.Timestamp | None, deployments: Sequence[pd.Timestamp]
) -> Prepared:
    """Clean one series, judge whether it can be forecast, and lay out what the trees need."""
    grid = to_grid(series, settings.engine_step, as_of, settings.timezone, MEMORY_DAYS)
    fine = (
        to_grid(series, settings.step, as_of, settings.timezone, MEMORY_DAYS)
        if settings.step < settings.engine_step
        else None
    )
    notices = list((fine or grid).notices)
    times = pd.date_range(
        grid.as_of.ceil(settings.step), periods=int(settings.horizon / settings.step), freq=settings.step
    ).as_unit("ns")
    looked_at = max(grid.as_of - MEMORY_DAYS * DAY, _in_utc(pd.DatetimeIndex(series.index).min()))
    changed = clock_change(looked_at, times[-1], settings.timezone)
    notices += [changed] if changed else []
    values, told = _levelled(grid, deployments)
    notices += told
    seen = values[~np.isnan(values)]
    never_negative = bool(seen.min() >= 0)
    reason = _too_little(grid, values, seen)
    if np.ptp(seen) == 0 or reason is not None:
        constant = np.ptp(seen) == 0
        notices.append(Notice("constant", "every value is the same") if constant else reason)  # type: ignore[arg-type]
        if constant and reason is not None:
            notices.append(reason)
        recent = (fine or grid).values[-WEEKLY_DAYS * (fine or grid).steps_per_day :]
        recent = recent[~np.isnan(recent)] if np.isfinite(recent).any() else seen
        plain = np.quantile(recent, sorted(settings.quantiles))
        return Prepared(times, grid.as_of, PLAIN, tuple(notices), never_negative, plain=plain)
    if len(values) < WEEKLY_DAYS * grid.steps_per_day:
        days = len(values) / grid.steps_per_day
        notices.append(Notice("short-history", f"{days:.1f} days of history cannot show a weekly pattern"))
    return _laid_out(grid, values, fine, times, notices, never_negative, settings)


def _in_utc(at: pd.Timestamp) -> pd.Timestamp:
    return at.tz_localize("UTC") if at.tz is None else at.tz_convert("UTC")


def _levelled(grid: Grid, deployments: Sequence[pd.Timestamp]) -> tuple[Array, list[Notice]]:
    known = [_in_utc(at) for at in deployments]
    known = [at for at in known if at < grid.as_of]
    if not known:
        return grid.values, []
    moments = [int(place) - grid.first for place in grid.wall_steps(pd.DatetimeIndex(known))]
    return levelled(grid.values, moments, grid.steps_per_day, [at.isoformat() for at in known])


def _too_little(grid: Grid, values: Array, seen: Array) -> Notice | None:
    day = grid.steps_per_day
    recent = values[-7 * day :]
    if len(values) < LEAST_DAYS * day or len(seen) < LEAST_DAYS * day * LEAST_SEEN:
        days = len(seen) / day
        return Notice("short-history", f"{days:.1f} days of data: plain quantiles of them are given")
    if np.isfinite(recent).mean() < LEAST_SEEN:
        return Notice("sparse-history", "most of the last week is missing: plain quantiles are given")
    if grid.stale > STALE_DAYS * DAY:
        return Notice("stale-data", f"the data end {grid.stale.days} days early: plain quantiles are given")
    return None


def _laid_out(
    grid: Grid,
    values: Array,
    fine: Grid | None,
    times: pd.DatetimeIndex,
    notices: list[Notice],
    never_negative: bool,
    settings: Settings,
) -> Prepared:
    day, last = grid.steps_per_day, len(values) - 1
    covered = max(1, round(settings.step / grid.step))
    leads = np.maximum(1, grid.wall_steps(times) - grid.first - last)[:, None] + np.arange(covered)
    wanted, places = np.unique(leads, return_inverse=True)
    week = MAX_DAYS_AHEAD * day
    weeks_beyond = np.maximum(0, -(-(wanted - week) // week))
    history = _history(grid, values, min(int(wanted.max()), week), settings)
    if weeks_beyond.any() and wanted.max() > len(values):
        notices.append(Notice("beyond-history", "the horizon is longer than the history; only drift widens it"))
    featuriser = Featuriser(Candidates(history, RECORD_DAYS))
    ahead = wanted - weeks_beyond * week
    return Prepared(
        times,
        grid.as_of,
        "combined forecasts with quantile trees",
        tuple(notices),
        never_negative,
        rows=_rows(featuriser, last, ahead, weeks_beyond > 0),
        past=boosting.past_rows(featuriser, ahead, settings.past_rows) if settings.past_rows else None,
        weeks_beyond=weeks_beyond,
        drift=_weekly_drift(values, day),
        places=places.reshape(leads.shape),
        within=_within(fine, grid, times, with_median(settings.quantiles)) if fine is not None else None,
    )


def _history(grid: Grid, values: Array, ahead: int, settings: Settings) -> History:
    """The series with its calendar up to the last step looked at; at least a day of future."""
    day = grid.steps_per_day
    wall = grid.first + np.arange(len(values) + max(ahead, day))
    local_days = wall // day
    bounds = [pd.Timestamp(0) + DAY * int(local_days[i]) for i in (0, -1)]
    holidays = calendar.holiday_days(settings.holidays, *bounds)
    return History(values, calendar.day_kinds(local_days, holidays), wall % day, day)


def _rows(featuriser: Featuriser, last: int, ahead: Array, beyond: Array) -> Rows:
    """Rows for steps `ahead` of the last one, made day by day ahead.

    beyond: which of them stand for the same time of a later week. They are judged as forecasts of the last
    day looked at, since what is known of the next hours says nothing of those.
    """
    day = featuriser.history.steps_per_day
    days = np.where(beyond, MAX_DAYS_AHEAD, -(-ahead // day))
    keys, spots = np.unique(np.array([days, beyond, ahead]), axis=1, return_inverse=True)
    parts = []
    for count, later in np.unique(keys[:2], axis=1).T:
        leads = keys[2, (keys[0] == count) & (keys[1] == later)]
        judged_as = np.full_like(leads, MAX_DAYS_AHEAD * day) if later else leads
        parts.append(featuriser.rows(np.full(len(leads), last), leads, int(count), judged_as))
    return Rows.joined(parts, spots)


def _weekly_drift(values: Array, day: int) -> float:
    """Root mean square change of the weekly mean from one week to the next."""
    weeks = len(values) // (7 * day)
    level = float(np.nanmean(np.abs(values)))
    if weeks < 3:
        return DEFAULT_DRIFT * level
    means = np.nanmean(values[-weeks * 7 * day :].reshape(weeks, -1), axis=1)
    changes = np.diff(means)
    changes = changes[np.isfinite(changes)]
    measured = float(np.sqrt(np.mean(changes**2))) if len(changes) else 0.0
    return max(measured, DEFAULT_DRIFT / 5 * level)


def _within(fine: Grid, grid: Grid, times: pd.DatetimeIndex, quantiles: Sequence[float]) -> Array:
    """(steps, quantiles) of fine values around their engine step's mean, by hour of the local day."""
    recent = fine.values[-WEEKLY_DAYS * fine.steps_per_day :]
    wall = fine.first + len(fine.values) - len(recent) + np.arange(len(recent))
    nanoseconds = fine.step.as_unit("ns").value
    group = wall * nanoseconds // grid.step.as_unit("ns").value
    frame = pd.DataFrame({"value": recent, "group": group})
    off = (frame["value"] - frame.groupby("group")["value"].transform("mean")).to_numpy()
    hour = wall * nanoseconds // pd.Timedelta(hours=1).as_unit("ns").value % 24
    overall = np.nanquantile(off, quantiles)
    table = np.tile(overall, (24, 1))
    for h in range(24):
        chosen = off[(hour == h) & np.isfinite(off)]
        if len(chosen) >= 100:
            table[h] = np.quantile(chosen, quantiles)
    local_hour = times.tz_convert(grid.timezone).hour.to_numpy()
    return np.asarray(table[local_hour])


def quantile_paths(prepared: Sequence[Prepared], settings: Settings) -> list[Array]:
    """(steps, quantiles in rising order) of each prepared series; the trees see all of them in one go."""
    rows = [one.rows for one in prepared if one.rows is not None]
    answers = _tree_answers(
        [part.features for part in rows], [one.past for one in prepared if one.past is not None]
    )
    paths, at = [], 0
    for one in prepared:
        if one.rows is None:
            paths.append(np.tile(one.plain if one.plain is not None else np.nan, (len(one.times), 1)))
            continue
        size = len(one.rows.centre)
        mine = {level: answer[at : at + size] for level, answer in answers.items()}
        at += size
        paths.append(_assembled(one, mine, sorted(settings.quantiles)))
    return paths


def _tree_answers(features: list[Array], pasts: Sequence[boosting.Past] = ()) -> dict[float, Array]:
    forests = trees.bundled()
    if not features:
        return {}
    table = np.concatenate(features)
    answers = {level: forest.predict(table) for level, forest in forests.items()}
    for level, booster in boosting.boosted(pasts, forests).items():
        answers[level] = answers[level] + booster.predict(table, num_threads=1)
    return answers


def _assembled(one: Prepared, answers: dict[float, Array], quantiles: Sequence[float]) -> Array:
    rows = one.rows
    assert rows is not None
    assert one.weeks_beyond is not None
    inside = with_median(quantiles)
    levels = np.array(sorted(answers))
    offsets = np.sort(np.array([answers[level] for level in levels]).T, axis=1)
    offsets = tails.corrected(levels, offsets, rows)
    chosen = _between(levels, offsets, inside)
    half = inside.index(0.5)
    middle = chosen[:, [half]]
    normal = np.array([NormalDist().inv_cdf(q) for q in inside])
    away = (chosen - middle) * rows.spread[:, None]
    drifted = normal[None, :] * one.drift * np.sqrt(one.weeks_beyond)[:, None]
    path = rows.centre[:, None] + middle * rows.spread[:, None] + _quadrature(away, drifted)
    path = tails.with_shifts(path, inside, rows)
    steps = path[one.places].mean(axis=1)
    if one.within is not None:
        steps = steps[:, [half]] + _quadrature(steps - steps[:, [half]], one.within)
    return np.asarray(steps[:, [inside.index(q) for q in quantiles]])


def with_median(quantiles: Sequence[float]) -> list[float]:
    """In rising order, with the median that distances are measured from."""
    return sorted({*quantiles, 0.5})


def _quadrature(first: Array, second: Array) -> Array:
    """Two independent distances from the median added as variances are, with the sign of their sum."""
    return np.asarray(np.sign(first + second) * np.sqrt(first**2 + second**2))


def _between(levels: Array, offsets: Array, quantiles: Sequence[float]) -> Array:
    """(n, quantiles) read off (n, levels), straight between levels on the scale of a normal quantile."""
    place = np.array([NormalDist().inv_cdf(level) for level in levels])
    wanted = np.array([NormalDist().inv_cdf(q) for q in quantiles])
    right = np.clip(np.searchsorted(place, wanted), 1, len(place) - 1)
    share = (wanted - place[right - 1]) / (place[right] - place[right - 1])
    return np.asarray(offsets[:, right - 1] * (1 - share) + offsets[:, right] * share)
