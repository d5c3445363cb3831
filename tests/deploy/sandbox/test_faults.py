"""Injected faults meet every client at the n-th call, with or without the call's effect."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from deploy.sandbox import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


def clusters(sandbox: Sandbox) -> list[str]:
    arns = sandbox.client("ecs").list_clusters()["clusterArns"]
    return [arn.rpartition("/")[2] for arn in arns]


@pytest.mark.parametrize(
    ("service", "call", "kind", "code"),
    [
        ("ecs", "list_clusters", "throttle", "ThrottlingException"),
        ("ec2", "describe_vpcs", "throttle", "RequestLimitExceeded"),
        ("autoscaling", "describe_auto_scaling_groups", "throttle", "Throttling"),
        ("ecs", "list_clusters", "deny", "AccessDeniedException"),
        ("ec2", "describe_vpcs", "deny", "UnauthorizedOperation"),
        ("cloudwatch", "list_metrics", "deny", "AccessDenied"),
        ("ecs", "list_clusters", "error", "InternalFailure"),
    ],
)
def test_a_fault_is_answered_in_the_service_s_own_words(
    sandbox: Sandbox, service: str, call: str, kind: Any, code: str
) -> None:
    client = sandbox.client(service)
    sandbox.fault(service, "*", kind)

    with pytest.raises(ClientError) as caught:
        getattr(client, call)()

    assert caught.value.response["Error"]["Code"].startswith(code)
    getattr(client, call)()


def test_only_the_nth_call_fails(sandbox: Sandbox) -> None:
    ecs = sandbox.client("ecs")
    sandbox.fault("ecs", "CreateCluster", "throttle", nth=2, times=2)

    outcomes = []
    for number in range(5):
        try:
            ecs.create_cluster(clusterName=f"c{number}")
            outcomes.append("done")
        except ClientError:
            outcomes.append("throttled")

    assert outcomes == ["done", "throttled", "throttled", "done", "done"]
    assert clusters(sandbox) == ["c0", "c3", "c4"]


def test_a_dropped_call_has_no_effect_and_a_lost_answer_has(sandbox: Sandbox) -> None:
    ecs = sandbox.client("ecs")
    sandbox.fault("ecs", "CreateCluster", "drop")
    with pytest.raises(ConnectionClosedError):
        ecs.create_cluster(clusterName="dropped")
    sandbox.fault("ecs", "CreateCluster", "lose-answer")
    with pytest.raises(ConnectionClosedError):
        ecs.create_cluster(clusterName="lost")

    assert clusters(sandbox) == ["lost"]


def test_a_client_that_retries_gets_through_a_throttle(sandbox: Sandbox) -> None:
    patient = sandbox.client("ecs", config=Config(retries={"mode": "standard", "total_max_attempts": 3}))
    sandbox.fault("ecs", "ListClusters", "throttle")

    assert patient.list_clusters()["ResponseMetadata"]["RetryAttempts"] == 1


def test_calls_are_recorded_with_their_outcome(sandbox: Sandbox) -> None:
    ecs, s3 = sandbox.client("ecs"), sandbox.client("s3")
    ecs.create_cluster(clusterName="c")
    s3.list_buckets()
    sandbox.client("cloudwatch").list_metrics()
    sandbox.client("elbv2").describe_load_balancers()
    sandbox.fault("ecs", "*", "drop")
    with pytest.raises(ConnectionClosedError):
        ecs.list_services(cluster="c")

    assert [(call.service, call.operation, call.status) for call in sandbox.calls] == [
        ("ecs", "CreateCluster", 200),
        ("s3", "ListBuckets", 200),
        ("cloudwatch", "ListMetrics", 200),
        ("elbv2", "DescribeLoadBalancers", 200),
        ("ecs", "ListServices", 0),
    ]


def control(sandbox: Sandbox, method: str, path: str, body: Any = None, host: str | None = None) -> Any:
    request = urllib.request.Request(
        sandbox.endpoint_url + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Host": host} if host else {},
    )
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_faults_clock_and_calls_are_controlled_over_http_too(sandbox: Sandbox) -> None:
    fault = {"service": "ecs", "operation": "ListClusters", "kind": "throttle"}
    assert control(sandbox, "POST", "/sandbox/faults", fault) == (200, {"faults": 1})
    with pytest.raises(ClientError, match="Rate exceeded"):
        clusters(sandbox)
    before = sandbox.now
    control(sandbox, "POST", "/sandbox/clock", {"advance_seconds": 60})
    assert (sandbox.now - before).total_seconds() == 60
    assert len(control(sandbox, "GET", "/sandbox/calls")[1]["calls"]) == 1
    assert control(sandbox, "DELETE", "/sandbox/calls")[0] == 200
    assert control(sandbox, "GET", "/sandbox/calls")[1]["calls"] == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/sandbox/clock", {"advance_seconds": -1}),
        ("/sandbox/clock", {}),
        ("/sandbox/clock", {"speed": -2}),
        ("/sandbox/faults", {"service": "ecs", "operation": "*", "kind": "melt"}),
        ("/sandbox/faults", {"service": "ecs"}),
        ("/sandbox/images", {}),
        ("/sandbox/metrics", {"service": "none", "timestamps_s": [1], "values": [1]}),
        ("/sandbox/clock", [1]),
    ],
)
def test_a_control_call_that_makes_no_sense_is_refused(sandbox: Sandbox, path: str, body: Any) -> None:
    assert control(sandbox, "POST", path, body)[0] == 400


def test_control_is_refused_to_a_name_that_is_not_loopback(sandbox: Sandbox) -> None:
    status, text = control(sandbox, "GET", "/sandbox/status", host="evil.example:80")

    assert status == 403
    assert "this machine only" in text
