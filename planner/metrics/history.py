"""Task sizes of the past, from all the estates that were kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from planner.model import Deployment, Estate, Service


def with_known_deployments(estates: Sequence[Estate]) -> Estate:
    """The newest of `estates` (oldest first), its services with every deployment that any estate knew."""
    known: dict[str, dict[tuple[object, str], Deployment]] = {}
    for estate in estates:
        for service in estate.services:
            for deployment in service.deployments:
                key = (deployment.started_at, deployment.task_definition_arn)
                known.setdefault(service.name, {})[key] = deployment
    newest = estates[-1]
    return replace(newest, services=tuple(_with(service, known) for service in newest.services))


def _with(service: Service, known: dict[str, dict[tuple[object, str], Deployment]]) -> Service:
    found = known.get(service.name, {}).values()
    ordered = sorted(found, key=lambda d: (d.started_at, d.task_definition_arn))
    return replace(service, deployments=tuple(ordered))
