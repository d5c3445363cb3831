"""Container instances with what they registered, and capacity providers with their Auto Scaling groups."""

from __future__ import annotations

from functools import partial
from typing import Any

from planner.aws.clients import Clients
from planner.aws.paging import Unreadable, batches, each, once, pages
from planner.model import (
    Architecture,
    CapacityProvider,
    ContainerInstance,
    ManagedScaling,
    Resources,
)
from planner.units import CpuUnits, MiB, Seconds

DESCRIBE_CONTAINER_INSTANCES_BATCH = 100
DESCRIBE_CAPACITY_PROVIDERS_BATCH = 100
DESCRIBE_GROUPS_BATCH = 100
DESCRIBE_INSTANCE_TYPES_BATCH = 100
AWS_PROVIDERS = frozenset({"FARGATE", "FARGATE_SPOT"})


def read_container_instances(
    clients: Clients, cluster_arn: str, unreadable: Unreadable
) -> tuple[ContainerInstance, ...]:
    ecs = clients.get("ecs")
    arns = unreadable.items(
        "container instances",
        lambda: pages(ecs, "list_container_instances", "containerInstanceArns", cluster=cluster_arn),
    )

    def describe(batch: Any) -> list[dict[str, Any]]:
        def read() -> list[dict[str, Any]]:
            answer = ecs.describe_container_instances(cluster=cluster_arn, containerInstances=list(batch))
            for failure in answer.get("failures", ()):
                name = str(failure.get("arn", "")).rsplit("/", 1)[-1]
                unreadable.note(f"container instance {name}", str(failure.get("reason")))
            return list(answer["containerInstances"])

        return unreadable.items("container instances", read)

    raws = [
        raw for found in each(describe, list(batches(arns, DESCRIBE_CONTAINER_INSTANCES_BATCH))) for raw in found
    ]
    limits = _network_interfaces(clients, {_attribute(raw, "ecs.instance-type") for raw in raws}, unreadable)
    trunks = _trunks({_attribute(raw, "ecs.instance-type") for raw in raws if _is_trunked(raw)}, unreadable)
    instances = [_instance(raw, limits, trunks) for raw in raws]
    return tuple(sorted(instances, key=lambda instance: (instance.zone, instance.ec2_instance_id, instance.arn)))


def _is_trunked(raw: dict[str, Any]) -> bool:
    return bool(_attribute(raw, "ecs.awsvpc-trunk-id"))


def _trunks(types: set[str], unreadable: Unreadable) -> dict[str, int]:
    """awsvpc tasks on a trunked instance by type: no API tells it, ECS's published table does."""
    if not types:
        return {}
    from planner.prices import load

    facts, found = load().instance_types, {}
    for instance_type in sorted(types):
        limit = facts[instance_type].task_enis(awsvpc_trunking=True) if instance_type in facts else None
        if limit is None:
            unreadable.note(
                f"the trunk's limit of {instance_type}", "ECS's table does not have the type: taken as no room"
            )
        found[instance_type] = limit or 0
    return found


def _instance(raw: dict[str, Any], interfaces: dict[str, int], trunks: dict[str, int]) -> ContainerInstance:
    instance_type = _attribute(raw, "ecs.instance-type")
    arm = _attribute(raw, "ecs.cpu-architecture") == "arm64"
    registered = _resources(raw.get("registeredResources", ()))
    remaining = _resources(raw.get("remainingResources", ()))
    untrunked = max(0, interfaces.get(instance_type, 1) - 1)  # one interface is the instance's own
    enis = trunks.get(instance_type, 0) if _is_trunked(raw) else untrunked
    attached = sum(1 for a in raw.get("attachments", ()) if a.get("type") in {"eni", "ElasticNetworkInterface"})
    return ContainerInstance(
        arn=raw["containerInstanceArn"],
        ec2_instance_id=raw.get("ec2InstanceId", ""),
        instance_type=instance_type,
        zone=_attribute(raw, "ecs.availability-zone"),
        architecture=Architecture.ARM64 if arm else Architecture.X86_64,
        registered=registered + Resources(enis=enis),
        remaining=remaining + Resources(enis=max(0, enis - attached)),
        capacity_provider=raw.get("capacityProviderName"),
        status=raw.get("status", "ACTIVE"),
    )


def _attribute(raw: dict[str, Any], name: str) -> str:
    for attribute in raw.get("attributes", ()):
        if attribute["name"] == name:
            return str(attribute.get("value") or "")
    return ""


def _resources(raw: Any) -> Resources:
    by_name = {item["name"]: item for item in raw}
    return Resources(
        CpuUnits(int(by_name.get("CPU", {}).get("integerValue", 0))),
        MiB(int(by_name.get("MEMORY", {}).get("integerValue", 0))),
        0,
        len(by_name.get("GPU", {}).get("stringSetValue", ())),
    )


def _network_interfaces(clients: Clients, types: set[str], unreadable: Unreadable) -> dict[str, int]:
    """MaximumNetworkInterfaces by instance type (EC2 DescribeInstanceTypes)."""
    found: dict[str, int] = {}
    for batch in batches(sorted(types - {""}), DESCRIBE_INSTANCE_TYPES_BATCH):
        described = unreadable.items(
            "network interface limits of instance types",
            partial(
                pages, clients.get("ec2"), "describe_instance_types", "InstanceTypes", InstanceTypes=list(batch)
            ),
        )
        found |= {
            raw["InstanceType"]: raw.get("NetworkInfo", {}).get("MaximumNetworkInterfaces", 1) for raw in described
        }
    return found


