"""Three views of one estate: what was approved, what is live, what Terraform's state says; and who changed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from deploy.aws.cloud import AwsCloud
from deploy.diff import diff
from deploy.model import Image, ResourceRef
from deploy.observe import Observation, observe
from deploy.ports import CallFailed
from deploy.tfstate import Managed, drift_of_terraform
from planner.documents import ConfigDocument
from planner.documents.config import ResourceType
from planner.model import Rejection

EVENTS: Mapping[ResourceType, tuple[str, ...]] = {
    ResourceType.SERVICE: ("UpdateService",),
    ResourceType.TASK_DEFINITION: ("UpdateService",),
    ResourceType.SCALABLE_TARGET: ("RegisterScalableTarget", "DeregisterScalableTarget"),
    ResourceType.SCALING_POLICY: ("PutScalingPolicy", "DeleteScalingPolicy"),
    ResourceType.SCHEDULED_ACTION: ("PutScheduledAction", "DeleteScheduledAction"),
    ResourceType.AUTO_SCALING_GROUP: ("UpdateAutoScalingGroup",),
    ResourceType.CAPACITY_PROVIDER: ("UpdateCapacityProvider",),
    ResourceType.CLUSTER_CAPACITY_PROVIDERS: ("PutClusterCapacityProviders",),
    ResourceType.TARGET_GROUP: ("ModifyTargetGroup", "ModifyTargetGroupAttributes", "CreateTargetGroup"),
    ResourceType.LISTENER_RULE: ("ModifyRule", "CreateRule", "DeleteRule"),
    ResourceType.LAUNCH_TEMPLATE: ("CreateLaunchTemplateVersion",),
}
"""CloudTrail event names that change each kind of resource."""
LOOK_BACK = timedelta(days=30)
EVENTS_READ = 50


@dataclass(frozen=True, slots=True)
class Drift:
    """One field that is not the same in all views. `approved` and `terraform` are None where they say nothing."""

    resource_id: str
    path: str
    approved: Any
    live: Any
    terraform: Any
    who: str
    """"name at time (event)", or why it is not known."""


def drift(
    config: ConfigDocument, cloud: AwsCloud, terraform: Sequence[Managed] = (), now: datetime | None = None
) -> tuple[Drift, ...]:
    """Compare the three; an empty answer means that approved, live and Terraform agree."""
    observation = observe(config, cloud)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for change in diff(observation.live, observation.wanted, config).changes:
        found[change.resource_id, change.path] = {"approved": change.after, "live": change.before}
    for problem in observation.problems:
        found.setdefault((problem.what, ""), {"approved": problem.reason, "live": None})
    for resource_id, path, live, wanted in drift_of_terraform(terraform, _live(observation)):
        entry = found.setdefault((resource_id, path), {"live": live})
        entry["terraform"] = wanted
    moment = now or cloud.calls.clock.now()
    return tuple(
        Drift(
            resource_id,
            path,
            entry.get("approved"),
            entry["live"],
            entry.get("terraform"),
            _told(who_changed(cloud, ResourceRef.parse(resource_id), moment)),
        )
        for (resource_id, path), entry in sorted(found.items())
    )


def _live(observation: Observation) -> dict[str, Image | None]:
    return dict(observation.live)


def _told(who: str | Rejection) -> str:
    return who if isinstance(who, str) else f"not known: {who.reason}"


def who_changed(cloud: AwsCloud, ref: ResourceRef, now: datetime) -> str | Rejection:
    """The last CloudTrail event that changed the resource; a Rejection says why nobody can be named."""
    names = EVENTS[ref.type]
    try:
        answer = cloud.calls(
            "cloudtrail",
            "LookupEvents",
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": names[0]}],
            StartTime=now - LOOK_BACK,
            EndTime=now,
            MaxResults=EVENTS_READ,
        )
    except CallFailed as error:
        return Rejection(ref.id, f"CloudTrail cannot be read ({error.code})")
    for event in answer.get("Events", []):  # newest first
        if f'"{ref.leaf}"' in event.get("CloudTrailEvent", "") or f"/{ref.service}" in event.get(
            "CloudTrailEvent", ""
        ):
            return (
                f"{event.get('Username', 'somebody')} at {event['EventTime'].isoformat()} ({event['EventName']})"
            )
    return Rejection(ref.id, f"no {names[0]} on it in the last {LOOK_BACK.days} days of CloudTrail")
