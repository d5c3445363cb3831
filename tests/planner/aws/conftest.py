"""A small estate on an emulated AWS that the tests of discovery and pulling read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from planner.aws.clients import Clients

REGION = "eu-west-2"


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    """Clients of an empty emulated account."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        made = Clients(boto3.Session(region_name=REGION), REGION, max_attempts=1)
        refuse(made, "ecs", "ListServiceDeployments", "UnknownOperationException")  # the emulator lacks it
        yield made


def refuse(clients: Clients, service: str, operation: str, code: str = "AccessDeniedException") -> None:
    """Let AWS answer `operation` with an error."""
    answer = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 400}}

    def deny(**_: Any) -> None:
        raise ClientError(answer, operation)  # type: ignore[arg-type]

    client = clients.get(service)
    name = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register_first(f"before-call.{name}.{operation}", deny)
