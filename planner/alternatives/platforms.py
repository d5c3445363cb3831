"""Each platform on the same demand: machines or tasks, control plane, load balancing, staff."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Final

from planner.alternatives import machines, tasks
from planner.alternatives.assumptions import Assumptions, Platform
from planner.alternatives.evaluation import Evaluation
from planner.alternatives.flips import is_machine
from planner.alternatives.karpenter import provision
from planner.alternatives.knowledge import RE_EVALUATE, cannot, to_rebuild
from planner.alternatives.question import Question, Refused, needed
from planner.alternatives.reserves import FARGATE_POD_OVERHEAD_MIB
from planner.cost import CostLine, Kind, MissingPrice, alb_lines, fee_lines, fleet_lines, item_line, total
from planner.cost.balancing import GB_PER_HOUR_PER_LCU, HOURS, LCUS
from planner.model import Architecture, InstanceType, Price, Rejection
from planner.prices.rates import SMALLEST_DISK_GIB
from planner.units import usd_per_hour


@dataclass(frozen=True, slots=True)
class Answer:
    """Lines, what they leave out for want of a price, notes, and how full the machines are."""

    lines: tuple[CostLine, ...]
    missing: tuple[Rejection, ...] = ()
    notes: tuple[str, ...] = ()
    filled: float | None = None

    def plus(self, lines: Iterable[CostLine], missing: Iterable[Rejection] = ()) -> Answer:
        return replace(self, lines=(*self.lines, *lines), missing=(*self.missing, *missing))


def evaluate(platform: Platform, question: Question) -> Evaluation:
    """The platform's cost and conditions; what it cannot run or price is told by name, never left out."""
    refused: tuple[Rejection, ...] = ()
    try:
        found = _COSTS[platform](question).plus([_staff_line(platform, question.assumed)])
    except (Refused, MissingPrice) as error:
        found, refused = Answer(()), error.reasons
    return Evaluation(
        platform,
        found.lines,
        question.assumed.staff_hours_per_month[platform],
        question.assumed.migration_days[platform],
        cannot(platform, question.demanded),
        RE_EVALUATE[platform],
        found.notes,
        found.missing,
        refused,
        to_rebuild(platform, question.demanded),
        found.filled,
    )


def _staff_line(platform: Platform, assumed: Assumptions) -> CostLine:
    hours, rate = assumed.staff_hours_per_month[platform], assumed.staff_usd_per_hour
    return CostLine(
        "staff", Kind.STAFF, None, None, usd_per_hour(hours * rate),
        f"{hours:g} hours a month at {rate:g} USD/h", "assumption", "",
    )  # fmt: skip


# ECS


def _ecs_ec2(question: Question) -> Answer:
    """What the plan runs, where there is a plan; else packed fleets."""
    planned = question.planned
    if planned is None:
        fleet = machines.fleet(question, question.demanded, machines.ecs_types(question))
    else:
        note = "the plan's own instances, as its replayed scaling runs them minute by minute"
        fleet = machines.Fleet(planned.lines, planned.instances, (note,), planned.filled)
    return _fleet_answer(question, fleet)


def _managed_instances(question: Question) -> Answer:
    """EC2 at the on-demand price plus the management fee."""
    found = _ecs_ec2(question)
    fees = [
        fee
        for line in found.lines
        if is_machine(line)
        for fee in fee_lines([line], _managed_fee(question, line.item), "Managed Instances fee")
    ]
    return found.plus(fees)


def _managed_fee(question: Question, instance_type: str) -> Price:
    """The fee's share of the on-demand price: assumed, or known for the family, or the general one."""
    share = question.assumed.managed_instances_fee
    if share is not None:
        return Price(share, "share of on-demand", "assumption", "")
    family = instance_type.split(".")[0]
    known = question.book.item(question.region, f"managed_instances_fee_share_{family}")
    if isinstance(known, Price):
        return known
    return needed(question.book.item(question.region, "managed_instances_fee_share"))


def _ecs_fargate(question: Question) -> Answer:
    return _beside_fargate(question).plus(tasks.fargate(question, None))


def _ecs_fargate_arm(question: Question) -> Answer:
    found = _beside_fargate(question).plus(tasks.fargate(question, Architecture.ARM64))
    return replace(found, notes=("the same task sizes as on x86",))


def _ecs_fargate_spot(question: Question) -> Answer:
    running, notes = tasks.spot_lines(question)
    return replace(_beside_fargate(question).plus(running), notes=tuple(notes))


