"""Cost lines as CSV, and as FOCUS rows (FinOps Open Cost and Usage Specification 1.0)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from planner.cost.lines import CostLine, Kind, monthly_cents
from planner.cost.period import Period
from planner.units import usd_per_month

CSV_COLUMNS: Final = (
    "item", "kind", "service", "capacity_provider", "usd_per_hour", "usd_per_month",
    "basis", "source", "price_date",
)  # fmt: skip

FOCUS_COLUMNS: Final = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency",
    "ChargePeriodEnd", "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost",
    "EffectiveCost", "InvoiceIssuerName", "ListCost", "ListUnitPrice", "PricingCategory", "PricingQuantity",
    "PricingUnit", "ProviderName", "PublisherName", "RegionId", "RegionName", "ResourceId", "ResourceName",
    "ResourceType", "ServiceCategory", "ServiceName", "SkuId", "SubAccountId", "Tags",
    "x_CapacityProvider", "x_EcsServiceName", "x_Basis", "x_PriceSource", "x_PriceDate",
)  # fmt: skip
"""FOCUS 1.0 columns in alphabetical order, then the planner's own, which the specification has start x_."""

SERVICE_CATEGORY: Final = {
    Kind.COMPUTE: ("Compute", "Amazon Elastic Compute Cloud"),
    Kind.FEE: ("Compute", "Amazon Elastic Container Service"),
    Kind.CONTROL_PLANE: ("Compute", "Amazon Elastic Kubernetes Service"),
    Kind.LOAD_BALANCING: ("Networking", "Elastic Load Balancing"),
    Kind.STORAGE: ("Storage", "Amazon Elastic Block Store"),
    Kind.NETWORK: ("Networking", "Amazon Virtual Private Cloud"),
    Kind.OBSERVABILITY: ("Management and Governance", "Amazon CloudWatch"),
    Kind.STAFF: ("Other", "Staff"),
}
FARGATE_PROVIDERS: Final = ("FARGATE", "FARGATE_SPOT")
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def escaped(text: str) -> str:
    """A text cell that no spreadsheet runs as a formula."""
    return "'" + text if text.startswith(FORMULA_STARTS) else text


def write_csv(lines: Sequence[CostLine]) -> str:
    """One row a line; months have 730 hours and their cents add to the total of the table."""
    rows = [
        (
            line.item, line.kind.value, line.service or "", line.capacity_provider or "",
            repr(line.usd_per_hour), f"{cents / 100:.2f}", line.basis, line.source, line.date,
        )
        for line, cents in zip(lines, monthly_cents(lines), strict=True)
    ]  # fmt: skip
    return _csv(CSV_COLUMNS, rows)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(cell) for cell in row] for row in rows)
    return out.getvalue()


def _cell(text: str) -> str:
    """Numbers stay numbers, the minus sign of one included."""
    try:
        float(text)
    except ValueError:
        return escaped(text)
    return text


def focus_rows(period: Period, *, account_id: str, region: str) -> Iterator[dict[str, str]]:
    """Projected usage as FOCUS rows, one for each line and hour.

    Nothing here was invoiced: BilledCost, EffectiveCost, ContractedCost and ListCost are all the list-price
    projection in USD, and x_PriceSource and x_PriceDate say where the price comes from. Staff is not a
    charge and is left out.
    """
    for hour in period.hours:
        first, after = _month(hour.start)
        for line in hour.lines:
            if line.kind is Kind.STAFF:
                continue
            yield _focus_row(line, hour.start, first, after, account_id, region)


def _focus_row(
    line: CostLine, start: datetime, month: datetime, next_month: datetime, account_id: str, region: str
) -> dict[str, str]:
    category, service = SERVICE_CATEGORY[line.kind]
    if line.capacity_provider in FARGATE_PROVIDERS:
        service = "Amazon Elastic Container Service"
    cost = repr(line.usd_per_hour)
    spot = line.capacity_provider == "FARGATE_SPOT"
    values = {
        "BilledCost": cost, "ContractedCost": cost, "EffectiveCost": cost, "ListCost": cost,
        "BillingAccountId": account_id, "BillingCurrency": "USD",
        "BillingPeriodStart": _iso(month), "BillingPeriodEnd": _iso(next_month),
        "ChargePeriodStart": _iso(start), "ChargePeriodEnd": _iso(start + timedelta(hours=1)),
        "ChargeCategory": "Usage", "ChargeDescription": f"{line.item}: {line.basis}",
        "ChargeFrequency": "Usage-Based", "ConsumedQuantity": "1", "ConsumedUnit": "Hours",
        "PricingCategory": "Dynamic" if spot else "Standard", "PricingQuantity": "1", "PricingUnit": "Hours",
        "ListUnitPrice": cost, "InvoiceIssuerName": "AWS", "ProviderName": "AWS", "PublisherName": "AWS",
        "RegionId": region, "ResourceName": line.item, "ServiceCategory": category, "ServiceName": service,
        "SubAccountId": account_id, "x_CapacityProvider": line.capacity_provider or "",
        "x_EcsServiceName": line.service or "", "x_Basis": line.basis, "x_PriceSource": line.source,
        "x_PriceDate": line.date,
    }  # fmt: skip
    return {column: values.get(column, "") for column in FOCUS_COLUMNS}


def _month(moment: datetime) -> tuple[datetime, datetime]:
    first = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return first, (first + timedelta(days=32)).replace(day=1)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_focus(period: Period, *, account_id: str, region: str) -> str:
    rows = focus_rows(period, account_id=account_id, region=region)
    return _csv(FOCUS_COLUMNS, ([row[column] for column in FOCUS_COLUMNS] for row in rows))


HOUR_COLUMNS: Final = ("start", "service", "capacity_provider", "kind", "item", "usd", "basis")


def write_hours(period: Period) -> str:
    """One row an hour and line, in USD; they add to the period's cost."""
    rows = (
        (
            _iso(hour.start), line.service or "", line.capacity_provider or "", line.kind.value, line.item,
            repr(line.usd_per_hour), line.basis,
        )
        for hour in period.hours
        for line in hour.lines
    )  # fmt: skip
    return _csv(HOUR_COLUMNS, rows)


def as_record(line: CostLine) -> dict[str, str | float | None]:
    """A line for JSON output."""
    return {
        "item": line.item,
        "kind": line.kind.value,
        "service": line.service,
        "capacity_provider": line.capacity_provider,
        "usd_per_hour": line.usd_per_hour,
        "usd_per_month": usd_per_month(line.usd_per_hour),
        "basis": line.basis,
        "source": line.source,
        "price_date": line.date,
    }
