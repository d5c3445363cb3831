"""What the verbs need from the world, in our words; deploy.aws implements it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from deploy.model import Check, Image, ResourceRef
from planner.documents import ConfigDocument, Resource
from planner.model import Rejection


class Clock(Protocol):
    def now(self) -> datetime:
        """The present instant, time zone aware."""
        ...

    def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Scope:
    account_id: str
    region: str


@dataclass(frozen=True, slots=True)
class ServiceCounts:
    desired: int
    running: int
    pending: int


@dataclass(frozen=True, slots=True)
class Deployment:
    """One service deployment as ECS tells it."""

    arn: str
    status: str
    """PENDING, IN_PROGRESS, SUCCESSFUL, STOPPED, ROLLBACK_SUCCESSFUL, ... as DescribeServiceDeployments."""
    reason: str
    task_definition: str
    """Of the target revision."""
    requested: int
    running: int
    pending: int
    failed: int
    created_at: datetime
    digests: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Instance:
    """One container instance of a capacity provider."""

    arn: str
    ec2_instance_id: str
    status: str
    running_tasks: int
    """Tasks that are not daemons: what draining waits for."""


@dataclass(frozen=True, slots=True)
class Member:
    """One instance of an Auto Scaling group that is not terminating, and what the cluster knows of it."""

    ec2_instance_id: str
    arn: str | None
    """Of its container instance; None while it has not joined the cluster."""
    status: str
    """ACTIVE, DRAINING, or "" while it has not joined."""
    running_tasks: int
    outdated: bool
    """Launched from another template than the group has now."""


class AnswerLost(Exception):
    """A write was sent and no answer came: it may have happened or not. Read before writing again."""


class CallFailed(Exception):
    """AWS said no, in its own words."""

    def __init__(self, operation: str, code: str, message: str) -> None:
        self.operation = operation
        self.code = code
        self.message = message
        super().__init__(f"{operation} failed with {code}: {message}")


class Cloud(Protocol):
    """One cluster and what hangs on it. Writes are idempotent: the same `after` twice is once."""

    def scope(self) -> Scope: ...

    def one_look(self) -> AbstractContextManager[None]:
        """Within it the account is taken as of one moment: what was read is not read again."""
        ...

    def read(self, ref: ResourceRef) -> Image | None:
        """The normalised live image; None if the resource is not there."""
        ...

    def resolve(self, resource: Resource) -> Image | Rejection:
        """The image that a resource of the bundle asks for, with every `$base` read from the live account;
        a Rejection where a base cannot be copied."""
        ...

    def write(self, ref: ResourceRef, after: Image, live: Image | None) -> Mapping[str, Any]:
        """Make the resource match `after`; returns what is only known now (an ARN, a deployment)."""
        ...

    def delete(self, ref: ResourceRef, live: Image) -> None: ...

    def scheduled_actions(self, service: str) -> Sequence[str]: ...

    def scaling_policies(self, service: str) -> Mapping[str, str]:
        """Predefined metric type to the name of the live target tracking policy on it."""
        ...

    def service_counts(self, service: str) -> ServiceCounts | None: ...

    def deployments(self, service: str) -> Sequence[Deployment]:
        """Newest first."""
        ...

    def stop_reasons(self, service: str) -> Sequence[str]: ...

    def last_log_lines(self, service: str) -> Sequence[str]: ...

    def instances(self, capacity_provider: str) -> Sequence[Instance]: ...

    def set_instance_status(self, arns: Sequence[str], status: str) -> None: ...

    def healthy_targets(self, target_group_arn: str) -> int:
        """Targets that take requests now."""
        ...

    def members(self, group: str, capacity_provider: str) -> Sequence[Member]:
        """The instances of an Auto Scaling group."""
        ...

    def terminate(self, ec2_instance_id: str, shrink: bool) -> None:
        """Terminate one instance of a group; `shrink` lowers the group's desired size with it."""
        ...

    def set_desired_count(self, service: str, count: int) -> None: ...

    def created_by(self, run: str, ref: ResourceRef) -> Sequence[str]:
        """ARNs of what an earlier, interrupted write of `run` made (task definition revisions)."""
        ...


class Preflight(Protocol):
    """Questions about the account that come before an approval; each answers with checks."""

    def checks(self, config: ConfigDocument, wanted: Mapping[str, Image | None]) -> Sequence[Check]:
        """`wanted` is the resolved state by resource id."""
        ...


class Lock(Protocol):
    """One run at a time for one cluster."""

    def acquire(self, holder: str) -> None:
        """LockHeld if somebody else has it; the same holder takes it again."""
        ...

    def release(self, holder: str) -> None: ...


class LockHeld(Exception):
    """Another run has the lock; the message says which and how to go on."""
