"""CloudFormation's ECS and Application Auto Scaling resources, made by the sandbox's own services.

moto would make them in its own ECS, which nobody looks at here, and leaves out Application Auto Scaling.
Properties are read by the shapes of the API operations they belong to: names in either case, numbers and
booleans also as strings, as templates have them from parameters. A property no operation knows is refused.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, ClassVar

from moto.core.common_models import CloudFormationModel

from deploy.sandbox.ecs.engine import Ecs
from deploy.sandbox.ecs.errors import client_error
from deploy.sandbox.ecs.state import Document
from deploy.sandbox.scaling.engine import Scaling
from deploy.sandbox.world import current


@cache
def _input_shape(service: str, operation: str) -> Any:
    import botocore.session

    return botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape


def request(service: str, operation: str, properties: Document, renamed: dict[str, str] | None = None) -> Document:
    """A template's properties as a request of the operation. `renamed`: property to member name."""
    names = renamed or {}
    given = {names.get(name, name): value for name, value in properties.items()}
    return dict(_typed(given, _input_shape(service, operation), operation))


def _typed(value: Any, shape: Any, where: str) -> Any:
    kind = shape.type_name
    if kind == "structure":
        members = {name.lower(): name for name in shape.members}
        unknown = [name for name in value if name.lower() not in members]
        if unknown:
            raise client_error(f"The sandbox does not know the property {unknown[0]} of {where}.")
        return {
            members[name.lower()]: _typed(item, shape.members[members[name.lower()]], f"{where}.{name}")
            for name, item in value.items()
        }
    if kind == "list":
        return [_typed(item, shape.member, where) for item in value]
    if kind == "map":
        return {str(name): _typed(item, shape.value, where) for name, item in value.items()}
    if kind == "boolean":
        return value if isinstance(value, bool) else str(value).lower() == "true"
    if kind in ("integer", "long"):
        return int(value)
    if kind in ("double", "float"):
        return float(value)
    return str(value) if kind == "string" else value


class Resource(CloudFormationModel):
    """One resource of a stack: its physical identifier and its Fn::GetAtt attributes."""

    type_name: ClassVar[str] = "Sandbox::None"
    name_property: ClassVar[str] = ""

    def __init__(self, physical_id: str, attributes: dict[str, str], region: str) -> None:
        self.physical_id, self.attributes, self.region = physical_id, attributes, region

    @property
    def physical_resource_id(self) -> str:
        return self.physical_id

    @classmethod
    def cloudformation_name_type(cls) -> str:
        return cls.name_property

    @classmethod
    def cloudformation_type(cls) -> str:
        return cls.type_name

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return attr in ("Arn", "Name", "ServiceArn")

    def get_cfn_attribute(self, attribute_name: str) -> str:
        return self.attributes[attribute_name]

    @classmethod
    def make(cls, name: str, properties: Document, region: str) -> Resource:
        raise NotImplementedError(cls.type_name)

    @classmethod
    def change(cls, original: Resource, name: str, properties: Document) -> Resource:
        """By default a changed resource is made anew, as for properties that need replacement."""
        return cls.make(name, properties, original.region)

    @classmethod
    def remove(cls, physical_id: str, properties: Document, region: str) -> None:
        raise NotImplementedError(cls.type_name)

    # what moto calls

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,  # noqa: ARG003 - the sandbox has one account
        region_name: str,
        **kwargs: Any,  # noqa: ARG003
    ) -> Resource:
        return cls.make(resource_name, dict(cloudformation_json.get("Properties") or {}), region_name)

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: Any,
        new_resource_name: str,
        cloudformation_json: Any,
        account_id: str,  # noqa: ARG003 - passed by name
        region_name: str,  # noqa: ARG003
    ) -> Resource:
        properties = dict(cloudformation_json.get("Properties") or {})
        return cls.change(original_resource, new_resource_name, properties)

    @classmethod
    def delete_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,  # noqa: ARG003
        region_name: str,
    ) -> None:
        cls.remove(resource_name, dict(cloudformation_json.get("Properties") or {}), region_name)


def _ecs(region: str) -> Ecs:
    return current().ecs_of(region)


def _scaling(region: str) -> Scaling:
    return current().scaling_of(region)


