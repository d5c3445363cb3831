"""A line of the bill, its totals, and cents that add up when they are shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from planner.model import Price, Rejection
from planner.units import UsdPerHour, usd_per_month

IDLE: Final = "(idle)"
"""The service name under which the unused part of shared instances is shown."""
CENTS_PER_USD: Final = 100


class Kind(StrEnum):
    COMPUTE = "compute"
    FEE = "management fee"
    CONTROL_PLANE = "control plane"
    LOAD_BALANCING = "load balancing"
    STORAGE = "storage"
    NETWORK = "network"
    OBSERVABILITY = "observability"
    STAFF = "staff"


@dataclass(frozen=True, slots=True)
class CostLine:
    """One item at a constant rate. `basis` is the sum in words: "3 x m5.large at 0.111 USD/h"."""

    item: str
    kind: Kind
    service: str | None
    """None: not charged to one service. `IDLE`: the unused part of shared instances."""
    capacity_provider: str | None
    usd_per_hour: UsdPerHour
    basis: str
    source: str
    date: str


class MissingPrice(ValueError):
    """Something that runs has no price, so the sum would be a wrong answer. Carries every reason."""

    def __init__(self, reasons: Sequence[Rejection]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("; ".join(f"{r.what}: {r.reason}" for r in reasons))


def item_line(
    item: str,
    kind: Kind,
    quantity: float,
    price: Price,
    *,
    service: str | None = None,
    capacity_provider: str | None = None,
    what: str | None = None,
) -> CostLine:
    """`quantity` of something that is priced by the hour or month, e.g. 3 load balancers or 90 GB-months."""
    return CostLine(
        item,
        kind,
        service,
        capacity_provider,
        UsdPerHour(quantity * price.usd_per_hour),
        f"{quantity:g} x {what or item} at {price.usd:g} USD/{price.unit}",
        price.source,
        price.date,
    )


def total(lines: Iterable[CostLine]) -> UsdPerHour:
    """The exact sum of the lines, whatever their order."""
    return UsdPerHour(math.fsum(line.usd_per_hour for line in lines))


def by_service(lines: Iterable[CostLine]) -> dict[str, UsdPerHour]:
    """Totals by service; lines of no single service are under "(shared)"."""
    return _grouped(lines, lambda line: line.service or "(shared)")


def by_provider(lines: Iterable[CostLine]) -> dict[str, UsdPerHour]:
    return _grouped(lines, lambda line: line.capacity_provider or "(none)")


def by_kind(lines: Iterable[CostLine]) -> dict[str, UsdPerHour]:
    return _grouped(lines, lambda line: line.kind.value)


def _grouped(lines: Iterable[CostLine], key: Callable[[CostLine], str]) -> dict[str, UsdPerHour]:
    groups: dict[str, list[CostLine]] = {}
    for line in lines:
        groups.setdefault(key(line), []).append(line)
    return {name: total(group) for name, group in sorted(groups.items())}


def shown_cents(amounts: Sequence[float]) -> list[int]:
    """Amounts in USD as whole cents that add up to the rounded total (largest remainder; ties go to the
    first), so that a table's rows add to its last line."""
    exact = [amount * CENTS_PER_USD for amount in amounts]
    cents = [math.floor(value) for value in exact]
    missing = round(math.fsum(exact)) - sum(cents)
    by_remainder = sorted(range(len(exact)), key=lambda i: (cents[i] - exact[i], i))
    for position in by_remainder[:missing]:
        cents[position] += 1
    return cents


def monthly_cents(lines: Sequence[CostLine]) -> list[int]:
    """Each line over a month of 730 hours, in cents that add to the total."""
    return shown_cents([usd_per_month(line.usd_per_hour) for line in lines])
