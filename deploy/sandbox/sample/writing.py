"""Writes a service's minutes into the metric store as AWS publishes them.

AWS/ECS: one sample a running task and minute, so SampleCount is the number of running tasks (Amazon ECS
developer guide, "CloudWatch metrics"), or a third where it publishes every 20 seconds. AWS/ApplicationELB: one
sample a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deploy.sandbox.sample import usage as usages
from deploy.sandbox.sample.usage import Usage
from deploy.sandbox.sample.workloads import CLUSTER, Workload
from deploy.sandbox.series import Floats, MetricKey, MetricStore
from planner.model import FAST_S
from planner.units import MINUTES_PER_HOUR, SECONDS_PER_MINUTE

SERVICE_METRICS: Final = ("CPUUtilization", "MemoryUtilization")
LATENCY_QUANTILES: Final = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97, 0.993, 0.999)
_LATENCY_WEIGHTS: Final = np.array([0.05, 0.125, 0.2, 0.25, 0.2, 0.11, 0.045, 0.016, 0.004])
_LATENCY_FACTORS: Final = np.array([0.45, 0.6, 0.78, 1.0, 1.35, 1.9, 2.9, 4.6, 8.0])
"""A log-normal-like shape: what share of the answers takes how many times the median."""


@dataclass(frozen=True, slots=True)
class Balancer:
    """The load balancer and a service's target group, as CloudWatch names them in dimensions."""

    load_balancer: str
    target_group: str


def minute_stamps(first_minute: int, minutes: int) -> Floats:
    """The epoch seconds at which the minutes begin."""
    return np.arange(first_minute, first_minute + minutes, dtype=np.float64) * 60.0


def service_key(name: str, metric: str) -> MetricKey:
    return MetricKey.of("AWS/ECS", metric, {"ClusterName": CLUSTER, "ServiceName": name})


def write_service(
    store: MetricStore,
    workload: Workload,
    usage: Usage,
    tasks: Floats,
    cpu_units: Floats,
    random: np.random.Generator,
    fast: Mapping[str, int] | None = None,
) -> None:
    """CPUUtilization and MemoryUtilization, one sample for each task that ran, but for `fast` of them by metric,
    which send theirs every 20 seconds."""
    busy = usages.utilisation(workload, usage, tasks, cpu_units)
    starts = minute_stamps(usage.first_minute, len(tasks))
    for metric in SERVICE_METRICS:
        counts = tasks.astype(np.int64) - (fast or {}).get(metric, 0)
        values = _of_tasks(metric, workload, usage, busy, counts, random)
        key = service_key(workload.name, metric)
        store.add_generated(key, np.repeat(starts, counts), values, unit="Percent")


def write_fast(
    store: MetricStore,
    workload: Workload,
    usage: Usage,
    tasks: Floats,
    cpu_units: Floats,
    random: np.random.Generator,
    fast: Mapping[str, int],
    at_s: float,
) -> None:
    """What `fast` tasks by metric send of the 20 seconds from `at_s` on; `usage` is of the minute they are in."""
    busy = usages.utilisation(workload, usage, tasks, cpu_units)
    for metric, count in sorted(fast.items()):
        values = _of_tasks(metric, workload, usage, busy, np.array([count]), random)
        key = service_key(workload.name, metric)
        store.add_generated(key, np.full(count, at_s), values, unit="Percent", resolution_s=FAST_S)


def _of_tasks(
    metric: str,
    workload: Workload,
    usage: Usage,
    busy: Floats,
    counts: NDArray[np.int64],
    random: np.random.Generator,
) -> Floats:
    """Percent of what each task reserved, `counts` tasks of each minute one after the other."""
    if metric == "CPUUtilization":
        uneven = np.exp(random.normal(0.0, 0.10, int(counts.sum())))
        return np.asarray(np.minimum(np.repeat(busy, counts) * uneven, 1.02) * 100)
    peak = max(workload.peak, 1e-9)
    loaded = busy if workload.kind == "batch" else np.clip(usage.per_second / peak, 0.0, 1.2)
    held = workload.memory_base + workload.memory_load * np.repeat(loaded, counts)
    held = held + random.normal(0.0, 0.012, int(counts.sum()))
    return np.asarray(np.clip(held, 0.02, 0.99) * 100)


def write_requests(
    store: MetricStore,
    workload: Workload,
    balancer: Balancer,
    usage: Usage,
    tasks: Floats,
    cpu_units: Floats,
    random: np.random.Generator,
) -> tuple[Floats, Floats]:
    """The target group's metrics; returns (requests, 5xx answers) of each minute for the balancer's sums."""
    stamps = minute_stamps(usage.first_minute, len(tasks))
    requests = random.poisson(np.maximum(usage.per_second * 60, 0)).astype(np.float64)
    lacking = usages.overload(workload, usage, tasks, cpu_units)
    failing = np.clip(usage.errors + lacking * 0.6, 0.0, 1.0)
    errors = random.binomial(requests.astype(np.int64), failing).astype(np.float64)
    dimensions = {"TargetGroup": balancer.target_group, "LoadBalancer": balancer.load_balancer}

    def put(metric: str, times: Floats, values: Floats, weights: Floats | None, unit: str) -> None:
        store.add_generated(MetricKey.of("AWS/ApplicationELB", metric, dimensions), times, values, weights, unit)

    some, failed = requests > 0, errors > 0
    put("RequestCount", stamps[some], np.ones(int(some.sum())), requests[some], "Count")
    per_target = requests / np.maximum(tasks, 1)
    put("RequestCountPerTarget", stamps[some], per_target[some], None, "Count")
    put("HTTPCode_Target_5XX_Count", stamps[failed], np.ones(int(failed.sum())), errors[failed], "Count")
    good = requests - errors
    put("HTTPCode_Target_2XX_Count", stamps[good > 0], np.ones(int((good > 0).sum())), good[good > 0], "Count")
    put("HealthyHostCount", stamps, tasks, None, "Count")
    put("UnHealthyHostCount", stamps, np.zeros(len(stamps)), None, "Count")
    _write_latency(put, workload, usage, tasks, cpu_units, stamps, requests)
    return requests, errors


