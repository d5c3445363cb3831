"""What each instance type leaves for tasks, which tasks may run on it, and the tasks that fit on none."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from planner.model import InstanceType, Resources, TaskType
from planner.packing.constraints import (
    ARCHITECTURE_ATTRIBUTE,
    INSTANCE_TYPE_ATTRIBUTE,
    OS_ATTRIBUTE,
    ConstraintError,
    InstanceFacts,
)
from planner.packing.dimensions import DIMENSIONS, as_row, shortfall_words
from planner.packing.placement import RESERVED_HOST_PORTS
from planner.packing.problem import PackingProblem, ProblemError, Unplaced


def type_facts(offer: InstanceType) -> InstanceFacts:
    """What a placement constraint can ask of an instance type."""
    known = {
        INSTANCE_TYPE_ATTRIBUTE: offer.instance_type,
        ARCHITECTURE_ATTRIBUTE: offer.architecture.value,
        OS_ATTRIBUTE: "linux",
    }
    return InstanceFacts({**known, **dict(offer.attributes)})


def _permitted(problem: PackingProblem, tasks: tuple[TaskType, ...]) -> Any:
    """(tasks, types) True where architecture and memberOf let the task run."""
    architectures = np.array([o.architecture.value for o in problem.catalogue])
    allowed = np.ones((len(tasks), len(problem.catalogue)), np.bool_)
    facts = [type_facts(o) for o in problem.catalogue]
    for s, task in enumerate(tasks):
        if task.architecture is not None:
            allowed[s] &= architectures == task.architecture.value
        for expression in problem.constraints_of(task):
            try:
                allowed[s] &= np.array([expression.test(f) for f in facts], np.bool_)
            except ConstraintError as error:
                raise ProblemError(f"service {task.service}: {error}") from None
    return allowed


def daemons_by_type(problem: PackingProblem) -> Any:
    """(daemons, types) True where the daemon service runs."""
    return _permitted(problem, problem.daemon_tasks)


def allowed_types(problem: PackingProblem) -> Any:
    """(tasks, types) True where architecture, memberOf and the ports of daemons let the task run, whatever its
    size."""
    allowed = _permitted(problem, problem.tasks)
    running = daemons_by_type(problem)
    for d, daemon in enumerate(problem.daemon_tasks):
        for s, task in enumerate(problem.tasks):
            if set(daemon.host_ports) & set(task.host_ports):
                allowed[s] &= ~running[d]
    return allowed


@lru_cache(maxsize=64)
def _rooms(
    catalogue: tuple[InstanceType, ...], daemons: Resources, tasks: tuple[Resources, ...], running: bytes
) -> tuple[Resources, ...]:
    on_type = np.frombuffer(running, np.bool_).reshape(len(tasks), len(catalogue))
    rooms = []
    for t, offer in enumerate(catalogue):
        rest = offer.room - daemons
        for d, needs in enumerate(tasks):
            rest = rest - needs if on_type[d, t] else rest
        rooms.append(Resources(*(max(0, value) for value in as_row(rest))))  # type: ignore[arg-type]
    return tuple(rooms)


def rooms_for_tasks(problem: PackingProblem) -> tuple[Resources, ...]:
    """What daemon services leave of each type of the catalogue, never below 0."""
    running = daemons_by_type(problem)
    return _rooms(
        problem.catalogue, problem.daemons, tuple(t.needs for t in problem.daemon_tasks), running.tobytes()
    )


def unplaceable(problem: PackingProblem, allowed: Any) -> dict[int, Unplaced]:
    """Services that no type can ever take, by index, with the reason; and those with nothing to place."""
    rooms = rooms_for_tasks(problem)
    needs = np.array([as_row(task.needs) for task in problem.tasks], np.int64).reshape(-1, len(DIMENSIONS))
    sizes = np.array([as_row(room) for room in rooms], np.int64)
    can_buy = np.array([o.max_count != 0 for o in problem.catalogue], np.bool_)
    fits = allowed & can_buy
    for r in range(sizes.shape[1]):
        fits &= needs[:, [r]] <= sizes[None, :, r]
    found: dict[int, Unplaced] = {}
    for s, task in enumerate(problem.tasks):
        if task.count == 0:
            found[s] = Unplaced(task.service, 0, "count is 0: there is nothing to place")
        elif not fits[s].any() or RESERVED_HOST_PORTS.intersection(task.host_ports):
            found[s] = Unplaced(task.service, task.count, _why_never(task, rooms, allowed[s], problem))
    return found


def _why_never(task: TaskType, rooms: tuple[Resources, ...], allowed: Any, problem: PackingProblem) -> str:
    reserved = RESERVED_HOST_PORTS.intersection(task.host_ports)
    if reserved:
        return f"host port {min(reserved)} is kept by the ECS agent on every instance"
    permitted = [(room, o) for room, o, ok in zip(rooms, problem.catalogue, allowed, strict=True) if ok]
    if not permitted:
        taken = {p for d in problem.daemon_tasks for p in d.host_ports} & set(task.host_ports)
        if taken:
            return f"host port {min(taken)} is taken by a daemon service on every permitted instance type"
        return "no instance type of the catalogue meets its architecture or placement constraints"
    if any(task.needs.fits_in(room) for room, _ in permitted):
        return "every instance type it fits on has max_count 0"
    room, offer = min(permitted, key=lambda pair: _excess(task.needs, pair[0]))
    return (
        f"one task is larger than every permitted instance type; the nearest, {offer.instance_type}, "
        f"falls short: {shortfall_words(task.needs, room)}"
    )


def _excess(need: Resources, room: Resources) -> tuple[int, float]:
    pairs = [(n, r) for n, r in zip(as_row(need), as_row(room), strict=True) if n > r]
    return len(pairs), max((n / max(r, 0.5) for n, r in pairs), default=0.0)
