"""What is packed onto what, what a packing is, and the checks of the problem itself."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from planner.model import FleetLine, InstanceType, Resources, TaskType
from planner.units import UsdPerHour

MAX_SIZE: Final = 10**9
"""Sizes above this (a million vCPU, a PiB of memory) are taken for a slip of the pen."""
MAX_COUNT: Final = 10_000_000
MAX_PRICE: Final = 1e9


class ProblemError(ValueError):
    """The problem as stated cannot be packed; the message says what to change."""


@dataclass(frozen=True, slots=True)
class PackingProblem:
    """Tasks to place, types that can be bought, and the rules the fleet must keep.

    `zones`: the tasks of each service are spread evenly, their numbers differing by at most one. With
    `survive_zone_loss` every service also has places kept free for it, so that after the loss of any one
    zone the other zones hold all its tasks. `max_types` limits the different types in the fleet.
    `spare_instances` adds that many instances beyond the tasks' need, each able to take over any one
    instance of the fleet. `daemons` is what daemon services take on every instance.
    `member_of[service]` lists memberOf expressions over attributes that an instance type fixes.
    """

    tasks: tuple[TaskType, ...]
    catalogue: tuple[InstanceType, ...]
    zones: int = 1
    survive_zone_loss: bool = False
    max_types: int | None = None
    spare_instances: int = 0
    daemons: Resources = field(default_factory=Resources)
    member_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    zone_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_rules(self)
        _check_tasks(self.tasks)
        _check_catalogue(self.catalogue)

    def zone_name(self, zone: int) -> str:
        return self.zone_names[zone] if self.zone_names else f"zone-{zone + 1}"


def _check_rules(problem: PackingProblem) -> None:
    if problem.zones < 1:
        raise ProblemError(f"zones is {problem.zones}: at least one zone is needed")
    if problem.survive_zone_loss and problem.zones < 2:
        raise ProblemError("surviving the loss of a zone needs at least two zones: set zones to 2 or more")
    if problem.max_types is not None and problem.max_types < 1:
        raise ProblemError(f"max_types is {problem.max_types}: at least one instance type is needed")
    if problem.spare_instances < 0:
        raise ProblemError(f"spare_instances is {problem.spare_instances}: it cannot be negative")
    if problem.zone_names and len(set(problem.zone_names)) != problem.zones:
        raise ProblemError(f"{problem.zones} different zone names are needed, one a zone")


def _check_tasks(tasks: tuple[TaskType, ...]) -> None:
    _refuse_repeated((task.service for task in tasks), "service")
    for task in tasks:
        if not 0 <= task.count <= MAX_COUNT:
            raise ProblemError(f"service {task.service}: count {task.count} is not from 0 to {MAX_COUNT:,}")
        _check_sizes(f"service {task.service}", task.needs)
        wrong = [port for port in task.host_ports if not 1 <= port <= 65535]
        if wrong or len(set(task.host_ports)) != len(task.host_ports):
            raise ProblemError(f"service {task.service}: host ports must be different, from 1 to 65535")


def _check_catalogue(catalogue: tuple[InstanceType, ...]) -> None:
    if not catalogue:
        raise ProblemError("the catalogue has no instance type: at least one with a price is needed")
    _refuse_repeated((offer.instance_type for offer in catalogue), "instance type")
    for offer in catalogue:
        _check_sizes(f"instance type {offer.instance_type}", offer.room)
        price = offer.usd_per_hour
        if not (math.isfinite(price) and 0 < price <= MAX_PRICE):
            raise ProblemError(
                f"instance type {offer.instance_type} has no usable price ({price}): give USD per hour above 0"
            )
        if offer.max_count is not None and offer.max_count < 0:
            raise ProblemError(f"instance type {offer.instance_type}: max_count cannot be negative")


def _check_sizes(what: str, sizes: Resources) -> None:
    for name in ("cpu_units", "memory_mib", "enis", "gpus"):
        value = getattr(sizes, name)
        if not isinstance(value, int) or not 0 <= value <= MAX_SIZE:
            raise ProblemError(f"{what}: {name} {value} is not a whole number from 0 to {MAX_SIZE:,}")


def _refuse_repeated(names: object, what: str) -> None:
    repeated = [name for name, n in Counter(names).items() if n > 1]  # type: ignore[call-overload]
    if repeated:
        raise ProblemError(f"{what} {repeated[0]} is listed twice: give each one row")


@dataclass(frozen=True, slots=True)
class Unplaced:
    """`count` tasks of a service that were not placed, and why."""

    service: str
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class PackedInstances:
    """`count` equal instances in one zone. `tasks` run on each of them; `standby` are places kept free
    on each for tasks of a zone that is lost."""

    instance_type: str
    zone: str
    count: int
    tasks: Mapping[str, int]
    standby: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Packing:
    """A fleet with its tasks, and the proof of how near to the cheapest it is.

    `lower_bound_usd_per_hour` holds for every fleet that places the placed tasks under the problem's rules;
    `gap` is cost / bound - 1. `status`: "optimal" (gap 0), "feasible" (the search ended), "time_limit" (the
    clock ended the search, so another run may differ) or "nothing_placed".
    """

    status: str
    usd_per_hour: UsdPerHour
    lower_bound_usd_per_hour: UsdPerHour
    gap: float
    instances: tuple[PackedInstances, ...]
    unplaced: tuple[Unplaced, ...] = ()
    task_prices: Mapping[str, float] = field(default_factory=dict)
    """USD per hour that one more task of a service costs, by the dual prices that prove the bound. The bound
    is their sum over all tasks, before what zone loss and whole instances add."""

    def fleet(self, catalogue: tuple[InstanceType, ...]) -> tuple[FleetLine, ...]:
        """The instances to run, one line a type and zone."""
        known = {offer.instance_type: offer for offer in catalogue}
        counts: Counter[tuple[str, str]] = Counter()
        for line in self.instances:
            counts[line.instance_type, line.zone] += line.count
        return tuple(
            FleetLine(name, zone, count, known[name].room, known[name].usd_per_hour)
            for (name, zone), count in sorted(counts.items())
        )

    @property
    def types(self) -> tuple[str, ...]:
        return tuple(sorted({line.instance_type for line in self.instances}))
