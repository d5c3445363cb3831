"""Conversions: exact, rounded the way ECS needs, and inverse to each other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from planner import units


def test_a_quarter_vcpu_is_256_cpu_units() -> None:
    assert units.cpu_units(0.25) == 256  # 0.25 x 1,024


def test_fractions_of_a_cpu_unit_round_up_so_that_a_task_never_gets_less() -> None:
    assert units.cpu_units(0.2501) == 257  # 256.1


def test_a_month_is_730_hours() -> None:
    assert units.usd_per_month(0.10) == 73.0  # 0.10 x 730


def test_an_upfront_payment_is_spread_over_every_hour_of_the_term() -> None:
    # 876 USD over one year of 8,760 hours is 0.10 an hour, on top of 0.05
    assert round(units.effective_usd_per_hour(876, 0.05, 1), 10) == 0.15


@given(st.integers(min_value=0, max_value=10**9))
def test_cpu_units_survive_the_round_trip_through_vcpu(value: int) -> None:
    assert units.cpu_units(units.vcpu(value)) == value


@given(st.integers(min_value=0, max_value=10**9))
def test_mib_survive_the_round_trip_through_gib(value: int) -> None:
    assert units.mib(units.gib(value)) == value
