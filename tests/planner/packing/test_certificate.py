"""The certificate: task prices add up to the bound, rules cost what they cost, bad types are named."""

from __future__ import annotations

import pytest

from planner.packing import PackingProblem, explain, pack
from tests.planner.packing.build import offer, task

OFFERS = (offer("good", 1000, 1000, 1.0), offer("dear", 1000, 1000, 5.0))


def test_the_price_of_a_task_is_its_share_of_the_instance_it_fills() -> None:
    problem = PackingProblem((task("web", 8, 250, 250),), OFFERS)
    certificate = explain(problem, pack(problem))

    assert certificate.task_prices[0].service == "web"
    assert certificate.task_prices[0].usd_per_hour == pytest.approx(0.25, rel=1e-6)


def test_a_type_that_was_never_worth_it_is_named_with_the_price_at_which_it_may_be() -> None:
    problem = PackingProblem((task("web", 8, 250, 250),), OFFERS)
    certificate = explain(problem, pack(problem))

    assert [(n.instance_type, n.is_proved) for n in certificate.never_worth] == [("dear", True)]
    assert certificate.never_worth[0].worth_at_most == pytest.approx(1.0, rel=1e-3)


def test_surviving_a_zone_costs_the_places_kept_free() -> None:
    problem = PackingProblem((task("web", 8, 250, 250),), OFFERS, zones=2, survive_zone_loss=True)
    certificate = explain(problem, pack(problem))

    assert [r.rule for r in certificate.rule_costs] == ["surviving the loss of a zone"]
    assert certificate.rule_costs[0].usd_per_hour == pytest.approx(2.0)  # 4 instances instead of 2
    assert any("surviving the loss of a zone" in s for s in certificate.sentences)
