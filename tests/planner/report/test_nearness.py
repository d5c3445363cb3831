"""The section that tells how near the fleet is to the cheapest possible."""

from __future__ import annotations

import re
from typing import Any

import pytest

from planner.documents import PlanDocument
from planner.report import render
from planner.report.nearness import fleet_rows, section
from tests.plans import plan, plan_values, tables

HOSTILE = "<img src=x onerror=alert(1)>"


def proof(**changes: Any) -> dict[str, Any]:
    """0.40 an hour ran; the bound is 0.30, 0.06 is for zones and 0.04 for the rest."""
    certificate = {
        "at": "2026-05-12T10:00:00Z", "tasks": 8, "instances": 4, "orders_replayed": 5, "orders_placed": 5,
        "added": [{"what": "zones", "usd_per_hour": 0.06}, {"what": "the rest", "usd_per_hour": 0.04}],
        "task_costs": [{"service": HOSTILE, "usd_per_hour": 0.05}],
        "rule_costs": [
            {"rule": "at most 1 instance type", "usd_per_hour": 0.1, "at_least_usd_per_hour": 0.0,
             "at_most_usd_per_hour": 0.2},
        ],
        "never_worth": [
            {"instance_type": f"t{n}.large", "usd_per_hour": 0.2, "worth_at_most_usd_per_hour": 0.15,
             "is_proved": True}
            for n in range(10)
        ],
        "near": [
            {"name": "packed as planned", "usd_per_hour": 0.3, "dearer_by": 0.0, "different": 0.0,
             "instances": [{"instance_type": "m7i.large", "count": 3}]},
            {"name": "two types", "usd_per_hour": 0.27, "dearer_by": -0.1, "different": 0.5,
             "instances": [{"instance_type": "m7i.large", "count": 1},
                           {"instance_type": "c7i.large", "count": 2}]},
            {"name": "x86 only", "rejected": "the other architecture is asked for by web"},
            {"name": "ARM only", "usd_per_hour": 0.33, "dearer_by": 0.1, "different": 1.0,
             "is_hypothetical": True},
        ],
        "strategies": [
            {"strategy": "binpack:cpu,spread:az", "usd_per_hour": 0.3, "rejected": "it packs before it spreads"},
            {"strategy": "spread:az,binpack:cpu", "usd_per_hour": 0.4},
            {"strategy": "spread:az", "usd_per_hour": 0.5, "rejected": "it costs 73 USD a month more than x"},
        ],
        "deployments": [
            {"service": "web", "tasks": 6, "maximum_percent": 200, "extra_tasks": 6, "extra_instances": 2,
             "usd_per_hour": 0.2},
            {"service": "db", "tasks": 1, "maximum_percent": 200, "extra_tasks": 1, "extra_instances": 0,
             "usd_per_hour": 0.0},
        ],
        "searches": 8,
    }  # fmt: skip
    return {
        "status": "feasible", "usd_per_hour": 0.4, "lower_bound_usd_per_hour": 0.3, "gap": 0.333333,
        "statement": "told", "certificate": {**certificate, **changes},
    }  # fmt: skip


def with_proof(**changes: Any) -> PlanDocument:
    return PlanDocument.model_validate({**plan_values(), "packing": proof(**changes)})


@pytest.fixture(scope="module")
def body() -> str:
    page = render(with_proof(), tables())
    found = re.search(r'<section id="near">.*?</section>', page, re.S)
    assert found is not None
    return found[0]


def cells(row: str, body: str) -> list[str]:
    """The text of each cell of the row with this heading."""
    found = re.search(rf"<tr><t[hd][^>]*>{re.escape(row)}</t[hd]>(.*?)</tr>", body, re.S)
    assert found is not None, row
    return [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", found[1], re.S)]


def test_the_steps_are_a_sum_from_the_bound_to_the_fleet(body: str) -> None:
    assert cells("No fleet costs less (the lower bound)", body) == ["$0.30", "$219"]  # x 730
    assert cells("zones", body) == ["+ $0.06", "+ $44"]
    assert cells("the rest", body) == ["+ $0.04", "+ $29"]
    assert cells("The plan's 4 instances, with 8 tasks", body) == ["$0.40", "$292"]


def test_the_lead_says_how_near_it_is(body: str) -> None:
    assert "at most 33.3% more than the cheapest possible" in body


def test_other_fleets_are_a_picture_and_a_table(body: str) -> None:
    assert 'role="img" aria-label="USD an hour at the busiest minute' in body
    assert cells("two types", body) == ["1 x m7i.large, 2 x c7i.large", "$0.27", "10.0% less"]
    assert cells("x86 only", body) == ["none: the other architecture is asked for by web"]
    assert cells("ARM only, if every image were built for it", body)[2] == "10.0% more"


def test_rules_tasks_and_types_have_their_price(body: str) -> None:
    assert cells("at most 1 instance type", body) == ["$73", "$0 to $146"]
    assert "$36" in body  # 0.05 x 730 = 36.5, of which the half is dropped
    assert cells("t0.large", body) == ["0.2000", "0.1500", "25.0% less"]
    assert "10 other instance types" in body
    assert "t8.large" not in body


def test_what_ecs_makes_of_it_is_told_with_the_strategies(body: str) -> None:
    assert "in all 5 random orders of arrival" in body
    assert "web (6 tasks more at maximumPercent 200) 2 instances, $0.20 an hour" in body
    assert "The other one fits into what runs" in body
    assert cells("binpack:cpu,spread:az", body) == ["$219", "25.0% less", "it packs before it spreads"]
    assert cells("spread:az,binpack:cpu", body) == ["$292", "", "chosen"]
    assert cells("spread:az", body) == ["$365", "25.0% more", "it costs more"]


def test_orders_in_which_tasks_wait_are_told() -> None:
    shown = section(with_proof(orders_placed=3))

    assert shown is not None
    assert shown["orders"].startswith("In 3 of 5 random orders")


def test_a_search_that_the_clock_ended_is_a_warning(body: str) -> None:
    assert "time limit" not in body

    shown = section(with_proof(searches_ended_by_clock=2))
    assert shown is not None
    assert "ended 2 of 8 searches" in shown["ended"]


def test_names_from_outside_stay_text(body: str) -> None:
    assert "<img" not in body
    assert "&lt;img src=x" in body


def test_a_plan_without_a_certificate_has_no_section() -> None:
    page = render(plan(), tables())

    assert 'id="near"' not in page
    assert 'href="#near"' not in page
    assert section(plan()) is None


def test_the_picture_s_table_has_the_fleet_first() -> None:
    rows = fleet_rows(with_proof())

    assert list(rows["kind"]) == ["plan", "packed", "other", "rebuilt"]
    assert list(rows["usd_per_hour"]) == [0.4, 0.3, 0.27, 0.33]
