"""Puts the rows of metric files into the store, as the metrics of a service that is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from deploy.sandbox.cloudwatch import RETENTION_S
from deploy.sandbox.series import MetricKey

if TYPE_CHECKING:
    from deploy.sandbox.ecs.state import Cluster, Service
    from deploy.sandbox.world import World

MINUTE_S: Final = 60.0
COUNTS: Final = ("RequestCount", "HTTPCode_Target_5XX_Count", "HTTPCode_Target_2XX_Count")
"""Load balancer counts: a row's value is how many there were, so the Sum is the value."""
BALANCER_METRICS: Final = (*COUNTS, "RequestCountPerTarget", "TargetResponseTime")
ECS_METRICS: Final = ("CPUUtilization", "MemoryUtilization")
INSIGHTS_METRICS: Final = (
    "CpuUtilized", "CpuReserved", "MemoryUtilized", "MemoryReserved", "NetworkRxBytes", "NetworkTxBytes",
    "StorageReadBytes", "StorageWriteBytes", "RunningTaskCount",
)  # fmt: skip
UNITS: Final = {
    "CPUUtilization": "Percent",
    "MemoryUtilization": "Percent",
    "TargetResponseTime": "Seconds",
    **dict.fromkeys(COUNTS, "Count"),
    "RequestCountPerTarget": "Count",
    "NetworkRxBytes": "Bytes/Second",
    "NetworkTxBytes": "Bytes/Second",
}


class LoadingError(ValueError):
    """Rows that cannot be placed; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load put where."""

    namespace: str
    metric: str
    dimensions: dict[str, str]
    points: int
    first_s: float
    last_s: float
    shifted_s: float
    """By how much the rows were moved in time."""
    expired: int
    """Points older than CloudWatch keeps any (455 days): no query returns them."""


def load(
    world: World,
    timestamps_s: list[float],
    values: list[float],
    *,
    service: str,
    metric: str = "CPUUtilization",
    unit: str | None = None,
    scale: float = 1.0,
    tasks: int | None = None,
    align_end: bool = False,
    cluster: str | None = None,
) -> Loaded:
    """Replace a service's metric by these rows. With `align_end` they are moved so that the last row's
    period ends now; its period is the most frequent distance between rows, in whole minutes."""
    home, owner = _find(world, cluster, service)
    key = _key(world, home, owner, metric)
    stamps = np.asarray(timestamps_s, dtype=np.float64)
    numbers = np.asarray(values, dtype=np.float64) * scale
    if not len(stamps) or len(stamps) != len(numbers):
        raise LoadingError("a metric needs as many timestamps as values, and at least one")
    shift = 0.0
    if align_end:
        end = world.clock.seconds // MINUTE_S * MINUTE_S
        shift = float(end - _period(stamps) - stamps.max() // MINUTE_S * MINUTE_S)
        stamps = stamps + shift
    store = world.metrics_of(world.region)
    store.replace(key)
    running = sum(task.running for task in home.tasks_of(owner))
    if metric in COUNTS:
        some = numbers > 0
        store.add(key, stamps[some], np.ones(int(some.sum())), numbers[some], unit or UNITS[metric])
    else:
        weights = np.full(len(stamps), float(tasks or running or 1)) if metric in ECS_METRICS else None
        store.add(key, stamps, numbers, weights, unit or UNITS.get(metric, "None"))
    oldest = world.clock.seconds - RETENTION_S[-1][1]
    return Loaded(
        key.namespace,
        metric,
        dict(key.dimensions),
        len(stamps),
        float(stamps.min()),
        float(stamps.max()),
        shift,
        int((stamps < oldest).sum()),
    )


def _period(stamps: Any) -> float:
    """The most frequent distance of neighbouring rows, in whole minutes; one minute for a single row."""
    distances = np.diff(np.unique(stamps // MINUTE_S)) * MINUTE_S
    if not len(distances):
        return MINUTE_S
    found, counts = np.unique(distances, return_counts=True)
    return float(found[np.argmax(counts)])


def _find(world: World, cluster: str | None, service: str) -> tuple[Cluster, Service]:
    clusters = [c for c in world.ecs_of(world.region).by_name.values() if c.status == "ACTIVE"]
    for home in clusters:
        owner = home.services.get(service)
        if owner is not None and owner.status == "ACTIVE" and cluster in (None, home.name):
            return home, owner
    known = sorted(s.name for c in clusters for s in c.services.values() if s.status == "ACTIVE")
    told = f"it has {', '.join(known)}" if known else "it has none: run `deploy sandbox load --sample` first"
    raise LoadingError(f"the sandbox has no service {service!r}; {told}")


def _key(world: World, cluster: Cluster, service: Service, metric: str) -> MetricKey:
    own = {"ClusterName": cluster.name, "ServiceName": service.name}
    if metric in ECS_METRICS:
        return MetricKey.of("AWS/ECS", metric, own)
    if metric in INSIGHTS_METRICS:
        return MetricKey.of("ECS/ContainerInsights", metric, own)
    if metric not in BALANCER_METRICS:
        known = ", ".join((*ECS_METRICS, *BALANCER_METRICS, *INSIGHTS_METRICS))
        raise LoadingError(f"the metric {metric!r} is not one a service has: use one of {known}")
    from deploy.sandbox.ecs.load_balancing import target_group

    for balancer in service.settings.get("loadBalancers") or []:
        arn = balancer.get("targetGroupArn")
        group = target_group(world.ecs_of(world.region), arn) if arn else None
        if group is not None and group.load_balancer_arns:
            return MetricKey.of(
                "AWS/ApplicationELB",
                metric,
                {
                    "TargetGroup": arn.rpartition(":")[2],
                    "LoadBalancer": group.load_balancer_arns[0].partition("loadbalancer/")[2],
                },
            )
    raise LoadingError(f"{metric} needs a load balancer, and the service {service.name!r} has none")
