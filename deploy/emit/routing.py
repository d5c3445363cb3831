"""Target groups and listener rules in their four spellings: the plan's, AWS's, Terraform's and CloudFormation's.

Rules are nested where Terraform has blocks, so they are turned here and not by the table of fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from planner.documents import PlanDocument, Resource
from planner.documents.config import ResourceType
from planner.documents.plan import ServicePlan
from planner.documents.routing import ConditionPlan, RulePlan, TargetGroupPlan

CONDITIONS: Mapping[str, tuple[str, str]] = {
    "host-header": ("HostHeaderConfig", "host_header"),
    "path-pattern": ("PathPatternConfig", "path_pattern"),
    "http-request-method": ("HttpRequestMethodConfig", "http_request_method"),
    "source-ip": ("SourceIpConfig", "source_ip"),
    "http-header": ("HttpHeaderConfig", "http_header"),
}
"""Field of a condition to (member of the AWS request, Terraform block)."""
ATTRIBUTES: Mapping[str, str] = {
    "deregistration_delay.timeout_seconds": "deregistration_delay",
    "slow_start.duration_seconds": "slow_start",
    "load_balancing.algorithm.type": "load_balancing_algorithm_type",
}
"""Attribute of a target group that we manage to Terraform's argument."""


def target_group_id(name: str) -> str:
    return f"{ResourceType.TARGET_GROUP}/{name}"


def _arn(name: str) -> dict[str, str]:
    return {"$ref": f"{target_group_id(name)}#TargetGroupArn"}


# From the plan


def routing_resources(plan: PlanDocument) -> tuple[list[Resource], list[Resource]]:
    """Target groups, which come before services, and listener rules, which come after."""
    return [_target_group(group) for group in plan.target_groups], [_rule(plan, rule) for rule in plan.rules]


def attachments(service: ServicePlan) -> list[dict[str, Any]]:
    """UpdateService's `loadBalancers` for what the plan attaches."""
    return [
        {
            "targetGroupArn": _arn(item.target_group),
            "containerName": item.container,
            "containerPort": item.container_port,
        }
        for item in service.load_balancers
    ]


def _target_group(plan: TargetGroupPlan) -> Resource:
    request: dict[str, Any] = (
        {"TargetGroupArn": _arn(plan.name)}
        if plan.exists
        else {"Name": plan.name, "$base": target_group_id(str(plan.like))}
    )
    check = plan.health_check
    if check is not None:
        settings = {
            "HealthCheckPath": check.path,
            "HealthCheckIntervalSeconds": check.interval_s,
            "HealthCheckTimeoutSeconds": check.timeout_s,
            "HealthyThresholdCount": check.healthy_threshold,
            "UnhealthyThresholdCount": check.unhealthy_threshold,
            "Matcher": None if check.matcher is None else {"HttpCode": check.matcher},
        }
        request |= {name: value for name, value in settings.items() if value is not None}
    values = (plan.deregistration_delay_s, plan.slow_start_s, plan.algorithm)
    chosen = [
        {"Key": key, "Value": str(value)}
        for key, value in zip(ATTRIBUTES, values, strict=True)
        if value is not None
    ]
    if chosen:
        request["Attributes"] = sorted(chosen, key=lambda item: item["Key"])
    return Resource(id=target_group_id(plan.name), type=ResourceType.TARGET_GROUP, name=plan.name, request=request)


def _rule(plan: PlanDocument, rule: RulePlan) -> Resource:
    resource_id = f"{ResourceType.LISTENER_RULE}/{rule.name}"
    own = {"RuleArn": {"$ref": f"{resource_id}#RuleArn"}}
    listener = {
        "ListenerArn": {"$base": f"listener/{rule.load_balancer}:{rule.port}"},
        "Priority": rule.priority,
    }
    targets = sorted(rule.forward, key=lambda target: target.target_group)
    forward = {
        "Type": "forward",
        "ForwardConfig": {
            "TargetGroups": [{"TargetGroupArn": _arn(t.target_group), "Weight": t.weight} for t in targets]
        },
    }
    conditions = sorted((_condition(c) for c in rule.conditions), key=lambda c: str(c["Field"]))
    content = {"Conditions": conditions, "Actions": [forward]} if rule.present else {}
    named = {target.target_group for target in targets}
    attached = [s.service for s in plan.services if named & {a.target_group for a in s.load_balancers}]
    return Resource(
        id=resource_id,
        type=ResourceType.LISTENER_RULE,
        name=rule.name,
        request={**(own if rule.exists or not rule.present else listener), **content},
        depends_on=tuple(
            [target_group_id(name) for name in sorted(named)]
            + [f"{ResourceType.SERVICE}/{name}" for name in sorted(attached)]
        ),
        present=rule.present,
    )


