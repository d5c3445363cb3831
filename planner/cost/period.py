"""Cost over time: what runs hour by hour under scaling, added over any period without a cent lost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from planner.cost.lines import CostLine, Kind, by_provider, by_service, total
from planner.units import HOURS_PER_MONTH, Usd, UsdPerHour, UsdPerMonth


@dataclass(frozen=True, slots=True)
class HourCost:
    """The lines that held for one hour from `start` (UTC)."""

    start: datetime
    lines: tuple[CostLine, ...]

    @property
    def usd(self) -> Usd:
        return Usd(total(self.lines))


@dataclass(frozen=True, slots=True)
class Period:
    """A run of hours, each with its own lines."""

    hours: tuple[HourCost, ...]

    @property
    def usd(self) -> Usd:
        return Usd(math.fsum(line.usd_per_hour for hour in self.hours for line in hour.lines))

    @property
    def mean_usd_per_hour(self) -> UsdPerHour:
        return UsdPerHour(self.usd / len(self.hours))

    @property
    def usd_per_month(self) -> UsdPerMonth:
        """The period's mean over AWS's month of 730 hours."""
        return UsdPerMonth(self.mean_usd_per_hour * HOURS_PER_MONTH)

    def by_service(self) -> dict[str, Usd]:
        return _summed(by_service(hour.lines) for hour in self.hours)

    def by_provider(self) -> dict[str, Usd]:
        return _summed(by_provider(hour.lines) for hour in self.hours)

    def by_month(self) -> dict[str, Usd]:
        """Calendar months (UTC) as YYYY-MM."""
        return _summed({hour.start.strftime("%Y-%m"): UsdPerHour(hour.usd)} for hour in self.hours)

    def mean_lines(self) -> list[CostLine]:
        """One line for each item, service and provider at its mean rate over the period."""
        groups: dict[tuple[str, str, str, str], list[CostLine]] = {}
        for hour in self.hours:
            for line in hour.lines:
                key = (line.kind.value, line.item, line.service or "", line.capacity_provider or "")
                groups.setdefault(key, []).append(line)
        return [_mean(group, len(self.hours)) for _key, group in sorted(groups.items())]


def _mean(group: Sequence[CostLine], hours: int) -> CostLine:
    first = group[0]
    same = all(line.basis == first.basis for line in group)
    basis = first.basis if same and len(group) == hours else f"mean of {hours} hours; at most {_dearest(group)}"
    mean = UsdPerHour(math.fsum(line.usd_per_hour for line in group) / hours)
    return CostLine(
        first.item, first.kind, first.service, first.capacity_provider, mean, basis, first.source, first.date
    )


def _dearest(group: Sequence[CostLine]) -> str:
    return max(group, key=lambda line: line.usd_per_hour).basis


def _summed(groups: Iterable[Mapping[str, float]]) -> dict[str, Usd]:
    parts: dict[str, list[float]] = {}
    for group in groups:
        for name, value in group.items():
            parts.setdefault(name, []).append(value)
    return {name: Usd(math.fsum(values)) for name, values in sorted(parts.items())}


def period_of(start: datetime, lines_by_hour: Sequence[Sequence[CostLine]]) -> Period:
    """Consecutive hours from `start`; raises ValueError for no hours or a start without a time zone."""
    if start.tzinfo is None:
        raise ValueError("the start of a period needs a time zone")
    if not lines_by_hour:
        raise ValueError("a period has at least one hour")
    hours = (HourCost(start + timedelta(hours=i), tuple(lines)) for i, lines in enumerate(lines_by_hour))
    return Period(tuple(hours))


BILLED_AS: Final[Mapping[Kind, str]] = MappingProxyType(
    {
        Kind.COMPUTE: "Amazon Elastic Compute Cloud - Compute",
        Kind.FEE: "Amazon Elastic Container Service",
        Kind.CONTROL_PLANE: "Amazon Elastic Container Service for Kubernetes",
        Kind.LOAD_BALANCING: "Amazon Elastic Load Balancing",
        Kind.STORAGE: "EC2 - Other",
        Kind.NETWORK: "EC2 - Other",
        Kind.OBSERVABILITY: "AmazonCloudWatch",
    }
)
"""The service names under which Cost Explorer shows each kind of line."""
FARGATE_BILLED_AS: Final = "Amazon Elastic Container Service"


def reckoned_bill(lines: Iterable[CostLine], hours: float) -> dict[str, Usd]:
    """Constant lines over `hours`, by Cost Explorer's service names; staff is on no AWS bill."""
    billed: dict[str, list[float]] = {}
    for line in lines:
        if line.kind is Kind.STAFF:
            continue
        fargate = line.capacity_provider in {"FARGATE", "FARGATE_SPOT"} and line.kind is Kind.COMPUTE
        name = FARGATE_BILLED_AS if fargate else BILLED_AS[line.kind]
        billed.setdefault(name, []).append(line.usd_per_hour * hours)
    return {name: Usd(math.fsum(parts)) for name, parts in sorted(billed.items())}


@dataclass(frozen=True, slots=True)
class Reconciled:
    """One service of the bill beside what the planner reckons for the same days."""

    name: str
    billed_usd: Usd
    reckoned_usd: Usd

    @property
    def difference_usd(self) -> Usd:
        return Usd(self.reckoned_usd - self.billed_usd)

    @property
    def difference_per_billed(self) -> float | None:
        """None where nothing was billed."""
        return self.difference_usd / self.billed_usd if self.billed_usd else None


def reconcile(billed: Mapping[str, float], reckoned: Mapping[str, float]) -> list[Reconciled]:
    """The bill (Cost Explorer, by any grouping) beside the reckoning, the largest difference first; names
    on one side only count as 0 on the other."""
    rows = [
        Reconciled(name, Usd(billed.get(name, 0.0)), Usd(reckoned.get(name, 0.0)))
        for name in sorted({*billed, *reckoned})
    ]
    return sorted(rows, key=lambda row: (-abs(row.difference_usd), row.name))
