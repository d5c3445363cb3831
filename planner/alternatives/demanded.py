"""What has to run, hour by hour, whatever the platform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from planner.model import Architecture, Resources, TaskType


@dataclass(frozen=True, slots=True)
class DemandedService:
    """Tasks of one size, counted for each hour."""

    service: str
    needs: Resources
    tasks: tuple[int, ...]
    """Running tasks in each hour; 168 values from Monday 00:00, or any other whole period."""
    architecture: Architecture | None = None
    """None: the image runs on either."""
    host_ports: tuple[int, ...] = ()
    distinct_instance: bool = False
    daemon: bool = False
    """Runs once on every instance; it takes room instead of counting as tasks."""
    running: tuple[float, ...] = ()
    """Mean of running tasks in each hour, where it is known finer than in whole `tasks`."""

    @property
    def mean_tasks(self) -> float:
        known = self.running or self.tasks
        return sum(known) / len(known)

    def as_tasks(self, count: int) -> TaskType:
        return TaskType(
            self.service, count, self.needs, self.host_ports, self.distinct_instance, self.architecture
        )


@dataclass(frozen=True, slots=True)
class Demanded:
    """Services over the same hours. Raises ValueError for none, or for unequal hours."""

    services: tuple[DemandedService, ...]

    def __post_init__(self) -> None:
        if not any(not s.daemon for s in self.services):
            raise ValueError("there is no service to compare platforms for")
        lengths = {len(s.tasks) for s in self.services}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(f"services cover different numbers of hours: {sorted(lengths)}")
        names = [s.service for s in self.services]
        if len(set(names)) != len(names):
            raise ValueError("a service is listed twice")

    @property
    def hours(self) -> int:
        return len(self.services[0].tasks)

    @property
    def replicas(self) -> tuple[DemandedService, ...]:
        return tuple(s for s in self.services if not s.daemon)

    @property
    def daemons(self) -> Resources:
        total = Resources()
        for service in self.services:
            if service.daemon:
                total = total + service.needs
        return total


@dataclass(frozen=True, slots=True)
class Level:
    """Hours that are served by one fleet: the tasks it must hold, each service at its most."""

    tasks: Mapping[str, int]
    hours: int


def levels(demanded: Demanded, count: int) -> tuple[Level, ...]:
    """The hours grouped into at most `count` levels of like demand, dearest last.

    Hours are ordered by CPU and cut where the excess (the level's most over each hour's own need) is least,
    so a fleet chosen for a level holds every hour of it, and costs a little more than hour-by-hour fleets.
    """
    vectors = [tuple(s.tasks[hour] for s in demanded.replicas) for hour in range(demanded.hours)]
    weights = [max(s.needs.cpu_units, 1) for s in demanded.replicas]
    unique = sorted(set(vectors), key=lambda v: (_weight(v, weights), v))
    groups = [[v] for v in unique]
    frequency = {v: vectors.count(v) for v in unique}
    while len(groups) > count:
        costs = [
            _excess([*a, *b], frequency, weights) - _excess(a, frequency, weights) - _excess(b, frequency, weights)
            for a, b in pairwise(groups)
        ]
        least = costs.index(min(costs))
        groups[least : least + 2] = [groups[least] + groups[least + 1]]
    names = [s.service for s in demanded.replicas]
    return tuple(
        Level(dict(zip(names, _most(group), strict=True)), sum(frequency[v] for v in group)) for group in groups
    )


def _weight(vector: Sequence[int], weights: Sequence[int]) -> int:
    return sum(n * w for n, w in zip(vector, weights, strict=True))


def _most(group: Sequence[Sequence[int]]) -> tuple[int, ...]:
    return tuple(max(column) for column in zip(*group, strict=True))


def _excess(group: list[tuple[int, ...]], frequency: Mapping[tuple[int, ...], int], weights: Sequence[int]) -> int:
    top = _weight(_most(group), weights)
    return sum((top - _weight(v, weights)) * frequency[v] for v in group)


def excess_share(demanded: Demanded, found: Sequence[Level]) -> float:
    """CPU held by the levels over CPU needed hour by hour, minus 1: what the grouping adds."""
    weights = {s.service: s.needs.cpu_units for s in demanded.replicas}
    held = sum(level.hours * sum(level.tasks[name] * w for name, w in weights.items()) for level in found)
    needed = sum(sum(s.tasks) * s.needs.cpu_units for s in demanded.replicas)
    return held / needed - 1 if needed else 0.0
