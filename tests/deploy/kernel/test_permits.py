"""Inside a run only the step's own call passes: its operation, its resource, its values, its place."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.authorise import Authorisation
from deploy.kernel.permits import Announced, Run, step_refusal

BUNDLE = "a" * 64
RUN = Run(
    BUNDLE,
    "123456789012",
    "eu-west-2",
    "public",
    frozenset({"service/web", "auto-scaling-group/old", "task-definition/web"}),
    frozenset({"web"}),
    "s3://locks/public.lock",
)
STEP = Authorisation(BUNDLE, "run", "001", "service/web", frozenset({"web"}))
ANNOUNCED = Announced(
    "service/web", {"taskDefinition": "web:2", "deploymentConfiguration": {"maximumPercent": 200}}
)
UPDATE = ("ecs", "UpdateService")
GOOD: dict[str, Any] = {
    "cluster": "public",
    "service": "web",
    "taskDefinition": "web:2",
    "deploymentConfiguration": {"maximumPercent": 200, "minimumHealthyPercent": 100},
}


def refusal(
    call: tuple[str, str] = UPDATE,
    step: Authorisation | None = STEP,
    announced: Announced | None = ANNOUNCED,
    region: str = "eu-west-2",
    **changes: Any,
) -> str | None:
    return step_refusal(RUN, step, announced, call, region, GOOD | changes)


def test_the_step_s_own_call_passes() -> None:
    assert refusal() is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"service": "api"}, "it names service 'api'"),
        ({"cluster": "other"}, "it names cluster 'other'"),
        ({"taskDefinition": "web:1"}, "its taskDefinition is not the approved step's"),
        ({"deploymentConfiguration": {"maximumPercent": 400}}, "its deploymentConfiguration is not"),
        ({"desiredCount": 0}, "its desiredCount is not part of the approved step"),
        ({"enableExecuteCommand": True}, "its enableExecuteCommand is not part of the approved step"),
        ({"region": "eu-west-1"}, "approved for eu-west-2, not eu-west-1"),
        ({"call": ("ecs", "DeleteService")}, "a step on service/web does not call it"),
        ({"step": None}, "no step is running"),
        ({"taskDefinition": "arn:aws:ecs:eu-west-2:999999999999:task-definition/web:2"}, "not 999999999999"),
    ],
)
def test_anything_else_is_refused_with_its_reason(changes: dict[str, Any], reason: str) -> None:
    found = refusal(**changes)

    assert found is not None
    assert reason in found


def test_what_a_service_publishes_is_the_announced_one() -> None:
    on = {"metricConfigurations": [{"metricNames": ["CPUUtilization"], "resolutionSeconds": 20}]}
    off = {"metricConfigurations": [{"metricNames": ["CPUUtilization"], "resolutionSeconds": 60}]}
    announced = Announced("service/web", {"monitoring": on})
    call: dict[str, Any] = {"cluster": "public", "service": "web"}

    assert step_refusal(RUN, STEP, announced, UPDATE, "eu-west-2", {**call, "monitoring": on}) is None
    assert "monitoring" in str(
        step_refusal(RUN, STEP, announced, UPDATE, "eu-west-2", {**call, "monitoring": off})
    )
    assert "its monitoring is not part" in str(refusal(monitoring=on))


def test_a_step_of_another_bundle_or_resource_is_refused() -> None:
    assert "another bundle" in str(refusal(step=Authorisation("b" * 64, "run", "1", "service/web", frozenset())))
    assert "not in the approved bundle" in str(
        refusal(step=Authorisation(BUNDLE, "run", "1", "service/api", frozenset()), service="api")
    )


def test_a_container_s_image_is_the_announced_one() -> None:
    step = Authorisation(BUNDLE, "run", "001", "task-definition/web", frozenset({"web"}))
    announced = Announced("task-definition/web", {"family": "web", "containers": {"web": {"image": "web:2"}}})
    call = ("ecs", "RegisterTaskDefinition")

    def ask(image: str) -> str | None:
        parameters = {"family": "web", "containerDefinitions": [{"name": "web", "image": image}]}
        return step_refusal(RUN, step, announced, call, "eu-west-2", parameters)

    assert ask("web:2") is None
    assert "image of container 'web'" in str(ask("evil:1"))


def test_the_lock_and_the_stop_of_a_deployment_belong_to_the_run() -> None:
    def ask(call: tuple[str, str], **parameters: Any) -> str | None:
        return step_refusal(RUN, None, None, call, "eu-west-2", parameters)

    arn = "arn:aws:ecs:eu-west-2:123456789012:service-deployment/public/{}/x"
    assert ask(("s3", "PutObject"), Bucket="locks", Key="public.lock") is None
    assert ask(("s3", "PutObject"), Bucket="locks", Key="other") is not None
    assert ask(("ecs", "StopServiceDeployment"), serviceDeploymentArn=arn.format("web")) is None
    assert ask(("ecs", "StopServiceDeployment"), serviceDeploymentArn=arn.format("api")) is not None
