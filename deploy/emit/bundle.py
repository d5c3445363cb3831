"""A plan as the AWS resources it asks for. Pure: the live account is not read, so equal plans give equal bytes."""

from __future__ import annotations

from typing import Any

from deploy import monitoring
from deploy.emit.routing import attachments, routing_resources, target_group_id
from planner.documents import ConfigDocument, PlanDocument, Resource, digest
from planner.documents.config import ResourceType
from planner.documents.plan import CostLinePlan, FleetPlan, RetiredProvider, ServicePlan
from planner.units import vcpu

SERVICE_NAMESPACE = "ecs"
DIMENSION = "ecs:service:DesiredCount"


def config_from_plan(plan: PlanDocument) -> ConfigDocument:
    """Every resource the plan asks for, in the order in which they depend on each other."""
    groups, rules = routing_resources(plan)
    resources = [
        *_fleet(plan),
        *groups,
        *(r for service in plan.services for r in _service(plan, service)),
        *rules,
        *(_retired(plan, provider) for provider in plan.retired),
    ]
    return ConfigDocument(
        plan_sha256=digest(plan),
        created_at=plan.created_at,
        author=plan.author,
        scope=plan.scope,
        today_usd_per_hour=plan.cost.today_usd_per_hour,
        plan_usd_per_hour=plan.cost.plan_usd_per_hour,
        resources=tuple(resources),
    )


def _id(kind: ResourceType, name: str) -> str:
    return f"{kind}/{name}"


# Capacity


def _fleet(plan: PlanDocument) -> list[Resource]:
    resources = [r for line in plan.fleet for r in _fleet_line(plan, line)]
    new = [line for line in plan.fleet if not line.exists]
    if new:
        resources.append(_cluster(plan, new))
    return resources


def _fleet_line(plan: PlanDocument, line: FleetPlan) -> list[Resource]:
    group = _id(ResourceType.AUTO_SCALING_GROUP, line.auto_scaling_group)
    resources = [_launch_template(line)] if not line.exists or _is_replaced(line) else []
    resources.append(
        Resource(
            id=group,
            type=ResourceType.AUTO_SCALING_GROUP,
            name=line.auto_scaling_group,
            request=_group_request(line),
            depends_on=tuple(r.id for r in resources),
            today_usd_per_hour=_money(plan.cost.today, line.capacity_provider) if line.exists else 0,
            plan_usd_per_hour=_money(plan.cost.plan, line.capacity_provider),
        )
    )
    resources.append(
        Resource(
            id=_id(ResourceType.CAPACITY_PROVIDER, line.capacity_provider),
            type=ResourceType.CAPACITY_PROVIDER,
            name=line.capacity_provider,
            request=_provider_request(line, group),
            depends_on=(group,),
        )
    )
    return resources


def _is_replaced(line: FleetPlan) -> bool:
    return line.exists and line.replaces_type not in {None, line.instance_type}


def _template_name(line: FleetPlan) -> str:
    """A template is never changed: what replaces gets one of its own, and the old one stays to go back to."""
    return f"{line.auto_scaling_group}-{line.instance_type}" if line.exists else line.auto_scaling_group


def _launch_template(line: FleetPlan) -> Resource:
    name = _template_name(line)
    return Resource(
        id=_id(ResourceType.LAUNCH_TEMPLATE, name),
        type=ResourceType.LAUNCH_TEMPLATE,
        name=name,
        request={
            "LaunchTemplateName": name,
            "LaunchTemplateData": {
                "$base": _id(ResourceType.CAPACITY_PROVIDER, _like(line)),
                "$architecture": line.architecture.value,
                "InstanceType": line.instance_type,
            },
        },
    )


def _like(line: FleetPlan) -> str:
    if line.exists:
        return line.capacity_provider
    if line.like is None:
        raise NotSupported(
            f"capacity provider {line.capacity_provider} is new and says no `like`: creating a launch template "
            "from nothing is not supported yet; name an existing provider to copy."
        )
    return line.like


class NotSupported(ValueError):
    """The plan asks for something this tool refuses by name."""


def _group_request(line: FleetPlan) -> dict[str, Any]:
    request: dict[str, Any] = {
        "AutoScalingGroupName": line.auto_scaling_group,
        "MinSize": line.min_size,
        "MaxSize": line.max_size,
        "DesiredCapacity": line.desired_size,
        "$zones": sorted(line.zones),
        "$room": {
            "instance_type": line.instance_type,
            "architecture": line.architecture.value,
            "cpu_units": line.room.cpu_units,
            "memory_mib": line.room.memory_mib,
        },
    }
    if not line.exists:
        request["$base"] = _id(ResourceType.CAPACITY_PROVIDER, _like(line))
    if not line.exists or _is_replaced(line):
        request["LaunchTemplate"] = {"LaunchTemplateName": _template_name(line), "Version": "$Latest"}
    return request


