"""Application Auto Scaling of the services of a cluster, and the queues that their policies name."""

from __future__ import annotations

from functools import partial
from typing import Any

from planner.aws.clients import Clients
from planner.aws.paging import Unreadable, batches, pages
from planner.model import ScalingTarget, ScheduledAction, TargetTracking
from planner.units import Seconds

DEFAULT_COOLDOWN = Seconds(300)
"""Application Auto Scaling's default for ECS services (TargetTrackingScalingPolicyConfiguration)."""
DESCRIBE_ALARMS_BATCH = 100
COUNT_DIMENSION = "ecs:service:DesiredCount"


def read_scaling(
    clients: Clients, cluster: str, unreadable: Unreadable
) -> tuple[dict[str, ScalingTarget], dict[str, str]]:
    """Scaling targets by service name, and queue names by service name."""
    client = clients.get("application-autoscaling")
    prefix = f"service/{cluster}/"

    def read(operation: str, key: str) -> list[dict[str, Any]]:
        found = unreadable.items(
            f"scaling ({operation.removeprefix('describe_').replace('_', ' ')})",
            lambda: pages(client, operation, key, ServiceNamespace="ecs"),
        )
        return [
            raw
            for raw in found
            if raw["ResourceId"].startswith(prefix)
            and raw.get("ScalableDimension", COUNT_DIMENSION) == COUNT_DIMENSION
        ]

    targets = read("describe_scalable_targets", "ScalableTargets")
    policies = read("describe_scaling_policies", "ScalingPolicies")
    actions = read("describe_scheduled_actions", "ScheduledActions")
    by_service = {
        raw["ResourceId"].removeprefix(prefix): _target(
            raw,
            [p for p in policies if p["ResourceId"] == raw["ResourceId"]],
            [a for a in actions if a["ResourceId"] == raw["ResourceId"]],
        )
        for raw in targets
    }
    return by_service, _queues(clients, policies, prefix, unreadable)


def _target(raw: dict[str, Any], policies: list[dict[str, Any]], actions: list[dict[str, Any]]) -> ScalingTarget:
    tracking = [p for p in policies if p.get("PolicyType") == "TargetTrackingScaling"]
    return ScalingTarget(
        min_capacity=raw["MinCapacity"],
        max_capacity=raw["MaxCapacity"],
        target_tracking=tuple(_tracking(p) for p in sorted(tracking, key=lambda p: str(p["PolicyName"]))),
        scheduled=tuple(_action(a) for a in sorted(actions, key=lambda a: str(a["ScheduledActionName"]))),
        other_policies=tuple(sorted(str(p["PolicyName"]) for p in policies if p not in tracking)),
    )


def _tracking(raw: dict[str, Any]) -> TargetTracking:
    config = raw["TargetTrackingScalingPolicyConfiguration"]
    predefined = config.get("PredefinedMetricSpecification") or {}
    customised = config.get("CustomizedMetricSpecification") or {}
    metric = predefined.get("PredefinedMetricType") or "/".join(
        part for part in (customised.get("Namespace"), customised.get("MetricName")) if part
    )
    return TargetTracking(
        name=raw["PolicyName"],
        metric=metric or "metric math",
        target=float(config["TargetValue"]),
        scale_out_cooldown=Seconds(config.get("ScaleOutCooldown", DEFAULT_COOLDOWN)),
        scale_in_cooldown=Seconds(config.get("ScaleInCooldown", DEFAULT_COOLDOWN)),
        disable_scale_in=config.get("DisableScaleIn", False),
        resource_label=predefined.get("ResourceLabel"),
    )


def _action(raw: dict[str, Any]) -> ScheduledAction:
    capacity = raw.get("ScalableTargetAction") or {}
    return ScheduledAction(
        name=raw["ScheduledActionName"],
        schedule=raw["Schedule"],
        timezone=raw.get("Timezone") or "UTC",
        min_capacity=capacity.get("MinCapacity"),
        max_capacity=capacity.get("MaxCapacity"),
    )


def _queues(
    clients: Clients, policies: list[dict[str, Any]], prefix: str, unreadable: Unreadable
) -> dict[str, str]:
    """The queue each service drains, from a customised metric or from the alarms of a step policy."""
    found: dict[str, str] = {}
    alarms: dict[str, str] = {}
    for policy in policies:
        service = policy["ResourceId"].removeprefix(prefix)
        custom = (policy.get("TargetTrackingScalingPolicyConfiguration") or {}).get(
            "CustomizedMetricSpecification"
        ) or {}
        queue = _queue_of(custom)
        if queue:
            found.setdefault(service, queue)
        elif policy.get("PolicyType") == "StepScaling":
            alarms |= {alarm["AlarmName"]: service for alarm in policy.get("Alarms", ())}
    cloudwatch = clients.get("cloudwatch") if alarms else None
    for batch in batches(sorted(alarms), DESCRIBE_ALARMS_BATCH):
        described = unreadable.items(
            "alarms of step scaling policies",
            partial(pages, cloudwatch, "describe_alarms", "MetricAlarms", AlarmNames=list(batch)),
        )
        for alarm in described:
            queue = _queue_of(alarm)
            if queue:
                found.setdefault(alarms[alarm["AlarmName"]], queue)
    return found


def _queue_of(spec: dict[str, Any]) -> str | None:
    """The SQS queue that a metric or a metric-math expression of a policy reads."""
    stats = [spec, *((m.get("MetricStat") or {}).get("Metric") or {} for m in spec.get("Metrics") or ())]
    for stat in stats:
        if stat.get("Namespace") == "AWS/SQS":
            for dimension in stat.get("Dimensions") or ():
                if dimension["Name"] == "QueueName":
                    return str(dimension["Value"])
    return None
