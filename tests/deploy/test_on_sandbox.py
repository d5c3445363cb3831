"""The verbs over boto3 against the sandbox: applied, verified, taken back, and read back by other eyes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.apply import World, apply
from deploy.approve import approve
from deploy.check import check
from deploy.diff import diff
from deploy.drift import drift
from deploy.emit import config_from_plan
from deploy.model import Approval, CheckStatus, FailureKind, Outcome
from deploy.observe import observe
from deploy.patch import patch
from deploy.rollback import rollback
from deploy.sandbox import Sandbox
from deploy.tfstate import managed
from deploy.verify import verify
from planner.documents import ConfigDocument
from tests.deploy import estate


@pytest.fixture
def maria(tmp_path: Path) -> estate.Person:
    return estate.person(tmp_path)


def approved(config: ConfigDocument, world: World, maria: estate.Person) -> Approval:
    observation = observe(config, world.cloud)
    return approve(
        config,
        observation,
        check(config, observation),
        diff(observation.live, observation.wanted, config),
        approver=maria.name,
        reason="cheaper by a third",
        now=world.clock.now(),
        expires_in=estate.EIGHT_HOURS,
        cost_ceiling_usd_per_month=1000,
        signer=maria.signer,
    )


def run(config: ConfigDocument, world: World, maria: estate.Person, folder: Path) -> Outcome:
    return apply(config, approved(config, world, maria), [maria.approver], world, folder / "journal")


def read_through_boto3(sandbox: Sandbox) -> dict[str, Any]:
    """The state as another tool sees it, without what moves by itself."""
    ecs, scaling = sandbox.client("ecs"), sandbox.client("application-autoscaling")
    groups = sandbox.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    service = ecs.describe_services(cluster=estate.CLUSTER, services=["web"])["services"][0]
    kept = ("taskDefinition", "capacityProviderStrategy", "deploymentConfiguration", "placementStrategy")
    templates = sandbox.client("ec2").describe_launch_templates()["LaunchTemplates"]
    return {
        "service": {name: service.get(name) for name in kept} | {"desiredCount": service["desiredCount"]},
        "targets": scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"],
        "policies": [
            {k: v for k, v in policy.items() if k != "Alarms"}
            for policy in scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]
        ],
        "schedules": [
            {k: v for k, v in action.items() if k not in {"CreationTime", "ScheduledActionARN"}}
            for action in scaling.describe_scheduled_actions(ServiceNamespace="ecs")["ScheduledActions"]
        ],
        "groups": {g["AutoScalingGroupName"]: (g["MinSize"], g["MaxSize"], g["DesiredCapacity"]) for g in groups},
        "providers": ecs.describe_clusters(clusters=[estate.CLUSTER])["clusters"][0]["capacityProviders"],
        "definitions": ecs.list_task_definitions(status="ACTIVE")["taskDefinitionArns"],
        "templates": sorted(t["LaunchTemplateName"] for t in templates),
    }


def test_the_applied_state_equals_the_plan_and_rollback_brings_the_start_back(
    sandbox: Sandbox, world: World, maria: estate.Person, tmp_path: Path
) -> None:
    before = read_through_boto3(sandbox)
    config = config_from_plan(estate.plan_for(("web",)))
    outcome = run(config, world, maria, tmp_path)

    assert outcome.succeeded, outcome.failure
    after = read_through_boto3(sandbox)
    assert after["service"]["taskDefinition"].endswith("web:2")
    assert after["service"]["capacityProviderStrategy"] == [{"capacityProvider": "new", "weight": 1, "base": 0}]
    assert after["service"]["deploymentConfiguration"]["deploymentCircuitBreaker"]["rollback"] is True
    assert (after["targets"][0]["MinCapacity"], after["targets"][0]["MaxCapacity"]) == (3, 20)
    assert after["groups"]["old"] == (0, 0, 0)
    assert set(after["providers"]) == {"old", "FARGATE", "new"}
    assert [s["ScheduledActionName"] for s in after["schedules"]] == ["office"]
    definition = sandbox.client("ecs").describe_task_definition(taskDefinition="web:2", include=["TAGS"])
    assert (definition["taskDefinition"]["cpu"], definition["taskDefinition"]["memory"]) == ("512", "1024")
    container = definition["taskDefinition"]["containerDefinitions"][0]
    assert container["environment"] == [{"name": "COLOUR", "value": "top-secret-blue"}]
    assert {"key": "team", "value": "platform"} in definition["tags"]
    assert "top-secret-blue" not in Path(outcome.journal).read_text()
    assert [c.name for c in verify(config, world.cloud, world.clock) if c.status is CheckStatus.NG] == []
    again = observe(config, world.cloud)
    assert diff(again.live, again.wanted, config).is_empty  # planned twice is empty
    assert list(outcome.digests.values()) != []

    assert rollback(Path(outcome.journal), world).succeeded
    assert read_through_boto3(sandbox) == before


def test_a_service_that_its_schedule_scales_between_apply_and_verify_is_waited_for(
    sandbox: Sandbox, world: World, maria: estate.Person, tmp_path: Path
) -> None:
    config = config_from_plan(estate.plan_for(("web",)))
    assert run(config, world, maria, tmp_path).succeeded
    sandbox.client("ecs").update_service(cluster=estate.CLUSTER, service="web", desiredCount=3)
    office = datetime(2026, 5, 13, 6, 0, 1, tzinfo=UTC)  # 07:00 in London: at least 6 tasks, 3 run
    sandbox.advance((office - sandbox.now).total_seconds())

    at_once = verify(config, world.cloud, world.clock, settles_within=timedelta(0))
    assert [c.name for c in at_once if c.status is CheckStatus.NG] == ["service/web runs what it wants"]
    settled = verify(config, world.cloud, world.clock)
    assert [c.name for c in settled if c.status is CheckStatus.NG] == []
    assert sandbox.now > office


def test_every_write_may_lose_its_answer_once(
    sandbox: Sandbox, world: World, maria: estate.Person, tmp_path: Path
) -> None:
    config = config_from_plan(estate.plan_for(("web",)))
    approval = approved(config, world, maria)
    for service, operation in WRITES:
        sandbox.fault(service, operation, "lose-answer")
    outcome = apply(config, approval, [maria.approver], world, tmp_path / "journal")

    assert outcome.succeeded, outcome.failure
    definitions = sandbox.client("ecs").list_task_definitions(status="ACTIVE")["taskDefinitionArns"]
    assert [arn.rsplit("/")[-1] for arn in definitions] == ["web:1", "web:2"]


def test_throttles_and_dropped_reads_are_waited_out(
    sandbox: Sandbox, world: World, maria: estate.Person, tmp_path: Path
) -> None:
    config = config_from_plan(estate.plan_for(("web",)))
    approval = approved(config, world, maria)
    for service, operation in WRITES:
        sandbox.fault(service, operation, "throttle", times=2)
    for operation in ("DescribeServices", "ListServiceDeployments", "DescribeServiceDeployments"):
        sandbox.fault("ecs", operation, "drop", nth=2)

    assert apply(config, approval, [maria.approver], world, tmp_path / "journal").succeeded


WRITES = (
    ("ec2", "CreateLaunchTemplate"),
    ("autoscaling", "CreateAutoScalingGroup"),
    ("autoscaling", "UpdateAutoScalingGroup"),
    ("ecs", "CreateCapacityProvider"),
    ("ecs", "PutClusterCapacityProviders"),
    ("ecs", "RegisterTaskDefinition"),
    ("ecs", "UpdateService"),
    ("ecs", "UpdateContainerInstancesState"),
    ("application-autoscaling", "RegisterScalableTarget"),
    ("application-autoscaling", "PutScalingPolicy"),
    ("application-autoscaling", "PutScheduledAction"),
    ("application-autoscaling", "DeleteScheduledAction"),
)


@pytest.mark.slow
@pytest.mark.parametrize(("service", "operation"), WRITES)
def test_a_denied_write_ends_in_a_named_failure_and_is_taken_back(
    sandbox: Sandbox, world: World, maria: estate.Person, tmp_path: Path, service: str, operation: str
) -> None:
    before = read_through_boto3(sandbox)
    config = config_from_plan(estate.plan_for(("web",)))
    approval = approved(config, world, maria)
    sandbox.fault(service, operation, "deny")
    outcome = apply(config, approval, [maria.approver], world, tmp_path / "journal")

    assert not outcome.succeeded
    assert outcome.failure is not None
    assert operation in outcome.failure.reason
    assert not any(read_through_boto3(sandbox)["targets"][0]["SuspendedState"].values())
    assert rollback(Path(outcome.journal), world).succeeded
    assert read_through_boto3(sandbox) == before


def test_an_image_that_crashes_trips_the_breaker_and_the_apply_says_so(
    sandbox: Sandbox, world: World, maria: estate.Person, tmp_path: Path
) -> None:
    config = patch(
        world.cloud,
        "web",
        f"{estate.ACCOUNT}.dkr.ecr.eu-west-2.amazonaws.com/web:2-fails-to-start",
        "Ops",
        sandbox.now,
    )
    outcome = run(config, world, maria, tmp_path)

    assert not outcome.succeeded
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.BREAKER_ROLLBACK
    assert outcome.failure.stop_reasons


def test_drift_names_the_field_that_somebody_changed_and_what_terraform_would_do(
    sandbox: Sandbox, world: World, maria: estate.Person, tmp_path: Path
) -> None:
    config = config_from_plan(estate.plan_for(("web",)))
    assert run(config, world, maria, tmp_path).succeeded
    sandbox.advance(60)
    alice = sandbox.client("application-autoscaling", aws_access_key_id="alice")
    alice.register_scalable_target(
        ServiceNamespace="ecs",
        ResourceId=f"service/{estate.CLUSTER}/web",
        ScalableDimension="ecs:service:DesiredCount",
        MinCapacity=1,
    )
    changed = sandbox.now
    state = {
        "version": 4,
        "resources": [
            {
                "mode": "managed",
                "type": "aws_appautoscaling_target",
                "name": "web",
                "instances": [
                    {
                        "attributes": {
                            "resource_id": f"service/{estate.CLUSTER}/web",
                            "min_capacity": 4,
                            "max_capacity": 20,
                        }
                    }
                ],
            }
        ],
    }
    sandbox.advance(60)
    cloud = world.cloud
    found = drift(config, cloud, managed(state, estate.CLUSTER), world.clock.now())  # type: ignore[arg-type]

    assert [(d.resource_id, d.path, d.approved, d.live, d.terraform) for d in found] == [
        ("scalable-target/web", "MinCapacity", 3, 1, 4)
    ]
    assert found[0].who == f"alice at {changed.isoformat()} (RegisterScalableTarget)"
