"""Checks before an approval name what is missing; what cannot be read is a SKIP and never an OK."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.aws.images import image_check
from deploy.aws.permissions import deployer_check, execution_role_check
from deploy.aws.quotas import quota_checks
from deploy.emit import config_from_plan
from deploy.fargate import size_problem
from deploy.iam import deploying_policy
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


# What roles may do


def role_with(sandbox: Sandbox, name: str, *statements: dict[str, Any]) -> str:
    iam = sandbox.client("iam")
    trust = {
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ]
    }
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(
        RoleName=name,
        PolicyName="own",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}),
    )
    return str(arn)


def allow(*actions: str, on: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


IMAGES_AND_LOGS = allow("ecr:*", "logs:CreateLogStream", "logs:PutLogEvents")


@pytest.fixture(scope="module")
def keyed_secret(sandbox: Sandbox) -> tuple[str, str]:
    """A secret under a key of its own, and that key."""
    key = sandbox.client("kms").create_key()["KeyMetadata"]["Arn"]
    made = sandbox.client("secretsmanager").create_secret(Name="keyed", SecretString="hidden", KmsKeyId=key)
    return str(made["ARN"]), str(key)


def read_check(sandbox: Sandbox, role: str, secret: str) -> Check:
    container = {
        "name": "web",
        "image": f"{estate.ACCOUNT}.dkr.ecr.{estate.REGION}.amazonaws.com/web:1",
        "secrets": [{"name": "T", "valueFrom": f"{secret}:password::"}],
        "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/ecs/web"}},
    }
    definition = {"containerDefinitions": [container]}
    return execution_role_check(estate.calls_of(sandbox), "reads", role, definition, estate.ACCOUNT)


def test_an_execution_role_that_may_read_everything_is_ok(sandbox: Sandbox, keyed_secret: tuple[str, str]) -> None:
    secret, key = keyed_secret
    needed = (allow("secretsmanager:GetSecretValue", on=secret), allow("kms:Decrypt", on=key))

    found = read_check(sandbox, role_with(sandbox, "reads", IMAGES_AND_LOGS, *needed), secret)
    assert found.status is CheckStatus.OK, found


def test_a_role_that_may_not_decrypt_is_named_with_the_key(
    sandbox: Sandbox, keyed_secret: tuple[str, str]
) -> None:
    secret, key = keyed_secret
    half = (IMAGES_AND_LOGS, allow("secretsmanager:GetSecretValue", on=secret))

    found = read_check(sandbox, role_with(sandbox, "half", *half), secret)
    assert found.status is CheckStatus.NG
    assert f"kms:Decrypt on {key}" in found.reason
    assert "GetSecretValue" not in found.reason


def test_a_deny_wins_and_a_condition_is_not_guessed(sandbox: Sandbox, keyed_secret: tuple[str, str]) -> None:
    secret, _key = keyed_secret
    everything = allow("*")
    deny = {"Effect": "Deny", "Action": "kms:*", "Resource": "*"}
    tested = allow("*", Condition={"StringEquals": {"aws:SourceVpc": "vpc-1"}})

    denied = read_check(sandbox, role_with(sandbox, "denied", everything, deny), secret)
    unsure = read_check(sandbox, role_with(sandbox, "unsure", tested), secret)
    assert denied.status is CheckStatus.NG
    assert unsure.status is CheckStatus.SKIP
    assert "aws:SourceVpc" in unsure.reason


def test_an_attached_policy_counts_like_an_inline_one(sandbox: Sandbox, keyed_secret: tuple[str, str]) -> None:
    role = role_with(sandbox, "attached", allow("ecs:DescribeClusters"))
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow("*")]})
    iam = sandbox.client("iam")
    policy = iam.create_policy(PolicyName="everything", PolicyDocument=document)["Policy"]["Arn"]
    assert read_check(sandbox, role, keyed_secret[0]).status is CheckStatus.NG
    iam.attach_role_policy(RoleName="attached", PolicyArn=policy)

    assert read_check(sandbox, role, keyed_secret[0]).status is CheckStatus.OK


def test_a_key_s_own_policy_lets_a_role_in(sandbox: Sandbox, keyed_secret: tuple[str, str]) -> None:
    secret, key = keyed_secret
    role = role_with(sandbox, "by-key", IMAGES_AND_LOGS, allow("secretsmanager:GetSecretValue", on=secret))
    assert read_check(sandbox, role, secret).status is CheckStatus.NG
    kms = sandbox.client("kms")
    before = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    own = {"Effect": "Allow", "Principal": {"AWS": role}, "Action": "kms:Decrypt", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [own]}
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))
    found = read_check(sandbox, role, secret)
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=before)

    assert found.status is CheckStatus.OK, found


def as_user(sandbox: Sandbox, *statements: dict[str, Any]) -> Check:
    iam = sandbox.client("iam")
    name = f"deployer-{len(iam.list_users()['Users'])}"
    arn = iam.create_user(UserName=name)["User"]["Arn"]
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
    calls = estate.calls_of(sandbox)
    told = {"Arn": arn}
    real = calls.call

    class AsUser(type(calls)):  # type: ignore[misc]
        def call(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
            return told if operation == "GetCallerIdentity" else real(service, operation, **parameters)

        __call__ = call

    calls.__class__ = AsUser
    return deployer_check(calls, "deployer")


def test_who_may_not_make_the_writes_of_an_apply_learns_it_before(sandbox: Sandbox) -> None:
    whole = deploying_policy()["Statement"]
    without = [{**s, "Action": [a for a in s["Action"] if a != "ecs:UpdateService"]} for s in whole]

    assert as_user(sandbox, *whole).status is CheckStatus.OK
    found = as_user(sandbox, *without)
    assert found.status is CheckStatus.NG
    assert "ecs:UpdateService on *" in found.reason


# Quotas


@pytest.mark.parametrize(
    ("quota", "value", "name", "reason"),
    [
        (
            "Tasks per service",
            30,
            "the quota of tasks allows every service at its largest",
            "web may run 40 tasks",
        ),
        (
            "Container instances per cluster",
            20,
            "the quota of container instances allows the groups at their largest",
            "4 now and up to 30",
        ),
        ("Services per cluster", 0, "the quota of services allows the cluster's", "1 services, quota 0"),
        (
            "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
            8,
            "the vCPU quota allows the new instances",
            "18 vCPUs planned",
        ),
    ],
)
def test_a_quota_that_is_too_small_is_named_with_its_value(
    sandbox: Sandbox, quota: str, value: float, name: str, reason: str
) -> None:
    config, cloud = config_from_plan(estate.plan_for(("web",))), estate.cloud_of(sandbox)

    def check() -> Check:
        return next(c for c in quota_checks(config, cloud, lambda _name, ask: ask()) if c.name == name)

    before = check()
    sandbox.set_quota(quota, value)
    after = check()
    sandbox.world.quotas.clear()

    assert before.status is CheckStatus.OK
    assert after.status is CheckStatus.NG
    assert reason in after.reason