class EcsCluster(Resource):
    type_name, name_property = "AWS::ECS::Cluster", "ClusterName"

    @classmethod
    def make(cls, name: str, properties: Document, region: str) -> Resource:
        given = request("ecs", "CreateCluster", properties, {"ClusterSettings": "settings"})
        cluster = _ecs(region).clusters.create_cluster({**given, "clusterName": name})["cluster"]
        return cls(name, {"Arn": cluster["clusterArn"]}, region)

    @classmethod
    def change(cls, original: Resource, name: str, properties: Document) -> Resource:
        if name != original.physical_id:
            return cls.make(name, properties, original.region)
        given = request("ecs", "CreateCluster", properties, {"ClusterSettings": "settings"})
        ecs = _ecs(original.region)
        ecs.clusters.update_cluster({**given, "cluster": name})
        if "capacityProviders" in given or "defaultCapacityProviderStrategy" in given:
            ecs.clusters.put_cluster_capacity_providers(
                {"capacityProviders": [], "defaultCapacityProviderStrategy": [], **given, "cluster": name}
            )
        return original

    @classmethod
    def remove(cls, physical_id: str, _properties: Document, region: str) -> None:
        _ecs(region).clusters.delete_cluster({"cluster": physical_id})


class EcsTaskDefinition(Resource):
    type_name = "AWS::ECS::TaskDefinition"

    @classmethod
    def make(cls, name: str, properties: Document, region: str) -> Resource:
        given = request("ecs", "RegisterTaskDefinition", {"Family": name, **properties})
        made = _ecs(region).definitions.register_task_definition(given)
        arn = made["taskDefinition"]["taskDefinitionArn"]
        return cls(arn, {"Arn": arn}, region)

    @classmethod
    def remove(cls, physical_id: str, _properties: Document, region: str) -> None:
        _ecs(region).definitions.deregister_task_definition({"taskDefinition": physical_id})


class EcsService(Resource):
    type_name, name_property = "AWS::ECS::Service", "ServiceName"

    @classmethod
    def make(cls, name: str, properties: Document, region: str) -> Resource:
        given = request("ecs", "CreateService", properties)
        if given.get("schedulingStrategy") != "DAEMON":
            given.setdefault("desiredCount", 1)
        service = _ecs(region).services.create_service({**given, "serviceName": name})["service"]
        arn = service["serviceArn"]
        return cls(arn, {"Name": name, "ServiceArn": arn}, region)

    @classmethod
    def change(cls, original: Resource, name: str, properties: Document) -> Resource:
        if name != original.attributes["Name"]:
            return cls.make(name, properties, original.region)
        given = request("ecs", "CreateService", properties)
        known = _input_shape("ecs", "UpdateService").members
        fields = {member: value for member, value in given.items() if member in known}
        _ecs(original.region).services.update_service({**fields, "service": original.physical_id})
        return original

    @classmethod
    def remove(cls, physical_id: str, _properties: Document, region: str) -> None:
        _ecs(region).services.remove_at_once(physical_id)


class EcsCapacityProvider(Resource):
    type_name, name_property = "AWS::ECS::CapacityProvider", "Name"

    @classmethod
    def make(cls, name: str, properties: Document, region: str) -> Resource:
        given = request("ecs", "CreateCapacityProvider", properties)
        _ecs(region).providers.create_capacity_provider({**given, "name": name})
        return cls(name, {}, region)

    @classmethod
    def change(cls, original: Resource, name: str, properties: Document) -> Resource:
        given = request("ecs", "CreateCapacityProvider", properties)
        changed = {k: v for k, v in given["autoScalingGroupProvider"].items() if k != "autoScalingGroupArn"}
        _ecs(original.region).providers.update_capacity_provider(
            {"name": name, "autoScalingGroupProvider": changed}
        )
        return original

    @classmethod
    def remove(cls, physical_id: str, _properties: Document, region: str) -> None:
        _ecs(region).providers.delete_capacity_provider({"capacityProvider": physical_id})


class EcsProviderAssociations(Resource):
    type_name = "AWS::ECS::ClusterCapacityProviderAssociations"

    @classmethod
    def make(cls, name: str, properties: Document, region: str) -> Resource:  # noqa: ARG003 - has no name
        given = request("ecs", "PutClusterCapacityProviders", properties)
        _ecs(region).clusters.put_cluster_capacity_providers(given)
        return cls(given["cluster"], {}, region)

    @classmethod
    def remove(cls, physical_id: str, _properties: Document, region: str) -> None:
        _ecs(region).clusters.put_cluster_capacity_providers(
            {"cluster": physical_id, "capacityProviders": [], "defaultCapacityProviderStrategy": []}
        )


