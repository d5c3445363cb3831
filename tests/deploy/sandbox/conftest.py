"""A cluster on an Auto Scaling group of three zones, and ways to look at its services."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.sandbox import Sandbox

CLUSTER = "c"
GROUP = "group"
PROVIDER = "provider"


class Estate:
    """A running sandbox with a cluster; helpers make what a test needs."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.ecs = sandbox.client("ecs")
        self.groups = sandbox.client("autoscaling")
        self.scaling = sandbox.client("application-autoscaling")

    def add_group(self, instances: int, instance_type: str = "m5.large", most: int = 20, **fields: Any) -> str:
        """An Auto Scaling group over three zones whose instances join the cluster; returns its ARN."""
        ec2 = self.sandbox.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"eu-west-2{zone}")
            for n, zone in enumerate("abc")
        ]
        user_data = base64.b64encode(f"echo ECS_CLUSTER={CLUSTER} >> /etc/ecs/ecs.config".encode()).decode()
        ec2.create_launch_template(
            LaunchTemplateName="template",
            LaunchTemplateData={"ImageId": "ami-1", "InstanceType": instance_type, "UserData": user_data},
        )
        launch = fields or {"LaunchTemplate": {"LaunchTemplateName": "template", "Version": "$Latest"}}
        self.groups.create_auto_scaling_group(
            AutoScalingGroupName=GROUP,
            MinSize=0,
            MaxSize=most,
            DesiredCapacity=instances,
            VPCZoneIdentifier=",".join(subnet["Subnet"]["SubnetId"] for subnet in subnets),
            **launch,
        )
        return str(self.group["AutoScalingGroupARN"])

    def add_provider(self, arn: str, **scaling: Any) -> None:
        self.ecs.create_capacity_provider(
            name=PROVIDER,
            autoScalingGroupProvider={
                "autoScalingGroupArn": arn,
                "managedScaling": {"status": "DISABLED", **scaling},
            },
        )
        self.ecs.put_cluster_capacity_providers(
            cluster=CLUSTER,
            capacityProviders=[PROVIDER],
            defaultCapacityProviderStrategy=[{"capacityProvider": PROVIDER, "weight": 1}],
        )

    @property
    def group(self) -> dict[str, Any]:
        found: dict[str, Any] = self.groups.describe_auto_scaling_groups()["AutoScalingGroups"][0]
        return found

    def definition(self, image: str = "registry.example/web:1", family: str = "web", **fields: Any) -> str:
        container = {
            "name": "app",
            "image": image,
            "cpu": 256,
            "memory": 512,
            "portMappings": [{"containerPort": 8080}],
            **fields,
        }
        made = self.ecs.register_task_definition(family=family, containerDefinitions=[container])
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def create(self, name: str = "web", count: int = 4, definition: str | None = None, **fields: Any) -> None:
        self.ecs.create_service(
            cluster=CLUSTER,
            serviceName=name,
            taskDefinition=definition or self.definition(),
            **({} if fields.get("schedulingStrategy") == "DAEMON" else {"desiredCount": count}),
            **fields,
        )

    def service(self, name: str = "web") -> dict[str, Any]:
        found: dict[str, Any] = self.ecs.describe_services(cluster=CLUSTER, services=[name])["services"][0]
        return found

    def update(self, name: str = "web", **fields: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.ecs.update_service(cluster=CLUSTER, service=name, **fields)["service"]
        return found

    def counts(self, name: str = "web") -> tuple[int, int]:
        """(running, pending)."""
        service = self.service(name)
        return service["runningCount"], service["pendingCount"]

    def instances(self) -> list[dict[str, Any]]:
        arns = self.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
        if not arns:
            return []
        found: list[dict[str, Any]] = self.ecs.describe_container_instances(
            cluster=CLUSTER, containerInstances=arns
        )["containerInstances"]
        return found

    def tasks(self, name: str = "web", status: str = "RUNNING") -> list[dict[str, Any]]:
        arns = self.ecs.list_tasks(cluster=CLUSTER, serviceName=name, desiredStatus=status)["taskArns"]
        if not arns:
            return []
        found: list[dict[str, Any]] = self.ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"]
        return found

    def deployments(self, name: str = "web") -> list[dict[str, Any]]:
        briefs = self.ecs.list_service_deployments(cluster=CLUSTER, service=name)["serviceDeployments"]
        arns = [brief["serviceDeploymentArn"] for brief in briefs]
        found: list[dict[str, Any]] = self.ecs.describe_service_deployments(serviceDeploymentArns=arns)[
            "serviceDeployments"
        ]
        return found


@pytest.fixture
def estate() -> Iterator[Estate]:
    """An empty cluster "c" without instances."""
    with Sandbox() as sandbox:
        made = Estate(sandbox)
        made.ecs.create_cluster(clusterName=CLUSTER)
        yield made


@pytest.fixture
def fleet(estate: Estate) -> Estate:
    """The cluster with six m5.large in three zones, behind a capacity provider that does not scale."""
    estate.add_provider(estate.add_group(6))
    estate.sandbox.advance(100)
    return estate
