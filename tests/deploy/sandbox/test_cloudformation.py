"""Stacks make their ECS and scaling resources where everybody else looks for them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.deploy.sandbox.conftest import Estate


def template(count: str = "2", image: str = "registry.example/web:1", **service: Any) -> str:
    return json.dumps(
        {
            "Parameters": {"Count": {"Type": "Number", "Default": count}},
            "Resources": {
                "Cluster": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": "stacked"}},
                "Definition": {
                    "Type": "AWS::ECS::TaskDefinition",
                    "Properties": {
                        "Family": "web",
                        "RequiresCompatibilities": ["FARGATE"],
                        "NetworkMode": "awsvpc",
                        "Cpu": "256",
                        "Memory": "512",
                        "ContainerDefinitions": [{"Name": "app", "Image": image, "Essential": "true"}],
                    },
                },
                "Service": {
                    "Type": "AWS::ECS::Service",
                    "Properties": {
                        "ServiceName": "web",
                        "Cluster": {"Ref": "Cluster"},
                        "TaskDefinition": {"Ref": "Definition"},
                        "DesiredCount": {"Ref": "Count"},
                        "LaunchType": "FARGATE",
                        "NetworkConfiguration": {"AwsvpcConfiguration": {"Subnets": ["subnet-1"]}},
                        "DeploymentConfiguration": {"MaximumPercent": 150, "MinimumHealthyPercent": 50},
                        **service,
                    },
                },
                "Target": {
                    "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
                    "DependsOn": "Service",
                    "Properties": {
                        "ServiceNamespace": "ecs",
                        "ScalableDimension": "ecs:service:DesiredCount",
                        "ResourceId": {"Fn::Sub": "service/${Cluster}/web"},
                        "MinCapacity": 1,
                        "MaxCapacity": "6",
                        "ScheduledActions": [
                            {
                                "ScheduledActionName": "morning",
                                "Schedule": "cron(0 7 ? * MON-FRI *)",
                                "Timezone": "Europe/London",
                                "ScalableTargetAction": {"MinCapacity": 3},
                            }
                        ],
                    },
                },
                "Policy": {
                    "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
                    "Properties": {
                        "PolicyName": "cpu",
                        "PolicyType": "TargetTrackingScaling",
                        "ScalingTargetId": {"Ref": "Target"},
                        "TargetTrackingScalingPolicyConfiguration": {
                            "TargetValue": 60,
                            "PredefinedMetricSpecification": {
                                "PredefinedMetricType": "ECSServiceAverageCPUUtilization"
                            },
                        },
                    },
                },
            },
        }
    )


def change(estate: Estate, kind: str, body: str) -> None:
    stacks = estate.sandbox.client("cloudformation")
    stacks.create_change_set(StackName="s", ChangeSetName="c", ChangeSetType=kind, TemplateBody=body)
    stacks.execute_change_set(StackName="s", ChangeSetName="c")


def test_a_stack_makes_changes_and_deletes_what_it_says(estate: Estate) -> None:
    change(estate, "CREATE", template())
    estate.sandbox.advance(120)

    def service() -> dict[str, Any]:
        found: dict[str, Any] = estate.ecs.describe_services(cluster="stacked", services=["web"])["services"][0]
        return found

    assert (service()["desiredCount"], service()["runningCount"]) == (2, 2)
    assert service()["deploymentConfiguration"]["maximumPercent"] == 150
    target = estate.scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"][0]
    assert (target["ResourceId"], target["MaxCapacity"]) == ("service/stacked/web", 6)
    action = estate.scaling.describe_scheduled_actions(ServiceNamespace="ecs")["ScheduledActions"][0]
    assert action["Timezone"] == "Europe/London"
    assert len(estate.scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]) == 1

    change(estate, "UPDATE", template(count="4", image="registry.example/web:2"))
    estate.sandbox.advance(300)
    assert (service()["desiredCount"], service()["runningCount"]) == (4, 4)
    assert service()["taskDefinition"].endswith("web:2")

    estate.sandbox.client("cloudformation").delete_stack(StackName="s")
    assert estate.ecs.describe_clusters(clusters=["stacked"])["clusters"][0]["status"] == "INACTIVE"
    assert estate.scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"] == []


def test_a_property_that_is_not_known_is_refused_by_name(estate: Estate) -> None:
    with pytest.raises(ClientError, match="does not know the property Colour"):
        change(estate, "CREATE", template(Colour="red"))