# Kubernetes on AWS


def _eks_ec2(question: Question) -> Answer:
    """Nodes as Karpenter provisions them, unless the planner's packer is asked for."""
    found = _fleet_answer(question, _nodes(question, machines.kubernetes_types(question, eks=True)))
    if question.assumed.eks_auto_mode:
        share = needed(question.book.item(question.region, "eks_auto_mode_fee_share"))
        found = found.plus(fee_lines(found.lines, share, "EKS Auto Mode fee"))
    return found.plus([_eks_line(question)])


def _nodes(
    question: Question, types: Sequence[InstanceType], prices: dict[str, Price] | None = None
) -> machines.Fleet:
    """Nodes for the demand as pods, as Karpenter provisions them unless the planner's packer is asked for."""
    pods, assumed = machines.as_pods(question.demanded), question.assumed
    if assumed.kubernetes_packing == "packer":
        return machines.fleet(question, pods, types, prices)
    greedy = replace(question, pack=partial(provision, zones=question.zones))
    return machines.fleet(greedy, pods, types, prices, assumed.greedy_level_count)


def _eks_fargate(question: Question) -> Answer:
    """Pods of Fargate profiles: x86 only, with Fargate's own overhead in each pod."""
    running = tasks.fargate(question, Architecture.X86_64, extra_mib=FARGATE_POD_OVERHEAD_MIB)
    return _beside_fargate(question).plus([*running, _eks_line(question)])


def _eks_line(question: Question) -> CostLine:
    extended = question.assumed.eks_extended_support
    name = "eks_extended_support_hour" if extended else "eks_cluster_hour"
    price = needed(question.book.item(question.region, name))
    return item_line("EKS clusters", Kind.CONTROL_PLANE, question.assumed.eks_clusters, price)


def _kubernetes_ec2(question: Question) -> Answer:
    """Own control plane: three nodes with etcd on a volume each, behind a Network Load Balancer."""
    found = _fleet_answer(question, _nodes(question, machines.kubernetes_types(question, eks=False)))
    assumed, book, region = question.assumed, question.book, question.region
    nodes = fleet_lines(
        [(assumed.control_plane_type, assumed.control_plane_nodes)],
        {assumed.control_plane_type: book.instance(region, assumed.control_plane_type)},
    )
    lines = [_as_control_plane(line) for line in nodes]
    missing: list[Rejection] = []
    gb = assumed.control_plane_nodes * (assumed.etcd_volume_gb + assumed.root_volume_gb)
    extras = (
        ("etcd and root volumes (gp3)", gb, "ebs_gp3_gb_month"),
        ("API load balancer (NLB)", 1.0, "nlb_hour"),
    )
    for item, quantity, name in extras:
        price = book.item(region, name)
        if isinstance(price, Rejection):
            missing.append(price)
        else:
            lines.append(item_line(item, Kind.CONTROL_PLANE, quantity, price))
    return found.plus(lines, missing)


def _as_control_plane(line: CostLine) -> CostLine:
    return CostLine(
        f"control plane {line.item}", Kind.CONTROL_PLANE, None, None, line.usd_per_hour, line.basis, line.source,
        line.date,
    )  # fmt: skip


# Azure


def _aks(question: Question) -> Answer:
    types, prices = machines.azure_types(question)
    fleet = _nodes(question, types, prices)
    assumed = question.assumed
    lines: list[CostLine] = list(fleet.lines)
    if assumed.aks_tier != "free":
        price = needed(question.book.item(assumed.azure_region, f"aks_{assumed.aks_tier}_hour"))
        lines.append(item_line(f"AKS {assumed.aks_tier} tier", Kind.CONTROL_PLANE, 1, price))
    balancing, missing = _azure_balancing(question)
    lines += balancing
    usd = assumed.azure_disk_usd_per_gb_month
    disk: Price | Rejection = (
        question.book.item(assumed.azure_region, "azure_disk_gb_month")
        if usd is None
        else Price(usd, "GB-month", "assumption", "")
    )
    if isinstance(disk, Rejection):
        missing.append(Rejection("Azure system disks", disk.reason))
    else:
        quantity = fleet.instances * azure_disk_gib(assumed.root_volume_gb)
        lines.append(item_line("Azure system disks", Kind.STORAGE, quantity, disk))
    notes = (*fleet.notes, "VM prices are pay-as-you-go for Linux")
    return Answer(tuple(lines), tuple(missing), notes, fleet.filled)


