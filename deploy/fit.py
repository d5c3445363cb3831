"""The fit proof: the rollout replayed on the live instances before anybody approves it. Pure.

Old and new tasks stand side by side within the deployment's bounds (ECS developer guide, rolling update:
lower bound ceil(desired x minimumHealthyPercent), upper bound floor(desired x maximumPercent)), placed by the
planner's replay of the ECS scheduler with CPU, memory, network interfaces, host ports, zones and architecture.
Services roll out one after the other, as apply does.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from planner.model import Architecture, Rejection, Resources, TaskType
from planner.packing import EcsScheduler, Strategy
from planner.units import SECONDS_PER_MINUTE

PROVIDER = "deploy.capacity-provider"
"""Attribute by which the replay keeps tasks on the instances of their capacity provider."""
ROUND_S = 90
"""Assumed time of one round of starts: pull and start, then 40 s until a task without a health check counts as
healthy (ECS developer guide)."""
BOOT_S = 180
"""Assumed time until an instance that managed scaling launches takes tasks."""
SERVERLESS = frozenset({"FARGATE", "FARGATE_SPOT"})


@dataclass(frozen=True, slots=True)
class FitInstance:
    """One live container instance. `room` is what the bundle's own services use there plus what is free."""

    id: str
    provider: str
    zone: str
    instance_type: str
    architecture: Architecture | None
    room: Resources
    tasks: Mapping[str, int] = field(default_factory=dict)
    taken_ports: tuple[int, ...] = ()
    """Host ports of tasks that are not part of the bundle."""


@dataclass(frozen=True, slots=True)
class FitProvider:
    """Where instances can still come from."""

    name: str
    instance_type: str
    architecture: Architecture | None
    room: Resources
    zones: tuple[str, ...]
    planned_size: int
    """Instances that are there before services roll out."""
    max_size: int


@dataclass(frozen=True, slots=True)
class FitService:
    """One service before and after."""

    name: str
    old: TaskType
    new: TaskType
    desired: int
    """Tasks of the new revision when the rollout has ended."""
    minimum_healthy_percent: int
    maximum_percent: int
    providers: tuple[tuple[str, int, int], ...]
    """(capacity provider, weight, base) of the new revision."""
    strategy: Strategy
    constraints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fit:
    """How one service's rollout goes."""

    service: str
    fits: bool
    extra: Mapping[str, int]
    """Instance type to the instances needed beyond the planned ones."""
    minutes: int
    reason: str


def prove(
    services: Sequence[FitService],
    instances: Sequence[FitInstance],
    providers: Sequence[FitProvider],
    seed: int = 0,
) -> tuple[Fit, ...]:
    """Replay every rollout in order; later ones find what earlier ones left. Deterministic for a seed."""
    replay = Rehearsal(services, instances, providers, seed)
    return tuple(replay.roll_out(service) for service in services)


