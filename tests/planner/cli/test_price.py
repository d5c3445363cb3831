"""`planner price` and `planner prices`: JSON and text, and one clear sentence where the answer is no."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from planner import terminal
from planner.aws import clients
from planner.cli import price, prices
from tests.planner.prices.fakes import price_sources
from tests.planner.prices.test_refresh import sources


def run(*arguments: str) -> Result:
    app = typer.Typer()
    price.register(app)
    prices.register(app)
    return CliRunner().invoke(app, list(arguments))


def answer(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exception is None, result.exception
    return json.loads(result.stdout)


def refused(*arguments: str) -> terminal.UserError:
    error = run(*arguments).exception
    assert isinstance(error, terminal.UserError), error
    return error


def test_an_instance_with_its_source_date_and_month() -> None:
    found = answer("price", "instance", "m5.large", "--region", "eu-west-2")

    assert found["usd_per_hour"] == 0.111
    assert found["usd_per_month"] == pytest.approx(81.03)  # 0.111 x 730
    assert (found["price_date"], found["source"]) == ("2025-04-04", "yeo/ec2.shop@74c9fd8a")
    assert (found["facts"]["vcpu"], found["facts"]["ecs_task_enis_trunked"]) == (2, 10)
    assert len(found["price_book"]["sha256"]) == 64


def test_fargate_and_its_arm_price() -> None:
    x86 = answer("price", "fargate", "--vcpu", "1", "--memory-gib", "2", "--region", "eu-west-2")
    arm = answer(
        "price", "fargate", "--vcpu", "0.5", "--memory-gib", "1", "--architecture", "arm64",
        "--tasks", "4", "--region", "eu-west-2",
    )  # fmt: skip

    assert x86["usd_per_hour"] == pytest.approx(0.05678)  # 0.04656 + 2 x 0.00511
    assert arm["usd_per_hour"] == pytest.approx(0.09086)  # 4 x (0.5 x 0.03725 + 1 x 0.00409)


def test_windows_on_fargate_pays_its_licence() -> None:
    found = answer("price", "fargate", "--windows", "--vcpu", "1", "--memory-gib", "2", "--region", "us-east-1")

    assert found["usd_per_hour"] == pytest.approx(0.09148 + 0.046 + 2 * 0.01005)
    assert found["rates"]["licence_vcpu_hour"]["usd"] == 0.046
    away = refused("price", "fargate", "--windows", "--vcpu", "1", "--memory-gib", "2", "--region", "eu-west-2")
    assert away.exit_code == 1


def test_tasks_that_come_and_go_are_billed_by_the_second_and_at_least_a_minute() -> None:
    """AWS Fargate pricing page, example 1: 5 tasks of 1 vCPU and 2 GB, 10 minutes a day for 30 days: 1.23 USD."""
    asked = ("price", "fargate", "--vcpu", "1", "--memory-gib", "2", "--tasks", "5", "--region", "us-east-1")

    found = answer(*asked, "--run-minutes", "10", "--runs-per-month", "30")
    short = answer(*asked, "--run-minutes", "0.5", "--runs-per-month", "60")

    assert round(found["usd_per_month"], 2) == 1.23
    assert short["billed_hours_per_month"] == pytest.approx(1)  # 60 runs of a minute each


def test_reservations_of_a_type_with_what_they_save() -> None:
    found = answer("price", "committed", "m5.large", "--region", "eu-west-2")
    nothing = refused("price", "committed", "m5.large", "--region", "us-west-2")

    offers = found["offers"]
    assert len(offers) == 4  # standard and convertible, one and three years, No Upfront
    assert [o["usd_per_hour"] for o in offers] == sorted(o["usd_per_hour"] for o in offers)
    for offer in offers:
        assert offer["saving_per_on_demand"] == pytest.approx(1 - offer["usd_per_hour"] / 0.111)
    assert (nothing.exit_code, "refresh" in str(nothing)) == (1, True)


def test_load_balancers_and_clusters_show_their_lines() -> None:
    alb = answer("price", "alb", "--region", "eu-west-2", "--gb-per-hour", "2", "--count", "2")
    eks = answer("price", "eks", "--region", "eu-west-1", "--clusters", "3")

    # 2 x (0.02646 + 2 x 0.0084)
    assert alb["usd_per_hour"] == pytest.approx(0.08652)
    assert len(alb["lines"]) == 4
    assert eks["usd_per_month"] == pytest.approx(219.00)


def test_the_catalogue_is_what_pack_reads() -> None:
    text = run("price", "catalogue", "--region", "eu-west-2", "--family", "m7i").stdout.splitlines()

    assert text[0].startswith("instance_type,cpu_units,memory_mib,usd_per_hour,task_enis,gpus")
    assert text[1].startswith("m7i.large,2048,7946,0.11655,2,0")


def test_pounds_with_a_rate_and_its_date() -> None:
    shown = run(
        "price", "instance", "m5.large", "--region", "eu-west-2", "--currency", "GBP", "--rate", "0.8",
        "--rate-date", "2026-11-02",
    ).stdout  # fmt: skip

    assert "£64.82 a month of 730 hours" in shown  # 81.03 x 0.8
    assert "Converted at 0.8 GBP per USD of 2026-11-02." in shown


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("price", "instance", "m5.large", "--region", "eu-west-9"), 2, "eu-west-9 is no Region"),
        (("price", "instance", "m5.lorge", "--region", "eu-west-2"), 2, "m5.lorge is no instance type"),
        (("price", "instance", "m8a.large", "--region", "eu-west-2"), 1, "no on-demand price as of 2025-04-04"),
        (("price", "fargate", "--vcpu", "3", "--memory-gib", "5", "--region", "eu-west-2"), 2, "4 vCPU and 8 GiB"),
        (("price", "fargate", "--vcpu", "1", "--memory-gib", "2", "--region", "us-west-2"), 1, "no price"),
        (
            (
                "price",
                "fargate",
                "--vcpu",
                "1",
                "--memory-gib",
                "2",
                "--region",
                "eu-west-2",
                "--architecture",
                "mips",
            ),
            2,
            "mips is no architecture",
        ),
        (("price", "alb", "--region", "eu-north-1"), 1, "alb_hour in eu-north-1"),
        (("price", "item", "ebs_gp2_iops_month", "--region", "eu-west-2"), 1, "no charge for IOPS"),
        (("price", "item", "unicorns", "--region", "eu-west-2"), 2, "no such item"),
        (
            ("price", "instance", "m5.large", "--region", "eu-west-2", "--currency", "GBP"),
            2,
            "a rate and its date",
        ),
        (("price", "eks", "--region", "eu-west-2", "--currency", "GBP", "--rate", "0"), 2, "a rate and its date"),
        (("price", "item", "azure_disk_gb_month", "--region", "uksouth"), 1, "--azure-disk-usd-per-gb-month"),
        (("prices", "use", "20250101T000000Z", "--prices", "nowhere"), 2, "has no snapshot"),
    ],
)
def test_what_cannot_be_priced_is_refused_by_name(arguments: tuple[str, ...], code: int, told: str) -> None:
    error = refused(*arguments)

    assert error.exit_code == code
    assert told in str(error)


@pytest.mark.parametrize("option", ["--gb-per-hour", "--requests-per-second", "--rules"])
@pytest.mark.parametrize("value", ["nan", "-1"])
def test_a_load_that_is_none_is_refused(option: str, value: str) -> None:
    result = run("price", "alb", "--region", "eu-west-2", option, value)

    assert result.exit_code == 2


@pytest.mark.parametrize("size", [("nan", "2", "20"), ("1", "nan", "20"), ("1", "2", "nan"), ("1", "2", "500")])
def test_a_fargate_size_that_is_none_is_refused(size: tuple[str, str, str]) -> None:
    vcpu, memory, storage = size
    result = run(
        "price",
        "fargate",
        "--region",
        "eu-west-2",
        "--vcpu",
        vcpu,
        "--memory-gib",
        memory,
        "--storage-gib",
        storage,
    )

    assert result.exit_code == 2


def test_a_folder_without_prices_or_with_broken_ones_is_refused(tmp_path: Path) -> None:
    empty = refused("price", "instance", "m5.large", "--region", "eu-west-2", "--prices", str(tmp_path))
    (tmp_path / "current").write_text("20261101T120000Z\n")
    broken = refused("price", "instance", "m5.large", "--region", "eu-west-2", "--prices", str(tmp_path))

    assert (empty.exit_code, broken.exit_code) == (2, 2)
    assert "planner prices refresh" in str(empty)
    assert "20261101T120000Z" in str(broken)


def test_show_lists_items_of_a_region_with_their_dates() -> None:
    found = answer("prices", "show", "--region", "eu-west-2")

    assert found["rows"]["ec2_on_demand"] == 15_835
    assert found["items"]["alb_hour"]["usd"] == 0.02646
    assert found["region_date"] == "2025-04-04"


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_refresh_writes_a_snapshot_that_price_then_uses(credentials: None, tmp_path: Path) -> None:
    with price_sources(sources()) as endpoint:
        result = answer(
            "prices", "refresh", "--region", "eu-west-2", "--prices", str(tmp_path), "--endpoint-url", endpoint,
            "--azure-region", "uksouth", "--azure-endpoint", endpoint,
        )  # fmt: skip

    moved = {tuple(c["key"]): (c["before_usd"], c["after_usd"]) for c in result["changes"]}
    assert moved["eu-west-2", "m5.large"] == (0.111, 0.12)
    assert result["failed"] == []
    found = answer("price", "instance", "m5.large", "--region", "eu-west-2", "--prices", str(tmp_path))
    assert found["usd_per_hour"] == 0.12
    listed = answer("prices", "list", "--prices", str(tmp_path))
    assert [s["current"] for s in listed["snapshots"]] == [True]


def test_refresh_with_a_failed_part_says_so_and_exits_1(credentials: None, tmp_path: Path) -> None:
    served = sources()
    served.products["AmazonEKS"] = ["{ truncated"]
    with price_sources(served) as endpoint:
        result = run(
            "prices", "refresh", "--region", "eu-west-2", "--prices", str(tmp_path), "--endpoint-url", endpoint
        )

    assert result.exit_code == 1
    assert "Not read: AmazonEKS prices of eu-west-2" in result.stdout
    assert "The old prices stay in force" in result.stdout


def test_refresh_that_reads_nothing_keeps_the_old_prices(
    credentials: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "connect", partial(clients.connect, max_attempts=1))
    error = refused(
        "prices", "refresh", "--region", "eu-west-2", "--prices", str(tmp_path),
        "--endpoint-url", "http://127.0.0.1:9", "--azure-endpoint", "http://127.0.0.1:9",
    )  # fmt: skip

    assert error.exit_code == 1
    assert "the old ones stay in force" in str(error)
    assert list(tmp_path.iterdir()) == []
