"""Rolling deployments: which tasks start and stop, when a deployment has succeeded, and its way back.

Rules: Amazon ECS developer guide, "Rolling update" (minimumHealthyPercent rounds up, maximumPercent
down), "Deployment circuit breaker" (threshold = half the desired count, from 3 to 200), and "Service
throttle logic" (starts that keep failing are spaced out by up to 15 minutes).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from deploy.sandbox.ecs.state import Cluster, Deployment, Document, Revision, Rollout, Service, Task
from planner.model import Rejection

if TYPE_CHECKING:
    from deploy.sandbox.ecs.engine import Ecs

REVISION_FIELDS: Final = (
    "taskDefinition", "capacityProviderStrategy", "launchType", "platformVersion", "platformFamily",
    "loadBalancers", "serviceRegistries", "networkConfiguration", "serviceConnectConfiguration",
    "volumeConfigurations", "vpcLatticeConfigurations", "monitoring",
)  # fmt: skip


def bounds(desired: int, configuration: Document, daemon: bool = False) -> tuple[int, int]:
    """How many tasks must stay healthy and how many may be there at most during a deployment."""
    least = configuration.get("minimumHealthyPercent")
    most = configuration.get("maximumPercent")
    least = (0 if daemon else 100) if least is None else least
    most = (100 if daemon else 200) if most is None else most
    return math.ceil(desired * least / 100), math.floor(desired * most / 100)


def breaker_threshold(desired: int, configuration: Document) -> int | None:
    """Failed tasks that trip the circuit breaker; None where it is off.

    thresholdConfiguration: COUNT is a number of tasks, BOUNDED_PERCENT (the default, 50) a share of the
    desired count within 3 to 200, UNBOUNDED_PERCENT the share alone.
    """
    breaker = configuration.get("deploymentCircuitBreaker") or {}
    if not breaker.get("enable"):
        return None
    threshold = breaker.get("thresholdConfiguration") or {}
    kind, value = threshold.get("type", "BOUNDED_PERCENT"), threshold.get("value", 50)
    if kind == "COUNT":
        return int(value)
    share = math.ceil(desired * float(value) / 100)
    return max(share, 1) if kind == "UNBOUNDED_PERCENT" else min(max(share, 3), 200)


class Rollouts:
    def __init__(self, ecs: Ecs) -> None:
        self.ecs = ecs
        self._woken: set[str] = set()

    # starting a deployment

    def begin(self, cluster: Cluster, service: Service) -> Deployment:
        """Start a deployment of the service's present settings; an unfinished one is superseded."""
        now = self.ecs.now
        revision = self._revision(cluster, service)
        configuration = service.settings["deploymentConfiguration"]
        for running in service.deployments:
            if running.unfinished:
                running.status, running.reason = "STOPPED", "A newer service deployment was started."
                running.stopped_at = running.finished_at = running.updated_at = now
        deployment = Deployment(
            self.ecs.arn(f"service-deployment/{cluster.name}/{service.name}/{self.ecs.hex(21)}"),
            now,
            revision,
            [rollout.revision for rollout in service.rollouts],
            dict(configuration),
            breaker_threshold(service.desired, configuration),
            status="IN_PROGRESS",
            started_at=now,
            updated_at=now,
        )
        service.deployments.insert(0, deployment)
        rollout_id = f"ecs-svc/{self.ecs.number()}"
        service.rollouts.insert(0, Rollout(rollout_id, revision, now, now, deployment))
        service.rollouts[0].reason = f"ECS deployment {rollout_id} in progress."
        service.steady = False
        self.wake(cluster, service)
        return deployment

    def _revision(self, cluster: Cluster, service: Service) -> Revision:
        definition = self.ecs.definitions.find(service.settings["taskDefinition"])
        images = [
            {
                "containerName": container["name"],
                "image": container["image"],
                "imageDigest": self.ecs.images.digest(container["image"]),
            }
            for container in definition.document["containerDefinitions"]
        ]
        settings: Document = {name: service.settings[name] for name in REVISION_FIELDS if name in service.settings}
        arn = self.ecs.arn(f"service-revision/{cluster.name}/{service.name}/{self.ecs.number()}")
        revision = Revision(arn, self.ecs.now, definition.arn, settings, images)
        service.revisions.append(revision)
        return revision

    # what the tasks tell

    def wake(self, cluster: Cluster, service: Service, after_s: float = 0.0) -> None:
        """Look at the service again, now or later."""
        if after_s == 0.0:
            if service.arn in self._woken:
                return
            self._woken.add(service.arn)
        self.ecs.world.clock.call_after(after_s, lambda: self._reconcile(cluster, service))

    def task_became_healthy(self, cluster: Cluster, service: Service, task: Task) -> None:
        primary = service.primary
        if primary is not None and task.rollout_id == primary.rollout_id:
            primary.rounds_failed = 0
            breaker = primary.deployment.configuration.get("deploymentCircuitBreaker") or {}
            if breaker.get("resetOnHealthyTask", True) is not False:
                primary.deployment.failures = 0
        self.wake(cluster, service)

    def task_stopped(self, cluster: Cluster, task: Task) -> None:
        service = self.ecs.tasks.service_of(cluster, task)
        if service is not None:
            self.wake(cluster, service)
        self.place_waiting(cluster)

    def task_failed(self, cluster: Cluster, service: Service, task: Task) -> None:
        """Count a failed start or health check of the newest deployment; trip its breaker at the threshold."""
        rollout = service.primary
        if rollout is None or task.rollout_id != rollout.rollout_id:
            return
        rollout.failed_tasks += 1
        rollout.rounds_failed += 1
        self._back_off(cluster, service, rollout)
        deployment = rollout.deployment
        if rollout.state != "IN_PROGRESS" or deployment.status != "IN_PROGRESS":
            return
        deployment.failures += 1
        if deployment.threshold is not None and deployment.failures >= deployment.threshold:
            self._trip(cluster, service, rollout)

    def _back_off(self, cluster: Cluster, service: Service, rollout: Rollout) -> None:
        patience = max(3, service.desired)
        over = rollout.rounds_failed - patience
        if over < 0:
            return
        delay = min(10.0 * 2 ** min(over // patience, 10), self.ecs.delays.longest_backoff)
        rollout.backoff_until = self.ecs.world.clock.seconds + delay
        self.wake(cluster, service, delay)

    def _trip(self, cluster: Cluster, service: Service, rollout: Rollout) -> None:
        deployment = rollout.deployment
        deployment.tripped = True
        reason = "ECS deployment circuit breaker: tasks failed to start."
        self.tell(service, f"(deployment {rollout.rollout_id}) deployment failed: tasks failed to start.")
        self.give_up(rollout, reason)
        breaker = deployment.configuration.get("deploymentCircuitBreaker") or {}
        if breaker.get("rollback") and service.completed is not None:
            self.roll_back(cluster, service, deployment, reason)
        else:
            self.end(deployment, "STOPPED", reason)

    def give_up(self, rollout: Rollout, reason: str) -> None:
        """Start no more tasks of a rollout."""
        rollout.state, rollout.reason, rollout.launches_stopped = "FAILED", reason, True
        rollout.updated_at = self.ecs.now

    def end(self, deployment: Deployment, status: str, reason: str = "") -> None:
        deployment.status, deployment.reason = status, reason
        deployment.finished_at = deployment.updated_at = self.ecs.now
        if status == "STOPPED":
            deployment.stopped_at = self.ecs.now

    def roll_back(self, cluster: Cluster, service: Service, deployment: Deployment, reason: str) -> None:
        """Return to the last completed revision; tasks of it that still run are kept."""
        target = service.completed
        assert target is not None
        known = [rollout for rollout in service.rollouts if rollout.revision is target]
        if known:
            service.rollouts.remove(known[0])
            back = known[0]
        else:
            back = Rollout(f"ecs-svc/{self.ecs.number()}", target, self.ecs.now, self.ecs.now, deployment)
        back.deployment, back.state, back.launches_stopped = deployment, "IN_PROGRESS", False
        back.reason, back.updated_at = f"ECS deployment {back.rollout_id} in progress.", self.ecs.now
        service.rollouts.insert(0, back)
        for name in REVISION_FIELDS:
            service.settings.pop(name, None)
        service.settings.update(target.settings)
        deployment.status, deployment.reason = "ROLLBACK_IN_PROGRESS", reason
        deployment.updated_at = self.ecs.now
        deployment.rollback = {
            "reason": reason,
            "startedAt": self.ecs.now,
            "serviceRevisionArn": target.arn,
        }
        self.tell(service, f"rolling back to deployment {back.rollout_id}.")
        self.wake(cluster, service)

    # deciding

    def _reconcile(self, cluster: Cluster, service: Service) -> None:
        self._woken.discard(service.arn)
        active = [task for task in cluster.tasks_of(service) if task.active]
        if service.status != "ACTIVE":
            for task in active:
                self._stop(cluster, task, "service deleted")
            if not any(task.last_status != "STOPPED" for task in cluster.tasks_of(service)):
                service.status = "INACTIVE"
            return
        primary = service.primary
        if primary is None:
            return
        if service.daemon:
            self.ecs.services.size_daemon(cluster, service)
        draining = {i.instance_id for i in cluster.instances.values() if i.status == "DRAINING"}
        new = [t for t in active if t.rollout_id == primary.rollout_id and t.instance_id not in draining]
        old = [t for t in active if t not in new]
        lower, upper = bounds(service.desired, service.settings["deploymentConfiguration"], service.daemon)
        blocked = self._start_missing(cluster, service, primary, new, old, upper)
        self._stop_surplus(cluster, service, new)
        self._stop_old(cluster, service, new, old, lower, blocked)
        self._finish(cluster, service, primary)

    def _start_missing(
        self, cluster: Cluster, service: Service, primary: Rollout, new: list[Task], old: list[Task], upper: int
    ) -> int:
        """Start tasks up to the desired count; returns how many could not start for want of room."""
        missing = service.desired - len(new)
        if missing <= 0 or primary.launches_stopped:
            return 0
        if self.ecs.world.clock.seconds < primary.backoff_until:
            return 0
        started = 0
        for _ in range(min(missing, max(0, upper - len(new) - len(old)))):
            task = self._launch(cluster, service, primary)
            if task is None:
                break
            new.append(task)
            started += 1
        if started:
            self.tell(service, f"has started {started} tasks: {_told(new[-started:])}.")
        waiting = sum(1 for task in new if task.last_status == "PROVISIONING")
        return missing - started + waiting

    def _launch(self, cluster: Cluster, service: Service, primary: Rollout) -> Task | None:
        definition = self.ecs.definitions.find(primary.revision.task_definition)
        group = f"service:{service.name}"
        task = self.ecs.tasks.create(cluster, definition, group, service.settings, primary)
        if service.settings.get("propagateTags") == "SERVICE":
            task.tags = list(service.tags)
        elif service.settings.get("propagateTags") == "TASK_DEFINITION":
            task.tags = list(definition.tags)
        if service.daemon:
            free = self.ecs.services.instances_without(cluster, service)
            refused = self.ecs.tasks.place_on(cluster, task, free[0]) if free else Rejection("", "no instance")
        else:
            refused = self.ecs.tasks.place(cluster, task, service.settings)
        if refused is None:
            service.waits_for = ""
            return task
        if self.ecs.instances.scales(task.capacity_provider):
            cluster.tasks[task.task_id] = task
            return task
        if service.waits_for != refused.reason:
            service.waits_for = refused.reason
            self.tell(
                service,
                "was unable to place a task because no container instance met all of its requirements. "
                f"Reason: {refused.reason}.",
            )
        self.wake(cluster, service, 60.0)
        return None

    def place_waiting(self, cluster: Cluster) -> None:
        """Try again to place tasks that wait in PROVISIONING, and services that found no room."""
        waiting = [task for task in cluster.tasks.values() if task.last_status == "PROVISIONING" and task.active]
        for task in waiting:
            service = self.ecs.tasks.service_of(cluster, task)
            settings = service.settings if service else task.overrides.get("settings", {})
            if self.ecs.tasks.place(cluster, task, settings) is None and service is not None:
                self.wake(cluster, service)
        for service in cluster.services.values():
            if service.waits_for or service.daemon:
                self.wake(cluster, service)

    def _stop_surplus(self, cluster: Cluster, service: Service, new: list[Task]) -> None:
        stopped = []
        while len(new) > service.desired:
            task = self.ecs.tasks.pick_to_stop(cluster, service, new)
            new.remove(task)
            stopped.append(task)
            self._stop(cluster, task, f"Scaling activity initiated by (deployment {task.rollout_id})")
        if stopped:
            self.tell(service, f"has stopped {len(stopped)} running tasks: {_told(stopped)}.")

    def _stop_old(
        self, cluster: Cluster, service: Service, new: list[Task], old: list[Task], lower: int, blocked: int
    ) -> None:
        """Stop replaced tasks as new ones get healthy, or to make room where the minimum allows it."""
        healthy_new = sum(task.healthy for task in new)
        spare = healthy_new + sum(task.healthy for task in old) - lower
        surplus = max(len(old) - max(0, service.desired - healthy_new), min(blocked, len(old)))
        stopped = []
        for task in sorted(old, key=lambda task: (task.healthy, task.running)):
            if surplus <= 0 or (task.healthy and spare <= 0):
                break
            surplus -= 1
            spare -= task.healthy
            stopped.append(task)
            self._stop(cluster, task, f"Scaling activity initiated by (deployment {task.rollout_id})")
        if stopped:
            self.tell(service, f"has stopped {len(stopped)} running tasks: {_told(stopped)}.")

    def _stop(self, cluster: Cluster, task: Task, reason: str) -> None:
        self.ecs.tasks.stop(cluster, task, "ServiceSchedulerInitiated", reason)

    def _finish(self, cluster: Cluster, service: Service, primary: Rollout) -> None:
        """Note that the deployment has completed, and that the service is steady."""
        alive = [task for task in cluster.tasks_of(service) if task.last_status != "STOPPED"]
        ready = [t for t in alive if t.active and t.rollout_id == primary.rollout_id and t.healthy]
        if len(ready) != service.desired or len(alive) != service.desired:
            service.steady = False
            return
        if primary.state == "IN_PROGRESS":
            primary.state, primary.updated_at = "COMPLETED", self.ecs.now
            primary.reason = f"ECS deployment {primary.rollout_id} completed."
            service.rollouts = [primary]
            deployment = primary.deployment
            if deployment.status == "ROLLBACK_IN_PROGRESS":
                self.end(deployment, "ROLLBACK_SUCCESSFUL", deployment.reason)
            elif deployment.unfinished:
                self.end(deployment, "SUCCESSFUL")
            service.completed = primary.revision
            self.tell(service, f"(deployment {primary.rollout_id}) deployment completed.")
        if not service.steady:
            service.steady = True
            self.tell(service, "has reached a steady state.")

    def tell(self, service: Service, what: str) -> None:
        """Add a service event."""
        from moto.moto_api._internal import mock_random

        service.events.appendleft(
            {
                "id": str(mock_random.uuid4()),
                "createdAt": self.ecs.now,
                "message": f"(service {service.name}) {what}",
            }
        )


def _told(tasks: list[Task]) -> str:
    shown = ", ".join(f"(task {task.task_id})" for task in tasks[:10])
    return shown + (f" and {len(tasks) - 10} more" if len(tasks) > 10 else "")
