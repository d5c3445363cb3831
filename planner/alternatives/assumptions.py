"""Everything the comparison assumes, each as a named parameter with where its value comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from planner.model import Resources
from planner.units import CpuUnits, MiB


class Platform(StrEnum):
    ECS_EC2 = "ecs-ec2"
    ECS_FARGATE = "ecs-fargate"
    ECS_FARGATE_ARM = "ecs-fargate-arm"
    ECS_FARGATE_SPOT = "ecs-fargate-spot"
    ECS_MANAGED_INSTANCES = "ecs-managed-instances"
    EKS_EC2 = "eks-ec2"
    EKS_FARGATE = "eks-fargate"
    KUBERNETES_EC2 = "kubernetes-ec2"
    AKS = "aks"


TITLES: Final[Mapping[Platform, str]] = MappingProxyType(
    {
        Platform.ECS_EC2: "ECS on EC2",
        Platform.ECS_FARGATE: "ECS on Fargate",
        Platform.ECS_FARGATE_ARM: "ECS on Fargate, ARM",
        Platform.ECS_FARGATE_SPOT: "ECS on Fargate Spot",
        Platform.ECS_MANAGED_INSTANCES: "ECS Managed Instances",
        Platform.EKS_EC2: "EKS on EC2",
        Platform.EKS_FARGATE: "EKS with Fargate profiles",
        Platform.KUBERNETES_EC2: "Self-managed Kubernetes on EC2",
        Platform.AKS: "AKS with Azure VMs",
    }
)

STAFF_HOURS: Final[Mapping[Platform, float]] = MappingProxyType(
    {
        Platform.ECS_EC2: 16,
        Platform.ECS_FARGATE: 4,
        Platform.ECS_FARGATE_ARM: 5,
        Platform.ECS_FARGATE_SPOT: 6,
        Platform.ECS_MANAGED_INSTANCES: 6,
        Platform.EKS_EC2: 30,
        Platform.EKS_FARGATE: 20,
        Platform.KUBERNETES_EC2: 80,
        Platform.AKS: 30,
    }
)
"""Hours a month to run one cluster: patching, upgrades, scaling faults, node images. Assumptions to be
replaced by the team's own timesheets; only their order is argued for in docs/guide/compare.md."""

MIGRATION_DAYS: Final[Mapping[Platform, float]] = MappingProxyType(
    {
        Platform.ECS_EC2: 0,
        Platform.ECS_FARGATE: 10,
        Platform.ECS_FARGATE_ARM: 25,
        Platform.ECS_FARGATE_SPOT: 20,
        Platform.ECS_MANAGED_INSTANCES: 10,
        Platform.EKS_EC2: 80,
        Platform.EKS_FARGATE: 70,
        Platform.KUBERNETES_EC2: 140,
        Platform.AKS: 180,
    }
)
"""Person-days to get there from ECS on EC2 for about ten services. Assumptions, as above."""

KUBERNETES_DAEMONS: Final = Resources(CpuUnits(256), MiB(384), enis=4)
"""CNI, kube-proxy, CSI driver and a log agent on every node: 0.25 vCPU, 384 MiB, 4 pods. An assumption of
the size of the charts' default requests."""


@dataclass(frozen=True, slots=True)
class Assumptions:
    """One set of inputs. Change one with `dataclasses.replace`."""

    staff_usd_per_hour: float = 75.0
    """Loaded cost of an engineer's hour: an assumption."""
    staff_hours_per_month: Mapping[Platform, float] = field(default_factory=lambda: STAFF_HOURS)
    migration_days: Mapping[Platform, float] = field(default_factory=lambda: MIGRATION_DAYS)
    hours_per_person_day: float = 8.0
    """Turns migration days into money at the staff rate."""
    headroom: float = 0.10
    """Instances kept beyond the packed fleet, as a share of it: deployments, lost packing, scaling delay."""
    level_count: int = 8
    """Fleets packed for a week; hours of like demand share one."""
    greedy_level_count: int = 24
    """The same where nodes are provisioned as Karpenter does, which takes a hundredth of the time."""
    root_volume_gb: float = 30.0
    load_balancers: int = 1
    lcus_each: float = 1.0
    """Mean LCUs of each load balancer (CloudWatch ConsumedLCUs)."""
    kubernetes_daemons: Resources = KUBERNETES_DAEMONS
    prefix_delegation: bool = False
    """VPC CNI prefix delegation: 110 pods on a node of up to 30 vCPU, 250 above (EKS user guide)."""
    aks_max_pods: int = 110
    """Azure CNI overlay allows up to 250; 110 is the kubenet default (AKS documentation)."""
    eks_clusters: int = 1
    eks_extended_support: bool = False
    kubernetes_packing: str = "karpenter"
    """How nodes are chosen on EKS, own Kubernetes and AKS: "karpenter" (AKS node auto-provisioning is Karpenter
    too), or "packer" for the planner's own."""
    eks_auto_mode: bool = False
    """AWS runs the nodes for a fee on each instance; staff hours are then yours to lower."""
    aks_tier: str = "standard"
    control_plane_type: str = "m7i.large"
    """Three of them run a self-managed control plane with etcd on a volume each."""
    control_plane_nodes: int = 3
    etcd_volume_gb: float = 50.0
    fargate_spot_discount: float | None = None
    """Off the Fargate price where the price book has no Fargate Spot price. AWS advertises up to 0.70."""
    fargate_spot_on_demand_share: float = 0.3
    """Tasks kept on Fargate On-Demand as the base, so that a reclaim cannot take the whole service."""
    managed_instances_fee: float | None = None
    """Share of the on-demand price, in place of the price book's."""
    azure_region: str = "uksouth"
    azure_load_balancing_usd_per_hour: float | None = None
    """The price book has no Azure load balancer price; None leaves it out and says so."""
    azure_disk_usd_per_gb_month: float | None = None
    """Likewise for the nodes' system disks."""


def assumptions_from(values: Mapping[str, Any]) -> Assumptions:
    """Assumptions from a notebook's parameters: `staff_hours` and `migration_days` name only the platforms that
    differ, and what is not among the fields is passed over. Raises ValueError for a platform that is none, or an
    amount that is no number of 0 or more."""
    known = {f.name: values[f.name] for f in fields(Assumptions) if f.name in values}
    known["staff_hours_per_month"] = _changed(STAFF_HOURS, values.get("staff_hours", {}), "staff_hours")
    known["migration_days"] = _changed(MIGRATION_DAYS, values.get("migration_days", {}), "migration_days")
    for name, value in known.items():
        if isinstance(value, float) and not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name} is {value}, not a number of 0 or more")
    return Assumptions(**known)


def _changed(base: Mapping[Platform, float], changes: Mapping[str, Any], name: str) -> Mapping[Platform, float]:
    changed = dict(base)
    for platform, value in changes.items():
        if platform not in set(Platform):
            raise ValueError(f"{name} names {platform}, which is no platform: use one of {', '.join(Platform)}")
        if not isinstance(value, (int, float)) or not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name} of {platform} is {value!r}, not a number of 0 or more")
        changed[Platform(platform)] = float(value)
    return MappingProxyType(changed)
