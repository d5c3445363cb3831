"""From metrics to demand: what was needed, and where what was used is only a lower bound of it.

Usage equals demand only while nothing was held back. A task that sat at its CPU limit would have used
more, and a request that was rejected used nothing; such rows keep their value and are marked censored.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from planner import frames

AT_CPU_LIMIT = 0.95
"""Share of the CPU limit from which a period's average counts as being at it: a minute that averages
95 % touched the limit within the minute."""
AT_MEMORY_LIMIT = 0.98
BURST_EVIDENCE = 1.05
"""Usage above this share of the reservation proves that the reservation is not a limit (ECS on EC2
reserves CPU shares, which tasks may exceed while the instance has idle CPU)."""


def demand(
    usage: pd.DataFrame,
    *,
    rejected_per_second: pd.DataFrame | None = None,
    hard_cpu_limit: Mapping[str, bool] | None = None,
) -> pd.DataFrame:
    """Demand of each service and period (frames.DEMAND) from its usage (frames.USAGE).

    `vcpu` and `memory_mib` are what was used. `censored` is True where that is a lower bound: CPU or
    memory sat at its limit, or requests were rejected. Rows without a CPU or memory value are left out:
    an unknown minute is absent, never 0.

    rejected_per_second: columns service, timestamp, rejected_per_second (load balancer 503s, rejected
        connections); rows above 0 mark the period.
    hard_cpu_limit: whether the reservation is a limit, by service (True on Fargate). Where it is not
        told, a service is taken as limited unless its own history shows it above its reservation.

    Raises ValueError when a table lacks columns.
    """
    table = frames.check(usage, frames.USAGE)
    table = table[np.isfinite(table["cpu_used_vcpu"]) & np.isfinite(table["memory_used_mib"])]
    limited = _limited_services(table, hard_cpu_limit or {})
    censored = (
        (_at_cpu_limit(table) & table["service"].map(limited).astype(bool))
        | (table["memory_used_mib"] >= AT_MEMORY_LIMIT * table["memory_reserved_mib"])
        | _was_rejected(table, rejected_per_second)
    )
    result = pd.DataFrame(
        {
            "service": table["service"],
            "timestamp": table["timestamp"],
            "vcpu": table["cpu_used_vcpu"].astype("float64"),
            "memory_mib": table["memory_used_mib"].astype("float64"),
            "censored": censored.astype(bool),
        }
    )
    return frames.check(
        result.sort_values(["service", "timestamp"], kind="stable").reset_index(drop=True), frames.DEMAND
    )


def request_demand(usage: pd.DataFrame, *, rejected_per_second: pd.DataFrame | None = None) -> pd.DataFrame:
    """Requests that arrived, by service and period: columns service, timestamp, requests_per_second, censored.

    Rejected requests were wanted too: they are added, and the row is censored, since clients that are
    refused come back or give up. Services without a load balancer have no rows.
    """
    table = frames.check(usage, frames.USAGE)
    table = table[np.isfinite(table["requests_per_second"])]
    rejected = _rejected(table, rejected_per_second)
    result = pd.DataFrame(
        {
            "service": table["service"],
            "timestamp": table["timestamp"],
            "requests_per_second": table["requests_per_second"] + rejected,
            "censored": rejected > 0,
        }
    )
    return result.sort_values(["service", "timestamp"], kind="stable").reset_index(drop=True)


def _limited_services(table: pd.DataFrame, told: Mapping[str, bool]) -> dict[str, bool]:
    share = table["cpu_used_vcpu"] / table["cpu_reserved_vcpu"].where(table["cpu_reserved_vcpu"] > 0)
    highest = share.groupby(table["service"]).max()
    return {str(name): told.get(str(name), not (value > BURST_EVIDENCE)) for name, value in highest.items()}


def _at_cpu_limit(table: pd.DataFrame) -> pd.Series:
    """All tasks together at the limit, or the busiest one at its own."""
    reserved_per_task = table["cpu_reserved_vcpu"] / table["running_tasks"].where(table["running_tasks"] > 0)
    together = table["cpu_used_vcpu"] >= AT_CPU_LIMIT * table["cpu_reserved_vcpu"]
    busiest = table["cpu_used_max_per_task_vcpu"] >= AT_CPU_LIMIT * reserved_per_task
    return (together & (table["cpu_reserved_vcpu"] > 0)) | busiest


def _was_rejected(table: pd.DataFrame, rejected: pd.DataFrame | None) -> pd.Series:
    return _rejected(table, rejected) > 0


def _rejected(table: pd.DataFrame, rejected: pd.DataFrame | None) -> pd.Series:
    """Rejected requests per second aligned with the rows of `table`; 0 where none were told."""
    if rejected is None:
        return pd.Series(0.0, index=table.index)
    by_row = rejected.groupby(["service", "timestamp"])["rejected_per_second"].sum()
    keys = pd.MultiIndex.from_frame(table[["service", "timestamp"]])
    return pd.Series(by_row.reindex(keys).fillna(0.0).to_numpy(), index=table.index)
