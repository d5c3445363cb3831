"""The bundle as AWS request documents, checked offline against botocore's own service model.

The documents are what `aws <service> <command> --cli-input-json` takes, except for the markers of the bundle
(`$ref`, `$base`, ...) that stand for values read from the account at apply time.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from planner.documents import ConfigDocument, Resource
from planner.documents.canonical import write
from planner.documents.config import ResourceType


@dataclass(frozen=True, slots=True)
class Request:
    """One AWS call."""

    resource_id: str
    service: str
    operation: str
    parameters: dict[str, Any]


def requests_from_config(config: ConfigDocument) -> tuple[Request, ...]:
    """The calls for each resource, in dependency order: capacity, services and their scaling, retirement."""
    return tuple(request for resource in config.resources for request in _requests(resource))


def _requests(resource: Resource) -> list[Request]:
    service, create, update = CALLS[resource.type]
    exists = resource.present and not _is_copied(resource.request)
    operation = update if exists or not resource.present else create
    if resource.type is ResourceType.LISTENER_RULE and not resource.present:
        operation = "DeleteRule"
    request = dict(resource.request)
    attributes = request.pop("Attributes", None)
    found = [Request(resource.id, service, operation, request)]
    if attributes is not None:  # a target group's attributes have a call of their own
        own = {"TargetGroupArn": {"$ref": f"{resource.id}#TargetGroupArn"}, "Attributes": attributes}
        found.append(Request(resource.id, service, "ModifyTargetGroupAttributes", own))
    return found


def read_requests(requests: Iterable[Request]) -> dict[str, dict[str, Any]]:
    """Resource id to request, put together again from `requests_from_config`'s output."""
    found: dict[str, dict[str, Any]] = {}
    for request in requests:
        if request.operation == "ModifyTargetGroupAttributes":
            found[request.resource_id]["Attributes"] = request.parameters["Attributes"]
        else:
            found[request.resource_id] = dict(request.parameters)
    return found


CALLS: dict[ResourceType, tuple[str, str, str]] = {
    ResourceType.LAUNCH_TEMPLATE: ("ec2", "CreateLaunchTemplate", "CreateLaunchTemplateVersion"),
    ResourceType.AUTO_SCALING_GROUP: ("autoscaling", "CreateAutoScalingGroup", "UpdateAutoScalingGroup"),
    ResourceType.CAPACITY_PROVIDER: ("ecs", "CreateCapacityProvider", "UpdateCapacityProvider"),
    ResourceType.CLUSTER_CAPACITY_PROVIDERS: ("ecs", "PutClusterCapacityProviders", "PutClusterCapacityProviders"),
    ResourceType.TASK_DEFINITION: ("ecs", "RegisterTaskDefinition", "RegisterTaskDefinition"),
    ResourceType.SERVICE: ("ecs", "UpdateService", "UpdateService"),
    ResourceType.SCALABLE_TARGET: ("application-autoscaling", "RegisterScalableTarget", "RegisterScalableTarget"),
    ResourceType.SCALING_POLICY: ("application-autoscaling", "PutScalingPolicy", "PutScalingPolicy"),
    ResourceType.SCHEDULED_ACTION: ("application-autoscaling", "PutScheduledAction", "PutScheduledAction"),
    ResourceType.TARGET_GROUP: ("elbv2", "CreateTargetGroup", "ModifyTargetGroup"),
    ResourceType.LISTENER_RULE: ("elbv2", "CreateRule", "ModifyRule"),
}
"""Resource type to (service, call that creates, call that updates)."""


def _is_copied(value: Any) -> bool:
    """Whether a marker says that fields come from a base, which only creation does."""
    if isinstance(value, dict):
        return "$base" in value or any(_is_copied(item) for item in value.values())
    return isinstance(value, list) and any(_is_copied(item) for item in value)


def request_problems(request: Request) -> list[str]:
    """What botocore's service model says against the request: unknown, missing and mistyped fields.

    Markers stand in for values that are read at apply time, so a required field is only missed where the
    request has no `$base` to take it from.
    """
    from botocore.validate import ParamValidator

    shape = _service_model(request.service).operation_model(request.operation).input_shape
    report = ParamValidator().validate(_filled(request.parameters, shape), shape)
    return [] if not report.has_errors() else str(report.generate_report()).splitlines()


@cache
def _service_model(service: str) -> Any:
    import botocore.session

    return botocore.session.get_session().get_service_model(service)


def _filled(value: Any, shape: Any) -> Any:
    """Replace every marker by a placeholder of the type that `shape` wants there."""
    if isinstance(value, dict):
        if set(value) in ({"$ref"}, {"$base"}):
            return _placeholder(shape)
        members = getattr(shape, "members", {})
        shown = {k: _filled(v, members.get(k)) for k, v in value.items() if not k.startswith("$")}
        if "$base" in value:
            required = getattr(shape, "required_members", [])
            shown |= {name: _placeholder(members[name]) for name in required if name not in shown}
        return shown
    if isinstance(value, list):
        member = getattr(shape, "member", None)
        return [_filled(item, member) for item in value]
    return value


def _placeholder(shape: Any) -> Any:
    kind = getattr(shape, "type_name", "string")
    if kind == "structure":
        return {name: _placeholder(shape.members[name]) for name in shape.required_members}
    if kind == "list":
        return []
    if kind == "map":
        return {}
    return {"integer": 1, "long": 1, "float": 1.0, "double": 1.0, "boolean": True}.get(kind, "placeholder")


def write_requests(requests: tuple[Request, ...], folder: Path) -> list[Path]:
    """Write one numbered document for each call; what an earlier emission left there is removed first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    paths = []
    for number, request in enumerate(requests, start=1):
        name = "".join(c if c.isalnum() or c in "-_." else "-" for c in request.resource_id)
        path = folder / f"{number:03d}-{request.operation}-{name[:120]}.json"
        write(path, {"service": request.service, "operation": request.operation, "request": request.parameters})
        paths.append(path)
    return paths
