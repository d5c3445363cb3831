"""The state of the one sandbox of this process: its clock, its metrics and its regional engines.

moto keeps its own state in process-wide dictionaries, so a process holds one sandbox at a time; the
handlers that answer requests find it here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING

from deploy.sandbox.clock import VirtualClock
from deploy.sandbox.series import MetricStore

if TYPE_CHECKING:
    from deploy.sandbox.cloudtrail import Event
    from deploy.sandbox.ecs.engine import Ecs
    from deploy.sandbox.scaling.engine import Scaling

ACCOUNT_ID = "123456789012"


@dataclass
class World:
    """Everything the sandbox adds to moto. `lock` is held while a request is answered or time passes."""

    clock: VirtualClock
    seed: int = 0
    region: str = "eu-west-2"
    lock: RLock = field(default_factory=RLock)
    metrics: dict[str, MetricStore] = field(default_factory=dict)
    ecs: dict[str, Ecs] = field(default_factory=dict)
    scaling: dict[str, Scaling] = field(default_factory=dict)
    quotas: dict[str, float] = field(default_factory=dict)
    """Names of quotas to values that differ from AWS's defaults."""
    trail: list[Event] = field(default_factory=list)
    recurring: dict[int, dict[str, Callable[[], None]]] = field(default_factory=dict)
    """Seconds to what is done whenever a whole number of them has passed since 1970, by name."""

    def metrics_of(self, region: str) -> MetricStore:
        return self.metrics.setdefault(region, MetricStore())

    def scaling_of(self, region: str) -> Scaling:
        if region not in self.scaling:
            from deploy.sandbox.scaling.engine import Scaling

            self.scaling[region] = Scaling(self, region, ACCOUNT_ID)
        return self.scaling[region]

    def every_minute(self, name: str, action: Callable[[], None], first: bool = False) -> None:
        """Run `action` at every whole minute from now on, once per name; `first` ones before the others."""
        self.every(60, name, action, first)

    def every(self, seconds: int, name: str, action: Callable[[], None], first: bool = False) -> None:
        """Run `action` at every whole multiple of `seconds` from now on, as `every_minute` does."""
        known = self.recurring.setdefault(seconds, {})
        if not known:
            self._plan(seconds)
        if name not in known:
            known[name] = action
            if first:
                self.recurring[seconds] = {name: action, **known}

    def _plan(self, seconds: int) -> None:
        self.clock.call_at((self.clock.seconds // seconds + 1) * seconds, lambda: self._due(seconds))

    def _due(self, seconds: int) -> None:
        for action in list(self.recurring[seconds].values()):
            action()
        self._plan(seconds)

    def settle(self, service: str) -> None:
        """After a call: take up what it changed in other services, and run what is due now."""
        if service in ("autoscaling", "ec2", "cloudformation"):
            for ecs in self.ecs.values():
                ecs.instances.look_at_groups()
        self.clock.advance(0)

    def ecs_of(self, region: str) -> Ecs:
        if region not in self.ecs:
            from deploy.sandbox.ecs.engine import Ecs

            self.ecs[region] = Ecs(self, region, ACCOUNT_ID)
        return self.ecs[region]


_current: list[World] = []


def current() -> World:
    """The running sandbox's state; raises RuntimeError where none runs."""
    if not _current:
        raise RuntimeError("no sandbox runs in this process")
    return _current[0]


def enter(world: World) -> None:
    if _current:
        raise RuntimeError("a sandbox already runs in this process: leave it before starting another")
    _current.append(world)


def leave() -> None:
    _current.clear()
