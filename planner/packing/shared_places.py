"""Places that several services keep together for the loss of a zone.

n tasks of a service need zones x n / (zones - 1) places to survive, and where that is not a whole number, a place
of its own costs up to a whole one more. With r = n mod (zones - 1), the service is short of one only when one of
the r zones is lost that hold an odd one. So services that are short in different zones keep one place together, as
large as the largest of them, in a zone in which none of them has its odd place. To the search such a place is a
service of its own, without tasks.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from planner.model import Resources, TaskType
from planner.packing.dimensions import as_resources, as_row
from planner.packing.problem import PackedInstances, PackingProblem
from planner.packing.room import rooms_for_tasks

_MOST_SERVICES: Final = 60
"""Above this what is shared is less than the search loses by having more shapes."""


@dataclass(frozen=True, slots=True)
class SharedPlace:
    """`place` is the index of the service that stands for it, `members` are those that share it."""

    place: int
    members: tuple[int, ...]


def share_places(
    problem: PackingProblem, allowed: Any, left_out: Any
) -> tuple[PackingProblem, tuple[SharedPlace, ...]]:
    """The problem with a service for each shared place; as it is where nothing can be shared.

    `allowed` (services, types); `left_out` has the indices of the services that are not placed.
    """
    if not problem.survive_zone_loss or problem.zones < 3 or len(problem.tasks) > _MOST_SERVICES:
        return problem, ()
    if any(offer.max_count is not None for offer in problem.catalogue):
        return problem, ()  # places that find no instance would leave all that share them without
    rooms = np.array([as_row(room) for room in rooms_for_tasks(problem)], np.int64)
    size = rooms.max(axis=0)
    needs = np.array([as_row(task.needs) for task in problem.tasks], np.int64)
    weight = (needs / np.maximum(size, 1)).sum(axis=1)
    groups: list[list[int]] = []
    for s in np.argsort(-weight, kind="stable").tolist():
        task, odd = problem.tasks[s], problem.tasks[s].count % (problem.zones - 1)
        if s in left_out or not odd or task.distinct_instance or task.host_ports:
            continue
        home = next((g for g in groups if _may_join(g, s, problem, allowed, needs, rooms)), None)
        if home is None:
            groups.append([s])
        else:
            home.append(s)
    shared = [group for group in groups if len(group) > 1]
    places = tuple(_place(k, group, problem, needs) for k, group in enumerate(shared))
    first = len(problem.tasks)
    return replace(problem, tasks=(*problem.tasks, *places)) if places else problem, tuple(
        SharedPlace(first + k, tuple(group)) for k, group in enumerate(shared)
    )


def _may_join(group: list[int], s: int, problem: PackingProblem, allowed: Any, needs: Any, rooms: Any) -> bool:
    odd = sum(problem.tasks[k].count % (problem.zones - 1) for k in [*group, s])
    if odd > problem.zones - 1 or (allowed[group[0]] != allowed[s]).any():
        return False
    together = needs[[*group, s]].max(axis=0)
    return bool((allowed[s] & (together <= rooms).all(axis=1)).any())


def _place(number: int, group: list[int], problem: PackingProblem, needs: Any) -> TaskType:
    one = problem.tasks[group[0]]
    size: Resources = as_resources(needs[group].max(axis=0))
    rules = (*one.member_of, *problem.member_of.get(one.service, ()))
    # No service has a name that starts like this.
    return replace(one, service=f"\0{number}", count=0, needs=size, member_of=rules, may_use_spot=False)


def told_by_loss(
    problem: PackingProblem, instances: tuple[PackedInstances, ...], shared: tuple[SharedPlace, ...]
) -> tuple[PackedInstances, ...]:
    """The instances with what they take over instead of shared places; `problem` has the services that stand for
    those."""
    names = [task.service for task in problem.tasks]
    held: dict[str, Counter[str]] = {}
    for line in instances:
        for service, n in (Counter(line.tasks) + Counter(line.standby)).items():
            held.setdefault(service, Counter())[line.zone] += n * line.count
    users: dict[str, dict[str, str]] = {}
    for group in shared:
        for member in group.members:
            task = problem.tasks[member]
            for zone, n in held[task.service].items():
                if held[task.service].total() - n < task.count:
                    users.setdefault(names[group.place], {})[zone] = task.service
    return tuple(_told(line, users, {names[g.place] for g in shared}) for line in instances)


def _told(line: PackedInstances, users: dict[str, dict[str, str]], places: set[str]) -> PackedInstances:
    kept = {service: n for service, n in line.standby.items() if service not in places}
    over: dict[str, Counter[str]] = {}
    for place, n in line.standby.items():
        for zone, service in users.get(place, {}).items():
            over.setdefault(zone, Counter())[service] += n
    taken = {zone: dict(sorted(tasks.items())) for zone, tasks in sorted(over.items())}
    return replace(line, standby=kept, takes_over=taken)
