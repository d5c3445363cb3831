"""Checks before an approval name what is missing; what cannot be read is a SKIP and never an OK."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.aws.images import image_check
from deploy.emit import config_from_plan
from deploy.fargate import size_problem
from deploy.model import Check, CheckStatus
from deploy.sandbox import Sandbox
from deploy.verbs import check_bundle
from planner.documents import PlanDocument
from planner.units import CpuUnits, MiB
from tests.deploy import estate

INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        estate.build(running, ("web",))
        yield running


def checks_for(sandbox: Sandbox, **definition: Any) -> dict[str, Check]:
    """The checks of a plan whose base revision has `definition` laid over the estate's own."""
    ecs = sandbox.client("ecs")
    base = ecs.describe_task_definition(taskDefinition="web:1")["taskDefinition"]
    container = {**base["containerDefinitions"][0], **definition.pop("container", {})}
    arn = ecs.register_task_definition(
        family="web",
        networkMode="bridge",
        cpu="1024",
        memory="2048",
        containerDefinitions=[container],
        **definition,
    )["taskDefinition"]["taskDefinitionArn"]
    ecs.update_service(cluster=estate.CLUSTER, service="web", taskDefinition=arn)
    sandbox.advance(600)
    data = estate.plan_for(("web",)).model_dump(mode="json")
    data["services"][0]["task_definition_arn"] = arn
    config = config_from_plan(PlanDocument.model_validate(data))
    return {check.name: check for check in check_bundle(config, estate.cloud_of(sandbox))}


def test_a_missing_secret_role_and_log_group_are_named(sandbox: Sandbox) -> None:
    secret = f"arn:aws:secretsmanager:{estate.REGION}:{estate.ACCOUNT}:secret:db-AbCdEf"
    log = {"logDriver": "awslogs", "options": {"awslogs-group": "/ecs/web", "awslogs-region": estate.REGION}}
    found = checks_for(
        sandbox,
        executionRoleArn=f"arn:aws:iam::{estate.ACCOUNT}:role/missing",
        container={"secrets": [{"name": "DB", "valueFrom": secret}], "logConfiguration": log},
    )

    assert found["task-definition/web secret db-AbCdEf exists"].status is CheckStatus.NG
    assert found["task-definition/web executionRoleArn is assumable by tasks"].status is CheckStatus.NG
    assert found["task-definition/web log group /ecs/web exists"].status is CheckStatus.NG


def test_what_is_there_is_ok(sandbox: Sandbox) -> None:
    secret = sandbox.client("secretsmanager").create_secret(Name="token", SecretString="hidden")["ARN"]
    sandbox.client("logs").create_log_group(logGroupName="/ecs/there")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    role = sandbox.client("iam").create_role(RoleName="run", AssumeRolePolicyDocument=json.dumps(trust))["Role"][
        "Arn"
    ]
    log = {"logDriver": "awslogs", "options": {"awslogs-group": "/ecs/there", "awslogs-region": estate.REGION}}
    found = checks_for(
        sandbox,
        executionRoleArn=role,
        container={"secrets": [{"name": "T", "valueFrom": secret}], "logConfiguration": log},
    )

    name = secret.rsplit(":", 1)[-1]
    assert found[f"task-definition/web secret {name} exists"].status is CheckStatus.OK
    assert found["task-definition/web executionRoleArn is assumable by tasks"].status is CheckStatus.OK
    assert found["task-definition/web log group /ecs/there exists"].status is CheckStatus.OK
    assert "hidden" not in str(found)


def test_the_rollout_is_replayed_on_the_live_instances(sandbox: Sandbox) -> None:
    found = checks_for(sandbox)

    assert found["service/web rollout fits"].status is CheckStatus.OK
    assert found["service/web rollout fits"].reason.startswith("fits")


def ask(sandbox: Sandbox, image: str, architecture: str = "X86_64", **container: Any) -> Check:
    return image_check(estate.calls_of(sandbox), "image", {"image": image, **container}, architecture)


def test_images_are_looked_up_with_their_architecture(sandbox: Sandbox) -> None:
    ecr = sandbox.client("ecr")
    ecr.create_repository(repositoryName="app")
    manifest = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"platform": {"architecture": "amd64"}}]}
    ecr.put_image(
        repositoryName="app", imageManifest=json.dumps(manifest), imageTag="1", imageManifestMediaType=INDEX
    )
    repository = f"{estate.ACCOUNT}.dkr.ecr.{estate.REGION}.amazonaws.com/app"

    assert ask(sandbox, f"{repository}:1").status is CheckStatus.OK
    assert ask(sandbox, f"{repository}:1", "ARM64") == Check.ng(
        "image", "it has amd64, but the task runs on ARM64"
    )
    assert ask(sandbox, f"{repository}:2").status is CheckStatus.NG
    assert ask(sandbox, f"{repository}x:1") == Check.ng("image", "there is no repository appx")


def test_an_image_elsewhere_is_skipped_with_the_reason(sandbox: Sandbox) -> None:
    private = ask(sandbox, "registry.example/web:1", repositoryCredentials={"credentialsParameter": "arn"})

    assert private.status is CheckStatus.SKIP
    assert "private registry" in private.reason
    assert ask(sandbox, "nginx:1").status is CheckStatus.SKIP


@pytest.mark.parametrize(
    ("cpu", "memory", "fits"),
    [
        (256, 512, True),
        (256, 3072, False),
        (300, 512, False),
        (8192, 20480, True),
        (8192, 17408, False),
        (32768, 61440, True),
    ],
)
def test_fargate_takes_only_its_own_sizes(cpu: int, memory: int, fits: bool) -> None:
    assert (size_problem(CpuUnits(cpu), MiB(memory)) is None) is fits
