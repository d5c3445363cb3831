"""The bundle as Terraform: `main.tf.json` for estates that start here, and a typed contract for those that exist.

Values that the bundle copies from the account without showing them become variables. Neither form ever writes
`desired_count`: the autoscaler owns it, and Terraform ignores it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from deploy.emit.bundle import NotSupported
from deploy.emit.fields import KINDS, MISSING, get, items, put, recipe, reference, replaces_in_place
from deploy.emit.routing import (
    attribute_arguments,
    own_arn,
    read_attribute_arguments,
    read_rule_blocks,
    rule_blocks,
    with_content,
)
from planner.documents import ConfigDocument, Resource
from planner.documents.canonical import write
from planner.documents.config import ResourceType

T = ResourceType
REFERENCES = {
    "taskDefinitionArn": "arn",
    "AutoScalingGroupARN": "arn",
    "TargetGroupArn": "arn",
}
"""Field of a reference in the bundle to the attribute that Terraform knows it by."""


def escaped(text: str) -> str:
    """A literal string in a template language where `${` and `%{` would begin an expression."""
    return text.replace("${", "$${").replace("%{", "%%{")


def unescaped(text: str) -> str:
    return text.replace("$${", "${").replace("%%{", "%{")


def label(resource_id: str) -> str:
    """A Terraform identifier that is readable and unique: web_1f3a9c."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", resource_id.partition("/")[2]).strip("_") or "resource"
    start = name if name[0].isalpha() else f"r_{name}"
    return f"{start[:48]}_{hashlib.sha256(resource_id.encode()).hexdigest()[:6]}"


def address(resource_id: str) -> str:
    kind = KINDS[ResourceType(resource_id.partition("/")[0])]
    return f"{kind.terraform}.{label(resource_id)}"


# Estates that start here


def unsayable(resource: Resource) -> str | None:
    """What Terraform's AWS provider has no argument for, with what to do; None where it can say the resource."""
    missing = [
        f for f in KINDS[resource.type].fields if not f.terraform and get(resource.request, f.aws) is not MISSING
    ]
    if not missing:
        return None
    field = missing[0].aws.partition(".")[0]
    return (
        f"{resource.id} sets {field}, which Terraform's AWS provider has no argument for yet "
        "(hashicorp/terraform-provider-aws#48669): emit it with --format aws or cloudformation, or plan with "
        "metric_resolution: standard-only."
    )


def main_tf(config: ConfigDocument) -> dict[str, Any]:
    """Every resource of the bundle in Terraform's JSON syntax; NotSupported names what it cannot say."""
    refused = next((why for resource in config.resources if (why := unsayable(resource)) is not None), None)
    if refused is not None:
        raise NotSupported(refused)
    variables: dict[str, Any] = {}
    resources: dict[str, dict[str, Any]] = {}
    for resource in config.resources:
        if resource.type is T.LISTENER_RULE and not resource.present:
            continue  # what is not in the configuration is gone
        kind = KINDS[resource.type]
        resources.setdefault(kind.terraform, {})[label(resource.id)] = _block(resource, variables)
    document: dict[str, Any] = {
        "terraform": {"required_version": ">= 1.5", "required_providers": {"aws": {"source": "hashicorp/aws"}}},
        "resource": resources,
    }
    return document | ({"variable": variables} if variables else {})


def _block(resource: Resource, variables: dict[str, Any]) -> dict[str, Any]:
    # "//" is a comment in Terraform's JSON syntax: what no argument can say, for people and for reading it back.
    told = {"id": resource.id, **recipe(resource.request)}
    block: dict[str, Any] = {"//": json.dumps(told, sort_keys=True)}
    for field in KINDS[resource.type].fields:
        value = get(resource.request, field.aws)
        if value is MISSING:
            continue
        spelled = items(field, value, 1, False, _value) if field.item else _value(value)
        put(block, field.terraform, spelled, blocks=True)
    _complete(resource, block, variables)
    needed = [address(name) for name in resource.depends_on]
    return block | ({"depends_on": needed} if needed else {})


def _value(value: Any) -> Any:
    if isinstance(value, Mapping) and set(value) == {"$ref"}:
        resource_id, _, field = value["$ref"].rpartition("#")
        return f"${{{address(resource_id)}.{REFERENCES[field]}}}"
    return escaped(value) if isinstance(value, str) else value


def _variable(variables: dict[str, Any], name: str, kind: str, description: str) -> str:
    variables[name] = {"type": kind, "description": escaped(description)}
    return f"${{var.{name}}}"


