"""The history of task sizes comes from the deployments that ECS remembers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.sandbox import Sandbox
from planner.aws import connect, discover
from planner.aws.deployments import Revision, _fast_metrics, _history
from planner.model import Estate, TaskDefinition
from tests.planner.aws.estates import task_definition

T0 = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with Sandbox() as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running


def observe(sandbox: Sandbox) -> Estate:
    return discover(connect(region="eu-west-2", endpoint_url=sandbox.endpoint_url), "prod")


def test_a_deployment_that_halved_the_task_is_in_the_history(sandbox: Sandbox) -> None:
    ecs = sandbox.client("ecs")
    ecs.create_cluster(clusterName="prod")
    for cpu in ("512", "256"):
        ecs.register_task_definition(
            family="web",
            cpu=cpu,
            memory="1024",
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            containerDefinitions=[{"name": "app", "image": "app:1"}],
        )
    subnet = sandbox.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    network = {"awsvpcConfiguration": {"subnets": [subnet]}}
    ecs.create_service(
        cluster="prod",
        serviceName="web",
        taskDefinition="web:1",
        desiredCount=2,
        launchType="FARGATE",
        networkConfiguration=network,
    )
    sandbox.advance(1800)
    changed = sandbox.now
    ecs.update_service(cluster="prod", service="web", taskDefinition="web:2")
    sandbox.advance(1800)

    (service,) = observe(sandbox).services

    assert [d.needs.cpu_units for d in service.deployments] == [512, 256]
    assert [d.status for d in service.deployments] == ["SUCCESSFUL", "SUCCESSFUL"]
    assert abs(service.deployments[1].started_at - changed) < timedelta(minutes=1)
    assert service.deployments[1].finished_at is not None
    assert service.task_definition.needs.cpu_units == 256


class Definitions:
    """Task definitions by ARN, as many CPU units as the ARN says."""

    def get(self, arn: str) -> TaskDefinition | None:
        return task_definition(cpu=int(arn), revision=int(arn)) if arn else None


def history(raw: dict[str, Any], listed: list[dict[str, Any]], revisions: dict[str, str]) -> list[tuple[int, str]]:
    known = {arn: Revision(definition, ()) for arn, definition in revisions.items()}
    found = _history(raw, listed, known, Definitions())  # type: ignore[arg-type]
    return [(d.needs.cpu_units, d.status) for d in found]


def test_deployments_that_never_took_hold_are_left_out() -> None:
    listed = [
        {"targetServiceRevisionArn": "r2", "status": "ROLLBACK_SUCCESSFUL", "startedAt": T0},
        {"targetServiceRevisionArn": "r3", "status": "SUCCESSFUL", "startedAt": T0 + timedelta(days=1)},
        {"targetServiceRevisionArn": "r1", "status": "SUCCESSFUL", "startedAt": T0 - timedelta(days=1)},
    ]

    found = history({}, listed, {"r1": "1024", "r2": "2048", "r3": "512"})

    assert found == [(1024, "SUCCESSFUL"), (512, "SUCCESSFUL")]


def test_without_the_list_the_deployments_of_the_service_give_the_newest_change() -> None:
    shown = [
        {"taskDefinition": "512", "createdAt": T0, "updatedAt": T0, "rolloutState": "COMPLETED"},
        {"taskDefinition": "1024", "createdAt": T0 - timedelta(days=9), "rolloutState": "IN_PROGRESS"},
    ]

    assert history({"deployments": shown}, [], {}) == [(1024, "IN_PROGRESS"), (512, "SUCCESSFUL")]


@pytest.mark.parametrize(
    ("monitoring", "fast"),
    [
        ({}, ()),
        ({"metricConfigurations": [{"metricNames": ["CPUUtilization"], "resolutionSeconds": 60}]}, ()),
        (
            {
                "metricConfigurations": [
                    {"metricNames": ["MemoryUtilization"], "resolutionSeconds": 60},
                    {"metricNames": ["CPUUtilization"], "resolutionSeconds": 20},
                ]
            },
            ("CPUUtilization",),
        ),
    ],
)
def test_a_revision_tells_what_its_tasks_send_every_twenty_seconds(
    monitoring: dict[str, Any], fast: tuple[str, ...]
) -> None:
    assert _fast_metrics(monitoring) == fast
