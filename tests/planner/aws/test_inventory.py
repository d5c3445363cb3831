"""Discovery reads one whole cluster, pages through everything and tells what it could not read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from planner.aws import discover
from planner.aws.clients import Clients
from planner.aws.inventory import _minute_metrics_only
from planner.model import Resources, StrategyItem
from planner.terminal import BadInput
from planner.units import CpuUnits, MiB
from tests.planner.aws.conftest import refuse


def register(clients: Clients, family: str = "web", **extra: Any) -> str:
    arguments: dict[str, Any] = {
        "family": family,
        "cpu": "512",
        "memory": "1024",
        "networkMode": "awsvpc",
        "containerDefinitions": [
            {
                "name": "app",
                "image": "registry.example/app:1",
                "cpu": 384,
                "memory": 768,
                "memoryReservation": 512,
                "secrets": [{"name": "KEY", "valueFrom": "arn:aws:ssm:eu-west-2:1:parameter/key"}],
            },
            {"name": "proxy", "image": "proxy:1", "essential": False, "cpu": 128, "memory": 256},
        ],
    }
    found = clients.get("ecs").register_task_definition(**(arguments | extra))
    return str(found["taskDefinition"]["taskDefinitionArn"])


def add_service(clients: Clients, name: str, **extra: Any) -> None:
    arguments = {"cluster": "prod", "serviceName": name, "taskDefinition": "web", "desiredCount": 2}
    clients.get("ecs").create_service(**(arguments | extra))


def test_an_unknown_cluster_is_refused_by_naming_those_that_exist(clients: Clients) -> None:
    for name in ("prod", "staging"):
        clients.get("ecs").create_cluster(clusterName=name)

    with pytest.raises(BadInput, match=r"No cluster 'porduction' in Region eu-west-2: .* prod, staging\."):
        discover(clients, "porduction")


def test_a_region_without_clusters_says_so(clients: Clients) -> None:
    with pytest.raises(BadInput, match="no cluster exists there"):
        discover(clients, "prod")


def test_a_service_carries_its_whole_task_definition(clients: Clients) -> None:
    clients.get("ecs").create_cluster(clusterName="prod")
    register(clients)
    add_service(clients, "web", tags=[{"key": "team", "value": "payments"}])

    estate = discover(clients, "prod")

    (service,) = estate.services
    app, proxy = service.task_definition.containers
    assert service.task_definition.needs == Resources(CpuUnits(512), MiB(1024), enis=1)
    assert (app.cpu_units, app.memory_mib, app.memory_reservation_mib) == (384, 768, 512)
    assert app.secret_arns == ("arn:aws:ssm:eu-west-2:1:parameter/key",)
    assert (proxy.essential, proxy.memory_reservation_mib) == (False, None)
    assert service.tags == (("team", "payments"),)
    assert (estate.cluster, estate.region) == ("prod", "eu-west-2")


def test_more_services_than_one_batch_of_ten_are_all_read(clients: Clients) -> None:
    clients.get("ecs").create_cluster(clusterName="prod")
    register(clients)
    for number in range(23):
        add_service(clients, f"web-{number:02}")

    estate = discover(clients, "prod")

    assert [s.name for s in estate.services] == [f"web-{n:02}" for n in range(23)]


def test_access_denied_on_one_part_is_told_and_the_rest_is_read(clients: Clients) -> None:
    clients.get("ecs").create_cluster(clusterName="prod")
    register(clients)
    add_service(clients, "web")
    refuse(clients, "application-autoscaling", "DescribeScalingPolicies")

    estate = discover(clients, "prod")

    assert [s.name for s in estate.services] == ["web"]
    denied = [r for r in estate.unreadable if r.what == "scaling (scaling policies)"]
    assert len(denied) == 1
    assert "DescribeScalingPolicies" in denied[0].reason


def test_scaling_targets_policies_schedules_and_queues_are_read(clients: Clients) -> None:
    clients.get("ecs").create_cluster(clusterName="prod")
    register(clients)
    add_service(clients, "worker")
    scaling = clients.get("application-autoscaling")
    common = {
        "ServiceNamespace": "ecs",
        "ResourceId": "service/prod/worker",
        "ScalableDimension": "ecs:service:DesiredCount",
    }
    scaling.register_scalable_target(**common, MinCapacity=2, MaxCapacity=9)
    scaling.put_scaling_policy(
        **common,
        PolicyName="cpu",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 60.0,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"},
            "ScaleOutCooldown": 30,
        },
    )
    scaling.put_scaling_policy(
        **common,
        PolicyName="backlog",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 100.0,
            "CustomizedMetricSpecification": {
                "MetricName": "ApproximateNumberOfMessagesVisible",
                "Namespace": "AWS/SQS",
                "Dimensions": [{"Name": "QueueName", "Value": "orders"}],
                "Statistic": "Average",
            },
        },
    )
    scaling.put_scheduled_action(
        **common,
        ScheduledActionName="morning",
        Schedule="cron(0 7 ? * MON-FRI *)",
        Timezone="Europe/London",
        ScalableTargetAction={"MinCapacity": 4},
    )

    (service,) = discover(clients, "prod").services

    assert service.queue_name == "orders"
    assert service.scaling is not None
    assert (service.scaling.min_capacity, service.scaling.max_capacity) == (2, 9)
    backlog, cpu = service.scaling.target_tracking
    assert (backlog.metric, backlog.target) == ("AWS/SQS/ApproximateNumberOfMessagesVisible", 100.0)
    assert (cpu.metric, cpu.scale_out_cooldown, cpu.scale_in_cooldown) == (
        "ECSServiceAverageCPUUtilization",
        30,
        300,
    )
    (action,) = service.scaling.scheduled
    assert (action.timezone, action.min_capacity, action.max_capacity) == ("Europe/London", 4, None)


def test_listener_rules_lead_to_the_service_behind_the_target_group(clients: Clients) -> None:
    clients.get("ecs").create_cluster(clusterName="prod")
    register(clients)
    vpc = clients.get("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        clients.get("ec2").create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=zone)["Subnet"][
            "SubnetId"
        ]
        for n, zone in enumerate(("eu-west-2a", "eu-west-2b"))
    ]
    elb = clients.get("elbv2")
    balancer = elb.create_load_balancer(Name="front", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    group = elb.create_target_group(Name="api", Protocol="HTTP", Port=80, VpcId=vpc)["TargetGroups"][0][
        "TargetGroupArn"
    ]
    listener = elb.create_listener(
        LoadBalancerArn=balancer,
        Port=443,
        Protocol="HTTP",
        DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
    )["Listeners"][0]["ListenerArn"]
    elb.create_rule(
        ListenerArn=listener,
        Priority=10,
        Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/api/*", "/v2/*"]}}],
        Actions=[{"Type": "forward", "TargetGroupArn": group}],
    )
    add_service(
        clients,
        "api",
        loadBalancers=[{"targetGroupArn": group, "containerName": "app", "containerPort": 80}],
        capacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT", "weight": 3, "base": 1}],
    )

    estate = discover(clients, "prod")

    (route,) = estate.services[0].routes
    assert (route.load_balancer, route.listener_port, route.priority) == ("front", 443, "10")
    assert route.conditions == ("path /api/* or /v2/*",)
    assert [b.name for b in estate.load_balancers] == ["front"]
    assert estate.services[0].target_group_arns == (group,)


def test_capacity_providers_carry_their_group_and_instance_types(clients: Clients) -> None:
    ami = clients.get("ec2").describe_images()["Images"][0]["ImageId"]
    clients.get("ec2").create_launch_template(
        LaunchTemplateName="nodes", LaunchTemplateData={"ImageId": ami, "InstanceType": "m5.large"}
    )
    clients.get("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="nodes",
        MinSize=1,
        MaxSize=8,
        DesiredCapacity=1,
        AvailabilityZones=["eu-west-2a", "eu-west-2b"],
        LaunchTemplate={"LaunchTemplateName": "nodes", "Version": "$Latest"},
    )
    groups = clients.get("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    clients.get("ecs").create_capacity_provider(
        name="nodes",
        autoScalingGroupProvider={
            "autoScalingGroupArn": groups[0]["AutoScalingGroupARN"],
            "managedScaling": {"status": "ENABLED", "targetCapacity": 90},
        },
    )
    clients.get("ecs").create_cluster(clusterName="prod", capacityProviders=["nodes", "FARGATE"])

    fargate, nodes = discover(clients, "prod").capacity_providers

    assert (fargate.name, fargate.auto_scaling_group) == ("FARGATE", None)
    assert (nodes.auto_scaling_group, nodes.instance_types, nodes.max_size) == ("nodes", ("m5.large",), 8)
    assert nodes.zones == ("eu-west-2a", "eu-west-2b")
    assert (nodes.managed_scaling.enabled, nodes.managed_scaling.target_capacity_percent) == (True, 90)


def test_a_strategy_of_a_service_is_kept_in_order() -> None:
    from planner.aws.inventory import _service
    from planner.aws.load_balancing import LoadBalancing

    class Definitions:
        def __getitem__(self, _: str) -> None:
            return None

    raw = {
        "serviceName": "web",
        "serviceArn": "arn",
        "taskDefinition": "web:1",
        "capacityProviderStrategy": [
            {"capacityProvider": "nodes", "weight": 1, "base": 2},
            {"capacityProvider": "spot", "weight": 4},
        ],
        "schedulingStrategy": "DAEMON",
    }

    service = _service(raw, Definitions(), LoadBalancing())  # type: ignore[arg-type]

    assert service.capacity_provider_strategy == (StrategyItem("nodes", 1, 2), StrategyItem("spot", 4, 0))
    assert (service.minimum_healthy_percent, service.maximum_percent) == (0, 100)


def test_container_instances_carry_what_they_registered_and_what_remains(clients: Clients) -> None:
    clients.get("ecs").create_cluster(clusterName="prod")
    image = clients.get("ec2").describe_images()["Images"][0]["ImageId"]
    launched = clients.get("ec2").run_instances(ImageId=image, MinCount=3, MaxCount=3, InstanceType="m5.large")
    for instance in launched["Instances"]:
        document = {"instanceId": instance["InstanceId"], "region": "eu-west-2", "accountId": "123456789012"}
        clients.get("ecs").register_container_instance(
            cluster="prod", instanceIdentityDocument=json.dumps(document)
        )

    instances = discover(clients, "prod").container_instances

    assert [i.ec2_instance_id for i in instances] == sorted(i["InstanceId"] for i in launched["Instances"])
    # the emulator registers 4,096 CPU units and 7,482 MiB whatever the type
    assert {(i.registered.cpu_units, i.registered.memory_mib) for i in instances} == {(4096, 7482)}
    assert instances[0].remaining.cpu_units == instances[0].registered.cpu_units


def test_a_trunked_instance_takes_as_many_tasks_as_ecs_publishes_for_its_type() -> None:
    from planner.aws.capacity import _instance, _trunks
    from planner.aws.paging import Unreadable

    unreadable = Unreadable()
    trunks = _trunks({"m5.large", "x99.huge"}, unreadable)
    raw = {
        "containerInstanceArn": "arn:aws:ecs:eu-west-2:111122223333:container-instance/prod/1",
        "attributes": [
            {"name": "ecs.instance-type", "value": "m5.large"},
            {"name": "ecs.awsvpc-trunk-id", "value": "trunk-1"},
        ],
        "attachments": [{"type": "eni"}, {"type": "eni"}],
    }

    instance = _instance(raw, {"m5.large": 3}, trunks)

    assert instance.registered.enis == 10  # 2 without a trunk
    assert instance.remaining.enis == 8  # two tasks have theirs
    assert [rejection.what for rejection in unreadable.rejections] == ["the trunk's limit of x99.huge"]


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ({}, ""),
        ({"deploymentController": {"type": "ECS"}, "loadBalancers": [{"targetGroupArn": "arn:1"}]}, ""),
        ({"deploymentController": {"type": "CODE_DEPLOY"}}, "its deployment controller is CODE_DEPLOY"),
        ({"loadBalancers": [{"loadBalancerName": "old"}]}, "it is behind a Classic Load Balancer"),
    ],
)
def test_services_that_publish_by_the_minute_only_are_told(raw: dict[str, Any], why: str) -> None:
    assert _minute_metrics_only(raw) == why
