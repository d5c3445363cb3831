"""The nouns of the domain, spelled as AWS spells them (docs/glossary.md), as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from planner.units import CpuUnits, MiB, Seconds, UsdPerHour, usd_per_hour

FAST_S: Final = 20
"""ECS publishes a service's CPU and memory by the minute, or this often where its `monitoring` says."""
FAST_SUFFIX: Final = "HighResolution"
"""Of the predefined metrics of scaling policies that are published so (Amazon ECS developer guide, "Faster auto
scaling with high-resolution metrics")."""


class Architecture(StrEnum):
    X86_64 = "x86_64"
    ARM64 = "arm64"


@dataclass(frozen=True, slots=True)
class Resources:
    """What a task needs or an instance has room for. The ECS scheduler looks at the first four only; disk and
    network are limits of the machine that packing keeps all the same."""

    cpu_units: CpuUnits = CpuUnits(0)
    memory_mib: MiB = MiB(0)
    enis: int = 0
    gpus: int = 0
    disk_gib: int = 0
    """Ephemeral disk."""
    network_mbps: int = 0
    """Baseline bandwidth, megabits a second."""

    def __add__(self, other: Resources) -> Resources:
        return Resources(
            CpuUnits(self.cpu_units + other.cpu_units),
            MiB(self.memory_mib + other.memory_mib),
            self.enis + other.enis,
            self.gpus + other.gpus,
            self.disk_gib + other.disk_gib,
            self.network_mbps + other.network_mbps,
        )

    def __sub__(self, other: Resources) -> Resources:
        return self + other * -1

    def __mul__(self, count: int) -> Resources:
        return Resources(
            CpuUnits(self.cpu_units * count),
            MiB(self.memory_mib * count),
            self.enis * count,
            self.gpus * count,
            self.disk_gib * count,
            self.network_mbps * count,
        )

    def fits_in(self, room: Resources) -> bool:
        return (
            self.cpu_units <= room.cpu_units
            and self.memory_mib <= room.memory_mib
            and self.enis <= room.enis
            and self.gpus <= room.gpus
            and self.disk_gib <= room.disk_gib
            and self.network_mbps <= room.network_mbps
        )


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why something was not taken: a candidate, a type, a task, a price. Never a bare None or 0."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Price:
    """A list price with the place and the day it was read. `usd` is for one `unit`."""

    usd: float
    unit: str
    """"hour", "vCPU-hour", "GiB-hour", "GB-month", "LCU-hour", "share of on-demand", ..."""
    source: str
    date: str
    """ISO 8601 as far as it is known: 2026-07-20, 2026-07 or 2026."""
    note: str = ""
    """How the price was derived, where it is not a quoted one."""

    @property
    def usd_per_hour(self) -> UsdPerHour:
        """The price of one hour; ValueError where the unit is not an hour or a month of something."""
        if self.unit == "hour" or self.unit.endswith("-hour"):
            return UsdPerHour(self.usd)
        if self.unit == "month" or self.unit.endswith("-month"):
            return usd_per_hour(self.usd)
        raise ValueError(f"a price per {self.unit} is not a price per hour")


# What is packed, and onto what


@dataclass(frozen=True, slots=True)
class TaskType:
    """`count` identical tasks of one service, as the packer and the placement replay see them."""

    service: str
    count: int
    needs: Resources
    host_ports: tuple[int, ...] = ()
    distinct_instance: bool = False
    architecture: Architecture | None = None
    """None: the image runs on either."""
    member_of: tuple[str, ...] = ()
    """memberOf expressions of the cluster query language."""
    may_use_spot: bool = True
    """False keeps every task of it on on-demand instances."""


@dataclass(frozen=True, slots=True)
class InstanceType:
    """An instance type that can be bought. `room` is what tasks can use, after the reserves of the
    operating system, the ECS agent and daemon services; it is less than advertised."""

    instance_type: str
    room: Resources
    usd_per_hour: UsdPerHour
    architecture: Architecture = Architecture.X86_64
    max_count: int | None = None
    spot_usd_per_hour: UsdPerHour | None = None
    """None: it cannot be had on Spot, or the price is not known."""
    attributes: tuple[tuple[str, str], ...] = ()
    """Attributes of its container instances that placement constraints may ask for, as (name, value)."""


ON_DEMAND = "on-demand"
SPOT = "spot"


@dataclass(frozen=True, slots=True)
class FleetLine:
    """`count` instances of one type in one zone."""

    instance_type: str
    zone: str
    count: int
    room: Resources
    usd_per_hour: UsdPerHour | None = None
    purchase: str = ON_DEMAND
    architecture: Architecture | None = None
    """None: not known, so no task is kept off it."""
    attributes: tuple[tuple[str, str], ...] = ()


# What was observed: the estate


