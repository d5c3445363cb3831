"""The state of the one sandbox of this process: its clock, its metrics and its regional engines.

moto keeps its own state in process-wide dictionaries, so a process holds one sandbox at a time; the
handlers that answer requests find it here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING

from deploy.sandbox.clock import VirtualClock
from deploy.sandbox.series import MetricStore

if TYPE_CHECKING:
    from deploy.sandbox.ecs.engine import Ecs

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

    def metrics_of(self, region: str) -> MetricStore:
        return self.metrics.setdefault(region, MetricStore())

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
