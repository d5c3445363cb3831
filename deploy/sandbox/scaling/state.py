"""What Application Auto Scaling remembers: scalable targets, policies, scheduled actions, activities."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from moto.core.exceptions import ServiceException

from deploy.sandbox.clock import Event

Document = dict[str, Any]
DIMENSION: Final = "ecs:service:DesiredCount"


class ScalingError(ServiceException):
    """An error as Application Auto Scaling answers it: (code, message)."""


@dataclass(slots=True)
class Policy:
    name: str
    arn: str
    kind: str
    """PolicyType: TargetTrackingScaling, StepScaling or PredictiveScaling."""
    configuration: Document
    created_at: datetime
    alarms: list[Document] = field(default_factory=list)
    scaled_out_at: float = float("-inf")
    scaled_in_at: float = float("-inf")
    """When the policy last changed the capacity, in epoch seconds: its cooldowns run from there."""


@dataclass(slots=True)
class ScheduledAction:
    name: str
    arn: str
    fields: Document
    created_at: datetime
    next_run: Event | None = None


@dataclass(slots=True)
class Target:
    """One ECS service as a scalable target."""

    resource_id: str
    arn: str
    minimum: int
    maximum: int
    role_arn: str
    created_at: datetime
    suspended: Document
    policies: dict[str, Policy] = field(default_factory=dict)
    actions: dict[str, ScheduledAction] = field(default_factory=dict)
    activities: list[Document] = field(default_factory=list)
    """Newest first."""
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def cluster(self) -> str:
        return self.resource_id.split("/")[1]

    @property
    def service(self) -> str:
        return self.resource_id.split("/")[2]
