"""Scalable targets, policies and scheduled actions of ECS services through boto3."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from deploy.aws.calls import Calls
from deploy.model import Image, ResourceRef
from deploy.normalise import merged, normalise, stated
from planner.documents.config import ResourceType

NAMESPACE = "ecs"
DIMENSION = "ecs:service:DesiredCount"
SERVICE = "application-autoscaling"


class ScalingResources:
    """Application Auto Scaling of one cluster's services."""

    def __init__(self, calls: Calls, cluster: str) -> None:
        self._calls = calls
        self.cluster = cluster

    def _common(self, service: str) -> dict[str, str]:
        return {
            "ServiceNamespace": NAMESPACE,
            "ResourceId": f"service/{self.cluster}/{service}",
            "ScalableDimension": DIMENSION,
        }

    def _listed(self, operation: str, key: str, service: str) -> list[dict[str, Any]]:
        common = self._common(service)
        return list(
            self._calls.pages(
                SERVICE,
                operation,
                key,
                ServiceNamespace=NAMESPACE,
                ResourceId=common["ResourceId"],
                ScalableDimension=DIMENSION,
            )
        )

    # Targets

    def read_target(self, service: str) -> Image | None:
        resource_id = self._common(service)["ResourceId"]
        found = list(
            self._calls.pages(
                SERVICE,
                "DescribeScalableTargets",
                "ScalableTargets",
                ServiceNamespace=NAMESPACE,
                ResourceIds=[resource_id],
                ScalableDimension=DIMENSION,
            )
        )
        if not found:
            return None
        image = {name: found[0].get(name) for name in ("MinCapacity", "MaxCapacity", "SuspendedState")}
        return normalise(ResourceType.SCALABLE_TARGET, image)

    def write_target(self, ref: ResourceRef, after: Image, live: Image | None) -> dict[str, Any]:
        whole = merged(live, after)
        settings = {k: whole[k] for k in ("MinCapacity", "MaxCapacity", "SuspendedState") if k in whole}
        self._calls(SERVICE, "RegisterScalableTarget", **self._common(ref.service), **settings)
        return {}

    def delete_target(self, ref: ResourceRef) -> None:
        self._calls(SERVICE, "DeregisterScalableTarget", **self._common(ref.service))

    # Policies: named by their metric, because the live one may have any name

    def _policies(self, service: str) -> list[dict[str, Any]]:
        return self._listed("DescribeScalingPolicies", "ScalingPolicies", service)

    def by_metric(self, service: str) -> dict[str, str]:
        return {
            metric: policy["PolicyName"]
            for policy in self._policies(service)
            if (metric := _metric(policy)) is not None
        }

    def read_policy(self, ref: ResourceRef) -> Image | None:
        for policy in self._policies(ref.service):
            if _metric(policy) == ref.leaf:
                names = ("PolicyName", "PolicyType", "TargetTrackingScalingPolicyConfiguration")
                image = {name: policy.get(name) for name in names}
                return normalise(ResourceType.SCALING_POLICY, image) | {"$raw": image}
        return None

    def resolve_policy(self, ref: ResourceRef, request: Mapping[str, Any]) -> Image:
        """The bundle's policy under the name that a live policy on the same metric already has."""
        live = self.read_policy(ref)
        name = live["PolicyName"] if live is not None else request["PolicyName"]
        wanted = {k: request[k] for k in ("PolicyType", "TargetTrackingScalingPolicyConfiguration")}
        return normalise(ResourceType.SCALING_POLICY, {**wanted, "PolicyName": name})

    def write_policy(self, ref: ResourceRef, after: Image, live: Image | None) -> dict[str, Any]:
        settings = after.get("$raw") or merged(stated(live or {}), stated(after))
        self._calls(SERVICE, "PutScalingPolicy", **self._common(ref.service), **settings)
        return {}

    def delete_policy(self, ref: ResourceRef, live: Image) -> None:
        self._calls(SERVICE, "DeleteScalingPolicy", **self._common(ref.service), PolicyName=live["PolicyName"])

    # Schedules

    def schedule_names(self, service: str) -> list[str]:
        found = self._listed("DescribeScheduledActions", "ScheduledActions", service)
        return sorted(str(action["ScheduledActionName"]) for action in found)

    def read_schedule(self, ref: ResourceRef) -> Image | None:
        for action in self._listed("DescribeScheduledActions", "ScheduledActions", ref.service):
            if action["ScheduledActionName"] == ref.leaf:
                names = ("Schedule", "Timezone", "StartTime", "EndTime", "ScalableTargetAction")
                image = {name: _plain(action[name]) for name in names if action.get(name) is not None}
                return normalise(ResourceType.SCHEDULED_ACTION, image) | {"$raw": image}
        return None

    def write_schedule(self, ref: ResourceRef, after: Image) -> dict[str, Any]:
        settings = after.get("$raw") or stated(after)
        common = self._common(ref.service)
        self._calls(SERVICE, "PutScheduledAction", **common, ScheduledActionName=ref.leaf, **settings)
        return {}

    def delete_schedule(self, ref: ResourceRef) -> None:
        self._calls(SERVICE, "DeleteScheduledAction", **self._common(ref.service), ScheduledActionName=ref.leaf)


def _metric(policy: Mapping[str, Any]) -> str | None:
    tracking = policy.get("TargetTrackingScalingPolicyConfiguration") or {}
    metric = (tracking.get("PredefinedMetricSpecification") or {}).get("PredefinedMetricType")
    return None if metric is None else str(metric)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
