"""A small estate in the sandbox and a plan for it, for the tests of the verbs."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3

from deploy.apply import World
from deploy.aws import AwsCloud, Calls
from deploy.keys import Approver, LocalSigner, local_approver, new_key
from deploy.lock import LocalLock
from deploy.sandbox import Sandbox
from planner.documents import PlanDocument
from planner.documents.plan import Scope

ACCOUNT = "123456789012"
REGION = "eu-west-2"
CLUSTER = "public-services"
ZONES = ("eu-west-2a", "eu-west-2b", "eu-west-2c")


class SandboxClock:
    """The sandbox's time as the verbs' clock: sleeping steps it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def now(self) -> datetime:
        return self.sandbox.now

    def sleep(self, seconds: float) -> None:
        self.sandbox.advance(seconds)


def calls_of(sandbox: Sandbox) -> Calls:
    session = boto3.Session(aws_access_key_id="sandbox", aws_secret_access_key="sandbox", region_name=REGION)
    return Calls(session, REGION, sandbox.endpoint_url, SandboxClock(sandbox))


def cloud_of(sandbox: Sandbox) -> AwsCloud:
    return AwsCloud(calls_of(sandbox), CLUSTER)


def world_of(sandbox: Sandbox, folder: Path) -> World:
    cloud = cloud_of(sandbox)
    return World(cloud, cloud.calls.clock, LocalLock(folder / "lock"))


# The estate


def build(sandbox: Sandbox, services: tuple[str, ...] = ("web", "api")) -> None:
    """One cluster on an over-provisioned group of m5.xlarge with `services`, each with an autoscaler."""
    ec2, ecs = sandbox.client("ec2"), sandbox.client("ecs")
    subnets = _network(ec2)
    _group(sandbox, "old", "m5.xlarge", subnets, 4)
    ecs.create_cluster(clusterName=CLUSTER)
    _provider(sandbox, "old")
    ecs.put_cluster_capacity_providers(
        cluster=CLUSTER,
        capacityProviders=["old", "FARGATE"],
        defaultCapacityProviderStrategy=[{"capacityProvider": "old", "weight": 1}],
    )
    sandbox.advance(300)
    for service in services:
        _service(sandbox, service)
    sandbox.advance(300)


def _network(ec2: Any) -> list[str]:
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    return [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for n, zone in enumerate(ZONES)
    ]


def _group(sandbox: Sandbox, name: str, instance_type: str, subnets: list[str], size: int) -> None:
    user_data = base64.b64encode(f"#!/bin/sh\necho ECS_CLUSTER={CLUSTER} >> /etc/ecs/ecs.config\n".encode())
    sandbox.client("ec2").create_launch_template(
        LaunchTemplateName=name,
        LaunchTemplateData={
            "ImageId": "ami-12c6146b",
            "InstanceType": instance_type,
            "UserData": user_data.decode(),
        },
    )
    sandbox.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=size,
        MaxSize=size * 3,
        DesiredCapacity=size,
        VPCZoneIdentifier=",".join(subnets),
        LaunchTemplate={"LaunchTemplateName": name, "Version": "$Latest"},
        Tags=[
            {
                "ResourceId": name,
                "ResourceType": "auto-scaling-group",
                "Key": "team",
                "Value": "platform",
                "PropagateAtLaunch": True,
            }
        ],
    )


def _provider(sandbox: Sandbox, name: str) -> None:
    groups = sandbox.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])
    sandbox.client("ecs").create_capacity_provider(
        name=name,
        autoScalingGroupProvider={
            "autoScalingGroupArn": groups["AutoScalingGroups"][0]["AutoScalingGroupARN"],
            "managedScaling": {"status": "ENABLED", "targetCapacity": 100},
            "managedTerminationProtection": "DISABLED",
        },
    )