def azure_disk_gib(wanted: float) -> float:
    """What Azure bills a disk as: the next of 32, 64, 128, ... GiB."""
    size = float(SMALLEST_DISK_GIB)
    while size < wanted:
        size *= 2
    return size


def _azure_balancing(question: Question) -> tuple[list[CostLine], list[Rejection]]:
    """A Standard Load Balancer for each Application Load Balancer, and the data through it: an LCU is at most
    1 GB an hour, so this is the most it can be."""
    assumed, book = question.assumed, question.book
    if (usd := assumed.azure_load_balancing_usd_per_hour) is not None:
        price = Price(usd, "hour", "assumption", "")
        return [item_line("Azure load balancing", Kind.LOAD_BALANCING, 1.0, price)], []
    balancers, lcus = _balanced(question)
    lines: list[CostLine] = []
    missing: list[Rejection] = []
    for item, quantity, name in (
        ("Azure load balancer hours", balancers, "azure_lb_hour"),
        ("Azure load balancer data", lcus * GB_PER_HOUR_PER_LCU, "azure_lb_gb"),
    ):
        found = book.item(assumed.azure_region, name)
        if isinstance(found, Rejection):
            missing.append(found)
        elif quantity:
            hourly = found if found.unit == "hour" else replace(found, unit=f"{found.unit}-hour")
            lines.append(item_line(item, Kind.LOAD_BALANCING, quantity, hourly))
    return lines, missing


def _balanced(question: Question) -> tuple[float, float]:
    """Application Load Balancers and their LCUs, as measured or as assumed."""
    measured = question.load_balancing
    hour, lcu = (question.book.item(question.region, name) for name in ("alb_hour", "alb_lcu_hour"))
    if measured is None or isinstance(hour, Rejection) or isinstance(lcu, Rejection):
        count = question.assumed.load_balancers
        return count, count * question.assumed.lcus_each
    by_item = {suffix: total(x for x in measured if x.item.endswith(suffix)) for suffix in (HOURS, LCUS)}
    return by_item[HOURS] / hour.usd_per_hour, by_item[LCUS] / lcu.usd_per_hour


# Shared lines


def _fleet_answer(question: Question, fleet: machines.Fleet) -> Answer:
    volumes, missing = machines.volume_lines(question, fleet.instances)
    found = Answer((*fleet.lines, *volumes), tuple(missing), fleet.notes, fleet.filled)
    return found.plus(*_balancing(question))


def _beside_fargate(question: Question) -> Answer:
    """Load balancing, and the sidecars that replace daemon services, whose size nobody has said."""
    lines, missing = _balancing(question)
    for service in question.demanded.services:
        if service.daemon:
            reason = "what replaces the daemon in every task has no size yet: add it to the tasks"
            missing.append(Rejection(f"sidecars for {service.service}", reason))
    return Answer(tuple(lines), tuple(missing))


def _balancing(question: Question) -> tuple[list[CostLine], list[Rejection]]:
    """Application Load Balancers, as measured or as assumed; the same on every AWS platform."""
    if question.load_balancing is not None:
        return list(question.load_balancing), []
    hour = question.book.item(question.region, "alb_hour")
    lcu_hour = question.book.item(question.region, "alb_lcu_hour")
    absent = [price for price in (hour, lcu_hour) if isinstance(price, Rejection)]
    if isinstance(hour, Rejection) or isinstance(lcu_hour, Rejection):
        return [], absent
    assumed = question.assumed
    lines = [
        line
        for number in range(assumed.load_balancers)
        for line in alb_lines(f"ALB {number + 1}", hour, lcu_hour, assumed.lcus_each)
    ]
    return lines, []


_COSTS: Final[Mapping[Platform, Callable[[Question], Answer]]] = MappingProxyType(
    {
        Platform.ECS_EC2: _ecs_ec2,
        Platform.ECS_FARGATE: _ecs_fargate,
        Platform.ECS_FARGATE_ARM: _ecs_fargate_arm,
        Platform.ECS_FARGATE_SPOT: _ecs_fargate_spot,
        Platform.ECS_MANAGED_INSTANCES: _managed_instances,
        Platform.EKS_EC2: _eks_ec2,
        Platform.EKS_FARGATE: _eks_fargate,
        Platform.KUBERNETES_EC2: _kubernetes_ec2,
        Platform.AKS: _aks,
    }
)
