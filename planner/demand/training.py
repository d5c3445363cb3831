"""Train the quantile trees that come with the planner: `python -m planner.demand.training [--out FILE]`.

Series are made (planner.demand.synthetic), forecasts of random origins and leads are laid out as rows,
and LightGBM minimises the pinball loss of each quantile. A row weighs as the square root of its spread
over the loss of the daily seasonal naive on its series: between "every series counts the same" and "the
total loss counts". Same seed, same file.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from planner.demand import synthetic, trees
from planner.demand.candidates import MAX_DAYS_AHEAD, Candidates, History
from planner.demand.features import Featuriser

QUANTILES = (0.1, 0.5, 0.9, 0.99, 0.999)
EVENNESS = {0.1: 0.5, 0.5: 0.5, 0.9: 0.5, 0.99: 0.5, 0.999: 0.35}
"""Power of the row weight by quantile: lower gives rare level shifts more say in the far tail."""
SERIES_PER_FAMILY = 900
ROWS_PER_SERIES = 240
TREES = {
    "objective": "quantile",
    "learning_rate": 0.08,
    "num_leaves": 31,
    "min_data_in_leaf": 200,
    "lambda_l2": 5.0,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "max_bin": 127,
    "seed": 1,
    "deterministic": True,
    "num_threads": 1,
    "verbose": -1,
}
ROUNDS = 150


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """`features` (n, columns), `targets` (n) in spreads from the centre, `weights` (n, quantiles)."""

    features: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


def pinball(errors: np.ndarray, quantile: float) -> np.ndarray:
    """Loss of actual minus forecast (Koenker and Bassett, 1978)."""
    return np.asarray(np.maximum(quantile * errors, (quantile - 1) * errors))


def make_rows(seed: int, series: int, maker: Callable[..., np.ndarray]) -> TrainingRows:
    """Rows of `series` made series; steps of 15, 30 and 60 minutes, some with gaps or coarse data."""
    rng = np.random.default_rng(seed)
    parts = [part for _ in range(series) for part in _rows_of_one(rng, maker)]
    return TrainingRows(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _rows_of_one(
    rng: np.random.Generator, maker: Callable[..., np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    day = int(rng.choice([96, 96, 96, 24, 48]))
    start = int(rng.integers(day))  # history may begin at any time of day
    values = _blemished(rng, maker(rng, day)[start:], day)
    days_ahead = MAX_DAYS_AHEAD if rng.random() < 0.3 else 1
    wall = np.arange(len(values) + days_ahead * day) + start
    featuriser = Featuriser(Candidates(History(values, wall // day % 7, wall % day, day)))
    change = values[day:] - values[:-day]
    naive = np.array([np.nanmean(pinball(change - np.nanquantile(change, q), q)) for q in QUANTILES])
    for days in range(1, days_ahead + 1):
        count = ROWS_PER_SERIES if days == 1 else ROWS_PER_SERIES // 8
        if len(values) - days * day <= 3 * day:
            continue
        origin = rng.integers(3 * day, len(values) - days * day, count)
        lead = _leads(rng, count, day, days)
        rows = featuriser.rows(origin, lead, days)
        target = (values[origin + lead] - rows.centre) / rows.spread
        known = np.isfinite(target)
        weights = rows.spread[known, None] / (naive + 1e-12 * rows.spread[known, None])
        yield rows.features[known].astype(np.float32), target[known], weights


def _blemished(rng: np.random.Generator, values: np.ndarray, day: int) -> np.ndarray:
    if rng.random() < 0.15:
        for _ in range(int(rng.integers(1, 5))):
            at = int(rng.integers(len(values)))
            values[at : at + int(rng.integers(1, day))] = np.nan
    if rng.random() < 0.1:
        values = np.repeat(values[::2], 2)[: len(values)]
    return values


def _leads(rng: np.random.Generator, count: int, day: int, days: int) -> np.ndarray:
    """Leads within one day; a third of those of the first day are within four hours."""
    furthest = int(0.95 * day)  # profiles are smoothed over neighbours that must lie before the origin
    lead = rng.integers(1, furthest + 1, count)
    if days == 1:
        near = rng.random(count) < 0.35
        lead = np.where(near, rng.integers(1, max(2, day // 6), count), lead)
    return np.asarray(lead + (days - 1) * day)


def train(rows: TrainingRows, quantile: float, evenness: float, rounds: int = ROUNDS) -> Any:
    """One LightGBM booster for one quantile."""
    import lightgbm

    weight = rows.weights[:, QUANTILES.index(quantile)]
    weight = np.clip(np.clip(weight, 1e-3, 1e3) / np.median(weight), 0.02, 50.0) ** evenness
    data = lightgbm.Dataset(rows.features, rows.targets, weight=weight / weight.mean())
    return lightgbm.train({**TREES, "alpha": quantile}, data, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the quantile trees that come with the planner.")
    home = Path(__file__).parent / "data" / trees.BUNDLE
    parser.add_argument("--out", type=Path, default=home)
    parser.add_argument("--series", type=int, default=SERIES_PER_FAMILY, help="made series of each family")
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    families = (synthetic.seasonal_load, synthetic.cloud_metric)
    made = [make_rows(options.seed + i, options.series, maker) for i, maker in enumerate(families)]
    rows = TrainingRows(
        np.concatenate([part.features for part in made]),
        np.concatenate([part.targets for part in made]),
        np.concatenate([part.weights for part in made]),
    )
    forests = {q: trees.from_lightgbm(train(rows, q, EVENNESS[q])) for q in QUANTILES}
    options.out.parent.mkdir(exist_ok=True)
    trees.save(forests, str(options.out))
    print(f"{len(rows.targets):,} rows of {2 * options.series:,} series: {options.out}")


if __name__ == "__main__":
    main()
