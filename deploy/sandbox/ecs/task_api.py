"""Tasks through the API: run, stop, list, describe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deploy.sandbox.ecs.errors import invalid
from deploy.sandbox.ecs.paging import page
from deploy.sandbox.ecs.requests import without
from deploy.sandbox.ecs.state import Cluster, Document, Task

if TYPE_CHECKING:
    from deploy.sandbox.ecs.engine import Ecs

MOST_RUN: Final = 10
MOST_DESCRIBED: Final = 100


class TaskApi:
    def __init__(self, ecs: Ecs) -> None:
        self.ecs = ecs

    def run_task(self, given: Document) -> Document:
        cluster = self.ecs.cluster(given.get("cluster"))
        definition = self.ecs.definitions.find(given["taskDefinition"])
        count = int(given.get("count") or 1)
        if not 1 <= count <= MOST_RUN:
            raise invalid(f"Count must be between 1 and {MOST_RUN}.")
        settings = without(given, "cluster", "taskDefinition", "count", "tags")
        if not settings.get("launchType") and not settings.get("capacityProviderStrategy"):
            if cluster.default_strategy:
                settings["capacityProviderStrategy"] = cluster.default_strategy
            else:
                settings["launchType"] = "EC2"
        self.ecs.providers.check_strategy(
            settings.get("capacityProviderStrategy") or [], cluster.capacity_providers
        )
        if definition.document["networkMode"] == "awsvpc" and not settings.get("networkConfiguration"):
            raise invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
        group = given.get("group") or f"family:{definition.family}"
        started, failures = [], []
        for _ in range(count):
            task = self.ecs.tasks.create(cluster, definition, group, settings)
            task.started_by, task.tags = given.get("startedBy") or "", given.get("tags") or []
            task.overrides = {"api": given.get("overrides") or {}, "settings": settings}
            refused = self.ecs.tasks.place(cluster, task, settings)
            if refused is not None and self.ecs.instances.scales(task.capacity_provider):
                cluster.tasks[task.task_id] = task
            elif refused is not None:
                failures.append({"reason": _failure(refused.reason), "detail": refused.reason})
                continue
            started.append(self.described(cluster, task))
        return {"tasks": started, "failures": failures}

    def stop_task(self, given: Document) -> Document:
        cluster = self.ecs.cluster(given.get("cluster"))
        task = cluster.tasks.get(given["task"].rpartition("/")[2])
        if task is None:
            raise invalid("The referenced task was not found.")
        self.ecs.tasks.stop(cluster, task, "UserInitiated", given.get("reason") or "Task stopped by user")
        return {"task": self.described(cluster, task)}

    def list_tasks(self, given: Document) -> Document:
        cluster = self.ecs.cluster(given.get("cluster"))
        wanted = given.get("desiredStatus") or "RUNNING"
        service = given.get("serviceName")
        if service is not None:
            self.ecs.services.find(service, cluster.name)
        instance = (given.get("containerInstance") or "").rpartition("/")[2]
        family = given.get("family")
        arns = [
            task.arn
            for task in cluster.tasks.values()
            if task.desired_status == wanted
            and (service is None or task.group == f"service:{service.rpartition('/')[2]}")
            and (not instance or task.instance_id == instance)
            and (family is None or f"task-definition/{family}:" in task.task_definition)
            and given.get("startedBy") in (None, task.started_by)
            and given.get("launchType") in (None, task.launch_type)
        ]
        return page(given, "taskArns", arns)

    def describe_tasks(self, given: Document) -> Document:
        cluster = self.ecs.cluster(given.get("cluster"))
        if len(given["tasks"]) > MOST_DESCRIBED:
            raise invalid(f"Tasks cannot have more than {MOST_DESCRIBED} elements.")
        found, failures = [], []
        for reference in given["tasks"]:
            task = cluster.tasks.get(reference.rpartition("/")[2])
            if task is None:
                failures.append({"arn": reference, "reason": "MISSING"})
            else:
                found.append(self.described(cluster, task))
        return {"tasks": found, "failures": failures}

    def described(self, cluster: Cluster, task: Task) -> Document:
        document = self.ecs.definitions.find(task.task_definition).document
        instance = cluster.instances.get(task.instance_id or "")
        return without(
            {
                "taskArn": task.arn,
                "clusterArn": cluster.arn,
                "taskDefinitionArn": task.task_definition,
                "group": task.group,
                "startedBy": task.started_by or None,
                "lastStatus": task.last_status,
                "desiredStatus": task.desired_status,
                "healthStatus": "HEALTHY" if task.healthy else "UNKNOWN",
                "launchType": task.launch_type,
                "capacityProviderName": task.capacity_provider,
                "containerInstanceArn": instance.arn if instance else None,
                "availabilityZone": instance.zone if instance else None,
                "cpu": str(task.needs.needs.cpu_units),
                "memory": str(task.needs.needs.memory_mib),
                "createdAt": task.created_at,
                "startedAt": task.started_at,
                "stoppingAt": task.stopping_at,
                "stoppedAt": task.stopped_at,
                "stopCode": task.stop_code,
                "stoppedReason": task.stopped_reason,
                "containers": [self._container(task, c) for c in document["containerDefinitions"]],
                "overrides": task.overrides.get("api") or {"containerOverrides": []},
                "attachments": self._attachments(task),
                "tags": task.tags,
                "version": 1,
            }
        )

    def _container(self, task: Task, container: Document) -> Document:
        bindings = [
            {
                "bindIP": "0.0.0.0",
                "containerPort": int(mapping["containerPort"]),
                "hostPort": task.host_ports[int(mapping["containerPort"])],
                "protocol": mapping.get("protocol") or "tcp",
            }
            for mapping in container["portMappings"]
            if int(mapping["containerPort"]) in task.host_ports
        ]
        interfaces = [{"privateIpv4Address": task.address}] if task.address else []
        return without(
            {
                "containerArn": f"{task.arn.replace(':task/', ':container/')}/{container['name']}",
                "taskArn": task.arn,
                "name": container["name"],
                "image": container["image"],
                "imageDigest": task.digests.get(container["image"]),
                "lastStatus": task.last_status if task.last_status in ("RUNNING", "STOPPED") else "PENDING",
                "healthStatus": "HEALTHY" if task.healthy and container.get("healthCheck") else "UNKNOWN",
                "exitCode": task.exit_code if task.last_status == "STOPPED" else None,
                "reason": task.stopped_reason if task.stop_code == "TaskFailedToStart" else None,
                "networkBindings": bindings,
                "networkInterfaces": interfaces,
                "cpu": str(container.get("cpu") or 0),
            }
        )

    def _attachments(self, task: Task) -> list[Document]:
        if not task.address:
            return []
        return [
            {
                "id": task.task_id[:8],
                "type": "ElasticNetworkInterface",
                "status": "ATTACHED" if task.active else "DELETED",
                "details": [{"name": "privateIPv4Address", "value": task.address}],
            }
        ]


def _failure(reason: str) -> str:
    """RunTask's short reasons."""
    for word, short in (("CPU", "RESOURCE:CPU"), ("memory", "RESOURCE:MEMORY"), ("ENI", "RESOURCE:ENI")):
        if word in reason:
            return short
    return "RESOURCE:PORTS" if "port" in reason else "No Container Instances were found in your cluster."
