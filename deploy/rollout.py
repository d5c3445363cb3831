"""Whether this deployment, and no other, ended well: the truth that a stable service does not tell.

A service is "stable" after its circuit breaker rolled it back, too. So the deployment that our own update
started is followed by its ARN until ECS calls it SUCCESSFUL, on the revision that was planned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from deploy.model import Failure, FailureKind, ResourceRef
from deploy.ports import Clock, Cloud, Deployment
from planner.documents.config import ResourceType

POLL_S = 10.0
STALL_AFTER = timedelta(minutes=20)
"""Without a change in running, failed or status. Failed starts back off for up to 15 minutes (ECS developer
guide, service throttle logic), so less would call a slow start a stall."""
APPEARS_WITHIN = timedelta(minutes=3)

ROLLED_BACK = frozenset({"ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"})
STOPPED = frozenset({"STOPPED", "STOP_REQUESTED"})


@dataclass(frozen=True, slots=True)
class Rollout:
    """One deployment that is waited for."""

    service: str
    task_definition: str
    arn: str | None
    """None where the answer to the update was lost: the newest one on the planned revision is ours."""
    earlier: frozenset[str] = frozenset()
    """ARNs of the deployments that were there before the update (clocks may differ; names do not)."""


def await_deployment(
    rollout: Rollout, cloud: Cloud, clock: Clock, say: Callable[[str], None] = lambda _text: None
) -> Deployment | Failure:
    """Wait until the deployment ends, stalls or is superseded; a Failure names which."""
    began = clock.now()
    moved_at, seen = began, None
    while True:
        known = cloud.deployments(rollout.service)
        ours = _ours(rollout, known)
        now = clock.now()
        if ours is None:
            if now - began > APPEARS_WITHIN:
                return _failure(cloud, rollout, FailureKind.SUPERSEDED, "ECS shows no deployment of this update")
        else:
            verdict = _verdict(rollout, ours, known, cloud)
            if verdict is not None:
                return verdict
            state = (ours.status, ours.running, ours.failed)
            if state != seen:
                moved_at, seen = now, state
                say(f"{rollout.service}: {ours.running}/{ours.requested} running, {ours.failed} failed")
            if now - moved_at > STALL_AFTER:
                reason = f"nothing moved for {int(STALL_AFTER.total_seconds() // 60)} minutes: {_progress(ours)}"
                return _failure(cloud, rollout, FailureKind.STALLED, reason)
        clock.sleep(POLL_S)


def _ours(rollout: Rollout, known: Any) -> Deployment | None:
    if rollout.arn is not None:
        return next((d for d in known if d.arn == rollout.arn), None)
    fitting = [d for d in known if d.task_definition == rollout.task_definition and d.arn not in rollout.earlier]
    return fitting[0] if fitting else None


def _verdict(rollout: Rollout, ours: Deployment, known: Any, cloud: Cloud) -> Deployment | Failure | None:
    if ours.status in ROLLED_BACK:
        return _failure(
            cloud, rollout, FailureKind.BREAKER_ROLLBACK, f"{ours.status}: {ours.reason or 'no reason'}"
        )
    newest = known[0]
    if newest.arn != ours.arn and newest.created_at >= ours.created_at:
        reason = f"deployment {newest.arn} of {newest.task_definition} came after it"
        return _failure(cloud, rollout, FailureKind.SUPERSEDED, reason)
    if ours.status in STOPPED:
        return _failure(cloud, rollout, FailureKind.STOPPED, f"{ours.status}: {ours.reason or 'no reason'}")
    if ours.status != "SUCCESSFUL":
        return None
    if ours.task_definition != rollout.task_definition:
        reason = f"it runs {ours.task_definition}, not {rollout.task_definition}"
        return _failure(cloud, rollout, FailureKind.WRONG_REVISION, reason)
    return ours


def _progress(deployment: Deployment) -> str:
    return (
        f"{deployment.running} of {deployment.requested} running, {deployment.pending} pending, "
        f"{deployment.failed} failed"
    )


def _failure(cloud: Cloud, rollout: Rollout, kind: FailureKind, reason: str) -> Failure:
    ref = ResourceRef(ResourceType.SERVICE, rollout.service)
    return Failure(
        kind,
        ref.id,
        reason,
        tuple(cloud.stop_reasons(rollout.service)),
        tuple(cloud.last_log_lines(rollout.service)),
    )


def describe(failure: Failure) -> str:
    """One sentence, with what ECS said about stopped tasks."""
    text = f"{failure.resource_id}: {failure.kind}: {failure.reason}"
    if failure.stop_reasons:
        text += f" (tasks stopped: {'; '.join(failure.stop_reasons[:3])})"
    return text


def deployment_evidence(deployment: Deployment) -> Mapping[str, Any]:
    """What is kept in the journal of a deployment that ended well."""
    return {
        "deployment": deployment.arn,
        "status": deployment.status,
        "taskDefinition": deployment.task_definition,
        "digests": dict(deployment.digests),
    }