def _complete(resource: Resource, block: dict[str, Any], variables: dict[str, Any]) -> None:
    """Arguments that Terraform requires and the bundle copies from the account: variables."""
    name = label(resource.id)
    if resource.type is T.TASK_DEFINITION:
        block["family"] = escaped(family_of(resource))
        about = (
            f"container definitions of {resource.base_arn} as a JSON text, in the sizes of this task definition"
        )
        block["container_definitions"] = _variable(variables, f"container_definitions_{name}", "string", about)
        variables[f"container_definitions_{name}"]["sensitive"] = True
    elif resource.type is T.LAUNCH_TEMPLATE and "image_id" not in block:
        block["image_id"] = _variable(variables, f"image_id_{name}", "string", "AMI of the ECS-optimised image")
    elif resource.type is T.AUTO_SCALING_GROUP:
        about = f"subnets of {resource.name}"
        block["vpc_zone_identifier"] = _variable(variables, f"subnets_{name}", "list(string)", about)
        if "launch_template" not in block:
            template = _variable(
                variables, f"launch_template_{name}", "string", f"launch template of {resource.name}"
            )
            block["launch_template"] = [{"name": template, "version": "$Latest"}]
        if replaces_in_place(resource):
            block["instance_refresh"] = [{"strategy": "Rolling", "preferences": [{"min_healthy_percentage": 100}]}]
        if resource.present:  # a managed group's desired size is its capacity provider's business
            block["lifecycle"] = [{"ignore_changes": ["desired_capacity"]}]
    elif (
        resource.type is T.CAPACITY_PROVIDER
        and get(block, "auto_scaling_group_provider.auto_scaling_group_arn") is MISSING
    ):
        group = next(n for n in resource.depends_on if n.startswith(f"{T.AUTO_SCALING_GROUP}/"))
        put(block, "auto_scaling_group_provider.auto_scaling_group_arn", f"${{{address(group)}.arn}}", blocks=True)
    elif resource.type is T.CLUSTER_CAPACITY_PROVIDERS:
        kept = _variable(
            variables, f"providers_{name}", "list(string)", "capacity providers the cluster has already"
        )
        new = [p for p in resource.request["capacityProviders"] if isinstance(p, str)]
        block["capacity_providers"] = f"${{concat({kept[2:-1]}, jsondecode({json.dumps(json.dumps(new))}))}}"
    elif resource.type in {T.TARGET_GROUP, T.LISTENER_RULE}:
        _routing(resource, block, variables, name)
    elif resource.type is T.SERVICE:
        block["lifecycle"] = [{"ignore_changes": ["desired_count"]}]


def _routing(resource: Resource, block: dict[str, Any], variables: dict[str, Any], name: str) -> None:
    if resource.type is T.LISTENER_RULE:
        balancer, _, priority = resource.name.rpartition("/")
        block["priority"] = int(priority)
        block["listener_arn"] = _variable(variables, f"listener_{name}", "string", f"listener {balancer}")
        block |= rule_blocks(resource.request, _value)
        return
    block["name"] = escaped(resource.name)
    block |= attribute_arguments(resource.request)
    for argument, kind, about in (
        ("vpc_id", "string", "VPC"),
        ("port", "number", "port"),
        ("protocol", "string", "protocol"),
        ("target_type", "string", "target type: ip or instance"),
    ):
        block[argument] = _variable(
            variables, f"{argument}_{name}", kind, f"{about} of target group {resource.name}"
        )


def family_of(resource: Resource) -> str:
    return str(resource.base_arn).rsplit("/", 1)[-1].rsplit(":", 1)[0]


