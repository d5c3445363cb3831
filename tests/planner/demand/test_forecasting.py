"""A forecast is ordered in its quantiles, looks at nothing after as_of, and is honest about short history."""

from __future__ import annotations

import numpy as np
import pandas as pd

from planner.demand import forecast

QUARTER = pd.Timedelta(minutes=15)
DAY = pd.Timedelta(days=1)


def daily_series(days: int, seed: int = 0) -> pd.Series:
    index = pd.date_range("2026-03-02", periods=days * 96, freq=QUARTER, tz="UTC")
    wave = 10 + 5 * np.sin(np.arange(len(index)) / 96 * 2 * np.pi)
    return pd.Series(wave + np.random.default_rng(seed).normal(0, 0.5, len(index)), index=index)


def test_a_forecast_covers_the_horizon_from_as_of_on() -> None:
    result = forecast(daily_series(14), DAY, QUARTER)

    assert list(result.frame.columns) == ["timestamp", "p50", "p90", "p99"]
    assert len(result.frame) == 96
    assert result.frame["timestamp"].iloc[0] == pd.Timestamp("2026-03-16", tz="UTC")


def test_data_from_as_of_on_change_nothing() -> None:
    series = daily_series(14)
    as_of = pd.Timestamp("2026-03-12T06:00", tz="UTC")
    changed = series.copy()
    changed[changed.index >= as_of] = 1e6

    assert forecast(series, DAY, QUARTER, as_of).frame.equals(forecast(changed, DAY, QUARTER, as_of).frame)


def test_two_days_of_history_give_a_plain_quantile_with_a_warning() -> None:
    result = forecast(daily_series(2), DAY, QUARTER)

    assert result.model == "plain quantile"
    assert "short-history" in [notice.name for notice in result.warnings]
