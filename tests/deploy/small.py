"""A bundle and a starting state for the in-memory cluster of fakes.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deploy.apply import World, move_of
from deploy.approve import approve
from deploy.diff import diff
from deploy.emit import config_from_plan
from deploy.keys import Approver
from deploy.model import Approval, WorkingHours
from deploy.move import Move
from deploy.normalise import normalise
from deploy.observe import Observation, observe
from planner.documents import ConfigDocument
from planner.documents.config import ResourceType
from tests.deploy.estate import EIGHT_HOURS, Person, plan_for
from tests.deploy.fakes import FakeCloud, FreeLock


def bundle(services: tuple[str, ...] = ("web",)) -> ConfigDocument:
    """The plan of estate.py without the copied parts, which need an account to be copied from."""
    config = config_from_plan(plan_for(services))
    resources = []
    for resource in config.resources:
        request = {
            k: v for k, v in resource.request.items() if not k.startswith("$") or k in {"$provider", "$image"}
        }
        if resource.type is ResourceType.TASK_DEFINITION:
            request["$base"] = resource.base_arn
        if resource.type is ResourceType.LAUNCH_TEMPLATE:
            request = {"InstanceType": "m5.large", "ImageId": "ami-1", "$base": "capacity-provider/old"}
        if resource.type is ResourceType.AUTO_SCALING_GROUP and resource.present:
            request["$base"] = "capacity-provider/old"
        if resource.type is ResourceType.CAPACITY_PROVIDER:
            scaling = resource.request["autoScalingGroupProvider"]["managedScaling"]
            request = {"autoScalingGroupProvider": {"managedScaling": scaling}, "$base": "capacity-provider/old"}
        if resource.type is ResourceType.CLUSTER_CAPACITY_PROVIDERS:
            request = {"capacityProviders": ["FARGATE", "new", "old"]}
        resources.append(resource.model_copy(update={"request": request}))
    return config.model_copy(update={"resources": tuple(resources)})


def definition(service: str) -> dict[str, Any]:
    return {
        "taskDefinitionArn": f"arn:aws:ecs:eu-west-2:123456789012:task-definition/{service}:1",
        "family": service,
        "status": "ACTIVE",
        "cpu": "1024",
        "memory": "2048",
        "containerDefinitions": [
            {"name": service, "image": f"{service}:1", "environment": [{"name": "SECRET", "value": "hunter2"}]}
        ],
    }


def cloud(services: Sequence[str] = ("web",), with_scaling: bool = True) -> FakeCloud:
    state: dict[str, Any] = {
        "auto-scaling-group/old": {"MinSize": 4, "MaxSize": 12, "DesiredCapacity": 4},
        "capacity-provider/old": {"autoScalingGroupProvider": {}},
        "cluster-capacity-providers/public-services": {
            "capacityProviders": ["FARGATE", "old"],
            "defaultCapacityProviderStrategy": [],
        },
    }
    definitions = {}
    for service in services:
        definitions[definition(service)["taskDefinitionArn"]] = definition(service)
        state[f"service/{service}"] = normalise(
            ResourceType.SERVICE,
            {
                "taskDefinition": definition(service)["taskDefinitionArn"],
                "capacityProviderStrategy": [{"capacityProvider": "old", "weight": 1}],
                "placementStrategy": [],
                "deploymentConfiguration": {"minimumHealthyPercent": 50},
                "monitoring": None,
                "desiredCount": 4,
            },
        )
        if with_scaling:
            state[f"scalable-target/{service}"] = normalise(
                ResourceType.SCALABLE_TARGET, {"MinCapacity": 4, "MaxCapacity": 12}
            )
            state[f"scheduled-action/{service}/night"] = normalise(
                ResourceType.SCHEDULED_ACTION,
                {"Schedule": "cron(0 22 * * ? *)", "ScalableTargetAction": {"MinCapacity": 2, "MaxCapacity": 6}},
            )
    return FakeCloud(state, definitions)


def world(fake: FakeCloud) -> World:
    return World(fake, fake.clock, FreeLock())


def approved(
    config: ConfigDocument, fake: FakeCloud, who: Person, hours: WorkingHours | None = None
) -> tuple[Approval, tuple[Approver, ...]]:
    observation = observe(config, fake)
    approval = approve(
        config,
        observation,
        (),
        diff(observation.live, observation.wanted, config),
        approver=who.name,
        reason="cheaper by a third",
        now=fake.clock.now(),
        expires_in=EIGHT_HOURS,
        cost_ceiling_usd_per_month=1000,
        signer=who.signer,
        working_hours=hours,
    )
    return approval, (who.approver,)


def move(config: ConfigDocument, observation: Observation) -> Move:
    return move_of(config, observation)


def visible(fake: FakeCloud) -> dict[str, Any]:
    """The world without what never was: the starting state, byte for byte, is compared through this."""
    return {name: image for name, image in sorted(fake.state.items()) if image is not None}
