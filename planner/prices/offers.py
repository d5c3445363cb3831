"""The AWS price list, as it answers, turned into rows of the price tables.

Pure: answers in, rows out. An answer in another shape than AWS documents raises `OddAnswer` naming what was
looked for, so that a refresh keeps the old prices instead of half-read ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from planner.prices.tables import Row

Product = Mapping[str, Any]
"""One entry of GetProducts: product, terms, serviceCode, publicationDate."""

REGION_PREFIX: Final = re.compile(r"^(?:[A-Z]{2,4}\d|EU)-")
"""EUW2-, EU-, USE1-, APN1-, UGW1-; us-east-1 has none in most usage types. TS-LoadBalancerUsage, a trust
store, is no Region's LoadBalancerUsage."""
THOUSAND: Final = 1000


class OddAnswer(ValueError):
    """A price source answered in a shape that is not the documented one."""


class Ambiguous(OddAnswer):
    """Offers at two prices; `rows` are the others, which are clear."""

    def __init__(self, message: str, rows: list[Row]) -> None:
        self.rows = rows
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One item of the price book and where the price list has it: the first tier of `usage_type`."""

    item: str
    service: str
    usage_type: str
    unit: str
    operation: str = ""
    """Empty: any."""
    scale: float = 1
    """The list's unit times this is the book's unit."""


WANTED: Final = (
    Wanted("alb_hour", "AWSELB", "LoadBalancerUsage", "hour", "LoadBalancing:Application"),
    Wanted("alb_lcu_hour", "AWSELB", "LCUUsage", "LCU-hour", "LoadBalancing:Application"),
    Wanted("nlb_hour", "AWSELB", "LoadBalancerUsage", "hour", "LoadBalancing:Network"),
    Wanted("nlb_lcu_hour", "AWSELB", "LCUUsage", "LCU-hour", "LoadBalancing:Network"),
    Wanted("nat_gateway_hour", "AmazonEC2", "NatGateway-Hours", "hour"),
    Wanted("nat_gateway_gb", "AmazonEC2", "NatGateway-Bytes", "GB"),
    Wanted("ebs_gp3_gb_month", "AmazonEC2", "EBS:VolumeUsage.gp3", "GB-month"),
    Wanted("ebs_gp2_gb_month", "AmazonEC2", "EBS:VolumeUsage.gp2", "GB-month"),
    Wanted("public_ipv4_hour", "AmazonVPC", "PublicIPv4:InUseAddress", "hour"),
    Wanted("vpc_interface_endpoint_hour", "AmazonVPC", "VpcEndpoint-Hours", "hour"),
    Wanted("vpc_interface_endpoint_gb", "AmazonVPC", "VpcEndpoint-Bytes", "GB"),
    Wanted("eks_cluster_hour", "AmazonEKS", "AmazonEKS-Hours:perCluster", "hour"),
    Wanted("cloudwatch_metric_month", "AmazonCloudWatch", "CW:MetricMonitorUsage", "metric-month"),
    Wanted("cloudwatch_alarm_month", "AmazonCloudWatch", "CW:AlarmMonitorUsage", "alarm-month"),
    Wanted(
        "cloudwatch_get_metric_data_thousand", "AmazonCloudWatch", "CW:GMD-Metrics", "1000 metrics requested",
        scale=THOUSAND,
    ),
    Wanted("ecr_storage_gb_month", "AmazonECR", "TimedStorage-ByteHrs", "GB-month"),
    Wanted("cross_zone_gb_each_way", "AWSDataTransfer", "DataTransfer-Regional-Bytes", "GB"),
)  # fmt: skip
EKS_EXTENDED: Final = Wanted("", "AmazonEKS", "AmazonEKS-Hours:extendedSupport", "hour")
"""Charged on top of the cluster hour."""

FARGATE_USAGE: Final = {
    f"{spot_prefix}Fargate{infix}-{kind}": (system, architecture, capacity, item, unit)
    for spot_prefix, capacity in (("", "on_demand"), ("SpotUsage-", "spot"))
    for infix, system, architecture in (
        ("", "linux", "x86_64"), ("-ARM", "linux", "arm64"), ("-Windows", "windows", "x86_64"),
    )
    for kind, item, unit in (
        ("vCPU-Hours:perCPU", "vcpu_hour", "vCPU-hour"), ("GB-Hours", "gib_hour", "GiB-hour"),
    )
} | {
    "Fargate-Windows-OS-Hours:perCPU": ("windows", "x86_64", "on_demand", "licence_vcpu_hour", "vCPU-hour"),
    "Fargate-EphemeralStorage-GB-Hours": ("linux", "any", "on_demand", "ephemeral_gib_hour", "GiB-hour"),
}  # fmt: skip
FARGATE_SERVICE: Final = "AmazonECS"
EC2_SERVICE: Final = "AmazonEC2"
EC2_FILTERS: Final = {
    "operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used",
    "licenseModel": "No License required",
}  # fmt: skip
"""Linux on shared tenancy, nothing preinstalled: the price most ECS instances are billed at."""


PLAIN_LINUX: Final = "RunInstances"
"""The operation of instances without licensed software; others are RunInstances:<code>."""


def parse_product(text: str | Product) -> Product:
    """One product of GetProducts, which arrives as a JSON string."""
    try:
        product = json.loads(text) if isinstance(text, str) else text
        product["product"]["attributes"], product["terms"]
    except (ValueError, KeyError, TypeError) as error:
        raise OddAnswer(f"a product of the AWS price list is not in the documented shape: {error}") from error
    return product


def bulk_products(document: Mapping[str, Any]) -> Iterator[Product]:
    """The products of a bulk price list file, in the shape of GetProducts."""
    try:
        published, products, terms = document["publicationDate"], document["products"], document["terms"]
        for sku, product in products.items():
            of_product = {kind: by_sku[sku] for kind, by_sku in terms.items() if sku in by_sku}
            yield {
                "product": product,
                "terms": of_product,
                "publicationDate": published,
                "serviceCode": document.get("offerCode", ""),
            }
    except (KeyError, AttributeError, TypeError) as error:
        raise OddAnswer(f"the bulk price list file is not in the documented shape: {error}") from error


def usage_type(product: Product) -> str:
    """The usage type without its Region prefix."""
    return REGION_PREFIX.sub("", str(product["product"]["attributes"].get("usagetype", "")), count=1)


def published(product: Product) -> str:
    return str(product.get("publicationDate", ""))[:10]


def _source(product: Product) -> str:
    return f"AWS price list {product.get('serviceCode', '')}, sku {product['product'].get('sku', '')}".strip()


def _usd(dimension: Mapping[str, Any], product: Product) -> str:
    prices = dimension.get("pricePerUnit", {})
    if "USD" not in prices:
        raise OddAnswer(f"{_source(product)} has a price in {', '.join(prices) or 'no currency'}, not in USD")
    return str(prices["USD"])


def first_tier_usd(product: Product) -> str | None:
    """The on-demand price of the first tier that costs something; None where everything is free."""
    try:
        dimensions = [
            d for term in product["terms"].get("OnDemand", {}).values() for d in term["priceDimensions"].values()
        ]
        dimensions.sort(key=lambda d: float(d.get("beginRange", 0) or 0))
        prices = [_usd(d, product) for d in dimensions]
    except (KeyError, AttributeError, TypeError) as error:
        raise OddAnswer(f"{_source(product)} has terms in another shape: {error}") from error
    return next((text for text in prices if float(text) > 0), None)


def plain(text: str) -> str:
    """0.1110000000 as 0.111."""
    return f"{float(text):.12f}".rstrip("0").rstrip(".")


def on_demand_rows(products: Iterable[Product], region: str) -> list[Row]:
    """EC2 on-demand rows; a product that is not a Linux instance on shared tenancy is passed over."""
    rows: list[Row] = []
    for product in products:
        name = _linux_instance(product, region)
        price = first_tier_usd(product) if name else None
        if name and price:
            rows.append((region, name, plain(price), published(product), _source(product)))
    return _once(rows, 2, 2)


def _linux_instance(product: Product, region: str) -> str | None:
    attributes = product["product"]["attributes"]
    wanted = EC2_FILTERS | {"regionCode": region}
    if any(attributes.get(name) != value for name, value in wanted.items()):
        return None
    plain_linux = attributes.get("operation", PLAIN_LINUX) == PLAIN_LINUX
    if not plain_linux or usage_type(product).split(":")[0] != "BoxUsage":
        return None
    name: str | None = attributes.get("instanceType")
    return name


def reserved_rows(products: Iterable[Product], region: str) -> list[Row]:
    """Reserved Instances of every term, class and payment."""
    rows: dict[Row, Row] = {}
    for product in products:
        name = _linux_instance(product, region)
        if not name:
            continue
        for term in product["terms"].get("Reserved", {}).values():
            row = _reserved_row(term, product, region, name)
            rows[row[:5]] = row
    return list(rows.values())


def _reserved_row(term: Mapping[str, Any], product: Product, region: str, name: str) -> Row:
    try:
        attributes = term["termAttributes"]
        upfront, hourly = "0", "0"
        for dimension in term["priceDimensions"].values():
            if dimension["unit"] == "Hrs":
                hourly = plain(_usd(dimension, product))
            else:
                upfront = plain(_usd(dimension, product))
        years = str(int(attributes["LeaseContractLength"].removesuffix("yr")))
        return (
            region, name, years, attributes["OfferingClass"], attributes["PurchaseOption"], upfront, hourly,
            published(product), _source(product),
        )  # fmt: skip
    except (KeyError, AttributeError, ValueError, TypeError) as error:
        raise OddAnswer(f"{_source(product)} has a Reserved term in another shape: {error}") from error


def fargate_rows(products: Iterable[Product], region: str) -> list[Row]:
    rows: list[Row] = []
    for product in products:
        key = FARGATE_USAGE.get(usage_type(product))
        price = first_tier_usd(product) if key else None
        if key and price:
            system, architecture, capacity, item, unit = key
            rows.append(
                (
                    region, system, architecture, capacity, item, plain(price), unit, published(product),
                    _source(product),
                )
            )  # fmt: skip
    return _once(rows, 5, 5)


def _once(rows: list[Row], key_length: int, price_column: int) -> list[Row]:
    """Each key once; an offer listed twice at one price is the same offer. At two prices it is neither:
    raises Ambiguous with the rows of all other keys."""
    found: dict[Row, Row] = {}
    told: dict[Row, str] = {}
    for row in rows:
        key = row[:key_length]
        known = found.setdefault(key, row)
        if known[price_column] != row[price_column]:
            told[key] = f"{', '.join(key)} at {known[price_column]} and at {row[price_column]}"
    if told:
        clear = [row for key, row in found.items() if key not in told]
        raise Ambiguous(f"the AWS price list has {'; '.join(told.values())}, and nothing tells them apart", clear)
    return list(found.values())


def item_rows(products: Iterable[Product], service: str, region: str) -> list[Row]:
    """Rows of the items that `service` prices."""
    rows: list[Row] = []
    extended: tuple[float, Product] | None = None
    for product in products:
        usage, operation = usage_type(product), product["product"]["attributes"].get("operation", "")
        if (service, usage) == (EKS_EXTENDED.service, EKS_EXTENDED.usage_type):
            price = first_tier_usd(product)
            extended = (float(price), product) if price else None
        for wanted in WANTED:
            if (wanted.service, wanted.usage_type) != (service, usage):
                continue
            price = first_tier_usd(product)
            if price and wanted.operation in {"", operation}:
                usd = plain(str(float(price) * wanted.scale))
                rows.append((region, wanted.item, usd, wanted.unit, published(product), _source(product)))
    return _once(rows + _extended_support(rows, extended, region), 2, 2)


def _extended_support(rows: list[Row], extended: tuple[float, Product] | None, region: str) -> list[Row]:
    cluster = next((row for row in rows if row[1] == "eks_cluster_hour"), None)
    if cluster is None or extended is None:
        return []
    usd = plain(str(float(cluster[2]) + extended[0]))
    product = extended[1]
    return [(region, "eks_extended_support_hour", usd, "hour", published(product), _source(product))]
