"""What a task carries and what to scale on, and minutes in which load was turned away."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from planner import demand as demand_stage
from planner.documents.plan import Carries, ServiceDemand
from planner.model import Estate, Rejection, Service
from planner.settings import Settings
from planner.units import Share

REFUSALS: Final = ("RejectedConnectionCount", "HTTPCode_ELB_5XX_Count")
"""What a load balancer counts when it turned requests away itself (Elastic Load Balancing, "CloudWatch
metrics for your Application Load Balancer")."""
TURNED_AWAY: Final = 0.01
"""Share of a load balancer's requests from which a minute counts as one in which load was turned away."""


def turned_away(points: pd.DataFrame, estate: Estate) -> pd.DataFrame:
    """Columns service, timestamp, rejected_per_second: minutes in which the load balancer of a service turned
    at least one in a hundred requests away. A load balancer does not tell whose requests they were, so every
    service behind it is named.
    """
    empty = pd.DataFrame({"service": [], "timestamp": [], "rejected_per_second": []})
    sums = points[(points["statistic"] == "Sum") & points["metric"].isin((*REFUSALS, "RequestCount"))]
    sums = sums[sums["resource"].astype(str).str.startswith("load-balancer/")]
    if not sums["metric"].isin(REFUSALS).any():
        return empty
    table = sums.assign(metric=sums["metric"].astype(str), resource=sums["resource"].astype(str)).pivot_table(
        index=["resource", "timestamp", "period_s"], columns="metric", values="value", aggfunc="last"
    )
    refused = table.reindex(columns=list(REFUSALS)).sum(axis=1)
    served = table["RequestCount"].fillna(0.0) if "RequestCount" in table else 0.0
    kept = refused[(refused > 0) & (refused >= TURNED_AWAY * (refused + served))].rename("refused").reset_index()
    kept["rejected_per_second"] = kept["refused"] / kept["period_s"]
    parts = [
        kept[kept["resource"] == f"load-balancer/{balancer}"].assign(service=service.name)
        for service in estate.services
        for balancer in sorted({route.load_balancer for route in service.routes})
    ]
    return pd.concat(parts)[list(empty.columns)] if parts else empty


def with_load(summary: ServiceDemand, service: Service, usage: pd.DataFrame, settings: Settings) -> ServiceDemand:
    """The summary with what one task of the present size carries, and which metric tells its load."""
    if service.queue_name is None and not np.isfinite(usage["requests_per_second"]).any():
        return summary
    found = demand_stage.load_to_capacity(
        usage,
        latency_objective_s=settings.latency_objective_s,
        cpu_used_per_reserved=Share(settings.utilisation),
        queue_name=service.queue_name,
        seed=settings.seed,
    )
    if isinstance(found, Rejection):
        return summary.model_copy(update={"scale_on_reason": found.reason})
    mid = found.requests_per_second_per_task
    carries = Carries(
        requests_per_second_per_task=round(mid.mid, 3),
        low=round(mid.low, 3),
        high=round(mid.high, 3),
        bound_by=found.bound_by,
        explained=round(found.explained, 4),
        saturates=found.usl is not None and bool(np.isfinite(found.usl.peak_concurrency)),
    )
    notes = tuple(
        str(notice) for notice in found.warnings if notice.name != "beyond-observed-load"
    )  # bound_by tells
    return summary.model_copy(
        update={
            "carries": carries,
            "scale_on": found.scale_on.value,
            "scale_on_reason": found.reason,
            "warnings": (*summary.warnings, *notes),
        }
    )
