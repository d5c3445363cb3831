"""`place`: a whole list of tasks arriving on a fixed fleet, placed as the ECS scheduler would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from planner.model import FleetLine, TaskType
from planner.packing.dimensions import DIMENSIONS, SCHEDULED, as_resources, as_row, scheduled_row
from planner.packing.fleet_facts import facts_of, may_run
from planner.packing.one_by_one import needs_one_by_one, place_one_by_one
from planner.packing.placed_fleet import (
    LoadedInstance,
    Order,
    Placement,
    Stopped,
    arrivals,
    grouped,
    instance_names,
)
from planner.packing.placement import RESERVED_HOST_PORTS, why_no_instance
from planner.packing.problem import Unplaced
from planner.packing.scheduler_kernels import BINPACK, RANDOM, SPREAD, choose_to_stop, place_sequence
from planner.packing.strategy import DEFAULT_STRATEGY, INSTANCE_FIELD, ZONE_ATTRIBUTE, Strategy

__all__ = ["LoadedInstance", "Order", "Placement", "Stopped", "fits_on", "grouped", "place"]


def place(
    tasks: Sequence[TaskType],
    fleet: Sequence[FleetLine],
    strategy: Strategy = DEFAULT_STRATEGY,
    order: Order = "given",
    seed: int = 0,
    allowed: Mapping[str, Mapping[str, bool]] | None = None,
    scale_in: Mapping[str, int] | None = None,
) -> Placement:
    """Start every task of `tasks`, one at a time, on `fleet` and tell where each went.

    `order` "given" takes services as listed, "random" mixes all tasks. Architecture and memberOf of a task
    keep it off lines of the fleet; so does `allowed[service][instance_type]` False. `scale_in[service]` tasks
    are stopped afterwards, those that ECS would stop. Deterministic for a seed. Raises ConstraintError for a
    memberOf expression that cannot be evaluated.
    """
    _refuse_repeated(tasks)
    if needs_one_by_one(tasks):
        return place_one_by_one(tasks, fleet, strategy, order, seed, allowed or {}, scale_in or {})
    state = _ReplayState(tasks, fleet, strategy, seed)
    state.exclude(allowed or {})
    sequence = arrivals(tasks, order, seed)
    chosen = state.run(sequence)
    refused = Counter(sequence[chosen < 0].tolist())
    unplaced = tuple(Unplaced(tasks[s].service, count, state.reason(s)) for s, count in sorted(refused.items()))
    stopped = state.stop(scale_in or {})
    return Placement(state.loaded(), unplaced, state.named_stops(stopped))


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
        self.tasks, self.fleet = tasks, fleet
        self.lines = [line for line in fleet for _ in range(line.count)]
        rooms = [scheduled_row(line.room) for line in self.lines]
        self.remaining = np.array(rooms, np.int64).reshape(len(self.lines), SCHEDULED)
        self.needs = np.array([scheduled_row(task.needs) for task in tasks], np.int64).reshape(-1, SCHEDULED)
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
            if task.architecture is not None or task.member_of:
                tests = {id(line): may_run(task, line) for line in self.fleet}
                self.allowed[s] &= np.array([tests[id(line)] for line in self.lines], np.bool_)

    def stop(self, scale_in: Mapping[str, int]) -> list[tuple[int, int]]:
        """(service, instance row) of each task that scale-in stops."""
        stopped = []
        for s, task in enumerate(self.tasks):
            for _ in range(min(scale_in.get(task.service, 0), int(self.counts[s].sum()))):
                row = int(
                    choose_to_stop(
                        self.remaining, self.counts[s], self.rules, self.groups, self.tally, self.found, self.rng
                    )
                )
                self.counts[s, row] -= 1
                self.remaining[row] += self.needs[s]
                stopped.append((s, row))
        return stopped

    def named_stops(self, stopped: list[tuple[int, int]]) -> tuple[Stopped, ...]:
        names = instance_names(self.lines)
        counted = Counter((self.tasks[s].service, names[row]) for s, row in stopped)
        return tuple(Stopped(service, name, count) for (service, name), count in sorted(counted.items()))

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
        rooms = np.array([as_row(line.room) for line in self.lines], np.int64).reshape(-1, len(DIMENSIONS))
        needs = np.array([as_row(task.needs) for task in self.tasks], np.int64).reshape(-1, len(DIMENSIONS))
        remaining = rooms - self.counts.T @ needs
        return tuple(
            LoadedInstance(
                name,
                line.instance_type,
                line.zone,
                {
                    self.tasks[s].service: int(self.counts[s, i])
                    for s in np.flatnonzero(self.counts[:, i]).tolist()
                },
                as_resources(remaining[i]),
            )
            for i, (name, line) in enumerate(zip(instance_names(self.lines), self.lines, strict=True))
        )


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
    return facts_of(line).attributes.get(name.removeprefix("attribute:"), "")
