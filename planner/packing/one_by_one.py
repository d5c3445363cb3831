"""The replay for tasks whose constraints depend on what runs already: one task at a time, slower."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from planner.model import FleetLine, Rejection, TaskType
from planner.packing.constraints import parse_expression
from planner.packing.placed_fleet import (
    LoadedInstance,
    Order,
    Placement,
    Stopped,
    arrivals,
    instance_names,
)
from planner.packing.placement import EcsScheduler
from planner.packing.problem import Unplaced
from planner.packing.strategy import Strategy


def needs_one_by_one(tasks: Sequence[TaskType]) -> bool:
    """True where a memberOf expression asks for tasks (task:group, runningTasksCount) or for one instance."""
    texts = {text for task in tasks for text in task.member_of}
    return any(not parse_expression(text).is_static or "ec2InstanceId" in text for text in texts)


def place_one_by_one(
    tasks: Sequence[TaskType],
    fleet: Sequence[FleetLine],
    strategy: Strategy,
    order: Order,
    seed: int,
    allowed: Mapping[str, Mapping[str, bool]],
    scale_in: Mapping[str, int],
) -> Placement:
    """As `replay.place`, through the scheduler that knows the running tasks."""
    lines = [line for line in fleet for _ in range(line.count)]
    names = instance_names(lines)
    engine = EcsScheduler(seed)
    for name, line in zip(names, lines, strict=True):
        engine.add_instance(
            name, line.room, zone=line.zone, instance_type=line.instance_type,
            architecture=line.architecture.value if line.architecture else None,
            attributes={"ecs.os-type": "linux", **dict(line.attributes)},
        )  # fmt: skip
    barred = {
        task.service: tuple(
            name
            for name, line in zip(names, lines, strict=True)
            if not allowed.get(task.service, {}).get(line.instance_type, True)
        )
        for task in tasks
    }
    refused: dict[int, Unplaced] = {}
    for s in arrivals(tasks, order, seed).tolist():
        task = tasks[s]
        answer = _start(engine, task, strategy, barred[task.service])
        if isinstance(answer, Rejection):
            before = refused.get(s)
            refused[s] = Unplaced(task.service, before.count + 1 if before else 1, answer.reason)
    stopped: Counter[tuple[str, str]] = Counter()
    for task in tasks:
        for _ in range(min(scale_in.get(task.service, 0), engine.running(task.service))):
            where = engine.stop_one(task.service, strategy)
            assert isinstance(where, str), "a task that runs can be stopped"
            stopped[task.service, where] += 1
    by_service = {task.service: task for task in tasks}
    return Placement(
        tuple(_loaded(engine, name, line, by_service) for name, line in zip(names, lines, strict=True)),
        tuple(refused[s] for s in sorted(refused)),
        tuple(Stopped(service, name, count) for (service, name), count in sorted(stopped.items())),
    )


def _start(engine: EcsScheduler, task: TaskType, strategy: Strategy, barred: tuple[str, ...]) -> Rejection | None:
    for name in barred:
        engine.set_draining(name)
    answer = engine.place_one(task, strategy, task.member_of)
    for name in barred:
        engine.set_draining(name, False)
    return answer if isinstance(answer, Rejection) else None


def _loaded(engine: EcsScheduler, name: str, line: FleetLine, tasks: Mapping[str, TaskType]) -> LoadedInstance:
    held = engine.tasks_on(name)
    used = sum((tasks[service].needs * n for service, n in held.items()), start=line.room * 0)
    return LoadedInstance(name, line.instance_type, line.zone, held, line.room - used)