def _service(sandbox: Sandbox, name: str) -> None:
    ecs, scaling = sandbox.client("ecs"), sandbox.client("application-autoscaling")
    ecs.register_task_definition(
        family=name,
        networkMode="bridge",
        cpu="1024",
        memory="2048",
        requiresCompatibilities=["EC2"],
        containerDefinitions=[
            {
                "name": name,
                "image": f"{ACCOUNT}.dkr.ecr.eu-west-2.amazonaws.com/{name}:1.0",
                "essential": True,
                "portMappings": [{"containerPort": 8080, "hostPort": 0}],
                "environment": [{"name": "COLOUR", "value": "top-secret-blue"}],
            }
        ],
        tags=[{"key": "team", "value": "platform"}],
    )
    ecs.create_service(
        cluster=CLUSTER,
        serviceName=name,
        taskDefinition=f"{name}:1",
        desiredCount=4,
        capacityProviderStrategy=[{"capacityProvider": "old", "weight": 1}],
        deploymentConfiguration={"minimumHealthyPercent": 50, "maximumPercent": 200},
        placementStrategy=[{"type": "spread", "field": "attribute:ecs.availability-zone"}],
    )
    common = {
        "ServiceNamespace": "ecs",
        "ResourceId": f"service/{CLUSTER}/{name}",
        "ScalableDimension": "ecs:service:DesiredCount",
    }
    scaling.register_scalable_target(**common, MinCapacity=4, MaxCapacity=12)
    scaling.put_scaling_policy(
        **common,
        PolicyName=f"{name}-cpu",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 30.0,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"},
        },
    )
    scaling.put_scheduled_action(
        **common,
        ScheduledActionName=f"{name}-night",
        Schedule="cron(0 22 * * ? *)",
        Timezone="Europe/London",
        ScalableTargetAction={"MinCapacity": 2, "MaxCapacity": 6},
    )


# The plan


def plan_for(services: tuple[str, ...] = ("web", "api"), created_at: datetime | None = None) -> PlanDocument:
    """Halve every service's tasks and move them to a new provider of m5.large; empty the old one."""
    return PlanDocument.model_validate(
        {
            "created_at": (created_at or datetime(2026, 5, 13, tzinfo=UTC)).isoformat(),
            "author": "Planning Robot",
            "scope": {"account_id": ACCOUNT, "region": REGION, "cluster": CLUSTER},
            "objective": {
                "slo": 0.999,
                "utilisation": 0.8,
                "timezone": "Europe/London",
                "zones": 3,
                "architectures": ["x86_64"],
            },
            "inputs": [],
            "price_book": {"date": "2026-05-01", "sha256": "0" * 64, "sources": []},
            "demand": [],
            "services": [_service_plan(name) for name in services],
            "fleet": [
                {
                    "capacity_provider": "new",
                    "auto_scaling_group": "new",
                    "like": "old",
                    "exists": False,
                    "instance_type": "m5.large",
                    "architecture": "x86_64",
                    "zones": list(ZONES),
                    "room": {"cpu_units": 2048, "memory_mib": 7700},
                    "min_size": 3,
                    "max_size": 30,
                    "desired_size": 9,
                    "typical_size": 6,
                    "usd_per_hour": 0.111,
                }
            ],
            "retired": [
                {"capacity_provider": "old", "auto_scaling_group": "old", "instances": 4, "reason": "dearer"}
            ],
            "packing": {
                "status": "optimal",
                "usd_per_hour": 1,
                "lower_bound_usd_per_hour": 1,
                "gap": 0,
                "statement": "-",
            },
            "cost": {"today_usd_per_hour": 1.0, "plan_usd_per_hour": 0.7, "today": [], "plan": []},
            "candidates": [],
        }
    )


def _service_plan(name: str) -> dict[str, Any]:
    return {
        "service": name,
        "task_definition_arn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{name}:1",
        "task": {"cpu_units": 512, "memory_mib": 1024},
        "task_before": {"cpu_units": 1024, "memory_mib": 2048},
        "architecture": "x86_64",
        "capacity_providers": [{"capacity_provider": "new", "weight": 1, "base": 0}],
        "placement": [{"type": "binpack", "field": "memory"}],
        "scaling": {
            "min_capacity": 3,
            "max_capacity": 20,
            "target_tracking": {"metric": "ECSServiceAverageCPUUtilization", "target": 60},
            "schedules": [
                {
                    "name": "office",
                    "cron": "cron(0 7 ? * MON-FRI *)",
                    "timezone": "Europe/London",
                    "min_capacity": 6,
                    "max_capacity": 20,
                }
            ],
            "reason": "cheapest that meets the objective",
        },
        "tasks_before": 4,
        "tasks_typical": 6,
        "tasks_peak": 12,
    }


