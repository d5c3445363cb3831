"""Build the embedded price tables from collected source files.

    python -m planner.prices.build PRICES_FOLDER LIMITS_FOLDER [--out planner/prices/data]

PRICES_FOLDER holds aws_ec2_prices.csv.gz, aws_ec2_reserved_no_upfront.csv.gz, aws_fargate_prices.csv and
aws_other_prices.csv.gz; LIMITS_FOLDER holds aws_instance_limits.csv.gz. Prices that were typed in from a
public record, one by one, live in data/quoted.csv with their evidence and are merged here. A price of 0 in
a source never becomes a price: it becomes a reason in absent.csv.
"""

from __future__ import annotations

import argparse
import csv
import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from planner.prices import tables
from planner.prices.tables import PriceTable, Row

DATA: Final = Path(__file__).parent / "data"

EC2_SHOP: Final = "yeo/ec2.shop@74c9fd8a"
KARPENTER: Final = "aws/karpenter-provider-aws@1d927085"
SPOTINFO: Final = "alexei-led/spotinfo@5eedf20"
INSTANCES_INFO: Final = "LeanerCloud/ec2-instances-info@ef5638a"
CORTEX: Final = "cortexlabs/cortex@dc48c02e"
MOTO: Final = "moto@5.2.5"

SOURCES: Final = (
    (EC2_SHOP, "copies of AWS's own price file, data/ec2/*-ondemand.json, manifest of 2025-04-04", "MIT"),
    (KARPENTER, "zz_generated.pricing_aws.go of 2026-07-20: newer types in us-east-1", "Apache-2.0"),
    (SPOTINFO, "spot-advisor-data.json: AWS Spot Advisor of 2025-06-28", "Apache-2.0"),
    (INSTANCES_INFO, "generated_instances_data.txt: Spot prices in us-east-1 of 2023-08-30", "Unlicense"),
    (CORTEX, "pkg/lib/aws/resource_metadata.go of 2022-09-03", "Apache-2.0"),
    (MOTO, "stored DescribeInstanceTypes replies; ENI table of the ECS developer guide of 2023-04-18; "
     "vpclimits and bandwidth of karpenter-provider-aws@1d927085; eni-max-pods of amazon-vpc-cni-k8s",
     "Apache-2.0, CC BY-SA 4.0"),
)  # fmt: skip
"""What each value of a `source` column stands for; quoted prices carry their evidence in quoted.csv."""

NOT_CHARGED: Final = {
    "ebs_gp2_iops_month": "gp2 volumes have no charge for IOPS beyond the GB-month",
    "ebs_gp2_mbps_month": "gp2 volumes have no charge for throughput beyond the GB-month",
    "ebs_io1_mbps_month": "io1 volumes have no charge for throughput",
    "ebs_io2_mbps_month": "io2 volumes have no charge for throughput",
    "ebs_sc1_iops_month": "sc1 volumes have no charge for IOPS",
    "ebs_sc1_mbps_month": "sc1 volumes have no charge for throughput",
    "ebs_st1_iops_month": "st1 volumes have no charge for IOPS",
    "ebs_st1_mbps_month": "st1 volumes have no charge for throughput",
    "ebs_io2_iops_month": "io2 IOPS are charged in tiers, which the source states as 0: not usable as a price",
    "aks_free_hour": "the Free tier of AKS has no charge, and no uptime agreement",
    "azure_disk_gb_month": "no price of UK South was found in a public record; `planner prices refresh"
    " --azure-region uksouth` reads it, or pass --azure-disk-usd-per-gb-month",
}
"""Items without a price, and what that means: sources carry some with 0."""

UNITS: Final = {"hour": "hour", "gb_month": "GB-month", "iops_month": "IOPS-month", "mbps_month": "MiB/s-month"}

REGISTERED_MEMORY: Final = {"m4.large": "7985"}
"""Registered memory that AWS documents: 8,192 MiB advertised (ECS developer guide, memory-management)."""


def read_source(path: Path) -> list[dict[str, str]]:
    content = path.read_bytes()
    text = gzip.decompress(content) if path.suffix == ".gz" else content
    return list(csv.DictReader(text.decode("utf-8").splitlines()))


def on_demand(ec2: Iterable[dict[str, str]]) -> Iterator[Row]:
    for row in ec2:
        yield (
            row["region"],
            row["instance_type"],
            row["on_demand_usd_hour"],
            row["price_date"],
            KARPENTER if row["source"] == "karpenter" else EC2_SHOP,
        )


