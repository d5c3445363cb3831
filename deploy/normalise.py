"""One spelling for one meaning, so that an empty diff means that there is nothing to do.

Defaults that AWS fills in are filled in on both sides, order that has no meaning is sorted away, and sizes
are whole CPU units and MiB whatever way they were written. Pure; never changes its argument.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from deploy.model import Image
from deploy.monitoring import fast_names, spelled
from planner.documents.config import ResourceType
from planner.units import CpuUnits, MiB, cpu_units, mib

VOLATILE: dict[ResourceType, frozenset[str]] = {
    ResourceType.SERVICE: frozenset({"desiredCount"}),
    ResourceType.AUTO_SCALING_GROUP: frozenset({"DesiredCapacity", "OutdatedInstances"}),
}
"""Fields that an autoscaler moves all day: recorded in before-images, but no part of what is approved."""
OUTDATED = "OutdatedInstances"
"""Instances of a group that were launched from another template than it has now; wanted is 0 where a bundle
replaces them."""


def normalise(kind: ResourceType, image: Image) -> dict[str, Any]:
    """The image with defaults filled in, units and order made equal, and markers left as they are."""
    return _NORMALISERS.get(kind, dict)(image)


def stable(kind: ResourceType, image: Image | None) -> dict[str, Any] | None:
    """The image without what an autoscaler moves."""
    if image is None:
        return None
    return {k: v for k, v in stated(image).items() if k not in VOLATILE.get(kind, frozenset())}


def stated(image: Image) -> dict[str, Any]:
    """The image without its `$` fields, which say how to make the resource and are no state of it."""
    return {k: v for k, v in image.items() if not k.startswith("$")}


def task_cpu_units(text: str | int) -> CpuUnits:
    """Task-level CPU as the API and people write it: "256", 256, "0.25 vCPU", "0.25vcpu"."""
    match = re.fullmatch(r"\s*([0-9.]+)\s*vcpu\s*", str(text), re.IGNORECASE)
    return cpu_units(float(match.group(1))) if match else CpuUnits(int(str(text).strip()))


def task_memory_mib(text: str | int) -> MiB:
    """Task-level memory: "512", 512, "0.5 GB", "0.5gb". ECS's GB are GiB."""
    match = re.fullmatch(r"\s*([0-9.]+)\s*gb\s*", str(text), re.IGNORECASE)
    return mib(float(match.group(1))) if match else MiB(int(str(text).strip()))


def short_name(arn: str) -> str:
    """The name at the end of an ARN, or the text itself."""
    return arn.rsplit("/", 1)[-1] if arn.startswith("arn:") else arn


def _task_definition(image: Image) -> dict[str, Any]:
    found = dict(image)
    if found.get("cpu") is not None:
        found["cpu"] = str(task_cpu_units(found["cpu"]))
    if found.get("memory") is not None:
        found["memory"] = str(task_memory_mib(found["memory"]))
    return found


DEPLOYMENT_DEFAULTS: Mapping[str, Any] = {"minimumHealthyPercent": 100, "maximumPercent": 200}
"""ECS API reference, DeploymentConfiguration, for the REPLICA strategy."""


def _service(image: Image) -> dict[str, Any]:
    found = dict(image)
    if "capacityProviderStrategy" in found:
        items = [
            {
                "capacityProvider": short_name(item["capacityProvider"]),
                "weight": int(item.get("weight", 0)),
                "base": int(item.get("base", 0)),
            }
            for item in found["capacityProviderStrategy"] or []
        ]
        found["capacityProviderStrategy"] = sorted(items, key=lambda item: item["capacityProvider"])
    if "loadBalancers" in found:
        found["loadBalancers"] = _sorted(found["loadBalancers"] or [])
    if "placementStrategy" in found:
        found["placementStrategy"] = [_placement(rule) for rule in found["placementStrategy"] or []]
    if "deploymentConfiguration" in found:
        found["deploymentConfiguration"] = _deployment(found["deploymentConfiguration"] or {})
    if "monitoring" in found:
        found["monitoring"] = spelled(fast_names(found["monitoring"]))
    return found


def _placement(rule: Mapping[str, Any]) -> dict[str, str]:
    field = str(rule.get("field") or "")
    kind = str(rule["type"]).lower()
    if kind == "binpack":
        field = field.lower()
    elif field.lower() in {"instanceid", "host"}:
        field = "instanceId"
    return {"type": kind, "field": field} if field and kind != "random" else {"type": kind}


def _deployment(configuration: Mapping[str, Any]) -> dict[str, Any]:
    found = {**DEPLOYMENT_DEFAULTS, **{k: v for k, v in configuration.items() if v not in (None, [], {})}}
    breaker = found.get("deploymentCircuitBreaker") or {}
    found["deploymentCircuitBreaker"] = {
        "enable": bool(breaker.get("enable", False)),
        "rollback": bool(breaker.get("rollback", False)),
        **{k: v for k, v in breaker.items() if k not in {"enable", "rollback"} and v is not None},
    }
    for name in ("minimumHealthyPercent", "maximumPercent"):
        found[name] = int(found[name])
    return found


def _group(image: Image) -> dict[str, Any]:
    found = dict(image)
    subnets = found.get("VPCZoneIdentifier")
    if isinstance(subnets, str):
        found["VPCZoneIdentifier"] = ",".join(sorted(s.strip() for s in subnets.split(",") if s.strip()))
    return found


def _target(image: Image) -> dict[str, Any]:
    found = dict(image)
    suspended = found.get("SuspendedState") or {}
    found["SuspendedState"] = {
        name: bool(suspended.get(name, False))
        for name in ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
    }
    return found


