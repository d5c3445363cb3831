"""Look-ups: the price with its source and date, or the reason there is none; never 0."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pytest

from planner.model import Architecture, Price, Rejection
from planner.prices import FargatePrice, SpotPrice, load
from planner.prices.build import NOT_CHARGED
from planner.units import CpuUnits, MiB

BOOK = load()


def rows_of(path: Path) -> list[dict[str, str]]:
    content = path.read_bytes()
    text = gzip.decompress(content) if path.suffix == ".gz" else content
    return list(csv.DictReader(text.decode().splitlines()))


def test_every_on_demand_price_agrees_with_the_collected_file(shared_data: Path) -> None:
    rows = rows_of(shared_data / "prices" / "aws_ec2_prices.csv.gz")
    found = [BOOK.instance(row["region"], row["instance_type"]) for row in rows]

    differences = [
        (row["region"], row["instance_type"], price)
        for row, price in zip(rows, found, strict=True)
        if not isinstance(price, Price)
        or (price.usd, price.date) != (float(row["on_demand_usd_hour"]), row["price_date"])
    ]

    assert len(rows) == 15_835
    assert differences == []


def test_every_spot_row_agrees_with_the_collected_file(shared_data: Path) -> None:
    rows = rows_of(shared_data / "prices" / "aws_ec2_prices.csv.gz")

    observed = {key[:2]: float(row[3]) for key, row in BOOK.rows["ec2_spot"].items()}
    bands = {key: int(row[3]) for key, row in BOOK.rows["spot_advisor"].items()}

    expected = {(r["region"], r["instance_type"]): float(r["spot_usd_hour"]) for r in rows if r["spot_usd_hour"]}
    assert observed == expected
    assert bands == {
        (r["region"], r["instance_type"]): int(float(r["spot_interruption_band"]))
        for r in rows
        if r["spot_interruption_band"]
    }


def test_every_reserved_price_agrees_with_the_collected_file(shared_data: Path) -> None:
    rows = rows_of(shared_data / "prices" / "aws_ec2_reserved_no_upfront.csv.gz")
    table = BOOK.rows["ec2_reserved"]

    differences = []
    for row in rows:
        offering = "convertible" if row["term"].startswith("convertible") else "standard"
        key = (row["region"], row["instance_type"], row["term"][-2], offering, row["purchase_option"])
        if float(table[key][6]) != float(row["usd_hour"]):
            differences.append(key)

    assert len(table) == len(rows) == 8_192
    assert differences == []


def test_every_fargate_and_item_price_agrees_with_the_collected_files(shared_data: Path) -> None:
    names = {"vcpu_hour": "vcpu_hour", "gb_hour": "gib_hour", "ephemeral_gb_hour": "ephemeral_gib_hour"}
    differences = []
    newer = set()
    for row in rows_of(shared_data / "prices" / "aws_fargate_prices.csv"):
        if row["item"] in names:
            key = (row["region"], row["os"], row["arch"], "on_demand", names[row["item"]])
            found = float(BOOK.rows["fargate"][key][5])
        else:
            newer.add((row["region"], row["item"]))
            price = BOOK.item(row["region"], row["item"])
            found = price.usd if isinstance(price, Price) else -1
        if found != float(row["usd"]):
            differences.append(row)
    for row in rows_of(shared_data / "prices" / "aws_other_prices.csv.gz"):
        price = BOOK.item(row["region"], row["item"])
        if (row["region"], row["item"]) in newer:
            continue
        if float(row["usd"]) == 0:
            assert price == Rejection(f"{row['item']} in {row['region']}", NOT_CHARGED[row["item"]])
        elif not isinstance(price, Price) or price.usd != float(row["usd"]):
            differences.append(row)

    assert differences == []


def test_instance_facts_agree_with_the_collected_limits(shared_data: Path) -> None:
    rows = rows_of(shared_data / "limits" / "aws_instance_limits.csv.gz")

    differences = []
    for row in rows:
        facts = BOOK.instance_types[row["instance_type"]]
        if row["vcpu"] and facts.vcpu != int(float(row["vcpu"])):
            differences.append((row["instance_type"], "vcpu"))
        if row["memory_mib"] and facts.memory_mib != int(float(row["memory_mib"])):
            differences.append((row["instance_type"], "memory"))
        if row["ecs_task_limit_trunk"] and facts.task_enis(True) != int(float(row["ecs_task_limit_trunk"])):
            differences.append((row["instance_type"], "trunk"))
        if row["ecs_task_limit_no_trunk"] and facts.task_enis(False) != int(float(row["ecs_task_limit_no_trunk"])):
            differences.append((row["instance_type"], "no trunk"))

    assert len(rows) == 1_437
    assert differences == []


def test_every_row_names_its_source_and_a_date() -> None:
    unsourced = [
        key
        for table in BOOK.rows.values()
        for key, row in table.items()
        if not row[-1] or not row[-2] or not row[-2][:4].isdigit()
    ]

    assert unsourced == []


def test_no_price_in_the_book_is_zero() -> None:
    assert all(float(row[2]) > 0 for row in BOOK.rows["ec2_on_demand"].values())
    assert all(float(row[5]) > 0 for row in BOOK.rows["fargate"].values())
    assert all(float(row[2]) > 0 for row in BOOK.rows["items"].values())


def test_an_unknown_region_type_or_item_is_refused_by_name() -> None:
    region = BOOK.instance("eu-west-9", "m5.large")
    instance = BOOK.instance("eu-west-2", "m99.large")
    item = BOOK.item("eu-west-2", "unicorn_hour")

    assert isinstance(region, Rejection)
    assert region.what == "eu-west-9"
    assert isinstance(instance, Rejection)
    assert instance.what == "m99.large"
    assert isinstance(item, Rejection)
    assert item.what == "unicorn_hour"


def test_a_type_that_a_region_does_not_offer_has_no_price_there() -> None:
    # m8a.large has a us-east-1 price of 2026-07-20 and none in eu-west-2.
    assert isinstance(BOOK.instance("us-east-1", "m8a.large"), Price)
    missing = BOOK.instance("eu-west-2", "m8a.large")

    assert isinstance(missing, Rejection)
    assert missing.what == "m8a.large in eu-west-2"
    assert "2025-04-04" in missing.reason


def test_fargate_spot_without_a_price_is_absent_with_a_reason() -> None:
    found = BOOK.fargate("eu-west-2", spot=True)

    assert isinstance(found, Rejection)
    assert "refresh" in found.reason


def test_a_worldwide_item_holds_in_commercial_regions_only() -> None:
    assert isinstance(BOOK.item("ap-south-1", "eks_cluster_hour"), Price)
    assert isinstance(BOOK.item("us-gov-west-1", "eks_cluster_hour"), Rejection)
    assert isinstance(BOOK.item("uksouth", "eks_cluster_hour"), Rejection)


def test_fargate_storage_is_charged_beyond_the_included_20_gib() -> None:
    rates = BOOK.fargate("eu-west-2", Architecture.X86_64)
    assert isinstance(rates, FargatePrice)

    # 1 vCPU x 0.04656 + 2 GiB x 0.00511 = 0.05678; plus 10 GiB x 0.000129 = 0.05807
    assert rates.task_usd_per_hour(CpuUnits(1024), MiB(2048)) == pytest.approx(0.05678)
    assert rates.task_usd_per_hour(CpuUnits(1024), MiB(2048), 30) == pytest.approx(0.05807)


def test_fargate_storage_without_a_price_is_refused_only_where_it_is_needed() -> None:
    rates = BOOK.fargate("eu-west-1", Architecture.X86_64)
    assert isinstance(rates, FargatePrice)

    assert isinstance(rates.task_usd_per_hour(CpuUnits(1024), MiB(2048), 30), Rejection)
    # 0.04048 + 2 x 0.004445
    assert rates.task_usd_per_hour(CpuUnits(1024), MiB(2048)) == pytest.approx(0.04937)


def test_spot_takes_the_newest_source_and_tells_how_it_was_derived() -> None:
    # us-east-1 has an observed price of 2023-08-30 and an advisor row of 2025-06-28.
    found = BOOK.spot("us-east-1", "m5.large")
    on_demand = BOOK.instance("us-east-1", "m5.large")
    assert isinstance(found, SpotPrice)
    assert isinstance(on_demand, Price)

    assert found.price.date == "2025-06-28"
    assert found.savings_percent is not None
    assert found.price.usd == pytest.approx(on_demand.usd * (1 - found.savings_percent / 100))
    assert "Spot Advisor" in found.price.note


def test_the_digest_changes_only_with_the_prices() -> None:
    assert load().digest == BOOK.digest
    assert len(BOOK.digest) == 64
