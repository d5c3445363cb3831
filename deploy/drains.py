"""Whether tasks find another place when instances are drained, replayed wave by wave after the rollouts. Pure.

ECS moves the tasks of a draining instance within the deployment's bounds (ECS developer guide, "Draining Amazon
ECS container instances"): replacements start first as far as maximumPercent allows, and tasks stop first only as
far as minimumHealthyPercent allows. A task outside a service does not move at all.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deploy.fit import BOOT_S, ROUND_S, Fit, FitInstance, FitProvider, FitService, Rehearsal, named
from deploy.replacement import waves_of
from planner.model import TaskType
from planner.units import SECONDS_PER_MINUTE


@dataclass(frozen=True, slots=True)
class Drain:
    """The instances of one capacity provider that leave, in their order."""

    provider: str
    instances: tuple[str, ...]
    planned: int | None = None
    """New instances that join in their place, a share before each wave; None where the provider is retired."""


@dataclass(frozen=True, slots=True)
class DrainFit:
    provider: str
    fits: bool
    extra: Mapping[str, int]
    """Instance type to the instances that managed scaling has to add."""
    minutes: int
    reason: str


def prove_drains(
    services: Sequence[FitService],
    bystanders: Sequence[FitService],
    instances: Sequence[FitInstance],
    providers: Sequence[FitProvider],
    drains: Sequence[Drain],
    seed: int = 0,
) -> tuple[tuple[Fit, ...], tuple[DrainFit, ...]]:
    """Replay the rollouts of `services`, then every drain; `bystanders` only move where they are drained."""
    rehearsal = Rehearsal([*services, *bystanders], instances, providers, seed)
    rolled = tuple(rehearsal.roll_out(service) for service in services)
    keys = {f"{s.name} (new)": s for s in services} | {f"{s.name} (old)": s for s in bystanders}
    return rolled, tuple(_Drained(rehearsal, keys, drain).replay() for drain in drains)


class _Drained:
    def __init__(self, rehearsal: Rehearsal, keys: Mapping[str, FitService], drain: Drain) -> None:
        self.rehearsal, self.keys, self.drain = rehearsal, keys, drain
        self.scheduler = rehearsal.scheduler
        self.rounds, self.joined = 0, 0
        self.before = Counter(rehearsal.launched)
        self.moved: set[str] = set()

    def replay(self) -> DrainFit:
        waves = waves_of(self.drain.instances)
        for number, wave in enumerate(waves, start=1):
            self._join(math.ceil((self.drain.planned or 0) * number / len(waves)))
            for instance in wave:
                self.scheduler.set_draining(instance)
            problem = self._empty(wave)
            if problem:
                return self._verdict(f"will deadlock in wave {number} of {len(waves)}, because {problem}")
            for instance in wave:
                self.scheduler.remove_instance(instance)
                self.rehearsal.sizes[self.drain.provider] -= 1
        return self._verdict(self._homeless())

    def _join(self, wanted: int) -> None:
        """Launch new instances until `wanted` of them are there, those of the rollouts counted in."""
        provider = self.rehearsal.providers.get(self.drain.provider)
        while provider is not None and self.rehearsal.launched[provider.name] < wanted:
            self.rehearsal.launch(provider)
            self.joined += 1

    def _empty(self, wave: Sequence[str]) -> str:
        """Move every task of a service off the wave; "" or why that comes to a stand."""
        while True:
            there = self._tasks_on(wave)
            if not there:
                return ""
            progress, why = 0, ""
            for key, count in there.items():
                done, problem = self._move(key, count, wave)
                progress, why = progress + done, why or problem
            self.rounds += 1
            if not progress:
                return why

    def _tasks_on(self, wave: Sequence[str]) -> Counter[str]:
        found: Counter[str] = Counter()
        for instance in wave:
            found.update({k: n for k, n in self.scheduler.tasks_on(instance).items() if k in self.keys})
        return found

    def _move(self, key: str, count: int, wave: Sequence[str]) -> tuple[int, str]:
        """One round for one service: starts and stops that its bounds allow, and what stood in the way."""
        service = self.keys[key]
        task = self._task(key)
        self.moved.add(key)
        lower = math.ceil(service.desired * service.minimum_healthy_percent / 100)
        upper = math.floor(service.desired * service.maximum_percent / 100)
        running = self.rehearsal.running(task)
        wanted = max(0, service.desired - (running - count))
        started, missing = self.rehearsal.start(service, task, min(wanted, upper - running))
        total = running + started
        # What has been replaced stops; where nothing can start, ECS stops as many as the minimum lets go.
        keep = lower if started < wanted and not started else service.desired
        stopped = min(count, max(0, total - keep))
        for _ in range(stopped):
            self.scheduler.stop_on(key, next(i for i in wave if self.scheduler.tasks_on(i).get(key)))
        bounds = (
            f"{service.name} keeps {lower} tasks at least and runs {upper} at most for {service.desired} desired"
        )
        return started + stopped, missing or bounds

    def _task(self, key: str) -> TaskType:
        service = self.keys[key]
        return named(service.new, service.name, "new" if key.endswith("(new)") else "old")

    def _homeless(self) -> str:
        """Tasks that were stopped to let instances go and find no other place."""
        for key in sorted(self.moved):
            service, task = self.keys[key], self._task(key)
            missing = service.desired - self.rehearsal.running(task)
            started, why = self.rehearsal.start(service, task, missing)
            if started < missing:
                return f"would leave {missing - started} tasks of {service.name} without a place, because {why}"
        return ""

    def _verdict(self, problem: str) -> DrainFit:
        extra: Counter[str] = Counter()
        for name, provider in self.rehearsal.providers.items():
            own = self.joined if name == self.drain.provider else 0
            added = self.rehearsal.launched[name] - self.before[name] - own
            if added > 0:
                extra[provider.instance_type] += added
        seconds = self.rounds * ROUND_S + (BOOT_S if extra or self.joined else 0)
        minutes = math.ceil(seconds / SECONDS_PER_MINUTE)
        needed = ", ".join(f"{count} more {kind}" for kind, count in sorted(extra.items()))
        told = f"needs {needed}, in about {minutes} minutes" if needed else f"fits, in about {minutes} minutes"
        return DrainFit(self.drain.provider, not problem, dict(extra), minutes, problem or told)
