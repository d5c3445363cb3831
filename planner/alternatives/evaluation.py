"""One platform's answer: its lines of money, what it cannot do, and what it would take to get there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from planner.alternatives.assumptions import TITLES, Platform
from planner.cost import CostLine, Kind, total
from planner.model import InstanceType, Rejection, TaskType
from planner.units import UsdPerHour


@dataclass(frozen=True, slots=True)
class Packed:
    """Instances by type for one level of demand, as a packer found them."""

    instances: tuple[tuple[str, int], ...]
    usd_per_hour: UsdPerHour
    lower_bound_usd_per_hour: UsdPerHour | None
    """None where the packer proves nothing, as Karpenter does not."""
    ended_by_clock: bool = False
    """A time limit ended the search, so that another run may pack otherwise."""


Pack = Callable[[Sequence[TaskType], Sequence[InstanceType]], "Packed | Rejection"]
"""Packs tasks onto types; a Rejection names the tasks that fit nowhere."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a platform costs and asks for. `refused`: why it cannot run this demand at all; then the lines are
    empty and it has no cost. `missing`: what its cost leaves out for want of a price, so it is a lower bound."""

    platform: Platform
    lines: tuple[CostLine, ...]
    staff_hours_per_month: float
    migration_days: float
    cannot: tuple[str, ...] = ()
    re_evaluate: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    missing: tuple[Rejection, ...] = ()
    refused: tuple[Rejection, ...] = ()
    rebuild: tuple[str, ...] = ()
    """Services whose images are not built for the platform's architecture."""
    filled: float | None = None
    """Share of the machines' room that tasks fill on average, the larger of CPU and memory; None on Fargate."""

    @property
    def title(self) -> str:
        return TITLES[self.platform]

    @property
    def usd_per_hour(self) -> UsdPerHour | None:
        """Everything, staff included; None where the platform is refused."""
        return None if self.refused else total(self.lines)

    @property
    def infrastructure_usd_per_hour(self) -> UsdPerHour | None:
        """Without staff."""
        if self.refused:
            return None
        return total(line for line in self.lines if line.kind is not Kind.STAFF)

    @property
    def is_complete(self) -> bool:
        return not self.refused and not self.missing