class Rehearsal:
    """The cluster while it is changed; tasks of a service are named "web (old)" and "web (new)" by revision."""

    def __init__(
        self,
        services: Sequence[FitService],
        instances: Sequence[FitInstance],
        providers: Sequence[FitProvider],
        seed: int,
    ) -> None:
        self.scheduler = EcsScheduler(seed)
        self.providers = {provider.name: provider for provider in providers}
        self.sizes: Counter[str] = Counter()
        self.launched: Counter[str] = Counter()
        """By provider, instances beside the live ones."""
        self.serverless: Counter[str] = Counter()
        old = {service.name: named(service.old, service.name, "old") for service in services}
        for instance in instances:
            self._add_live(instance, old)
        for provider in providers:
            while self.sizes[provider.name] < provider.planned_size:
                self.launch(provider)

    def _add_live(self, instance: FitInstance, old: Mapping[str, TaskType]) -> None:
        self.scheduler.add_instance(
            instance.id,
            instance.room,
            zone=instance.zone,
            instance_type=instance.instance_type,
            architecture=instance.architecture,
            attributes={PROVIDER: instance.provider},
        )
        self.sizes[instance.provider] += 1
        if instance.taken_ports:
            holder = TaskType(f"others on {instance.id}", 1, Resources(), instance.taken_ports)
            self.scheduler.place_on(holder, instance.id)
        for service, count in instance.tasks.items():
            for _ in range(count):
                self.scheduler.place_on(old[service], instance.id)

    def launch(self, provider: FitProvider) -> None:
        number = self.launched[provider.name]
        self.scheduler.add_instance(
            f"{provider.name}#{number}",
            provider.room,
            zone=provider.zones[number % len(provider.zones)] if provider.zones else "",
            instance_type=provider.instance_type,
            architecture=provider.architecture,
            attributes={PROVIDER: provider.name},
        )
        self.sizes[provider.name] += 1
        self.launched[provider.name] += 1

    def roll_out(self, service: FitService) -> Fit:
        old, new = named(service.old, service.name, "old"), named(service.new, service.name, "new")
        lower = math.ceil(service.desired * service.minimum_healthy_percent / 100)
        upper = math.floor(service.desired * service.maximum_percent / 100)
        before = Counter(self.sizes)
        rounds, missing = 0, ""
        while True:
            running_old, running_new = self.scheduler.running(old.service), self.running(new)
            if running_new >= service.desired and running_old == 0:
                return self._verdict(service, before, rounds, "")
            started, missing = self.start(
                service, new, min(service.desired - running_new, upper - running_old - running_new)
            )
            running_new += started
            stopped = self._stop(old, running_old, running_old + running_new - lower, service)
            rounds += 1
            if not started and not stopped:
                return self._verdict(service, before, rounds, missing or _bounds_reason(service, lower, upper))

    def running(self, new: TaskType) -> int:
        return self.scheduler.running(new.service) + self.serverless[new.service]

    def start(self, service: FitService, new: TaskType, most: int) -> tuple[int, str]:
        """Start up to `most` tasks; how many it were, and why not more."""
        missing = ""
        started = 0
        for _ in range(max(0, most)):
            provider = self._next_provider(service, new)
            if provider in SERVERLESS:
                self.serverless[new.service] += 1
            else:
                problem = self._place(service, new, provider)
                if problem is not None:
                    missing = problem
                    break
            started += 1
        return started, missing

    def _next_provider(self, service: FitService, new: TaskType) -> str:
        """Base first, then by weight: the provider that is furthest behind its share (ECS developer guide)."""
        if not service.providers:
            return ""
        placed = self.running(new)
        for name, _weight, base in service.providers:
            if placed < base:
                return name
        weighted = [(name, weight) for name, weight, _base in service.providers if weight > 0]
        if not weighted:
            return service.providers[0][0]
        total = sum(weight for _name, weight in weighted)
        position = placed % total
        for name, weight in weighted:
            if position < weight:
                return name
            position -= weight
        return weighted[-1][0]

    def _place(self, service: FitService, new: TaskType, provider: str) -> str | None:
        """Place one task, launching an instance where the provider may; None, or why not."""
        constraints = service.constraints
        if provider:
            constraints = (*constraints, f"attribute:{PROVIDER} == {provider}")
        placed = self.scheduler.place_one(new, service.strategy, constraints)
        if not isinstance(placed, Rejection):
            return None
        known = self.providers.get(provider)
        if known is None or self.sizes[provider] >= known.max_size:
            limit = "" if known is None else f"; {provider} is at its maximum of {known.max_size}"
            return f"{placed.reason}{limit}"
        if not new.needs.fits_in(known.room):
            return f"a task does not fit an empty {known.instance_type} ({_short(new.needs, known.room)})"
        self.launch(known)
        again = self.scheduler.place_one(new, service.strategy, constraints)
        return again.reason if isinstance(again, Rejection) else None

    def _stop(self, old: TaskType, running: int, surplus: int, service: FitService) -> int:
        """ECS stops old tasks down to the lower bound, but never below it."""
        wanted = min(running, max(0, surplus))
        for _ in range(wanted):
            self.scheduler.stop_one(old.service, service.strategy)
        return wanted

    def _verdict(self, service: FitService, before: Counter[str], rounds: int, problem: str) -> Fit:
        extra: Counter[str] = Counter()
        for name, provider in self.providers.items():
            if self.sizes[name] > before[name]:
                extra[provider.instance_type] += self.sizes[name] - before[name]
        seconds = rounds * ROUND_S + (BOOT_S if extra else 0)
        minutes = math.ceil(seconds / SECONDS_PER_MINUTE)
        if problem:
            return Fit(service.name, False, dict(extra), minutes, f"will deadlock, because {problem}")
        if extra:
            needed = ", ".join(f"{count} more {kind}" for kind, count in sorted(extra.items()))
            return Fit(service.name, True, dict(extra), minutes, f"needs {needed} for {minutes} minutes")
        return Fit(service.name, True, {}, minutes, f"fits, in about {minutes} minutes")


def named(task: TaskType, service: str, age: str) -> TaskType:
    return replace(task, service=f"{service} ({age})", count=1)


def _bounds_reason(service: FitService, lower: int, upper: int) -> str:
    return (
        f"at least {lower} tasks must stay and at most {upper} may run for {service.desired} desired, so none can "
        "start and none can stop: raise maximumPercent or lower minimumHealthyPercent"
    )


def _short(needs: Resources, room: Resources) -> str:
    lacking = [
        f"{name} {getattr(needs, name)} of {getattr(room, name)}"
        for name in ("cpu_units", "memory_mib", "enis", "gpus")
        if getattr(needs, name) > getattr(room, name)
    ]
    return ", ".join(lacking)
