"""The metrics that are read follow from the estate, with the dimensions that CloudWatch publishes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from planner.aws.paging import Unreadable
from planner.aws.wanted import container_insights, wanted
from planner.model import CapacityProvider, Estate, LoadBalancer, Route
from tests.planner.aws.estates import estate, service

GROUP = "arn:aws:elasticloadbalancing:eu-west-2:1:targetgroup/api/0123456789abcdef"
BALANCER = "arn:aws:elasticloadbalancing:eu-west-2:1:loadbalancer/app/front/fedcba9876543210"


def full_estate() -> Estate:
    route = Route("front", 443, "10", ("path /api/*",), GROUP)
    api = replace(service("api"), routes=(route,), target_group_arns=(GROUP,))
    worker = replace(service("worker"), queue_name="orders")
    return replace(
        estate(api, worker),
        capacity_providers=(
            CapacityProvider("nodes", "arn", "nodes-group"),
            CapacityProvider("FARGATE", "", None),
        ),
        load_balancers=(LoadBalancer("front", BALANCER),),
    )


def test_every_resource_has_its_metrics_and_dimensions() -> None:
    found = {(w.resource, w.metric): w for w in wanted(full_estate(), percentiles=False)}

    assert dict(found["service/api", "CPUUtilization"].dimensions) == {"ClusterName": "prod", "ServiceName": "api"}
    assert found["service/api", "CPUUtilization"].statistics == ("Average", "Maximum", "SampleCount")
    requests = found["target-group/api", "RequestCount"]
    assert dict(requests.dimensions) == {
        "LoadBalancer": "app/front/fedcba9876543210",
        "TargetGroup": "targetgroup/api/0123456789abcdef",
    }
    assert found["target-group/api", "TargetResponseTime"].statistics == ("Average", "p50", "p90", "p99")
    assert ("load-balancer/front", "ConsumedLCUs") in found
    assert ("queue/orders", "ApproximateNumberOfMessagesVisible") in found
    reservation = found["capacity-provider/nodes", "CapacityProviderReservation"]
    assert (reservation.namespace, dict(reservation.dimensions)["CapacityProviderName"]) == (
        "AWS/ECS/ManagedScaling",
        "nodes",
    )
    assert not any(resource == "capacity-provider/FARGATE" for resource, _ in found)


def test_percentiles_are_asked_for_where_they_exist() -> None:
    (cpu,) = [
        w
        for w in wanted(full_estate(), percentiles=True)
        if (w.resource, w.metric) == ("service/api", "CPUUtilization")
    ]

    assert cpu.statistics[-3:] == ("p50", "p90", "p99")


class Listing:
    """A CloudWatch client that lists these metrics on two pages."""

    def __init__(self, metrics: list[dict[str, Any]]) -> None:
        self._metrics = metrics

    def can_paginate(self, _: str) -> bool:
        return True

    def get_paginator(self, _: str) -> Listing:
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"Metrics": self._metrics[:2]}, {"Metrics": self._metrics[2:]}]

    def get(self, _: str) -> Listing:
        return self


def metric(name: str, **dimensions: str) -> dict[str, Any]:
    return {
        "Namespace": "ECS/ContainerInsights",
        "MetricName": name,
        "Dimensions": [{"Name": k, "Value": v} for k, v in {"ClusterName": "prod", **dimensions}.items()],
    }


def test_container_insights_are_read_for_what_the_planner_knows_and_no_more() -> None:
    listed = [
        metric("CpuReserved", ServiceName="api"),
        metric("RunningTaskCount", ServiceName="api"),
        metric("TaskCount"),
        metric("CpuUtilized", TaskDefinitionFamily="api"),
        metric("instance_cpu_utilization", InstanceId="i-1", ContainerInstanceId="c-1"),
        metric("CpuUtilized", ServiceName="api", ContainerName="app"),
        metric("SomethingNew", ServiceName="api"),
    ]

    found = container_insights(Listing(listed), full_estate(), Unreadable())  # type: ignore[arg-type]

    assert {(w.resource, w.metric) for w in found} == {
        ("service/api", "CpuReserved"),
        ("service/api", "RunningTaskCount"),
        ("cluster", "TaskCount"),
        ("task-family/api", "CpuUtilized"),
        ("instance/i-1", "instance_cpu_utilization"),
    }