def _condition(plan: ConditionPlan) -> dict[str, Any]:
    member, _block = CONDITIONS[plan.field]
    header = {} if plan.header is None else {"HttpHeaderName": plan.header}
    return {"Field": plan.field, member: {**header, "Values": sorted(plan.values)}}


def own_arn(resource_id: str, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What identifies a target group or rule that exists; nothing for one that is made (its recipe says how)."""
    if any(path.endswith("$base") for path in recipe):
        return {}
    field = "TargetGroupArn" if resource_id.startswith(f"{ResourceType.TARGET_GROUP}/") else "RuleArn"
    return {field: {"$ref": f"{resource_id}#{field}"}}


def with_content(request: Mapping[str, Any], own: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    """A request that was read back: what exists is named by its ARN, and so without its name or priority."""
    named = {"Name", "Priority"} if own else set()
    return {k: v for k, v in request.items() if k not in named} | dict(own) | dict(content)


# Terraform


def rule_blocks(request: Mapping[str, Any], value: Callable[[Any], Any]) -> dict[str, Any]:
    """A rule's conditions and actions as Terraform blocks; `value` spells a literal or a reference."""
    conditions = []
    for condition in request["Conditions"]:
        member, block = CONDITIONS[condition["Field"]]
        told = {"values": [value(v) for v in condition[member]["Values"]]}
        if "HttpHeaderName" in condition[member]:
            told["http_header_name"] = value(condition[member]["HttpHeaderName"])
        conditions.append({block: [told]})
    targets = [
        {"arn": value(target["TargetGroupArn"]), "weight": target["Weight"]}
        for target in request["Actions"][0]["ForwardConfig"]["TargetGroups"]
    ]
    return {"condition": conditions, "action": [{"type": "forward", "forward": [{"target_group": targets}]}]}


def read_rule_blocks(block: Mapping[str, Any], read: Callable[[Any], Any]) -> dict[str, Any]:
    """The inverse of `rule_blocks`."""
    by_block = {name: (field, member) for field, (member, name) in CONDITIONS.items()}
    conditions = []
    for condition in block["condition"]:
        ((name, (told,)),) = condition.items()
        field, member = by_block[name]
        header = {"HttpHeaderName": read(told["http_header_name"])} if "http_header_name" in told else {}
        conditions.append({"Field": field, member: {**header, "Values": [read(v) for v in told["values"]]}})
    targets = [
        {"TargetGroupArn": read(target["arn"]), "Weight": target["weight"]}
        for target in block["action"][0]["forward"][0]["target_group"]
    ]
    return {
        "Conditions": conditions,
        "Actions": [{"Type": "forward", "ForwardConfig": {"TargetGroups": targets}}],
    }


def attribute_arguments(request: Mapping[str, Any]) -> dict[str, str]:
    """A target group's attributes as Terraform's arguments."""
    return {ATTRIBUTES[item["Key"]]: item["Value"] for item in request.get("Attributes", [])}


def read_attribute_arguments(block: Mapping[str, Any]) -> dict[str, Any]:
    found = [{"Key": key, "Value": block[name]} for key, name in ATTRIBUTES.items() if name in block]
    return {"Attributes": sorted(found, key=lambda item: str(item["Key"]))} if found else {}


# CloudFormation spells both as the API does; only references differ


def replaced(tree: Any, convert: Callable[[Any], Any]) -> Any:
    """The tree with `convert` applied to every reference and literal in it."""
    if isinstance(tree, Mapping) and len(tree) == 1 and next(iter(tree)) in {"$ref", "Ref", "Fn::GetAtt"}:
        return convert(tree)
    if isinstance(tree, Mapping):
        return {key: replaced(item, convert) for key, item in tree.items()}
    if isinstance(tree, list):
        return [replaced(item, convert) for item in tree]
    return convert(tree)
