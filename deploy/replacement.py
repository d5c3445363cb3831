"""Replace a group's instances in waves: new ones first, then drain, then terminate. The decision is pure.

AWS's own instance refresh counts an instance as ready when EC2 calls it healthy and knows nothing of tasks
(docs/decisions/0075). Here a wave leaves only when its share of the new instances has joined the cluster and
nothing runs on it any more. Every move follows from what is there, so a run that was killed goes on where it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from deploy.model import Failure, FailureKind, Image, ResourceRef
from deploy.ports import Clock, Member
from planner.documents.config import ResourceType

POLL_S = 15.0
JOIN_WITHIN = timedelta(minutes=15)
EMPTY_WITHIN = timedelta(minutes=60)
WAVES = 4
"""A quarter of the instances leaves at a time, as when a provider is drained."""


@dataclass(frozen=True, slots=True)
class Resize:
    """Bring the group's least and desired size to these; the least size keeps managed scaling from undoing it."""

    min_size: int
    desired: int


@dataclass(frozen=True, slots=True)
class Join:
    """Wait until new instances have joined the cluster."""

    ready: int
    wanted: int


@dataclass(frozen=True, slots=True)
class Drain:
    arns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Empty:
    """Wait until the tasks have left."""

    busy: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Terminate:
    ec2_instance_id: str
    shrink: bool
    """Whether the group gets smaller by it; otherwise it launches another one."""


Move = Resize | Join | Drain | Empty | Terminate


def waves_of(instances: Sequence[str], waves: int = WAVES) -> tuple[tuple[str, ...], ...]:
    """The instances in the order in which they leave, at most `waves` groups of nearly equal size."""
    size = max(1, math.ceil(len(instances) / waves))
    return tuple(tuple(instances[at : at + size]) for at in range(0, len(instances), size))


def next_move(
    members: Sequence[Member], sizes: tuple[int, int], waves: Sequence[Sequence[str]], planned: int
) -> Move | None:
    """What to do now; None when no outdated instance is left.

    `members` are the group's instances that are not terminating, `sizes` its least and desired size, `planned`
    the new instances there are to be in the end. Before wave k of K leaves, k/K of them have joined.
    """
    left = [m for m in members if m.outdated]
    if not left:
        return None
    present = {m.ec2_instance_id for m in left}
    number = next((n for n, wave in enumerate(waves) if present.intersection(wave)), len(waves) - 1)
    wave = [m for m in left if number == len(waves) - 1 or m.ec2_instance_id in set(waves[number])]
    needed = math.ceil(planned * (number + 1) / len(waves))
    ready = sum(1 for m in members if not m.outdated and m.status == "ACTIVE")
    leaving = all(m.status != "ACTIVE" and not m.running_tasks for m in wave)
    least, desired = sizes
    # Until the wave is empty the group may not shrink below what is there; then only by the wave itself.
    floor = len(left) + needed - (len(wave) if leaving else 0)
    if least != floor or desired < floor:
        return Resize(floor, max(desired, floor))
    if ready < needed:
        return Join(ready, needed)
    if active := tuple(m.arn for m in wave if m.status == "ACTIVE" and m.arn is not None):
        return Drain(active)
    if busy := tuple(m.ec2_instance_id for m in wave if m.running_tasks):
        return Empty(busy)
    return Terminate(wave[0].ec2_instance_id, shrink=desired > floor)


class Group(Protocol):
    """The calls that a replacement makes; part of deploy.ports.Cloud."""

    def read(self, ref: ResourceRef) -> Image | None: ...

    def write(self, ref: ResourceRef, after: Image, live: Image | None) -> Any: ...

    def members(self, group: str, capacity_provider: str) -> Sequence[Member]: ...

    def set_instance_status(self, arns: Sequence[str], status: str) -> None: ...

    def terminate(self, ec2_instance_id: str, shrink: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Order:
    """What is replaced."""

    group: str
    provider: str
    leaving: tuple[str, ...]
    """EC2 identifiers, in the order in which they leave."""
    planned: int

    @property
    def ref(self) -> ResourceRef:
        return ResourceRef(ResourceType.AUTO_SCALING_GROUP, self.group)


def replace_in_waves(
    order: Order,
    cloud: Group,
    clock: Clock,
    announce: Callable[[Image | None, Image], None],
    say: Callable[[str], None],
) -> Failure | None:
    """Carry the order out; a Failure names what did not happen in time. `announce` is called before a resize."""
    waves = waves_of(order.leaving)
    waited_for, since = "", clock.now()
    while True:
        members = cloud.members(order.group, order.provider)
        live = dict(cloud.read(order.ref) or {})
        sizes = (int(live["MinSize"]), int(live["DesiredCapacity"]))
        move = next_move(members, sizes, waves or ((),), order.planned)
        match move:
            case None:
                return None
            case Resize(min_size, desired):
                after = live | {
                    "MinSize": min_size,
                    "DesiredCapacity": desired,
                    "MaxSize": max(int(live["MaxSize"]), desired),
                }
                announce(live, after)
                cloud.write(order.ref, after, live)
                continue
            case Drain(arns):
                say(f"{order.group}: {len(arns)} instances drain")
                cloud.set_instance_status(arns, "DRAINING")
                continue
            case Terminate(ec2_instance_id, shrink):
                cloud.terminate(ec2_instance_id, shrink)
                continue
            case Join(ready, wanted):
                what, within, kind = f"{ready} of {wanted} new instances", JOIN_WITHIN, FailureKind.NO_CAPACITY
            case Empty(busy):
                what, within, kind = f"{len(busy)} instances drain", EMPTY_WITHIN, FailureKind.NOT_DRAINED
        if what != waited_for:
            waited_for, since = what, clock.now()
            say(f"{order.group}: {what}")
        if clock.now() - since > within:
            return Failure(kind, order.ref.id, _late(move))
        clock.sleep(POLL_S)


def _late(move: Move) -> str:
    if isinstance(move, Empty):
        return f"{', '.join(move.busy[:5])} still run tasks"
    assert isinstance(move, Join)
    return f"{move.ready} of {move.wanted} new instances joined the cluster"
