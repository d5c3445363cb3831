"""Point forecasts of many simple kinds, their trailing errors, and the mean of those that did well.

Everything is laid out on one array of steps: the history, then the horizon as gaps. A forecast of step
`i` made at origin `t` (the last step seen) looks `days` whole days back for its profiles, where
`days = ceil((i - t) / steps_per_day)`, so that only steps up to `t` are used. Weighting simple forecasts
by their past errors goes back to Bates and Granger (1969); the sharpened power follows Stock and Watson
(2004, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from planner.demand import smoothing
from planner.demand.smoothing import Array

QUARTERS_PER_DAY = 96
"""Leads below are given in quarters of an hour and scaled to the step in use."""
LEADS = (1, 4, 12, 32, 64, 92, 192, 384, 640)
"""The lead at which the errors of each bucket of leads are kept. 92, not 96: profiles are smoothed over
neighbouring steps, which must lie before the origin."""
BUCKET_EDGES = np.array([2, 8, 20, 48, 80, 96, 240, 480])
LAGS = 28
"""Days that profiles look back."""
MAX_DAYS_AHEAD = 7


@dataclass
class History:
    """One series prepared for forecasts: `values` then `ahead` steps of future, with its calendar.

    `kind` is the day of the week of each step (0 Monday .. 6 Sunday, bank holidays as 6), `slot` the step
    of the day, both over the history and the future.
    """

    values: Array
    kind: Array
    slot: Array
    steps_per_day: int
    scale: float = field(init=False)
    padded: Array = field(init=False)
    calm: Array = field(init=False)
    """`padded` with lone extremes pulled in: what profiles, which remember for weeks, are made of."""
    weekend: Array = field(init=False)
    _profiles: dict[int, dict[str, Array]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.padded = np.concatenate([self.values, np.full(len(self.kind) - len(self.values), np.nan)])
        self.weekend = self.kind >= 5
        self.calm = _without_extremes(self.padded)
        level = float(np.nanmean(np.abs(self.calm)))
        self.scale = level if level > 0 else 1.0

    def lags(self, days: int, count: int, of: Array) -> Array:
        """(count, n): the value `days`, `days + 1`, ... days before each step."""
        stack = np.full((count, len(of)), np.nan)
        for j in range(count):
            shift = self.steps_per_day * (days + j)
            if shift < len(of):
                stack[j, shift:] = of[: len(of) - shift]
        return stack

    def lag_kinds(self, days: int, count: int) -> Array:
        """(count, n): the kind of day of those lags (-1 before the history)."""
        stack = np.full((count, len(self.kind)), -1)
        for j in range(count):
            shift = self.steps_per_day * (days + j)
            if shift < len(self.kind):
                stack[j, shift:] = self.kind[: len(self.kind) - shift]
        return stack

    def profiles(self, days: int) -> dict[str, Array]:
        """Values expected at each step from whole days back, by name; computed once for each `days`."""
        if days not in self._profiles:
            self._profiles[days] = self._make_profiles(days)
        return self._profiles[days]

    def _make_profiles(self, days: int) -> dict[str, Array]:
        lags, kinds = self.lags(days, LAGS, self.calm), self.lag_kinds(days, LAGS)
        back = np.arange(LAGS)[:, None]
        same_day, like_day = kinds == self.kind, (kinds >= 5) == self.weekend
        week_ago = (MAX_DAYS_AHEAD - days) % 7
        slow = smoothing.smooth(smoothing.weighted_mean(lags, 0.85**back), 1)
        like = smoothing.weighted_mean(lags, np.where(like_day, 0.85**back, 1e-6))
        like = smoothing.smooth(like, 1)
        weekday_weights = np.where(same_day, 0.8 ** (back / 7), np.where(like_day, 0.02, 1e-6) * 0.9**back)
        ordered = np.sort(lags[:7], axis=0)
        return {
            "yesterday": self.lags(days, 1, self.padded)[0],
            "week_ago": lags[week_ago],
            "fast": smoothing.weighted_mean(lags, 0.5**back),
            "slow": slow,
            "like_day": np.where(np.isnan(like), slow, like),
            "weekday": smoothing.smooth(smoothing.weighted_mean(lags, weekday_weights), 1),
            "median": smoothing.sorted_quantile(ordered, 0.5),
            "lowest": smoothing.sorted_quantile(ordered, 0.0),
            "highest": smoothing.sorted_quantile(ordered, 1.0),
            "high": smoothing.sorted_quantile(np.sort(lags[:14], axis=0), 0.9),
        }


class Candidates:
    """The simple forecasts of one history, their trailing errors by lead, and their combination."""

    def __init__(self, history: History, record_days: int | None = None) -> None:
        """record_days: how much of the newest history errors are kept for (None: all of it)."""
        self.history = history
        day = history.steps_per_day
        self.trailing = _trailing(history)
        self.since = 0 if record_days is None else max(0, len(history.values) - record_days * day)
        horizon = len(history.padded) - len(history.values)
        self.leads = [max(1, round(lead * day / QUARTERS_PER_DAY)) for lead in LEADS]
        self.leads = [lead for lead in self.leads if lead <= max(day, horizon)]
        self.edges = (BUCKET_EDGES * day / QUARTERS_PER_DAY)[: len(self.leads) - 1]
        self.errors, self.residuals, spreads = [], [], []
        for lead in self.leads:
            errors, residual, spread = self._errors(lead)
            self.errors.append(errors)
            self.residuals.append(residual)
            spreads.append(spread)
        self.error_table = np.array(self.errors)
        self.spreads = np.array(spreads)

    def bucket(self, lead: Array) -> Array:
        """Which of `leads` speaks for each lead."""
        return np.asarray(np.searchsorted(self.edges, lead))

    def all(self, step: Array, origin: Array, days: int) -> Array:
        """(candidates, n) forecasts of `step` made at `origin`."""
        profiles, past = self.history.profiles(days), self.trailing
        base = profiles["like_day"][step]
        nothing = np.zeros_like(base)
        return np.array(
            [
                profiles["yesterday"][step],
                profiles["week_ago"][step],
                profiles["fast"][step],
                profiles["slow"][step],
                base,
                profiles["weekday"][step],
                profiles["median"][step],
                base + past["off_1h"][origin],
                base + past["off_6h"][origin],
                base + 0.6 * past["off_24h"][origin],
                base * past["ratio"][origin],
                profiles["yesterday"][step] + 0.8 * past["change_3h"][origin],
                past["level_1h"][origin] + nothing,
                past["level_24h"][origin] + nothing,
                past["median_24h"][origin] + nothing,
                past["median_7d"][origin] + nothing,
            ]
        )

    def combined(self, candidates: Array, errors: Array) -> Array:
        """Mean weighted by the fifth power of inverse error; NaN where no candidate has a record."""
        usable = ~np.isnan(candidates) & ~np.isnan(errors)
        least = self.history.scale * 1e-7
        best = np.min(np.where(usable, errors, np.inf), axis=0)
        share = np.where(usable, (best + least) / (errors + least), 0.0)
        weights = share**2 * share**2 * share
        total = weights.sum(axis=0)
        summed = (weights * np.where(usable, candidates, 0.0)).sum(axis=0)
        return np.asarray(np.where(total > 0, summed / np.where(total > 0, total, 1.0), np.nan))

    def _errors(self, lead: int) -> tuple[Array, Array, Array]:
        """Trailing error of each candidate at this lead, and residual and trailing error of the mean."""
        history, day = self.history, self.history.steps_per_day
        steps = np.arange(self.since, len(history.values))
        origins = np.maximum(steps - lead, 0)
        known = np.maximum(origins - self.since, 0)
        with np.errstate(invalid="ignore", over="ignore"):
            made = self.all(steps, origins, -(-lead // day))
            made[:, steps < lead] = np.nan
            actual = history.values[self.since :]
            missed = np.abs(made - actual)
            missed = np.minimum(missed, _cap(np.min(np.where(np.isnan(missed), np.inf, missed), axis=0)))
            errors = 0.5 * smoothing.decayed_mean(missed, 2 * day) + 0.5 * smoothing.decayed_mean(missed, 7 * day)
            residual = actual - self.combined(made, errors[:, known])
            off = np.minimum(np.abs(residual), _cap(np.abs(residual)))[None, :]
            spread = 0.4 * smoothing.decayed_mean(off, day) + 0.6 * smoothing.decayed_mean(off, 7 * day)
        return self._from_start(errors), self._from_start(residual), self._from_start(spread[0])

    def _from_start(self, record: Array) -> Array:
        """A record along the last axis, with gaps for the steps before it was kept."""
        before = np.full((*record.shape[:-1], self.since), np.nan)
        return np.concatenate([before, record], axis=-1)


def _without_extremes(values: Array) -> Array:
    """Values limited to three times the distance from the median to the 1st and 99th percentile.

    A burst a thousand times the usual load would otherwise sit in every average for weeks.
    """
    low, middle, high = np.nanquantile(values, [0.01, 0.5, 0.99])
    return np.asarray(np.clip(values, low - 2 * (middle - low), high + 2 * (high - middle)))


def _cap(errors: Array) -> float:
    """Six times the 95th percentile: a single error counts for no more than that."""
    seen = errors[np.isfinite(errors)]
    cap = 6 * float(np.quantile(seen, 0.95)) if len(seen) else 0.0
    return cap if cap > 0 else np.inf


def _trailing(history: History) -> dict[str, Array]:
    """What is known at each origin: levels, how far the last hours lay off their profile, spreads."""
    day, y = history.steps_per_day, history.padded
    hour = max(1, day // 24)
    profiles = history.profiles(1)
    off = y - profiles["like_day"]
    mean = smoothing.rolling_mean
    level, usual = mean(y, day), mean(profiles["like_day"], day)
    scaled = y / history.scale
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.clip(level / np.where(np.abs(usual) > 0, usual, np.nan), 0.2, 5.0)
        variance = mean(scaled**2, 7 * day) - mean(scaled, 7 * day) ** 2
    return {
        "off": off,
        "off_1h": mean(off, hour),
        "off_6h": mean(off, 6 * hour),
        "off_24h": mean(off, day),
        "level": y,
        "level_1h": mean(y, hour),
        "level_24h": level,
        "level_7d": mean(y, 7 * day),
        "days_known": np.cumsum(~np.isnan(y)) / day,
        "median_24h": smoothing.rolling_median(y, day, max(1, hour // 2)),
        "median_7d": smoothing.rolling_median(y, 7 * day, hour),
        "ratio": ratio,
        "change_3h": mean(y - profiles["yesterday"], 3 * hour),
        "spread_1h": mean(np.abs(off), hour),
        "spread_24h": mean(np.abs(off), day),
        "spread_7d": mean(np.abs(off), 7 * day),
        "spread_28d": mean(np.abs(off), 28 * day),
        "roughness": mean(np.abs(np.diff(off, prepend=np.nan)), 7 * day),
        "deviation": np.sqrt(np.maximum(0.0, variance)) * history.scale,
        "error_yesterday": mean(np.abs(y - profiles["yesterday"]), 7 * day),
        "error_week_ago": mean(np.abs(y - profiles["week_ago"]), 7 * day),
    }
