"""Services keep what they were given, and ECS's refusals are ECS's."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.deploy.sandbox.conftest import CLUSTER, PROVIDER, Estate


def test_a_service_keeps_every_field_it_was_given(fleet: Estate) -> None:
    given: dict[str, Any] = {
        "capacityProviderStrategy": [{"capacityProvider": PROVIDER, "weight": 3, "base": 1}],
        "placementStrategy": [{"type": "binpack", "field": "memory"}],
        "placementConstraints": [{"type": "distinctInstance"}],
        "healthCheckGracePeriodSeconds": 90,
        "availabilityZoneRebalancing": "DISABLED",
        "enableECSManagedTags": True,
        "enableExecuteCommand": True,
        "propagateTags": "SERVICE",
        "tags": [{"key": "owner", "value": "team"}],
    }
    fleet.create(
        count=1,
        deploymentConfiguration={
            "minimumHealthyPercent": 50,
            "maximumPercent": 150,
            "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        },
        serviceConnectConfiguration={"enabled": True, "namespace": "internal"},
        **given,
    )

    answer = fleet.ecs.describe_services(cluster=CLUSTER, services=["web"], include=["TAGS"])["services"][0]

    assert {name: answer[name] for name in given} == given
    assert "launchType" not in answer
    assert answer["deploymentConfiguration"]["minimumHealthyPercent"] == 50
    assert answer["deploymentConfiguration"]["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
    assert answer["deployments"][0]["serviceConnectConfiguration"]["namespace"] == "internal"


def test_a_partial_deployment_configuration_keeps_the_rest(fleet: Estate) -> None:
    fleet.create(deploymentConfiguration={"minimumHealthyPercent": 50, "maximumPercent": 150})

    configuration = fleet.update(deploymentConfiguration={"maximumPercent": 175})["deploymentConfiguration"]

    assert (configuration["minimumHealthyPercent"], configuration["maximumPercent"]) == (50, 175)


def test_these_changes_start_no_deployment(fleet: Estate) -> None:
    changes: list[dict[str, Any]] = [
        {"desiredCount": 5},
        {"deploymentConfiguration": {"maximumPercent": 150}},
        {"placementStrategy": [{"type": "binpack", "field": "cpu"}]},
        {"placementConstraints": [{"type": "distinctInstance"}]},
        {"healthCheckGracePeriodSeconds": 30},
        {"enableExecuteCommand": True},
        {"propagateTags": "SERVICE"},
        {"availabilityZoneRebalancing": "DISABLED"},
        {"capacityProviderStrategy": [{"capacityProvider": PROVIDER, "weight": 2}]},
    ]
    fleet.create()
    fleet.sandbox.advance(120)

    started = []
    for change in changes:
        fleet.update(**change)
        if len(fleet.deployments()) != 1:
            started.append(change)

    assert started == []


def test_a_task_definition_starts_a_deployment_only_when_it_is_another_one(fleet: Estate) -> None:
    fleet.create(definition=fleet.definition())
    fleet.sandbox.advance(120)

    fleet.update(taskDefinition="web:1")
    assert len(fleet.deployments()) == 1
    fleet.update(taskDefinition="web:1", forceNewDeployment=True)
    assert len(fleet.deployments()) == 2
    fleet.update(taskDefinition=fleet.definition("registry.example/web:2"))
    assert len(fleet.deployments()) == 3
    assert fleet.service()["taskDefinition"].endswith("task-definition/web:2")


def refused(code: str, call: Any, **fields: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**fields)
    assert caught.value.response["Error"]["Code"] == code
    return str(caught.value.response["Error"]["Message"])


def test_refusals_are_those_of_ecs(fleet: Estate) -> None:
    ecs = fleet.ecs
    fleet.create()

    again = {"cluster": CLUSTER, "serviceName": "web", "taskDefinition": "web", "desiredCount": 1}
    assert "idempotent" in refused("InvalidParameterException", ecs.create_service, **again)
    refused("ClusterContainsServicesException", ecs.delete_cluster, cluster=CLUSTER)
    refused("ClusterNotFoundException", ecs.describe_services, cluster="none", services=["web"])
    refused("ServiceNotFoundException", ecs.update_service, cluster=CLUSTER, service="none", desiredCount=1)
    eleven = [f"s{n}" for n in range(11)]
    refused("InvalidParameterException", ecs.describe_services, cluster=CLUSTER, services=eleven)
    refused("ClientException", ecs.describe_task_definition, taskDefinition="none")
    refused("InvalidParameterException", ecs.delete_service, cluster=CLUSTER, service="web")
    both = {**again, "serviceName": "both", "launchType": "EC2",
            "capacityProviderStrategy": [{"capacityProvider": PROVIDER, "weight": 1}]}  # fmt: skip
    refused("InvalidParameterException", ecs.create_service, **both)
    strategy = [{"capacityProvider": "other", "weight": 1}]
    message = refused(
        "InvalidParameterException",
        ecs.update_service,
        cluster=CLUSTER,
        service="web",
        capacityProviderStrategy=strategy,
    )
    assert "not associated with the cluster" in message


def test_a_repeated_client_token_gives_the_service_again(fleet: Estate) -> None:
    fields = {"cluster": CLUSTER, "serviceName": "web", "taskDefinition": fleet.definition(), "clientToken": "t"}

    first, second = (fleet.ecs.create_service(**fields, desiredCount=1)["service"] for _ in range(2))

    assert first["serviceArn"] == second["serviceArn"]


@pytest.mark.parametrize(
    ("cpu", "memory", "accepted"),
    [("256", "512", True), ("0.25 vCPU", "1 GB", True), ("256", "4096", False), ("300", "512", False),
     ("16384", "32768", True), ("8192", "18432", False)],
)  # fmt: skip
def test_fargate_takes_only_its_own_sizes(estate: Estate, cpu: str, memory: str, accepted: bool) -> None:
    fields = {
        "family": "f",
        "requiresCompatibilities": ["FARGATE"],
        "networkMode": "awsvpc",
        "cpu": cpu,
        "memory": memory,
        "containerDefinitions": [{"name": "app", "image": "i"}],
    }
    if accepted:
        assert estate.ecs.register_task_definition(**fields)["taskDefinition"]["compatibilities"] == [
            "EC2",
            "FARGATE",
        ]
    else:
        message = refused("ClientException", estate.ecs.register_task_definition, **fields)
        assert "No Fargate configuration" in message


def test_a_deleted_service_drains_and_is_gone_with_its_last_task(fleet: Estate) -> None:
    fleet.create()
    fleet.sandbox.advance(120)

    fleet.ecs.delete_service(cluster=CLUSTER, service="web", force=True)
    assert fleet.service()["status"] == "DRAINING"
    fleet.sandbox.advance(60)
    assert fleet.service()["status"] == "INACTIVE"
    assert fleet.ecs.list_services(cluster=CLUSTER)["serviceArns"] == []
    fleet.create()


def test_lists_come_in_pages(fleet: Estate) -> None:
    definition = fleet.definition()
    for number in range(12):
        fleet.create(f"s{number:02}", 0, definition)

    pages = list(fleet.ecs.get_paginator("list_services").paginate(cluster=CLUSTER))

    assert [len(page["serviceArns"]) for page in pages] == [10, 2]


def test_tags_can_be_read_changed_and_removed(fleet: Estate) -> None:
    fleet.create(tags=[{"key": "owner", "value": "a"}])
    arn = fleet.service()["serviceArn"]

    fleet.ecs.tag_resource(resourceArn=arn, tags=[{"key": "owner", "value": "b"}, {"key": "x", "value": "y"}])
    fleet.ecs.untag_resource(resourceArn=arn, tagKeys=["x"])

    assert fleet.ecs.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "owner", "value": "b"}]


def test_a_capacity_provider_in_use_is_not_dropped(fleet: Estate) -> None:
    fleet.create()
    refused(
        "ResourceInUseException",
        fleet.ecs.put_cluster_capacity_providers,
        cluster=CLUSTER,
        capacityProviders=[],
        defaultCapacityProviderStrategy=[],
    )


FAST = {"metricConfigurations": [{"metricNames": ["CPUUtilization"], "resolutionSeconds": 20}]}


def revision(fleet: Estate) -> dict[str, Any]:
    arn = fleet.service()["currentServiceRevisions"][0]["arn"]
    found: dict[str, Any] = fleet.ecs.describe_service_revisions(serviceRevisionArns=[arn])["serviceRevisions"][0]
    return found


def test_a_monitoring_configuration_is_a_deployment_and_only_its_revision_tells_it(fleet: Estate) -> None:
    fleet.create()
    fleet.sandbox.advance(300)
    assert "monitoring" not in revision(fleet)

    fleet.update(monitoring=FAST)
    fleet.sandbox.advance(300)

    assert revision(fleet)["monitoring"] == FAST
    assert "monitoring" not in fleet.service()
    assert [d["status"] for d in fleet.deployments()] == ["SUCCESSFUL", "SUCCESSFUL"]
    fleet.update(monitoring=FAST)
    assert len(fleet.deployments()) == 2  # nothing changed


@pytest.mark.parametrize(
    ("configuration", "told"),
    [
        ({"metricNames": ["CPUUtilization"], "resolutionSeconds": 30}, "resolutionSeconds must be 20 or 60"),
        ({"metricNames": ["DiskUtilization"], "resolutionSeconds": 20}, "'DiskUtilization' is not"),
    ],
)
def test_metrics_and_resolutions_that_ecs_does_not_have_are_refused(
    fleet: Estate, configuration: dict[str, Any], told: str
) -> None:
    fleet.create()

    with pytest.raises(ClientError, match=told):
        fleet.update(monitoring={"metricConfigurations": [configuration]})
