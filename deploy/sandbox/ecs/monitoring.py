"""What ECS refuses of a service's monitoring configuration."""

from __future__ import annotations

from typing import Final

from deploy.monitoring import NAMES, SLOW_S, fast_names
from deploy.sandbox.ecs.errors import invalid
from deploy.sandbox.ecs.state import Document
from planner.model import FAST_S

MOST_CONFIGURATIONS: Final = 5


def check_monitoring(settings: Document) -> None:
    """Metrics and resolutions that ECS does not have (API reference, MetricConfiguration), and services that
    cannot have 20 seconds (developer guide, "Faster auto scaling with high-resolution metrics")."""
    monitoring = settings.get("monitoring") or {}
    configured = monitoring.get("metricConfigurations") or []
    if len(configured) > MOST_CONFIGURATIONS:
        raise invalid(f"metricConfigurations cannot have more than {MOST_CONFIGURATIONS} elements.")
    for item in configured:
        unknown = [name for name in item.get("metricNames") or [""] if name not in NAMES]
        if unknown:
            raise invalid(f"The metric name {unknown[0]!r} is not CPUUtilization or MemoryUtilization.")
        if item.get("resolutionSeconds") not in (FAST_S, SLOW_S):
            raise invalid("resolutionSeconds must be 20 or 60.")
    if fast_names(monitoring) and any(b.get("loadBalancerName") for b in settings["loadBalancers"]):
        raise invalid("High-resolution metrics are not supported for services with Classic Load Balancers.")
