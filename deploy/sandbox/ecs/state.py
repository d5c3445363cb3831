"""What the imitated ECS remembers: clusters, services and their deployments, tasks, instances, providers.

Configuration that the API gives back as it was given stays in dictionaries shaped like the API's own.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from planner.model import Resources, TaskType

if TYPE_CHECKING:
    from planner.packing.placement import EcsScheduler

Document = dict[str, Any]

ROLLBACKS = ("ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")
UNFINISHED = ("PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS")


@dataclass(frozen=True, slots=True)
class Delays:
    """How long things take, in seconds of the sandbox's clock. Sources in docs/guide/sandbox.md."""

    task_start: float = 20.0
    """A task on a container instance: image pull and container start."""
    fargate_start: float = 35.0
    healthy_without_check: float = 40.0
    """ECS counts a task without any health check as healthy after 40 s RUNNING (ECS developer guide)."""
    healthy_with_check: float = 20.0
    """From RUNNING until the load balancer's or the container's health check passes."""
    unhealthy: float = 60.0
    """From RUNNING until a failing health check stops the task."""
    task_stop: float = 15.0
    instance_boot: float = 90.0
    """From an instance's launch until its agent has registered."""
    longest_backoff: float = 900.0
    """ECS spaces out starts that keep failing by up to 15 minutes (service throttle logic)."""


@dataclass(slots=True)
class Task:
    """One task. `key` names it in the placement engine: tasks of one service and one size share it."""

    task_id: str
    arn: str
    task_definition: str
    group: str
    launch_type: str
    needs: TaskType
    created_at: datetime
    started_by: str = ""
    rollout_id: str | None = None
    instance_id: str | None = None
    capacity_provider: str | None = None
    last_status: str = "PROVISIONING"
    desired_status: str = "RUNNING"
    healthy: bool = False
    started_at: datetime | None = None
    stopping_at: datetime | None = None
    stopped_at: datetime | None = None
    stop_code: str | None = None
    stopped_reason: str | None = None
    exit_code: int | None = None
    host_ports: dict[int, int] = field(default_factory=dict)
    """Container port to host port."""
    address: str | None = None
    digests: dict[str, str] = field(default_factory=dict)
    tags: list[Document] = field(default_factory=list)
    overrides: Document = field(default_factory=dict)

    @property
    def active(self) -> bool:
        return self.desired_status == "RUNNING" and self.last_status != "STOPPED"

    @property
    def running(self) -> bool:
        return self.last_status == "RUNNING"


@dataclass(slots=True)
class Revision:
    """A service revision: what was deployed, with each image resolved to a digest once."""

    arn: str
    created_at: datetime
    task_definition: str
    settings: Document
    images: list[Document]


@dataclass(slots=True)
class Rollout:
    """One entry of a service's `deployments`: a set of tasks of one revision."""

    rollout_id: str
    revision: Revision
    created_at: datetime
    updated_at: datetime
    deployment: Deployment
    state: str = "IN_PROGRESS"
    reason: str = ""
    failed_tasks: int = 0
    launches_stopped: bool = False
    backoff_until: float = 0.0
    rounds_failed: int = 0


@dataclass(slots=True)
class Deployment:
    """A service deployment: what the service-deployment calls describe."""

    arn: str
    created_at: datetime
    target: Revision
    sources: list[Revision]
    configuration: Document
    threshold: int | None
    """Failures that trip the circuit breaker; None without one."""
    status: str = "PENDING"
    reason: str = ""
    failures: int = 0
    tripped: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None
    stopped_at: datetime | None = None
    updated_at: datetime | None = None
    rollback: Document | None = None

    @property
    def unfinished(self) -> bool:
        return self.status in UNFINISHED


@dataclass(slots=True)
class Service:
    name: str
    arn: str
    cluster: str
    settings: Document
    """Every field of CreateService and UpdateService, as the API shapes it."""
    desired: int
    created_at: datetime
    status: str = "ACTIVE"
    rollouts: list[Rollout] = field(default_factory=list)
    """Newest first: the PRIMARY one, then those whose tasks are being replaced."""
    deployments: list[Deployment] = field(default_factory=list)
    """Newest first, finished ones included."""
    revisions: list[Revision] = field(default_factory=list)
    completed: Revision | None = None
    """The revision of the last deployment that completed, to which a rollback returns."""
    events: deque[Document] = field(default_factory=lambda: deque(maxlen=100))
    tags: list[Document] = field(default_factory=list)
    steady: bool = False
    waits_for: str = ""
    """Why a task could not be placed, as last told in an event."""

    @property
    def daemon(self) -> bool:
        return bool(self.settings.get("schedulingStrategy") == "DAEMON")

    @property
    def primary(self) -> Rollout | None:
        return self.rollouts[0] if self.rollouts else None


@dataclass(slots=True)
class Instance:
    """A container instance."""

    instance_id: str
    arn: str
    ec2_id: str
    instance_type: str
    zone: str
    architecture: str
    registered: Resources
    registered_at: datetime
    capacity_provider: str | None = None
    status: str = "ACTIVE"
    leaving: bool = False
    """Its EC2 instance has left the group; it deregisters once its tasks have stopped."""
    attributes: Document = field(default_factory=dict)
    next_port: int = 32768
    """Start of Docker's ephemeral port range on Linux."""
    tags: list[Document] = field(default_factory=list)


@dataclass(slots=True)
class CapacityProvider:
    name: str
    arn: str
    settings: Document
    status: str = "ACTIVE"
    tags: list[Document] = field(default_factory=list)
    empty_minutes: int = 0
    warm_until: float = 0.0

    @property
    def group_arn(self) -> str:
        return str(self.settings.get("autoScalingGroupArn", ""))

    @property
    def group_name(self) -> str:
        return self.group_arn.rpartition("/")[2]


@dataclass(slots=True)
class Cluster:
    name: str
    arn: str
    settings: Document
    scheduler: EcsScheduler
    status: str = "ACTIVE"
    capacity_providers: list[str] = field(default_factory=list)
    default_strategy: list[Document] = field(default_factory=list)
    services: dict[str, Service] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    tags: list[Document] = field(default_factory=list)

    def tasks_of(self, service: Service) -> list[Task]:
        group = f"service:{service.name}"
        return [task for task in self.tasks.values() if task.group == group]

    def forget(self, task: Task) -> None:
        self.tasks.pop(task.task_id, None)

    def tasks_on(self, instance_id: str) -> list[Task]:
        return [t for t in self.tasks.values() if t.instance_id == instance_id and t.last_status != "STOPPED"]


@dataclass(slots=True)
class TaskDefinition:
    arn: str
    family: str
    revision: int
    document: Document
    registered_at: datetime
    status: str = "ACTIVE"
    deregistered_at: datetime | None = None
    tags: list[Document] = field(default_factory=list)
