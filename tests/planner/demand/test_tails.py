"""The far tail leaves room for a level that a short series never had, and none where the day is followed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from planner.demand import forecast

QUARTER = pd.Timedelta(minutes=15)
DAY = pd.Timedelta(days=1)
QUANTILES = (0.5, 0.9, 0.99, 0.999)


def level(days: int, at: float = 40.0, seed: int = 0) -> pd.Series:
    """A level without a day in it, with noise of 2 %."""
    index = pd.date_range("2026-03-02", periods=days * 96, freq=QUARTER, tz="UTC")
    return pd.Series(at * np.random.default_rng(seed).normal(1.0, 0.02, len(index)), index=index)


def waves(days: int, seed: int = 0) -> pd.Series:
    """A daily wave of 40 +- 20 with the same noise."""
    series = level(days, seed=seed)
    hours = np.asarray(series.index.hour + series.index.minute / 60)  # type: ignore[attr-defined]
    return series * (1 - 0.5 * np.cos(hours / 24 * 2 * np.pi))


def test_a_short_level_leaves_room_for_a_shift_late_in_the_day_and_none_in_the_next_hour() -> None:
    frame = forecast(level(8), DAY, QUARTER).frame

    # a shift within the hour is less likely than 1 in 100, one within the day more
    assert frame["p99"].iloc[:4].max() < 1.2 * 40
    assert frame["p99"].iloc[-4:].min() > 1.5 * 40


def test_room_for_a_shift_leaves_the_median_and_p90_alone() -> None:
    frame = forecast(level(8), DAY, QUARTER).frame

    assert frame["p50"].to_numpy() == pytest.approx(40, rel=0.05)
    assert frame["p90"].max() < 1.1 * 40


def test_the_longer_a_level_held_the_less_room_it_needs() -> None:
    short, long = (forecast(level(days), DAY, QUARTER).frame["p99"].iloc[-1] for days in (8, 50))

    assert long < 0.8 * short


def test_a_series_that_follows_the_day_needs_no_room_for_a_shift() -> None:
    frame = forecast(waves(15), DAY, QUARTER).frame

    assert (frame["p99"] < 1.25 * frame["p50"]).all()


def test_one_giant_in_the_past_does_not_make_the_next_one_likely_everywhere() -> None:
    series = waves(20)
    series.iloc[12 * 96 + 40] *= 1000

    frame = forecast(series, DAY, QUARTER).frame

    assert frame["p99"].median() < 2 * forecast(waves(20), DAY, QUARTER).frame["p99"].median()


def test_the_far_tail_holds_on_levels_that_jump() -> None:
    """Forty levels of ten days; in the judged day each jumps with a chance of 8 % to 0.5 to 3 times itself."""
    rng = np.random.default_rng(5)
    held = []
    for seed in range(40):
        series = level(10, seed=seed)
        if rng.random() < 0.08:
            series.iloc[9 * 96 + int(rng.integers(96)) :] *= rng.uniform(0.5, 3.0)
        origin = series.index[9 * 96]
        path = forecast(series, DAY, QUARTER, origin, quantiles=QUANTILES).frame
        actual = series[series.index >= origin].to_numpy()
        held.append([(actual <= path[name].to_numpy()).mean() for name in ("p99", "p99.9")])

    p99, p999 = np.mean(held, axis=0)
    assert p99 >= 0.985
    assert p999 >= 0.995


def test_the_second_week_is_not_told_more_sharply_than_the_end_of_the_first() -> None:
    frame = forecast(waves(40), 9 * DAY, QUARTER).frame
    width = (frame["p99"] - frame["p50"]).to_numpy().reshape(9, 96)

    # the same hour of the day, six and seven days ahead
    assert width[7].mean() >= 0.95 * width[6].mean()
    assert width[7, :8].mean() >= 0.95 * width[6, :8].mean()
