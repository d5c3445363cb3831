"""The life of a task: placed, started, healthy or failed, stopped. Who wants tasks is not decided here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.sandbox.ecs import load_balancing, task_definitions
from deploy.sandbox.ecs.providers import FARGATE
from deploy.sandbox.ecs.state import Cluster, Document, Rollout, Service, Task, TaskDefinition
from planner.model import Rejection, TaskType

if TYPE_CHECKING:
    from deploy.sandbox.ecs.engine import Ecs

PROVIDER_ATTRIBUTE = "ecs.capacity-provider"
"""The instance attribute by which tasks of a provider keep to its instances; ECS shows none like it."""


class Tasks:
    def __init__(self, ecs: Ecs) -> None:
        self.ecs = ecs
        self._addresses = 0

    # starting

    def create(
        self,
        cluster: Cluster,
        definition: TaskDefinition,
        group: str,
        settings: Document,
        rollout: Rollout | None = None,
    ) -> Task:
        """A task that is not placed yet. `settings` are those of the service or the RunTask request."""
        document = definition.document
        provider = self._provider(cluster, group, settings.get("capacityProviderStrategy") or [])
        launch_type = settings.get("launchType") or ("FARGATE" if provider in FARGATE else "EC2")
        task_id = self.ecs.hex()
        placed_with = {**settings, "placementConstraints": _constraints(document, settings)}
        needs = TaskType(
            f"{group.removeprefix('service:')}@{definition.family}:{definition.revision}",
            1,
            task_definitions.needs(document),
            task_definitions.host_ports(document),
            task_definitions.distinct_instance(placed_with),
            task_definitions.architecture(document),
        )
        task = Task(
            task_id,
            self.ecs.arn(f"task/{cluster.name}/{task_id}"),
            definition.arn,
            group,
            launch_type,
            needs,
            self.ecs.now,
            capacity_provider=provider,
            rollout_id=rollout.rollout_id if rollout else None,
        )
        images = [container["image"] for container in document["containerDefinitions"]]
        task.digests = {image: self.ecs.images.digest(image) for image in images}
        if rollout is not None:
            task.digests = {image["image"]: image["imageDigest"] for image in rollout.revision.images}
            task.started_by = rollout.rollout_id
        return task

    def _provider(self, cluster: Cluster, group: str, strategy: list[Document]) -> str | None:
        """The provider whose share of the group's tasks is furthest below its base and weight."""
        if not strategy:
            return None
        counts = {item["capacityProvider"].rpartition("/")[2]: 0 for item in strategy}
        for task in cluster.tasks.values():
            if task.group == group and task.active and task.capacity_provider in counts:
                counts[task.capacity_provider] += 1
        for item in strategy:
            name = item["capacityProvider"].rpartition("/")[2]
            if counts[name] < (item.get("base") or 0):
                return str(name)

        def share(item: Document) -> float:
            name = item["capacityProvider"].rpartition("/")[2]
            return float((counts[name] - (item.get("base") or 0) + 1) / item["weight"])

        weighted = [item for item in strategy if item.get("weight")] or [{**strategy[0], "weight": 1}]
        return str(min(weighted, key=share)["capacityProvider"].rpartition("/")[2])

    def place(self, cluster: Cluster, task: Task, settings: Document) -> Rejection | None:
        """Put the task where ECS would and start it; the reason where no instance takes it."""
        if task.launch_type == "FARGATE":
            self._start(cluster, task, self.ecs.delays.fargate_start)
            return None
        from planner.packing.strategy import strategy_from

        definition = self.ecs.definitions.find(task.task_definition)
        constraints = _constraints(definition.document, settings)
        member_of = task_definitions.member_of({"placementConstraints": constraints})
        if task.capacity_provider is not None:
            member_of = (*member_of, f"attribute:{PROVIDER_ATTRIBUTE} == {task.capacity_provider}")
        rules = [(rule["type"], rule.get("field") or "") for rule in settings.get("placementStrategy") or []]
        placed = cluster.scheduler.place_one(task.needs, strategy_from(rules), member_of)
        if isinstance(placed, Rejection):
            return placed
        task.instance_id = placed.instance_id
        self._start(cluster, task, self.ecs.delays.task_start)
        return None

    def place_on(self, cluster: Cluster, task: Task, instance_id: str) -> Rejection | None:
        """Put the task on a named instance (a daemon's) and start it."""
        placed = cluster.scheduler.place_on(task.needs, instance_id)
        if isinstance(placed, Rejection):
            return placed
        task.instance_id = instance_id
        self._start(cluster, task, self.ecs.delays.task_start)
        return None

    def _start(self, cluster: Cluster, task: Task, delay_s: float) -> None:
        cluster.tasks[task.task_id] = task
        task.last_status = "PENDING"
        self._bind(cluster, task)
        self.ecs.world.clock.call_after(delay_s, lambda: self._started(cluster, task))

    def _bind(self, cluster: Cluster, task: Task) -> None:
        """Give the task its ports on the instance, or its own address."""
        document = self.ecs.definitions.find(task.task_definition).document
        if document["networkMode"] == "awsvpc":
            self._addresses += 1
            task.address = f"10.0.{self._addresses // 250 % 250}.{self._addresses % 250 + 4}"
            return
        instance = cluster.instances.get(task.instance_id or "")
        for container in document["containerDefinitions"]:
            for mapping in container["portMappings"]:
                port = int(mapping["containerPort"])
                host = int(mapping.get("hostPort") or 0)
                if not host and document["networkMode"] == "host":
                    host = port
                if not host and instance is not None:
                    host, instance.next_port = instance.next_port, instance.next_port + 1
                task.host_ports[port] = host

    def _started(self, cluster: Cluster, task: Task) -> None:
        if not task.active:
            return
        definition = self.ecs.definitions.find(task.task_definition)
        failure = self.ecs.images.failure(list(task.digests), f"{definition.family}:{definition.revision}")
        missing = self._missing_secret(definition)
        if missing is not None:
            self._fail(
                cluster,
                task,
                "TaskFailedToStart",
                "ResourceInitializationError: unable to pull secrets or registry auth: execution resource "
                f"retrieval failed: unable to retrieve secret from asm: secret {missing} was not found",
            )
        elif failure and failure[0] == "pull":
            self._fail(
                cluster,
                task,
                "TaskFailedToStart",
                f"CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve "
                f"ref {failure[1]}: not found",
            )
        elif failure and failure[0] == "exit":
            task.exit_code = 1
            self._fail(cluster, task, "EssentialContainerExited", "Essential container in task exited")
        else:
            self._running(cluster, task, unhealthy=failure is not None)

    def _missing_secret(self, definition: TaskDefinition) -> str | None:
        """A secret of this account and Region that the task needs and Secrets Manager does not have."""
        arns = []
        for container in definition.document["containerDefinitions"]:
            arns += [secret["valueFrom"] for secret in container.get("secrets") or []]
            arns.append((container.get("repositoryCredentials") or {}).get("credentialsParameter") or "")
        prefix = f"arn:aws:secretsmanager:{self.ecs.region}:{self.ecs.account_id}:secret:"
        needed = {":".join(arn.split(":")[:7]) for arn in arns if arn.startswith(prefix)}
        if not needed:
            return None
        from moto.backends import get_backend

        known = get_backend("secretsmanager")[self.ecs.account_id][self.ecs.region].secrets
        there = {secret.arn for secret in known.values()}
        named = {arn.rpartition("-")[0] for arn in there}
        return next((arn for arn in sorted(needed) if arn not in there and arn not in named), None)

    def _running(self, cluster: Cluster, task: Task, unhealthy: bool) -> None:
        task.last_status, task.started_at = "RUNNING", self.ecs.now
        delays, clock = self.ecs.delays, self.ecs.world.clock
        service = self.service_of(cluster, task)
        checked = self._has_check(task, service)
        if service is not None:
            load_balancing.register(self.ecs, cluster, service, task)
            self.ecs.rollouts.wake(cluster, service)
        if unhealthy and checked:
            clock.call_after(delays.unhealthy, lambda: self._unhealthy(cluster, task, service))
        else:
            wait = delays.healthy_with_check if checked else delays.healthy_without_check
            clock.call_after(wait, lambda: self._healthy(cluster, task))

    def _has_check(self, task: Task, service: Service | None) -> bool:
        definition = self.ecs.definitions.find(task.task_definition)
        containers = definition.document["containerDefinitions"]
        balanced = service is not None and bool(service.settings.get("loadBalancers"))
        return balanced or any(container.get("healthCheck") for container in containers)

    def _healthy(self, cluster: Cluster, task: Task) -> None:
        if task.active and task.running:
            task.healthy = True
            service = self.service_of(cluster, task)
            if service is not None:
                self.ecs.rollouts.task_became_healthy(cluster, service, task)

    def _unhealthy(self, cluster: Cluster, task: Task, service: Service | None) -> None:
        if not task.active:
            return
        groups = [
            b.get("targetGroupArn") for b in (service.settings.get("loadBalancers") or [] if service else [])
        ]
        reason = f"Task failed ELB health checks in (target-group {groups[0]})" if groups else ""
        self._fail(cluster, task, "ServiceSchedulerInitiated", reason or "Task failed container health checks")

    # stopping

    def _fail(self, cluster: Cluster, task: Task, code: str, reason: str) -> None:
        self.stop(cluster, task, code, reason, at_once=code != "ServiceSchedulerInitiated")
        service = self.service_of(cluster, task)
        if service is not None:
            self.ecs.rollouts.task_failed(cluster, service, task)

    def stop(self, cluster: Cluster, task: Task, code: str, reason: str, at_once: bool = False) -> None:
        """Ask a task to stop; it has stopped after the stop delay, or now for one that never ran."""
        if not task.active:
            return
        task.desired_status, task.stop_code, task.stopped_reason = "STOPPED", code, reason
        task.stopping_at, task.healthy = self.ecs.now, False
        service = self.service_of(cluster, task)
        if service is not None:
            load_balancing.deregister(self.ecs, cluster, service, task)
        if task.running and not at_once:
            task.last_status = "DEACTIVATING"
            self.ecs.world.clock.call_after(self.ecs.delays.task_stop, lambda: self._stopped(cluster, task))
        else:
            self._stopped(cluster, task)

    def _stopped(self, cluster: Cluster, task: Task) -> None:
        if task.last_status == "STOPPED":
            return
        task.last_status, task.stopped_at = "STOPPED", self.ecs.now
        if task.instance_id is not None and task.instance_id in cluster.instances:
            cluster.scheduler.stop_on(task.needs.service, task.instance_id)
            self.ecs.instances.task_left(cluster, task.instance_id)
        self.ecs.rollouts.task_stopped(cluster, task)
        # ECS shows a stopped task for about an hour.
        self.ecs.world.clock.call_after(3600, lambda: cluster.forget(task))

    def pick_to_stop(self, cluster: Cluster, service: Service, tasks: list[Task]) -> Task:
        """The task ECS would stop on scale-in: one not running yet, else by the placement strategy."""
        waiting = [task for task in tasks if not task.running]
        if waiting:
            return waiting[-1]
        if tasks[0].launch_type == "FARGATE" or len({task.needs.service for task in tasks}) > 1:
            return tasks[-1]
        from planner.packing.strategy import strategy_from

        pairs = service.settings.get("placementStrategy") or []
        rules = strategy_from((rule["type"], rule.get("field") or "") for rule in pairs)
        key = tasks[0].needs.service
        chosen = cluster.scheduler.stop_one(key, rules)
        if isinstance(chosen, Rejection):
            return tasks[-1]
        cluster.scheduler.place_on(tasks[0].needs, chosen)
        return next((task for task in reversed(tasks) if task.instance_id == chosen), tasks[-1])

    def service_of(self, cluster: Cluster, task: Task) -> Service | None:
        if not task.group.startswith("service:"):
            return None
        return cluster.services.get(task.group.removeprefix("service:"))


def _constraints(document: Document, settings: Document) -> list[Document]:
    """The placement constraints of the task definition and of the service or request together."""
    return [*(document.get("placementConstraints") or []), *(settings.get("placementConstraints") or [])]
