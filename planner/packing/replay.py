"""`place`: a whole list of tasks arriving on a fixed fleet, placed as the ECS scheduler would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import numpy as np

from planner.model import FleetLine, Resources, TaskType
from planner.packing.dimensions import DIMENSIONS, as_resources, as_row
from planner.packing.placement import RESERVED_HOST_PORTS, why_no_instance
from planner.packing.problem import Unplaced
from planner.packing.scheduler_kernels import BINPACK, RANDOM, SPREAD, place_sequence
from planner.packing.strategy import DEFAULT_STRATEGY, INSTANCE_FIELD, ZONE_ATTRIBUTE, Strategy

Order = Literal["given", "random"]


@dataclass(frozen=True, slots=True)
class LoadedInstance:
    """One instance after the replay."""

    instance_id: str
    instance_type: str
    zone: str
    tasks: Mapping[str, int]
    remaining: Resources


@dataclass(frozen=True, slots=True)
class Placement:
    """Where ECS would put each task."""

    instances: tuple[LoadedInstance, ...]
    unplaced: tuple[Unplaced, ...]

    @property
    def placed(self) -> int:
        return sum(sum(instance.tasks.values()) for instance in self.instances)

    @property
    def empty_instances(self) -> int:
        return sum(1 for instance in self.instances if not instance.tasks)


def place(
    tasks: Sequence[TaskType],
    fleet: Sequence[FleetLine],
    strategy: Strategy = DEFAULT_STRATEGY,
    order: Order = "given",
    seed: int = 0,
    allowed: Mapping[str, Mapping[str, bool]] | None = None,
) -> Placement:
    """Start every task of `tasks`, one at a time, on `fleet` and tell where each went.

    `order` "given" takes services as listed, "random" mixes all tasks. `allowed[service][instance_type]`
    False keeps a service off a type (architecture, memberOf). Deterministic for a seed.
    """
    _refuse_repeated(tasks)
    state = _ReplayState(tasks, fleet, strategy, seed)
    state.exclude(allowed or {})
    sequence = np.repeat(np.arange(len(tasks)), [task.count for task in tasks])
    if order == "random":
        np.random.default_rng(seed).shuffle(sequence)
    chosen = state.run(sequence)
    refused = Counter(sequence[chosen < 0].tolist())
    unplaced = tuple(Unplaced(tasks[s].service, count, state.reason(s)) for s, count in sorted(refused.items()))
    return Placement(state.loaded(), unplaced)


def fits_on(tasks: Sequence[TaskType], fleet: Sequence[FleetLine], strategy: Strategy, seed: int) -> bool:
    """True where ECS places every task on the fleet in one random order."""
    return not place(tasks, fleet, strategy, "random", seed).unplaced


def _refuse_repeated(tasks: Sequence[TaskType]) -> None:
    repeated = [name for name, n in Counter(task.service for task in tasks).items() if n > 1]
    if repeated:
        raise ValueError(f"service {repeated[0]} is listed twice")


class _ReplayState:
    """The arrays of one replay."""

    def __init__(
        self, tasks: Sequence[TaskType], fleet: Sequence[FleetLine], strategy: Strategy, seed: int
    ) -> None:
        self.tasks = tasks
        self.lines = [line for line in fleet for _ in range(line.count)]
        rooms = [as_row(line.room) for line in self.lines]
        self.remaining = np.array(rooms, np.int64).reshape(len(self.lines), len(DIMENSIONS))
        self.needs = np.array([as_row(task.needs) for task in tasks], np.int64).reshape(-1, len(DIMENSIONS))
        self.distinct = np.array([task.distinct_instance for task in tasks], np.bool_)
        self.allowed = np.ones((len(tasks), len(self.lines)), np.bool_)
        self.counts = np.zeros((len(tasks), len(self.lines)), np.int64)
        self.rules, self.groups, groups_size = _rules_and_groups(strategy, self.lines)
        self.tally = np.zeros(max(groups_size, 1), np.int64)
        self.found = np.zeros(max(len(self.lines), 1), np.int64)
        self.rng = np.array([seed & 0xFFFFFFFFFFFFFFFF], np.uint64)
        self._read_ports()

    def _read_ports(self) -> None:
        column = {p: k for k, p in enumerate(sorted({p for t in self.tasks for p in t.host_ports}))}
        width = max((len(task.host_ports) for task in self.tasks), default=0)
        self.ports = np.full((len(self.tasks), width), -1, np.int64)
        for s, task in enumerate(self.tasks):
            self.ports[s, : len(task.host_ports)] = [column[port] for port in task.host_ports]
            if RESERVED_HOST_PORTS.intersection(task.host_ports):
                self.allowed[s] = False
        self.port_taken = np.zeros((len(self.lines), max(len(column), 1)), np.bool_)

    def exclude(self, allowed: Mapping[str, Mapping[str, bool]]) -> None:
        for s, task in enumerate(self.tasks):
            by_type = allowed.get(task.service)
            if by_type:
                self.allowed[s] &= np.array([by_type.get(line.instance_type, True) for line in self.lines])

    def run(self, sequence: Any) -> Any:
        return place_sequence(
            sequence,
            self.needs,
            self.distinct,
            self.ports,
            self.remaining,
            self.allowed,
            self.port_taken,
            self.counts,
            self.rules,
            self.groups,
            self.tally,
            self.found,
            self.rng,
        )

    def reason(self, service: int) -> str:
        task = self.tasks[service]
        reserved = RESERVED_HOST_PORTS.intersection(task.host_ports)
        if reserved:
            return f"host port {min(reserved)} is kept by the ECS agent"
        columns = [int(p) for p in self.ports[service] if p >= 0]
        taken = self.port_taken[:, columns].any(axis=1)
        return why_no_instance(task, self.remaining, self.allowed[service], taken, self.counts[service])

    def loaded(self) -> tuple[LoadedInstance, ...]:
        numbers: Counter[tuple[str, str]] = Counter()
        instances = []
        for i, line in enumerate(self.lines):
            key = (line.instance_type, line.zone)
            numbers[key] += 1
            on_it = {
                self.tasks[s].service: int(self.counts[s, i]) for s in np.flatnonzero(self.counts[:, i]).tolist()
            }
            instances.append(
                LoadedInstance(
                    f"{line.instance_type}/{line.zone}/{numbers[key]}",
                    line.instance_type,
                    line.zone,
                    on_it,
                    as_resources(self.remaining[i]),
                )
            )
        return tuple(instances)


def _rules_and_groups(strategy: Strategy, lines: Sequence[FleetLine]) -> tuple[Any, Any, int]:
    """Strategy rules as (kind, column) rows, the group of each instance a rule, and the number of groups."""
    rules: list[tuple[int, int]] = []
    groups: list[list[int]] = []
    most = 1
    for rule in strategy:
        if rule.kind == "spread":
            values = [_group_value(rule.field, i, line) for i, line in enumerate(lines)]
            ids = {value: k for k, value in enumerate(dict.fromkeys(values))}
            rules.append((SPREAD, len(groups)))
            groups.append([ids[value] for value in values])
            most = max(most, len(ids))
        elif rule.kind == "binpack":
            rules.append((BINPACK, 0 if rule.field == "cpu" else 1))
        else:
            rules.append((RANDOM, 0))
    group_array = np.array(groups, np.int64).reshape(len(groups), len(lines))
    return np.array(rules, np.int64).reshape(-1, 2), group_array, most


def _group_value(name: str, index: int, line: FleetLine) -> str:
    if name == INSTANCE_FIELD:
        return str(index)
    if name == f"attribute:{ZONE_ATTRIBUTE}":
        return line.zone
    if name == "attribute:ecs.instance-type":
        return line.instance_type
    return ""


def grouped(placement: Placement) -> list[tuple[LoadedInstance, int]]:
    """Instances with equal type, zone and tasks, told once with their number."""

    def key(instance: LoadedInstance) -> tuple[str, str, tuple[tuple[str, int], ...]]:
        return (instance.instance_type, instance.zone, tuple(sorted(instance.tasks.items())))

    found = groupby(sorted(placement.instances, key=key), key=key)
    return [(members[0], len(members)) for members in (list(group) for _, group in found)]
