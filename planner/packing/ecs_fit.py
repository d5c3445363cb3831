"""The fleet with which ECS itself succeeds: online placement in random orders, and rolling deployments.

A packing places tasks with hindsight; ECS places them one by one as they come. Where it strands room, the
fleet gets the instances it needs on top, and the strategy that needs the least is chosen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from planner.model import FleetLine, InstanceType, TaskType
from planner.packing.problem import Packing, PackingProblem, Unplaced
from planner.packing.replay import Placement, place
from planner.packing.room import allowed_types, rooms_for_tasks
from planner.packing.strategy import Strategy, parse_strategy, strategy_text
from planner.units import UsdPerHour

ONE_ZONE_STRATEGIES: Final = ("binpack:memory", "binpack:cpu", "spread:instanceId", "random")
ZONE_STRATEGIES: Final = (
    "spread:az,binpack:memory",
    "spread:az,binpack:cpu",
    "binpack:memory,spread:az",
    "spread:az",
)
_MOST_STEPS: Final = 60


@dataclass(frozen=True, slots=True)
class EcsFleet:
    """What ECS needs to place every task with one strategy, in every order that was tried."""

    strategy: str
    fleet: tuple[FleetLine, ...]
    usd_per_hour: UsdPerHour
    premium: float
    """Cost over the packing's cost, minus 1."""
    added: tuple[FleetLine, ...]
    orders_tried: int
    unplaced: tuple[Unplaced, ...]
    """Tasks that adding instances could not help (max_count, distinctInstance); empty where ECS succeeds."""


def ecs_fleet(
    problem: PackingProblem,
    packing: Packing,
    *,
    strategies: Sequence[str] | None = None,
    orders: int = 5,
    seed: int = 0,
) -> tuple[EcsFleet, ...]:
    """The fleets that ECS needs, one a strategy, the cheapest first."""
    names = strategies or (ZONE_STRATEGIES if problem.zones > 1 else ONE_ZONE_STRATEGIES)
    tried = [_Fit(problem, packing, parse_strategy(name), orders, seed).result() for name in names]
    return tuple(sorted(tried, key=lambda fit: (len(fit.unplaced) > 0, fit.usd_per_hour, fit.strategy)))