def spot_observed(ec2: Iterable[dict[str, str]]) -> Iterator[Row]:
    for row in ec2:
        if row["spot_usd_hour"]:
            yield (
                row["region"], row["instance_type"], "", row["spot_usd_hour"], "", "", "", row["spot_date"],
                INSTANCES_INFO,
            )  # fmt: skip


def spot_advisor(ec2: Iterable[dict[str, str]]) -> Iterator[Row]:
    for row in ec2:
        if row["spot_interruption_band"]:
            yield (
                row["region"], row["instance_type"], whole(row["spot_savings_pct_advisor"]),
                whole(row["spot_interruption_band"]), "2025-06-28", SPOTINFO,
            )  # fmt: skip


def reserved(rows: Iterable[dict[str, str]]) -> Iterator[Row]:
    for row in rows:
        convertible = row["term"].startswith("convertible-")
        years = row["term"].removeprefix("convertible-").removesuffix("y")
        yield (
            row["region"], row["instance_type"], years, "convertible" if convertible else "standard",
            row["purchase_option"], "0", row["usd_hour"], row["price_date"].split(" ")[0], EC2_SHOP,
        )  # fmt: skip


FARGATE_ITEMS: Final = {
    "vcpu_hour": ("vcpu_hour", "vCPU-hour"),
    "gb_hour": ("gib_hour", "GiB-hour"),
    "ephemeral_gb_hour": ("ephemeral_gib_hour", "GiB-hour"),
}
"""AWS writes GB and means GiB: 0.5 GB is a task of 512 MiB."""
ITEM_UNITS: Final = {
    "alb_hour": "hour",
    "alb_lcu_hour": "LCU-hour",
    "nat_gateway_hour": "hour",
    "nat_gateway_gb": "GB",
    "public_ipv4_hour": "hour",
}


PREFIXES: Final = {"eu-west-2": "EUW2-", "eu-west-1": "EU-", "us-east-1": "USE1-"}
"""How AWS's usage types name the three Regions."""
USAGE_TYPES: Final = {
    ("linux", "x86_64", "vcpu_hour"): "Fargate-vCPU-Hours:perCPU",
    ("linux", "x86_64", "gb_hour"): "Fargate-GB-Hours",
    ("linux", "arm64", "vcpu_hour"): "Fargate-ARM-vCPU-Hours:perCPU",
    ("linux", "arm64", "gb_hour"): "Fargate-ARM-GB-Hours",
    ("windows", "x86_64", "vcpu_hour"): "Fargate-Windows-vCPU-Hours:perCPU",
    ("windows", "x86_64", "gb_hour"): "Fargate-Windows-GB-Hours",
    ("linux", "any", "ephemeral_gb_hour"): "Fargate-EphemeralStorage-GB-Hours",
    ("any", "any", "alb_hour"): "LoadBalancerUsage",
    ("any", "any", "alb_lcu_hour"): "LCUUsage",
    ("any", "any", "nat_gateway_hour"): "NatGateway-Hours",
    ("any", "any", "nat_gateway_gb"): "NatGateway-Bytes",
    ("any", "any", "public_ipv4_hour"): "PublicIPv4:InUseAddress",
}


def quoted_usage_type(row: dict[str, str]) -> str:
    usage = PREFIXES[row["region"]] + USAGE_TYPES[row["os"], row["arch"], row["item"]]
    return f"AWS price list {usage}, as quoted in public records"


def fargate(rows: Iterable[dict[str, str]]) -> Iterator[Row]:
    for row in rows:
        if row["item"] in FARGATE_ITEMS:
            item, unit = FARGATE_ITEMS[row["item"]]
            yield (
                row["region"], row["os"], row["arch"], "on_demand", item, row["usd"], unit, row["observed"],
                quoted_usage_type(row),
            )  # fmt: skip


def items(fargate_rows: Iterable[dict[str, str]], other: Iterable[dict[str, str]]) -> list[Row]:
    """Items by Region; a newer observation of the same item replaces an older one."""
    merged: dict[tuple[str, str], Row] = {}
    for row in other:
        if float(row["usd"]) == 0:
            if row["item"] not in NOT_CHARGED:
                raise SystemExit(f"{row['item']} costs 0 in {row['region']} and nothing says what that means")
            continue
        unit = next(u for suffix, u in UNITS.items() if row["item"].endswith(suffix))
        merged[row["region"], row["item"]] = (
            row["region"], row["item"], row["usd"], unit, row["date"], CORTEX,
        )  # fmt: skip
    for row in fargate_rows:
        if row["item"] in ITEM_UNITS:
            merged[row["region"], row["item"]] = (
                row["region"], row["item"], row["usd"], ITEM_UNITS[row["item"]], row["observed"],
                quoted_usage_type(row),
            )  # fmt: skip
    return list(merged.values())


