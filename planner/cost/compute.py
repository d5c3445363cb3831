"""Instances and Fargate tasks as lines, and the cost of shared instances split to the services on them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from planner.cost.lines import IDLE, CostLine, Kind, MissingPrice
from planner.model import Price, Rejection, Resources
from planner.units import CpuUnits, MiB, UsdPerHour, gib, vcpu


@dataclass(frozen=True, slots=True)
class Placement:
    """`count` instances that each run the same tasks: {service: tasks on one instance}."""

    instance_type: str
    count: float
    """Instances; a fraction is a mean over time."""
    room: Resources
    tasks: Mapping[str, int]
    capacity_provider: str | None = None


def fleet_lines(
    instances: Iterable[tuple[str, float]],
    prices: Mapping[str, Price | Rejection],
    capacity_provider: str | None = None,
) -> list[CostLine]:
    """Instances by type, one line a type; raises MissingPrice naming every type without a price."""
    counts: dict[str, float] = {}
    for instance_type, count in instances:
        counts[instance_type] = counts.get(instance_type, 0) + count
    known = _require(counts, prices)
    return [
        CostLine(
            instance_type,
            Kind.COMPUTE,
            None,
            capacity_provider,
            UsdPerHour(count * known[instance_type].usd_per_hour),
            f"{count:g} x {instance_type} at {known[instance_type].usd:g} USD/h",
            known[instance_type].source,
            known[instance_type].date,
        )
        for instance_type, count in sorted(counts.items())
        if count
    ]


def _require(names: Iterable[str], prices: Mapping[str, Price | Rejection]) -> dict[str, Price]:
    known: dict[str, Price] = {}
    missing: list[Rejection] = []
    for name in sorted(names):
        price = prices.get(name, Rejection(name, "no price was handed in"))
        if isinstance(price, Rejection):
            missing.append(price)
        else:
            known[name] = price
    if missing:
        raise MissingPrice(missing)
    return known


def fee_lines(compute: Iterable[CostLine], share: Price, item: str) -> list[CostLine]:
    """A fee charged as a share of the on-demand price, line by line (ECS Managed Instances, EKS Auto Mode)."""
    return [
        CostLine(
            f"{item} of {line.item}",
            Kind.FEE,
            line.service,
            line.capacity_provider,
            UsdPerHour(line.usd_per_hour * share.usd),
            f"{share.usd:.1%} of {line.usd_per_hour:g} USD/h",
            share.source,
            share.date,
        )
        for line in compute
        if line.kind is Kind.COMPUTE
    ]


def per_instance_lines(
    instances: float,
    price: Price,
    item: str,
    kind: Kind,
    amount_each: float = 1,
    capacity_provider: str | None = None,
) -> list[CostLine]:
    """What every instance carries: a root volume of `amount_each` GB, a public IPv4 address, ..."""
    if not instances:
        return []
    return [
        CostLine(
            item,
            kind,
            None,
            capacity_provider,
            UsdPerHour(instances * amount_each * price.usd_per_hour),
            f"{instances:g} instances x {amount_each:g} at {price.usd:g} USD/{price.unit}",
            price.source,
            price.date,
        )
    ]


def fargate_lines(
    service: str,
    tasks: float,
    cpu_units: CpuUnits,
    memory_mib: MiB,
    vcpu_hour: Price,
    gib_hour: Price,
    capacity_provider: str = "FARGATE",
) -> list[CostLine]:
    """The vCPU line and the memory line of `tasks` running tasks (a mean over time may be a fraction)."""
    if not tasks:
        return []
    parts = (("vCPU", vcpu(cpu_units), vcpu_hour), ("memory", gib(memory_mib), gib_hour))
    return [
        CostLine(
            f"Fargate {name}",
            Kind.COMPUTE,
            service,
            capacity_provider,
            UsdPerHour(tasks * amount * price.usd),
            f"{tasks:g} tasks x {amount:g} {price.unit.removesuffix('-hour')} at {price.usd:g} USD/{price.unit}",
            price.source,
            price.date,
        )
        for name, amount, price in parts
    ]


def shares_of(room: Resources, tasks: Mapping[str, int], needs: Mapping[str, Resources]) -> dict[str, float]:
    """The share of one instance that each service pays for.

    A service's share is the larger of its CPU share and its memory share, because either one keeps others
    out. Where these add to more than the whole (one service fills the CPU, another the memory), they are
    scaled down to it and nothing is idle.
    """
    raw = {
        service: count
        * max(needs[service].cpu_units / room.cpu_units, needs[service].memory_mib / room.memory_mib)
        for service, count in tasks.items()
    }
    over = max(1.0, math.fsum(raw.values()))
    return {service: value / over for service, value in raw.items()}


def split_by_service(
    placements: Sequence[Placement],
    needs: Mapping[str, Resources],
    prices: Mapping[str, Price | Rejection],
) -> list[CostLine]:
    """Compute lines by service with the idle part as service `IDLE`; they add to the fleet's cost."""
    known = _require({p.instance_type for p in placements}, prices)
    lines: list[CostLine] = []
    for placement in placements:
        price = known[placement.instance_type]
        cost = placement.count * price.usd_per_hour
        shares = shares_of(placement.room, placement.tasks, needs)
        idle = max(0.0, 1 - math.fsum(shares.values()))
        for service, share in [*sorted(shares.items()), (IDLE, idle)]:
            if share * cost:
                lines.append(_share_line(placement, price, service, share))
    return _merged(lines)


def _share_line(placement: Placement, price: Price, service: str, share: float) -> CostLine:
    what = f"{share:.4f} of {placement.count:g} x {placement.instance_type} at {price.usd:g} USD/h"
    return CostLine(
        placement.instance_type,
        Kind.COMPUTE,
        service,
        placement.capacity_provider,
        UsdPerHour(placement.count * price.usd_per_hour * share),
        what,
        price.source,
        price.date,
    )


def _merged(lines: Iterable[CostLine]) -> list[CostLine]:
    """One line for each service, provider and type, its bases joined."""
    groups: dict[tuple[str, str, str], list[CostLine]] = {}
    for line in lines:
        key = (line.service or "", line.capacity_provider or "", line.item)
        groups.setdefault(key, []).append(line)
    return [
        CostLine(
            group[0].item,
            group[0].kind,
            group[0].service,
            group[0].capacity_provider,
            UsdPerHour(math.fsum(line.usd_per_hour for line in group)),
            " + ".join(line.basis for line in group),
            group[0].source,
            group[0].date,
        )
        for _key, group in sorted(groups.items())
    ]
