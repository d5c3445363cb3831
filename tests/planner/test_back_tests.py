"""Back-tests in the plan are priced as the plan runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.back_tests import judged_demand
from planner.candidates import search_fleets
from planner.demand import Score
from tests.planner.test_candidates import flat, offer, search, workload


def score(name: str, coverage: float = 0.99, steps: int = 672) -> Score:
    """Seven days of quarter hours with 100 vCPU-hours at p99 and 300 at the peak."""
    return Score(name, 7, steps, (0.5, 0.6, None), 0.9, coverage, 100.0, 30.0, 300.0, 15.0)


def test_capacity_is_what_keeps_the_objective_at_the_price_of_the_plan_s_vcpu() -> None:
    web = replace(workload("web", flat(8)), score=score("web"))
    (candidate,) = search_fleets([web], search(offer("x.large", 4096, 8000, 0.2)))

    (demand,), pooled = judged_demand([web], candidate.groups, utilisation=0.8)

    found = demand.back_test
    assert found is not None
    assert found.vcpu_hours == 125.0  # 100 / 0.8
    assert found.usd == pytest.approx(6.25)  # 125 x 0.2 / 4 vCPU
    assert found.peak_usd == pytest.approx(18.75)  # 300 / 0.8 x 0.05
    assert found.pinball_ratio_p99 is None
    assert demand.coverage_p99 == 0.99
    assert pooled is not None
    assert pooled.usd == found.usd


def test_services_are_pooled_by_their_steps() -> None:
    web = replace(workload("web", flat(8)), score=score("web", 0.98, 200))
    api = replace(workload("api", flat(8)), score=score("api", 1.0, 600))

    _, pooled = judged_demand([web, api], (), utilisation=1.0)

    assert pooled is not None
    assert pooled.coverage_p99 == 0.995  # (0.98 x 200 + 1.0 x 600) / 800
    assert pooled.vcpu_hours == 200.0
    assert pooled.usd is None  # neither stands on instances of the plan


def test_a_service_without_a_back_test_has_none() -> None:
    web = workload("web", flat(8))

    (demand,), pooled = judged_demand([web], (), utilisation=0.8)

    assert demand == web.summary
    assert pooled is None
