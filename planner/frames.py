"""The tables that stages hand to each other: column names, dtypes, units, and one check.

A table is checked where it crosses a stage's border, not in every function. The unit is in the column's
name or in its description here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pandas as pd


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    dtype: str
    description: str


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]

    def empty(self) -> pd.DataFrame:
        return pd.DataFrame({c.name: pd.Series(dtype=c.dtype) for c in self.columns})


UTC_TIMESTAMP: Final = "datetime64[ns, UTC]"

METRIC_POINTS: Final = Table(
    "metric_points",
    (
        Column(
            "resource",
            "object",
            "what the metric is about: service/<name>, cluster, capacity-provider/<name>, "
            "load-balancer/<name>, target-group/<name>, queue/<name>, instance/<id>",
        ),
        Column("metric", "object", "CloudWatch metric name, e.g. CPUUtilization"),
        Column("statistic", "object", "Average, Maximum, Minimum, Sum, SampleCount, p50, p90, p99"),
        Column("period_s", "int64", "seconds a point covers, starting at its timestamp: 60, 300 or 3600"),
        Column("timestamp", UTC_TIMESTAMP, "start of the period"),
        Column("value", "float64", "in the metric's CloudWatch unit"),
    ),
    key=("resource", "metric", "statistic", "period_s", "timestamp"),
)

USAGE: Final = Table(
    "usage",
    (
        Column("service", "object", "service name"),
        Column("timestamp", UTC_TIMESTAMP, "start of the period"),
        Column("period_s", "int64", "seconds the row covers"),
        Column("running_tasks", "float64", "tasks that ran in that period"),
        Column("cpu_reserved_vcpu", "float64", "vCPU reserved by those tasks, with the size that held then"),
        Column("cpu_used_vcpu", "float64", "vCPU used, averaged over the period"),
        Column("cpu_used_max_per_task_vcpu", "float64", "vCPU used by the busiest task"),
        Column("memory_reserved_mib", "float64", "MiB reserved by those tasks"),
        Column("memory_used_mib", "float64", "MiB used by all tasks, averaged over the period"),
        Column("memory_used_max_per_task_mib", "float64", "MiB used by the fullest task"),
        Column("requests_per_second", "float64", "load-balanced requests; NaN where there is no load balancer"),
        Column("latency_p99_s", "float64", "target response time; NaN where there is no load balancer"),
    ),
    key=("service", "timestamp"),
)

DEMAND: Final = Table(
    "demand",
    (
        Column("service", "object", "service name"),
        Column("timestamp", UTC_TIMESTAMP, "start of the period"),
        Column("vcpu", "float64", "vCPU needed to serve the load"),
        Column("memory_mib", "float64", "MiB needed"),
        Column("censored", "bool", "True: usage sat at its limit, so the value is a lower bound"),
    ),
    key=("service", "timestamp"),
)


def check(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Return `frame` with the table's columns in order, or raise ValueError naming every difference."""
    problems = [f"no column {name}" for name in table.column_names if name not in frame.columns]
    problems += [
        f"column {c.name} is {frame[c.name].dtype}, not {c.dtype}"
        for c in table.columns
        if c.name in frame.columns and not _is_of(frame[c.name], c.dtype)
    ]
    if not problems and frame.duplicated(list(table.key)).any():
        problems.append(f"rows repeat a key ({', '.join(table.key)})")
    if problems:
        raise ValueError(f"table {table.name}: " + "; ".join(problems))
    return frame[table.column_names]


def _is_of(series: pd.Series, dtype: str) -> bool:
    if dtype == "object":
        return pd.api.types.is_string_dtype(series) or series.dtype == object or len(series) == 0
    if dtype == UTC_TIMESTAMP:
        return isinstance(series.dtype, pd.DatetimeTZDtype) and str(series.dtype.tz) == "UTC"
    return str(series.dtype) == dtype
