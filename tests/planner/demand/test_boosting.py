"""Thousands of series in one call: trained together, whatever their order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from planner.demand import Forecast, forecast_many
from planner.demand.boosting import FEWEST, rows_a_series
from tests.planner.demand.test_forecasting import DAY, HOUR, NAMES

DAYS = 22


def odd_load(seed: int) -> pd.Series:
    """Every third hour is three times as high on even days of the month: a habit that no bundled tree knows."""
    index = pd.date_range("2026-03-02", periods=DAYS * 24, freq=HOUR, tz="UTC")
    high = (index.hour % 3 == 0) & (index.day % 2 == 0)
    noise = np.random.default_rng(seed).normal(1.0, 0.05, len(index))
    return pd.Series(np.where(high, 30.0, 10.0) * noise, index=index)


@pytest.fixture(scope="module")
def many() -> dict[str, pd.Series]:
    return {f"s{seed:02}": odd_load(seed) for seed in range(FEWEST + 4)}


def paths(found: dict[str, object]) -> np.ndarray:
    """(series, steps, quantiles)"""
    return np.array([one.frame[NAMES].to_numpy() for one in found.values() if isinstance(one, Forecast)])


def test_training_together_learns_what_the_series_share(many: dict[str, pd.Series]) -> None:
    origin = pd.Timestamp("2026-03-23", tz="UTC")
    past = {name: one[one.index < origin] for name, one in many.items()}
    actual = np.array([one[one.index >= origin].to_numpy()[:24] for one in many.values()])

    def miss(train: bool) -> float:
        made = paths(dict(forecast_many(past, DAY, HOUR, train=train)))
        return float(np.abs(made[:, :, 0] - actual).mean())

    assert miss(train=True) < 0.95 * miss(train=False)


def test_the_order_of_the_series_changes_nothing(many: dict[str, pd.Series]) -> None:
    reversed_order = dict(reversed(many.items()))

    straight, turned = forecast_many(many, DAY, HOUR), forecast_many(reversed_order, DAY, HOUR)

    assert list(turned) == list(reversed_order)
    assert (np.diff(paths(dict(straight)), axis=2) >= 0).all()
    for name, one in straight.items():
        assert isinstance(one, Forecast)
        pd.testing.assert_frame_equal(one.frame, turned[name].frame)  # type: ignore[union-attr]


def test_few_series_are_not_trained_on() -> None:
    assert rows_a_series(FEWEST - 1) == 0
    assert rows_a_series(FEWEST) == 400
    assert rows_a_series(2000) == 20  # 40,000 rows over 2,000 series