class ScalableTarget(Resource):
    type_name = "AWS::ApplicationAutoScaling::ScalableTarget"

    @classmethod
    def make(cls, name: str, properties: Document, region: str) -> Resource:  # noqa: ARG003 - has no name
        actions = properties.pop("ScheduledActions", [])
        given = request("application-autoscaling", "RegisterScalableTarget", properties)
        scaling, resource_id = _scaling(region), given["ResourceId"]
        scaling.register_scalable_target(given)
        target = scaling.targets[resource_id]
        for gone in target.actions.keys() - {action["ScheduledActionName"] for action in actions}:
            scaling.delete_scheduled_action({"ResourceId": resource_id, "ScheduledActionName": gone})
        for action in actions:
            wanted = request("application-autoscaling", "PutScheduledAction", action)
            scaling.put_scheduled_action({**wanted, "ResourceId": resource_id})
        return cls(f"{resource_id}|{given['ScalableDimension']}|ecs", {}, region)

    @classmethod
    def remove(cls, physical_id: str, _properties: Document, region: str) -> None:
        resource_id = physical_id.split("|")[0]
        if resource_id in _scaling(region).targets:
            _scaling(region).deregister_scalable_target({"ResourceId": resource_id})


class ScalingPolicy(Resource):
    type_name = "AWS::ApplicationAutoScaling::ScalingPolicy"

    @classmethod
    def make(cls, name: str, properties: Document, region: str) -> Resource:  # noqa: ARG003 - PolicyName names it
        owner = str(properties.pop("ScalingTargetId", "")).split("|")
        if len(owner) == 3:
            properties |= {"ResourceId": owner[0], "ScalableDimension": owner[1], "ServiceNamespace": owner[2]}
        given = request("application-autoscaling", "PutScalingPolicy", properties)
        return cls(_scaling(region).put_scaling_policy(given)["PolicyARN"], {}, region)

    @classmethod
    def remove(cls, physical_id: str, _properties: Document, region: str) -> None:
        for target in _scaling(region).targets.values():
            for policy in list(target.policies.values()):
                if policy.arn == physical_id:
                    _scaling(region).delete_scaling_policy(
                        {"ResourceId": target.resource_id, "PolicyName": policy.name}
                    )


RESOURCES: tuple[type[Resource], ...] = (
    EcsCluster, EcsTaskDefinition, EcsService, EcsCapacityProvider, EcsProviderAssociations,
    ScalableTarget, ScalingPolicy,
)  # fmt: skip


def references(value: Any) -> set[str]:
    """The logical names a part of a template refers to: Ref, Fn::GetAtt, Fn::Sub, DependsOn."""
    if isinstance(value, list):
        return set().union(*(references(item) for item in value)) if value else set()
    if not isinstance(value, dict):
        return set()
    found: set[str] = set()
    for key, item in value.items():
        if key == "Ref":
            found.add(str(item))
        elif key == "Fn::GetAtt":
            found.add(str(item[0] if isinstance(item, list) else item.split(".")[0]))
        elif key == "Fn::Sub":
            text = item[0] if isinstance(item, list) else item
            found |= {name.split(".")[0] for name in re.findall(r"\$\{([^!}]+)\}", text)}
            found |= references(item)
        elif key == "DependsOn":
            found |= {item} if isinstance(item, str) else set(item)
        else:
            found |= references(item)
    return found


def with_dependents(actions: Document, before: Document, after: Document) -> Document:
    """moto's list of changes, completed: what refers to a changed resource or parameter default changes too,
    after what it refers to."""
    resources = after["Resources"]
    defaults = [(template.get("Parameters") or {}) for template in (before, after)]
    changed = {name for name in defaults[1] if defaults[0].get(name) != defaults[1][name]}
    changed |= {*actions["Add"], *actions["Modify"]}
    kept = [name for name in resources if name not in changed]
    while True:
        further = [name for name in kept if references(resources[name]) & changed]
        if not further:
            break
        changed |= set(further)
        kept = [name for name in kept if name not in changed]
    modified = [name for name in resources if name in changed and name not in actions["Add"]]
    ordered: list[str] = []
    while modified:
        ready = [n for n in modified if not references(resources[n]) & (set(modified) - {n})] or modified[:1]
        ordered += ready
        modified = [name for name in modified if name not in ready]
    return {**actions, "Modify": ordered}
