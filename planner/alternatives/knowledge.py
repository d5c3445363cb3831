"""What each platform cannot do with this demand, and what has to be decided again when moving to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from planner.alternatives.assumptions import Platform
from planner.alternatives.demanded import Demanded, DemandedService
from planner.model import Architecture

_FARGATE: Final = (
    "no privileged containers, host networking or access to the instance",
    "no daemon services: agents become sidecars in every task",
    "up to 16 vCPU and 120 GiB a task (32 vCPU and 244 GiB where available), in fixed sizes",
)
_KUBERNETES_MOVE: Final = (
    "task definitions become Deployments, Services and Ingresses; secrets, IAM roles and logs are wired anew",
    "scaling policies become HorizontalPodAutoscaler or KEDA objects: the thresholds have to be tuned again",
    "deployment safety (circuit breaker, rollback) and the approval path are built again",
)

CANNOT: Final[Mapping[Platform, tuple[str, ...]]] = MappingProxyType(
    {
        Platform.ECS_EC2: (),
        Platform.ECS_FARGATE: (*_FARGATE, "no GPUs"),
        Platform.ECS_FARGATE_ARM: (*_FARGATE, "no GPUs", "no Windows containers"),
        Platform.ECS_FARGATE_SPOT: (
            *_FARGATE,
            "no GPUs",
            "tasks may be stopped with two minutes' notice, and there may be no capacity to replace them",
        ),
        Platform.ECS_MANAGED_INSTANCES: (
            "no own AMI, no SSH to instances, no daemon of your choice outside ECS",
            "AWS replaces instances to patch them, so every task moves regularly",
            "no target capacity: headroom cannot be kept on purpose",
        ),
        Platform.EKS_EC2: ("pods a node are limited by the VPC CNI unless prefix delegation is on",),
        Platform.EKS_FARGATE: (
            *_FARGATE,
            "no GPUs, no ARM, no Spot",
            "load balancer targets by IP only; no EBS volumes",
            "no daemon sets: agents become sidecars",
        ),
        Platform.KUBERNETES_EC2: ("no managed control plane: etcd backups, upgrades and certificates are yours",),
        Platform.AKS: (
            "no AWS IAM roles for tasks, no ALB, no ECR or CloudWatch in place",
            "traffic to what stays on AWS crosses the internet or a private link, and is paid by the GB",
        ),
    }
)  # fmt: skip

RE_EVALUATE: Final[Mapping[Platform, tuple[str, ...]]] = MappingProxyType(
    {
        Platform.ECS_EC2: (),
        Platform.ECS_FARGATE: (
            "task sizes: Fargate rounds up to its own, so right-sizing pays at once",
            "one network interface and address a task: subnets may be too small",
            "start time: images are pulled for every task, without a cache",
        ),
        Platform.ECS_FARGATE_ARM: (
            "images built for arm64, with their native libraries and agents",
            "performance a vCPU on Graviton: measure before the task size is kept",
        ),
        Platform.ECS_FARGATE_SPOT: (
            "graceful stop within two minutes, and what a batch task loses when stopped",
            "the On-Demand base of each service's capacity provider strategy",
        ),
        Platform.ECS_MANAGED_INSTANCES: (
            "reservations and Savings Plans: they cover the instances, not the fee",
            "agents and hardening that now live in the AMI",
        ),
        Platform.EKS_EC2: (
            *_KUBERNETES_MOVE,
            "node provisioning (Karpenter or managed groups), upgrades every few months",
        ),
        Platform.EKS_FARGATE: (*_KUBERNETES_MOVE, "pod sizes: 256 MiB are added to each before rounding up"),
        Platform.KUBERNETES_EC2: (
            *_KUBERNETES_MOVE,
            "control plane, etcd, certificates, network plugin: design, backup and on-call",
        ),
        Platform.AKS: (
            *_KUBERNETES_MOVE,
            "identity, network, registry, observability and data gravity on Azure",
            "prices and machine series: sizes do not map one to one",
        ),
    }
)


def cannot(platform: Platform, demanded: Demanded) -> tuple[str, ...]:
    """The platform's limits, and the services of this demand that meet one."""
    return CANNOT[platform] + tuple(_met(platform, demanded))


def _met(platform: Platform, demanded: Demanded) -> list[str]:
    found: list[str] = []
    on_fargate = platform in _ON_FARGATE
    for test, text in _TESTS:
        names = [s.service for s in demanded.services if test(s)]
        if names and on_fargate:
            found.append(f"{text}: {', '.join(sorted(names))}")
    if rebuilt := to_rebuild(platform, demanded):
        wrong = _WRONG_ARCHITECTURE[platform].value
        found.append(f"images are for {wrong} only and must be rebuilt: {', '.join(rebuilt)}")
    return found


_WRONG_ARCHITECTURE: Final = {
    Platform.EKS_FARGATE: Architecture.ARM64,
    Platform.ECS_FARGATE_ARM: Architecture.X86_64,
}


def to_rebuild(platform: Platform, demanded: Demanded) -> tuple[str, ...]:
    """Services whose images do not run on the platform's only architecture."""
    wrong = _WRONG_ARCHITECTURE.get(platform)
    return tuple(sorted(s.service for s in demanded.services if wrong is not None and s.architecture is wrong))


_ON_FARGATE: Final = (
    Platform.ECS_FARGATE, Platform.ECS_FARGATE_ARM, Platform.ECS_FARGATE_SPOT, Platform.EKS_FARGATE,
)  # fmt: skip
_TESTS: Final[tuple[tuple[Callable[[DemandedService], bool], str], ...]] = (
    (lambda s: s.daemon, "daemon services have no place and need another way"),
    (lambda s: bool(s.host_ports), "fixed host ports become load balancer or service discovery targets"),
    (lambda s: bool(s.needs.gpus), "GPU services cannot run"),
)
