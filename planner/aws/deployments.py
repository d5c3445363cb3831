"""When each task size held: the deployments of every service, as far back as ECS remembers.

The service metrics of AWS/ECS are percentages of what was reserved at that minute, so the size of a past
task is needed to read them. ECS keeps service deployments and revisions for a while
(ListServiceDeployments); where they cannot be read, the deployments that DescribeServices shows still give
the date of the newest change.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from planner.aws.clients import Clients
from planner.aws.paging import Unreadable, batches, each, pages
from planner.aws.task_definitions import TaskDefinitions
from planner.model import FAST_S, Deployment

DESCRIBE_REVISIONS_BATCH = 20


@dataclass(frozen=True, slots=True)
class Revision:
    """What a service revision says of its tasks."""

    task_definition_arn: str
    fast_metrics: tuple[str, ...]


def read_deployments(
    clients: Clients,
    cluster_arn: str,
    services: list[dict[str, Any]],
    definitions: TaskDefinitions,
    unreadable: Unreadable,
) -> dict[str, tuple[Deployment, ...]]:
    """Deployments by service name, oldest first; those that never took hold are left out."""
    ecs = clients.get("ecs")
    refused: list[str] = []

    def listed(raw: dict[str, Any]) -> list[dict[str, Any]]:
        if refused:
            return []
        before = len(unreadable.rejections)
        found = unreadable.items(
            "service deployments (the history of task sizes)",
            lambda: pages(
                ecs,
                "list_service_deployments",
                "serviceDeployments",
                cluster=cluster_arn,
                service=raw["serviceName"],
            ),
        )
        if len(unreadable.rejections) > before:
            refused.append(raw["serviceName"])
        return found

    per_service = dict(zip((raw["serviceName"] for raw in services), each(listed, services), strict=True))
    revisions = _revisions(ecs, [d for found in per_service.values() for d in found], unreadable)
    shown = {str(d.get("taskDefinition", "")) for raw in services for d in raw.get("deployments", ())}
    named = {revision.task_definition_arn for revision in revisions.values()}
    definitions.read((named | shown) - {""}, unreadable)
    return {
        raw["serviceName"]: _history(raw, per_service[raw["serviceName"]], revisions, definitions)
        for raw in services
    }


def _revisions(ecs: Any, deployments: list[dict[str, Any]], unreadable: Unreadable) -> dict[str, Revision]:
    """Service revisions by ARN."""
    wanted = sorted({str(d["targetServiceRevisionArn"]) for d in deployments if d.get("targetServiceRevisionArn")})

    def describe(batch: Any) -> list[dict[str, Any]]:
        return unreadable.items(
            "service revisions (the history of task sizes)",
            lambda: list(ecs.describe_service_revisions(serviceRevisionArns=list(batch))["serviceRevisions"]),
        )

    found = each(describe, list(batches(wanted, DESCRIBE_REVISIONS_BATCH)))
    return {
        raw["serviceRevisionArn"]: Revision(raw["taskDefinition"], _fast_metrics(raw.get("monitoring") or {}))
        for batch in found
        for raw in batch
    }


def _fast_metrics(monitoring: dict[str, Any]) -> tuple[str, ...]:
    """The metrics of a revision's monitoring configuration that are published every 20 seconds; others are by the
    minute (ECS API reference, MonitoringConfiguration)."""
    configured = monitoring.get("metricConfigurations") or ()
    fast = {
        name for c in configured if c.get("resolutionSeconds") == FAST_S for name in c.get("metricNames") or ()
    }
    return tuple(sorted(fast))


# A deployment that was stopped or rolled back may have run tasks of its size for a while, but what holds
# afterwards is the revision that ECS went back to; ECS lists that rollback as a deployment of its own state.
_TOOK_HOLD = frozenset({"SUCCESSFUL", "IN_PROGRESS", "PENDING"})


def _history(
    raw: dict[str, Any],
    listed: list[dict[str, Any]],
    revisions: dict[str, Revision],
    definitions: TaskDefinitions,
) -> tuple[Deployment, ...]:
    found = [
        deployment
        for d in listed
        if d.get("status") in _TOOK_HOLD
        if (deployment := _from_listing(d, revisions, definitions)) is not None
    ]
    if not found:
        found = [d for shown in raw.get("deployments", ()) if (d := _from_service(shown, definitions))]
    return tuple(sorted(found, key=lambda d: (d.started_at, d.task_definition_arn)))


def _from_listing(
    raw: dict[str, Any], revisions: dict[str, Revision], definitions: TaskDefinitions
) -> Deployment | None:
    revision = revisions.get(str(raw.get("targetServiceRevisionArn")))
    definition = None if revision is None else definitions.get(revision.task_definition_arn)
    started = raw.get("startedAt") or raw.get("createdAt")
    if revision is None or definition is None or started is None:
        return None
    finished = raw.get("finishedAt")
    return Deployment(
        definition.arn,
        definition.needs,
        _utc(started),
        _utc(finished) if finished else None,
        str(raw.get("status", "")),
        revision.fast_metrics,
    )


def _from_service(raw: dict[str, Any], definitions: TaskDefinitions) -> Deployment | None:
    definition = definitions.get(str(raw.get("taskDefinition", "")))
    if definition is None or raw.get("createdAt") is None:
        return None
    done = raw.get("rolloutState") == "COMPLETED" and raw.get("updatedAt") is not None
    return Deployment(
        definition.arn,
        definition.needs,
        _utc(raw["createdAt"]),
        _utc(raw["updatedAt"]) if done else None,
        "SUCCESSFUL" if done else str(raw.get("rolloutState") or "IN_PROGRESS"),
    )


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
