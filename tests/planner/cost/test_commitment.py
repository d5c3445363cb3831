"""The commitment of least expected cost, checked against the quantile rule and against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.cost.break_even import break_even, tasks_that_fit
from planner.cost.commitment import best_commitment, commit, cost_at, samples_of_quantiles
from planner.cost.spot import SpotRisk, best_spot_mix, spot_mix
from planner.model import Resources
from planner.units import CpuUnits, MiB, UsdPerHour


def test_one_discount_commits_to_its_quantile_of_usage() -> None:
    # Usage 1 ... 10 USD/h, each as likely. With a discount of 0.3 the best cover is the 0.3 quantile of
    # usage, 3 USD on demand, which is a commitment of 3 x 0.7 = 2.10 USD/h.
    usage = np.arange(1.0, 11.0)

    found = commit(usage, [0.3])

    assert found.commitment_usd_per_hour == pytest.approx(2.10)
    assert found.on_demand_usd_per_hour == pytest.approx(5.5)
    # 2.10 + mean of max(0, usage - 3) = 2.10 + (1 + ... + 7) / 10 = 4.90
    assert found.expected_usd_per_hour == pytest.approx(4.90)
    assert found.saving_usd_per_hour == pytest.approx(0.60)
    # covered: (1 + 2 + 8 x 3) / 10 = 2.7 of 5.5; used: 2.7 x 0.7 = 1.89 of 2.10
    assert found.coverage == pytest.approx(2.7 / 5.5)
    assert found.utilisation == pytest.approx(0.9)


def test_flat_usage_is_committed_whole_and_no_usage_not_at_all() -> None:
    assert commit(np.full(24, 5.0), [0.27]).commitment_usd_per_hour == pytest.approx(5.0 * 0.73)
    idle = commit(np.zeros(24), [0.27])
    assert (idle.commitment_usd_per_hour, idle.expected_usd_per_hour, idle.utilisation) == (0, 0, 1)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(0, 50)), min_size=1, max_size=12),
    st.tuples(st.floats(0.05, 0.7), st.floats(0.05, 0.7)),
)
def test_no_other_commitment_is_cheaper(hours: list[tuple[float, float]], discounts: tuple[float, float]) -> None:
    usage = np.array(hours)

    best = best_commitment(usage, discounts)

    least = cost_at(best, usage, discounts)
    tried = [cost_at(c, usage, discounts) for c in np.linspace(0, usage.sum(axis=1).max() + 1, 200)]
    assert least <= min(tried) + 1e-9


def test_the_larger_discount_is_covered_first() -> None:
    # An hour with 1 USD of each: a commitment of 0.5 covers the tier at 0.5 whole and nothing of the other.
    usage = np.array([[1.0, 1.0]])

    assert cost_at(0.5, usage, [0.5, 0.1]) == pytest.approx(0.5 + 1.0)
    assert cost_at(0.5, usage, [0.1, 0.5]) == pytest.approx(0.5 + 1.0)


def test_regret_is_what_the_commitment_costs_over_the_best_for_a_scenario() -> None:
    usage = np.full(100, 10.0)

    found = commit(usage, [0.3], {"half the demand": usage / 2, "as expected": usage})

    half, expected = found.regrets
    # committed 7.00 for usage of 5: pays 7.00 instead of 3.50
    assert (half.usd_per_hour, half.best_usd_per_hour) == (pytest.approx(7.0), pytest.approx(3.5))
    assert half.regret_usd_per_hour == pytest.approx(3.5)
    assert expected.regret_usd_per_hour == pytest.approx(0)


def test_quantiles_become_equally_likely_values() -> None:
    samples = samples_of_quantiles({0.5: [10.0], 0.9: [14.0], 0.99: [20.0]}, count=100)

    assert np.quantile(samples[0], 0.5) == pytest.approx(10, abs=0.1)
    assert np.quantile(samples[0], 0.9) == pytest.approx(14, abs=0.2)
    assert np.quantile(samples[0], 0.1) == pytest.approx(6, abs=0.2)  # mirrored: 2 x 10 - 14
    assert samples.min() >= 0


def test_crossing_quantiles_and_broken_usage_are_refused() -> None:
    with pytest.raises(ValueError, match="cross"):
        samples_of_quantiles({0.5: [10.0], 0.9: [9.0]})
    with pytest.raises(ValueError, match="median"):
        samples_of_quantiles({0.9: [9.0]})
    with pytest.raises(ValueError, match="finite"):
        commit(np.array([1.0, np.nan]), [0.3])
    with pytest.raises(ValueError, match="discount"):
        commit(np.array([1.0]), [1.0])
    with pytest.raises(ValueError, match="1 tiers of usage but 2 discounts"):
        commit(np.array([1.0]), [0.1, 0.2])


# Spot


def test_more_pools_allow_more_spot() -> None:
    one = SpotRisk(interruption_band=2, pools=1, headroom=0.2)
    six = SpotRisk(interruption_band=2, pools=6, headroom=0.2)

    best_one, _ = best_spot_mix(UsdPerHour(10), UsdPerHour(4), 20, one, short_minutes_allowed=0.01)
    best_six, _ = best_spot_mix(UsdPerHour(10), UsdPerHour(4), 20, six, short_minutes_allowed=0.01)

    # one pool: losing it may cost no more than the headroom of 0.2; six pools: two may go at once
    assert best_one.spot_share == pytest.approx(0.2)
    assert best_six.spot_share == 1.0
    assert best_six.usd_per_hour == pytest.approx(4)


def test_short_minutes_of_one_pool_are_its_down_time() -> None:
    risk = SpotRisk(interruption_band=0, pools=1, headroom=0.1, recovery_minutes=10)

    mix = spot_mix(0.5, UsdPerHour(10), UsdPerHour(4), 20, risk)

    # 5 % of instances a month x 10 minutes = 0.5 minutes a month; 0.5 x 20 x 0.05 = 0.5 interruptions
    assert mix.short_minutes_per_month == pytest.approx(0.5)
    assert mix.interruptions_per_month == pytest.approx(0.5)
    assert mix.usd_per_hour == pytest.approx(7)


# Break-even


def test_break_even_of_a_small_task_on_m5_large() -> None:
    room = Resources(CpuUnits(2048), MiB(7946), 10)
    task = Resources(CpuUnits(256), MiB(512), 1)

    found = break_even(room, task, UsdPerHour(0.111), UsdPerHour(0.014195))

    # eight tasks fit by CPU; 0.111 / 0.014195 = 7.82 tasks pay for the instance: 97.7 % full
    assert found is not None
    assert found.tasks_per_instance == 8
    assert found.utilisation == pytest.approx(0.97746, abs=1e-5)
    assert found.curve(2) == [(0.5, pytest.approx(0.02775), 0.014195), (1.0, pytest.approx(0.013875), 0.014195)]


def test_network_interfaces_limit_what_fits() -> None:
    task = Resources(CpuUnits(256), MiB(512), 1)

    assert tasks_that_fit(Resources(CpuUnits(2048), MiB(7946), 2), task) == 2
    assert break_even(Resources(CpuUnits(128), MiB(7946), 2), task, UsdPerHour(1), UsdPerHour(1)) is None
