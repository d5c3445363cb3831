"""Application Load Balancer hours and capacity units (LCU)."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final

from planner.cost.lines import CostLine, Kind
from planner.model import Price
from planner.units import UsdPerHour

NEW_CONNECTIONS_PER_LCU: Final = 25
ACTIVE_CONNECTIONS_PER_LCU: Final = 3_000
GB_PER_HOUR_PER_LCU: Final = 1.0
RULE_EVALUATIONS_PER_LCU: Final = 1_000
FREE_RULES: Final = 10
"""One LCU gives 25 new connections a second, 3,000 active connections a minute, 1 GB an hour for instance,
container and IP targets, and 1,000 rule evaluations a second; the first 10 rules are free (AWS Elastic Load
Balancing pricing page)."""
HOURS: Final = ": hours"
LCUS: Final = ": LCUs"
"""How the two lines of a load balancer end."""


@dataclass(frozen=True, slots=True)
class LcuLoad:
    """Mean load of one load balancer in one hour."""

    new_connections_per_second: float = 0
    active_connections_per_minute: float = 0
    gb_per_hour: float = 0
    requests_per_second: float = 0
    rules_per_request: float = 0
    """Rules that a request runs through, the free ones included."""

    def __post_init__(self) -> None:
        for name in (f.name for f in fields(self)):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name.replace('_', ' ')} is {value:g}, not a load of 0 or more")

    @property
    def dimensions(self) -> dict[str, float]:
        """LCUs by dimension; the largest is charged."""
        evaluations = self.requests_per_second * max(0.0, self.rules_per_request - FREE_RULES)
        return {
            "new connections": self.new_connections_per_second / NEW_CONNECTIONS_PER_LCU,
            "active connections": self.active_connections_per_minute / ACTIVE_CONNECTIONS_PER_LCU,
            "processed bytes": self.gb_per_hour / GB_PER_HOUR_PER_LCU,
            "rule evaluations": evaluations / RULE_EVALUATIONS_PER_LCU,
        }


def lcus(load: LcuLoad) -> float:
    """Capacity units charged for an hour of this load."""
    return max(load.dimensions.values())


def alb_lines(
    name: str, hour: Price, lcu_hour: Price, load: LcuLoad | float, service: str | None = None
) -> list[CostLine]:
    """The hour and the LCUs of one load balancer. `load` may be measured LCUs (ConsumedLCUs) instead."""
    units = load if isinstance(load, (int, float)) else lcus(load)
    largest = "" if isinstance(load, (int, float)) else max(load.dimensions, key=lambda d: load.dimensions[d])
    told = f" ({largest})" if largest and units else ""
    return [
        CostLine(
            f"{name}{HOURS}", Kind.LOAD_BALANCING, service, None, hour.usd_per_hour,
            f"1 load balancer at {hour.usd:g} USD/h", hour.source, hour.date,
        ),
        CostLine(
            f"{name}{LCUS}", Kind.LOAD_BALANCING, service, None, UsdPerHour(units * lcu_hour.usd),
            f"{units:g} LCU{told} at {lcu_hour.usd:g} USD/LCU-h", lcu_hour.source, lcu_hour.date,
        ),
    ]  # fmt: skip