def scope() -> Scope:
    return Scope(account_id=ACCOUNT, region=REGION, cluster=CLUSTER)


def in_place(instance_type: str = "m5.large", size: int = 6) -> PlanDocument:
    """The group `old` of four m5.xlarge becomes one of six m5.large; nothing else changes but the scaling."""
    data: dict[str, Any] = plan_for(("web",)).model_dump(mode="json")
    line = data["fleet"][0] | {
        "capacity_provider": "old",
        "auto_scaling_group": "old",
        "like": None,
        "exists": True,
        "instance_type": instance_type,
        "replaces_type": "m5.xlarge",
        "desired_size": size,
    }
    service = data["services"][0] | {
        "task": {"cpu_units": 1024, "memory_mib": 2048},
        "capacity_providers": [{"capacity_provider": "old", "weight": 1, "base": 0}],
    }
    return PlanDocument.model_validate(data | {"fleet": [line], "retired": [], "services": [service]})


def routed_plan() -> PlanDocument:
    """`web` is attached to a second target group, which gets a tenth of the requests for /api."""
    data = plan_for(("web",)).model_dump(mode="json")
    data["services"][0]["load_balancers"] = [
        {"target_group": "web-next", "container": "web", "container_port": 8080}
    ]
    data["target_groups"] = [
        {
            "name": "web",
            "deregistration_delay_s": 30,
            "health_check": {"path": "/ready", "interval_s": 10, "healthy_threshold": 2},
        },
        {"name": "web-next", "exists": False, "like": "web", "slow_start_s": 60},
    ]
    data["rules"] = [
        {
            "load_balancer": "public",
            "port": 80,
            "priority": 10,
            "conditions": [
                {"field": "path-pattern", "values": ["/api/*", "/api"]},
                {"field": "host-header", "values": ["www.example.gov.uk"]},
            ],
            "forward": [{"target_group": "web", "weight": 9}, {"target_group": "web-next", "weight": 1}],
        },
        {
            "load_balancer": "public",
            "port": 80,
            "priority": 20,
            "exists": False,
            "conditions": [{"field": "http-header", "header": "X-Preview", "values": ["yes"]}],
            "forward": [{"target_group": "web-next"}],
        },
    ]
    return PlanDocument.model_validate(data)


# Approvers


@dataclass(frozen=True)
class Person:
    """An approver with a key of their own."""

    name: str
    signer: LocalSigner
    approver: Approver


def person(folder: Path, name: str = "Maria Approver") -> Person:
    path = folder / f"{name.replace(' ', '-')}.pem"
    public = new_key(path)
    return Person(name, LocalSigner(path), local_approver(name, public))


EIGHT_HOURS = timedelta(hours=8)


# Requests


def add_balancer(sandbox: Sandbox, service: str = "web") -> None:
    """An Application Load Balancer `public` with a rule for /api that forwards to the service's target group."""
    elb, ecs = sandbox.client("elbv2"), sandbox.client("ecs")
    subnets = sandbox.client("ec2").describe_subnets()["Subnets"]
    own = [s for s in subnets if s["CidrBlock"].startswith("10.0.")]
    balancer = elb.create_load_balancer(Name="public", Subnets=[s["SubnetId"] for s in own])["LoadBalancers"][0]
    group = elb.create_target_group(
        Name=service, Protocol="HTTP", Port=8080, VpcId=own[0]["VpcId"], TargetType="instance", HealthCheckPath="/"
    )["TargetGroups"][0]["TargetGroupArn"]
    listener = elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
    )["Listeners"][0]["ListenerArn"]
    elb.create_rule(
        ListenerArn=listener,
        Priority=10,
        Conditions=[{"Field": "path-pattern", "Values": ["/api/*"]}],
        Actions=[{"Type": "forward", "TargetGroupArn": group}],
    )
    ecs.update_service(
        cluster=CLUSTER,
        service=service,
        loadBalancers=[{"targetGroupArn": group, "containerName": service, "containerPort": 8080}],
    )
    sandbox.advance(600)
