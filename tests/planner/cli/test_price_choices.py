"""`planner price break-even|commitment|spot-mix|plan`: choices at these prices, and a plan's cost exported."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from planner import terminal
from planner.aws import clients
from planner.cli import price, schema
from planner.documents import dump_plan
from tests.planner.aws.test_bill import CostExplorer, day
from tests.plans import plan


def run(*arguments: str) -> Result:
    app = typer.Typer()
    price.register(app)
    schema.register(app)
    return CliRunner().invoke(app, ["price", *arguments])


def answer(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exception is None, result.exception
    return json.loads(result.stdout)


def refused(*arguments: str) -> terminal.UserError:
    error = run(*arguments).exception
    assert isinstance(error, terminal.UserError), error
    return error


def test_break_even_of_fargate_and_an_instance() -> None:
    found = answer("break-even", "m5.large", "--region", "eu-west-2", "--vcpu", "0.25", "--memory-gib", "0.5")

    # one task on Fargate: 0.25 x 0.04656 + 0.5 x 0.00511 = 0.014195; 0.111 / 0.014195 = 7.82 of 8 tasks
    assert found["tasks_per_instance"] == 8
    assert found["break_even_utilisation"] == pytest.approx(0.111 / 0.014195 / 8)
    assert len(found["curve"]) == 20


def test_break_even_says_when_fargate_always_wins_and_when_nothing_fits() -> None:
    text = run("break-even", "m7g.large", "--region", "eu-west-2", "--vcpu", "0.5", "--memory-gib", "1").stdout
    small = refused("break-even", "m5.large", "--region", "eu-west-2", "--vcpu", "4", "--memory-gib", "8")

    assert "Fargate is the cheaper one even against a full instance" in text
    assert (small.exit_code, "does not fit m5.large" in str(small)) == (1, True)


def test_a_commitment_from_plain_hours(tmp_path: Path) -> None:
    path = tmp_path / "hours.csv"
    path.write_text("usd_per_hour\n" + "\n".join(str(n) for n in range(1, 11)) + "\n")

    found = answer("commitment", str(path), "--discount", "0.3")

    assert found["commitment_usd_per_hour"] == pytest.approx(2.10)  # the 0.3 quantile, 3, less 30 %
    assert [r["scenario"] for r in found["regret"]] == ["30 % less", "as stated", "30 % more"]
    assert all(r["regret_usd_per_hour"] >= -1e-12 for r in found["regret"])


def test_a_commitment_from_quantiles_at_a_reserved_price(tmp_path: Path) -> None:
    path = tmp_path / "forecast.csv"
    path.write_text("timestamp,p50,p90,p99\na,3,4,5\nb,10,12,15\n")

    found = answer(
        "commitment", str(path), "--instance-type", "m5.large", "--region", "eu-west-2",
        "--plan", "reserved-standard",
    )  # fmt: skip

    assert found["discount_source"].startswith("reserved-standard, 1 year(s), No Upfront")
    assert 0.2 < found["discount"] < 0.5
    assert found["saving_usd_per_hour"] > 0


@pytest.mark.parametrize(
    ("content", "options", "told"),
    [
        ("usd_per_hour\n1\n", (), "Pass either --discount"),
        ("usd_per_hour\n1\n", ("--instance-type", "m5.large"), "needs --region"),
        ("usd_per_hour\nmany\n", ("--discount", "0.3"), "row 2, column usd_per_hour"),
        ("usd_per_hour\nnan\n", ("--discount", "0.3"), "must be finite"),
        ("p90\n1\n", ("--discount", "0.3"), "needs a column usd_per_hour, or p50"),
        ("p50,p90\n3,2\n", ("--discount", "0.3"), "quantiles cross"),
        ("usd_per_hour\n", ("--discount", "0.3"), "has no hours"),
    ],
)
def test_broken_hours_are_refused_by_name(
    tmp_path: Path, content: str, options: tuple[str, ...], told: str
) -> None:
    path = tmp_path / "hours.csv"
    path.write_text(content)

    error = refused("commitment", str(path), *options)

    assert error.exit_code == 2
    assert told in str(error)


def test_savings_plans_rates_that_were_never_read_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "hours.csv"
    path.write_text("usd_per_hour\n1\n")

    error = refused("commitment", str(path), "--instance-type", "m5.large", "--region", "eu-west-2")

    assert error.exit_code == 1
    assert "no rate in this price book" in str(error)


def test_a_spot_share_within_its_allowance() -> None:
    found = answer("spot-mix", "m5.large", "--region", "eu-west-2", "--instances", "20", "--pools", "3")
    strict = answer(
        "spot-mix",
        "m5.large",
        "--region",
        "eu-west-2",
        "--instances",
        "20",
        "--pools",
        "1",
        "--short-minutes",
        "0",
    )

    assert found["usd_per_hour"] < found["on_demand_usd_per_hour"] == pytest.approx(2.22)
    assert strict["spot_share"] == 0.1  # no more than the headroom, so that losing it is never short


def test_a_plan_s_cost_and_its_exports_add_up(tmp_path: Path) -> None:
    document, lines, focus = tmp_path / "plan.json", tmp_path / "lines.csv", tmp_path / "focus.csv"
    dump_plan(plan(), document)

    hours, page = tmp_path / "hours.csv", tmp_path / "plan.html"
    found = answer(
        "plan", str(document), "--csv", str(lines), "--focus", str(focus), "--hours-csv", str(hours),
        "--days", "2", "--html", str(page),
    )  # fmt: skip

    assert page.read_text().count('role="img"') == 2

    assert (found["plan_usd_per_hour"], found["today_usd_per_hour"]) == (0.4, 1.0)
    rows = list(csv.DictReader(io.StringIO(lines.read_text())))
    assert math.fsum(float(row["usd_per_month"]) for row in rows) == pytest.approx(292.00)  # 0.4 x 730
    charges = list(csv.DictReader(io.StringIO(focus.read_text())))
    assert len(charges) == 2 * 48  # the service, and what is idle
    # 3 tasks of 512 of 2,048 CPU units fill 0.75 of 4 instances
    web = math.fsum(float(row["EffectiveCost"]) for row in charges if row["x_EcsServiceName"] == "web")
    assert web == pytest.approx(19.20 * 0.75 / 4)
    assert found["by_service"] == pytest.approx({"(idle)": 0.4 * 3.25 / 4, "web": 0.4 * 0.75 / 4})
    assert found["period"]["usd"] == pytest.approx(19.20)
    assert len(found["period"]["usd_by_hour"]) == 48
    by_hour = list(csv.DictReader(io.StringIO(hours.read_text())))
    assert math.fsum(float(row["usd"]) for row in by_hour) == pytest.approx(19.20)
    assert math.fsum(float(row["EffectiveCost"]) for row in charges) == pytest.approx(19.20)  # 48 x 0.4
    assert {row["SubAccountId"] for row in charges} == {"123456789012"}


def test_the_break_even_curve_is_written_as_a_page(tmp_path: Path) -> None:
    page = tmp_path / "even.html"
    answer(
        "break-even", "m5.large", "--region", "eu-west-2", "--vcpu", "0.25", "--memory-gib", "0.5",
        "--html", str(page),
    )  # fmt: skip

    text = page.read_text()
    assert "m5.large or Fargate" in text
    assert 'role="img" aria-label="A task of 0.25 vCPU and 0.5 GiB in eu-west-2: 8 fit one m5.large' in text


def test_a_plan_is_committed_to_hour_by_hour_at_its_own_discounts(tmp_path: Path) -> None:
    document = tmp_path / "plan.json"
    dump_plan(plan(), document)

    found = answer("commitment", str(document))

    (discount,) = found["discounts"]
    assert found["discount_source"].startswith("1-year standard reservations, No Upfront")
    # 0.40 USD/h in every hour is committed to whole
    assert found["commitment_usd_per_hour"] == pytest.approx(0.4 * (1 - discount))


def test_the_bill_beside_what_runs_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = tmp_path / "plan.json"
    dump_plan(plan(), document)
    explorer = CostExplorer([day(("Amazon Elastic Compute Cloud - Compute", "700.00"))])
    monkeypatch.setattr(clients, "connect", lambda **_options: SimpleNamespace(get=lambda _service: explorer))

    found = answer("bill", str(document), "--days", "30", "--tag", "cluster=demo")

    # 1.00 USD/h x 720 h = 720.00 reckoned, 700.00 billed
    (row,) = found["services"]
    assert (row["billed_usd"], row["reckoned_usd"]) == (700.0, pytest.approx(720.0))
    assert row["difference_per_billed"] == pytest.approx(20 / 700)
    assert refused("bill", str(document), "--tag", "cluster").exit_code == 2


def test_a_broken_plan_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text("{}")

    assert refused("plan", str(path)).exit_code == 2
