"""Trees boosted further on the very series of a call, all together.

The bundled trees have never seen the estate at hand. From some twenty series on, their pasts hold enough
rows to correct p50 and p90: LightGBM starts from the bundled answer and adds a few small trees. The far
tail stays as it is, since a few weeks hold too few of its events (docs/decisions/0033 has the measurement).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from planner.demand.features import Featuriser
from planner.demand.smoothing import Array
from planner.demand.trees import Forest

FEWEST: Final = 20
"""Series from which training in the call pays."""
MOST_ROWS: Final = 40_000
MOST_ROWS_A_SERIES: Final = 400
WARM_UP_DAYS: Final = 7
"""Days at the start of the record of errors that are not learned from: weights have not settled."""
LAST_OF_DAY: Final = 0.95
"""Profiles are smoothed over neighbours, which must lie before the origin; so leads end short of a day."""
CLIP: Final = 50.0
BOOSTED: Final = (0.5, 0.9)
ROUNDS: Final = 60
TREES: Final = {
    "objective": "quantile",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 100,
    "lambda_l2": 5.0,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "max_bin": 127,
    "seed": 1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbose": -1,
}


@dataclass(frozen=True, slots=True)
class Past:
    """Forecasts of one series' own past: `features` (n, columns), `targets` (n) in spreads from the centre."""

    features: Array
    targets: Array


def rows_a_series(count: int) -> int:
    """Past rows to lay out of each of `count` series; 0 where they are too few to train on."""
    return min(MOST_ROWS_A_SERIES, MOST_ROWS // count) if count >= FEWEST else 0


def past_rows(featuriser: Featuriser, leads: Array, count: int) -> Past | None:
    """`count` past forecasts at random origins with leads (steps) drawn from `leads`; None without room."""
    history, since = featuriser.history, featuriser.candidates.since
    day = history.steps_per_day
    rng = np.random.default_rng(0)
    drawn = rng.choice(leads, count)
    days = -(-drawn // day)
    drawn = np.minimum(drawn, (days - 1) * day + max(1, int(LAST_OF_DAY * day)))
    first, last = since + WARM_UP_DAYS * day, len(history.values) - 1
    room = last - drawn - first
    origin = first + (rng.random(count) * np.maximum(room, 1)).astype(int)
    parts = []
    for ahead in np.unique(days[room > 0]):
        chosen = (days == ahead) & (room > 0)
        rows = featuriser.rows(origin[chosen], drawn[chosen], int(ahead))
        targets = (history.values[origin[chosen] + drawn[chosen]] - rows.centre) / rows.spread
        known = np.isfinite(targets)
        parts.append((rows.features[known], np.clip(targets[known], -CLIP, CLIP)))
    if not parts:
        return None
    return Past(np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]))


def boosted(pasts: Sequence[Past], forests: Mapping[float, Forest]) -> dict[float, Any]:
    """One LightGBM booster for each quantile of BOOSTED, to be added to the forest's answer."""
    if len(pasts) < FEWEST:
        return {}
    import lightgbm

    features = np.concatenate([past.features for past in pasts])
    targets = np.concatenate([past.targets for past in pasts])
    found = {}
    for quantile in BOOSTED:
        data = lightgbm.Dataset(features, targets, init_score=forests[quantile].predict(features))
        found[quantile] = lightgbm.train({**TREES, "alpha": quantile}, data, ROUNDS)
    return found
