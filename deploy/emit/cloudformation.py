"""The bundle as a CloudFormation template. What the bundle copies from the account becomes a parameter."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.emit.fields import KINDS, MISSING, get, items, put, recipe, reference, replaces_in_place
from deploy.emit.routing import own_arn, replaced, with_content
from deploy.emit.terraform import family_of
from planner.documents import ConfigDocument, Resource
from planner.documents.canonical import write
from planner.documents.config import ResourceType

T = ResourceType
METADATA = "EcsPlanner"


def logical_id(resource_id: str) -> str:
    """Letters and digits, readable and unique: ServiceWeb1f3a9c."""
    words = re.findall(r"[A-Za-z0-9]+", resource_id)
    name = "".join(word[:1].upper() + word[1:] for word in words)
    return f"{name[:120]}{hashlib.sha256(resource_id.encode()).hexdigest()[:6]}"


def template(config: ConfigDocument) -> dict[str, Any]:
    """The whole bundle as one template."""
    parameters: dict[str, Any] = {}
    resources: dict[str, Any] = {}
    scheduled = [r for r in config.resources if r.type is T.SCHEDULED_ACTION]
    for resource in config.resources:
        gone = resource.type is T.LISTENER_RULE and not resource.present
        if resource.type is not T.SCHEDULED_ACTION and not gone:
            resources[logical_id(resource.id)] = _resource(resource, parameters, scheduled)
    found: dict[str, Any] = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Capacity plan of cluster {config.scope.cluster}"[:1024],
        "Resources": resources,
    }
    return found | ({"Parameters": parameters} if parameters else {})


def _resource(resource: Resource, parameters: dict[str, Any], scheduled: list[Resource]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for field in KINDS[resource.type].fields:
        value = get(resource.request, field.aws)
        if value is MISSING:
            continue
        if field.item:
            value = items(field, value, 2, False, _value)
        else:
            value = str(value) if field.text_in_cloudformation else _value(value)
        put(properties, field.cloudformation, value)
    told: dict[str, Any] = {"Id": resource.id, "Recipe": recipe(resource.request)}
    _complete(resource, properties, parameters, told)
    if resource.type is T.SCALABLE_TARGET:
        mine = [r for r in scheduled if resource.id in r.depends_on]
        if mine:
            properties["ScheduledActions"] = [_scheduled(action) for action in mine]
            told["ScheduledActions"] = [action.id for action in mine]
    implied = {logical_id(name) for name in resource.depends_on} & _referred(properties)
    needed = [logical_id(name) for name in resource.depends_on if logical_id(name) not in implied]
    made: dict[str, Any] = {
        "Type": KINDS[resource.type].cloudformation,
        "Metadata": {METADATA: told},
        "Properties": properties,
    }
    if replaces_in_place(resource):
        # Without a policy CloudFormation would leave the old instances running.
        made["UpdatePolicy"] = {"AutoScalingRollingUpdate": {"MinInstancesInService": resource.request["MinSize"]}}
    return made | ({"DependsOn": needed} if needed else {})


def _referred(value: Any) -> set[str]:
    """Logical ids that an expression names, and so depends on already."""
    if isinstance(value, Mapping):
        own = {str(value["Ref"])} if set(value) == {"Ref"} else set()
        if set(value) == {"Fn::GetAtt"}:
            own = {str(value["Fn::GetAtt"][0])}
        return own.union(*(_referred(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(_referred(item) for item in value))
    return set()


def _value(value: Any) -> Any:
    if isinstance(value, Mapping) and set(value) == {"$ref"}:
        resource_id = value["$ref"].rpartition("#")[0]
        return {"Ref": logical_id(resource_id)}
    return value


def _parameter(parameters: dict[str, Any], name: str, kind: str, description: str) -> dict[str, str]:
    parameters[name] = {"Type": kind, "Description": description[:1024]}
    return {"Ref": name}


def _complete(
    resource: Resource, properties: dict[str, Any], parameters: dict[str, Any], told: dict[str, Any]
) -> None:
    name = logical_id(resource.id)
    if resource.type is T.TASK_DEFINITION:
        properties["Family"] = family_of(resource)
        place = _parameter(
            parameters,
            f"Containers{name}"[:200],
            "String",
            f"S3 address of a JSON file with the ContainerDefinitions of {resource.base_arn}, in this size",
        )
        include = {"Name": "AWS::Include", "Parameters": {"Location": place}}
        properties["Fn::Transform"] = include
    elif resource.type is T.LAUNCH_TEMPLATE and get(properties, "LaunchTemplateData.ImageId") is MISSING:
        ami = _parameter(parameters, f"Image{name}", "AWS::EC2::Image::Id", "AMI of the ECS-optimised image")
        put(properties, "LaunchTemplateData.ImageId", ami)
    elif resource.type is T.AUTO_SCALING_GROUP:
        subnets = f"Subnets{name}"
        properties["VPCZoneIdentifier"] = _parameter(
            parameters, subnets, "List<AWS::EC2::Subnet::Id>", f"Subnets of {resource.name}"
        )
        _launch_template(resource, properties, parameters)
    elif resource.type is T.CAPACITY_PROVIDER:
        if get(properties, "AutoScalingGroupProvider.AutoScalingGroupArn") is MISSING:
            group = next(n for n in resource.depends_on if n.startswith(f"{T.AUTO_SCALING_GROUP}/"))
            put(properties, "AutoScalingGroupProvider.AutoScalingGroupArn", {"Ref": logical_id(group)})
    elif resource.type is T.CLUSTER_CAPACITY_PROVIDERS:
        _cluster(resource, properties, parameters, told)
    elif resource.type in {T.TARGET_GROUP, T.LISTENER_RULE}:
        _routing(resource, properties, parameters, name)
    elif resource.type is T.SCALING_POLICY:
        for identity in ("ServiceNamespace", "ResourceId", "ScalableDimension"):
            told[identity] = properties.pop(identity)
        target = next(n for n in resource.depends_on if n.startswith(f"{T.SCALABLE_TARGET}/"))
        properties["ScalingTargetId"] = {"Ref": logical_id(target)}


def _routing(resource: Resource, properties: dict[str, Any], parameters: dict[str, Any], name: str) -> None:
    if resource.type is T.LISTENER_RULE:
        balancer, _, priority = resource.name.rpartition("/")
        properties["Priority"] = int(priority)
        properties["ListenerArn"] = _parameter(parameters, f"Listener{name}", "String", f"Listener {balancer}")
        for field in ("Conditions", "Actions"):
            properties[field] = replaced(resource.request[field], _value)
        return
    properties["Name"] = resource.name
    if "Attributes" in resource.request:
        properties["TargetGroupAttributes"] = resource.request["Attributes"]
    for field, kind in (
        ("VpcId", "AWS::EC2::VPC::Id"),
        ("Port", "Number"),
        ("Protocol", "String"),
        ("TargetType", "String"),
    ):
        about = f"{field} of target group {resource.name}"
        properties[field] = _parameter(parameters, f"{field}{name}", kind, about)


def _read_routing(
    kind: ResourceType, properties: Mapping[str, Any], by_logical: Mapping[str, str]
) -> dict[str, Any]:
    if kind is T.LISTENER_RULE:
        return {
            field: replaced(properties[field], lambda value: _read_value(value, by_logical))
            for field in ("Conditions", "Actions")
        }
    attributes = properties.get("TargetGroupAttributes")
    return {} if attributes is None else {"Attributes": attributes}


def _launch_template(resource: Resource, properties: dict[str, Any], parameters: dict[str, Any]) -> None:
    """CloudFormation takes no $Latest: the newest version is an attribute of the template."""
    own = next((n for n in resource.depends_on if n.startswith(f"{T.LAUNCH_TEMPLATE}/")), None)
    if own is not None:
        put(properties, "LaunchTemplate.Version", {"Fn::GetAtt": [logical_id(own), "LatestVersionNumber"]})
        return
    name = logical_id(resource.id)
    about = f"launch template of {resource.name}"
    properties["LaunchTemplate"] = {
        "LaunchTemplateName": _parameter(parameters, f"Template{name}", "String", f"Name of the {about}"),
        "Version": _parameter(parameters, f"TemplateVersion{name}", "String", f"Version of the {about}"),
    }


def _cluster(
    resource: Resource, properties: dict[str, Any], parameters: dict[str, Any], told: dict[str, Any]
) -> None:
    name = logical_id(resource.id)
    new = [p for p in resource.request["capacityProviders"] if isinstance(p, str)]
    kept = _parameter(
        parameters, f"Providers{name}", "CommaDelimitedList", "Capacity providers the cluster has already"
    )
    whole = {"Fn::Join": [",", [{"Fn::Join": [",", kept]}, *new]]}
    properties["CapacityProviders"] = {"Fn::Split": [",", whole]}
    default = _parameter(parameters, f"Default{name}", "String", "The cluster's default capacity provider")
    properties["DefaultCapacityProviderStrategy"] = [{"CapacityProvider": default, "Weight": 1}]
    told["New"] = new


def _scheduled(resource: Resource) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in KINDS[T.SCHEDULED_ACTION].fields[3:]:  # without what the target says
        value = get(resource.request, field.aws)
        if value is not MISSING:
            put(found, field.cloudformation, value)
    return found


def read_template(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Resource id to request, read back from `template`'s output: the same as the bundle's, or it is a defect."""
    by_logical = {name: block["Metadata"][METADATA]["Id"] for name, block in document["Resources"].items()}
    found: dict[str, dict[str, Any]] = {}
    for block in document["Resources"].values():
        told = block["Metadata"][METADATA]
        found[told["Id"]] = _request(block, by_logical)
        for resource_id, action in zip(
            told.get("ScheduledActions", []), block["Properties"].get("ScheduledActions", []), strict=True
        ):
            identity = {k: block["Properties"][k] for k in ("ServiceNamespace", "ResourceId", "ScalableDimension")}
            found[resource_id] = identity | dict(action)
    return found