def _policy(image: Image) -> dict[str, Any]:
    found = dict(image)
    tracking = found.get("TargetTrackingScalingPolicyConfiguration")
    if isinstance(tracking, Mapping):
        found["TargetTrackingScalingPolicyConfiguration"] = {
            **{k: v for k, v in tracking.items() if v is not None},
            "TargetValue": float(tracking["TargetValue"]),
            "DisableScaleIn": bool(tracking.get("DisableScaleIn", False)),
        }
    return found


def _schedule(image: Image) -> dict[str, Any]:
    found = dict(image)
    found["Timezone"] = found.get("Timezone") or "UTC"
    if isinstance(found.get("Schedule"), str):
        found["Schedule"] = re.sub(r"\s+", " ", found["Schedule"].strip())
    return found


def _cluster(image: Image) -> dict[str, Any]:
    found = dict(image)
    found["capacityProviders"] = sorted(found.get("capacityProviders") or [])
    found["defaultCapacityProviderStrategy"] = sorted(
        (
            {"capacityProvider": i["capacityProvider"], "weight": i.get("weight", 0), "base": i.get("base", 0)}
            for i in found.get("defaultCapacityProviderStrategy") or []
        ),
        key=lambda item: str(item["capacityProvider"]),
    )
    return found


def _sorted(items: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Entries whose order has no meaning, each of them once."""
    by_text = {json.dumps(item, sort_keys=True, default=str): dict(item) for item in items}
    return [by_text[text] for text in sorted(by_text)]


def _target_group(image: Image) -> dict[str, Any]:
    found = dict(image)
    if "Attributes" in found:
        found["Attributes"] = sorted(
            ({"Key": a["Key"], "Value": str(a["Value"])} for a in found["Attributes"]), key=lambda a: str(a["Key"])
        )
    return found


def _rule(image: Image) -> dict[str, Any]:
    """Conditions as their configurations (older spelling: Values beside Field), actions with weights."""
    found = dict(image)
    if found.get("Conditions") is not None:
        found["Conditions"] = _sorted(_condition(condition) for condition in found["Conditions"])
    if found.get("Actions") is not None:
        found["Actions"] = [_action(action) for action in found["Actions"]]
    return found


def _condition(condition: Mapping[str, Any]) -> dict[str, Any]:
    field = str(condition["Field"])
    member = "".join(word.capitalize() for word in field.split("-")) + "Config"
    told = dict(condition.get(member) or {"Values": condition.get("Values", [])})
    if "Values" in told:
        told["Values"] = sorted(told["Values"], key=str)
    return {"Field": field, member: told}


def _action(action: Mapping[str, Any]) -> dict[str, Any]:
    if action["Type"] != "forward":
        return dict(action)
    config = action.get("ForwardConfig") or {"TargetGroups": [{"TargetGroupArn": action["TargetGroupArn"]}]}
    groups = [
        {"TargetGroupArn": g["TargetGroupArn"], "Weight": int(g.get("Weight", 1))} for g in config["TargetGroups"]
    ]
    sticky = config.get("TargetGroupStickinessConfig") or {}
    told: dict[str, Any] = {"TargetGroups": _sorted(groups)}
    if sticky.get("Enabled"):
        told["TargetGroupStickinessConfig"] = dict(sticky)
    return {"Type": "forward", "ForwardConfig": told}


def ordered(kind: ResourceType, image: Image) -> dict[str, Any]:
    """The image once more in its normal order, after references in it were replaced by what they refer to."""
    if kind is ResourceType.LISTENER_RULE:
        return _rule(image)
    found = dict(image)
    if kind is ResourceType.SERVICE and found.get("loadBalancers") is not None:
        found["loadBalancers"] = _sorted(found["loadBalancers"])
    return found


_NORMALISERS: dict[ResourceType, Callable[[Image], dict[str, Any]]] = {
    ResourceType.TASK_DEFINITION: _task_definition,
    ResourceType.SERVICE: _service,
    ResourceType.AUTO_SCALING_GROUP: _group,
    ResourceType.SCALABLE_TARGET: _target,
    ResourceType.SCALING_POLICY: _policy,
    ResourceType.SCHEDULED_ACTION: _schedule,
    ResourceType.CLUSTER_CAPACITY_PROVIDERS: _cluster,
    ResourceType.TARGET_GROUP: _target_group,
    ResourceType.LISTENER_RULE: _rule,
}


def merged(live: Image | None, wanted: Image) -> dict[str, Any]:
    """`wanted` laid over `live`: objects field by field, anything else replaced whole, None removed."""
    result = dict(live or {})
    for key, value in wanted.items():
        if value is None:
            result.pop(key, None)
            continue
        present = result.get(key)
        both = isinstance(value, Mapping) and isinstance(present, Mapping)
        result[key] = merged(present, value) if both else value
    return result


def exactly(wanted: Image, live: Image | None) -> dict[str, Any]:
    """`wanted` with a None for every field that only `live` has, so that merging leaves just `wanted`."""
    result: dict[str, Any] = dict.fromkeys((live or {}).keys() - wanted.keys())
    for key, value in wanted.items():
        present = (live or {}).get(key)
        both = isinstance(value, Mapping) and isinstance(present, Mapping)
        result[key] = exactly(value, present) if both else value
    return result


def covers(live: Image | None, wanted: Image | None) -> bool:
    """Whether `live` already has everything that `wanted` asks for."""
    if live is None or wanted is None:
        return live is None and wanted is None
    return merged(live, stated(wanted)) == dict(live)
