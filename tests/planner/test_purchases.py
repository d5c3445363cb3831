"""How to buy a plan: commitments hour by hour over its week, and Spot within its objective."""

from __future__ import annotations

import pytest

from planner.documents import PlanDocument
from planner.model import Rejection
from planner.prices import PriceBook, load
from planner.purchases import Bought, SpotShare, purchases
from tests.plans import plan, plan_values

BOOK = load()


def with_hours(values: list[float]) -> PlanDocument:
    changed = plan_values()
    changed["fleet"][0]["instances_by_hour_of_week"] = values
    return PlanDocument.model_validate(changed)


def bought(plan_document: PlanDocument, book: PriceBook = BOOK) -> Bought:
    found = purchases(plan_document, book).commitment
    assert isinstance(found, Bought)
    return found


def test_a_level_fleet_is_committed_to_whole() -> None:
    found = bought(plan())

    (discount,) = found.discounts
    assert 0 < discount < 0.6
    # 0.40 USD/h on demand in every hour costs 0.40 x (1 - discount) when committed to
    assert found.commitment.commitment_usd_per_hour == pytest.approx(0.4 * (1 - discount))
    assert (found.commitment.coverage, found.commitment.utilisation) == (pytest.approx(1), pytest.approx(1))


def test_a_fleet_that_runs_few_hours_is_committed_to_at_its_low() -> None:
    found = bought(with_hours([1.0 if hour % 24 < 18 else 5.0 for hour in range(168)]))

    # a mean of 2 instances for 0.40 is 0.20 each; the hours with 5 are a quarter, fewer than the discount asks for
    assert found.discounts[0] < 0.75
    assert found.commitment.commitment_usd_per_hour == pytest.approx(0.2 * (1 - found.discounts[0]))
    less = next(r for r in found.commitment.regrets if r.scenario.startswith("30 % less"))
    assert less.regret_usd_per_hour > 0


def test_spot_keeps_the_minutes_that_the_objective_leaves() -> None:
    found = purchases(plan(), BOOK).spot

    assert isinstance(found, SpotShare)
    assert found.pools == 3
    assert found.mix.short_minutes_per_month <= 0.001 * 43_800
    assert found.mix.usd_per_hour <= found.on_demand_usd_per_hour


def test_a_region_without_commitment_prices_says_so() -> None:
    values = plan_values()
    values["scope"]["region"] = "ap-southeast-2"

    found = purchases(PlanDocument.model_validate(values), BOOK).commitment

    assert isinstance(found, Rejection)
    assert "planner prices refresh" in found.reason


def test_a_plan_without_instances_has_nothing_to_buy() -> None:
    values = plan_values()
    values["cost"]["plan"] = []

    found = purchases(PlanDocument.model_validate(values), BOOK)

    assert isinstance(found.commitment, Rejection)
    assert isinstance(found.spot, Rejection)
