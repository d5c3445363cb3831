"""Launch templates, Auto Scaling groups, capacity providers and the cluster's list of them through boto3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.aws.calls import Calls
from deploy.aws.groups import COPIED_GROUP_FIELDS, group_image
from deploy.emit.fields import replaces_in_place
from deploy.model import Image, ResourceRef
from deploy.normalise import OUTDATED, merged, normalise, short_name, stated
from deploy.ports import CallFailed
from planner.documents import Resource
from planner.documents.config import ResourceType
from planner.model import Rejection

AMI_PARAMETER = "/aws/service/ecs/optimized-ami/amazon-linux-2023/{architecture}recommended/image_id"
"""Public parameter of the ECS-optimised AMI (ECS developer guide, "Retrieving Linux Amazon ECS-optimized AMI
metadata"); the ARM one has `arm64/` in its path."""

MANAGED_DEFAULTS: Mapping[str, Any] = {"minimumScalingStepSize": 1, "maximumScalingStepSize": 10_000}


class CapacityResources:
    """What gives one cluster its instances."""

    def __init__(self, calls: Calls, cluster: str) -> None:
        self._calls = calls
        self.cluster = cluster

    # Launch templates

    def read_launch_template(self, name: str) -> Image | None:
        data = self.template_data({"LaunchTemplateName": name}, "$Latest")
        if data is None:
            return None
        return {"InstanceType": data.get("InstanceType"), "ImageId": data.get("ImageId")}

    def template_data(self, template: Mapping[str, str], version: str) -> dict[str, Any] | None:
        try:
            answer = self._calls("ec2", "DescribeLaunchTemplateVersions", **template, Versions=[version])
        except CallFailed as error:
            if "NotFound" in error.code:
                return None
            raise
        versions = answer["LaunchTemplateVersions"]
        return dict(versions[0]["LaunchTemplateData"]) if versions else None

    def resolve_launch_template(self, resource: Resource) -> Image | Rejection:
        """The base's data with another instance type; the AMI follows the architecture."""
        wanted = resource.request["LaunchTemplateData"]
        data = self._base_template_data(str(wanted["$base"]))
        if isinstance(data, Rejection):
            return data
        image = wanted.get("ImageId") or data.get("ImageId")
        if "ImageId" not in wanted and self.architecture(data.get("InstanceType")) != wanted["$architecture"]:
            image = self.optimised_ami(str(wanted["$architecture"]))
        return {"InstanceType": wanted["InstanceType"], "ImageId": image, "$base": str(wanted["$base"])}

    def write_launch_template(self, ref: ResourceRef, after: Image) -> dict[str, Any]:
        data = self._base_template_data(str(after["$base"]))
        if isinstance(data, Rejection):
            raise CallFailed("ec2:CreateLaunchTemplate", "Rejected", f"{data.what} {data.reason}")
        data |= {"InstanceType": after["InstanceType"], "ImageId": after["ImageId"]}
        data.pop("InstanceRequirements", None)
        self._calls("ec2", "CreateLaunchTemplate", LaunchTemplateName=ref.name, LaunchTemplateData=data)
        return {}

    def delete_launch_template(self, name: str) -> None:
        self._calls("ec2", "DeleteLaunchTemplate", LaunchTemplateName=name)

    def _base_template_data(self, base: str) -> dict[str, Any] | Rejection:
        group = self._group_of(ResourceRef.parse(base).name)
        if group is None:
            return Rejection(base, "is not there, so it cannot be copied")
        policy = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
        template = group.get("LaunchTemplate") or policy.get("LaunchTemplateSpecification")
        if template is None:
            return Rejection(
                base, "has no launch template (a launch configuration): copying that is not supported yet"
            )
        named = {k: template[k] for k in ("LaunchTemplateId",) if template.get(k)}
        data = self.template_data(
            named or {"LaunchTemplateName": template["LaunchTemplateName"]}, template.get("Version") or "$Default"
        )
        return data if data is not None else Rejection(base, "names a launch template that is not there")

    def architecture(self, instance_type: str | None) -> str | None:
        if instance_type is None:
            return None
        answer = self._calls("ec2", "DescribeInstanceTypes", InstanceTypes=[instance_type])
        found = answer["InstanceTypes"][0]["ProcessorInfo"]["SupportedArchitectures"]
        return next((a for a in found if a in {"x86_64", "arm64"}), None)

    def optimised_ami(self, architecture: str) -> str:
        path = AMI_PARAMETER.format(architecture="arm64/" if architecture == "arm64" else "")
        return str(self._calls("ssm", "GetParameter", Name=path)["Parameter"]["Value"])

    # Auto Scaling groups

    def describe_group(self, name: str) -> dict[str, Any] | None:
        answer = self._calls("autoscaling", "DescribeAutoScalingGroups", AutoScalingGroupNames=[name])
        groups = [g for g in answer["AutoScalingGroups"] if not str(g.get("Status", "")).startswith("Delete")]
        return groups[0] if groups else None

    def read_group(self, name: str) -> Image | None:
        group = self.describe_group(name)
        return None if group is None else normalise(ResourceType.AUTO_SCALING_GROUP, group_image(group))

    def resolve_group(self, resource: Resource) -> Image | Rejection:
        request = resource.request
        image: dict[str, Any] = {k: request[k] for k in ("MinSize", "MaxSize", "DesiredCapacity") if k in request}
        if replaces_in_place(resource):
            return self._replaced(resource) or {**image, "LaunchTemplate": request["LaunchTemplate"], OUTDATED: 0}
        if "$base" not in request:
            return self._other_type(resource) or image
        base = self._group_of(ResourceRef.parse(request["$base"]).name)
        if base is None:
            return Rejection(request["$base"], "is not there, so it cannot be copied")
        subnets = self._subnets(str(base.get("VPCZoneIdentifier", "")), tuple(request["$zones"]))
        if isinstance(subnets, Rejection):
            return subnets
        copied = {k: v for k, v in group_image(base).items() if k in (*COPIED_GROUP_FIELDS, "Tags")}
        shown = {"VPCZoneIdentifier": subnets, "LaunchTemplate": request["LaunchTemplate"]}
        whole: dict[str, Any] = {**copied, **image, **shown}
        return normalise(ResourceType.AUTO_SCALING_GROUP, whole)

    def _replaced(self, resource: Resource) -> Rejection | None:
        """Why the group's instances cannot be replaced in place."""
        group = self.describe_group(resource.name)
        if group is None or group.get("LaunchTemplate"):
            return None
        kind = "a mixed instances policy" if group.get("MixedInstancesPolicy") else "a launch configuration"
        return Rejection(
            resource.id,
            f"has {kind}: replacing its instances in place is not supported yet; plan a new capacity provider "
            "and retire this one",
        )

    def _other_type(self, resource: Resource) -> Rejection | None:
        """A group whose template stays keeps its instance type, or its sizes would be those of another type."""
        wanted = resource.request.get("$room", {}).get("instance_type")
        template = (self.describe_group(resource.name) or {}).get("LaunchTemplate")
        if wanted is None or not template:
            return None
        name = {"LaunchTemplateName": str(template["LaunchTemplateName"])}
        live = (self.template_data(name, template.get("Version") or "$Default") or {}).get("InstanceType")
        if live in (None, wanted):
            return None
        return Rejection(
            resource.id,
            f"has {live} and the plan wants {wanted}: say `replaces_type` in the plan's fleet to have its "
            "instances replaced in waves, or plan a new capacity provider and retire this one",
        )

    def _subnets(self, identifier: str, zones: tuple[str, ...]) -> str | Rejection:
        ids = [s.strip() for s in identifier.split(",") if s.strip()]
        if not ids:
            return Rejection("VPCZoneIdentifier", "the group to copy names no subnets: not supported yet")
        answer = self._calls("ec2", "DescribeSubnets", SubnetIds=ids)
        fitting = [s for s in answer["Subnets"] if s["AvailabilityZone"] in zones]
        missing = set(zones) - {s["AvailabilityZone"] for s in fitting}
        if missing:
            return Rejection("zones", f"the group to copy has no subnet in {', '.join(sorted(missing))}")
        return ",".join(sorted(s["SubnetId"] for s in fitting))

    def write_group(self, ref: ResourceRef, after: Image, live: Image | None) -> dict[str, Any]:
        if live is not None:
            changed = {
                k: v
                for k, v in after.items()
                if v != live.get(k) and k not in {"Tags", "AutoScalingGroupARN", OUTDATED}
            }
            if after.get("MaxSize") == 0:
                self._unprotect(ref.name)
            self._calls("autoscaling", "UpdateAutoScalingGroup", AutoScalingGroupName=ref.name, **changed)
            return {}
        request = {k: v for k, v in after.items() if k not in {"AutoScalingGroupARN", OUTDATED}}
        request["Tags"] = [
            {**tag, "ResourceId": ref.name, "ResourceType": "auto-scaling-group"} for tag in after.get("Tags", [])
        ]
        self._calls("autoscaling", "CreateAutoScalingGroup", AutoScalingGroupName=ref.name, **request)
        made = self.describe_group(ref.name)
        return {"AutoScalingGroupARN": made["AutoScalingGroupARN"]} if made else {}

    def _unprotect(self, name: str) -> None:
        """Instances protected from scale-in would stay although the group should have none."""
        group = self.describe_group(name)
        ids = [i["InstanceId"] for i in (group or {}).get("Instances", []) if i.get("ProtectedFromScaleIn")]
        for at in range(0, len(ids), 50):
            self._calls(
                "autoscaling",
                "SetInstanceProtection",
                AutoScalingGroupName=name,
                InstanceIds=ids[at : at + 50],
                ProtectedFromScaleIn=False,
            )

    def delete_group(self, name: str) -> None:
        self._calls("autoscaling", "DeleteAutoScalingGroup", AutoScalingGroupName=name, ForceDelete=True)

    # Capacity providers

    def describe_provider(self, name: str) -> dict[str, Any] | None:
        try:
            answer = self._calls("ecs", "DescribeCapacityProviders", capacityProviders=[name])
        except CallFailed as error:
            if error.code == "ClientException":
                return None
            raise
        found = [p for p in answer["capacityProviders"] if p.get("status") != "INACTIVE"]
        return found[0] if found else None

    def _group_of(self, provider: str) -> dict[str, Any] | None:
        found = self.describe_provider(provider)
        arn = (found or {}).get("autoScalingGroupProvider", {}).get("autoScalingGroupArn")
        return None if arn is None else self.describe_group(short_name(arn))

    def read_provider(self, name: str) -> Image | None:
        found = self.describe_provider(name)
        if found is None:
            return None
        return {
            "autoScalingGroupProvider": dict(found.get("autoScalingGroupProvider", {})),
            "capacityProviderArn": found["capacityProviderArn"],
        }

    def resolve_provider(self, resource: Resource) -> Image | Rejection:
        wanted = dict(resource.request["autoScalingGroupProvider"])
        base = wanted.pop("$base", None)
        if base is None:
            return {"autoScalingGroupProvider": wanted}
        found = self.describe_provider(ResourceRef.parse(base).name)
        if found is None:
            return Rejection(str(base), "is not there, so it cannot be copied")
        copied = {k: v for k, v in found["autoScalingGroupProvider"].items() if k != "autoScalingGroupArn"}
        return {"autoScalingGroupProvider": merged(copied, wanted)}

    def write_provider(self, ref: ResourceRef, after: Image, live: Image | None) -> dict[str, Any]:
        provider = after["autoScalingGroupProvider"]
        if live is None:
            answer = self._calls("ecs", "CreateCapacityProvider", name=ref.name, autoScalingGroupProvider=provider)
            return {"capacityProviderArn": answer["capacityProvider"]["capacityProviderArn"]}
        whole = merged(live["autoScalingGroupProvider"], provider)
        whole.pop("autoScalingGroupArn", None)
        self._calls("ecs", "UpdateCapacityProvider", name=ref.name, autoScalingGroupProvider=whole)
        return {}

    def delete_provider(self, name: str) -> None:
        self._calls("ecs", "DeleteCapacityProvider", capacityProvider=name)

    # The cluster's list

    def read_cluster(self, cluster: str) -> Image | None:
        answer = self._calls("ecs", "DescribeClusters", clusters=[cluster])
        found = [c for c in answer["clusters"] if c.get("status") != "INACTIVE"]
        if not found:
            return None
        image = _cluster_image(found[0])
        return normalise(ResourceType.CLUSTER_CAPACITY_PROVIDERS, image) | {"$raw": image}

    def resolve_cluster(self, resource: Resource) -> Image | Rejection:
        live = self.read_cluster(resource.name)
        if live is None:
            return Rejection(resource.id, "the cluster is not there: check --region and the plan's scope")
        new = [name for name in resource.request["capacityProviders"] if isinstance(name, str)]
        return {**stated(live), "capacityProviders": sorted({*live["capacityProviders"], *new})}

    def write_cluster(self, ref: ResourceRef, after: Image) -> dict[str, Any]:
        self._calls(
            "ecs",
            "PutClusterCapacityProviders",
            cluster=ref.name,
            **(after.get("$raw") or stated(after)),
        )
        return {}


def _cluster_image(cluster: Mapping[str, Any]) -> dict[str, Any]:
    names = ("capacityProviders", "defaultCapacityProviderStrategy")
    return {name: cluster.get(name, []) for name in names}
