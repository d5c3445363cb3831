"""A small plan made by hand, for tests of what reads plans."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from planner import frames
from planner.documents import PlanDocument
from planner.frames import PlanTables
from planner.units import HOURS_PER_WEEK


def plan_values(service: str = "web") -> dict[str, Any]:
    """One service on one new capacity provider; 10 old instances retire. Costs: 1.00 today, 0.40 planned."""
    line = {
        "item": "m7i.large", "kind": "compute", "service": None, "capacity_provider": "demo-m7i-large",
        "usd_per_hour": 0.4, "basis": "4 x m7i.large at 0.1 USD/h", "source": "test prices",
        "price_date": "2026-01-01",
    }  # fmt: skip
    return {
        "schema_version": "1",
        "kind": "plan",
        "created_at": datetime(2026, 5, 13, tzinfo=UTC),
        "author": "planner",
        "scope": {"account_id": "123456789012", "region": "eu-west-2", "cluster": "demo"},
        "objective": {
            "slo": 0.999, "utilisation": 0.8, "timezone": "Europe/London", "zones": 3, "architectures": ["x86_64"],
        },
        "inputs": [{"name": "metrics", "sha256": "0" * 64, "rows": 20160, "description": "14 days"}],
        "price_book": {"date": "2026-01-01", "sha256": "1" * 64, "sources": ["test prices"]},
        "demand": [{
            "service": service, "p50_vcpu": 1.0, "p90_vcpu": 2.0, "p99_vcpu": 3.0, "peak_vcpu": 3.5,
            "p99_vcpu_by_hour_of_week": [float(h % 24) / 8 for h in range(HOURS_PER_WEEK)],
            "observed_minutes": 20160, "censored_minutes": 3, "coverage_p99": 0.991, "model": "hours of the week",
        }],
        "services": [{
            "service": service,
            "task_definition_arn": "arn:aws:ecs:eu-west-2:123456789012:task-definition/web:7",
            "task": {"cpu_units": 512, "memory_mib": 1024},
            "task_before": {"cpu_units": 1024, "memory_mib": 2048},
            "architecture": "x86_64",
            "capacity_providers": [{"capacity_provider": "demo-m7i-large", "weight": 1, "base": 0}],
            "placement": [{"type": "spread", "field": "attribute:ecs.availability-zone"}],
            "scaling": {
                "min_capacity": 2, "max_capacity": 9,
                "target_tracking": {"metric": "ECSServiceAverageCPUUtilization", "target": 62.5},
                "schedules": [{
                    "name": "morning", "cron": "cron(0 7 ? * MON-FRI *)", "timezone": "Europe/London",
                    "min_capacity": 4, "max_capacity": 9,
                }],
                "attainment": 0.9996, "attainment_out_of_sample": 0.9994, "reason": "the cheapest that held",
            },
            "tasks_before": 8, "tasks_typical": 3, "tasks_peak": 8, "routes": ["public:443 path /"],
        }],
        "fleet": [{
            "capacity_provider": "demo-m7i-large", "auto_scaling_group": "demo-m7i-large", "like": "demo-old",
            "exists": False, "instance_type": "m7i.large", "architecture": "x86_64",
            "zones": ["eu-west-2a", "eu-west-2b", "eu-west-2c"], "room": {"cpu_units": 2048, "memory_mib": 7900},
            "min_size": 2, "max_size": 8, "desired_size": 4, "typical_size": 4, "usd_per_hour": 0.1,
        }],
        "retired": [{
            "capacity_provider": "demo-old", "auto_scaling_group": "demo-old", "instances": 10, "reason": "moved",
        }],
        "packing": {
            "status": "optimal", "usd_per_hour": 0.4, "lower_bound_usd_per_hour": 0.4, "gap": 0.0,
            "statement": "At most 0.0% above the cheapest possible.",
        },
        "cost": {
            "today_usd_per_hour": 1.0, "plan_usd_per_hour": 0.4,
            "today": [{**line, "usd_per_hour": 1.0, "capacity_provider": "demo-old"}], "plan": [line],
        },
        "candidates": [
            {"name": "m7i.large", "description": "chosen", "usd_per_hour": 0.4, "attainment": 0.9996},
            {"name": "c7i.large", "description": "", "usd_per_hour": 0.5, "attainment": 0.9997,
             "rejected": "dearer"},
        ],
    }  # fmt: skip


def plan(service: str = "web") -> PlanDocument:
    return PlanDocument.model_validate(plan_values(service))


def tables(service: str = "web") -> PlanTables:
    """Two hours of minutes and one instance: enough for every picture to have something to show."""
    quarter = pd.date_range("2026-05-12", periods=8, freq="15min", tz="UTC")
    hours = pd.date_range("2026-05-12", periods=2, freq="h", tz="UTC")
    minutes = pd.date_range("2026-05-12", periods=120, freq="min", tz="UTC")
    week = np.arange(HOURS_PER_WEEK)
    return PlanTables(
        demand_history=pd.DataFrame({"service": service, "timestamp": quarter, "vcpu": np.linspace(0.5, 2, 8)}),
        demand_planned=pd.DataFrame({"service": service, "timestamp": hours, "p99_vcpu": [2.0, 2.5]}),
        week_shape=pd.DataFrame({"service": service, "hour_of_week": week, "share_of_peak": (week % 24) / 23}),
        placed=pd.DataFrame({
            "instance": ["m7i.large eu-west-2a #1"], "service": [service], "tasks": [3],
            "cpu_share": [0.75], "memory_share": [0.39],
        }),
        instance_hours=pd.DataFrame({
            "side": np.repeat(["today", "plan"], HOURS_PER_WEEK), "hour_of_week": np.tile(week, 2),
            "instances": np.repeat([10, 4], HOURS_PER_WEEK),
        }),
        replayed=pd.DataFrame({
            "service": service, "timestamp": minutes, "demand_vcpu": np.linspace(0.5, 2, 120),
            "capacity_vcpu": 2.0, "violated": np.linspace(0.5, 2, 120) > 1.9,
        }),
        coverage=pd.DataFrame({"resource": [service], "day": ["2026-05-12"], "share": [0.9]}),
        cleaned=pd.DataFrame({"rule": ["duplicates dropped"], "resource": [f"service/{service} CPU"],
                              "count": [11]}),
    )  # fmt: skip


def table_names() -> list[str]:
    return [table.name for table in frames.PLAN_TABLES]