def read_capacity_providers(
    clients: Clients, cluster: dict[str, Any], services: list[dict[str, Any]], unreadable: Unreadable
) -> tuple[CapacityProvider, ...]:
    """The cluster's capacity providers; those that only a service's strategy names are read too."""
    names = set(cluster.get("capacityProviders") or ())
    for raw in services:
        names |= {item["capacityProvider"] for item in raw.get("capacityProviderStrategy") or ()}
    described: list[dict[str, Any]] = []
    for batch in batches(sorted(names), DESCRIBE_CAPACITY_PROVIDERS_BATCH):
        described += unreadable.items(
            "capacity providers",
            partial(
                once,
                clients.get("ecs"),
                "describe_capacity_providers",
                "capacityProviders",
                capacityProviders=list(batch),
            ),
        )
    known = {raw["name"] for raw in described}
    described += [{"name": name} for name in sorted(names & AWS_PROVIDERS - known)]
    groups = _groups(clients, [arn for raw in described if (arn := _group_arn(raw))], unreadable)
    return tuple(
        _provider(clients, raw, groups.get(_group_name(_group_arn(raw))), unreadable)
        for raw in sorted(described, key=lambda raw: str(raw["name"]))
    )


def _group_arn(raw: dict[str, Any]) -> str:
    return str((raw.get("autoScalingGroupProvider") or {}).get("autoScalingGroupArn") or "")


def _group_name(arn: str) -> str:
    return arn.rsplit("autoScalingGroupName/", 1)[-1]


def _groups(clients: Clients, arns: list[str], unreadable: Unreadable) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for batch in batches(sorted({_group_name(arn) for arn in arns}), DESCRIBE_GROUPS_BATCH):
        described = unreadable.items(
            "Auto Scaling groups",
            partial(
                pages,
                clients.get("autoscaling"),
                "describe_auto_scaling_groups",
                "AutoScalingGroups",
                AutoScalingGroupNames=list(batch),
            ),
        )
        found |= {raw["AutoScalingGroupName"]: raw for raw in described}
    return found


def _provider(
    clients: Clients, raw: dict[str, Any], group: dict[str, Any] | None, unreadable: Unreadable
) -> CapacityProvider:
    own = raw.get("autoScalingGroupProvider") or {}
    scaling = own.get("managedScaling") or {}
    arn = _group_arn(raw)
    if arn and group is None:
        unreadable.note(f"Auto Scaling group {_group_name(arn)}", "it was not found")
    group = group or {}
    return CapacityProvider(
        name=raw["name"],
        arn=raw.get("capacityProviderArn", ""),
        auto_scaling_group=_group_name(arn) if arn else None,
        instance_types=_instance_types(clients, raw["name"], group, unreadable),
        zones=tuple(sorted(group.get("AvailabilityZones", ()))),
        min_size=group.get("MinSize", 0),
        max_size=group.get("MaxSize", 0),
        desired_size=group.get("DesiredCapacity", 0),
        managed_scaling=ManagedScaling(
            enabled=scaling.get("status") == "ENABLED",
            target_capacity_percent=scaling.get("targetCapacity", 100),
            minimum_step=scaling.get("minimumScalingStepSize", 1),
            maximum_step=scaling.get("maximumScalingStepSize", 10_000),
            instance_warmup=Seconds(scaling.get("instanceWarmupPeriod", 300)),
        ),
        managed_termination_protection=own.get("managedTerminationProtection") == "ENABLED",
        managed_draining=own.get("managedDraining", "ENABLED") == "ENABLED",
    )


def _instance_types(
    clients: Clients, provider: str, group: dict[str, Any], unreadable: Unreadable
) -> tuple[str, ...]:
    """Types the group may launch, in its order of preference; else those it runs at the moment."""
    policy = (group.get("MixedInstancesPolicy") or {}).get("LaunchTemplate") or {}
    overrides = policy.get("Overrides", ())
    named = [o["InstanceType"] for o in overrides if o.get("InstanceType")]
    if named:
        return tuple(dict.fromkeys(named))
    running = tuple(sorted({i["InstanceType"] for i in group.get("Instances", ()) if i.get("InstanceType")}))
    if any(o.get("InstanceRequirements") for o in overrides):
        unreadable.note(
            f"capacity provider {provider}",
            "its group chooses types by attributes; only the types that run now are listed",
        )
        return running
    template = group.get("LaunchTemplate") or policy.get("LaunchTemplateSpecification") or {}
    if template:
        found = unreadable.attempt(
            f"launch template of capacity provider {provider}",
            lambda: _template_type(clients, template),
            "",
        )
        return (found,) if found else running
    if group.get("LaunchConfigurationName"):
        found = unreadable.attempt(
            f"launch configuration of capacity provider {provider}",
            lambda: _configuration_type(clients, group["LaunchConfigurationName"]),
            "",
        )
        return (found,) if found else running
    return running


def _template_type(clients: Clients, template: dict[str, Any]) -> str:
    key = "LaunchTemplateId" if template.get("LaunchTemplateId") else "LaunchTemplateName"
    answer = clients.get("ec2").describe_launch_template_versions(
        **{key: template[key]}, Versions=[str(template.get("Version") or "$Default")]
    )
    versions = answer["LaunchTemplateVersions"]
    return str(versions[0]["LaunchTemplateData"].get("InstanceType", "")) if versions else ""


def _configuration_type(clients: Clients, name: str) -> str:
    answer = clients.get("autoscaling").describe_launch_configurations(LaunchConfigurationNames=[name])
    found = answer["LaunchConfigurations"]
    return str(found[0]["InstanceType"]) if found else ""
