"""Capacity providers: of Auto Scaling groups, and AWS's own FARGATE and FARGATE_SPOT."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deploy.sandbox.ecs.errors import client_error, invalid
from deploy.sandbox.ecs.paging import page
from deploy.sandbox.ecs.state import CapacityProvider, Document

if TYPE_CHECKING:
    from deploy.sandbox.ecs.engine import Ecs

FARGATE: Final = ("FARGATE", "FARGATE_SPOT")
SCALING_DEFAULTS: Final = {
    "status": "DISABLED",
    "targetCapacity": 100,
    "minimumScalingStepSize": 1,
    "maximumScalingStepSize": 10_000,
    "instanceWarmupPeriod": 300,
}


class Providers:
    def __init__(self, ecs: Ecs) -> None:
        self.ecs = ecs
        self.by_name = {name: CapacityProvider(name, ecs.arn(f"capacity-provider/{name}"), {}) for name in FARGATE}

    def find(self, reference: str) -> CapacityProvider:
        found = self.by_name.get(reference.rpartition("/")[2])
        if found is None or found.status != "ACTIVE":
            raise client_error(
                "The specified capacity provider does not exist. Specify a valid name or ARN and try again."
            )
        return found

    def check_strategy(self, strategy: list[Document], names: list[str]) -> None:
        """Refuse a strategy over providers the cluster does not have, all of weight 0, or with two bases."""
        for item in strategy:
            if item["capacityProvider"].rpartition("/")[2] not in names:
                raise invalid(
                    "The specified capacity provider strategy cannot contain a capacity provider that is not "
                    "associated with the cluster. Associate the capacity provider with the cluster and try "
                    "again."
                )
        if sum(1 for item in strategy if item.get("base")) > 1:
            raise invalid("The specified capacity provider strategy can have only one base.")
        if strategy and not any(item.get("weight") for item in strategy) and len(strategy) > 1:
            raise invalid(
                "The specified capacity provider strategy must have at least one capacity provider with a "
                "weight greater than zero."
            )

    def create_capacity_provider(self, given: Document) -> Document:
        name = given["name"]
        if given.get("managedInstancesProvider"):
            raise client_error(
                "ECS Managed Instances are not supported yet by the sandbox: use an Auto Scaling group provider."
            )
        if not given.get("autoScalingGroupProvider"):
            raise client_error("A capacity provider needs an autoScalingGroupProvider.")
        if name.lower().startswith(("aws", "ecs", "fargate")):
            raise client_error(
                'The specified capacity provider name is invalid. It cannot begin with "aws", "ecs" or "fargate".'
            )
        if name in self.by_name and self.by_name[name].status == "ACTIVE":
            raise client_error(f"A capacity provider with the name {name} already exists.")
        settings = _with_defaults(given["autoScalingGroupProvider"])
        self._check_group(name, settings)
        provider = CapacityProvider(name, self.ecs.arn(f"capacity-provider/{name}"), settings)
        provider.tags = given.get("tags") or []
        self.by_name[name] = provider
        self.ecs.instances.look_at_groups()
        self.ecs.managed_scaling.watch()
        return {"capacityProvider": self.described(provider)}

    def _check_group(self, name: str, settings: Document) -> None:
        group = self.ecs.instances.group_of(settings.get("autoScalingGroupArn", ""))
        if group is None:
            raise client_error(
                "The specified Auto Scaling group ARN is invalid or the Auto Scaling group does not exist."
            )
        settings["autoScalingGroupArn"] = group.arn
        if settings.get("managedTerminationProtection") == "ENABLED":
            if settings["managedScaling"]["status"] != "ENABLED":
                raise invalid("Managed termination protection needs managed scaling to be enabled.")
            if not group.new_instances_protected_from_scale_in:
                raise invalid(
                    "The managed termination protection setting for the capacity provider is invalid. To enable "
                    "managed termination protection for a capacity provider, the Auto Scaling group must have "
                    "instance protection from scale in enabled."
                )
        for other in self.by_name.values():
            if other.name != name and other.status == "ACTIVE" and other.group_arn == group.arn:
                raise client_error(
                    "The specified Auto Scaling group ARN is already being used by another capacity provider. "
                    "Specify a unique Auto Scaling group ARN and try again."
                )

    def update_capacity_provider(self, given: Document) -> Document:
        provider = self.find(given["name"])
        if provider.name in FARGATE:
            raise client_error("The FARGATE and FARGATE_SPOT capacity providers cannot be updated.")
        change = dict(given.get("autoScalingGroupProvider") or {})
        scaling = {**provider.settings["managedScaling"], **(change.pop("managedScaling", None) or {})}
        settings = {**provider.settings, **change, "managedScaling": scaling}
        self._check_group(provider.name, settings)
        provider.settings = settings
        return {"capacityProvider": self.described(provider)}

    def describe_capacity_providers(self, given: Document) -> Document:
        names = [n.rpartition("/")[2] for n in given.get("capacityProviders") or []]
        if given.get("cluster"):
            attached = self.ecs.cluster(given["cluster"]).capacity_providers
            names = [n for n in names if n in attached] if names else list(attached)
        known = [p for p in self.by_name.values() if p.status == "ACTIVE"]
        found = [p for p in known if not (names or given.get("cluster")) or p.name in names]
        failures = [
            {"arn": self.ecs.arn(f"capacity-provider/{name}"), "reason": "MISSING"}
            for name in names
            if name not in {p.name for p in known}
        ]
        include = "TAGS" in (given.get("include") or [])
        answer = page(given, "capacityProviders", [self.described(p, include) for p in found])
        return {**answer, "failures": failures}

    def delete_capacity_provider(self, given: Document) -> Document:
        provider = self.find(given["capacityProvider"])
        users = [c.name for c in self.ecs.by_name.values() if provider.name in c.capacity_providers]
        if provider.name in FARGATE:
            raise client_error("The FARGATE and FARGATE_SPOT capacity providers cannot be deleted.")
        if users:
            raise client_error(
                f"The capacity provider is in use by the cluster {users[0]}: remove it there first."
            )
        provider.status = "INACTIVE"
        return {"capacityProvider": self.described(provider)}

    def described(self, provider: CapacityProvider, tags: bool = True) -> Document:
        answer: Document = {
            "capacityProviderArn": provider.arn,
            "name": provider.name,
            "status": provider.status,
            "tags": provider.tags if tags else [],
        }
        if provider.settings:
            answer["autoScalingGroupProvider"] = provider.settings
            answer["type"] = "EC2_AUTOSCALING"
        else:
            answer["type"] = provider.name
        return answer


def _with_defaults(given: Document) -> Document:
    scaling = {**SCALING_DEFAULTS, **(given.get("managedScaling") or {})}
    if "status" not in (given.get("managedScaling") or {}) and given.get("managedScaling") is not None:
        scaling["status"] = "ENABLED"
    return {
        "managedTerminationProtection": "DISABLED",
        "managedDraining": "ENABLED",
        **given,
        "managedScaling": scaling,
    }
