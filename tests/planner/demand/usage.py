"""Usage tables for tests: one service whose tasks use what the test says."""

from __future__ import annotations

import numpy as np
import pandas as pd

from planner.frames import USAGE


def usage_table(
    rows: int,
    *,
    tasks: float = 2.0,
    task_vcpu: float = 1.0,
    task_mib: float = 2048.0,
    cpu_per_task: np.ndarray | float = 0.5,
    mib_per_task: np.ndarray | float = 1000.0,
    requests_per_task: np.ndarray | float = np.nan,
    latency_s: np.ndarray | float = np.nan,
    period_s: int = 300,
) -> pd.DataFrame:
    """`rows` periods of service "web"; the busiest task uses what the average task uses."""
    index = pd.date_range("2026-03-02", periods=rows, freq=f"{period_s}s", tz="UTC")

    def column(value: np.ndarray | float) -> np.ndarray:
        return np.broadcast_to(np.asarray(value, dtype=float), (rows,)).copy()

    table = pd.DataFrame(
        {
            "service": ["web"] * rows,
            "timestamp": index.as_unit("ns"),
            "period_s": np.full(rows, period_s, dtype="int64"),
            "running_tasks": column(tasks),
            "cpu_reserved_vcpu": column(tasks * task_vcpu),
            "cpu_used_vcpu": column(cpu_per_task) * tasks,
            "cpu_used_max_per_task_vcpu": column(cpu_per_task),
            "memory_reserved_mib": column(tasks * task_mib),
            "memory_used_mib": column(mib_per_task) * tasks,
            "memory_used_max_per_task_mib": column(mib_per_task),
            "requests_per_second": column(requests_per_task) * tasks,
            "latency_p99_s": column(latency_s),
        }
    )
    return table[USAGE.column_names]