def whole(text: str) -> str:
    """An integer that a source wrote as 3.0; empty stays empty."""
    return str(int(float(text))) if text else ""


ARCHITECTURES: Final = {"x86_64": "x86_64", "i386|x86_64": "x86_64", "arm64": "arm64"}
"""Others (Macs) do not run Linux containers."""


def instance_types(limits: Iterable[dict[str, str]], ec2: Iterable[dict[str, str]]) -> Iterator[Row]:
    """Facts of each type: the DescribeInstanceTypes reply first, the price file where that has none."""
    priced: dict[str, dict[str, str]] = {}
    for row in ec2:
        priced.setdefault(row["instance_type"], row)
    known = {row["instance_type"]: row for row in limits}
    for name in sorted(known | priced):
        facts, price = known.get(name, {}), priced.get(name, {})

        def pick(column: str, facts: dict[str, str] = facts, price: dict[str, str] = price) -> str:
            return facts.get(column) or price.get(column, "")

        yield (
            name, whole(pick("vcpu")), whole(pick("memory_mib")), ARCHITECTURES.get(pick("arch"), ""),
            whole(pick("gpu_count")), pick("gpu_name"), whole(pick("accelerators")), pick("burstable"),
            pick("bare_metal"), price.get("previous_generation", ""), facts.get("current_generation", ""),
            whole(facts.get("max_enis") or facts.get("vpc_max_enis", "")),
            whole(facts.get("ipv4_per_eni") or facts.get("vpc_ipv4_per_eni", "")),
            whole(facts.get("ecs_task_limit_no_trunk", "")), whole(facts.get("ecs_task_limit_trunk", "")),
            facts.get("trunking_compatible", ""), whole(facts.get("branch_enis", "")),
            whole(facts.get("eks_max_pods_file") or facts.get("eks_max_pods_formula", "")),
            whole(facts.get("karpenter_bandwidth_mbps", "")), REGISTERED_MEMORY.get(name, ""),
            "2026-10" if facts.get("arch") else price.get("price_date", ""),
            MOTO if facts.get("arch") else EC2_SHOP,
        )  # fmt: skip


def quoted(table: PriceTable) -> Iterator[Row]:
    """Rows of data/quoted.csv that belong to `table`; the file's columns are a superset."""
    for row in read_source(DATA / "quoted.csv"):
        if row["table"] == table.name:
            yield tuple(row[column] for column in table.columns)


def merged(table: PriceTable, rows: Iterable[Row]) -> list[Row]:
    """Collected rows plus quoted ones; a key in both is a mistake to be settled by hand."""
    result = [*rows, *quoted(table)]
    tables.keyed(table, result)
    tables.check_money(table, result)
    return result


def build(prices: Path, limits: Path) -> dict[str, bytes]:
    """Every embedded table as file name and bytes."""
    ec2 = read_source(prices / "aws_ec2_prices.csv.gz")
    fargate_rows = read_source(prices / "aws_fargate_prices.csv")
    other = read_source(prices / "aws_other_prices.csv.gz")
    content: list[tuple[PriceTable, Iterable[Row]]] = [
        (tables.EC2_ON_DEMAND, on_demand(ec2)),
        (tables.EC2_SPOT, spot_observed(ec2)),
        (tables.SPOT_ADVISOR, spot_advisor(ec2)),
        (tables.EC2_RESERVED, reserved(read_source(prices / "aws_ec2_reserved_no_upfront.csv.gz"))),
        (tables.SAVINGS_PLANS, ()),
        (tables.FARGATE, fargate(fargate_rows)),
        (tables.ITEMS, items(fargate_rows, other)),
        (tables.AZURE, ()),
        (tables.INSTANCE_TYPES, instance_types(read_source(limits / "aws_instance_limits.csv.gz"), ec2)),
        (tables.ABSENT, NOT_CHARGED.items()),
        (tables.SOURCES, SOURCES),
    ]
    return {table.file_name: tables.write(table, merged(table, rows)) for table, rows in content}


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the embedded price tables.")
    parser.add_argument("prices", type=Path)
    parser.add_argument("limits", type=Path)
    parser.add_argument("--out", type=Path, default=DATA)
    arguments = parser.parse_args()
    for name, content in build(arguments.prices, arguments.limits).items():
        (arguments.out / name).write_bytes(content)


if __name__ == "__main__":
    main()
