"""A replay of the ECS scheduler on container instances: where tasks start, and which one stops.

Order of steps (Amazon ECS developer guide, "How Amazon ECS places tasks on container instances"): resources
and ports, then constraints, then strategies, then one of what is left. Where ECS documents no further
tie-break, one of the equals is drawn with the seed, so that a run repeats.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from planner.model import Rejection, Resources, TaskType
from planner.packing.constraints import (
    ARCHITECTURE_ATTRIBUTE,
    INSTANCE_TYPE_ATTRIBUTE,
    Expression,
    InstanceFacts,
    parse_expression,
)
from planner.packing.dimensions import DIMENSION_WORDS, SCHEDULED, as_resources, scheduled_row
from planner.packing.scheduler_kernels import BINPACK, RANDOM, SPREAD, choose, choose_to_stop
from planner.packing.strategy import DEFAULT_STRATEGY, INSTANCE_FIELD, ZONE_ATTRIBUTE, Strategy

RESERVED_HOST_PORTS = frozenset({22, 2375, 2376, 51678, 51679})
"""TCP ports the ECS agent keeps on every instance (amazon-ecs-agent, agent/config/config.go)."""


@dataclass(frozen=True, slots=True)
class Placed:
    service: str
    instance_id: str


@dataclass(slots=True)
class _Instance:
    instance_id: str
    attributes: Mapping[str, str]
    registered: Resources
    accepts: bool = True
    tasks: Counter[str] = field(default_factory=Counter)


@lru_cache(maxsize=4096)
def _expression(text: str) -> Expression:
    return parse_expression(text)


class EcsScheduler:
    """Container instances and the tasks on them, changed one step at a time as ECS would.

    Deterministic for a seed and a sequence of calls. Instance identifiers are the caller's.
    """

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.array([seed & 0xFFFFFFFFFFFFFFFF], np.uint64)
        self._instances: dict[str, _Instance] = {}
        self._row_of: dict[str, int] = {}
        self._id_of: list[str] = []
        self._remaining = np.zeros((0, SCHEDULED), np.int64)
        self._counts: dict[str, Any] = {}
        self._tasks: dict[str, TaskType] = {}
        self._ports: dict[int, Any] = {}
        self._group_rows: dict[str, int] = {}
        self._groups = np.zeros((0, 0), np.int64)
        self._group_ids: list[dict[str, int]] = []
        self._rules: dict[Strategy, Any] = {}
        self._allowed: dict[tuple[Any, ...], Any] = {}
        self._scratch = np.zeros(0, np.int64)
        self._tally = np.zeros(0, np.int64)

    # instances

    def add_instance(
        self,
        instance_id: str,
        room: Resources,
        *,
        zone: str,
        instance_type: str = "",
        architecture: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        """Register an empty instance with `room` for tasks. Raises ValueError for a known identifier."""
        if instance_id in self._instances:
            raise ValueError(f"instance {instance_id} is registered already")
        known = {ZONE_ATTRIBUTE: zone, INSTANCE_TYPE_ATTRIBUTE: instance_type}
        if architecture is not None:
            known[ARCHITECTURE_ATTRIBUTE] = architecture
        instance = _Instance(instance_id, {**known, **(attributes or {})}, room)
        row = len(self._id_of)
        self._id_of.append(instance_id)
        self._row_of[instance_id] = row
        self._instances[instance_id] = instance
        if row >= self._remaining.shape[0]:
            self._grow(max(16, 2 * (row + 1)))
        self._remaining[row] = scheduled_row(room)
        for name, group_row in self._group_rows.items():
            self._groups[group_row, row] = self._group_id(name, group_row, instance, row)
        self._allowed.clear()

    def remove_instance(self, instance_id: str) -> dict[str, int]:
        """Deregister an instance; returns the tasks that were on it, by service."""
        instance = self._instances.pop(instance_id)
        gone, last = self._row_of.pop(instance_id), len(self._id_of) - 1
        # The last row takes the free place, so rows stay dense and scans short.
        moved = self._id_of.pop()
        if moved != instance_id:
            self._id_of[gone] = moved
            self._row_of[moved] = gone
        for column in (*self._counts.values(), *self._ports.values()):
            column[gone] = column[last]
            column[last] = 0
        self._remaining[gone] = self._remaining[last]
        self._remaining[last] = 0
        self._groups[:, gone] = self._groups[:, last]
        for name, group_row in self._group_rows.items():
            if name == INSTANCE_FIELD:
                self._groups[group_row, gone] = gone
        self._allowed.clear()
        return dict(instance.tasks)

    def set_draining(self, instance_id: str, draining: bool = True) -> None:
        """A draining instance keeps its tasks and takes no new ones."""
        self._instances[instance_id].accepts = not draining
        self._allowed.clear()

    @property
    def instance_ids(self) -> tuple[str, ...]:
        return tuple(self._instances)

    def remaining(self, instance_id: str) -> Resources:
        """Room left in the dimensions the scheduler knows; disk and network are told as 0."""
        return as_resources(self._remaining[self._row_of[instance_id]])

    def registered(self, instance_id: str) -> Resources:
        return self._instances[instance_id].registered

    def tasks_on(self, instance_id: str) -> dict[str, int]:
        return {service: n for service, n in self._instances[instance_id].tasks.items() if n}

    def running(self, service: str) -> int:
        """Tasks of the service that are placed now."""
        counts = self._counts.get(service)
        return 0 if counts is None else int(counts[: len(self._id_of)].sum())

    # tasks

    def place_one(
        self, task: TaskType, strategy: Strategy = DEFAULT_STRATEGY, member_of: tuple[str, ...] = ()
    ) -> Placed | Rejection:
        """Start one task of `task` where ECS would, or say why no instance takes it."""
        reserved = RESERVED_HOST_PORTS.intersection(task.host_ports)
        if reserved:
            return Rejection(task.service, f"host port {min(reserved)} is kept by the ECS agent")
        size = len(self._id_of)
        counts = self._counts_of(task.service)[:size]
        blocked = self._blocked(task)[:size]
        allowed = self._allowed_for(task, member_of)
        need = np.array(scheduled_row(task.needs), np.int64)
        row = choose(
            need, self._remaining[:size], allowed, blocked, counts, task.distinct_instance,
            self._rules_of(strategy), self._groups[:, :size], self._tally, self._scratch, self._rng,
        )  # fmt: skip
        if row < 0:
            return Rejection(task.service, self._why_not(task, allowed, blocked, counts))
        return self._start(task, int(row))

    def place_on(self, task: TaskType, instance_id: str) -> Placed | Rejection:
        """Put one task on a named instance (to rebuild an observed state), if its room and ports allow."""
        row = self._row_of[instance_id]
        if (self._remaining[row] < scheduled_row(task.needs)).any():
            return Rejection(task.service, f"instance {instance_id} has too little room left")
        if self._blocked(task)[row]:
            return Rejection(task.service, f"a host port it needs is taken on instance {instance_id}")
        return self._start(task, row)

    def stop_one(self, service: str, strategy: Strategy = DEFAULT_STRATEGY) -> str | Rejection:
        """Stop the task ECS would stop on scale-in; returns the identifier of its instance."""
        size = len(self._id_of)
        if self.running(service) == 0:
            return Rejection(service, "no task of it is running")
        row = choose_to_stop(
            self._remaining[:size], self._counts_of(service)[:size], self._rules_of(strategy),
            self._groups[:, :size], self._tally, self._scratch, self._rng,
        )  # fmt: skip
        instance_id = self._id_of[int(row)]
        self.stop_on(service, instance_id)
        return instance_id

    def stop_on(self, service: str, instance_id: str) -> None:
        """Stop one task of the service on a named instance. Raises ValueError where there is none."""
        row, instance = self._row_of[instance_id], self._instances[instance_id]
        if instance.tasks[service] == 0:
            raise ValueError(f"no task of {service} runs on instance {instance_id}")
        task = self._tasks[service]
        instance.tasks[service] -= 1
        self._counts[service][row] -= 1
        self._remaining[row] += scheduled_row(task.needs)
        for port in task.host_ports:
            self._ports[port][row] = False

    # inside

    def _start(self, task: TaskType, row: int) -> Placed:
        known = self._tasks.setdefault(task.service, task)
        if known.needs != task.needs or known.host_ports != task.host_ports:
            raise ValueError(f"service {task.service} runs with another size: name the new revision differently")
        instance_id = self._id_of[row]
        self._instances[instance_id].tasks[task.service] += 1
        self._counts_of(task.service)[row] += 1
        self._remaining[row] -= scheduled_row(task.needs)
        for port in task.host_ports:
            self._port_column(port)[row] = True
        return Placed(task.service, instance_id)

    def _grow(self, capacity: int) -> None:
        def wider(array: Any) -> Any:
            return np.concatenate([array, np.zeros((capacity - array.shape[0], *array.shape[1:]), array.dtype)])

        self._remaining = wider(self._remaining)
        self._counts = {service: wider(counts) for service, counts in self._counts.items()}
        self._ports = {port: wider(taken) for port, taken in self._ports.items()}
        self._groups = wider(self._groups.T).T.copy()
        self._scratch = np.zeros(capacity, np.int64)
        self._tally = np.zeros(2 * capacity + 64, np.int64)

    def _counts_of(self, service: str) -> Any:
        if service not in self._counts:
            self._counts[service] = np.zeros(self._remaining.shape[0], np.int64)
        return self._counts[service]

    def _port_column(self, port: int) -> Any:
        if port not in self._ports:
            self._ports[port] = np.zeros(self._remaining.shape[0], np.bool_)
        return self._ports[port]

    def _blocked(self, task: TaskType) -> Any:
        blocked = np.zeros(self._remaining.shape[0], np.bool_)
        for port in task.host_ports:
            blocked |= self._port_column(port)
        return blocked

    def _rules_of(self, strategy: Strategy) -> Any:
        if strategy not in self._rules:
            self._rules[strategy] = np.array(
                [self._rule_row(rule.kind, rule.field) for rule in strategy], np.int64
            ).reshape(-1, 2)
        return self._rules[strategy]

    def _rule_row(self, kind: str, name: str) -> tuple[int, int]:
        if kind == "random":
            return RANDOM, 0
        if kind == "binpack":
            return BINPACK, 0 if name == "cpu" else 1
        return SPREAD, self._group_row(name)

    def _group_row(self, name: str) -> int:
        if name not in self._group_rows:
            row = len(self._group_rows)
            self._group_rows[name] = row
            self._group_ids.append({})
            fresh = np.zeros(self._remaining.shape[0], np.int64)
            for instance_row, instance_id in enumerate(self._id_of):
                fresh[instance_row] = self._group_id(name, row, self._instances[instance_id], instance_row)
            self._groups = np.vstack([self._groups, fresh[None, :]])
        return self._group_rows[name]

    def _group_id(self, name: str, group_row: int, instance: _Instance, row: int) -> int:
        if name == INSTANCE_FIELD:
            return row
        ids = self._group_ids[group_row]
        value = instance.attributes.get(name.removeprefix("attribute:"), "")
        number = ids.setdefault(value, len(ids))
        if number >= self._tally.shape[0]:
            self._tally = np.zeros(2 * number + 64, np.int64)
        return number

    def _allowed_for(self, task: TaskType, member_of: tuple[str, ...]) -> Any:
        expressions = [_expression(text) for text in member_of]
        key = (task.architecture, member_of)
        if key in self._allowed:
            return self._allowed[key]
        allowed = np.array([self._allows(self._instances[i], task, expressions) for i in self._id_of], np.bool_)
        if all(expression.is_static for expression in expressions):
            self._allowed[key] = allowed
        return allowed

    def _allows(self, instance: _Instance, task: TaskType, expressions: list[Expression]) -> bool:
        runs_on = instance.attributes.get(ARCHITECTURE_ATTRIBUTE)
        if not instance.accepts or (task.architecture and runs_on and runs_on != task.architecture):
            return False
        facts = InstanceFacts(
            instance.attributes,
            instance.instance_id,
            instance.tasks.total(),
            {f"service:{service}" for service, n in instance.tasks.items() if n},
        )
        return all(expression.test(facts) for expression in expressions)

    def _why_not(self, task: TaskType, allowed: Any, blocked: Any, counts: Any) -> str:
        return why_no_instance(task, self._remaining[: len(self._id_of)], allowed, blocked, counts)


def why_no_instance(task: TaskType, remaining: Any, allowed: Any, blocked: Any, counts: Any) -> str:
    """How many instances refuse the task for which cause, e.g. "no instance of 3 takes it: 2 lack CPU ..."."""
    total = remaining.shape[0]
    if total == 0:
        return "there is no container instance"
    causes: Counter[str] = Counter()
    lacking = remaining < np.array(scheduled_row(task.needs), np.int64)
    for row in range(total):
        if not allowed[row]:
            causes["are excluded by constraint, architecture or draining"] += 1
        elif lacking[row].any():
            words = [w for w, lacks in zip(DIMENSION_WORDS[:SCHEDULED], lacking[row], strict=True) if lacks]
            causes["lack " + " and ".join(words)] += 1
        elif blocked[row]:
            causes["have a host port of it taken"] += 1
        elif task.distinct_instance and counts[row] > 0:
            causes["run a task of it already (distinctInstance)"] += 1
    told = ", ".join(f"{n} {cause}" for cause, n in sorted(causes.items(), key=lambda c: (-c[1], c[0])))
    return f"none of {total} instances takes it: {told}"
