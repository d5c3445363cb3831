"""Which AWS write is a step of an approved run: a token that is set while the step runs, and nowhere else.

A guard (the kernel's, or any other on botocore) asks `current_step()` and lets a write pass only if the token
allows that operation on that resource. It is a rail for people; IAM is the boundary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from deploy.model import ResourceRef
from planner.documents.config import ResourceType

OPERATIONS: dict[ResourceType, frozenset[str]] = {
    ResourceType.LAUNCH_TEMPLATE: frozenset({"ec2:CreateLaunchTemplate", "ec2:DeleteLaunchTemplate"}),
    ResourceType.AUTO_SCALING_GROUP: frozenset(
        {
            "autoscaling:CreateAutoScalingGroup",
            "autoscaling:UpdateAutoScalingGroup",
            "autoscaling:DeleteAutoScalingGroup",
            "autoscaling:SetInstanceProtection",
            "autoscaling:TerminateInstanceInAutoScalingGroup",
            "ecs:UpdateContainerInstancesState",
        }
    ),
    ResourceType.CAPACITY_PROVIDER: frozenset(
        {
            "ecs:CreateCapacityProvider",
            "ecs:UpdateCapacityProvider",
            "ecs:DeleteCapacityProvider",
            "ecs:UpdateContainerInstancesState",
        }
    ),
    ResourceType.CLUSTER_CAPACITY_PROVIDERS: frozenset({"ecs:PutClusterCapacityProviders"}),
    ResourceType.TASK_DEFINITION: frozenset({"ecs:RegisterTaskDefinition", "ecs:DeregisterTaskDefinition"}),
    ResourceType.SERVICE: frozenset({"ecs:UpdateService"}),
    ResourceType.SCALABLE_TARGET: frozenset(
        {
            "application-autoscaling:RegisterScalableTarget",
            "application-autoscaling:DeregisterScalableTarget",
        }
    ),
    ResourceType.SCALING_POLICY: frozenset(
        {"application-autoscaling:PutScalingPolicy", "application-autoscaling:DeleteScalingPolicy"}
    ),
    ResourceType.TARGET_GROUP: frozenset(
        {
            "elbv2:CreateTargetGroup",
            "elbv2:ModifyTargetGroup",
            "elbv2:ModifyTargetGroupAttributes",
            "elbv2:DeleteTargetGroup",
        }
    ),
    ResourceType.LISTENER_RULE: frozenset({"elbv2:CreateRule", "elbv2:ModifyRule", "elbv2:DeleteRule"}),
    ResourceType.SCHEDULED_ACTION: frozenset(
        {"application-autoscaling:PutScheduledAction", "application-autoscaling:DeleteScheduledAction"}
    ),
}
"""The writes that a step on a resource may make."""


@dataclass(frozen=True, slots=True)
class Authorisation:
    """One running step of one approved bundle."""

    bundle_sha256: str
    run: str
    step_id: str
    resource_id: str
    names: frozenset[str]
    """The names and ARNs by which a call may name the resource."""

    def allows(self, service: str, operation: str, parameters: Mapping[str, Any]) -> bool:
        """Whether this call is the step's own: its operation, and a parameter that names its resource."""
        ref = ResourceRef.parse(self.resource_id)
        if f"{service}:{operation}" not in OPERATIONS[ref.type]:
            return False
        return any(value in self.names for value in _strings(parameters))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)


_current: ContextVar[Authorisation | None] = ContextVar("deploy_step", default=None)


def current_step() -> Authorisation | None:
    """The step that is running in this context; None outside an approved run."""
    return _current.get()


@contextmanager
def step_running(authorisation: Authorisation) -> Iterator[None]:
    token = _current.set(authorisation)
    try:
        yield
    finally:
        _current.reset(token)
