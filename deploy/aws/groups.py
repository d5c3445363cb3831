"""An Auto Scaling group's description as an image, and which of its instances are outdated. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.normalise import OUTDATED

COPIED_GROUP_FIELDS = (
    "HealthCheckType",
    "HealthCheckGracePeriod",
    "NewInstancesProtectedFromScaleIn",
    "TerminationPolicies",
)


def group_image(group: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that we manage or restore."""
    fields = (
        "MinSize",
        "MaxSize",
        "DesiredCapacity",
        "AutoScalingGroupARN",
        "VPCZoneIdentifier",
        *COPIED_GROUP_FIELDS,
    )
    image = {name: group[name] for name in fields if group.get(name) is not None}
    template = group.get("LaunchTemplate")
    if template:
        image["LaunchTemplate"] = {k: template.get(k) for k in ("LaunchTemplateName", "Version")}
    tags = [
        {k: tag.get(k) for k in ("Key", "Value", "PropagateAtLaunch")}
        for tag in group.get("Tags", [])
        if not str(tag["Key"]).startswith("aws:")
    ]
    image["Tags"] = sorted(tags, key=lambda tag: str(tag["Key"]))
    image[OUTDATED] = sum(staying(group).values())
    return image


def staying(group: Mapping[str, Any]) -> dict[str, bool]:
    """EC2 identifiers of the instances that are not terminating, and whether each is outdated.

    A bundle never changes a launch template but makes a new one, so the template's name tells; an instance of
    which AWS names no template (the group had a launch configuration) is outdated once the group has one.
    """
    template = (group.get("LaunchTemplate") or {}).get("LaunchTemplateName")
    return {
        instance["InstanceId"]: template is not None
        and (instance.get("LaunchTemplate") or {}).get("LaunchTemplateName") != template
        for instance in group.get("Instances", [])
        if not str(instance.get("LifecycleState", "")).startswith("Terminat")
    }
