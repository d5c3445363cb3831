"""Which of a service's metrics ECS publishes every 20 seconds: one spelling, and who needs it. Pure.

CPU and memory of a service are published by the minute, or every 20 seconds where its `monitoring` says so, which
is charged like detailed monitoring. A change of it is a deployment, and a scaling policy on a 20-second metric
sees nothing before that deployment has ended (Amazon ECS developer guide, "Faster auto scaling with
high-resolution metrics").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from planner.model import FAST_S, FAST_SUFFIX

SLOW_S: Final = 60
PUBLISHED: Final = {
    "ECSServiceAverageCPUUtilization": "CPUUtilization",
    "ECSServiceAverageMemoryUtilization": "MemoryUtilization",
}
"""Predefined metric of a scaling policy to the metric that ECS publishes."""
NAMES: Final = frozenset(PUBLISHED.values())


def fast_metric(predefined: str) -> str | None:
    """What has to be published every 20 seconds for a policy on this predefined metric; None for others."""
    return PUBLISHED.get(predefined.removesuffix(FAST_SUFFIX)) if predefined.endswith(FAST_SUFFIX) else None


def other_resolution(predefined: str) -> str | None:
    """The same metric of a policy at its other resolution; None where it has only one."""
    plain = predefined.removesuffix(FAST_SUFFIX)
    if plain not in PUBLISHED:
        return None
    return plain if predefined.endswith(FAST_SUFFIX) else plain + FAST_SUFFIX


def fast_names(monitoring: Mapping[str, Any] | None) -> frozenset[str]:
    """The metrics that a configuration publishes every 20 seconds; what it does not name is by the minute."""
    configured = (monitoring or {}).get("metricConfigurations") or ()
    return frozenset(
        name
        for item in configured
        if item.get("resolutionSeconds") == FAST_S
        for name in item.get("metricNames", ())
    )


def spelled(fast: Iterable[str]) -> dict[str, Any]:
    """The configuration that publishes just these every 20 seconds. Every metric is named: leaving one out of an
    update is not documented to take it back to a minute."""
    wanted = frozenset(fast)
    groups = ((FAST_S, wanted), (SLOW_S, NAMES - wanted))
    return {
        "metricConfigurations": [
            {"metricNames": sorted(names), "resolutionSeconds": seconds} for seconds, names in groups if names
        ]
    }


def loses_without_gain(live: Mapping[str, Any] | None, wanted: Mapping[str, Any] | None) -> bool:
    """Whether a metric goes back to a minute and none becomes faster."""
    before, after = fast_names(live), fast_names(wanted)
    return after < before