def _request(block: Mapping[str, Any], by_logical: Mapping[str, str]) -> dict[str, Any]:
    told, properties = block["Metadata"][METADATA], block["Properties"]
    kind = ResourceType(told["Id"].partition("/")[0])
    request: dict[str, Any] = {}
    for field in KINDS[kind].fields:
        value = get(properties, field.cloudformation)
        if value is MISSING:
            continue
        if field.item:
            put(request, field.aws, items(field, value, 2, True, lambda v: _read_value(v, by_logical)))
            continue
        read = _read_value(value, by_logical)
        if read is not MISSING:
            put(request, field.aws, int(read) if field.text_in_cloudformation else read)
    if kind in {T.TARGET_GROUP, T.LISTENER_RULE}:
        own = own_arn(str(told["Id"]), told["Recipe"])
        request = with_content(request, own, _read_routing(kind, properties, by_logical))
    if kind is T.CAPACITY_PROVIDER and "autoScalingGroupProvider.$base" not in told["Recipe"]:
        request["autoScalingGroupProvider"].pop("autoScalingGroupArn", None)
    if kind is T.CLUSTER_CAPACITY_PROVIDERS:
        name = told["Id"]
        request["capacityProviders"] = [{"$base": f"{name}#capacityProviders"}, *_new_providers(properties)]
        request["defaultCapacityProviderStrategy"] = [{"$base": f"{name}#defaultCapacityProviderStrategy"}]
    if kind is T.SCALING_POLICY:
        request |= {k: told[k] for k in ("ServiceNamespace", "ResourceId", "ScalableDimension")}
    for path, value in told["Recipe"].items():
        put(request, path, value)
    return request


def _new_providers(properties: Mapping[str, Any]) -> list[str]:
    joined = properties["CapacityProviders"]["Fn::Split"][1]["Fn::Join"][1]
    return [item for item in joined if isinstance(item, str)]


def _read_value(value: Any, by_logical: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping) and set(value) == {"Fn::GetAtt"}:
        return "$Latest"
    if not isinstance(value, Mapping) or set(value) != {"Ref"}:
        return value
    resource_id = by_logical.get(value["Ref"])
    if resource_id is None:
        return MISSING
    return reference(resource_id)


def write_template(config: ConfigDocument, folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "template.json"
    write(path, template(config))
    return [path]
