"""Target groups and listener rules of Application Load Balancers through boto3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.aws.calls import Calls
from deploy.emit.routing import ATTRIBUTES, CONDITIONS
from deploy.model import Image, ResourceRef
from deploy.normalise import normalise, stated
from deploy.ports import CallFailed
from planner.documents import Resource
from planner.documents.config import ResourceType
from planner.model import Rejection

HEALTH_FIELDS = (
    "HealthCheckPath",
    "HealthCheckIntervalSeconds",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "UnhealthyThresholdCount",
    "Matcher",
)
COPIED_FIELDS = (
    "Protocol",
    "ProtocolVersion",
    "Port",
    "VpcId",
    "TargetType",
    "IpAddressType",
    "HealthCheckProtocol",
    "HealthCheckPort",
    "HealthCheckEnabled",
)
"""What a new target group takes from the one it is made like, and what no bundle changes."""
NOT_FOUND = frozenset({"TargetGroupNotFound", "LoadBalancerNotFound", "RuleNotFound", "ListenerNotFound"})


class RoutingResources:
    """How requests reach one Region's services."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def _found(self, operation: str, key: str, **parameters: Any) -> list[dict[str, Any]]:
        """The listed things; none where AWS says that there is no such thing."""
        try:
            return list(self._calls.pages("elbv2", operation, key, **parameters))
        except CallFailed as error:
            if error.code in NOT_FOUND or error.code.removesuffix("Exception") in NOT_FOUND:
                return []
            raise

    # Target groups

    def read_group(self, name: str) -> Image | None:
        found = self._found("DescribeTargetGroups", "TargetGroups", Names=[name])
        if not found:
            return None
        group = found[0]
        told = self._calls("elbv2", "DescribeTargetGroupAttributes", TargetGroupArn=group["TargetGroupArn"])
        image = {
            k: group[k] for k in ("TargetGroupArn", *HEALTH_FIELDS, *COPIED_FIELDS) if group.get(k) is not None
        }
        kept = [a for a in told["Attributes"] if a["Key"] in ATTRIBUTES]
        return normalise(ResourceType.TARGET_GROUP, image | {"Attributes": kept})

    def resolve_group(self, resource: Resource) -> Image | Rejection:
        wanted = {k: v for k, v in resource.request.items() if k not in {"Name", "TargetGroupArn", "$base"}}
        own, base = self.read_group(resource.name), resource.request.get("$base")
        # One that was made is no longer copied: what it is like may have changed since.
        like = own if own is not None or base is None else self.read_group(ResourceRef.parse(base).name)
        if like is None:
            return Rejection(str(base or resource.id), "is not there: name a target group that exists")
        known = {a["Key"]: a for a in like["Attributes"]} | {a["Key"]: a for a in wanted.get("Attributes", [])}
        if own is None:
            wanted = {k: v for k, v in like.items() if k != "TargetGroupArn"} | wanted
        if "Attributes" in wanted:
            wanted["Attributes"] = list(known.values())
        return normalise(ResourceType.TARGET_GROUP, wanted)

    def write_group(self, ref: ResourceRef, after: Image, live: Image | None) -> dict[str, Any]:
        if live is None:
            request = {k: v for k, v in stated(after).items() if k in {*HEALTH_FIELDS, *COPIED_FIELDS}}
            made = self._calls("elbv2", "CreateTargetGroup", Name=ref.name, **request)
            return {"TargetGroupArn": made["TargetGroups"][0]["TargetGroupArn"]}
        arn = str(live["TargetGroupArn"])
        changed = {k: v for k, v in after.items() if k in HEALTH_FIELDS and v is not None and v != live.get(k)}
        if changed:
            self._calls("elbv2", "ModifyTargetGroup", TargetGroupArn=arn, **changed)
        if after.get("Attributes") and after["Attributes"] != live.get("Attributes"):
            attributes = after["Attributes"]
            self._calls("elbv2", "ModifyTargetGroupAttributes", TargetGroupArn=arn, Attributes=attributes)
        return {"TargetGroupArn": arn}

    def delete_group(self, live: Image) -> None:
        self._calls("elbv2", "DeleteTargetGroup", TargetGroupArn=live["TargetGroupArn"])

    def healthy(self, target_group_arn: str) -> int:
        """Targets that take requests now."""
        told = self._calls("elbv2", "DescribeTargetHealth", TargetGroupArn=target_group_arn)
        return sum(1 for t in told["TargetHealthDescriptions"] if t["TargetHealth"]["State"] == "healthy")

    # Listener rules

    def listener_arn(self, balancer_and_port: str) -> str | None:
        name, _, port = balancer_and_port.rpartition(":")
        for balancer in self._found("DescribeLoadBalancers", "LoadBalancers", Names=[name]):
            arn = balancer["LoadBalancerArn"]
            for listener in self._found("DescribeListeners", "Listeners", LoadBalancerArn=arn):
                if listener["Port"] == int(port):
                    return str(listener["ListenerArn"])
        return None

    def used_by(self, balancer: str) -> tuple[int, int]:
        """Rules beside the default ones, and target groups, of all listeners of a load balancer."""
        rules, groups = 0, set[str]()
        for found in self._found("DescribeLoadBalancers", "LoadBalancers", Names=[balancer]):
            for listener in self._found(
                "DescribeListeners", "Listeners", LoadBalancerArn=found["LoadBalancerArn"]
            ):
                for rule in self._found("DescribeRules", "Rules", ListenerArn=listener["ListenerArn"]):
                    rules += not rule["IsDefault"]
                    groups.update(arn for action in rule["Actions"] for arn in _targets(action))
        return rules, len(groups)

    def read_rule(self, ref: ResourceRef) -> Image | None:
        listener = self.listener_arn(ref.service)
        if listener is None:
            return None
        for rule in self._found("DescribeRules", "Rules", ListenerArn=listener):
            if rule["Priority"] == ref.leaf:
                image = {
                    "RuleArn": rule["RuleArn"],
                    "Conditions": rule["Conditions"],
                    "Actions": rule["Actions"],
                }
                return normalise(ResourceType.LISTENER_RULE, image)
        return None

    def resolve_rule(self, ref: ResourceRef, request: Mapping[str, Any]) -> Image | Rejection:
        listener = self.listener_arn(ref.service)
        if listener is None:
            return Rejection(ref.id, f"has no listener: {ref.service} is no load balancer with such a port")
        live = self.read_rule(ref)
        if live is None and "RuleArn" in request:
            return Rejection(ref.id, "the plan says that it exists, but it is not there: make the plan again")
        problem = _untouchable(live)
        if problem is not None:
            return Rejection(ref.id, problem)
        wanted = {k: request[k] for k in ("Conditions", "Actions") if k in request}
        return normalise(ResourceType.LISTENER_RULE, wanted) | {"$listener": listener}

    def write_rule(self, ref: ResourceRef, after: Image, live: Image | None) -> dict[str, Any]:
        content = {k: after[k] for k in ("Conditions", "Actions") if after.get(k) is not None}
        if live is not None:
            self._calls("elbv2", "ModifyRule", RuleArn=live["RuleArn"], **content)
            return {"RuleArn": live["RuleArn"]}
        listener = after.get("$listener") or self.listener_arn(ref.service)
        made = self._calls("elbv2", "CreateRule", ListenerArn=listener, Priority=int(ref.leaf), **content)
        return {"RuleArn": made["Rules"][0]["RuleArn"]}

    def delete_rule(self, live: Image) -> None:
        self._calls("elbv2", "DeleteRule", RuleArn=live["RuleArn"])


def _targets(action: Mapping[str, Any]) -> list[str]:
    listed = [group["TargetGroupArn"] for group in (action.get("ForwardConfig") or {}).get("TargetGroups", [])]
    return listed or ([action["TargetGroupArn"]] if action.get("TargetGroupArn") else [])


def _untouchable(live: Image | None) -> str | None:
    """Why a rule is left alone: what it does beside forwarding could not be written back from what AWS tells."""
    kinds = sorted({str(action["Type"]) for action in (live or {}).get("Actions", [])} - {"forward"})
    if kinds:
        return f"has an action of type {kinds[0]}: changing such a rule is not supported yet"
    fields = sorted({str(c["Field"]) for c in (live or {}).get("Conditions", [])} - CONDITIONS.keys())
    return f"has a condition on {fields[0]}: changing such a rule is not supported yet" if fields else None
