"""Which CloudWatch metrics the planner reads of an estate, with their statistics and units."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from planner.aws.clients import Clients
from planner.aws.paging import Unreadable, pages
from planner.model import Estate

PERCENTILES: Final = ("p50", "p90", "p99")
LEVEL: Final = ("Average", "Maximum")
COUNT: Final = ("Sum",)

ECS: Final = "AWS/ECS"
MANAGED_SCALING: Final = "AWS/ECS/ManagedScaling"
CONTAINER_INSIGHTS: Final = "ECS/ContainerInsights"
LOAD_BALANCER: Final = "AWS/ApplicationELB"
QUEUE: Final = "AWS/SQS"


@dataclass(frozen=True, slots=True, order=True)
class Wanted:
    """One metric of one resource and the statistics to read of it; they are billed as one metric."""

    metric: str
    resource: str
    namespace: str
    dimensions: tuple[tuple[str, str], ...]
    statistics: tuple[str, ...]

    @property
    def kind(self) -> str:
        return self.resource.split("/", 1)[0]

    @property
    def name(self) -> str:
        return f"{self.metric} of {self.resource}"


UNITS: Final = {
    "CPUUtilization": "Percent",
    "MemoryUtilization": "Percent",
    "CPUReservation": "Percent",
    "MemoryReservation": "Percent",
    "GPUReservation": "Percent",
    "CapacityProviderReservation": "Percent",
    "MemoryUtilized": "Megabytes",
    "MemoryReserved": "Megabytes",
    "TargetResponseTime": "Seconds",
    "RequestCount": "Count",
    "HTTPCode_Target_5XX_Count": "Count",
    "ProcessedBytes": "Bytes",
    "ApproximateNumberOfMessagesVisible": "Count",
    "ApproximateAgeOfOldestMessage": "Seconds",
}
"""Units that the conversions rely on (the services' metric tables in the AWS documentation)."""

_LOAD_BALANCER_METRICS: Final = {
    "RequestCount": COUNT,
    "ConsumedLCUs": ("Sum", "Maximum"),
    "ActiveConnectionCount": COUNT,
    "NewConnectionCount": COUNT,
    "ProcessedBytes": COUNT,
    "RuleEvaluations": COUNT,
    "RejectedConnectionCount": COUNT,
    "HTTPCode_ELB_5XX_Count": COUNT,
}
_TARGET_GROUP_METRICS: Final = {
    "RequestCount": COUNT,
    "TargetResponseTime": ("Average", *PERCENTILES),
    "HTTPCode_Target_5XX_Count": COUNT,
    "TargetConnectionErrorCount": COUNT,
    "UnHealthyHostCount": ("Maximum",),
}
_QUEUE_METRICS: Final = {
    "ApproximateNumberOfMessagesVisible": LEVEL,
    "ApproximateAgeOfOldestMessage": ("Maximum",),
    "NumberOfMessagesSent": COUNT,
}
_INSIGHTS_METRICS: Final = {
    **dict.fromkeys(("CpuUtilized", "CpuReserved", "MemoryUtilized", "MemoryReserved"), (*LEVEL, "Sum")),
    **dict.fromkeys(("NetworkRxBytes", "NetworkTxBytes", "StorageReadBytes", "StorageWriteBytes"), LEVEL),
    **dict.fromkeys(
        (
            "DesiredTaskCount",
            "RunningTaskCount",
            "PendingTaskCount",
            "DeploymentCount",
            "TaskSetCount",
            "TaskCount",
            "ServiceCount",
            "ContainerInstanceCount",
            "instance_cpu_utilization",
            "instance_cpu_reserved_capacity",
            "instance_cpu_usage_total",
            "instance_cpu_limit",
            "instance_memory_utilization",
            "instance_memory_reserved_capacity",
            "instance_memory_working_set",
            "instance_memory_limit",
            "instance_network_total_bytes",
            "instance_number_of_running_tasks",
            "instance_filesystem_utilization",
        ),
        LEVEL,
    ),
}


def wanted(estate: Estate, *, percentiles: bool) -> list[Wanted]:
    """The metrics that AWS publishes without being asked, of every resource of the estate."""
    cluster = ("ClusterName", estate.cluster)
    level = (*LEVEL, "SampleCount", *(PERCENTILES if percentiles else ()))
    found = [
        Wanted(metric, f"service/{service.name}", ECS, (cluster, ("ServiceName", service.name)), level)
        for service in estate.services
        for metric in ("CPUUtilization", "MemoryUtilization")
    ]
    cluster_metrics = ["CPUUtilization", "MemoryUtilization"]
    if estate.container_instances:
        cluster_metrics += ["CPUReservation", "MemoryReservation"]
        if any(instance.registered.gpus for instance in estate.container_instances):
            cluster_metrics.append("GPUReservation")
    found += [Wanted(metric, "cluster", ECS, (cluster,), LEVEL) for metric in cluster_metrics]
    found += [
        Wanted(
            "CapacityProviderReservation",
            f"capacity-provider/{provider.name}",
            MANAGED_SCALING,
            (("CapacityProviderName", provider.name), cluster),
            LEVEL,
        )
        for provider in estate.capacity_providers
        if provider.auto_scaling_group is not None
    ]
    return sorted({*found, *_traffic(estate), *_queues(estate)})


def _traffic(estate: Estate) -> Iterable[Wanted]:
    """Load balancers and, under each, the target groups of the estate's services."""
    balancers = {b.name: b for b in estate.load_balancers if b.kind == "application"}
    for balancer in balancers.values():
        of_balancer = (("LoadBalancer", _suffix(balancer.arn, "loadbalancer/")),)
        for metric, statistics in _LOAD_BALANCER_METRICS.items():
            yield Wanted(metric, f"load-balancer/{balancer.name}", LOAD_BALANCER, of_balancer, statistics)
    routes = {
        (route.load_balancer, route.target_group_arn)
        for service in estate.services
        for route in service.routes
        if route.load_balancer in balancers
    }
    for name, arn in sorted(routes):
        dimensions = (
            ("LoadBalancer", _suffix(balancers[name].arn, "loadbalancer/")),
            ("TargetGroup", "targetgroup/" + _suffix(arn, "targetgroup/")),
        )
        group = _suffix(arn, "targetgroup/").split("/", 1)[0]
        for metric, statistics in _TARGET_GROUP_METRICS.items():
            yield Wanted(metric, f"target-group/{group}", LOAD_BALANCER, dimensions, statistics)


def _queues(estate: Estate) -> Iterable[Wanted]:
    for name in sorted({service.queue_name for service in estate.services if service.queue_name}):
        for metric, statistics in _QUEUE_METRICS.items():
            yield Wanted(metric, f"queue/{name}", QUEUE, (("QueueName", name),), statistics)


def _suffix(arn: str, marker: str) -> str:
    """The part of an ARN that CloudWatch uses as a dimension, e.g. app/front/0123456789abcdef."""
    return arn.split(marker, 1)[-1]


def container_insights(clients: Clients, estate: Estate, unreadable: Unreadable) -> list[Wanted]:
    """The Container Insights metrics that exist for the cluster: none where it is off."""
    cloudwatch = clients.get("cloudwatch")
    listed = unreadable.items(
        "the list of Container Insights metrics",
        lambda: pages(
            cloudwatch,
            "list_metrics",
            "Metrics",
            Namespace=CONTAINER_INSIGHTS,
            Dimensions=[{"Name": "ClusterName", "Value": estate.cluster}],
        ),
    )
    return sorted({found for raw in listed if (found := _from_listing(raw)) is not None})


def _from_listing(raw: dict[str, Any]) -> Wanted | None:
    statistics = _INSIGHTS_METRICS.get(raw["MetricName"])
    by_name = {d["Name"]: d["Value"] for d in raw.get("Dimensions", ())}
    resource = _resource(by_name)
    if statistics is None or resource is None or raw.get("Namespace") != CONTAINER_INSIGHTS:
        return None
    dimensions = tuple(sorted(by_name.items()))
    return Wanted(raw["MetricName"], resource, CONTAINER_INSIGHTS, dimensions, statistics)


def _resource(dimensions: dict[str, str]) -> str | None:
    """What a Container Insights metric is about; None for dimensions the planner does not read."""
    match sorted(dimensions):
        case ["ClusterName"]:
            return "cluster"
        case ["ClusterName", "ServiceName"]:
            return f"service/{dimensions['ServiceName']}"
        case ["ClusterName", "TaskDefinitionFamily"]:
            return f"task-family/{dimensions['TaskDefinitionFamily']}"
        case ["ClusterName", "ContainerInstanceId", "InstanceId"]:
            return f"instance/{dimensions['InstanceId']}"
    return None


def without_percentiles(series: Wanted) -> Wanted:
    return replace(series, statistics=tuple(s for s in series.statistics if s not in PERCENTILES))