def _provider_request(line: FleetPlan, group: str) -> dict[str, Any]:
    provider: dict[str, Any] = {
        "managedScaling": {"status": "ENABLED", "targetCapacity": line.target_capacity_percent}
    }
    if not line.exists:
        provider["$base"] = _id(ResourceType.CAPACITY_PROVIDER, _like(line))
        provider["autoScalingGroupArn"] = {"$ref": f"{group}#AutoScalingGroupARN"}
    return {"name": line.capacity_provider, "autoScalingGroupProvider": provider}


def _cluster(plan: PlanDocument, new: list[FleetPlan]) -> Resource:
    cluster = plan.scope.cluster
    names = sorted(line.capacity_provider for line in new)
    base = _id(ResourceType.CLUSTER_CAPACITY_PROVIDERS, cluster)
    return Resource(
        id=base,
        type=ResourceType.CLUSTER_CAPACITY_PROVIDERS,
        name=cluster,
        request={
            "cluster": cluster,
            # The call drops every provider it does not name, so the live ones are read and kept.
            "capacityProviders": [{"$base": f"{base}#capacityProviders"}, *names],
            "defaultCapacityProviderStrategy": [{"$base": f"{base}#defaultCapacityProviderStrategy"}],
        },
        depends_on=tuple(_id(ResourceType.CAPACITY_PROVIDER, name) for name in names),
    )


def _retired(plan: PlanDocument, provider: RetiredProvider) -> Resource:
    return Resource(
        id=_id(ResourceType.AUTO_SCALING_GROUP, provider.auto_scaling_group),
        type=ResourceType.AUTO_SCALING_GROUP,
        name=provider.auto_scaling_group,
        request={
            "AutoScalingGroupName": provider.auto_scaling_group,
            "MinSize": 0,
            "MaxSize": 0,
            "DesiredCapacity": 0,
            "$provider": provider.capacity_provider,
        },
        depends_on=tuple(_id(ResourceType.SERVICE, s.service) for s in plan.services),
        present=False,
        today_usd_per_hour=_money(plan.cost.today, provider.capacity_provider),
        plan_usd_per_hour=0,
    )


def _money(lines: tuple[CostLinePlan, ...], provider: str) -> float | None:
    """None where no line names the provider: not known is not free."""
    amounts = [line.usd_per_hour for line in lines if line.capacity_provider == provider and line.service is None]
    return sum(amounts) if amounts and sum(amounts) >= 0 else None


# Services


def _service(plan: PlanDocument, service: ServicePlan) -> list[Resource]:
    definition = _task_definition(service)
    resources = [definition, _ecs_service(plan, service, definition.id)]
    if service.scaling is not None:
        resources += _scaling(plan, service)
    return resources


def _task_definition(service: ServicePlan) -> Resource:
    request: dict[str, Any] = {
        "$base": service.task_definition_arn,
        "cpu": str(service.task.cpu_units),
        "memory": str(service.task.memory_mib),
        "runtimePlatform": {"cpuArchitecture": service.architecture.value.upper()},
    }
    if service.image is not None:
        request["$image"] = service.image
    if service.task == service.task_before:
        # The base may carry its sizes on its containers only; a size that is not changed is not written.
        del request["cpu"], request["memory"]
    return Resource(
        id=_id(ResourceType.TASK_DEFINITION, service.service),
        type=ResourceType.TASK_DEFINITION,
        name=service.service,
        request=request,
        base_arn=service.task_definition_arn,
    )