def read_main_tf(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Resource id to request, read back from `main_tf`'s output: the same as the bundle's, or it is a defect."""
    by_address = {
        f"{kind}.{name}": json.loads(block["//"])["id"]
        for kind, blocks in document["resource"].items()
        for name, block in blocks.items()
    }
    return {
        json.loads(block["//"])["id"]: _request(block, by_address)
        for blocks in document["resource"].values()
        for block in blocks.values()
    }


def _request(block: Mapping[str, Any], by_address: Mapping[str, str]) -> dict[str, Any]:
    told = json.loads(block["//"])
    kind = ResourceType(told["id"].partition("/")[0])
    request: dict[str, Any] = {}
    for field in KINDS[kind].fields:
        value = get(block, field.terraform)
        if value is MISSING:
            continue
        if field.item:
            put(request, field.aws, items(field, value, 1, True, lambda v: _read_value(v, by_address)))
            continue
        read = _read_value(value, by_address)
        if read is not MISSING:
            put(request, field.aws, read)
    if kind in {T.TARGET_GROUP, T.LISTENER_RULE}:
        own = own_arn(str(told["id"]), told)
        request = with_content(request, own, _read_routing(kind, block, lambda v: _read_value(v, by_address)))
    if kind is T.AUTO_SCALING_GROUP and "${var." in json.dumps(block.get("launch_template")):
        request.pop("LaunchTemplate", None)
    if kind is T.CAPACITY_PROVIDER and "autoScalingGroupProvider.$base" not in told:
        request["autoScalingGroupProvider"].pop("autoScalingGroupArn", None)
    if kind is T.CLUSTER_CAPACITY_PROVIDERS:
        request |= _read_cluster(told["id"], block)
    for path, value in told.items():
        if path != "id":
            put(request, path, value)
    return request


def _read_value(value: Any, by_address: Mapping[str, str]) -> Any:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\$\{(var\.\w+|(\w+\.\w+)\.(\w+))\}", value)
    if match is None:
        return unescaped(value)
    if match.group(2) is None:
        return MISSING
    return reference(by_address[match.group(2)])


def _read_routing(kind: ResourceType, block: Mapping[str, Any], read: Callable[[Any], Any]) -> dict[str, Any]:
    """What the table of fields does not say."""
    return read_rule_blocks(block, read) if kind is T.LISTENER_RULE else read_attribute_arguments(block)


def _read_cluster(resource_id: str, block: Mapping[str, Any]) -> dict[str, Any]:
    match = re.search(r"jsondecode\((\".*\")\)", block["capacity_providers"])
    new = json.loads(json.loads(match.group(1))) if match else []
    return {
        "capacityProviders": [{"$base": f"{resource_id}#capacityProviders"}, *new],
        "defaultCapacityProviderStrategy": [{"$base": f"{resource_id}#defaultCapacityProviderStrategy"}],
    }


# Estates that exist: a contract


def contract_variables() -> dict[str, Any]:
    """The module's typed inputs, `variables.tf.json`; an estate's own code reads them."""
    schedule = "object({ cron = string, timezone = string, min_capacity = number, max_capacity = number })"
    service = (
        "map(object({ cpu = optional(number), memory = optional(number), min_capacity = optional(number), "
        "max_capacity = optional(number), target_metric = optional(string), target_value = optional(number), "
        f"schedules = optional(map({schedule}), {{}}) }}))"
    )
    fleet = "map(object({ instance_type = optional(string), min_size = number, max_size = number }))"
    return {
        "variable": {
            "planner_services": {
                "type": service,
                "default": {},
                "description": "Sizes and scaling by ECS service",
            },
            "planner_fleet": {"type": fleet, "default": {}, "description": "Sizes by Auto Scaling group"},
        },
        "output": {
            "services": {"value": "${var.planner_services}"},
            "fleet": {"value": "${var.planner_fleet}"},
        },
    }


def contract_values(config: ConfigDocument) -> dict[str, Any]:
    """`planner.auto.tfvars.json`: sizes, ranges, thresholds, schedules, instance types. Never a desired count."""
    services: dict[str, dict[str, Any]] = {}
    fleet: dict[str, dict[str, Any]] = {}
    for resource in config.resources:
        request = resource.request
        service = services.setdefault(resource.name.split("/", 1)[0], {}) if resource.type in SERVICE_KINDS else {}
        match resource.type:
            case T.TASK_DEFINITION:
                service |= {k: int(request[k]) for k in ("cpu", "memory") if k in request}
            case T.SCALABLE_TARGET:
                service |= {"min_capacity": request["MinCapacity"], "max_capacity": request["MaxCapacity"]}
            case T.SCALING_POLICY:
                tracking = request["TargetTrackingScalingPolicyConfiguration"]
                service["target_metric"] = tracking["PredefinedMetricSpecification"]["PredefinedMetricType"]
                service["target_value"] = tracking["TargetValue"]
            case T.SCHEDULED_ACTION:
                action = request["ScalableTargetAction"]
                service.setdefault("schedules", {})[request["ScheduledActionName"]] = {
                    "cron": request["Schedule"],
                    "timezone": request["Timezone"],
                    "min_capacity": action["MinCapacity"],
                    "max_capacity": action["MaxCapacity"],
                }
            case T.AUTO_SCALING_GROUP:
                line = {"min_size": request["MinSize"], "max_size": request["MaxSize"]}
                kind = request.get("$room", {}).get("instance_type")
                fleet[resource.name] = line | ({"instance_type": kind} if kind else {})
    # A variables file holds literal values: nothing in it is an expression, so nothing is escaped.
    return {"planner_services": services, "planner_fleet": fleet}


SERVICE_KINDS = frozenset({T.TASK_DEFINITION, T.SCALABLE_TARGET, T.SCALING_POLICY, T.SCHEDULED_ACTION})


def write_terraform(config: ConfigDocument, folder: Path) -> list[Path]:
    """Write `start/main.tf.json` and `contract/{variables.tf.json,planner.auto.tfvars.json}` under `folder`."""
    documents = {
        folder / "start" / "main.tf.json": main_tf(config),
        folder / "contract" / "variables.tf.json": contract_variables(),
        folder / "contract" / "planner.auto.tfvars.json": contract_values(config),
    }
    for path, document in documents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, document)
    return list(documents)
