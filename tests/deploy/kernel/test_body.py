"""Inside a run a request has to say what its call was judged by: the same values, no more and no less."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from botocore.serialize import create_serializer

from deploy.kernel.body import plain, says
from deploy.kernel.wire import Models

MODELS = Models()
URL = "https://ecs.eu-west-2.amazonaws.com/"


def serialised(service: str, operation: str, parameters: dict[str, Any]) -> Any:
    """The body as botocore itself writes it, before any handler."""
    model = botocore.session.get_session().get_service_model(service)
    protocol = model.metadata["protocol"]
    request = create_serializer(protocol).serialize_to_request(parameters, model.operation_model(operation))
    return request["body"]


CALLS: list[tuple[str, str, dict[str, Any]]] = [
    (
        "ecs",
        "UpdateService",
        {"cluster": "c", "service": "web", "deploymentConfiguration": {"maximumPercent": 200}, "desiredCount": 2},
    ),
    (
        "application-autoscaling",
        "PutScheduledAction",
        {
            "ServiceNamespace": "ecs",
            "ResourceId": "service/c/web",
            "ScheduledActionName": "morning",
            "ScalableDimension": "ecs:service:DesiredCount",
            "StartTime": datetime(2026, 5, 13, 7, tzinfo=UTC),
            "ScalableTargetAction": {"MinCapacity": 4, "MaxCapacity": 9},
        },
    ),
    (
        "autoscaling",
        "UpdateAutoScalingGroup",
        {"AutoScalingGroupName": "new", "MinSize": 2, "MaxSize": 9, "NewInstancesProtectedFromScaleIn": True},
    ),
    (
        "ec2",
        "CreateLaunchTemplate",
        {
            "LaunchTemplateName": "new",
            "ClientToken": "t",
            "LaunchTemplateData": {"InstanceType": "m5.large", "SecurityGroupIds": ["sg-1", "sg-2"]},
        },
    ),
]


@pytest.mark.parametrize(("service", "operation", "parameters"), CALLS)
def test_what_botocore_writes_of_the_parameters_passes(
    service: str, operation: str, parameters: dict[str, Any]
) -> None:
    wanted = MODELS.expected(service, operation)

    assert wanted is not None
    assert says(wanted, plain(parameters), URL, serialised(service, operation, parameters))


@pytest.mark.parametrize(("service", "operation", "parameters"), CALLS)
def test_another_value_is_found(service: str, operation: str, parameters: dict[str, Any]) -> None:
    wanted = MODELS.expected(service, operation)
    name = next(key for key, value in parameters.items() if isinstance(value, str))

    assert wanted is not None
    assert not says(
        wanted, plain(parameters), URL, serialised(service, operation, {**parameters, name: "another"})
    )


def test_a_field_that_was_added_or_left_out_is_found() -> None:
    service, operation, parameters = CALLS[0]
    wanted = MODELS.expected(service, operation)
    fewer = {key: value for key, value in parameters.items() if key != "desiredCount"}

    assert wanted is not None
    assert not says(wanted, fewer, URL, serialised(service, operation, parameters))
    assert not says(wanted, parameters, URL, serialised(service, operation, fewer))


def test_the_lock_s_object_is_the_one_that_was_asked_for() -> None:
    wanted = MODELS.expected("s3", "PutObject")
    asked = {"Bucket": "locks", "Key": "public.lock", "Body": b"{}", "IfNoneMatch": "*"}

    assert wanted is not None
    assert says(wanted, asked, "https://s3.eu-west-2.amazonaws.com/locks/public.lock", b"{}")
    assert says(wanted, asked, "https://locks.s3.eu-west-2.amazonaws.com/public.lock", b"{}")
    assert not says(wanted, asked, "https://s3.eu-west-2.amazonaws.com/locks/other", b"{}")
    assert not says(wanted, asked, "https://s3.eu-west-2.amazonaws.com/locks/public.lock", b"evil")
