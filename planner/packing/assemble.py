"""From patterns over shapes back to instances with named tasks, zone by zone."""

from __future__ import annotations

from collections import Counter
from typing import Any

from planner.model import SPOT
from planner.packing.greedy import Fleet
from planner.packing.problem import PackedInstances, PackingProblem, Unplaced
from planner.packing.shapes import Shapes
from planner.packing.zones import ZoneDemand

Named = tuple[tuple[str, int], ...]
Line = tuple[str, str, str, Named, Named]
"""Instance type, zone, way to buy, tasks and standby places of one instance."""


def assemble(
    problem: PackingProblem, shapes: Shapes, fleets: list[Fleet], demand: ZoneDemand, *, is_shared: bool = False
) -> tuple[tuple[PackedInstances, ...], Counter[int]]:
    """Name the tasks of each zone's fleet. Also returns how many tasks of each unit (index) run.

    The places of a service are filled with running tasks first; the rest are its standby places. `is_shared`: some
    services share places, which is only so where all tasks find one.
    """
    services = len(problem.tasks)
    lines: Counter[Line] = Counter()
    running: Counter[int] = Counter()
    for zone, fleet in enumerate(fleets):
        queues = _Queues(shapes, demand.running[zone], demand.places[zone])
        for (t, pattern), count in sorted(fleet.items()):
            left = count
            while left:
                times = queues.alike(pattern, left)
                tasks, standby = queues.take(pattern, times)
                left -= times
                for unit, n in tasks.items():
                    running[unit] += n * times
                key = (
                    shapes.offers[t].instance_type,
                    problem.zone_name(zone),
                    shapes.offers[t].purchase,
                    _named(problem, tasks, services),
                    _named(problem, standby, services),
                )
                lines[key] += times
    if problem.survive_zone_loss and not is_shared:
        _keep_what_survives(problem, lines, running)
    instances = tuple(
        PackedInstances(name, zone, count, dict(tasks), dict(standby), purchase)
        for (name, zone, purchase, tasks, standby), count in sorted(lines.items())
    )
    return instances, running


def _named(problem: PackingProblem, counts: Counter[int], services: int) -> tuple[tuple[str, int], ...]:
    names: Counter[str] = Counter()
    for unit, n in counts.items():
        names[problem.tasks[unit % services].service] += n
    return tuple(sorted((+names).items()))


def _keep_what_survives(problem: PackingProblem, lines: Counter[Line], running: Counter[int]) -> None:
    """Where max_count left no room for standby places, run only as many tasks as the loss of any zone leaves
    places for; the places of the others stay free."""
    services = len(problem.tasks)
    for s, task in enumerate(problem.tasks):
        while running[s] + running[s + services] > _survivors(task.service, lines):
            _stand_down(task.service, lines)
            # Counting the stricter unit first keeps the bound for what is placed valid.
            running[s if running[s] else s + services] -= 1


def _survivors(service: str, lines: Counter[Line]) -> int:
    """Places for the service that are left when the zone with most of them is lost."""
    by_zone: Counter[str] = Counter()
    for (_, zone, _, tasks, standby), count in lines.items():
        by_zone[zone] += count * (dict(tasks).get(service, 0) + dict(standby).get(service, 0))
    return by_zone.total() - max(by_zone.values(), default=0)


def _stand_down(service: str, lines: Counter[Line]) -> None:
    """Turn one running task of the service into a standby place, on one instance; on Spot, where no place is
    kept, only stop it."""
    held = [key for key, count in sorted(lines.items()) if count and dict(key[3]).get(service, 0)]
    line = min(held, key=lambda key: key[2] == SPOT)
    name, zone, purchase, tasks, standby = line
    fewer, more = Counter(dict(tasks)), Counter(dict(standby))
    fewer[service] -= 1
    more[service] += purchase != SPOT
    lines[line] -= 1
    if not lines[line]:
        del lines[line]
    lines[name, zone, purchase, tuple(sorted((+fewer).items())), tuple(sorted((+more).items()))] += 1


class _Queues:
    """Per shape, the services whose tasks still wait for a place in this zone."""

    def __init__(self, shapes: Shapes, running: Any, places: Any) -> None:
        self._waiting = [[[s, int(running[s]), int(places[s] - running[s])] for s in g] for g in shapes.members]
        self._at = [0] * len(self._waiting)

    def alike(self, pattern: tuple[tuple[int, int], ...], most: int) -> int:
        """How many instances with this pattern, up to `most`, get the same tasks; at least 1."""
        times = most
        for shape, wanted in pattern:
            if self._at[shape] >= len(self._waiting[shape]):
                return 1
            _, running, standby = self._waiting[shape][self._at[shape]]
            times = min(times, (running or standby) // wanted)
        return max(1, times)

    def take(self, pattern: tuple[tuple[int, int], ...], times: int = 1) -> tuple[Counter[int], Counter[int]]:
        """Tasks and standby places of each of `times` instances; above 1 only as many as `alike` says."""
        if times > 1:
            return self._take_alike(pattern, times)
        tasks: Counter[int] = Counter()
        standby: Counter[int] = Counter()
        for shape, wanted in pattern:
            self._take_shape(shape, wanted, tasks, standby)
        return tasks, standby

    def _take_alike(self, pattern: tuple[tuple[int, int], ...], times: int) -> tuple[Counter[int], Counter[int]]:
        tasks: Counter[int] = Counter()
        standby: Counter[int] = Counter()
        for shape, wanted in pattern:
            entry = self._waiting[shape][self._at[shape]]
            kind, into = (1, tasks) if entry[1] else (2, standby)
            entry[kind] -= wanted * times
            into[entry[0]] += wanted
            if entry[1] == 0 and entry[2] == 0:
                self._at[shape] += 1
        return tasks, standby

    def _take_shape(self, shape: int, wanted: int, tasks: Counter[int], standby: Counter[int]) -> None:
        queue = self._waiting[shape]
        while wanted and self._at[shape] < len(queue):
            entry = queue[self._at[shape]]
            for kind, into in ((1, tasks), (2, standby)):
                n = min(wanted, entry[kind])
                entry[kind] -= n
                into[entry[0]] += n
                wanted -= n
            if entry[1] == 0 and entry[2] == 0:
                self._at[shape] += 1


def left_over(problem: PackingProblem, running: Counter[int], left_out: dict[int, Unplaced]) -> list[Unplaced]:
    """Every task that is in no instance, by service, in the order of the problem."""
    found = []
    for s, task in enumerate(problem.tasks):
        if s in left_out:
            found.append(left_out[s])
            continue
        ran = running[s] + running[s + len(problem.tasks)]
        if ran < task.count:
            reason = "the instances that max_count (or the limit on instance types) allows are full"
            found.append(Unplaced(task.service, task.count - ran, reason))
    return found
