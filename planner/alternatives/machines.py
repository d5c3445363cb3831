"""Fleets of virtual machines for a demand: packed level by level, priced as they run over the hours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

from planner.alternatives.demanded import Demanded, DemandedService, excess_share, levels
from planner.alternatives.evaluation import Packed
from planner.alternatives.question import Question, Refused, needed
from planner.alternatives.reserves import aks_room, eks_room, kubernetes_room
from planner.cost import CostLine, Kind, fleet_lines, per_instance_lines
from planner.model import InstanceType, Price, Rejection, Resources, TaskType
from planner.prices import catalogue
from planner.units import UsdPerHour, percent


@dataclass(frozen=True, slots=True)
class Fleet:
    """The mean fleet over the hours, headroom included, as lines; and what to know of it."""

    lines: tuple[CostLine, ...]
    instances: float
    notes: tuple[str, ...]
    filled: float | None = None
    """Mean over the hours of the larger of CPU and memory share of the fleet that tasks fill."""


def ecs_types(question: Question) -> tuple[InstanceType, ...]:
    types, rejected = catalogue(
        question.book,
        question.region,
        architectures=question.architectures,
        families=question.families,
        max_vcpu=question.max_vcpu,
        awsvpc_trunking=question.awsvpc_trunking,
        daemons=question.demanded.daemons,
        include_gpu=_wants_gpus(question.demanded),
    )
    return _some(types, rejected)


def kubernetes_types(question: Question, *, eks: bool) -> tuple[InstanceType, ...]:
    reserve = eks_room if eks else kubernetes_room
    daemons = replace(question.demanded.daemons, enis=sum(1 for s in question.demanded.services if s.daemon))
    types, rejected = catalogue(
        question.book,
        question.region,
        architectures=question.architectures,
        families=question.families,
        max_vcpu=question.max_vcpu,
        include_gpu=_wants_gpus(question.demanded),
        usable=lambda facts: reserve(facts, question.assumed, daemons),
    )
    return _some(types, rejected)


def azure_types(question: Question) -> tuple[tuple[InstanceType, ...], dict[str, Price]]:
    region = question.assumed.azure_region
    priced = question.book.azure_catalogue(region)
    if not priced:
        absent = question.book.azure(region, "Azure VMs")
        raise Refused(absent if isinstance(absent, Rejection) else Rejection(region, "no usable VM size"))
    daemons = replace(question.demanded.daemons, enis=sum(1 for s in question.demanded.services if s.daemon))
    types = tuple(
        InstanceType(
            size.vm_size,
            aks_room(size, question.assumed, daemons),
            UsdPerHour(price.usd),
            size.architecture,
        )
        for size, price in priced
        if question.architectures is None or size.architecture in question.architectures
    )
    usable = tuple(t for t in types if t.room.cpu_units > 0 and t.room.memory_mib > 0 and t.room.enis > 0)
    if not usable:
        raise Refused(Rejection(region, "no Azure VM size leaves room after the reserves"))
    return usable, {size.vm_size: price for size, price in priced}


def _some(types: tuple[InstanceType, ...], rejected: Sequence[Rejection]) -> tuple[InstanceType, ...]:
    if types:
        return types
    if len(rejected) == 1:
        raise Refused(rejected[0])
    raise Refused(Rejection("instance types", "none passes the filters in this Region: widen them"))


def _wants_gpus(demanded: Demanded) -> bool:
    return any(s.needs.gpus for s in demanded.replicas)


def as_pods(demanded: Demanded) -> Demanded:
    """The same services as Kubernetes pods, each of which takes one pod place of its node."""
    return Demanded(tuple(replace(s, needs=replace(s.needs, enis=1)) for s in demanded.services))


def fleet(
    question: Question,
    demanded: Demanded,
    types: Sequence[InstanceType],
    prices: dict[str, Price] | None = None,
    level_count: int | None = None,
) -> Fleet:
    """Pack each level of demand and weigh the fleets by their hours.

    Raises Refused naming every service that fits no type.
    """
    _refuse_misfits(demanded, types)
    found = levels(demanded, level_count or question.assumed.level_count)
    by_name = {s.service: s for s in demanded.replicas}
    rooms = {t.instance_type: t.room for t in types}
    counts: dict[str, float] = {}
    costs: list[tuple[float, float | None]] = []
    filled = 0.0
    for level in found:
        wanted = [by_name[name].as_tasks(count) for name, count in level.tasks.items() if count]
        if not wanted:
            continue
        packed = question.pack(wanted, types)
        if isinstance(packed, Rejection):
            raise Refused(packed)
        weight = level.hours / demanded.hours
        filled += weight * _filled(wanted, packed, rooms) / (1 + question.assumed.headroom)
        for name, count in packed.instances:
            counts[name] = counts.get(name, 0.0) + count * weight * (1 + question.assumed.headroom)
        bound = packed.lower_bound_usd_per_hour
        costs.append((packed.usd_per_hour * level.hours, None if bound is None else bound * level.hours))
    known = prices or {name: needed(question.book.instance(question.region, name)) for name in counts}
    notes = (
        f"fleets for {len(found)} level(s) of demand hold {percent(excess_share(demanded, found)):.1f} % more CPU"
        " than hour by hour",
        f"{_proof(costs)}; {percent(question.assumed.headroom):g} % headroom on top",
    )
    rounded = {name: round(count, 4) for name, count in counts.items()}
    return Fleet(tuple(fleet_lines(rounded.items(), known)), sum(rounded.values()), notes, filled)


def _filled(tasks: Sequence[TaskType], packed: Packed, rooms: Mapping[str, Resources]) -> float:
    """The larger of CPU and memory share of a packed fleet that its tasks fill."""
    needs = reduce(Resources.__add__, (t.needs * t.count for t in tasks), Resources())
    room = reduce(Resources.__add__, (rooms[name] * count for name, count in packed.instances), Resources())
    return max(needs.cpu_units / max(1, room.cpu_units), needs.memory_mib / max(1, room.memory_mib))


def _proof(costs: Sequence[tuple[float, float | None]]) -> str:
    """How near to the cheapest possible fleet, where the packer says."""
    bounds = [bound for _cost, bound in costs if bound is not None]
    if not costs or len(bounds) < len(costs):
        return "packed greedily, one large node after another, with no proof of how near to the cheapest"
    gap = math.fsum(cost for cost, _bound in costs) / math.fsum(bounds) - 1
    return f"packed within {percent(gap):.1f} % of the cheapest possible fleet"


def _refuse_misfits(demanded: Demanded, types: Sequence[InstanceType]) -> None:
    reasons = [
        Rejection(s.service, reason) for s in demanded.replicas if (reason := _misfit(s, types)) is not None
    ]
    if reasons:
        raise Refused(*reasons)


def _misfit(service: DemandedService, types: Sequence[InstanceType]) -> str | None:
    if not any(service.tasks):
        return None
    runs_on = [t for t in types if service.architecture in {None, t.architecture}]
    if not runs_on:
        return f"no machine of architecture {service.architecture} is offered"
    if any(service.needs.fits_in(t.room) for t in runs_on):
        return None
    if service.needs.gpus and not any(t.room.gpus for t in runs_on):
        return "it needs GPUs and no machine with one has a price here"
    return "one task is larger than the largest machine"


def volume_lines(question: Question, instances: float) -> tuple[list[CostLine], list[Rejection]]:
    """Root volumes of the fleet; a Region without a gp3 price is told as missing."""
    price = question.book.item(question.region, "ebs_gp3_gb_month")
    if isinstance(price, Rejection):
        return [], [price]
    size = question.assumed.root_volume_gb
    return per_instance_lines(instances, price, "root volumes (gp3)", Kind.STORAGE, size), []
