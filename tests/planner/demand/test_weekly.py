"""Quantiles by local hour of the week, and where thin hours borrow from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from planner.demand import UnusableSeries, weekly_quantiles

HOUR = pd.Timedelta(hours=1)


def hourly_weeks(weeks: int, per_hour: int = 12) -> pd.Series:
    """A value that tells its hour of the week (0 to 167), with 0 to 0.99 added within the hour."""
    index = pd.date_range("2026-03-02", periods=weeks * 168 * per_hour, freq=HOUR / per_hour, tz="UTC")
    hour = index.day_of_week * 24 + index.hour
    return pd.Series(hour + np.linspace(0, 0.99, per_hour)[np.arange(len(index)) % per_hour], index=index)


def test_each_hour_of_the_week_gets_its_own_quantiles() -> None:
    result = weekly_quantiles(hourly_weeks(4))

    table = result.table.set_index("hour_of_week")
    assert len(table) == 168
    assert np.floor(table["p50"]).tolist() == list(range(168))
    assert (table["p99"] >= table["p90"]).all()
    assert result.warnings == ()


def test_one_week_borrows_from_like_days_and_says_so() -> None:
    result = weekly_quantiles(hourly_weeks(1))

    table = result.table.set_index("hour_of_week")
    assert table.loc[12, "borrowed_from"] == "the same hour of like days"
    # Mondays to Fridays at noon: 12, 36, 60, 84, 108
    assert table.loc[12, "p50"] == pytest.approx(60.5, abs=0.6)
    assert [notice.name for notice in result.warnings] == ["short-history"]


def test_hours_follow_the_time_zone() -> None:
    series = hourly_weeks(4)

    result = weekly_quantiles(series, "Asia/Tokyo")
    at = result.at(pd.DatetimeIndex(["2026-04-06T00:00Z"]))

    assert np.floor(at["p50"].iloc[0]) == 0  # Monday 00:00 UTC is Monday 09:00 in Tokyo, the same hour


def test_gaps_and_infinities_are_left_out() -> None:
    series = hourly_weeks(4)
    series.iloc[::7] = np.nan
    series.iloc[1] = np.inf

    assert np.isfinite(weekly_quantiles(series).table[["p50", "p90", "p99"]].to_numpy()).all()


def test_nothing_finite_is_refused() -> None:
    with pytest.raises(UnusableSeries, match="no finite value"):
        weekly_quantiles(pd.Series([np.nan], index=pd.DatetimeIndex(["2026-03-02T00:00Z"])))
