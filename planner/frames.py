"""The tables that stages hand to each other: column names, dtypes, units, and one check.

A table is checked where it crosses a stage's border, not in every function. The unit is in the column's
name or in its description here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
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


DEMAND_HISTORY: Final = Table(
    "demand_history",
    (
        Column("service", "object", "service name"),
        Column("timestamp", UTC_TIMESTAMP, "start of the period"),
        Column("vcpu", "float64", "vCPU needed, mean over the period; NaN where nothing was measured"),
    ),
    key=("service", "timestamp"),
)

DEMAND_PLANNED: Final = Table(
    "demand_planned",
    (
        Column("service", "object", "service name"),
        Column("timestamp", UTC_TIMESTAMP, "start of the period"),
        Column("p99_vcpu", "float64", "vCPU that the plan is made for"),
    ),
    key=("service", "timestamp"),
)

WEEK_SHAPE: Final = Table(
    "week_shape",
    (
        Column("service", "object", "service name"),
        Column("hour_of_week", "int64", "0 is Monday 00:00 local time"),
        Column("share_of_peak", "float64", "p99 of the hour over the highest p99 of the week, 0-1"),
    ),
    key=("service", "hour_of_week"),
)

PLACED: Final = Table(
    "placed",
    (
        Column("instance", "object", "label of one instance: type, zone, number"),
        Column("service", "object", "service name"),
        Column("tasks", "int64", "tasks of the service on the instance at the planned peak"),
        Column("cpu_share", "float64", "of the instance's room, 0-1"),
        Column("memory_share", "float64", "of the instance's room, 0-1"),
    ),
    key=("instance", "service"),
)

INSTANCE_HOURS: Final = Table(
    "instance_hours",
    (
        Column("side", "object", "today or plan"),
        Column("hour_of_week", "int64", "0 is Monday 00:00 local time"),
        Column("instances", "int64", "running instances of the estate in that hour"),
    ),
    key=("side", "hour_of_week"),
)

REPLAYED: Final = Table(
    "replayed",
    (
        Column("service", "object", "service name"),
        Column("timestamp", UTC_TIMESTAMP, "minute"),
        Column("demand_vcpu", "float64", "vCPU needed"),
        Column("capacity_vcpu", "float64", "vCPU of the running tasks under the plan's scaling"),
        Column("violated", "bool", "True: demand over capacity was above the utilisation objective"),
    ),
    key=("service", "timestamp"),
)

COVERAGE: Final = Table(
    "coverage",
    (
        Column("resource", "object", "service name"),
        Column("day", "object", "YYYY-MM-DD, UTC"),
        Column("share", "float64", "of the day's minutes that were measured, 0-1"),
    ),
    key=("resource", "day"),
)

CLEANED: Final = Table(
    "cleaned",
    (
        Column("rule", "object", "what the rule resolves or marks, e.g. duplicates"),
        Column("resource", "object", "what it was applied to"),
        Column("count", "int64", "how often"),
    ),
    key=("rule", "resource"),
)


@dataclass(frozen=True, slots=True)
class PlanTables:
    """The series behind a plan, for pictures and for people who want to look closer."""

    demand_history: pd.DataFrame
    demand_planned: pd.DataFrame
    week_shape: pd.DataFrame
    placed: pd.DataFrame
    instance_hours: pd.DataFrame
    replayed: pd.DataFrame
    coverage: pd.DataFrame
    cleaned: pd.DataFrame

    def __post_init__(self) -> None:
        for table in PLAN_TABLES:
            check(getattr(self, table.name), table)

    def write(self, folder: Path) -> None:
        """One Parquet file a table."""
        folder.mkdir(parents=True, exist_ok=True)
        for table in PLAN_TABLES:
            getattr(self, table.name).to_parquet(folder / f"{table.name}.parquet", index=False)

    @classmethod
    def read(cls, folder: Path) -> PlanTables:
        return cls(**{table.name: pd.read_parquet(folder / f"{table.name}.parquet") for table in PLAN_TABLES})


PLAN_TABLES: Final = (
    DEMAND_HISTORY, DEMAND_PLANNED, WEEK_SHAPE, PLACED, INSTANCE_HOURS, REPLAYED, COVERAGE, CLEANED,
)  # fmt: skip
