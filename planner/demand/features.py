"""What the quantile trees see of one forecast: the candidates, spreads and calendar, free of any unit.

Every value is measured from the combined forecast (the centre) in units of its usual error there (the
spread), so trees trained on one set of series serve any other, and a scaled series gives a scaled
forecast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from planner.demand import smoothing
from planner.demand.candidates import Candidates
from planner.demand.smoothing import Array

LIMIT = 50.0
MISSING = 60.0
"""Stands for "not known" among features that are clipped to +-50."""
PROFILES, LEVELS = slice(0, 7), slice(12, 16)
"""Places among the candidates of those that follow the time of day, and of those that only know a level."""
DAY_BUCKET = 5
DECIMALS = 6
"""Features are rounded so that float noise of a scaled series cannot cross a split."""
TAIL = (0.02, 0.5, 0.9, 0.98, 1.0)
"""Quantiles of past errors that the trees see."""
RECORD = (0.99, 0.995, 1.0)
"""Quantiles of past errors that correct the far tail."""
TAIL_DAYS = 14


@dataclass(frozen=True, slots=True)
class Rows:
    """`features` (n, columns) with the `centre` and `spread` (n) that turn a tree's answer into the unit.

    `record` (n, len(RECORD)): quantiles of past errors at that lead, in spreads from the centre; `season`
    (n): error of the best level over that of the best daily profile, a day ahead (above 1: the day counts);
    `level` (n): usual size of the values, in the unit; `days_known` and `lead_days` (n): days of history,
    and days ahead.
    """

    features: Array
    centre: Array
    spread: Array
    record: Array
    season: Array
    level: Array
    days_known: Array
    lead_days: Array

    @staticmethod
    def joined(parts: Sequence[Rows], order: Array) -> Rows:
        """Rows of all parts one after the other, then picked in `order`."""
        return Rows(*(np.concatenate([getattr(p, f.name) for p in parts])[order] for f in fields(Rows)))


class Featuriser:
    """Makes rows for forecasts of one history."""

    def __init__(self, candidates: Candidates) -> None:
        self.candidates = candidates
        self.history = candidates.history
        self._slot_spreads: dict[int, Array] = {}
        self._tails: dict[int, Array] = {}

    def rows(self, origin: Array, lead: Array, days: int, judged_as: Array | None = None) -> Rows:
        """Rows for forecasts of `origin + lead`, whose leads all need the same whole `days` back.

        judged_as: the leads whose errors and spreads speak for these rows, where they are others: a step
        beyond the last week looked at has its weekday and time from within that week.
        """
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            return self._rows(origin, lead, days, lead if judged_as is None else judged_as)

    def _rows(self, origin: Array, ahead: Array, days: int, lead: Array) -> Rows:
        made, history = self.candidates, self.history
        step, day = origin + ahead, history.steps_per_day
        bucket = made.bucket(lead)
        candidates = made.all(step, origin, days)
        errors = made.error_table[bucket, :, origin].T
        centre = made.combined(candidates, errors)
        slot_spread, past = self._slot_spread(days)[step], made.trailing
        usual = past["spread_28d"][origin]
        ratio = np.clip(slot_spread / np.where(usual > 0, usual, np.nan), 0.1, 10.0)
        ratio = np.where(np.isnan(ratio), 1.0, ratio)
        spread = made.spreads[bucket, origin] * ratio**0.6 + 1e-4 * history.scale
        errors_seen = self._tail_quantiles(origin)[:, bucket, np.arange(len(origin))] / spread
        profiles = history.profiles(days)

        def away(value: Array) -> Array:
            return np.asarray((value - centre) / spread)

        def log(value: Array) -> Array:
            return np.asarray(np.log((value + 1e-4 * history.scale) / spread))

        before = np.maximum(step - day * days, 0)
        columns = [
            *(away(candidate) for candidate in candidates),
            *(away(profiles[name][step]) for name in ("highest", "lowest", "high")),
            away(past["level"][origin]),
            *(past[name][origin] / spread for name in ("off", "off_1h", "off_6h", "off_24h", "change_3h")),
            *(log(past[name][origin]) for name in _SPREADS),
            log(slot_spread),
            np.log(ratio),
            log(np.nanmin(np.where(np.isnan(errors), np.inf, errors), axis=0)),
            *(log(errors[place]) for place in (0, 4, 7, 12)),
            lead / day,
            history.slot[step] / day,
            history.weekend[step] * 1.0,
            history.kind[step] * 1.0,
            (history.weekend[step] != history.weekend[before]) * 1.0,
            np.minimum(origin / day, 42.0),
            centre / spread,
            *errors_seen[: len(TAIL)],
        ]
        table = np.clip(np.array(columns), -LIMIT, LIMIT)
        table = np.round(np.where(np.isnan(table), MISSING, table), DECIMALS).T
        return Rows(
            table,
            centre,
            spread,
            errors_seen[len(TAIL) :].T,
            self._season(origin),
            np.abs(np.fmin(past["median_24h"], past["level_7d"])[origin]),
            past["days_known"][origin],
            lead / day,
        )

    def _season(self, origin: Array) -> Array:
        made = self.candidates
        errors = made.error_table[min(DAY_BUCKET, len(made.leads) - 1)][:, origin] + 1e-6 * self.history.scale
        known = np.where(np.isnan(errors), np.inf, errors)
        season = np.min(known[LEVELS], axis=0) / np.min(known[PROFILES], axis=0)
        return np.where(np.isfinite(season), season, 0.0)

    def _slot_spread(self, days: int) -> Array:
        """Usual distance from the profile at this time of like days."""
        if days not in self._slot_spreads:
            history, off = self.history, np.abs(self.candidates.trailing["off"])
            back = np.arange(TAIL_DAYS)[:, None]
            like = (history.lag_kinds(days, TAIL_DAYS) >= 5) == history.weekend
            weights = np.where(like, 1.0, 0.15) * 0.93**back
            mean = smoothing.weighted_mean(history.lags(days, TAIL_DAYS, off), weights)
            self._slot_spreads[days] = smoothing.smooth(mean, max(1, history.steps_per_day // 24))
        return self._slot_spreads[days]

    def _tail_quantiles(self, origin: Array) -> Array:
        """(len(TAIL) + len(RECORD), leads, n) quantiles of the last days' errors, as known at half a day's mark.

        The newest origin always gets its own; older ones (training) share one per half day.
        """
        half, last = max(1, self.history.steps_per_day // 2), len(self.history.values) - 1
        mark = np.where(origin == last, last, origin // half * half)
        places = {int(value): self._tail(int(value)) for value in np.unique(mark)}
        return np.stack([places[int(value)] for value in mark], axis=-1)

    def _tail(self, mark: int) -> Array:
        if mark not in self._tails:
            day = self.history.steps_per_day
            found = np.full((len(TAIL) + len(RECORD), len(self.candidates.residuals)), np.nan)
            for place, residual in enumerate(self.candidates.residuals):
                recent = residual[max(0, mark + 1 - TAIL_DAYS * day) : mark + 1]
                recent = recent[~np.isnan(recent)]
                if len(recent) > day // 2:
                    found[:, place] = np.quantile(recent, TAIL + RECORD)
            self._tails[mark] = found
        return self._tails[mark]


_SPREADS = (
    "spread_1h",
    "spread_24h",
    "spread_7d",
    "spread_28d",
    "roughness",
    "deviation",
    "error_yesterday",
    "error_week_ago",
)
