"""What the estate costs and keeps today, and what any plan of it pays whatever its instances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pandas as pd

from planner.cost import CostLine, MissingPrice, alb_lines, fargate_lines, fleet_lines, total
from planner.decide import Option
from planner.model import Architecture, Estate, Price, Rejection, Resources, Service
from planner.prices import FargatePrice, PriceBook
from planner.settings import Settings
from planner.units import CpuUnits, MiB, UsdPerHour
from planner.workloads import Workload, attainment

LCU_METRIC = "ConsumedLCUs"


@dataclass(frozen=True, slots=True)
class FixedLines:
    """Lines on both sides of the comparison, and what is in neither for want of a price, by name."""

    lines: tuple[CostLine, ...]
    excluded: tuple[Rejection, ...]

    @property
    def usd_per_hour(self) -> UsdPerHour:
        return total(self.lines)


def zones_of(estate: Estate) -> tuple[str, ...]:
    """The zones that the estate's groups or instances span; three of the Region where none are known."""
    zones = {z for p in estate.capacity_providers for z in p.zones} | {i.zone for i in estate.container_instances}
    return tuple(sorted(zones)) or tuple(f"{estate.region}{letter}" for letter in "abc")


def daemons_of(estate: Estate) -> Resources:
    """What daemon services take on every instance, so what no other task can use."""
    needs = [s.task_definition.needs for s in estate.services if s.scheduling_strategy == "DAEMON"]
    return reduce(Resources.__add__, needs, Resources())


def today_lines(estate: Estate, workloads: Sequence[Workload], book: PriceBook) -> tuple[CostLine, ...]:
    """The container instances that are registered now, by provider, and Fargate tasks at their present count.

    Raises MissingPrice where an instance that runs has no price: its cost would be a silent 0.
    """
    counts: dict[str, Counter[str]] = {}
    for instance in estate.container_instances:
        counts.setdefault(instance.capacity_provider or "", Counter())[instance.instance_type] += 1
    lines: list[CostLine] = []
    for provider, types in sorted(counts.items()):
        prices = {name: book.instance(estate.region, name) for name in types}
        lines += fleet_lines(types.items(), prices, provider or None)
    for w in workloads:
        if w.on_fargate:
            lines += _fargate(
                w.service, float(w.service.running_count), w.service.task_definition.needs, estate, book
            )
    return tuple(lines)


def fixed_lines(
    estate: Estate, points: pd.DataFrame, workloads: Sequence[Workload], book: PriceBook
) -> FixedLines:
    """Load balancers with their measured capacity units, and the Fargate tasks of the plan.

    Raises MissingPrice for a Fargate task without a price.
    """
    lines: list[CostLine] = []
    excluded: list[Rejection] = []
    for balancer in estate.load_balancers:
        hour, lcu = book.item(estate.region, "alb_hour"), book.item(estate.region, "alb_lcu_hour")
        if balancer.kind != "application":
            excluded.append(
                Rejection(f"load balancer {balancer.name}", f"{balancer.kind} balancers are not priced")
            )
        elif isinstance(hour, Rejection) or isinstance(lcu, Rejection):
            reason = hour if isinstance(hour, Rejection) else lcu
            assert isinstance(reason, Rejection)
            excluded.append(Rejection(f"load balancer {balancer.name}", reason.reason))
        else:
            units = _mean_lcus(points, balancer.name)
            if units is None:
                excluded.append(Rejection(f"capacity units of {balancer.name}", f"no {LCU_METRIC} was measured"))
            lines += alb_lines(balancer.name, hour, lcu, units or 0.0)
    for w in workloads:
        if w.on_fargate:
            lines += _fargate(w.service, float(w.tasks.mean()), w.needs, estate, book)
    excluded.append(
        Rejection(
            "EBS volumes, data transfer, logs and metrics", "not read from the account, so in neither figure"
        )
    )
    return FixedLines(tuple(lines), tuple(excluded))


def today_option(
    estate: Estate, workloads: Sequence[Workload], settings: Settings, book: PriceBook, fixed: UsdPerHour
) -> Option:
    """What runs now as a candidate: its cost, and how its present task counts keep the objective."""
    kept = [attainment(w, _capacity_now(w), settings.utilisation) for w in workloads]
    instances = Counter(i.instance_type for i in estate.container_instances)
    return Option(
        name="as it is today",
        description=", ".join(f"{n} x {name}" for name, n in sorted(instances.items())) or "no instances",
        usd_per_hour=UsdPerHour(total(today_lines(estate, workloads, book)) + fixed),
        attainment=min(kept, default=None),
    )


def _capacity_now(workload: Workload) -> np.ndarray:
    held = workload.service.task_definition.needs.cpu_units
    present = workload.service.running_count * workload.task_vcpu * held / max(1, workload.size.cpu_units)
    return np.full(len(workload.demand_vcpu), present)


def _mean_lcus(points: pd.DataFrame, balancer: str) -> float | None:
    rows = points[(points["metric"] == LCU_METRIC) & (points["resource"] == f"load-balancer/{balancer}")]
    if rows.empty:
        return None
    # A minute's sum is a sixtieth of the units in force, so the sum over an hour is that hour's units (ELB
    # guide: of a reservation of 6,000 "the one-hour total is 6,000, and the one-minute total is 100").
    sums = rows[rows["statistic"] == "Sum"]
    if sums.empty:
        return float(rows["value"].mean())
    hours = sums.groupby(sums["timestamp"].dt.floor("h"))["value"].sum()
    return float(hours.mean())


def _fargate(service: Service, tasks: float, needs: Resources, estate: Estate, book: PriceBook) -> list[CostLine]:
    architecture = service.task_definition.architecture or Architecture.X86_64
    spot = any(i.capacity_provider == "FARGATE_SPOT" for i in service.capacity_provider_strategy)
    price = book.fargate(estate.region, architecture, spot=spot)
    if isinstance(price, Rejection):
        raise MissingPrice([price])
    assert isinstance(price, FargatePrice)
    return fargate_lines(
        service.name, tasks, CpuUnits(needs.cpu_units), MiB(needs.memory_mib), price.vcpu_hour, price.gib_hour
    )


def price_of(book: PriceBook, region: str, instance_type: str) -> Price:
    """A price that is known to exist, because the type came out of the catalogue."""
    found = book.instance(region, instance_type)
    if isinstance(found, Rejection):
        raise MissingPrice([found])
    return found
