"""A new machine image for a capacity provider's instances as a bundle of its own, applied wave by wave."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from deploy.aws.cloud import AwsCloud
from deploy.emit.bundle import NotSupported
from planner.documents import ConfigDocument, Resource, digest
from planner.documents.config import ResourceType
from planner.documents.plan import Scope

SHOWN_OF_IMAGE = 8
"""Last characters of an image's identifier in the name of its launch template."""


def refresh(
    cloud: AwsCloud, provider: str, author: str, now: datetime, image_id: str | None = None
) -> ConfigDocument:
    """The bundle that gives the provider's instances another image; the newest ECS-optimised one by default.

    Type and sizes stay. NotSupported names an obstacle, also where the instances have that image already.
    """
    group, instance = _group(cloud, provider), _instance(cloud, provider)
    name, template = str(group["AutoScalingGroupName"]), group["LaunchTemplate"]
    data = cloud.capacity.template_data(
        {"LaunchTemplateName": str(template["LaunchTemplateName"])}, template.get("Version") or "$Default"
    )
    kind = str((data or {}).get("InstanceType"))
    architecture = cloud.capacity.architecture(kind) or "x86_64"
    image = image_id or cloud.capacity.optimised_ami(architecture)
    if (data or {}).get("ImageId") == image:
        raise NotSupported(
            f"The instances of {provider} are launched from {image} already: name another --image-id."
        )
    fresh = f"{name}-{kind}-{image[-SHOWN_OF_IMAGE:]}"
    scope = cloud.scope()
    resources = (
        _template(fresh, provider, kind, architecture, image),
        _replaced(group, fresh, kind, architecture, instance),
        Resource(
            id=f"{ResourceType.CAPACITY_PROVIDER}/{provider}",
            type=ResourceType.CAPACITY_PROVIDER,
            name=provider,
            request={"name": provider, "autoScalingGroupProvider": {}},
            depends_on=(f"{ResourceType.AUTO_SCALING_GROUP}/{name}",),
        ),
    )
    return ConfigDocument(
        plan_sha256=digest({"refresh": provider, "image": image}),
        created_at=now,
        author=author,
        scope=Scope(account_id=scope.account_id, region=scope.region, cluster=cloud.cluster),
        today_usd_per_hour=None,
        plan_usd_per_hour=None,
        resources=resources,
    )


def _group(cloud: AwsCloud, provider: str) -> dict[str, Any]:
    known = cloud.capacity.describe_provider(provider)
    if known is None:
        raise NotSupported(f"There is no capacity provider {provider}: check --provider and --region.")
    arn = str(known.get("autoScalingGroupProvider", {}).get("autoScalingGroupArn", ""))
    group = cloud.capacity.describe_group(arn.rsplit("/", 1)[-1]) if arn else None
    if group is None:
        raise NotSupported(f"Capacity provider {provider} has no Auto Scaling group: only those can be refreshed.")
    if not group.get("LaunchTemplate"):
        raise NotSupported(
            f"The group of {provider} has no launch template of its own (a launch configuration, or a mixed "
            "instances policy): refreshing it is not supported yet."
        )
    return group


def _instance(cloud: AwsCloud, provider: str) -> dict[str, Any]:
    arns = [i.arn for i in cloud.ecs.instances(provider)]
    if not arns:
        raise NotSupported(f"No instance of {provider} has joined {cloud.cluster}: there is nothing to replace.")
    answer = cloud.calls("ecs", "DescribeContainerInstances", cluster=cloud.cluster, containerInstances=arns[:1])
    return dict(answer["containerInstances"][0])


def _template(name: str, provider: str, kind: str, architecture: str, image: str) -> Resource:
    return Resource(
        id=f"{ResourceType.LAUNCH_TEMPLATE}/{name}",
        type=ResourceType.LAUNCH_TEMPLATE,
        name=name,
        request={
            "LaunchTemplateName": name,
            "LaunchTemplateData": {
                "$base": f"{ResourceType.CAPACITY_PROVIDER}/{provider}",
                "$architecture": architecture,
                "InstanceType": kind,
                "ImageId": image,
            },
        },
    )


def _replaced(
    group: dict[str, Any], template: str, kind: str, architecture: str, instance: dict[str, Any]
) -> Resource:
    room = {r["name"]: r.get("integerValue", 0) for r in instance["registeredResources"]}
    name = str(group["AutoScalingGroupName"])
    return Resource(
        id=f"{ResourceType.AUTO_SCALING_GROUP}/{name}",
        type=ResourceType.AUTO_SCALING_GROUP,
        name=name,
        request={
            "AutoScalingGroupName": name,
            **{size: group[size] for size in ("MinSize", "MaxSize", "DesiredCapacity")},
            "LaunchTemplate": {"LaunchTemplateName": template, "Version": "$Latest"},
            "$zones": sorted(group["AvailabilityZones"]),
            "$room": {
                "instance_type": kind,
                "architecture": architecture,
                "cpu_units": room["CPU"],
                "memory_mib": room["MEMORY"],
            },
        },
        depends_on=(f"{ResourceType.LAUNCH_TEMPLATE}/{template}",),
    )
