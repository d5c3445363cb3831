"""A small estate and its metrics, made by hand and by seed, for tests of planning."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd

from planner.model import (
    Architecture,
    CapacityProvider,
    Container,
    ContainerInstance,
    Estate,
    LoadBalancer,
    ManagedScaling,
    Resources,
    Service,
    StrategyItem,
    TaskDefinition,
)
from planner.units import CpuUnits, MiB

AS_OF = datetime(2026, 5, 13, tzinfo=UTC)
ZONES = ("eu-west-2a", "eu-west-2b", "eu-west-2c")
ACCOUNT = "123456789012"
PROVIDER = "demo-old"


def service(name: str, cpu: int, memory: int, count: int, *, daemon: bool = False, arm: bool = False) -> Service:
    prefix = f"arn:aws:ecs:eu-west-2:{ACCOUNT}"
    definition = TaskDefinition(
        arn=f"{prefix}:task-definition/{name}:7", family=name, revision=7,
        containers=(Container(name, f"registry.example.org/{name}:1"),),
        cpu_units=CpuUnits(cpu), memory_mib=MiB(memory),
        architecture=Architecture.ARM64 if arm else Architecture.X86_64,
    )  # fmt: skip
    return Service(
        name=name, arn=f"{prefix}:service/demo/{name}", task_definition=definition, desired_count=count,
        running_count=count, capacity_provider_strategy=(StrategyItem(PROVIDER, weight=1),),
        scheduling_strategy="DAEMON" if daemon else "REPLICA",
    )  # fmt: skip


def estate(*services: Service, instances: int = 6) -> Estate:
    """`instances` m5.2xlarge in three zones, on which `services` run."""
    room = Resources(CpuUnits(8 * 1024), MiB(31_700), 3)
    return Estate(
        account_id=ACCOUNT, region="eu-west-2", cluster="demo", observed_at=AS_OF, services=services,
        container_instances=tuple(
            ContainerInstance(
                f"arn:i-{n}", f"i-{n}", "m5.2xlarge", ZONES[n % 3], Architecture.X86_64, room, room, PROVIDER
            )
            for n in range(instances)
        ),
        capacity_providers=(
            CapacityProvider(
                PROVIDER, f"arn:{PROVIDER}", "demo-old-asg", ("m5.2xlarge",), ZONES, 3, 12, instances,
                ManagedScaling(enabled=True),
            ),
        ),
        load_balancers=(LoadBalancer("public", "arn:public"),),
    )  # fmt: skip


def working_day(days: int, low: float, high: float, seed: int = 0) -> np.ndarray:
    """vCPU by minute up to AS_OF: `low` at night and weekends, `high` in UTC working hours, a little noise."""
    at = pd.date_range(AS_OF - pd.Timedelta(days=days), periods=days * 1440, freq="min", tz="UTC")
    hour = np.asarray(at.hour + at.minute / 60)
    shape = np.clip(np.minimum(hour - 6, 19 - hour), 0, 2) / 2
    shape = np.where(np.asarray(at.day_of_week) < 5, shape, 0.1)
    noise = np.random.default_rng(seed).normal(1, 0.03, len(at))
    return np.clip((low + (high - low) * shape) * noise, 0, None)


def points(estate_of: Estate, used_vcpu: dict[str, np.ndarray], memory_share: float = 0.4) -> pd.DataFrame:
    """METRIC_POINTS of each service's CPU and memory for its vCPU by minute."""
    parts = []
    for one in estate_of.services:
        if one.name not in used_vcpu:
            continue
        used = used_vcpu[one.name]
        at = pd.date_range(AS_OF - pd.Timedelta(minutes=len(used)), periods=len(used), freq="min", tz="UTC")
        reserved = one.running_count * one.task_definition.needs.cpu_units / 1024
        percent = 100 * used / reserved
        series = {
            ("CPUUtilization", "Average"): percent,
            ("CPUUtilization", "Maximum"): percent * 1.1,
            ("CPUUtilization", "SampleCount"): np.full(len(used), float(one.running_count)),
            ("MemoryUtilization", "Average"): np.full(len(used), 100 * memory_share),
            ("MemoryUtilization", "Maximum"): np.full(len(used), 110 * memory_share),
        }
        parts += [
            pd.DataFrame({
                "resource": f"service/{one.name}", "metric": metric, "statistic": statistic,
                "period_s": np.int64(60), "timestamp": at, "value": values,
            })
            for (metric, statistic), values in series.items()
        ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)
