"""Builds the sample estate through the sandbox's own AWS calls, then ages it.

Everything is made with boto3 as a team would make it. Only what no call can do is set directly: the dates
of things that were made before the sandbox's clock began.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from deploy.sandbox.ecs.state import Delays, Document
from deploy.sandbox.sample.workloads import (
    CLUSTER,
    GROUP,
    INSTANCE_TYPE,
    INSTANCES,
    PROVIDER,
    QUEUE,
    RESERVATION,
    WORKLOADS,
    ZONES,
    Workload,
)
from deploy.sandbox.sample.writing import Balancer

if TYPE_CHECKING:
    from deploy.sandbox.sandbox import Sandbox

REGISTRY: Final = "registry.gitlab.example.gov.uk/public-services"
ACCOUNT_ROLE: Final = "arn:aws:iam::123456789012:role/"
EXECUTION_ROLE: Final = "public-services-execution"
CREATED_BEFORE: Final = timedelta(days=200)
TAGS: Final = {"owner": "public-services", "environment": "production"}


@dataclass
class Estate:
    """What was made and is needed to write its metrics."""

    balancers: dict[str, Balancer] = field(default_factory=dict)
    load_balancer: str = ""


class Builder:
    """Makes the estate step by step; later steps use the identifiers of earlier ones."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.estate = Estate()
        self.secrets: dict[str, str] = {}
        self.target_groups: dict[str, str] = {}
        self.subnets: list[str] = []
        self.security_group = ""
        names = (
            "ec2", "autoscaling", "ecs", "elbv2", "secretsmanager", "kms", "logs", "sqs", "iam",
            "application-autoscaling",
        )  # fmt: skip
        self.clients: dict[str, Any] = {name: sandbox.client(name) for name in names}

    def build(self) -> Estate:
        with no_delays(self.sandbox):
            vpc = self._network()
            self._roles()
            self._secrets()
            self.clients["sqs"].create_queue(QueueName=QUEUE, tags=TAGS)
            self.clients["ecs"].create_cluster(
                clusterName=CLUSTER,
                tags=_lower(TAGS),
                settings=[{"name": "containerInsights", "value": "disabled"}],
            )
            self._capacity()
            self._balancer(vpc)
            for workload in WORKLOADS:
                self._service(workload)
            for workload in WORKLOADS:
                self._scaling(workload)
        self._age()
        return self.estate

    # the ground

    def _network(self) -> str:
        ec2 = self.clients["ec2"]
        vpc = str(ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"])
        for number, zone in enumerate(ZONES):
            block = f"10.20.{number * 16}.0/20"
            made = ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=zone)
            self.subnets.append(made["Subnet"]["SubnetId"])
        group = ec2.create_security_group(
            GroupName="public-services-tasks", Description="Tasks of the public services", VpcId=vpc
        )
        self.security_group = group["GroupId"]
        return vpc

    def _roles(self) -> None:
        """One role that starts tasks and one for each service's own calls, assumable by ECS tasks."""
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "ecs-tasks.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        for name in (EXECUTION_ROLE, *(f"public-{workload.name}" for workload in WORKLOADS)):
            self.clients["iam"].create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))

    def _secrets(self) -> None:
        key = self.clients["kms"].create_key(Description="Secrets of the public services")["KeyMetadata"]
        self.clients["kms"].create_alias(AliasName="alias/public-services", TargetKeyId=key["KeyId"])
        for name in ("gitlab-registry", "database", "session-signing"):
            value = json.dumps({"placeholder": "the sample estate has no real secret"})
            made = self.clients["secretsmanager"].create_secret(
                Name=f"public-services/{name}", KmsKeyId=key["KeyId"], SecretString=value
            )
            self.secrets[name] = made["ARN"]
        self._may_start_tasks(str(key["Arn"]))

    def _may_start_tasks(self, key: str) -> None:
        """Let the execution role do what tasks need before they run."""
        statements = [
            {
                "Effect": "Allow",
                "Action": "secretsmanager:GetSecretValue",
                "Resource": sorted(self.secrets.values()),
            },
            {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key},
            {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "*"},
        ]
        self.clients["iam"].put_role_policy(
            RoleName=EXECUTION_ROLE,
            PolicyName="start-tasks",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
        )

    def _capacity(self) -> None:
        user_data = f"#!/bin/bash\necho ECS_CLUSTER={CLUSTER} >> /etc/ecs/ecs.config\n"
        self.clients["ec2"].create_launch_template(
            LaunchTemplateName=GROUP,
            LaunchTemplateData={
                "ImageId": "ami-0ec5a0b1c2d3e4f56",
                "InstanceType": INSTANCE_TYPE,
                "UserData": base64.b64encode(user_data.encode()).decode(),
            },
        )
        groups = self.clients["autoscaling"]
        groups.create_auto_scaling_group(
            AutoScalingGroupName=GROUP,
            LaunchTemplate={"LaunchTemplateName": GROUP, "Version": "$Latest"},
            MinSize=INSTANCES,
            MaxSize=2 * INSTANCES,
            DesiredCapacity=INSTANCES,
            VPCZoneIdentifier=",".join(self.subnets),
            Tags=[{"Key": key, "Value": value, "PropagateAtLaunch": True} for key, value in TAGS.items()],
        )
        found = groups.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"][0]
        self.clients["ecs"].create_capacity_provider(
            name=PROVIDER,
            autoScalingGroupProvider={
                "autoScalingGroupArn": found["AutoScalingGroupARN"],
                "managedScaling": {"status": "ENABLED", "targetCapacity": 100},
                "managedTerminationProtection": "DISABLED",
                "managedDraining": "ENABLED",
            },
            tags=_lower(TAGS),
        )
        self.clients["ecs"].put_cluster_capacity_providers(
            cluster=CLUSTER,
            capacityProviders=[PROVIDER],
            defaultCapacityProviderStrategy=[{"capacityProvider": PROVIDER, "weight": 1}],
        )

    # the routes

    def _balancer(self, vpc: str) -> None:
        elb = self.clients["elbv2"]
        made = elb.create_load_balancer(Name="public-services", Subnets=self.subnets, Type="application")
        arn = made["LoadBalancers"][0]["LoadBalancerArn"]
        self.estate.load_balancer = arn.partition("loadbalancer/")[2]
        routed = [workload for workload in WORKLOADS if workload.path]
        for workload in routed:
            self._target_group(workload, vpc)
        listener = elb.create_listener(
            LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=[self._forward(routed[0])]
        )["Listeners"][0]["ListenerArn"]
        for priority, workload in enumerate(routed[1:], start=1):
            elb.create_rule(
                ListenerArn=listener,
                Priority=priority * 10,
                Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": [workload.path]}}],
                Actions=[self._forward(workload)],
            )

    def _target_group(self, workload: Workload, vpc: str) -> None:
        made = self.clients["elbv2"].create_target_group(
            Name=f"public-{workload.name}",
            Protocol="HTTP",
            Port=workload.port,
            VpcId=vpc,
            TargetType="ip" if workload.network_mode == "awsvpc" else "instance",
            HealthCheckPath="/health",
        )
        arn = made["TargetGroups"][0]["TargetGroupArn"]
        self.target_groups[workload.name] = arn
        self.estate.balancers[workload.name] = Balancer(self.estate.load_balancer, arn.rpartition(":")[2])

    def _forward(self, workload: Workload) -> Document:
        return {"Type": "forward", "TargetGroupArn": self.target_groups[workload.name]}

    # the services

    def _service(self, workload: Workload) -> None:
        self.clients["logs"].create_log_group(logGroupName=f"/ecs/{CLUSTER}/{workload.name}")
        halved = workload.name == RESERVATION.service
        before = replace(workload, cpu_units=RESERVATION.cpu_units_before) if halved else workload
        first = self._task_definition(before, "2026.4.2" if halved else "2026.5.1")
        self.clients["ecs"].create_service(**self._service_fields(workload, first))
        if halved:
            second = self._task_definition(workload, "2026.5.1")
            self.clients["ecs"].update_service(cluster=CLUSTER, service=workload.name, taskDefinition=second)

    def _task_definition(self, workload: Workload, tag: str) -> str:
        awsvpc = workload.network_mode == "awsvpc"
        container: Document = {
            "name": workload.name,
            "image": f"{REGISTRY}/{workload.name}:{tag}",
            "repositoryCredentials": {"credentialsParameter": self.secrets["gitlab-registry"]},
            "cpu": workload.cpu_units,
            "memory": workload.memory_mib,
            "memoryReservation": workload.memory_mib,
            "essential": True,
            "environment": [{"name": "SERVICE_NAME", "value": workload.name}],
            "secrets": [{"name": "DATABASE_URL", "valueFrom": self.secrets["database"]}],
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": f"/ecs/{CLUSTER}/{workload.name}",
                    "awslogs-region": self.sandbox.region,
                    "awslogs-stream-prefix": workload.name,
                },
            },
        }
        if workload.path:
            container["portMappings"] = [{"containerPort": workload.port, "protocol": "tcp"}]
        if workload.health_check:
            check = f"curl -f http://localhost:{workload.port}/health || exit 1"
            container["healthCheck"] = {"command": ["CMD-SHELL", check], "interval": 30, "retries": 3}
        made = self.clients["ecs"].register_task_definition(
            family=f"public-{workload.name}",
            networkMode=workload.network_mode,
            requiresCompatibilities=["EC2"],
            executionRoleArn=f"{ACCOUNT_ROLE}{EXECUTION_ROLE}",
            taskRoleArn=f"{ACCOUNT_ROLE}public-{workload.name}",
            containerDefinitions=[container],
            runtimePlatform={"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
            **({"cpu": str(workload.cpu_units), "memory": str(workload.memory_mib)} if awsvpc else {}),
            tags=_lower(TAGS),
        )
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def _service_fields(self, workload: Workload, definition: str) -> Document:
        fields: Document = {
            "cluster": CLUSTER,
            "serviceName": workload.name,
            "taskDefinition": definition,
            "enableECSManagedTags": True,
            "propagateTags": "SERVICE",
            "tags": _lower(TAGS),
        }
        if workload.kind == "daemon":
            return {**fields, "schedulingStrategy": "DAEMON", "launchType": "EC2"}
        fields |= {
            "desiredCount": workload.tasks,
            "capacityProviderStrategy": [{"capacityProvider": PROVIDER, "weight": 1, "base": 0}],
            "placementStrategy": [
                {"type": "spread", "field": "attribute:ecs.availability-zone"},
                {"type": "spread", "field": "instanceId"},
            ],
            "deploymentConfiguration": {
                "minimumHealthyPercent": 100,
                "maximumPercent": 200,
                "deploymentCircuitBreaker": {"enable": True, "rollback": True},
            },
        }
        if workload.kind == "worker":
            fields["tags"] = [*fields["tags"], {"key": "queue", "value": QUEUE}]
        if workload.path:
            fields["healthCheckGracePeriodSeconds"] = 60
            fields["loadBalancers"] = [
                {
                    "targetGroupArn": self.target_groups[workload.name],
                    "containerName": workload.name,
                    "containerPort": workload.port,
                }
            ]
        if workload.network_mode == "awsvpc":
            fields["networkConfiguration"] = {
                "awsvpcConfiguration": {"subnets": self.subnets, "securityGroups": [self.security_group]}
            }
        return fields

    def _scaling(self, workload: Workload) -> None:
        if workload.target_percent is None:
            return
        target = {
            "ServiceNamespace": "ecs",
            "ResourceId": f"service/{CLUSTER}/{workload.name}",
            "ScalableDimension": "ecs:service:DesiredCount",
        }
        scaling = self.clients["application-autoscaling"]
        scaling.register_scalable_target(**target, MinCapacity=workload.tasks, MaxCapacity=workload.most_tasks)
        scaling.put_scaling_policy(
            **target,
            PolicyName=f"{workload.name}-cpu",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": workload.target_percent,
                "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"},
                "ScaleOutCooldown": 60,
                "ScaleInCooldown": 300,
            },
        )

    # its age

    def _age(self) -> None:
        """Date everything back: made 200 days ago, `documents` deployed again when it was resized."""
        ecs = self.sandbox.world.ecs_of(self.sandbox.region)
        made = self.sandbox.now - CREATED_BEFORE
        for service in ecs.cluster(CLUSTER).services.values():
            service.created_at = made
            service.events.clear()
            for number, deployment in enumerate(reversed(service.deployments)):
                moment = RESERVATION.at if number else made
                deployment.created_at = deployment.started_at = moment
                deployment.finished_at = deployment.updated_at = moment + timedelta(minutes=4)
                deployment.target.created_at = moment
                ecs.definitions.find(deployment.target.task_definition).registered_at = moment
            for rollout in service.rollouts:
                rollout.created_at = rollout.revision.created_at
                rollout.updated_at = rollout.created_at + timedelta(minutes=4)
            self._age_tasks(service)
        for instance in ecs.cluster(CLUSTER).instances.values():
            instance.registered_at = made

    def _age_tasks(self, service: Any) -> None:
        ecs = self.sandbox.world.ecs_of(self.sandbox.region)
        for task in ecs.cluster(CLUSTER).tasks_of(service):
            task.created_at = service.rollouts[0].created_at
            task.started_at = task.created_at + timedelta(seconds=20)


@contextmanager
def no_delays(sandbox: Sandbox) -> Iterator[None]:
    """Everything that is started starts at once."""
    ecs = sandbox.world.ecs_of(sandbox.region)
    usual = ecs.delays
    ecs.delays = Delays(0, 0, 0, 0, 0, 0, 0, 0)
    try:
        yield
    finally:
        ecs.delays = usual


def _lower(tags: dict[str, str]) -> list[Document]:
    """Tags as ECS spells them."""
    return [{"key": key, "value": value} for key, value in tags.items()]