def _write_latency(  # type: ignore[no-untyped-def]
    put, workload: Workload, usage: Usage, tasks: Floats, cpu_units: Floats, stamps: Floats, requests: Floats
) -> None:
    """Answers slow down as utilisation nears its limit: median / (1 - utilisation), as in a queue."""
    busy = np.minimum(usages.utilisation(workload, usage, tasks, cpu_units), 0.97)
    median = workload.latency_s * (0.6 + 0.4 / (1 - busy))
    some = requests > 0
    values = np.outer(median[some], _LATENCY_FACTORS).ravel()
    weights = np.maximum(np.outer(requests[some], _LATENCY_WEIGHTS).ravel(), 1e-6)
    put("TargetResponseTime", np.repeat(stamps[some], len(_LATENCY_FACTORS)), values, weights, "Seconds")


def write_balancer(
    store: MetricStore, load_balancer: str, first_minute: int, requests: Floats, errors: Floats
) -> None:
    """The load balancer's own sums. LCUs: the largest of its four dimensions (ELB pricing page), written so
    that an hour of minutes adds to the units of that hour (ELB guide: of a reservation of 6,000 "the
    one-hour total for ReservedLCUs is 6,000, and the one-minute total is 100")."""
    stamps = minute_stamps(first_minute, len(requests))
    some, failed = requests > 0, errors > 0
    dimensions = {"LoadBalancer": load_balancer}

    def put(metric: str, times: Floats, values: Floats, weights: Floats | None, unit: str) -> None:
        store.add_generated(MetricKey.of("AWS/ApplicationELB", metric, dimensions), times, values, weights, unit)

    put("RequestCount", stamps[some], np.ones(int(some.sum())), requests[some], "Count")
    put("HTTPCode_Target_5XX_Count", stamps[failed], np.ones(int(failed.sum())), errors[failed], "Count")
    connections = np.ceil(requests * 0.12)
    size = requests * 18_000
    put("NewConnectionCount", stamps, connections, None, "Count")
    put("ActiveConnectionCount", stamps, np.ceil(connections * 1.6), None, "Count")
    put("ProcessedBytes", stamps, size, None, "Bytes")
    put("RuleEvaluations", stamps, np.zeros(len(stamps)), None, "Count")
    new = connections / SECONDS_PER_MINUTE / 25
    active = connections * 1.6 / 3000
    volume = size * MINUTES_PER_HOUR / 1e9
    consumed = np.maximum.reduce([new, active, volume]) / MINUTES_PER_HOUR
    put("ConsumedLCUs", stamps, consumed, None, "Count")


def write_queue(store: MetricStore, queue: str, usage: Usage, lacking: Floats) -> None:
    """A queue that its workers keep short while their CPU suffices, and that grows while it does not."""
    stamps = minute_stamps(usage.first_minute, len(lacking))
    sent = np.floor(usage.per_second * 60)
    growth = sent * lacking
    waiting = np.floor(usage.per_second * 2 + _leaky(growth, sent * 0.3 + 1))

    def put(metric: str, values: Floats, unit: str) -> None:
        store.add_generated(MetricKey.of("AWS/SQS", metric, {"QueueName": queue}), stamps, values, None, unit)

    put("NumberOfMessagesSent", sent, "Count")
    put("ApproximateNumberOfMessagesVisible", waiting, "Count")
    put("ApproximateAgeOfOldestMessage", np.ceil(waiting / np.maximum(usage.per_second, 0.02)), "Seconds")


def _leaky(inflow: Floats, outflow: Floats) -> Floats:
    """A backlog that never falls below 0: S - min(0, running minimum of S), S the running net inflow."""
    net = np.cumsum(inflow - np.where(inflow > 0, 0, outflow))
    return net - np.minimum(np.minimum.accumulate(net), 0)


def write_cluster(store: MetricStore, first_minute: int, reserved: dict[str, Floats], provider: str) -> None:
    """Cluster reservation and use, in percent, and the capacity provider's reservation."""
    stamps = minute_stamps(first_minute, len(next(iter(reserved.values()))))
    for metric, values in reserved.items():
        dimensions = {"ClusterName": CLUSTER}
        namespace = "AWS/ECS"
        if metric == "CapacityProviderReservation":
            namespace, dimensions = "AWS/ECS/ManagedScaling", {**dimensions, "CapacityProviderName": provider}
        store.add_generated(MetricKey.of(namespace, metric, dimensions), stamps, values, None, "Percent")
