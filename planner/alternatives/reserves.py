"""What other orchestrators leave of a machine for workloads. Pods count in the `enis` dimension."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from planner.alternatives.assumptions import Assumptions
from planner.model import Rejection, Resources
from planner.prices import AzureSize, InstanceFacts
from planner.prices.instances import MEMORY_LOST_PER_ADVERTISED
from planner.units import CpuUnits, MiB, cpu_units

EVICTION_MIB: Final = 100
"""Kubelet's default hard eviction threshold, memory.available<100Mi (Kubernetes documentation)."""
KUBE_RESERVED_BASE_MIB: Final = 255
KUBE_RESERVED_POD_MIB: Final = 11
"""Memory the EKS node bootstrap reserves: 255 MiB and 11 MiB a pod (awslabs/amazon-eks-ami)."""
CPU_RESERVED_STEPS: Final = ((1, 0.06), (1, 0.01), (2, 0.005))
CPU_RESERVED_BEYOND: Final = 0.0025
"""CPU the EKS node bootstrap reserves: 6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 %
of the others (awslabs/amazon-eks-ami)."""
SMALL_NODE_VCPU: Final = 30
PREFIX_PODS: Final = (110, 250)
"""Pods recommended with prefix delegation up to and above 30 vCPU (EKS user guide)."""
KUBERNETES_MAX_PODS: Final = 110
"""Kubernetes' own default a node, where the network plugin sets no lower limit."""
FARGATE_POD_OVERHEAD_MIB: Final = MiB(256)
"""Fargate adds this to a pod's memory for kubelet, kube-proxy and containerd (EKS user guide)."""

AKS_CPU_RESERVED: Final = ((1, 60), (2, 100), (4, 140), (8, 180), (16, 260), (32, 420), (64, 740))
"""Cores to reserved millicores (AKS documentation, resource reservations)."""
AKS_POD_MIB: Final = 20
AKS_BASE_MIB: Final = 50
AKS_MOST_OF_MEMORY: Final = 0.25
"""AKS reserves 20 MB a possible pod and 50 MB, at most a quarter of the memory (AKS 1.29 and later)."""
MILLICORES: Final = 1000


def eks_cpu_reserved(vcpu: int) -> float:
    """vCPU that the EKS bootstrap keeps for the system on a node."""
    reserved, left = 0.0, vcpu
    for cores, share in CPU_RESERVED_STEPS:
        reserved += min(cores, left) * share
        left = max(0, left - cores)
    return reserved + left * CPU_RESERVED_BEYOND


def _allocatable(vcpu: int, memory_mib: MiB, max_pods: int, daemons: Resources) -> Resources:
    total = int(memory_mib * (1 - MEMORY_LOST_PER_ADVERTISED))
    memory = total - KUBE_RESERVED_BASE_MIB - KUBE_RESERVED_POD_MIB * max_pods - EVICTION_MIB
    cpu = cpu_units(vcpu) - cpu_units(eks_cpu_reserved(vcpu))
    return Resources(CpuUnits(cpu), MiB(memory), max_pods) - daemons


def eks_room(facts: InstanceFacts, assumed: Assumptions, daemons: Resources) -> Resources | Rejection:
    """Allocatable on an EKS node after kubelet reserves and daemon sets; pods limited by the VPC CNI."""
    if facts.vcpu is None or facts.memory_mib is None or facts.eks_max_pods is None:
        return Rejection(facts.instance_type, "its vCPU, memory or pod limit is not known")
    pods = facts.eks_max_pods
    if assumed.prefix_delegation:
        pods = PREFIX_PODS[0] if facts.vcpu <= SMALL_NODE_VCPU else PREFIX_PODS[1]
    room = _allocatable(facts.vcpu, facts.memory_mib, pods, assumed.kubernetes_daemons + daemons)
    return room + Resources(gpus=facts.gpus)


def kubernetes_room(facts: InstanceFacts, assumed: Assumptions, daemons: Resources) -> Resources | Rejection:
    """Allocatable on a self-managed node: the same reserves, an overlay network, 110 pods."""
    if facts.vcpu is None or facts.memory_mib is None:
        return Rejection(facts.instance_type, "its vCPU or memory is not known")
    room = _allocatable(facts.vcpu, facts.memory_mib, KUBERNETES_MAX_PODS, assumed.kubernetes_daemons + daemons)
    return room + Resources(gpus=facts.gpus)


def aks_room(size: AzureSize, assumed: Assumptions, daemons: Resources) -> Resources:
    """Allocatable on an AKS node after its reserves and daemon sets."""
    memory = int(size.memory_mib * (1 - MEMORY_LOST_PER_ADVERTISED))
    reserved = min(AKS_POD_MIB * assumed.aks_max_pods + AKS_BASE_MIB, int(memory * AKS_MOST_OF_MEMORY))
    cpu = cpu_units(size.vcpu) - cpu_units(_aks_cpu_reserved(size.vcpu))
    room = Resources(CpuUnits(cpu), MiB(memory - reserved - EVICTION_MIB), assumed.aks_max_pods)
    return room - assumed.kubernetes_daemons - daemons


def _aks_cpu_reserved(vcpu: int) -> float:
    """vCPU, linear between the documented sizes and at the last slope beyond them."""
    points = AKS_CPU_RESERVED
    for (low, at_low), (high, at_high) in pairwise(points):
        if vcpu <= high or high == points[-1][0]:
            slope = (at_high - at_low) / (high - low)
            return (at_low + (vcpu - low) * slope) / MILLICORES
    raise AssertionError("the table has at least two rows")
