"""The services of the sample estate: their sizes, their routes and what a request costs them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

CLUSTER: Final = "public-services"
INSTANCE_TYPE: Final = "m5.2xlarge"
INSTANCES: Final = 12
ZONES: Final = ("eu-west-2a", "eu-west-2b", "eu-west-2c")
HISTORY_DAYS: Final = 15
QUEUE: Final = "case-jobs"
PROVIDER: Final = "general-purpose"
GROUP: Final = "public-services-general-purpose"


@dataclass(frozen=True, slots=True)
class Workload:
    """One service. `peak` is what arrives in a working day's busiest minute: requests (or jobs) a second."""

    name: str
    cpu_units: int
    memory_mib: int
    tasks: int
    peak: float = 0.0
    cpu_s_per_request: float = 0.0
    idle_vcpu: float = 0.01
    """CPU one task uses without any request."""
    memory_base: float = 0.45
    """Share of its memory a task uses without load; load adds up to `memory_load`."""
    memory_load: float = 0.15
    latency_s: float = 0.04
    path: str | None = None
    port: int = 8080
    network_mode: str = "bridge"
    night: float = 0.08
    """What arrives at night, as a share of the peak."""
    weekend: float = 0.35
    kind: str = "web"
    """web, worker (fed by the queue), batch (nightly) or daemon (one task an instance)."""
    target_percent: float | None = None
    """Target of CPU target tracking; None: a fixed number of tasks."""
    most_tasks: int | None = None
    health_check: bool = False


WORKLOADS: Final = (
    Workload("frontend", 512, 1024, 4, 120.0, 0.012, path="/*", target_percent=50.0, most_tasks=20),
    Workload("api", 1024, 2048, 6, 90.0, 0.042, path="/api/*", target_percent=50.0, most_tasks=24),
    Workload("auth", 512, 1024, 4, 25.0, 0.022, path="/auth/*", network_mode="awsvpc", health_check=True),
    Workload(
        "search", 1024, 6144, 4, 18.0, 0.060, idle_vcpu=0.05, memory_base=0.78, memory_load=0.08,
        latency_s=0.12, path="/search/*",
    ),
    Workload("payments", 512, 1024, 3, 4.0, 0.035, path="/payments/*", network_mode="awsvpc", latency_s=0.2),
    Workload("documents", 1024, 3072, 4, 8.0, 0.150, latency_s=0.35, path="/documents/*"),
    Workload("notifications", 256, 512, 2, 6.0, 0.006, path="/notifications/*"),
    Workload("admin", 128, 256, 2, 0.6, 0.030, path="/admin/*", weekend=0.05, night=0.02),
    Workload("case-worker", 1024, 2048, 4, 3.0, 0.400, kind="worker", idle_vcpu=0.02, weekend=0.2),
    Workload(
        "nightly-batch", 2048, 4096, 2, kind="batch", idle_vcpu=0.005, memory_base=0.2, memory_load=0.6
    ),
    Workload("log-agent", 128, 256, 1, kind="daemon", idle_vcpu=0.03, memory_base=0.5, memory_load=0.1),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reservation:
    """`documents` reserved twice the CPU until this deployment halved it: the step in its utilisation."""

    service: str = "documents"
    cpu_units_before: int = 2048
    at: datetime = datetime(2026, 5, 8, 9, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Incident:
    """Requests to `api` got four times as expensive for a while: saturated CPU, slow answers and 5xx."""

    service: str = "api"
    start: datetime = datetime(2026, 5, 6, 13, 10, tzinfo=UTC)
    end: datetime = datetime(2026, 5, 6, 13, 55, tzinfo=UTC)
    cost_factor: float = 4.0
    error_share: float = 0.08


RESERVATION: Final = Reservation()
INCIDENT: Final = Incident()
