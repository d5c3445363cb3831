"""Where Fargate and EC2 cost the same: the utilisation of an instance above which EC2 is the cheaper one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from planner.model import Resources
from planner.units import UsdPerHour


@dataclass(frozen=True, slots=True)
class BreakEven:
    """One task size on one instance type against the same tasks on Fargate."""

    tasks_per_instance: int
    instance_usd_per_hour: UsdPerHour
    fargate_usd_per_task_hour: UsdPerHour

    @property
    def tasks(self) -> float:
        """Tasks on Fargate that cost as much as the instance."""
        return self.instance_usd_per_hour / self.fargate_usd_per_task_hour

    @property
    def utilisation(self) -> float:
        """Share of the task places of an instance that must be filled, on average over time, for EC2 to be
        cheaper; over 1 means Fargate always is."""
        return self.tasks / self.tasks_per_instance

    def curve(self, steps: int = 20) -> list[tuple[float, UsdPerHour, UsdPerHour]]:
        """(utilisation, EC2 USD a task-hour, Fargate USD a task-hour) for a figure."""
        points = [(n + 1) / steps for n in range(steps)]
        return [
            (
                share,
                UsdPerHour(self.instance_usd_per_hour / (share * self.tasks_per_instance)),
                self.fargate_usd_per_task_hour,
            )
            for share in points
        ]


@dataclass(frozen=True, slots=True)
class FleetBreakEven:
    """A whole fleet of instances against the same tasks on Fargate, by how full its instances are."""

    name: str
    usd_per_hour: UsdPerHour
    """What the fleet costs now: instances, their fee and their volumes."""
    filled: float
    """Share of its room that tasks fill now, on average over time; the larger of CPU and memory."""
    fargate: Mapping[str, UsdPerHour]
    """What the same tasks cost on each kind of Fargate, by its name."""

    def usd_at(self, filled: float) -> UsdPerHour:
        """The same tasks on as many instances as are `filled` so far."""
        return UsdPerHour(self.usd_per_hour * self.filled / filled)

    def break_even(self, kind: str) -> float:
        """How full instances must be for EC2 to be the cheaper one; over 1 means that kind always is."""
        return self.usd_per_hour * self.filled / self.fargate[kind]

    def curve(self, first: float = 0.2, steps: int = 40) -> list[tuple[float, UsdPerHour]]:
        """(share filled, USD an hour) from `first` to full, for a figure."""
        shares = [first + (1 - first) * n / steps for n in range(steps + 1)]
        return [(share, self.usd_at(share)) for share in shares]


def tasks_that_fit(room: Resources, needs: Resources) -> int:
    """Tasks of one size in an instance's room, by its scarcest dimension."""
    pairs = (
        (room.cpu_units, needs.cpu_units),
        (room.memory_mib, needs.memory_mib),
        (room.enis, needs.enis),
        (room.gpus, needs.gpus),
    )
    limits = [have // need for have, need in pairs if need]
    return min(limits) if limits else 0


def break_even(
    room: Resources, needs: Resources, instance: UsdPerHour, fargate_task: UsdPerHour
) -> BreakEven | None:
    """None where not even one task fits the instance."""
    fitting = tasks_that_fit(room, needs)
    return BreakEven(fitting, instance, fargate_task) if fitting else None
