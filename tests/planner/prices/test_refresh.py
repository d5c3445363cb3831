"""Refreshing against sources that answer as AWS and Azure do: new prices in, old ones kept, failures named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from planner.aws.price_sources import Readers, fetch
from planner.aws.prices import Refreshed, parts, refresh
from planner.model import Architecture, Price
from planner.prices import BrokenPriceFile, FargatePrice, SpotPrice, load
from planner.prices.snapshots import changes, current, names, save, use
from planner.prices.tables import EC2_ON_DEMAND, ITEMS
from tests.planner.prices.fakes import (
    PriceSources,
    linux_instance,
    price_sources,
    product,
    region_products,
    reserved_term,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HELD = load()
LB_RULES = "Standard Included LB Rules and Outbound Rules"
ALB = {"operation": "LoadBalancing:Application", "family": "Load Balancer-Application"}


def sources() -> PriceSources:
    """Today's held prices with four differences: m5.large dearer, m9z.large new, a1.large gone, all terms of
    m5.large listed."""
    listed = region_products(HELD)
    del listed["c5.large"]
    reserved = listed["m5.large"]["terms"]["Reserved"]
    listed["m5.large"] = linux_instance("m5.large", "0.1200000000")
    listed["m5.large"]["terms"]["Reserved"] = reserved | {
        "all": reserved_term("1", "standard", "All Upfront", "613", "0.0000000000")
    }
    listed["m9z.large"] = linux_instance("m9z.large", "0.0990000000")
    windows = linux_instance("m5.large", "0.2030000000", operatingSystem="Windows")
    return PriceSources(
        products={
            "AmazonEC2": [
                *listed.values(),
                windows,
                product("NatGateway-Hours", "0.0500000000", family="NAT Gateway"),
                product("NatGateway-Bytes", "0.0520000000", family="NAT Gateway"),
                product("EBS:VolumeUsage.gp3", "0.0928000000", family="Storage", volumeApiName="gp3"),
            ],
            "AmazonECS": [
                product("Fargate-vCPU-Hours:perCPU", "0.0465600000"),
                product("Fargate-GB-Hours", "0.0051100000"),
                product("SpotUsage-Fargate-vCPU-Hours:perCPU", "0.0155000000"),
                product("SpotUsage-Fargate-GB-Hours", "0.0017000000"),
            ],
            "AWSELB": [
                product("LoadBalancerUsage", "0.0264600000", **ALB),
                product("LCUUsage", "0.0084000000", **ALB),
            ],
            "AmazonEKS": [
                product("AmazonEKS-Hours:perCluster", "0.1000000000"),
                product("AmazonEKS-Hours:extendedSupport", "0.5000000000"),
            ],
            "AmazonVPC": [product("PublicIPv4:InUseAddress", "0.0050000000")],
            "AmazonCloudWatch": [product("CW:GMD-Metrics", "0.0000100000", unit="Metrics")],
            "AmazonECR": [product("TimedStorage-ByteHrs", "0.1000000000", unit="GB-Mo")],
            "AWSDataTransfer": [
                product("DataTransfer-Regional-Bytes", "0.0100000000", fromRegionCode="eu-west-2")
            ],
        },
        savings_plans=[
            savings_rate("EUW2-BoxUsage:m5.large", "0.0810000000", "m5.large"),
            savings_rate("EUW2-Fargate-vCPU-Hours:perCPU", "0.0372480000", None),
        ],
        spot=[
            ("m5.large", "eu-west-2a", "0.0400", "2026-11-16T12:00:00.000Z"),
            ("m5.large", "eu-west-2a", "0.0500", "2026-11-20T00:00:00.000Z"),
            ("m5.large", "eu-west-2b", "0.0390", "2026-11-15T00:00:00.000Z"),
        ],
        azure=[
            *(azure_item(size.vm_size, price.usd) for size, price in HELD.azure_catalogue("uksouth")),
            azure_item("Standard_D4s_v5", 0.406, product="Virtual Machines Dsv5 Series Windows"),
            azure_item("Standard_D4s_v5", 0.05, sku="D4s v5 Spot"),
        ],
        azure_items=[
            azure_meter("Storage", "uksouth", "E4 LRS Disk", 2.64, "1/Month"),
            azure_meter("Storage", "uksouth", "E10 LRS Disk", 10.56, "1/Month"),
            azure_meter("Load Balancer", "Global", LB_RULES, 0.026, "1 Hour"),
            azure_meter("Load Balancer", "Global", "Standard Data Processed", 0.005, "1 GB"),
        ],
    )


def azure_meter(service: str, region: str, meter: str, price: float, unit: str, currency: str = "USD") -> Any:
    return {
        "currencyCode": currency, "retailPrice": price, "unitPrice": price, "armRegionName": region,
        "armSkuName": "", "productName": "Standard SSD Managed Disks", "skuName": meter.removesuffix(" Disk"),
        "meterName": meter, "type": "Consumption", "serviceName": service, "unitOfMeasure": unit,
    }  # fmt: skip


def savings_rate(usage: str, rate: str, instance_type: str | None) -> dict[str, Any]:
    properties = [{"name": "region", "value": "eu-west-2"}]
    if instance_type is not None:
        properties += [
            {"name": "instanceType", "value": instance_type},
            {"name": "productDescription", "value": "Linux/UNIX"},
            {"name": "tenancy", "value": "shared"},
        ]
    return {
        "savingsPlanOffering": {
            "offeringId": "8a1e36ed-1a10-4e0e-8f48-3a2c1f2a2b61", "paymentOption": "No Upfront",
            "planType": "Compute", "durationSeconds": 31536000, "currency": "USD",
        },
        "rate": rate, "unit": "Hrs", "productType": "EC2", "serviceCode": "AmazonEC2", "usageType": usage,
        "operation": "RunInstances", "properties": properties,
    }  # fmt: skip


def azure_item(
    size: str, price: float, *, product: str = "Virtual Machines Dsv5 Series", sku: str = "D4s v5"
) -> Any:
    return {
        "currencyCode": "USD", "retailPrice": price, "unitPrice": price, "armRegionName": "uksouth",
        "armSkuName": size, "productName": product, "skuName": sku, "meterName": sku, "type": "Consumption",
        "serviceName": "Virtual Machines", "unitOfMeasure": "1 Hour", "isPrimaryMeterRegion": True,
    }  # fmt: skip


def client_of(endpoint: str) -> Callable[[str, str], Any]:
    config = Config(retries={"mode": "standard", "total_max_attempts": 1})

    def make(service: str, region: str) -> Any:
        return boto3.client(
            service, region_name=region, endpoint_url=endpoint, config=config,
            aws_access_key_id="test", aws_secret_access_key="test",
        )  # fmt: skip

    return make


def read(served: PriceSources, **options: Any) -> Refreshed:
    with price_sources(served) as endpoint:
        readers = Readers(client_of(endpoint), fetch, endpoint)
        return refresh(parts(readers, "eu-west-2", NOW, azure_region="uksouth", **options), HELD)


@pytest.fixture(scope="module")
def whole() -> Refreshed:
    return read(sources())


def test_every_source_is_read(whole: Refreshed, tmp_path: Path) -> None:
    assert whole.failed == ()

    book = load(save(tmp_path, whole.contents, NOW, None))

    m5 = book.instance("eu-west-2", "m5.large")
    assert isinstance(m5, Price)
    assert (m5.usd, m5.date, m5.source) == (0.12, "2026-11-20", "AWS price list AmazonEC2, sku SKU-m5.large")
    upfront = book.reserved("eu-west-2", "m5.large", payment="All Upfront")
    assert isinstance(upfront, Price)
    assert upfront.usd == pytest.approx(613 / 8760)  # 0.06998 USD/h
    plan = book.savings_plan("eu-west-2", "m5.large")
    assert isinstance(plan, Price)
    assert plan.usd == 0.081
    fargate_plan = book.savings_plan("eu-west-2", "fargate:x86_64:vcpu_hour")
    assert isinstance(fargate_plan, Price)
    assert (fargate_plan.usd, fargate_plan.unit) == (0.037248, "vCPU-hour")
    spot = book.fargate("eu-west-2", Architecture.X86_64, spot=True)
    assert isinstance(spot, FargatePrice)
    assert spot.vcpu_hour.usd == 0.0155
    item = {name: book.item("eu-west-2", name) for name in ("nat_gateway_gb", "eks_extended_support_hour")}
    assert {name: price.usd for name, price in item.items() if isinstance(price, Price)} == {
        "nat_gateway_gb": 0.052,
        "eks_extended_support_hour": 0.6,
    }
    metrics = book.item("eu-west-2", "cloudwatch_get_metric_data_thousand")
    assert isinstance(metrics, Price)
    assert metrics.usd == pytest.approx(0.01)  # 0.00001 a metric
    azure = book.azure("uksouth", "Standard_D4s_v5")
    assert isinstance(azure, Price)
    assert azure.usd == 0.222  # neither Windows nor Spot


def test_spot_history_gives_the_price_in_force_and_the_mean_weighted_by_time(
    whole: Refreshed, tmp_path: Path
) -> None:
    book = load(save(tmp_path, whole.contents, NOW, None))

    found = book.spot("eu-west-2", "m5.large")

    assert isinstance(found, SpotPrice)
    assert found.price.usd == 0.05  # eu-west-2a is dearer than eu-west-2b
    assert found.history is not None
    # 7 days from 16 November noon: 3.5 days at 0.04, 3.5 days at 0.05
    assert found.history.mean_usd_per_hour == pytest.approx(0.045)
    assert found.history.max_usd_per_hour == 0.05
    assert found.history.days == pytest.approx(7)


def test_what_changed_is_shown_and_the_old_prices_are_kept(whole: Refreshed, tmp_path: Path) -> None:
    save(
        tmp_path,
        {EC2_ON_DEMAND: [("eu-west-2", "m5.large", "0.5", "2026-01-01", "old")]},
        NOW.replace(day=1),
        None,
    )
    first = current(tmp_path)
    save(tmp_path, whole.contents, NOW, first)

    assert names(tmp_path) == ["20261101T120000Z", "20261123T120000Z"]
    differences = {(c.table, *c.key): (c.before, c.after) for c in changes(HELD, load(current(tmp_path)))}
    assert differences["ec2_on_demand", "eu-west-2", "m5.large"] == (0.111, 0.12)
    assert differences["ec2_on_demand", "eu-west-2", "m9z.large"] == (None, 0.099)
    assert differences["ec2_on_demand", "eu-west-2", "c5.large"] == (0.101, None)
    assert differences["items", "eu-west-2", "nat_gateway_gb"] == (0.05, 0.052)
    assert ("ec2_on_demand", "eu-west-1", "m5.large") not in differences

    use(tmp_path, "20261101T120000Z")
    old = load(current(tmp_path)).instance("eu-west-2", "m5.large")
    assert isinstance(old, Price)
    assert old.usd == 0.5


def test_an_item_that_one_service_did_not_answer_keeps_its_old_price(whole: Refreshed, tmp_path: Path) -> None:
    only_nat = {ITEMS: [row for row in whole.contents[ITEMS] if row[1] == "nat_gateway_gb"]}

    book = load(save(tmp_path, only_nat, NOW, None))

    assert isinstance(book.item("eu-west-2", "alb_hour"), Price)


@pytest.mark.parametrize(
    ("operation", "part"),
    [
        ("DescribeSavingsPlansOfferingRates", "Savings Plans rates"),
        ("DescribeSpotPriceHistory", "Spot history"),
    ],
)
def test_a_throttled_source_fails_by_name_and_the_others_are_read(operation: str, part: str) -> None:
    served = sources()
    served.throttled = {operation}

    result = read(served)

    assert [r.what for r in result.failed] == [part]
    assert "AWS answered" in result.failed[0].reason
    assert EC2_ON_DEMAND in result.contents


def test_a_throttled_price_list_leaves_every_price_it_has_as_it_was() -> None:
    served = sources()
    served.throttled = {"GetProducts"}

    result = read(served)

    assert "EC2 on-demand and reserved prices" in {r.what for r in result.failed}
    assert all("ThrottlingException" in r.reason for r in result.failed)
    assert EC2_ON_DEMAND not in result.contents


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s.products["AmazonECS"].append('{"product": {}}'), "not in the documented shape"),
        (lambda s: s.products["AmazonECS"].append("{ truncated"), "not in the documented shape"),
        (
            lambda s: s.products["AmazonECS"].insert(
                0, product("Fargate-vCPU-Hours:perCPU", "0.3", currency="CNY")
            ),
            "price in CNY, not in USD",
        ),
    ],
)
def test_an_odd_product_fails_its_part_only(change: Callable[[PriceSources], None], told: str) -> None:
    served = sources()
    change(served)

    result = read(served)

    assert [r.what for r in result.failed] == ["Fargate prices"]
    assert told in result.failed[0].reason


def test_decoys_of_a_usage_type_are_not_taken_for_it() -> None:
    served = sources()
    served.products["AWSELB"] += [
        product("ReservedLCUUsage", "0.0050000000", **ALB),
        product("Outposts-LoadBalancerUsage", "0.0000000000", **ALB),
        product("TS-LoadBalancerUsage", "0.0056000000", **ALB),
    ]
    bare = product("LoadBalancerUsage", "0.0056000000", **ALB)
    bare["product"]["attributes"]["usagetype"] = "TS-LoadBalancerUsage"  # as us-east-1 lists it
    served.products["AWSELB"].append(bare)

    result = read(served)

    assert result.failed == ()
    found = {row[1]: row[2] for row in result.contents[ITEMS]}
    assert (found["alb_hour"], found["alb_lcu_hour"]) == ("0.02646", "0.0084")


def test_one_usage_type_at_two_prices_keeps_the_old_one_and_takes_the_others() -> None:
    served = sources()
    served.products["AWSELB"].append(product("LoadBalancerUsage", "0.0300000000", **ALB))

    result = read(served)

    assert [r.what for r in result.failed] == ["AWSELB prices"]
    assert "eu-west-2, alb_hour at 0.02646 and at 0.03" in result.failed[0].reason
    found = {row[1]: row[2] for row in result.contents[ITEMS]}
    assert "alb_hour" not in found
    assert found["alb_lcu_hour"] == "0.0084"


def test_an_instance_type_at_two_prices_leaves_every_instance_price_as_it_was() -> None:
    served = sources()
    served.products["AmazonEC2"].append(linux_instance("m5.large", "0.1300000000"))

    result = read(served)

    assert [r.what for r in result.failed] == ["EC2 on-demand and reserved prices"]
    assert EC2_ON_DEMAND not in result.contents


def test_a_region_that_comes_back_cut_short_is_refused() -> None:
    served = sources()
    served.products["AmazonEC2"] = served.products["AmazonEC2"][:3]

    result = read(served)

    failed = {r.what: r.reason for r in result.failed}
    assert (
        "only 3 ec2_on_demand rows came back for eu-west-2 where 531 were held"
        in failed["EC2 on-demand and reserved prices"]
    )
    assert EC2_ON_DEMAND not in result.contents


def test_azure_pages_are_followed_and_another_host_is_refused() -> None:
    served = sources()
    served.azure_next = "http://prices.example/api/retail/prices?$skip=2"

    result = read(served)

    assert [(r.what, r.reason) for r in result.failed] == [
        ("Azure VM prices", "the Azure retail prices API continues on another host, prices.example")
    ]


def test_azure_disks_and_load_balancers_are_read_for_aks(whole: Refreshed, tmp_path: Path) -> None:
    book = load(save(tmp_path, whole.contents, NOW, None))

    disk, hour = book.item("uksouth", "azure_disk_gb_month"), book.item("uksouth", "azure_lb_hour")
    assert isinstance(disk, Price)
    assert isinstance(hour, Price)
    assert disk.usd == pytest.approx(2.64 / 32)  # an E4 has 32 GiB
    assert (hour.usd, hour.date) == (0.026, "2026-11-23")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s.azure_items.pop(0), "has no price for E4 LRS Disk in uksouth"),
        (lambda s: s.azure_items[0].update(currencyCode="GBP"), "E4 LRS Disk in GBP per 1/Month"),
        (lambda s: s.azure_items[2].update(unitOfMeasure="100 Hours"), "in USD per 100 Hours"),
        (lambda s: s.azure_items[0].pop("retailPrice"), "not in the documented shape: 'retailPrice'"),
    ],
)
def test_an_odd_azure_item_is_named_and_the_old_price_kept(
    change: Callable[[PriceSources], None], told: str
) -> None:
    served = sources()
    change(served)

    (failed,) = read(served).failed

    assert failed.what == "Azure disk and load balancer prices"
    assert told in failed.reason


def test_a_truncated_azure_answer_is_refused() -> None:
    served = sources()
    served.truncated = {"azure"}

    assert [r.what for r in read(served).failed] == ["Azure VM prices"]


def test_the_bulk_file_gives_the_same_prices_as_getproducts(whole: Refreshed) -> None:
    served = sources()
    listed = [p for p in served.products["AmazonEC2"] if p["product"]["productFamily"] == "Compute Instance"]
    terms: dict[str, dict[str, Any]] = {"OnDemand": {}, "Reserved": {}}
    skus = {f"{p['product']['sku']}-{i}": p for i, p in enumerate(listed)}
    for sku, entry in skus.items():
        for kind in entry["terms"]:
            terms[kind][sku] = entry["terms"][kind]
    served.bulk = {
        "formatVersion": "v1.0", "offerCode": "AmazonEC2", "publicationDate": "2026-11-20T17:02:11Z",
        "products": {sku: entry["product"] for sku, entry in skus.items()}, "terms": terms,
    }  # fmt: skip

    result = read(served, bulk=True)

    assert result.failed == ()
    assert sorted(r[:4] for r in result.contents[EC2_ON_DEMAND]) == sorted(
        r[:4] for r in whole.contents[EC2_ON_DEMAND]
    )

    served.truncated = {"bulk"}
    broken = read(served, bulk=True)
    assert "truncated" in broken.failed[0].reason


# Snapshots on disk


def test_a_truncated_snapshot_file_is_refused_by_name(whole: Refreshed, tmp_path: Path) -> None:
    snapshot = save(tmp_path, whole.contents, NOW, None)
    path = snapshot / EC2_ON_DEMAND.file_name
    path.write_bytes(path.read_bytes()[:-20])

    with pytest.raises(BrokenPriceFile, match=r"ec2_on_demand\.csv\.gz .* is truncated or was changed"):
        current(tmp_path)
    with pytest.raises(BrokenPriceFile, match="truncated"):
        load(snapshot)


@pytest.mark.parametrize("bad", ["", "0", "-0.1", "nan", "inf", "free"])
def test_what_is_not_a_price_never_enters_a_snapshot(bad: str, tmp_path: Path) -> None:
    rows = {EC2_ON_DEMAND: [("eu-west-2", "m5.large", bad, "2026-11-20", "test")]}

    with pytest.raises(BrokenPriceFile, match=r"m5\.large: usd_per_hour is .* not a price"):
        save(tmp_path, rows, NOW, None)

    assert names(tmp_path) == []
    assert current(tmp_path) is None


def test_a_killed_refresh_leaves_the_old_prices_in_force(
    whole: Refreshed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = save(tmp_path, whole.contents, NOW.replace(day=1), None)

    def killed(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, whole.contents, NOW, before)

    assert current(tmp_path) == before
    assert names(tmp_path) == [before.name]
