"""Deployments progress within their bounds, succeed, trip the breaker, roll back, and can be stopped."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.sandbox.ecs.rollouts import bounds, breaker_threshold
from tests.deploy.sandbox.conftest import CLUSTER, Estate

BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}


@pytest.mark.parametrize(
    ("desired", "least", "most", "expected"),
    [(4, 100, 200, (4, 8)), (4, 50, 150, (2, 6)), (5, 50, 150, (3, 7)), (1, 0, 100, (0, 1)), (3, 99, 101, (3, 3))],
)
def test_bounds_round_the_minimum_up_and_the_maximum_down(
    desired: int, least: int, most: int, expected: tuple[int, int]
) -> None:
    assert bounds(desired, {"minimumHealthyPercent": least, "maximumPercent": most}) == expected


@pytest.mark.parametrize(("desired", "threshold"), [(1, 3), (7, 4), (25, 13), (400, 200), (800, 200)])
def test_the_breaker_trips_at_half_the_desired_count_from_3_to_200(desired: int, threshold: int) -> None:
    assert breaker_threshold(desired, BREAKER) == threshold
    assert breaker_threshold(desired, {}) is None


def test_tasks_start_after_their_delay_and_the_deployment_completes(fleet: Estate) -> None:
    fleet.create(count=4)
    assert fleet.counts() == (0, 4)
    fleet.sandbox.advance(25)
    assert fleet.counts() == (4, 0)
    assert fleet.service()["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    fleet.sandbox.advance(60)
    service = fleet.service()
    assert service["deployments"][0]["rolloutState"] == "COMPLETED"
    assert "has reached a steady state" in service["events"][0]["message"]
    assert fleet.deployments()[0]["status"] == "SUCCESSFUL"


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(desired=st.integers(1, 6), least=st.sampled_from([0, 50, 100]), most=st.sampled_from([101, 150, 200]))
def test_a_rolling_deployment_stays_within_its_bounds_all_the_way(
    fleet: Estate, desired: int, least: int, most: int
) -> None:
    configuration = {"minimumHealthyPercent": least, "maximumPercent": most}
    lower, upper = bounds(desired, configuration)
    name = f"service-{uuid4().hex}"
    fleet.create(name, desired, fleet.definition(), deploymentConfiguration=configuration)
    fleet.sandbox.advance(200)
    fleet.update(name, taskDefinition=fleet.definition("registry.example/web:2"))
    for _ in range(60):
        fleet.sandbox.advance(10)
        running, pending = fleet.counts(name)
        assert running >= lower
        assert running + pending <= upper
    stuck = upper <= desired and lower >= desired
    assert fleet.deployments(name)[0]["status"] == ("IN_PROGRESS" if stuck else "SUCCESSFUL")
    fleet.ecs.delete_service(cluster=CLUSTER, service=name, force=True)


@pytest.mark.parametrize(
    ("tag", "reason"),
    [("fails-to-pull", "CannotPullContainerError"), ("fails-to-start", "Essential container in task exited")],
)
def test_a_bad_image_trips_the_breaker_and_the_old_tasks_keep_running(
    fleet: Estate, tag: str, reason: str
) -> None:
    fleet.create(definition=fleet.definition(), deploymentConfiguration=BREAKER)
    fleet.sandbox.advance(120)
    good = {task["taskArn"] for task in fleet.tasks()}

    fleet.update(taskDefinition=fleet.definition(f"registry.example/web:{tag}"))
    fleet.sandbox.advance(300)

    newest = fleet.deployments()[0]
    assert newest["status"] == "ROLLBACK_SUCCESSFUL"
    assert newest["deploymentCircuitBreaker"]["status"] == "TRIGGERED"
    assert newest["rollback"]["serviceRevisionArn"] == newest["sourceServiceRevisions"][0]["arn"]
    assert fleet.service()["taskDefinition"].endswith("web:1")
    assert {task["taskArn"] for task in fleet.tasks()} == good
    assert any(reason in task["stoppedReason"] for task in fleet.tasks(status="STOPPED"))


def test_a_failing_health_check_trips_the_breaker_too(fleet: Estate) -> None:
    check = {"healthCheck": {"command": ["CMD-SHELL", "true"]}}
    fleet.create(definition=fleet.definition(**check), deploymentConfiguration=BREAKER)
    fleet.sandbox.advance(120)

    fleet.sandbox.break_image("registry.example/web:2", "health")
    fleet.update(taskDefinition=fleet.definition("registry.example/web:2", **check))
    fleet.sandbox.advance(400)

    assert fleet.deployments()[0]["status"] == "ROLLBACK_SUCCESSFUL"
    assert fleet.counts() == (4, 0)


def test_without_rollback_the_failed_deployment_stays_and_launches_no_more(fleet: Estate) -> None:
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": False}}
    fleet.create(definition=fleet.definition(), deploymentConfiguration=breaker)
    fleet.sandbox.advance(120)
    fleet.update(taskDefinition=fleet.definition("registry.example/web:fails-to-start"))
    fleet.sandbox.advance(120)
    failed = fleet.service()["deployments"][0]
    fleet.sandbox.advance(3600)

    primary, old = fleet.service()["deployments"]
    assert (primary["rolloutState"], old["runningCount"]) == ("FAILED", 4)
    assert primary["failedTasks"] == failed["failedTasks"]


def test_without_a_breaker_starts_are_spaced_out_and_never_end(fleet: Estate) -> None:
    fleet.create(definition=fleet.definition())
    fleet.sandbox.advance(120)
    fleet.update(taskDefinition=fleet.definition("registry.example/web:fails-to-start"))

    def failed_in(seconds: float) -> int:
        before = fleet.service()["deployments"][0]["failedTasks"]
        fleet.sandbox.advance(seconds)
        return int(fleet.service()["deployments"][0]["failedTasks"]) - before

    first, later = failed_in(1800), failed_in(1800)

    assert first > later > 0
    assert fleet.deployments()[0]["status"] == "IN_PROGRESS"


def test_each_tag_is_resolved_to_a_digest_once_a_deployment(fleet: Estate) -> None:
    fleet.create(count=1, definition=fleet.definition("registry.example/web:latest"))
    fleet.sandbox.advance(120)

    def digests() -> set[str]:
        return {task["containers"][0]["imageDigest"] for task in fleet.tasks()}

    first = digests()
    pushed = fleet.sandbox.push_image("registry.example/web:latest")
    fleet.update(desiredCount=3)
    fleet.sandbox.advance(120)
    assert digests() == first != {pushed}
    fleet.update(forceNewDeployment=True)
    fleet.sandbox.advance(200)
    assert digests() == {pushed}
    revision = fleet.deployments()[0]["targetServiceRevision"]["arn"]
    answer = fleet.ecs.describe_service_revisions(serviceRevisionArns=[revision])["serviceRevisions"][0]
    assert answer["containerImages"][0]["imageDigest"] == pushed


@pytest.mark.parametrize(("stop_type", "status"), [("ABORT", "STOPPED"), ("ROLLBACK", "ROLLBACK_SUCCESSFUL")])
def test_a_deployment_in_progress_can_be_stopped(fleet: Estate, stop_type: Any, status: str) -> None:
    fleet.create(definition=fleet.definition())
    fleet.sandbox.advance(120)
    fleet.update(taskDefinition=fleet.definition("registry.example/web:2"))
    fleet.sandbox.advance(10)
    arn = fleet.deployments()[0]["serviceDeploymentArn"]

    fleet.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType=stop_type)
    fleet.sandbox.advance(200)

    assert fleet.deployments()[0]["status"] == status
    assert fleet.service()["runningCount"] >= 4
    with pytest.raises(ClientError, match="only one in progress can be stopped"):
        fleet.ecs.stop_service_deployment(serviceDeploymentArn=arn)


def test_a_newer_deployment_supersedes_one_in_progress(fleet: Estate) -> None:
    fleet.create(definition=fleet.definition())
    fleet.sandbox.advance(120)
    for number in (2, 3):
        fleet.update(taskDefinition=fleet.definition(f"registry.example/web:{number}"))
        fleet.sandbox.advance(5)
    fleet.sandbox.advance(300)

    assert [d["status"] for d in fleet.deployments()] == ["SUCCESSFUL", "STOPPED", "SUCCESSFUL"]
    assert {task["taskDefinitionArn"][-1] for task in fleet.tasks()} == {"3"}


def test_a_missing_secret_keeps_tasks_from_starting(fleet: Estate) -> None:
    secret = "arn:aws:secretsmanager:eu-west-2:123456789012:secret:none-AbCdEf"
    fleet.create(count=1, definition=fleet.definition(secrets=[{"name": "X", "valueFrom": secret}]))
    fleet.sandbox.advance(60)

    assert fleet.counts()[0] == 0
    assert "ResourceInitializationError" in fleet.tasks(status="STOPPED")[0]["stoppedReason"]