class _Fit:
    """Adds instances to a packing's fleet until the replay of every order places everything."""

    def __init__(
        self, problem: PackingProblem, packing: Packing, strategy: Strategy, orders: int, seed: int
    ) -> None:
        self.problem, self.strategy, self.orders, self.seed = problem, strategy, orders, seed
        self.offers = {offer.instance_type: offer for offer in problem.catalogue}
        self.rooms = dict(zip(self.offers, rooms_for_tasks(problem), strict=True))
        self.base_cost = packing.bill_usd_per_hour
        never = Counter({u.service: u.count for u in packing.unplaced})
        self.tasks = tuple(
            replace(task, count=task.count - never[task.service])
            for task in problem.tasks
            if task.count > never[task.service]
        )
        self.counts: Counter[tuple[str, str]] = Counter()
        for line in packing.instances:
            self.counts[line.instance_type, line.zone] += line.count
        self.before = Counter(self.counts)
        allowed = allowed_types(problem)
        self.allowed = {
            task.service: {o.instance_type: bool(allowed[s, t]) for t, o in enumerate(problem.catalogue)}
            for s, task in enumerate(problem.tasks)
        }

    def result(self) -> EcsFleet:
        worst: Placement | None = None
        for _ in range(_MOST_STEPS):
            worst = self._worst_replay(self.tasks)
            if not worst.unplaced or not self._grow(worst.unplaced):
                break
        fleet = self._lines(self.counts)
        cost = sum((line.usd_per_hour or 0.0) * line.count for line in fleet)
        return EcsFleet(
            strategy_text(self.strategy),
            fleet,
            UsdPerHour(cost),
            cost / self.base_cost - 1.0 if self.base_cost else 0.0,
            self._lines(self.counts - self.before),
            self.orders,
            worst.unplaced if worst else (),
        )

    def _worst_replay(self, tasks: Sequence[TaskType]) -> Placement:
        fleet = self._lines(self.counts)
        replays = (
            place(tasks, fleet, self.strategy, "random", self.seed + order, self.allowed)
            for order in range(self.orders)
        )
        return max(replays, key=lambda placement: sum(u.count for u in placement.unplaced))

    def _grow(self, unplaced: Sequence[Unplaced]) -> bool:
        """Add instances, types of the fleet first, that hold the unplaced tasks by first fit."""
        task_of = {task.service: task for task in self.tasks}
        left = {u.service: u.count for u in unplaced}
        grown = False
        while left:
            best = self._best_addition(left, task_of)
            if best is None:
                break
            name, held = best
            zone = min(
                (self.problem.zone_name(z) for z in range(self.problem.zones)),
                key=lambda z: (sum(n for (_, where), n in self.counts.items() if where == z), z),
            )
            self.counts[name, zone] += 1
            grown = True
            left = {s: n - held.get(s, 0) for s, n in left.items() if n > held.get(s, 0)}
        return grown

    def _best_addition(
        self, left: dict[str, int], task_of: dict[str, TaskType]
    ) -> tuple[str, dict[str, int]] | None:
        used = {name for name, _ in self.counts}
        for pool in (used, set(self.offers) if self.problem.max_types is None else set()):
            options = []
            for name in sorted(pool):
                offer = self.offers[name]
                if offer.max_count is not None and self._bought(name) >= offer.max_count:
                    continue
                held = self._first_fit(offer, left, task_of)
                if held:
                    options.append((offer.usd_per_hour / self._size(held, task_of), name, held))
            if options:
                _, name, held = min(options, key=lambda option: (option[0], option[1]))
                return name, held
        return None

    def _first_fit(
        self, offer: InstanceType, left: dict[str, int], task_of: dict[str, TaskType]
    ) -> dict[str, int]:
        room = self.rooms[offer.instance_type]
        ports: set[int] = set()
        held: dict[str, int] = {}
        by_size = sorted(left, key=lambda s: (-task_of[s].needs.memory_mib - task_of[s].needs.cpu_units, s))
        for service in by_size:
            task = task_of[service]
            if not self.allowed[service][offer.instance_type] or ports.intersection(task.host_ports):
                continue
            most = 1 if task.distinct_instance or task.host_ports else left[service]
            n = 0
            while n < most and task.needs.fits_in(room):
                room = room - task.needs
                n += 1
            if n:
                held[service] = n
                ports.update(task.host_ports)
        return held

    def _size(self, held: dict[str, int], task_of: dict[str, TaskType]) -> float:
        return sum(n * max(1, task_of[s].needs.cpu_units + task_of[s].needs.memory_mib) for s, n in held.items())

    def _bought(self, name: str) -> int:
        return sum(n for (kind, _), n in self.counts.items() if kind == name)

    def _lines(self, counts: Counter[tuple[str, str]]) -> tuple[FleetLine, ...]:
        return tuple(
            FleetLine(
                name,
                zone,
                count,
                self.rooms[name],
                self.offers[name].usd_per_hour,
            )
            for (name, zone), count in sorted(counts.items())
            if count > 0
        )

    def deployment(self, task: TaskType, extra: int) -> Counter[tuple[str, str]]:
        """Instances to add so that `extra` new tasks of one service fit beside all that run."""
        started = Counter(self.counts)
        tasks = tuple(replace(t, count=t.count + extra) if t.service == task.service else t for t in self.tasks)
        for _ in range(_MOST_STEPS):
            worst = self._worst_replay(tasks)
            if not worst.unplaced or not self._grow(worst.unplaced):
                break
        added = self.counts - started
        self.counts = started
        return added


@dataclass(frozen=True, slots=True)
class DeploymentRoom:
    """What the rolling deployment of one service needs on top of the fleet while old and new run together."""

    service: str
    extra_tasks: int
    added: tuple[FleetLine, ...]
    usd_per_hour: UsdPerHour


def deployment_room(
    problem: PackingProblem,
    fit: EcsFleet,
    *,
    maximum_percent: int = 200,
    services: Sequence[str] | None = None,
    orders: int = 2,
    seed: int = 0,
) -> tuple[DeploymentRoom, ...]:
    """For each service deployed alone: floor(count x maximumPercent / 100) - count tasks more, and the
    instances to hold them; the dearest first. (ECS rounds the upper limit down.)"""
    as_packing = Packing("feasible", fit.usd_per_hour, UsdPerHour(0.0), 0.0, ())
    search = _Fit(problem, as_packing, parse_strategy(fit.strategy), orders, seed)
    for line in fit.fleet:
        search.counts[line.instance_type, line.zone] += line.count
    found = []
    for task in search.tasks:
        if services is not None and task.service not in services:
            continue
        extra = task.count * maximum_percent // 100 - task.count
        added = search._lines(search.deployment(task, extra)) if extra > 0 else ()
        cost: Any = sum((line.usd_per_hour or 0.0) * line.count for line in added)
        found.append(DeploymentRoom(task.service, max(0, extra), added, UsdPerHour(float(cost))))
    return tuple(sorted(found, key=lambda room: (-room.usd_per_hour, room.service)))