def _ecs_service(plan: PlanDocument, service: ServicePlan, definition: str) -> Resource:
    known = {line.capacity_provider for line in plan.fleet}
    request: dict[str, Any] = {
        "cluster": plan.scope.cluster,
        "service": service.service,
        "taskDefinition": {"$ref": f"{definition}#taskDefinitionArn"},
        "deploymentConfiguration": {
            "minimumHealthyPercent": service.minimum_healthy_percent,
            "maximumPercent": service.maximum_percent,
            "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        },
    }
    if service.capacity_providers:
        request["capacityProviderStrategy"] = [
            {"capacityProvider": item.capacity_provider, "weight": item.weight, "base": item.base}
            for item in service.capacity_providers
        ]
    if service.placement:
        request["placementStrategy"] = [
            {"type": rule.type, "field": rule.field} if rule.field else {"type": rule.type}
            for rule in service.placement
        ]
    if service.load_balancers:
        request["loadBalancers"] = attachments(service)
    tracking = service.scaling.target_tracking if service.scaling else None
    fast = monitoring.fast_metric(tracking.metric) if tracking else None
    if fast is not None:
        request["monitoring"] = monitoring.spelled([fast])
    return Resource(
        id=_id(ResourceType.SERVICE, service.service),
        type=ResourceType.SERVICE,
        name=service.service,
        request=request,
        depends_on=(
            definition,
            *sorted(
                _id(ResourceType.CAPACITY_PROVIDER, item.capacity_provider)
                for item in service.capacity_providers
                if item.capacity_provider in known
            ),
            *sorted({target_group_id(item.target_group) for item in service.load_balancers}),
        ),
        headroom_before=_headroom(plan, service, service.tasks_before * service.task_before.cpu_units),
        headroom_after=_headroom(plan, service, service.tasks_peak * service.task.cpu_units),
        today_usd_per_hour=_service_money(plan, service.service, today=True),
        plan_usd_per_hour=_service_money(plan, service.service, today=False),
    )


def _service_money(plan: PlanDocument, service: str, today: bool) -> float | None:
    lines = plan.cost.today if today else (*plan.cost.plan, *plan.cost.by_service)
    amounts = {line.item: line.usd_per_hour for line in lines if line.service == service}
    return sum(amounts.values()) if amounts and sum(amounts.values()) >= 0 else None


def _headroom(plan: PlanDocument, service: ServicePlan, capacity_cpu_units: int) -> float | None:
    """(capacity - p99 demand) / capacity in CPU; None where there is no capacity or no demand is known."""
    demand = next((d.p99_vcpu for d in plan.demand if d.service == service.service), None)
    if demand is None or capacity_cpu_units == 0:
        return None
    return round(1 - demand / vcpu(capacity_cpu_units), 4)


def _scaling(plan: PlanDocument, service: ServicePlan) -> list[Resource]:
    scaling = service.scaling
    assert scaling is not None
    resource_id = f"service/{plan.scope.cluster}/{service.service}"
    common = {
        "ServiceNamespace": SERVICE_NAMESPACE,
        "ResourceId": resource_id,
        "ScalableDimension": DIMENSION,
    }
    target = Resource(
        id=_id(ResourceType.SCALABLE_TARGET, service.service),
        type=ResourceType.SCALABLE_TARGET,
        name=service.service,
        request=common | {"MinCapacity": scaling.min_capacity, "MaxCapacity": scaling.max_capacity},
        depends_on=(_id(ResourceType.SERVICE, service.service),),
    )
    resources = [target]
    if scaling.target_tracking is not None:
        tracking = scaling.target_tracking
        metric: dict[str, Any] = {"PredefinedMetricType": tracking.metric}
        if tracking.resource_label is not None:
            metric["ResourceLabel"] = tracking.resource_label
        name = f"{service.service}/{tracking.metric}"
        resources.append(
            Resource(
                id=_id(ResourceType.SCALING_POLICY, name),
                type=ResourceType.SCALING_POLICY,
                name=name,
                request=common
                | {
                    "PolicyName": f"{service.service}-{tracking.metric}",
                    "PolicyType": "TargetTrackingScaling",
                    "TargetTrackingScalingPolicyConfiguration": {
                        "TargetValue": tracking.target,
                        "PredefinedMetricSpecification": metric,
                        "ScaleOutCooldown": tracking.scale_out_cooldown_s,
                        "ScaleInCooldown": tracking.scale_in_cooldown_s,
                        "DisableScaleIn": False,
                    },
                },
                depends_on=(target.id,),
            )
        )
    for action in scaling.schedules:
        name = f"{service.service}/{action.name}"
        resources.append(
            Resource(
                id=_id(ResourceType.SCHEDULED_ACTION, name),
                type=ResourceType.SCHEDULED_ACTION,
                name=name,
                request=common
                | {
                    "ScheduledActionName": action.name,
                    "Schedule": action.cron,
                    "Timezone": action.timezone,
                    "ScalableTargetAction": {
                        "MinCapacity": action.min_capacity,
                        "MaxCapacity": action.max_capacity,
                    },
                },
                depends_on=(target.id,),
            )
        )
    return resources
