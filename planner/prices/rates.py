"""Savings Plans rates, Spot history and Azure retail prices, as they answer, turned into rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from planner.prices.offers import FARGATE_USAGE, REGION_PREFIX, OddAnswer, plain
from planner.prices.tables import Row
from planner.units import HOURS_PER_YEAR, SECONDS_PER_HOUR

SMALLEST_DISK_GIB: Final = 32
"""An E4; Azure bills a disk as the next size: 32, 64, 128, ... GiB (Azure managed disks, billing)."""


@dataclass(frozen=True, slots=True)
class AzureWanted:
    """One item of the price book and where the Azure retail prices have it."""

    item: str
    service: str
    meter: str
    azure_unit: str
    unit: str
    divide_by: float = 1
    listed_in: str = ""
    """Where it is not listed under its own region."""


AZURE_WANTED: Final = (
    AzureWanted(
        "azure_disk_gb_month", "Storage", "E4 LRS Disk", "1/Month", "GB-month", divide_by=SMALLEST_DISK_GIB
    ),
    AzureWanted(
        "azure_lb_hour", "Load Balancer", "Standard Included LB Rules and Outbound Rules", "1 Hour", "hour",
        listed_in="Global",
    ),
    AzureWanted("azure_lb_gb", "Load Balancer", "Standard Data Processed", "1 GB", "GB", listed_in="Global"),
)  # fmt: skip

YEAR_SECONDS: Final = HOURS_PER_YEAR * SECONDS_PER_HOUR


def savings_plan_rows(results: Iterable[Mapping[str, Any]], region: str, read_on: str) -> list[Row]:
    """Offering rates (DescribeSavingsPlansOfferingRates) of Linux instances and Fargate."""
    rows: dict[Row, Row] = {}
    for result in results:
        try:
            offering = result["savingsPlanOffering"]
            properties = {p["name"]: p["value"] for p in result.get("properties", [])}
            if properties.get("region", region) != region:
                continue
            covers = _covered(result, properties)
            years = str(round(int(offering["durationSeconds"]) / YEAR_SECONDS))
            currency = offering.get("currency", "USD")
            row = (
                region, offering["planType"], covers or "", years, offering["paymentOption"],
                plain(result["rate"]), _savings_unit(covers), read_on, "AWS Savings Plans offering rates",
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise OddAnswer(f"a Savings Plans offering rate is not in the documented shape: {error}") from error
        if currency != "USD":
            raise OddAnswer(f"the Savings Plans offering rates are in {currency}, not in USD")
        if covers is not None:
            rows[row[:5]] = row
    return list(rows.values())


def _covered(result: Mapping[str, Any], properties: Mapping[str, str]) -> str | None:
    """The instance type or Fargate item that a rate covers; None for what is not priced here."""
    usage = REGION_PREFIX.sub("", str(result["usageType"]), count=1)
    if usage in FARGATE_USAGE:
        system, architecture, _capacity, item, _unit = FARGATE_USAGE[usage]
        return f"fargate:{architecture}:{item}" if system == "linux" else None
    linux = properties.get("productDescription") == "Linux/UNIX"
    if usage.startswith("BoxUsage:") and linux and properties.get("tenancy", "shared").lower() == "shared":
        return properties.get("instanceType", usage.removeprefix("BoxUsage:"))
    return None


def _savings_unit(covers: str | None) -> str:
    if covers is None or not covers.startswith("fargate:"):
        return "hour"
    return "vCPU-hour" if covers.endswith(":vcpu_hour") else "GiB-hour"


def spot_rows(entries: Iterable[Mapping[str, Any]], region: str, start: datetime, end: datetime) -> list[Row]:
    """Spot history (DescribeSpotPriceHistory) as one row a type and zone: the price in force at `end`, the
    mean weighted by time from `start`, and the maximum."""
    changes: dict[tuple[str, str], list[tuple[datetime, float]]] = {}
    for entry in entries:
        try:
            key = (entry["InstanceType"], entry["AvailabilityZone"])
            changes.setdefault(key, []).append((entry["Timestamp"], float(entry["SpotPrice"])))
        except (KeyError, TypeError, ValueError) as error:
            raise OddAnswer(f"a Spot price is not in the documented shape: {error}") from error
    return [
        _spot_row(region, name, zone, sorted(points), start, end)
        for (name, zone), points in sorted(changes.items())
    ]


def _spot_row(
    region: str, name: str, zone: str, points: list[tuple[datetime, float]], start: datetime, end: datetime
) -> Row:
    begins = [max(moment, start) for moment, _price in points]
    ends = [*begins[1:], end]
    weights = [max(0.0, (b - a).total_seconds()) for a, b in zip(begins, ends, strict=True)]
    covered = sum(weights)
    latest = points[-1][1]
    weighted = sum(w * p for w, (_m, p) in zip(weights, points, strict=True))
    mean = weighted / covered if covered else latest
    days = timedelta(seconds=covered) / timedelta(days=1)
    return (
        region, name, zone, plain(str(latest)), plain(str(mean)), plain(str(max(p for _m, p in points))),
        f"{days:.2f}", end.date().isoformat(), "EC2 DescribeSpotPriceHistory",
    )  # fmt: skip


def azure_rows(items: Iterable[Mapping[str, Any]], region: str, read_on: str) -> list[Row]:
    """Linux pay-as-you-go VM prices of the Azure retail prices API."""
    rows: dict[str, Row] = {}
    for item in items:
        try:
            if item["armRegionName"] != region or item["type"] != "Consumption":
                continue
            if item["currencyCode"] != "USD" or item["unitOfMeasure"] != "1 Hour":
                raise OddAnswer(
                    f"Azure answered in {item['currencyCode']} per {item['unitOfMeasure']}, not in USD per 1 Hour"
                )
            product, sku, size = item["productName"], item["skuName"], item["armSkuName"]
            price = float(item["retailPrice"])
        except (KeyError, TypeError, ValueError) as error:
            raise OddAnswer(f"an Azure retail price is not in the documented shape: {error}") from error
        leftover = any(
            word in f"{product} {sku}" for word in ("Windows", "Spot", "Low Priority", "Cloud Services")
        )
        if leftover or not size or price <= 0:
            continue
        rows[size] = (region, size, plain(str(price)), read_on, "Azure retail prices API")
    return list(rows.values())


def azure_item_row(items: Iterable[Mapping[str, Any]], wanted: AzureWanted, region: str, read_on: str) -> Row:
    """The one price of an item; OddAnswer where there is none, two, or another unit or currency."""
    found: set[str] = set()
    for item in items:
        try:
            if item["meterName"] != wanted.meter or item["type"] != "Consumption" or item["retailPrice"] <= 0:
                continue
            if item["currencyCode"] != "USD" or item["unitOfMeasure"] != wanted.azure_unit:
                raise OddAnswer(
                    f"Azure answered {wanted.meter} in {item['currencyCode']} per {item['unitOfMeasure']}, not in"
                    f" USD per {wanted.azure_unit}"
                )
            found.add(plain(str(float(item["retailPrice"]) / wanted.divide_by)))
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, OddAnswer):
                raise
            raise OddAnswer(f"an Azure retail price is not in the documented shape: {error}") from error
    if len(found) != 1:
        told = " and ".join(sorted(found)) or "no price"
        raise OddAnswer(
            f"the Azure retail prices API has {told} for {wanted.meter} in {wanted.listed_in or region}"
        )
    source = f"Azure retail prices API, {wanted.service}, meter {wanted.meter}"
    return (region, wanted.item, found.pop(), wanted.unit, read_on, source)
