"""What is charged by the amount: gigabytes through a NAT gateway or between zones, metrics, pulls."""

from __future__ import annotations

from planner.cost.lines import CostLine, Kind
from planner.model import Price
from planner.units import usd_per_hour


def metered_line(
    item: str, kind: Kind, amount_per_month: float, price: Price, service: str | None = None
) -> CostLine:
    """`amount_per_month` of the price's unit: GB, 1000 metrics requested, metric-month, alarm-month."""
    unit = price.unit.removesuffix("-month")
    return CostLine(
        item, kind, service, None, usd_per_hour(amount_per_month * price.usd),
        f"{amount_per_month:g} {unit} a month at {price.usd:g} USD/{price.unit}", price.source, price.date,
    )  # fmt: skip


def cross_zone_line(gb_per_month: float, each_way: Price, service: str | None = None) -> CostLine:
    """Traffic between Availability Zones, which is charged where it leaves and where it arrives."""
    return metered_line("traffic between zones", Kind.NETWORK, 2 * gb_per_month, each_way, service)


def pull_line(queries: int, pulls_per_month: float, thousand_metrics: Price) -> CostLine:
    """The planner's own GetMetricData: every metric in a request counts, however many points it returns."""
    return metered_line(
        "CloudWatch GetMetricData pulls", Kind.OBSERVABILITY, queries * pulls_per_month / 1000, thousand_metrics
    )
