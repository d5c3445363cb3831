"""Facts of an instance type, and what of it tasks can use on an ECS container instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from planner.model import Architecture, Rejection, Resources
from planner.prices.tables import INSTANCE_TYPES, Row
from planner.units import CpuUnits, MiB, Share, cpu_units

MEMORY_LOST_PER_ADVERTISED: Final = Share(0.03)
"""Share of the advertised memory that the kernel keeps, so that it is never registered. A documented
m4.large registers 7,985 of 8,192 MiB, a loss of 2.5 % (ECS developer guide, "Container instance memory
management"); 3 % is kept for types nobody measured. A live registered value always wins."""


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """What AWS says of an instance type; None where the source has no value."""

    instance_type: str
    vcpu: int | None
    memory_mib: MiB | None
    """Advertised."""
    architecture: Architecture | None
    gpus: int
    gpu_name: str
    accelerators: int
    burstable: bool
    bare_metal: bool
    previous_generation: bool
    """As AWS's price list groups it: types AWS no longer recommends, such as m3."""
    current_generation: bool | None
    """CurrentGeneration of DescribeInstanceTypes, a stricter flag."""
    max_enis: int | None
    ipv4_per_eni: int | None
    ecs_task_enis: int | None
    """awsvpc tasks without trunking, where the ECS developer guide's table has the type."""
    ecs_task_enis_trunked: int | None
    trunking_compatible: bool
    branch_enis: int | None
    eks_max_pods: int | None
    baseline_mbps: int | None
    registered_memory_mib: MiB | None
    """Measured, where a source has it."""
    date: str
    source: str

    @property
    def family(self) -> str:
        return self.instance_type.split(".")[0]

    def task_enis(self, awsvpc_trunking: bool) -> int | None:
        """awsvpc tasks an instance can run: the ECS table where it has the type, else the rule that holds
        for 413 of 423 types (network interfaces less the instance's own) and 416 of 421 with trunking
        (branch interfaces plus network interfaces less 2)."""
        untrunked = self.ecs_task_enis
        if untrunked is None and self.max_enis is not None:
            untrunked = self.max_enis - 1
        if not awsvpc_trunking:
            return untrunked
        if self.ecs_task_enis_trunked is not None:
            return self.ecs_task_enis_trunked
        if self.trunking_compatible and self.branch_enis and self.max_enis is not None:
            return self.branch_enis + self.max_enis - 2
        return untrunked

    def registered(
        self, awsvpc_trunking: bool, memory_lost: Share = MEMORY_LOST_PER_ADVERTISED
    ) -> Resources | Rejection:
        """What a container instance registers before ECS_RESERVED_MEMORY; the memory is an estimate
        unless a source has it."""
        enis = self.task_enis(awsvpc_trunking)
        if self.vcpu is None or self.memory_mib is None or enis is None:
            return Rejection(self.instance_type, "its vCPU, memory or network interfaces are not known")
        memory = self.registered_memory_mib or MiB(int(self.memory_mib * (1 - memory_lost)))
        return Resources(cpu_units(self.vcpu), MiB(memory), enis, self.gpus)


def parse_facts(row: Row) -> InstanceFacts:
    values = dict(zip(INSTANCE_TYPES.columns, row, strict=True))

    def integer(column: str) -> int | None:
        return int(values[column]) if values[column] else None

    memory, registered = integer("memory_mib"), integer("registered_memory_mib")
    current = values["current_generation"]
    return InstanceFacts(
        instance_type=values["instance_type"],
        vcpu=integer("vcpu"),
        memory_mib=None if memory is None else MiB(memory),
        architecture=Architecture(values["architecture"]) if values["architecture"] else None,
        gpus=integer("gpus") or 0,
        gpu_name=values["gpu_name"],
        accelerators=integer("accelerators") or 0,
        burstable=values["burstable"] == "True",
        bare_metal=values["bare_metal"] == "True",
        previous_generation=values["previous_generation"] == "True",
        current_generation=current == "True" if current else None,
        max_enis=integer("max_enis"),
        ipv4_per_eni=integer("ipv4_per_eni"),
        ecs_task_enis=integer("ecs_task_enis"),
        ecs_task_enis_trunked=integer("ecs_task_enis_trunked"),
        trunking_compatible=values["trunking_compatible"] == "True",
        branch_enis=integer("branch_enis"),
        eks_max_pods=integer("eks_max_pods"),
        baseline_mbps=integer("baseline_mbps"),
        registered_memory_mib=None if registered is None else MiB(registered),
        date=values["date"],
        source=values["source"],
    )


NO_ROOM: Final = Resources(CpuUnits(0), MiB(0))
