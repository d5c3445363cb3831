"""The `Cloud` port over boto3: each resource type to the calls that read, write and delete it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from deploy.aws.calls import Calls
from deploy.aws.capacity import CapacityResources
from deploy.aws.ecs import EcsResources
from deploy.aws.groups import staying
from deploy.aws.routing import RoutingResources
from deploy.aws.scaling import ScalingResources
from deploy.model import Image, ResourceRef
from deploy.normalise import merged, normalise
from deploy.ports import Deployment, Instance, Member, Scope, ServiceCounts
from planner.documents import Resource
from planner.documents.config import ResourceType
from planner.model import Rejection

T = ResourceType


class AwsCloud:
    """One cluster of one account and Region. Implements deploy.ports.Cloud."""

    def __init__(self, calls: Calls, cluster: str) -> None:
        self.calls = calls
        self.cluster = cluster
        self.ecs = EcsResources(calls, cluster)
        self.capacity = CapacityResources(calls, cluster)
        self.scaling = ScalingResources(calls, cluster)
        self.routing = RoutingResources(calls)

    def scope(self) -> Scope:
        return Scope(str(self.calls("sts", "GetCallerIdentity")["Account"]), self.calls.region)

    def one_look(self) -> AbstractContextManager[None]:
        return self.calls.one_look()

    def read(self, ref: ResourceRef) -> Image | None:
        readers: dict[ResourceType, Callable[[], Image | None]] = {
            T.LAUNCH_TEMPLATE: lambda: self.capacity.read_launch_template(ref.name),
            T.AUTO_SCALING_GROUP: lambda: self.capacity.read_group(ref.name),
            T.CAPACITY_PROVIDER: lambda: self.capacity.read_provider(ref.name),
            T.CLUSTER_CAPACITY_PROVIDERS: lambda: self.capacity.read_cluster(ref.name),
            T.TASK_DEFINITION: lambda: self.ecs.read_definition(ref.name),
            T.SERVICE: lambda: self.ecs.read_service(ref.name),
            T.SCALABLE_TARGET: lambda: self.scaling.read_target(ref.name),
            T.SCALING_POLICY: lambda: self.scaling.read_policy(ref),
            T.SCHEDULED_ACTION: lambda: self.scaling.read_schedule(ref),
            T.TARGET_GROUP: lambda: self.routing.read_group(ref.name),
            T.LISTENER_RULE: lambda: self.routing.read_rule(ref),
        }
        return readers[ref.type]()

    def resolve(self, resource: Resource) -> Image | Rejection:
        ref = ResourceRef(resource.type, resource.name)
        request = resource.request
        match resource.type:
            case T.LAUNCH_TEMPLATE:
                return self.capacity.resolve_launch_template(resource)
            case T.AUTO_SCALING_GROUP:
                return self.capacity.resolve_group(resource)
            case T.CAPACITY_PROVIDER:
                return self.capacity.resolve_provider(resource)
            case T.CLUSTER_CAPACITY_PROVIDERS:
                return self.capacity.resolve_cluster(resource)
            case T.TASK_DEFINITION:
                return self.ecs.resolve_definition(resource)
            case T.SERVICE:
                return self._service(ref, request)
            case T.TARGET_GROUP:
                return self.routing.resolve_group(resource)
            case T.LISTENER_RULE:
                return self.routing.resolve_rule(ref, request)
            case T.SCALING_POLICY:
                return self.scaling.resolve_policy(ref, request)
        identifying = {"ServiceNamespace", "ResourceId", "ScalableDimension", "ScheduledActionName"}
        image = {k: v for k, v in request.items() if k not in identifying}
        return image if resource.type is T.SCALABLE_TARGET else normalise(resource.type, image)

    def _service(self, ref: ResourceRef, request: Mapping[str, Any]) -> Image | Rejection:
        """Laid over the live one, so that settings the bundle does not name are kept."""
        wanted = {k: v for k, v in request.items() if k not in {"cluster", "service"}}
        refused = self.ecs.refuses_fast_metrics(ref.name) if "monitoring" in wanted else None
        if refused is not None:
            return Rejection(ref.id, refused)
        live = self.ecs.read_service(ref.name) or {}
        if "loadBalancers" in wanted:  # attached beside the present ones: taking one away would lose its requests
            wanted["loadBalancers"] = [*live.get("loadBalancers", []), *wanted["loadBalancers"]]
        return {k: v for k, v in normalise(T.SERVICE, merged(live, wanted)).items() if k in wanted}

    def write(self, ref: ResourceRef, after: Image, live: Image | None) -> Mapping[str, Any]:
        writers: dict[ResourceType, Callable[[], Mapping[str, Any]]] = {
            T.LAUNCH_TEMPLATE: lambda: self.capacity.write_launch_template(ref, after),
            T.AUTO_SCALING_GROUP: lambda: self.capacity.write_group(ref, after, live),
            T.CAPACITY_PROVIDER: lambda: self.capacity.write_provider(ref, after, live),
            T.CLUSTER_CAPACITY_PROVIDERS: lambda: self.capacity.write_cluster(ref, after),
            T.TASK_DEFINITION: lambda: self.ecs.write_definition(after),
            T.SERVICE: lambda: self.ecs.write_service(ref, after, live),
            T.SCALABLE_TARGET: lambda: self.scaling.write_target(ref, after, live),
            T.SCALING_POLICY: lambda: self.scaling.write_policy(ref, after, live),
            T.SCHEDULED_ACTION: lambda: self.scaling.write_schedule(ref, after),
            T.TARGET_GROUP: lambda: self.routing.write_group(ref, after, live),
            T.LISTENER_RULE: lambda: self.routing.write_rule(ref, after, live),
        }
        return writers[ref.type]()

    def delete(self, ref: ResourceRef, live: Image) -> None:
        removers: dict[ResourceType, Callable[[], None]] = {
            T.LAUNCH_TEMPLATE: lambda: self.capacity.delete_launch_template(ref.name),
            T.AUTO_SCALING_GROUP: lambda: self.capacity.delete_group(ref.name),
            T.CAPACITY_PROVIDER: lambda: self.capacity.delete_provider(ref.name),
            T.TASK_DEFINITION: lambda: self.ecs.deregister(str(live["taskDefinitionArn"])),
            T.SCALABLE_TARGET: lambda: self.scaling.delete_target(ref),
            T.SCALING_POLICY: lambda: self.scaling.delete_policy(ref, live),
            T.SCHEDULED_ACTION: lambda: self.scaling.delete_schedule(ref),
            T.TARGET_GROUP: lambda: self.routing.delete_group(live),
            T.LISTENER_RULE: lambda: self.routing.delete_rule(live),
        }
        removers[ref.type]()

    def scheduled_actions(self, service: str) -> Sequence[str]:
        return self.scaling.schedule_names(service)

    def scaling_policies(self, service: str) -> Mapping[str, str]:
        return self.scaling.by_metric(service)

    def service_counts(self, service: str) -> ServiceCounts | None:
        return self.ecs.counts(service)

    def deployments(self, service: str) -> Sequence[Deployment]:
        return self.ecs.deployments(service)

    def stop_reasons(self, service: str) -> Sequence[str]:
        return self.ecs.stop_reasons(service)

    def last_log_lines(self, service: str) -> Sequence[str]:
        return self.ecs.last_log_lines(service)

    def instances(self, capacity_provider: str) -> Sequence[Instance]:
        return self.ecs.instances(capacity_provider)

    def set_instance_status(self, arns: Sequence[str], status: str) -> None:
        self.ecs.set_instance_status(arns, status)

    def healthy_targets(self, target_group_arn: str) -> int:
        return self.routing.healthy(target_group_arn)

    def members(self, group: str, capacity_provider: str) -> Sequence[Member]:
        told = self.capacity.describe_group(group) or {}
        joined = {i.ec2_instance_id: i for i in self.ecs.instances(capacity_provider)}
        return [
            Member(name, known.arn, known.status, known.running_tasks, outdated)
            if (known := joined.get(name)) is not None
            else Member(name, None, "", 0, outdated)
            for name, outdated in staying(told).items()
        ]

    def terminate(self, ec2_instance_id: str, shrink: bool) -> None:
        self.calls(
            "autoscaling",
            "TerminateInstanceInAutoScalingGroup",
            InstanceId=ec2_instance_id,
            ShouldDecrementDesiredCapacity=shrink,
        )

    def set_desired_count(self, service: str, count: int) -> None:
        self.ecs.set_desired_count(service, count)

    def created_by(self, run: str, ref: ResourceRef) -> Sequence[str]:
        return self.ecs.created_by(run, ref.name)
