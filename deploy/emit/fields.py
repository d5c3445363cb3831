"""Where each field of the bundle stands in Terraform and in CloudFormation. One table, used both ways.

Paths are dotted; a nested block of Terraform is a list of one object in its JSON form. Names were held against
the schema of Terraform's AWS provider 5.100 and CloudFormation's through cfn-lint 1.58, and tests hold them again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from planner.documents.config import Resource, ResourceType


@dataclass(frozen=True, slots=True)
class Field:
    """One field in its three spellings. `item` spells the fields of the objects in a list.

    `terraform` is "" for what the provider has no argument for, which deploy.emit.terraform refuses.
    """

    aws: str
    terraform: str
    cloudformation: str
    item: tuple[tuple[str, str, str], ...] = ()
    text_in_cloudformation: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    terraform: str
    cloudformation: str
    fields: tuple[Field, ...]


STRATEGY_ITEM = (
    ("capacityProvider", "capacity_provider", "CapacityProvider"),
    ("weight", "weight", "Weight"),
    ("base", "base", "Base"),
)
ATTACHMENT_ITEM = (
    ("targetGroupArn", "target_group_arn", "TargetGroupArn"),
    ("containerName", "container_name", "ContainerName"),
    ("containerPort", "container_port", "ContainerPort"),
)
METRIC_ITEM = (("metricNames", "", "MetricNames"), ("resolutionSeconds", "", "ResolutionSeconds"))
PLACEMENT_ITEM = (("type", "type", "Type"), ("field", "field", "Field"))
SCALABLE = (
    Field("ServiceNamespace", "service_namespace", "ServiceNamespace"),
    Field("ResourceId", "resource_id", "ResourceId"),
    Field("ScalableDimension", "scalable_dimension", "ScalableDimension"),
)
TRACKING = "TargetTrackingScalingPolicyConfiguration"
TRACKING_TF = "target_tracking_scaling_policy_configuration"
METRIC = f"{TRACKING}.PredefinedMetricSpecification"
METRIC_TF = f"{TRACKING_TF}.predefined_metric_specification"
PROVIDER = "autoScalingGroupProvider"
PROVIDER_TF = "auto_scaling_group_provider"
DEPLOYMENT = "deploymentConfiguration"

KINDS: dict[ResourceType, Kind] = {
    ResourceType.LAUNCH_TEMPLATE: Kind(
        "aws_launch_template",
        "AWS::EC2::LaunchTemplate",
        (
            Field("LaunchTemplateName", "name", "LaunchTemplateName"),
            Field("LaunchTemplateData.InstanceType", "instance_type", "LaunchTemplateData.InstanceType"),
            Field("LaunchTemplateData.ImageId", "image_id", "LaunchTemplateData.ImageId"),
        ),
    ),
    ResourceType.AUTO_SCALING_GROUP: Kind(
        "aws_autoscaling_group",
        "AWS::AutoScaling::AutoScalingGroup",
        (
            Field("AutoScalingGroupName", "name", "AutoScalingGroupName"),
            Field("MinSize", "min_size", "MinSize", text_in_cloudformation=True),
            Field("MaxSize", "max_size", "MaxSize", text_in_cloudformation=True),
            Field("DesiredCapacity", "desired_capacity", "DesiredCapacity", text_in_cloudformation=True),
            Field(
                "LaunchTemplate.LaunchTemplateName", "launch_template.name", "LaunchTemplate.LaunchTemplateName"
            ),
            Field("LaunchTemplate.Version", "launch_template.version", "LaunchTemplate.Version"),
        ),
    ),
    ResourceType.CAPACITY_PROVIDER: Kind(
        "aws_ecs_capacity_provider",
        "AWS::ECS::CapacityProvider",
        (
            Field("name", "name", "Name"),
            Field(
                f"{PROVIDER}.autoScalingGroupArn",
                f"{PROVIDER_TF}.auto_scaling_group_arn",
                "AutoScalingGroupProvider.AutoScalingGroupArn",
            ),
            Field(
                f"{PROVIDER}.managedScaling.status",
                f"{PROVIDER_TF}.managed_scaling.status",
                "AutoScalingGroupProvider.ManagedScaling.Status",
            ),
            Field(
                f"{PROVIDER}.managedScaling.targetCapacity",
                f"{PROVIDER_TF}.managed_scaling.target_capacity",
                "AutoScalingGroupProvider.ManagedScaling.TargetCapacity",
            ),
        ),
    ),
    ResourceType.CLUSTER_CAPACITY_PROVIDERS: Kind(
        "aws_ecs_cluster_capacity_providers",
        "AWS::ECS::ClusterCapacityProviderAssociations",
        (Field("cluster", "cluster_name", "Cluster"),),
    ),
    ResourceType.TASK_DEFINITION: Kind(
        "aws_ecs_task_definition",
        "AWS::ECS::TaskDefinition",
        (
            Field("cpu", "cpu", "Cpu"),
            Field("memory", "memory", "Memory"),
            Field(
                "runtimePlatform.cpuArchitecture",
                "runtime_platform.cpu_architecture",
                "RuntimePlatform.CpuArchitecture",
            ),
        ),
    ),
    ResourceType.SERVICE: Kind(
        "aws_ecs_service",
        "AWS::ECS::Service",
        (
            Field("cluster", "cluster", "Cluster"),
            Field("service", "name", "ServiceName"),
            Field("taskDefinition", "task_definition", "TaskDefinition"),
            Field(
                f"{DEPLOYMENT}.minimumHealthyPercent",
                "deployment_minimum_healthy_percent",
                "DeploymentConfiguration.MinimumHealthyPercent",
            ),
            Field(
                f"{DEPLOYMENT}.maximumPercent",
                "deployment_maximum_percent",
                "DeploymentConfiguration.MaximumPercent",
            ),
            Field(
                f"{DEPLOYMENT}.deploymentCircuitBreaker.enable",
                "deployment_circuit_breaker.enable",
                "DeploymentConfiguration.DeploymentCircuitBreaker.Enable",
            ),
            Field(
                f"{DEPLOYMENT}.deploymentCircuitBreaker.rollback",
                "deployment_circuit_breaker.rollback",
                "DeploymentConfiguration.DeploymentCircuitBreaker.Rollback",
            ),
            Field(
                "capacityProviderStrategy",
                "capacity_provider_strategy",
                "CapacityProviderStrategy",
                item=STRATEGY_ITEM,
            ),
            Field("placementStrategy", "ordered_placement_strategy", "PlacementStrategies", item=PLACEMENT_ITEM),
            Field("loadBalancers", "load_balancer", "LoadBalancers", item=ATTACHMENT_ITEM),
            Field("monitoring.metricConfigurations", "", "Monitoring.MetricConfigurations", item=METRIC_ITEM),
        ),
    ),
    ResourceType.SCALABLE_TARGET: Kind(
        "aws_appautoscaling_target",
        "AWS::ApplicationAutoScaling::ScalableTarget",
        (
            *SCALABLE,
            Field("MinCapacity", "min_capacity", "MinCapacity"),
            Field("MaxCapacity", "max_capacity", "MaxCapacity"),
        ),
    ),
    ResourceType.SCALING_POLICY: Kind(
        "aws_appautoscaling_policy",
        "AWS::ApplicationAutoScaling::ScalingPolicy",
        (
            *SCALABLE,
            Field("PolicyName", "name", "PolicyName"),
            Field("PolicyType", "policy_type", "PolicyType"),
            Field(f"{TRACKING}.TargetValue", f"{TRACKING_TF}.target_value", f"{TRACKING}.TargetValue"),
            Field(
                f"{TRACKING}.ScaleOutCooldown", f"{TRACKING_TF}.scale_out_cooldown", f"{TRACKING}.ScaleOutCooldown"
            ),
            Field(
                f"{TRACKING}.ScaleInCooldown", f"{TRACKING_TF}.scale_in_cooldown", f"{TRACKING}.ScaleInCooldown"
            ),
            Field(f"{TRACKING}.DisableScaleIn", f"{TRACKING_TF}.disable_scale_in", f"{TRACKING}.DisableScaleIn"),
            Field(
                f"{METRIC}.PredefinedMetricType",
                f"{METRIC_TF}.predefined_metric_type",
                f"{METRIC}.PredefinedMetricType",
            ),
            Field(f"{METRIC}.ResourceLabel", f"{METRIC_TF}.resource_label", f"{METRIC}.ResourceLabel"),
        ),
    ),
    ResourceType.SCHEDULED_ACTION: Kind(
        "aws_appautoscaling_scheduled_action",
        "",  # a property of the scalable target there
        (
            *SCALABLE,
            Field("ScheduledActionName", "name", "ScheduledActionName"),
            Field("Schedule", "schedule", "Schedule"),
            Field("Timezone", "timezone", "Timezone"),
            Field(
                "ScalableTargetAction.MinCapacity",
                "scalable_target_action.min_capacity",
                "ScalableTargetAction.MinCapacity",
            ),
            Field(
                "ScalableTargetAction.MaxCapacity",
                "scalable_target_action.max_capacity",
                "ScalableTargetAction.MaxCapacity",
            ),
        ),
    ),
    ResourceType.TARGET_GROUP: Kind(
        "aws_lb_target_group",
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        (
            Field("Name", "name", "Name"),
            Field("HealthCheckPath", "health_check.path", "HealthCheckPath"),
            Field("HealthCheckIntervalSeconds", "health_check.interval", "HealthCheckIntervalSeconds"),
            Field("HealthCheckTimeoutSeconds", "health_check.timeout", "HealthCheckTimeoutSeconds"),
            Field("HealthyThresholdCount", "health_check.healthy_threshold", "HealthyThresholdCount"),
            Field("UnhealthyThresholdCount", "health_check.unhealthy_threshold", "UnhealthyThresholdCount"),
            Field("Matcher.HttpCode", "health_check.matcher", "Matcher.HttpCode"),
        ),
    ),
    ResourceType.LISTENER_RULE: Kind(
        "aws_lb_listener_rule",
        "AWS::ElasticLoadBalancingV2::ListenerRule",
        (Field("Priority", "priority", "Priority"),),
    ),
}

MISSING: Any = object()


def replaces_in_place(resource: Resource) -> bool:
    """Whether a group that exists gets another launch template, so that its instances are replaced in waves."""
    return (
        resource.type is ResourceType.AUTO_SCALING_GROUP
        and "LaunchTemplate" in resource.request
        and "$base" not in resource.request
    )


def get(tree: Any, path: str) -> Any:
    """The value at a dotted path, through lists of one object; MISSING where there is none."""
    for part in path.split("."):
        if isinstance(tree, list) and len(tree) == 1:
            tree = tree[0]
        if not isinstance(tree, Mapping) or part not in tree:
            return MISSING
        tree = tree[part]
    return tree


def put(tree: dict[str, Any], path: str, value: Any, blocks: bool = False) -> None:
    """Set the value at a dotted path; `blocks` makes each object on the way a list of one, as in Terraform."""
    *way, last = path.split(".")
    for part in way:
        below = tree.setdefault(part, [{}] if blocks else {})
        tree = below[0] if blocks else below
    tree[last] = value


REFERENCED = {
    ResourceType.TASK_DEFINITION: "taskDefinitionArn",
    ResourceType.AUTO_SCALING_GROUP: "AutoScalingGroupARN",
    ResourceType.TARGET_GROUP: "TargetGroupArn",
}
"""The field by which other resources refer to one of the kind."""


def reference(resource_id: str) -> dict[str, str]:
    """The bundle's marker for a value that is known once the resource has been made."""
    return {"$ref": f"{resource_id}#{REFERENCED[ResourceType(resource_id.partition('/')[0])]}"}


def recipe(request: Mapping[str, Any]) -> dict[str, Any]:
    """The `$` fields of a request by path: how a value is found, which no template language can say."""
    found: dict[str, Any] = {}
    for path, value in _walk("", request):
        last = path.rsplit(".", 1)[-1]
        if last.startswith("$") and last not in {"$ref"}:
            found[path] = value
    return found


def _walk(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            below = f"{path}.{key}" if path else key
            if key.startswith("$"):
                yield below, item
            else:
                yield from _walk(below, item)


def items(field: Field, value: Any, spelled: int, back: bool, convert: Callable[[Any], Any]) -> Any:
    """A list of objects from one spelling to another: 1 is Terraform's, 2 CloudFormation's."""
    source, target = (spelled, 0) if back else (0, spelled)
    return [
        {names[target]: convert(item[names[source]]) for names in field.item if names[source] in item}
        for item in value
    ]
