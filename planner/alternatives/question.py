"""What every platform is evaluated with, and how a platform says no."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from planner.alternatives.assumptions import Assumptions
from planner.alternatives.demanded import Demanded
from planner.alternatives.evaluation import Pack
from planner.cost import CostLine
from planner.model import Architecture, Price, Rejection
from planner.prices import PriceBook


@dataclass(frozen=True, slots=True)
class PlannedFleet:
    """The compute of a plan under its simulated scaling: lines, mean instances, and how full they are."""

    lines: tuple[CostLine, ...]
    instances: float
    filled: float | None


@dataclass(frozen=True, slots=True)
class Question:
    demanded: Demanded
    book: PriceBook
    region: str
    pack: Pack
    assumed: Assumptions = field(default_factory=Assumptions)
    architectures: Collection[Architecture] | None = None
    families: Collection[str] | None = None
    max_vcpu: int | None = None
    awsvpc_trunking: bool = True
    zones: int = 1
    """Zones that Karpenter spreads pods over; `pack` knows its own."""
    load_balancing: tuple[CostLine, ...] | None = None
    """Measured load balancer lines, in place of `assumed.load_balancers` and `assumed.lcus_each`."""
    planned: PlannedFleet | None = None
    """What a plan runs, in place of packing anew for ECS on EC2 and for Managed Instances."""


class Refused(Exception):
    """The platform cannot run or price this demand; carries every reason."""

    def __init__(self, *reasons: Rejection) -> None:
        self.reasons = reasons
        super().__init__("; ".join(f"{r.what}: {r.reason}" for r in reasons))


def needed(found: Price | Rejection) -> Price:
    """The price, or Refused with the reason there is none."""
    if isinstance(found, Rejection):
        raise Refused(found)
    return found
