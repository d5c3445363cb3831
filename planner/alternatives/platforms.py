"""Each platform on the same demand: machines or tasks, control plane, load balancing, staff."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Final

from planner.alternatives import machines, tasks
from planner.alternatives.assumptions import Assumptions, Platform
from planner.alternatives.evaluation import Evaluation
from planner.alternatives.karpenter import provision
from planner.alternatives.knowledge import RE_EVALUATE, cannot
from planner.alternatives.question import Question, Refused, needed
from planner.alternatives.reserves import FARGATE_POD_OVERHEAD_MIB
from planner.cost import CostLine, Kind, MissingPrice, alb_lines, fee_lines, fleet_lines, item_line
from planner.model import Architecture, Price, Rejection
from planner.units import usd_per_hour

Answer = tuple[list[CostLine], list[Rejection], list[str]]
"""Lines, what they leave out for want of a price, and notes."""


def evaluate(platform: Platform, question: Question) -> Evaluation:
    """The platform's cost and conditions; what it cannot run or price is told by name, never left out."""
    try:
        lines, missing, notes = _COSTS[platform](question)
        refused: tuple[Rejection, ...] = ()
        lines.append(_staff_line(platform, question.assumed))
    except (Refused, MissingPrice) as error:
        lines, missing, notes, refused = [], [], [], error.reasons
    return Evaluation(
        platform,
        tuple(lines),
        question.assumed.staff_hours_per_month[platform],
        question.assumed.migration_days[platform],
        cannot(platform, question.demanded),
        RE_EVALUATE[platform],
        tuple(notes),
        tuple(missing),
        refused,
    )


def _staff_line(platform: Platform, assumed: Assumptions) -> CostLine:
    hours, rate = assumed.staff_hours_per_month[platform], assumed.staff_usd_per_hour
    return CostLine(
        "staff", Kind.STAFF, None, None, usd_per_hour(hours * rate),
        f"{hours:g} hours a month at {rate:g} USD/h", "assumption", "",
    )  # fmt: skip


# ECS


def _ecs_ec2(question: Question) -> Answer:
    fleet = machines.fleet(question, question.demanded, machines.ecs_types(question))
    return _fleet_answer(question, fleet)


def _managed_instances(question: Question) -> Answer:
    """EC2 at the on-demand price plus the management fee."""
    lines, missing, notes = _ecs_ec2(question)
    fees = [
        fee
        for line in lines
        if line.kind is Kind.COMPUTE
        for fee in fee_lines([line], _managed_fee(question, line.item), "Managed Instances fee")
    ]
    return lines + fees, missing, notes


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
    lines, missing = _beside_fargate(question)
    return tasks.fargate(question, None) + lines, missing, []


def _ecs_fargate_arm(question: Question) -> Answer:
    lines, missing = _beside_fargate(question)
    return tasks.fargate(question, Architecture.ARM64) + lines, missing, ["the same task sizes as on x86"]


def _ecs_fargate_spot(question: Question) -> Answer:
    lines, missing = _beside_fargate(question)
    running, notes = tasks.spot_lines(question)
    return running + lines, missing, notes


# Kubernetes on AWS


def _eks_ec2(question: Question) -> Answer:
    """Nodes as Karpenter provisions them, unless the planner's packer is asked for."""
    pods, types = machines.as_pods(question.demanded), machines.kubernetes_types(question, eks=True)
    chosen = question
    if question.assumed.eks_packing == "karpenter":
        chosen = replace(question, pack=partial(provision, zones=question.zones))
    fleet = machines.fleet(chosen, pods, types)
    lines, missing, notes = _fleet_answer(question, fleet)
    if question.assumed.eks_auto_mode:
        share = needed(question.book.item(question.region, "eks_auto_mode_fee_share"))
        lines += fee_lines(lines, share, "EKS Auto Mode fee")
    return [*lines, _eks_line(question)], missing, notes


def _eks_fargate(question: Question) -> Answer:
    """Pods of Fargate profiles: x86 only, with Fargate's own overhead in each pod."""
    lines, missing = _beside_fargate(question)
    running = tasks.fargate(question, Architecture.X86_64, extra_mib=FARGATE_POD_OVERHEAD_MIB)
    return [*running, *lines, _eks_line(question)], missing, []


def _eks_line(question: Question) -> CostLine:
    extended = question.assumed.eks_extended_support
    name = "eks_extended_support_hour" if extended else "eks_cluster_hour"
    price = needed(question.book.item(question.region, name))
    return item_line("EKS clusters", Kind.CONTROL_PLANE, question.assumed.eks_clusters, price)


def _kubernetes_ec2(question: Question) -> Answer:
    """Own control plane: three nodes with etcd on a volume each, behind a Network Load Balancer."""
    pods = machines.as_pods(question.demanded)
    fleet = machines.fleet(question, pods, machines.kubernetes_types(question, eks=False))
    lines, missing, notes = _fleet_answer(question, fleet)
    assumed, book, region = question.assumed, question.book, question.region
    nodes = fleet_lines(
        [(assumed.control_plane_type, assumed.control_plane_nodes)],
        {assumed.control_plane_type: book.instance(region, assumed.control_plane_type)},
    )
    lines += [_as_control_plane(line) for line in nodes]
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
    return lines, missing, notes


def _as_control_plane(line: CostLine) -> CostLine:
    return CostLine(
        f"control plane {line.item}", Kind.CONTROL_PLANE, None, None, line.usd_per_hour, line.basis, line.source,
        line.date,
    )  # fmt: skip


# Azure


def _aks(question: Question) -> Answer:
    types, prices = machines.azure_types(question)
    fleet = machines.fleet(question, machines.as_pods(question.demanded), types, prices)
    assumed = question.assumed
    lines: list[CostLine] = list(fleet.lines)
    missing: list[Rejection] = []
    if assumed.aks_tier != "free":
        price = needed(question.book.item(assumed.azure_region, f"aks_{assumed.aks_tier}_hour"))
        lines.append(item_line(f"AKS {assumed.aks_tier} tier", Kind.CONTROL_PLANE, 1, price))
    extras = (
        (
            "Azure load balancing", Kind.LOAD_BALANCING, 1.0,
            assumed.azure_load_balancing_usd_per_hour, "hour", "--azure-load-balancing-usd-per-hour",
        ),
        (
            "Azure system disks", Kind.STORAGE, fleet.instances * assumed.root_volume_gb,
            assumed.azure_disk_usd_per_gb_month, "GB-month", "--azure-disk-usd-per-gb-month",
        ),
    )  # fmt: skip
    for item, kind, quantity, usd, unit, option in extras:
        if usd is None:
            missing.append(Rejection(item, f"no price in this price book: pass {option}"))
        else:
            lines.append(item_line(item, kind, quantity, Price(usd, unit, "assumption", "")))
    return lines, missing, [*fleet.notes, "VM prices are pay-as-you-go for Linux"]


# Shared lines


def _fleet_answer(question: Question, fleet: machines.Fleet) -> Answer:
    volumes, missing = machines.volume_lines(question, fleet.instances)
    balancing, also_missing = _balancing(question)
    return [*fleet.lines, *volumes, *balancing], [*missing, *also_missing], list(fleet.notes)


def _beside_fargate(question: Question) -> tuple[list[CostLine], list[Rejection]]:
    """Load balancing, and the sidecars that replace daemon services, whose size nobody has said."""
    lines, missing = _balancing(question)
    for service in question.demanded.services:
        if service.daemon:
            reason = "what replaces the daemon in every task has no size yet: add it to the tasks"
            missing.append(Rejection(f"sidecars for {service.service}", reason))
    return lines, missing


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