@dataclass(frozen=True, slots=True)
class Container:
    name: str
    image: str
    essential: bool = True
    cpu_units: CpuUnits = CpuUnits(0)
    memory_mib: MiB | None = None
    """Hard limit."""
    memory_reservation_mib: MiB | None = None
    """Soft limit."""
    secret_arns: tuple[str, ...] = ()
    repository_credentials_arn: str | None = None


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    arn: str
    family: str
    revision: int
    containers: tuple[Container, ...]
    cpu_units: CpuUnits | None = None
    """Task-level size; None where only containers carry sizes (allowed on EC2)."""
    memory_mib: MiB | None = None
    network_mode: str = "bridge"
    architecture: Architecture | None = None
    compatibilities: tuple[str, ...] = ()
    host_ports: tuple[int, ...] = ()
    gpus: int = 0

    @property
    def needs(self) -> Resources:
        """What ECS reserves for one task: the task-level size, else the sum over containers, where the
        soft memory limit counts if there is one (ECS developer guide, task definition parameters)."""
        cpu = self.cpu_units if self.cpu_units is not None else sum(c.cpu_units for c in self.containers)
        memory = (
            self.memory_mib
            if self.memory_mib is not None
            else sum(c.memory_reservation_mib or c.memory_mib or 0 for c in self.containers)
        )
        return Resources(CpuUnits(cpu), MiB(memory), 1 if self.network_mode == "awsvpc" else 0, self.gpus)


@dataclass(frozen=True, slots=True)
class ScheduledAction:
    name: str
    schedule: str
    """cron(...), rate(...) or at(...) as Application Auto Scaling spells it."""
    timezone: str
    min_capacity: int | None
    max_capacity: int | None


@dataclass(frozen=True, slots=True)
class TargetTracking:
    name: str
    metric: str
    """Predefined metric type, e.g. ECSServiceAverageCPUUtilization."""
    target: float
    scale_out_cooldown: Seconds = Seconds(300)
    scale_in_cooldown: Seconds = Seconds(300)
    disable_scale_in: bool = False
    resource_label: str | None = None


@dataclass(frozen=True, slots=True)
class ScalingTarget:
    min_capacity: int
    max_capacity: int
    target_tracking: tuple[TargetTracking, ...] = ()
    scheduled: tuple[ScheduledAction, ...] = ()
    other_policies: tuple[str, ...] = ()
    """Names of policies of kinds the planner does not model; they are told, never dropped."""


@dataclass(frozen=True, slots=True)
class Route:
    """One listener rule that leads to a service."""

    load_balancer: str
    listener_port: int
    priority: str
    conditions: tuple[str, ...]
    """As people read them: "path /api/*", "host www.example.gov.uk"."""
    target_group_arn: str
    load_balancer_arn: str = ""


@dataclass(frozen=True, slots=True)
class StrategyItem:
    """One item of a capacity provider strategy."""

    capacity_provider: str
    weight: int = 0
    base: int = 0


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment of a service: from `started_at` its tasks replace the older ones until `finished_at`."""

    task_definition_arn: str
    needs: Resources
    """What one task of this deployment reserves."""
    started_at: datetime
    finished_at: datetime | None = None
    """None: still in progress, or the end is not known."""
    status: str = "SUCCESSFUL"
    fast_metrics: tuple[str, ...] | None = None
    """Of CPUUtilization and MemoryUtilization, those that its tasks send every 20 seconds; None: not known."""


@dataclass(frozen=True, slots=True)
class Service:
    name: str
    arn: str
    task_definition: TaskDefinition
    desired_count: int
    running_count: int
    launch_type: str | None = None
    capacity_provider_strategy: tuple[StrategyItem, ...] = ()
    placement_strategy: tuple[tuple[str, str], ...] = ()
    """(type, field) in order, e.g. (("spread", "attribute:ecs.availability-zone"),)."""
    placement_constraints: tuple[tuple[str, str], ...] = ()
    scheduling_strategy: str = "REPLICA"
    minimum_healthy_percent: int = 100
    maximum_percent: int = 200
    scaling: ScalingTarget | None = None
    routes: tuple[Route, ...] = ()
    target_group_arns: tuple[str, ...] = ()
    queue_name: str | None = None
    """Queue whose depth this worker drains, where a tag or scaling policy names it."""
    tags: tuple[tuple[str, str], ...] = ()
    deployments: tuple[Deployment, ...] = ()
    """Oldest first, as far back as ECS remembers; the task size that held at a minute comes from here."""
    minute_metrics_only: str = ""
    """Why ECS cannot publish its CPU and memory every 20 seconds; "" where it can."""


@dataclass(frozen=True, slots=True)
class ContainerInstance:
    arn: str
    ec2_instance_id: str
    instance_type: str
    zone: str
    architecture: Architecture
    registered: Resources
    remaining: Resources
    capacity_provider: str | None
    status: str = "ACTIVE"


@dataclass(frozen=True, slots=True)
class ManagedScaling:
    enabled: bool
    target_capacity_percent: int = 100
    minimum_step: int = 1
    maximum_step: int = 10_000
    instance_warmup: Seconds = Seconds(300)


@dataclass(frozen=True, slots=True)
class CapacityProvider:
    name: str
    arn: str
    auto_scaling_group: str | None
    """None for FARGATE, FARGATE_SPOT and Managed Instances."""
    instance_types: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    min_size: int = 0
    max_size: int = 0
    desired_size: int = 0
    managed_scaling: ManagedScaling = field(default_factory=lambda: ManagedScaling(enabled=False))
    managed_termination_protection: bool = False
    managed_draining: bool = True


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    name: str
    arn: str
    kind: str = "application"


@dataclass(frozen=True, slots=True)
class Estate:
    """One cluster as it stands, with what could not be read told by name."""

    account_id: str
    region: str
    cluster: str
    observed_at: datetime
    services: tuple[Service, ...]
    container_instances: tuple[ContainerInstance, ...]
    capacity_providers: tuple[CapacityProvider, ...]
    load_balancers: tuple[LoadBalancer, ...] = ()
    unreadable: tuple[Rejection, ...] = ()
