"""The room a candidate leaves: a chance of keeping the objective, by what its known days missed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import nbinom

from planner.scaling.room import (
    BURSTY_LEVEL,
    CALM_LEVEL,
    CALM_TAIL,
    CONFIDENCE,
    Outlook,
    at_most,
    burst_deviation,
    chance,
    outlook,
    weekly_growth,
)

DAY = 1440
BUDGET = 10.08  # 0.1 % of a week's minutes
JUDGED = np.full(14, DAY)
SAME = Outlook()


def chances(*days: list[int], strained: float = 1.0, level: Outlook = SAME) -> list[float]:
    """Of candidates with these violations by day, `strained` times as many at demand raised by 8 %."""
    by_day = np.array(days).T
    raised = np.rint(by_day * strained).astype(np.int64)
    return chance(by_day, raised, JUDGED, strain=0.08, budget=BUDGET, level=level).tolist()


def test_no_violations_at_all_are_all_but_sure_to_keep_the_objective() -> None:
    assert chances([0] * 14)[0] == pytest.approx(1.0)


def test_exactly_the_budget_on_the_past_is_no_more_than_an_even_chance() -> None:
    """20 violations in two weeks are a budget of 10 each, but the next week may be worse."""
    assert chances([3, 0, 1, 2, 1, 1, 2] * 2)[0] < 0.6 < CONFIDENCE


def test_the_same_violations_in_one_burst_leave_less_chance_than_spread_evenly() -> None:
    even, burst = chances([1] * 14, [14] + [0] * 13)

    assert even > burst


def test_what_a_higher_demand_would_miss_counts() -> None:
    """One violation a day, and as many at 8 % more demand, or four times as many."""
    flat, steep = chances([1] * 14)[0], chances([1] * 14, strained=4.0)[0]

    assert flat > steep


def test_a_wider_level_leaves_less_chance_to_who_has_little_to_spare() -> None:
    one_in_two = [0, 1] * 7

    calm, bursty = (
        chances(one_in_two, strained=4.0, level=Outlook(0.0, d))[0] for d in (CALM_LEVEL, BURSTY_LEVEL)
    )
    assert calm > bursty


def test_a_level_that_is_expected_higher_leaves_less_chance() -> None:
    one_in_two = [0, 1] * 7

    same, higher = (chances(one_in_two, strained=4.0, level=Outlook(shift))[0] for shift in (0.0, 0.1))
    assert same > higher


def test_more_violations_than_any_week_may_have_are_hopeless() -> None:
    assert chances([40] * 14) == [0.0]


def test_unknown_days_tell_no_chance() -> None:
    nothing = np.zeros((14, 2), np.int64)

    assert chance(nothing, nothing, np.zeros(14, np.int64), strain=0.08, budget=BUDGET).tolist() == [0.0, 0.0]


@given(st.integers(0, 20), st.floats(0.1, 30), st.floats(1.01, 8))
def test_the_count_is_negative_binomial(count: int, mean: float, clumps: float) -> None:
    size = mean / (clumps - 1)
    found = at_most(float(count), np.array([mean]), np.array([mean * clumps]))

    assert found[0] == pytest.approx(nbinom.cdf(count, size, 1 / clumps), abs=1e-9)


@given(st.lists(st.integers(0, 30), min_size=14, max_size=14))
def test_a_worse_worst_day_does_not_raise_the_chance(days: list[int]) -> None:
    """A day that was already the worst and gets worse makes mean, spread and worst day larger."""
    worst = int(np.argmax(days))
    worse = [d + (i == worst) for i, d in enumerate(days)]

    before, after = chances(days, worse)
    assert 0 <= after <= 1
    assert after <= before + 0.02  # the clumps of a larger variance may move a little mass below the budget


def noisy(bursts: dict[int, int], seed: int = 0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Fourteen days of normal noise about 10, and so many minutes of heavy bursts on some days."""
    rng = np.random.default_rng(seed)
    load = rng.normal(10, 1, 14 * DAY)
    for day, minutes in bursts.items():
        at = day * DAY + rng.choice(DAY, minutes, replace=False)
        load[at] += 5 * (1 + rng.pareto(1.5, minutes))
    return load, np.arange(14 * DAY) // DAY


def test_normal_noise_is_calm() -> None:
    """The quantiles of normal noise are 2.33 and 3.09 deviations: log(3.09 / 2.33) = 0.28."""
    load, day = noisy({})

    assert CALM_TAIL > 0.28
    assert burst_deviation(load, np.full(len(load), 10.0), day) == CALM_LEVEL


def test_bursts_on_many_days_are_a_habit() -> None:
    load, day = noisy(dict.fromkeys(range(14), 6))

    assert burst_deviation(load, np.full(len(load), 10.0), day) > 1.5 * CALM_LEVEL


def test_bursts_of_one_day_are_no_habit_yet() -> None:
    load, day = noisy({5: 84})

    assert burst_deviation(load, np.full(len(load), 10.0), day) == CALM_LEVEL


def test_demand_that_was_all_expected_or_unknown_is_calm() -> None:
    day = np.arange(2 * DAY) // DAY
    flat = np.full(2 * DAY, 3.0)

    assert burst_deviation(flat, flat, day) == CALM_LEVEL
    assert burst_deviation(np.full(2 * DAY, np.nan), flat, day) == CALM_LEVEL


def test_spikes_out_of_nothing_are_bursts() -> None:
    """In fewer than 1 % of minutes and more than 0.1 %, so that the lower quantile is still 0."""
    day = np.arange(14 * DAY) // DAY
    load = np.where(np.arange(14 * DAY) % 200 == 0, 9.0, 1.0)

    assert burst_deviation(load, np.ones(14 * DAY), day) == BURSTY_LEVEL


def weeks(*levels: float, noise: float = 0.01) -> np.ndarray[Any, Any]:
    """Weeks of constant level, whose days differ by a little."""
    rng = np.random.default_rng(4)
    days = np.repeat(levels, 7) * np.exp(rng.normal(0, noise, 7 * len(levels)))
    return np.repeat(days, DAY)


def expected_after(load: np.ndarray[Any, Any]) -> Outlook:
    return outlook(load, load, np.arange(len(load)) // DAY)


def test_growth_is_that_of_the_last_week_over_the_one_before() -> None:
    growth, error = weekly_growth(weeks(5, 10, 12))

    assert growth == pytest.approx(np.log(1.2), abs=3 * error)
    assert 0 < error < 0.01


def test_half_of_an_evident_growth_is_expected_to_go_on() -> None:
    assert expected_after(weeks(10, 12)).shift == pytest.approx(np.log(1.2) / 2, abs=0.01)


def test_a_fall_lowers_nothing() -> None:
    falling = expected_after(weeks(12, 10))

    assert falling.shift == 0
    assert falling.deviation == pytest.approx(CALM_LEVEL, abs=0.002)


def test_days_that_differ_more_than_weeks_are_no_evidence_but_a_doubt() -> None:
    found = expected_after(weeks(10, 10.5, noise=0.3))

    assert found.shift == 0
    assert found.deviation > 1.1 * CALM_LEVEL


def test_less_than_two_weeks_or_too_few_known_days_tell_no_growth() -> None:
    gaps = weeks(10, 12)
    gaps[8 * DAY : 12 * DAY] = np.nan

    assert weekly_growth(weeks(10)) == (0.0, 0.0)
    assert weekly_growth(gaps) == (0.0, 0.0)
