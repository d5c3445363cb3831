"""The capacity provider's target is chosen by replaying both loops."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from planner.scaling import Policy, choose_capacity, simulate
from planner.scaling.policies import CapacityProvider, TargetTracking

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def steady() -> np.ndarray:
    minute = np.arange(7 * 1440)
    return 8 + 4 * np.sin(minute / 1440 * 2 * np.pi)


def jumping() -> np.ndarray:
    """The load doubles within a minute, once an hour."""
    return np.where(np.arange(7 * 1440) % 60 < 20, 12.0, 6.0)


def tracked(target: float = 60) -> Policy:
    return Policy(1, 2, 200, initial=16, target_tracking=(TargetTracking(target),))


def test_a_calm_load_needs_no_spare_instances() -> None:
    found = choose_capacity(steady(), MONDAY, tracked(), CapacityProvider(4), slo=0.999)

    assert found.chosen.holds
    assert found.chosen.capacity_target_percent == 100
    assert found.policy.capacity_provider is not None
    assert found.policy.capacity_provider.target_capacity_percent == 100


def test_the_choice_replays_as_it_says() -> None:
    found = choose_capacity(steady(), MONDAY, tracked(), CapacityProvider(4), slo=0.999)
    outcome = simulate(steady(), MONDAY, found.policy, utilisation=0.8)

    assert outcome.slo_attainment == found.chosen.attainment
    assert outcome.instance_hours == found.chosen.instance_hours_per_week  # one week is known


def test_what_does_not_hold_is_said_with_what_would_help() -> None:
    found = choose_capacity(jumping(), MONDAY, tracked(75), CapacityProvider(4), slo=0.9999)

    assert not found.chosen.holds
    assert "no pair of 60 leaves room" in found.reason
    assert "warm pool" in found.reason


def test_the_frontier_only_gets_better_with_cost() -> None:
    found = choose_capacity(jumping(), MONDAY, tracked(), CapacityProvider(4), slo=0.99)
    hours = [point.instance_hours_per_week for point in found.frontier]
    reached = [point.attainment for point in found.frontier]

    assert hours == sorted(hours)
    assert reached == sorted(set(reached))
