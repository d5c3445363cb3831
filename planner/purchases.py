"""How to buy what a plan runs: the commitment of least expected cost, and the share that Spot may take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from planner.cost import CostLine, Kind
from planner.cost.commitment import Commitment, commit
from planner.cost.spot import SpotMix, SpotRisk, best_spot_mix
from planner.documents.plan import PlanDocument
from planner.model import Price, Rejection
from planner.plan_cost import FARGATE_PROVIDERS, hourly_lines, plan_lines
from planner.prices import PriceBook
from planner.units import MINUTES_PER_MONTH, UsdPerHour, share

SCENARIOS: Final = (("30 % less than planned", 0.7), ("as planned", 1.0), ("30 % more than planned", 1.3))
"""Demand of the whole term against the plan's week; the regret of each is told."""


@dataclass(frozen=True, slots=True)
class Bought:
    """A commitment on the plan's instances, with the offer that its discounts come from."""

    offer: str
    price_date: str
    discounts: tuple[float, ...]
    commitment: Commitment


@dataclass(frozen=True, slots=True)
class SpotShare:
    """The share of the plan's instances that Spot may take within the objective."""

    instance_type: str
    interruption_band: int
    price_date: str
    pools: int
    mix: SpotMix
    on_demand_usd_per_hour: UsdPerHour


@dataclass(frozen=True, slots=True)
class Purchases:
    """What can be saved on the plan's instances, or why it cannot be told."""

    commitment: Bought | Rejection
    spot: SpotShare | Rejection


def purchases(plan: PlanDocument, book: PriceBook, years: int = 1) -> Purchases:
    """Advice on a plan's instances; nothing of it is in the plan's own cost."""
    machines = [
        line
        for line in plan_lines(plan)
        if line.kind is Kind.COMPUTE and line.capacity_provider not in FARGATE_PROVIDERS
    ]
    if not machines:
        nothing = Rejection("instances", "the plan runs none")
        return Purchases(nothing, nothing)
    return Purchases(_commitment(plan, machines, book, years), _spot(plan, machines, book))


def _commitment(
    plan: PlanDocument, machines: Sequence[CostLine], book: PriceBook, years: int
) -> Bought | Rejection:
    """Hour by hour over the plan's week. A Compute Savings Plan where its rates are known for every type, else
    standard reservations, both without upfront payment."""
    region = plan.scope.region
    types = [line.item for line in machines]
    offers = (
        ("Compute Savings Plan", [book.savings_plan(region, t, years=years) for t in types]),
        ("standard reservations", [book.reserved(region, t, years=years) for t in types]),
    )
    for name, found in offers:
        rates = [price for price in found if isinstance(price, Price)]
        on_demand = [price for t in types if isinstance(price := book.instance(region, t), Price)]
        if len(rates) == len(on_demand) == len(types):
            # A rate read long after the on-demand price may stand above it: then it saves nothing.
            discounts = tuple(max(0.0, 1 - r.usd / o.usd) for r, o in zip(rates, on_demand, strict=True))
            usage = np.stack([h.usd_by_hour for h in hourly_lines(machines, plan.fleet, plan.services)], axis=1)
            scenarios = {told: usage * factor for told, factor in SCENARIOS}
            return Bought(
                f"{years}-year {name}, No Upfront",
                min(r.date for r in rates),
                discounts,
                commit(usage, discounts, scenarios),
            )
    missing = next(price for _name, found in offers for price in found if isinstance(price, Rejection))
    return Rejection(missing.what, missing.reason)


def _spot(plan: PlanDocument, machines: Sequence[CostLine], book: PriceBook) -> SpotShare | Rejection:
    """For the instances of the dearest line, spread over its zones as pools."""
    line = max(machines, key=lambda x: (x.usd_per_hour, x.item))
    pool = next((f for f in plan.fleet if f.capacity_provider == line.capacity_provider), None)
    spot, on_demand = book.spot(plan.scope.region, line.item), book.instance(plan.scope.region, line.item)
    if isinstance(spot, Rejection):
        return spot
    if isinstance(on_demand, Rejection):
        return on_demand
    if spot.interruption_band is None or pool is None:
        return Rejection(line.item, "the Spot Advisor has no interruption band of it")
    count = line.usd_per_hour / on_demand.usd_per_hour
    headroom = 1 - share(pool.target_capacity_percent)
    risk = SpotRisk(spot.interruption_band, max(1, len(pool.zones)), headroom)
    allowed = (1 - plan.objective.slo) * MINUTES_PER_MONTH
    whole_on_spot = UsdPerHour(count * spot.price.usd_per_hour)
    best, _tried = best_spot_mix(line.usd_per_hour, whole_on_spot, math.ceil(count), risk, allowed)
    return SpotShare(
        line.item, spot.interruption_band, spot.price.date, risk.pools, best, UsdPerHour(line.usd_per_hour)
    )
