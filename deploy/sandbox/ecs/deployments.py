"""The API of service deployments and revisions: listing, describing and stopping them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deploy.sandbox.ecs.errors import EcsError, invalid
from deploy.sandbox.ecs.paging import page
from deploy.sandbox.ecs.state import Cluster, Deployment, Document, Revision, Service

if TYPE_CHECKING:
    from deploy.sandbox.ecs.engine import Ecs

MOST_DESCRIBED: Final = 20


class Deployments:
    """What ECS tells of the rollouts that deploy.sandbox.ecs.rollouts carries out."""

    def __init__(self, ecs: Ecs) -> None:
        self.ecs = ecs

    def list_service_deployments(self, given: Document) -> Document:
        service = self.ecs.services.find(given["service"], given.get("cluster"))
        wanted = set(given.get("status") or [])
        since, until = (given.get("createdAt") or {}).get("after"), (given.get("createdAt") or {}).get("before")
        found = [
            {
                "serviceDeploymentArn": d.arn,
                "serviceArn": service.arn,
                "clusterArn": self.ecs.cluster(service.cluster).arn,
                "targetServiceRevisionArn": d.target.arn,
                "status": d.status,
                "createdAt": d.created_at,
                **_set({"startedAt": d.started_at, "finishedAt": d.finished_at, "statusReason": d.reason}),
            }
            for d in service.deployments
            if (not wanted or d.status in wanted)
            and (since is None or d.created_at >= since)
            and (until is None or d.created_at <= until)
        ]
        return page(given, "serviceDeployments", found)

    def describe_service_deployments(self, given: Document) -> Document:
        arns = given["serviceDeploymentArns"]
        if len(arns) > MOST_DESCRIBED:
            raise invalid(f"serviceDeploymentArns cannot have more than {MOST_DESCRIBED} elements.")
        found, failures = [], []
        for arn in arns:
            owner = self._owner(arn)
            if owner is None:
                failures.append({"arn": arn, "reason": "MISSING"})
            else:
                found.append(self.described(*owner))
        return {"serviceDeployments": found, "failures": failures}

    def _owner(self, arn: str) -> tuple[Cluster, Service, Deployment] | None:
        for cluster in self.ecs.by_name.values():
            for service in cluster.services.values():
                for deployment in service.deployments:
                    if deployment.arn == arn:
                        return cluster, service, deployment
        return None

    def described(self, cluster: Cluster, service: Service, deployment: Deployment) -> Document:
        breaker = deployment.configuration.get("deploymentCircuitBreaker") or {}
        state = "DISABLED"
        if breaker.get("enable"):
            state = (
                "TRIGGERED"
                if deployment.tripped
                else "MONITORING"
                if deployment.unfinished
                else "MONITORING_COMPLETE"
            )
        return {
            "serviceDeploymentArn": deployment.arn,
            "serviceArn": service.arn,
            "clusterArn": cluster.arn,
            "createdAt": deployment.created_at,
            "status": deployment.status,
            "sourceServiceRevisions": [self._summary(cluster, service, r) for r in deployment.sources],
            "targetServiceRevision": self._summary(cluster, service, deployment.target),
            "deploymentConfiguration": deployment.configuration,
            "deploymentCircuitBreaker": {
                "status": state,
                "failureCount": deployment.failures,
                "threshold": deployment.threshold or 0,
            },
            **_set(
                {
                    "startedAt": deployment.started_at,
                    "updatedAt": deployment.updated_at,
                    "finishedAt": deployment.finished_at,
                    "stoppedAt": deployment.stopped_at,
                    "statusReason": deployment.reason,
                    "rollback": deployment.rollback,
                }
            ),
        }

    def _summary(self, cluster: Cluster, service: Service, revision: Revision) -> Document:
        rollouts = {r.rollout_id for r in service.rollouts if r.revision is revision}
        tasks = [t for t in cluster.tasks_of(service) if t.rollout_id in rollouts and t.active]
        primary = service.primary
        wanted = service.desired if primary is not None and primary.revision is revision else len(tasks)
        running = sum(task.running for task in tasks)
        return {
            "arn": revision.arn,
            "requestedTaskCount": wanted,
            "runningTaskCount": running,
            "pendingTaskCount": len(tasks) - running,
        }

    def describe_service_revisions(self, given: Document) -> Document:
        arns = given["serviceRevisionArns"]
        if len(arns) > MOST_DESCRIBED:
            raise invalid(f"serviceRevisionArns cannot have more than {MOST_DESCRIBED} elements.")
        known = {
            revision.arn: (cluster, service, revision)
            for cluster in self.ecs.by_name.values()
            for service in cluster.services.values()
            for revision in service.revisions
        }
        found = [
            {
                **revision.settings,
                "serviceRevisionArn": revision.arn,
                "serviceArn": service.arn,
                "clusterArn": cluster.arn,
                "taskDefinition": revision.task_definition,
                "containerImages": revision.images,
                "createdAt": revision.created_at,
                "guardDutyEnabled": False,
            }
            for cluster, service, revision in (known[arn] for arn in arns if arn in known)
        ]
        failures = [{"arn": arn, "reason": "MISSING"} for arn in arns if arn not in known]
        return {"serviceRevisions": found, "failures": failures}

    def stop_service_deployment(self, given: Document) -> Document:
        owner = self._owner(given["serviceDeploymentArn"])
        if owner is None:
            raise EcsError("ServiceDeploymentNotFoundException", "Service deployment not found.")
        cluster, service, deployment = owner
        if deployment.status not in ("PENDING", "IN_PROGRESS"):
            raise EcsError(
                "ConflictException",
                f"The service deployment is {deployment.status}: only one in progress can be stopped.",
            )
        rollout = service.rollouts[0]
        if (given.get("stopType") or "ROLLBACK") == "ABORT":
            reason = "The service deployment was stopped by the user (ABORT)."
            self.ecs.rollouts.give_up(rollout, reason)
            self.ecs.rollouts.end(deployment, "STOPPED", reason)
        elif service.completed is None:
            raise invalid("The service deployment cannot be rolled back: no deployment completed before it.")
        else:
            reason = "The service deployment was rolled back by the user."
            self.ecs.rollouts.give_up(rollout, reason)
            self.ecs.rollouts.roll_back(cluster, service, deployment, reason)
        return {"serviceDeploymentArn": deployment.arn}


def _set(fields: Document) -> Document:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value not in (None, "")}
