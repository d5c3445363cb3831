"""Task definitions, services, deployments and container instances through boto3."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.aws.calls import Calls
from deploy.model import Image, ResourceRef
from deploy.normalise import merged, normalise, short_name
from deploy.ports import CallFailed, Deployment, Instance, ServiceCounts
from deploy.taskdef import content_digest, derived, image_of
from planner.documents import Resource
from planner.documents.config import ResourceType
from planner.model import Rejection

RUN_TAG = "ecs-deploy:run"
LISTED_DEPLOYMENTS = 5
LISTED_REVISIONS = 20
DESCRIBED_AT_ONCE = 100
LOG_LINES = 10

SERVICE_FIELDS = (
    "taskDefinition",
    "capacityProviderStrategy",
    "placementStrategy",
    "deploymentConfiguration",
    "loadBalancers",
    "monitoring",
    "desiredCount",
)
RAW_FIELDS = ("capacityProviderStrategy", "placementStrategy", "loadBalancers")
"""Kept as AWS told them under "$raw", so that a rollback writes them back to the letter."""


class EcsResources:
    """What the ECS API holds of one cluster."""

    def __init__(self, calls: Calls, cluster: str) -> None:
        self._calls = calls
        self.cluster = cluster
        self._definitions: dict[str, dict[str, Any]] = {}
        self._revisions: dict[str, dict[str, Any]] = {}

    # Services

    def describe_service(self, service: str) -> dict[str, Any] | None:
        answer = self._calls("ecs", "DescribeServices", cluster=self.cluster, services=[service])
        found = [s for s in answer["services"] if s.get("status") != "INACTIVE"]
        return found[0] if found else None

    def read_service(self, service: str) -> Image | None:
        found = self.describe_service(service)
        if found is None:
            return None
        image = {name: found.get(name) for name in SERVICE_FIELDS} | {"monitoring": self._monitoring(found)}
        raw = {name: found[name] for name in RAW_FIELDS if found.get(name) is not None}
        return normalise(ResourceType.SERVICE, image) | {"$raw": raw}

    def _monitoring(self, service: Mapping[str, Any]) -> Mapping[str, Any]:
        """What DescribeServices does not tell: the newest revision says it, as soon as it is asked for."""
        under_way = service.get("currentServiceDeployment")
        if under_way:
            answer = self._calls("ecs", "DescribeServiceDeployments", serviceDeploymentArns=[under_way])
            for told in answer["serviceDeployments"]:
                back = (told.get("rollback") or {}).get("serviceRevisionArn")
                target = back or (told.get("targetServiceRevision") or {}).get("arn")
                if target:
                    return self._told(str(target)).get("monitoring") or {}
        known = [self._told(str(r["arn"])) for r in service.get("currentServiceRevisions") or ()]
        newest = max((r for r in known if r), key=lambda r: r["createdAt"], default={})
        return newest.get("monitoring") or {}

    def refuses_fast_metrics(self, service: str) -> str | None:
        """Why ECS does not publish the service's metrics every 20 seconds; None where it can (developer guide,
        "Faster auto scaling with high-resolution metrics", considerations)."""
        found = self.describe_service(service) or {}
        controller = (found.get("deploymentController") or {}).get("type", "ECS")
        if controller != "ECS":
            return f"cannot have 20-second metrics: its deployment controller is {controller}"
        if any(balancer.get("loadBalancerName") for balancer in found.get("loadBalancers") or ()):
            return "cannot have 20-second metrics: it is behind a Classic Load Balancer"
        return None

    def _told(self, arn: str) -> dict[str, Any]:
        """A service revision; but for digests that come later, it never changes and is read once."""
        return self._revision(arn, "") if arn else {}

    def write_service(self, ref: ResourceRef, after: Image, live: Image | None) -> dict[str, Any]:
        """Send the fields that differ; a deployment is forced where tasks would stay on their old provider."""
        present = live or {}
        whole = normalise(ResourceType.SERVICE, merged(present, after))
        request = {
            name: whole[name] for name in SERVICE_FIELDS if name in after and whole[name] != present.get(name)
        }
        if not request:
            return {}
        request |= {name: value for name, value in after.get("$raw", {}).items() if name in request}
        if "capacityProviderStrategy" in request:
            request["forceNewDeployment"] = True
        self._calls("ecs", "UpdateService", cluster=self.cluster, service=ref.name, **request)
        return {}

    def counts(self, service: str) -> ServiceCounts | None:
        found = self.describe_service(service)
        if found is None:
            return None
        return ServiceCounts(found["desiredCount"], found["runningCount"], found["pendingCount"])

    def set_desired_count(self, service: str, count: int) -> None:
        self._calls("ecs", "UpdateService", cluster=self.cluster, service=service, desiredCount=count)

    # Task definitions

    def definition(self, arn: str) -> dict[str, Any]:
        """One revision with its tags under "tags"; a revision never changes, so it is read once."""
        if arn not in self._definitions:
            answer = self._calls("ecs", "DescribeTaskDefinition", taskDefinition=arn, include=["TAGS"])
            self._definitions[arn] = {**answer["taskDefinition"], "tags": answer.get("tags", [])}
        return self._definitions[arn]

    def read_definition(self, service: str) -> Image | None:
        found = self.describe_service(service)
        return None if found is None else image_of(_untagged(self.definition(found["taskDefinition"])))

    def resolve_definition(self, resource: Resource) -> Image | Rejection:
        assert resource.base_arn is not None
        try:
            base = self.definition(resource.base_arn)
        except CallFailed as error:
            return Rejection(resource.id, f"its base {resource.base_arn} cannot be read ({error})")
        made = derived(_untagged(base), resource.request)
        if isinstance(made, Rejection):
            return Rejection(resource.id, made.reason)
        image = {k: v for k, v in image_of(made).items() if k != "taskDefinitionArn"}
        return image | {"$base": resource.base_arn, "$request": dict(resource.request)}

    def write_definition(self, after: Image) -> dict[str, Any]:
        """Register the derived revision, unless an equal one is there already (a lost answer, an earlier run)."""
        base = self.definition(str(after["$base"]))
        made = derived(_untagged(base), after["$request"])
        if isinstance(made, Rejection):
            raise CallFailed("ecs:RegisterTaskDefinition", "Rejected", made.reason)
        same = self._equal_revision(str(made["family"]), content_digest(made))
        if same is not None:
            return {"taskDefinitionArn": same}
        kept = [t for t in base["tags"] if not t["key"].startswith("aws:") and t["key"] != RUN_TAG]
        tags = [*kept, {"key": RUN_TAG, "value": str(after["$run"])}]
        answer = self._calls("ecs", "RegisterTaskDefinition", **made, tags=tags)
        return {"taskDefinitionArn": answer["taskDefinition"]["taskDefinitionArn"]}

    def _equal_revision(self, family: str, content: str) -> str | None:
        for arn in self._newest_revisions(family):
            if content_digest(_untagged(self.definition(arn))) == content:
                return arn
        return None

    def _newest_revisions(self, family: str) -> list[str]:
        answer = self._calls(
            "ecs",
            "ListTaskDefinitions",
            familyPrefix=family,
            status="ACTIVE",
            sort="DESC",
            maxResults=LISTED_REVISIONS,
        )
        return [arn for arn in answer["taskDefinitionArns"] if short_name(arn).rsplit(":", 1)[0] == family]

    def created_by(self, run: str, service: str) -> list[str]:
        image = self.read_definition(service)
        if image is None:
            return []
        tag = {"key": RUN_TAG, "value": run}
        return [a for a in self._newest_revisions(str(image["family"])) if tag in self.definition(a)["tags"]]

    def deregister(self, arn: str) -> None:
        self._calls("ecs", "DeregisterTaskDefinition", taskDefinition=arn)

    # Deployments

    def deployments(self, service: str) -> list[Deployment]:
        listed = self._calls("ecs", "ListServiceDeployments", cluster=self.cluster, service=service)
        briefs = sorted(listed["serviceDeployments"], key=lambda d: d["createdAt"], reverse=True)
        arns = [d["serviceDeploymentArn"] for d in briefs[:LISTED_DEPLOYMENTS]]
        if not arns:
            return []
        answer = self._calls("ecs", "DescribeServiceDeployments", serviceDeploymentArns=arns)
        found = [self._deployment(d) for d in answer["serviceDeployments"]]
        return sorted(found, key=lambda d: arns.index(d.arn))

    def _deployment(self, told: Mapping[str, Any]) -> Deployment:
        target = told.get("targetServiceRevision") or {}
        revision = self._revision(str(target.get("arn", "")), str(told["status"]))
        images = revision.get("containerImages", [])
        return Deployment(
            arn=told["serviceDeploymentArn"],
            status=told["status"],
            reason=told.get("statusReason", ""),
            task_definition=str(revision.get("taskDefinition", "")),
            requested=int(target.get("requestedTaskCount", 0)),
            running=int(target.get("runningTaskCount", 0)),
            pending=int(target.get("pendingTaskCount", 0)),
            failed=int((told.get("deploymentCircuitBreaker") or {}).get("failureCount", 0)),
            created_at=told["createdAt"],
            digests={i["image"]: i["imageDigest"] for i in images if i.get("imageDigest")},
        )

    def _revision(self, arn: str, status: str) -> dict[str, Any]:
        if arn and (arn not in self._revisions or status == "SUCCESSFUL"):
            answer = self._calls("ecs", "DescribeServiceRevisions", serviceRevisionArns=[arn])
            self._revisions |= {found["serviceRevisionArn"]: found for found in answer.get("serviceRevisions", [])}
        return self._revisions.get(arn, {})

    # Why tasks stopped

    def _stopped_tasks(self, service: str) -> list[dict[str, Any]]:
        arns = self._calls(
            "ecs", "ListTasks", cluster=self.cluster, serviceName=service, desiredStatus="STOPPED", maxResults=20
        )["taskArns"]
        if not arns:
            return []
        return list(self._calls("ecs", "DescribeTasks", cluster=self.cluster, tasks=arns)["tasks"])

    def stop_reasons(self, service: str) -> list[str]:
        """Distinct reasons with how often, most frequent first; empty where ECS tells none."""
        try:
            tasks = self._stopped_tasks(service)
        except CallFailed:
            return []
        reasons = Counter(_stop_reason(task) for task in tasks)
        return [f"{reason} ({count} tasks)" for reason, count in reasons.most_common(5)]

    def last_log_lines(self, service: str) -> list[str]:
        """The last lines of the newest stopped task, where its log driver is awslogs and they can be read."""
        try:
            tasks = self._stopped_tasks(service)
            return [] if not tasks else self._lines_of(tasks[0])
        except CallFailed:
            return []

    def _lines_of(self, task: Mapping[str, Any]) -> list[str]:
        definition = self.definition(task["taskDefinitionArn"])
        for container in definition["containerDefinitions"]:
            log = container.get("logConfiguration") or {}
            options = log.get("options") or {}
            if log.get("logDriver") != "awslogs" or not options.get("awslogs-stream-prefix"):
                continue
            stream = f"{options['awslogs-stream-prefix']}/{container['name']}/{short_name(task['taskArn'])}"
            answer = self._calls(
                "logs",
                "GetLogEvents",
                logGroupName=options["awslogs-group"],
                logStreamName=stream,
                limit=LOG_LINES,
            )
            return [str(event["message"]) for event in answer["events"]]
        return []

    # Container instances

    def instances(self, capacity_provider: str) -> list[Instance]:
        arns = list(
            self._calls.pages("ecs", "ListContainerInstances", "containerInstanceArns", cluster=self.cluster)
        )
        arns += [
            arn
            for arn in self._calls.pages(
                "ecs", "ListContainerInstances", "containerInstanceArns", cluster=self.cluster, status="DRAINING"
            )
            if arn not in arns
        ]
        found: list[Instance] = []
        for at in range(0, len(arns), DESCRIBED_AT_ONCE):
            answer = self._calls(
                "ecs",
                "DescribeContainerInstances",
                cluster=self.cluster,
                containerInstances=arns[at : at + DESCRIBED_AT_ONCE],
            )
            found += [
                Instance(i["containerInstanceArn"], i["ec2InstanceId"], i["status"], i["runningTasksCount"])
                for i in answer["containerInstances"]
                if i.get("capacityProviderName") == capacity_provider
            ]
        return found

    def set_instance_status(self, arns: Sequence[str], status: str) -> None:
        for at in range(0, len(arns), 10):  # ten at a time is the call's limit
            self._calls(
                "ecs",
                "UpdateContainerInstancesState",
                cluster=self.cluster,
                containerInstances=list(arns[at : at + 10]),
                status=status,
            )


def _untagged(definition: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in definition.items() if k != "tags"}


def _stop_reason(task: Mapping[str, Any]) -> str:
    reasons = [str(task.get("stoppedReason") or task.get("stopCode") or "no reason told")]
    for container in task.get("containers", []):
        if container.get("reason"):
            reasons.append(f"{container['name']}: {container['reason']}")
        elif container.get("exitCode"):
            reasons.append(f"{container['name']}: exit code {container['exitCode']}")
    return ", ".join(reasons)
