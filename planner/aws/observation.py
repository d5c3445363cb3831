"""One cluster and its history in one call: what the report notebook begins with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import pandas as pd

from planner.aws.clients import connect
from planner.aws.inventory import discover
from planner.aws.transfer import PullReport, pull
from planner.metrics import MetricStore
from planner.model import Estate
from planner.moments import moment, start_of
from planner.terminal import BadInput, explain, progress

_LEVEL: Final = ("Average", "Maximum", "SampleCount")
PLANNING: Final = {
    "CPUUtilization": _LEVEL,
    "MemoryUtilization": _LEVEL,
    "RunningTaskCount": ("Average",),
    "CpuReserved": ("Average",),
    "MemoryReserved": ("Average",),
    "DeploymentCount": ("Maximum",),
    "RequestCount": ("Sum",),
    "TargetResponseTime": ("p99",),
    "HTTPCode_Target_5XX_Count": ("Sum",),
    "UnHealthyHostCount": ("Maximum",),
    "ConsumedLCUs": ("Sum",),
    "RejectedConnectionCount": ("Sum",),
    "HTTPCode_ELB_5XX_Count": ("Sum",),
}
"""The statistics of each metric that planning reads of the archive; the rest is kept for other questions."""


@dataclass(frozen=True, slots=True)
class Observation:
    estate: Estate
    points: pd.DataFrame
    """frames.METRIC_POINTS, as stored."""
    as_of: datetime
    pulled: PullReport | None
    """None when the store was read without asking AWS."""

    def summary(self) -> str:
        """What was read, in one line."""
        estate = self.estate
        told = (
            f"{estate.cluster} in {estate.region}: {len(estate.services)} services on "
            f"{len(estate.container_instances)} container instances; {len(self.points):,} points up to "
            f"{self.as_of:%Y-%m-%d %H:%M} UTC"
        )
        return told if self.pulled is None else f"{told}, {self.pulled.datapoints:,} of them read just now"


def observe(
    cluster: str,
    *,
    region: str = "",
    profile: str = "",
    endpoint_url: str = "",
    since: str = "14d",
    as_of: str = "",
    store: str | Path,
) -> Observation:
    """Discover `cluster`, complete the store over the window, and read it back.

    Empty texts mean the defaults. Raises BadInput with one sentence for credentials, endpoints, names and
    windows that cannot be used.
    """
    try:
        clients = connect(region=region or None, profile=profile or None, endpoint_url=endpoint_url or None)
        estate = discover(clients, cluster)
        end = (moment(as_of, "as_of") if as_of else clients.server_time).replace(second=0, microsecond=0)
        archive = MetricStore(store)
        with progress(f"Pulling the metrics of {cluster}"):
            pulled = pull(clients, estate, archive, start_of(since, end, "since"), end, as_of=end)
    except Exception as error:
        known = explain(error)
        if known is None:
            raise
        raise known from None
    if pulled.series == pulled.empty_series:
        raise BadInput(
            f"Cluster {estate.cluster} has no metrics in the {since} before {end:%Y-%m-%d %H:%M} UTC: check the "
            "Region and the window, or wait until its services have run for two days."
        )
    return _read(archive, estate.cluster, start_of(since, end, "since"), end, pulled)


def reopen(cluster: str, *, since: str = "14d", as_of: str = "", store: str | Path) -> Observation:
    """The same from the store alone: no AWS call is made. `as_of` is by default the last pull's instant."""
    archive = MetricStore(store)
    end = moment(as_of, "as_of") if as_of else archive.latest_estate(cluster).observed_at.replace(second=0)
    return _read(archive, cluster, start_of(since, end, "since"), end, None)


def _read(
    archive: MetricStore, cluster: str, start: datetime, end: datetime, pulled: PullReport | None
) -> Observation:
    held = set(archive.metrics(cluster))
    wanted = [metric for metric in PLANNING if metric in held]
    points = archive.read(cluster, metrics=wanted, statistics=PLANNING, start=start, end=end)
    return Observation(archive.latest_estate(cluster), points, end, pulled)
