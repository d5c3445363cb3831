"""Who changed a resource, from CloudTrail where it can be read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from deploy.aws.calls import Calls
from deploy.model import Image, ResourceRef
from deploy.ports import CallFailed
from planner.documents.config import ResourceType
from planner.model import Rejection

T = ResourceType
EVENTS: Mapping[ResourceType, tuple[str, ...]] = {
    T.SERVICE: ("UpdateService",),
    T.TASK_DEFINITION: ("UpdateService",),
    T.SCALABLE_TARGET: ("RegisterScalableTarget", "DeregisterScalableTarget"),
    T.SCALING_POLICY: ("PutScalingPolicy", "DeleteScalingPolicy"),
    T.SCHEDULED_ACTION: ("PutScheduledAction", "DeleteScheduledAction"),
    T.AUTO_SCALING_GROUP: ("UpdateAutoScalingGroup", "SetDesiredCapacity"),
    T.CAPACITY_PROVIDER: ("UpdateCapacityProvider",),
    T.CLUSTER_CAPACITY_PROVIDERS: ("PutClusterCapacityProviders",),
    T.LAUNCH_TEMPLATE: ("CreateLaunchTemplateVersion", "DeleteLaunchTemplate"),
    T.TARGET_GROUP: ("ModifyTargetGroup", "ModifyTargetGroupAttributes", "DeleteTargetGroup"),
    T.LISTENER_RULE: ("ModifyRule", "CreateRule", "DeleteRule", "SetRulePriorities"),
}
"""CloudTrail event names that change each kind of resource."""
SCALING = frozenset({T.SCALABLE_TARGET, T.SCALING_POLICY, T.SCHEDULED_ACTION})
LOOK_BACK = timedelta(days=30)
EVENTS_READ = 200
"""The newest events of a name that are looked through; CloudTrail answers two questions a second."""


class Trail:
    """CloudTrail's events by name, each name asked for once."""

    def __init__(self, calls: Calls, cluster: str, now: datetime) -> None:
        self._calls, self._cluster, self._now = calls, cluster, now
        self._known: dict[str, list[dict[str, Any]]] = {}

    def who_changed(self, ref: ResourceRef, live: Image | None) -> str | Rejection:
        """ "name at time (event)"; a Rejection says why nobody can be named."""
        try:
            found = [
                event for name in EVENTS[ref.type] for event in self._events(name) if self._is_on(event, ref, live)
            ]
        except CallFailed as error:
            return Rejection(ref.id, f"CloudTrail cannot be read ({error.code})")
        if not found:
            names = ", ".join(EVENTS[ref.type])
            return Rejection(ref.id, f"no {names} on it in the last {LOOK_BACK.days} days of CloudTrail")
        newest = max(found, key=lambda event: event["EventTime"])
        who = newest.get("Username") or "somebody"
        return f"{who} at {newest['EventTime'].isoformat(timespec='seconds')} ({newest['EventName']})"

    def _events(self, name: str) -> list[dict[str, Any]]:
        if name not in self._known:
            pages = self._calls.pages(
                "cloudtrail",
                "LookupEvents",
                "Events",
                LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": name}],
                StartTime=self._now - LOOK_BACK,
                EndTime=self._now,
            )
            self._known[name] = [event for event, _ in zip(pages, range(EVENTS_READ), strict=False)]
        return self._known[name]

    def _is_on(self, event: Mapping[str, Any], ref: ResourceRef, live: Image | None) -> bool:
        """Whether the event succeeded and its request names the resource."""
        try:
            told = json.loads(event.get("CloudTrailEvent", "{}"))
        except ValueError:
            return False
        if told.get("errorCode"):
            return False
        named = {
            text.rsplit("/", 1)[-1] if text.startswith("arn:") else text
            for text in _texts(told.get("requestParameters"))
        }
        if ref.type in SCALING:
            wanted = {f"service/{self._cluster}/{ref.service}"}
            return bool(named & wanted) and (ref.type is not T.SCHEDULED_ACTION or ref.leaf in named)
        arns = {v.rsplit("/", 1)[-1] for v in (live or {}).values() if isinstance(v, str) and v.startswith("arn:")}
        if ref.type in {T.SERVICE, T.TASK_DEFINITION}:
            return {ref.name, self._cluster} <= named
        return bool(named & ({ref.name} | arns))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
