"""The instances that a shared fleet really runs, minute by minute.

Task counts come from the replayed scaling of the services. Each task starts where the ECS scheduler would
put it; managed scaling of the capacity provider adds instances for tasks that find no room and takes back
those that stayed empty. So what is priced is what ECS makes of the fleet, its stranded room included, not
a packing that nobody would place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.model import InstanceType, Rejection, TaskType
from planner.packing import EcsScheduler, parse_strategy
from planner.units import MINUTES_PER_HOUR

Counts = Mapping[str, NDArray[np.int64]]
"""Tasks that each service wants, by minute; all of one length."""


@dataclass(frozen=True, slots=True)
class FleetRules:
    """How one capacity provider is run (FACTS on managed scaling: ECS developer guide, cluster auto scaling).

    `boot_minutes` covers the one-minute CapacityProviderReservation metric, the EC2 boot and the
    registration of the ECS agent; it is a parameter, since AWS documents no figure.
    """

    zones: tuple[str, ...]
    min_size: int = 0
    max_size: int | None = None
    target_capacity_percent: int = 100
    strategy: str = "spread:az,binpack:memory"
    boot_minutes: int = 3
    empty_minutes: int = 15
    """Data points of the scale-in alarm, one a minute."""
    minimum_step: int = 1
    """Instances of one launch at the least, as long as the maximum allows them."""
    warm_up_minutes: int = 0
    """After a launch, minutes until the next one; the API's default is 5 (instanceWarmupPeriod)."""


@dataclass(frozen=True, slots=True)
class FleetRun:
    """What one fleet did: instances (int64, by minute) and tasks that waited for room (by service)."""

    instances: NDArray[np.int64]
    pending: Counts
    unplaceable: tuple[Rejection, ...] = ()

    @property
    def mean_instances(self) -> float:
        return float(self.instances.mean())


