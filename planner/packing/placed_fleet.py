"""What a replay of the ECS scheduler tells: instances with their tasks, what found no room, what was stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import numpy as np

from planner.model import FleetLine, Resources, TaskType
from planner.packing.problem import Unplaced

Order = Literal["given", "random"]


@dataclass(frozen=True, slots=True)
class LoadedInstance:
    """One instance after the replay."""

    instance_id: str
    instance_type: str
    zone: str
    tasks: Mapping[str, int]
    remaining: Resources
    """Disk and network can be below 0: the ECS scheduler does not look at them."""

    @property
    def is_overloaded(self) -> bool:
        return self.remaining.disk_gib < 0 or self.remaining.network_mbps < 0


@dataclass(frozen=True, slots=True)
class Stopped:
    """`count` tasks of a service that ECS stopped on one instance on scale-in."""

    service: str
    instance_id: str
    count: int


@dataclass(frozen=True, slots=True)
class Placement:
    """Where ECS would put each task."""

    instances: tuple[LoadedInstance, ...]
    unplaced: tuple[Unplaced, ...]
    stopped: tuple[Stopped, ...] = ()

    @property
    def placed(self) -> int:
        return sum(sum(instance.tasks.values()) for instance in self.instances)

    @property
    def empty_instances(self) -> int:
        return sum(1 for instance in self.instances if not instance.tasks)

    @property
    def overloaded_instances(self) -> int:
        """Instances whose disk or network ECS gave away more than once."""
        return sum(1 for instance in self.instances if instance.is_overloaded)


def instance_names(lines: Sequence[FleetLine]) -> list[str]:
    """An identifier for each instance; `lines` has one entry an instance."""
    numbers: Counter[tuple[str, str]] = Counter()
    found = []
    for line in lines:
        numbers[line.instance_type, line.zone] += 1
        found.append(f"{line.instance_type}/{line.zone}/{numbers[line.instance_type, line.zone]}")
    return found


def arrivals(tasks: Sequence[TaskType], order: Order, seed: int) -> Any:
    """The index of the service of each task, in order of arrival."""
    sequence = np.repeat(np.arange(len(tasks)), [task.count for task in tasks])
    if order == "random":
        np.random.default_rng(seed).shuffle(sequence)
    return sequence


def grouped(placement: Placement) -> list[tuple[LoadedInstance, int]]:
    """Instances with equal type, zone and tasks, told once with their number."""

    def key(instance: LoadedInstance) -> tuple[str, str, tuple[tuple[str, int], ...]]:
        return (instance.instance_type, instance.zone, tuple(sorted(instance.tasks.items())))

    found = groupby(sorted(placement.instances, key=key), key=key)
    return [(members[0], len(members)) for members in (list(group) for _, group in found)]
