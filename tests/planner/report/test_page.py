"""The report page: offline, complete, and safe against names from outside."""

from __future__ import annotations

import re
from datetime import date

import pytest

from planner.alternatives import Comparison
from planner.comparison import compare_plan
from planner.cost import Bill, Reconciled, Reconciliation
from planner.documents import PlanDocument
from planner.documents.plan import BackTest
from planner.model import Rejection
from planner.prices import load
from planner.purchases import purchases
from planner.report import render, render_comparison
from planner.report.page import candidate_rows, changes, cost_week_rows, summary
from planner.units import Usd
from tests.plans import plan, plan_values, tables

HOSTILE = "</script><img src=x onerror=alert(1)>${jndi}\"'<b>"


@pytest.fixture(scope="module")
def page() -> str:
    return render(plan(), tables())


def without_plotly(page: str) -> str:
    """The page less the plotly library itself, which has URLs and tags in its own text."""
    return max(re.split(r"<script>.{1000000,}?</script>", page, maxsplit=1, flags=re.S)[1:], key=len)


def test_the_page_shows_today_s_and_the_plan_s_cost_a_month(page: str) -> None:
    assert "$730" in page  # 1.00 x 730
    assert "$292" in page  # 0.40 x 730
    assert "$438" in page  # 730 - 292


def test_the_page_has_every_picture_with_its_meaning_in_words(page: str) -> None:
    for name in ("cost", "cost-week", "demand", "week", "packing", "instances", "scaling", "frontier", "coverage"):
        assert f'id="figure-{name}"' in page
    assert page.count('role="img" aria-label="') == 9


def test_the_back_test_stands_beside_the_demand() -> None:
    one = BackTest(
        forecasts=7, steps=672, pinball_ratio_p50=0.62, pinball_ratio_p90=0.71, pinball_ratio_p99=None,
        coverage_p90=0.912, coverage_p99=0.991, missed_minutes=90, vcpu_hours=320, usd=12.5,
        peak_missed_minutes=15, peak_vcpu_hours=900, peak_usd=35.5,
    )  # fmt: skip
    made = plan()
    judged = made.model_copy(
        update={"demand": (made.demand[0].model_copy(update={"back_test": one}),), "back_test": one}
    )
    body = without_plotly(render(judged, tables()))

    row = re.search(r"<tr><th scope=\"row\">web</th>(<td class=\"num\">[^<]*</td>){10}</tr>", body)
    assert row is not None
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", row[0])
    assert cells == ["0.62", "0.71", "-", "91.2%", "99.1%", "7", "12.5", "90", "35.5", "15"]
    assert "all together" in body


def test_the_page_loads_nothing_from_elsewhere(page: str) -> None:
    body = without_plotly(page)

    assert re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', body) == []
    assert "@import" not in body


def test_the_same_plan_gives_the_same_bytes(page: str) -> None:
    assert render(plan(), tables()) == page


def test_a_hostile_service_name_stays_text() -> None:
    body = without_plotly(render(plan(HOSTILE), tables(HOSTILE)))

    assert "<img src=x" not in body
    assert "onerror=alert(1)>" not in body.replace("onerror=alert(1)&gt;", "")
    assert "&lt;/script&gt;&lt;img src=x" in body


def test_the_summary_tells_saving_and_changes() -> None:
    told = summary(plan())

    assert round(told["saving"], 2) == 438.00  # (1.00 - 0.40) x 730
    assert told["changes"] == [
        "2 to 8 x m7i.large in demo-m7i-large (4 at the start)",
        "10 instances of demo-old are drained and given back",
        "1 services get another task size: web",
        "1 services get thresholds, 1 of them with a weekly schedule",
    ]


def test_a_plan_that_changes_nothing_has_no_changes() -> None:
    quiet = plan().model_copy(update={"services": (), "fleet": (), "retired": ()})

    assert changes(quiet) == []


# Other platforms


@pytest.fixture(scope="module")
def compared() -> Comparison:
    return compare_plan(plan(), load())


def test_without_a_comparison_the_page_has_no_section_for_it(page: str) -> None:
    assert 'id="alternatives"' not in page
    assert 'href="#alternatives"' not in page


def test_the_comparison_is_a_section_with_its_figures_in_words(compared: Comparison) -> None:
    page = render(plan(), tables(), compared)

    assert page.count('id="alternatives"') == 1
    assert page.count('role="img" aria-label="') == 9 + 2  # bars and tornado; this plan tells no split by service
    assert compared.cheapest is not None
    for text in (f"{compared.cheapest.title} is the cheapest", "What would flip it", "cannot: ", "decide again: "):
        assert text in page
    assert "refused: Fargate Spot linux x86_64 vcpu_hour in eu-west-2" in page


def test_a_hostile_name_stays_text_in_the_comparison() -> None:
    body = without_plotly(render_comparison(compare_plan(plan(HOSTILE), load()), HOSTILE, "eu-west-2", "2025"))

    assert "<img src=x" not in body


def test_the_week_of_the_plan_s_cost_adds_to_its_mean() -> None:
    rows = cost_week_rows(plan())

    assert rows["usd"].sum() / 168 == pytest.approx(0.4)
    assert set(rows["hour_of_week"]) == set(range(168))


def test_how_to_buy_it_is_told_only_when_asked(page: str) -> None:
    assert "How to buy it" not in page

    told = render(plan(), tables(), buying=purchases(plan(), load()))

    assert "1-year standard reservations, No Upfront" in told
    assert "Spot: " in told


def test_today_stands_beside_the_bill_where_it_was_read() -> None:
    billed = Bill(date(2026, 10, 1), date(2026, 10, 31), {"EC2 <b>": 700.0}, estimated=True)
    rows = (Reconciled("EC2 <b>", Usd(700.0), Usd(720.0)),)

    told = render(plan(), tables(), billed=Reconciliation(billed, rows))
    refused = render(plan(), tables(), billed=Rejection("the bill", "ce:GetCostAndUsage is not allowed"))

    assert "2026-10-01 to 2026-10-31, not closed yet" in told
    assert "+20.00" in told
    assert "EC2 &lt;b&gt;" in told
    assert "is not held against the bill: ce:GetCostAndUsage is not allowed." in refused


def test_closed_parts_of_the_page_are_printed(page: str) -> None:
    assert "details::details-content { content-visibility: visible" in page


def test_commands_in_a_warning_are_code_and_names_in_it_stay_text() -> None:
    warned = plan().model_copy(update={"warnings": ("run `planner <x>` for <b>", "a lone ` of <i>")})
    body = without_plotly(render(warned, tables()))

    assert "run <code>planner &lt;x&gt;</code> for &lt;b&gt;" in body
    assert "a lone ` of &lt;i&gt;" in body


def test_a_candidate_that_breaks_a_rule_is_not_on_the_frontier() -> None:
    values = plan_values()
    cheap = {"name": "cheap", "description": "", "usd_per_hour": 0.1, "attainment": 0.9999, "rejected": "one zone"}
    states = []
    for broken in (None, True):
        values["candidates"] = [*plan_values()["candidates"], {**cheap, "breaks_a_rule": broken}]
        rows = candidate_rows(PlanDocument.model_validate(values)).set_index("name")
        states.append(rows.loc["cheap", "state"])

    assert states == ["frontier", "other"]