def fluid_instances(counts: Counts, tasks: Sequence[TaskType], offer: InstanceType) -> NDArray[np.int64]:
    """Instances below which no placement is possible, by minute: the scarcest resource poured like water.

    A valid lower bound on any placement on this type, cheap enough to rank hundreds of types.
    """
    minutes = len(next(iter(counts.values())))
    need = np.zeros(minutes, np.int64)
    for field in ("cpu_units", "memory_mib", "enis", "gpus"):
        total = np.zeros(minutes, np.int64)
        for task in tasks:
            total += counts[task.service] * getattr(task.needs, field)
        room = getattr(offer.room, field)
        if room > 0:
            need = np.maximum(need, -(-total // room))
    return need


def scarcest(counts: Counts, tasks: Sequence[TaskType], offer: InstanceType) -> str:
    """Of which these tasks use the larger share of an instance over the minutes: "cpu" or "memory"."""

    def share(field: str) -> float:
        used = sum(float(counts[task.service].sum()) * getattr(task.needs, field) for task in tasks)
        return float(used / max(1, getattr(offer.room, field)))

    return "cpu" if share("cpu_units") > share("memory_mib") else "memory"


def usual_strategy(resource: str, target_capacity_percent: int) -> str:
    """Spread over zones, then pack by `resource`. Under a target capacity of 100 binpack must come before spread
    (ECS developer guide, cluster auto scaling)."""
    pack, spread = f"binpack:{resource}", "spread:az"
    return f"{spread},{pack}" if target_capacity_percent == 100 else f"{pack},{spread}"


def misfits(tasks: Sequence[TaskType], offer: InstanceType) -> tuple[Rejection, ...]:
    """Tasks that no instance of this type can take even when it is empty, with the reason."""
    return tuple(
        Rejection(task.service, f"one task needs more than a whole {offer.instance_type} leaves")
        for task in tasks
        if not task.needs.fits_in(offer.room)
    ) + tuple(
        Rejection(task.service, f"its image runs on {task.architecture.value} only")
        for task in tasks
        if task.architecture is not None and task.architecture != offer.architecture
    )


def replay_fleet(
    counts: Counts, tasks: Sequence[TaskType], offer: InstanceType, rules: FleetRules, seed: int = 0
) -> FleetRun:
    """Run one capacity provider over the minutes of `counts`. Deterministic for a seed."""
    refused = misfits(tasks, offer)
    minutes = len(next(iter(counts.values())))
    if refused:
        return FleetRun(np.zeros(minutes, np.int64), {}, refused)
    return _Fleet(counts, tasks, offer, rules, seed).run(minutes)


class _Fleet:
    """The moving state of one replay."""

    def __init__(
        self, counts: Counts, tasks: Sequence[TaskType], offer: InstanceType, rules: FleetRules, seed: int
    ) -> None:
        self.rules, self.offer = rules, offer
        self.strategy = parse_strategy(rules.strategy)
        self.scheduler = EcsScheduler(seed)
        self.tasks = {task.service: task for task in tasks}
        self.wanted = {task.service: counts[task.service] for task in tasks}
        self.running = dict.fromkeys(self.tasks, 0)
        self.waiting = dict.fromkeys(self.tasks, 0)
        self.in_zone = dict.fromkeys(rules.zones, 0)
        self.zone_of: dict[str, str] = {}
        self.load: dict[str, int] = {}
        """Tasks on each instance, so that empty ones are known without asking."""
        self.booting: list[int] = []
        """Minutes at which instances that were asked for become ready."""
        self.empty_since: dict[str, int] = {}
        self.made = 0
        self.warm_until = 0
        self.again: float = 0
        """The minute before which nothing happens unless a service asks for other tasks."""

    def run(self, minutes: int) -> FleetRun:
        instances = np.zeros(minutes, np.int64)
        pending = {service: np.zeros(minutes, np.int64) for service in self.tasks}
        changed = self._change_minutes(minutes)
        self._start_warm()
        for minute in range(minutes):
            if changed[minute] or minute >= self.again:
                self._step(minute)
            instances[minute] = len(self.zone_of) + len(self.booting)
            for service, count in self.waiting.items():
                if count:
                    pending[service][minute] = count
        return FleetRun(instances, pending)

    def _change_minutes(self, minutes: int) -> NDArray[np.bool_]:
        changed = np.zeros(minutes, np.bool_)
        changed[0] = True
        for wanted in self.wanted.values():
            changed[1:] |= np.diff(wanted) != 0
        return changed

    def _start_warm(self) -> None:
        """The history begins in the middle of a day: what runs then is already placed."""
        for _ in range(self.rules.min_size):
            self._add_instance()
        self._follow(0)
        while any(self.waiting.values()) and self._may_grow():
            for _ in range(max(1, self._instances_for_waiting())):
                if self._may_grow():
                    self._add_instance()
            self._place_waiting()

    def _step(self, minute: int) -> None:
        ready = [at for at in self.booting if at <= minute]
        for at in ready:
            self.booting.remove(at)
            self._add_instance()
        self._follow(minute)
        grows = self._scale_out(minute)
        left = self._scale_in(minute)
        if grows or left or self.booting or any(self.waiting.values()):
            self.again = minute + 1
            return
        ripe = [since + self.rules.empty_minutes for since in self.empty_since.values()]
        self.again = min((at for at in ripe if at > minute), default=math.inf)

    def _follow(self, minute: int) -> None:
        """Stop what is no longer wanted first, then start what is missing."""
        for service, wanted in self.wanted.items():
            for _ in range(self.running[service] - int(wanted[minute])):
                self._stop(service)
            self.waiting[service] = max(0, int(wanted[minute]) - self.running[service])
        self._place_waiting()

    def _stop(self, service: str) -> None:
        instance = self.scheduler.stop_one(service, self.strategy)
        assert isinstance(instance, str), "a task that runs can be stopped"
        self.load[instance] -= 1
        self.running[service] -= 1

    def _place_waiting(self) -> None:
        for service, count in self.waiting.items():
            for _ in range(count):
                placed = self.scheduler.place_one(self.tasks[service], self.strategy)
                if isinstance(placed, Rejection):
                    break
                self.load[placed.instance_id] += 1
                self.waiting[service] -= 1
                self.running[service] += 1

    def _scale_out(self, minute: int) -> bool:
        """CapacityProviderReservation above its target asks for instances at once; whether it is above."""
        empty = self._empty()
        needed = len(self.zone_of) - len(empty) + self._instances_for_waiting()
        missing = self._for_target(needed) - len(self.zone_of) - len(self.booting)
        if missing <= 0:
            return False
        if minute >= self.warm_until:
            missing = max(missing, self.rules.minimum_step)
            if self.rules.max_size is not None:
                missing = min(missing, self.rules.max_size - len(self.zone_of) - len(self.booting))
            self.booting += [minute + self.rules.boot_minutes] * max(0, missing)
            self.warm_until = minute + self.rules.warm_up_minutes
        return True

    def _scale_in(self, minute: int) -> bool:
        """Only instances that stayed empty leave, under half of the fleet in one minute; whether any did."""
        empty = self._empty()
        self.empty_since = {i: self.empty_since.get(i, minute) for i in empty}
        if not empty or self.booting or any(self.waiting.values()):
            return False
        ripe = [i for i, since in self.empty_since.items() if minute - since >= self.rules.empty_minutes]
        keep = max(self.rules.min_size, self._for_target(len(self.zone_of) - len(empty)))
        surplus = min(len(ripe), len(self.zone_of) - keep, max(1, (len(self.zone_of) - 1) // 2))
        leaving = sorted(ripe, key=self._leaves_first)[: max(0, surplus)]
        for instance in leaving:
            self._remove_instance(instance)
        return bool(leaving)

    def _leaves_first(self, instance: str) -> tuple[int, int]:
        return (-self.in_zone[self.zone_of[instance]], -int(instance[2:]))

    def _for_target(self, needed: int) -> int:
        return max(self.rules.min_size, math.ceil(needed * 100 / self.rules.target_capacity_percent - 1e-9))

    def _may_grow(self) -> bool:
        return self.rules.max_size is None or len(self.zone_of) < self.rules.max_size

    def _empty(self) -> list[str]:
        return [instance for instance, tasks in self.load.items() if tasks == 0]

    def _instances_for_waiting(self) -> int:
        """New empty instances that the waiting tasks need, packed first fit as managed scaling estimates."""
        if not any(self.waiting.values()):
            return 0
        rooms: list[tuple[int, int, int, int]] = []
        for service in sorted(self.waiting, key=lambda s: -self.tasks[s].needs.memory_mib):
            need = self.tasks[service].needs
            wants = (need.cpu_units, need.memory_mib, need.enis, need.gpus)
            for _ in range(self.waiting[service]):
                where = next(
                    (k for k, r in enumerate(rooms) if all(w <= x for w, x in zip(wants, r, strict=True))), -1
                )
                if where < 0:
                    room = self.offer.room
                    rooms.append((room.cpu_units, room.memory_mib, room.enis, room.gpus))
                a, b, c, d = rooms[where]
                rooms[where] = (a - wants[0], b - wants[1], c - wants[2], d - wants[3])
        return len(rooms)

    def _add_instance(self) -> None:
        zone = min(self.in_zone, key=lambda z: (self.in_zone[z], z))
        name = f"i-{self.made}"
        self.made += 1
        self.scheduler.add_instance(
            name, self.offer.room, zone=zone, instance_type=self.offer.instance_type,
            architecture=self.offer.architecture.value,
        )  # fmt: skip
        self.zone_of[name] = zone
        self.load[name] = 0
        self.in_zone[zone] += 1

    def _remove_instance(self, name: str) -> None:
        self.scheduler.remove_instance(name)
        self.in_zone[self.zone_of.pop(name)] -= 1
        del self.load[name]
        self.empty_since.pop(name, None)


def hours_of(instances: NDArray[np.int64]) -> float:
    """Instance hours of a run by minute."""
    return float(instances.sum()) / MINUTES_PER_HOUR
