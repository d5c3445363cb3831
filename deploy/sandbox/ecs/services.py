"""Services: created, updated, scaled, described, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from deploy.sandbox.ecs import load_balancing
from deploy.sandbox.ecs.errors import inactive_service, invalid, no_service
from deploy.sandbox.ecs.monitoring import check_monitoring
from deploy.sandbox.ecs.paging import page
from deploy.sandbox.ecs.providers import FARGATE
from deploy.sandbox.ecs.requests import without
from deploy.sandbox.ecs.state import Cluster, Document, Service, TaskDefinition

if TYPE_CHECKING:
    from deploy.sandbox.ecs.engine import Ecs

MOST_DESCRIBED: Final = 10
STARTS_DEPLOYMENT: Final = (
    "taskDefinition", "networkConfiguration", "platformVersion", "loadBalancers", "serviceRegistries",
    "serviceConnectConfiguration", "volumeConfigurations", "vpcLatticeConfigurations", "monitoring",
)  # fmt: skip
"""Fields of UpdateService that start a deployment when they change (botocore's ECS model; for `monitoring` the
developer guide, "Faster auto scaling with high-resolution metrics")."""
ROLLING_DEFAULTS: Final = {
    "strategy": "ROLLING",
    "maximumPercent": 200,
    "minimumHealthyPercent": 100,
    "deploymentCircuitBreaker": {"enable": False, "rollback": False},
}


class Services:
    def __init__(self, ecs: Ecs) -> None:
        self.ecs = ecs
        self._tokens: dict[str, str] = {}

    def find(self, reference: str, cluster: str | None) -> Service:
        name = reference.rpartition("/")[2]
        if cluster is None and reference.count("/") == 2:
            cluster = reference.split("/")[1]
        found = self.ecs.cluster(cluster).services.get(name)
        if found is None:
            raise no_service()
        return found

    # create

    def create_service(self, given: Document) -> Document:
        cluster = self.ecs.cluster(given.get("cluster"))
        name = given["serviceName"]
        known = cluster.services.get(name)
        if known is not None and known.status != "INACTIVE":
            if given.get("clientToken") and self._tokens.get(known.arn) == given["clientToken"]:
                return {"service": self.described(cluster, known)}
            raise invalid("Creation of service was not idempotent.")
        settings = self._checked(cluster, given)
        desired = 0 if settings["schedulingStrategy"] == "DAEMON" else int(given.get("desiredCount") or 0)
        arn = self.ecs.arn(f"service/{cluster.name}/{name}")
        service = Service(name, arn, cluster.name, settings, desired, self.ecs.now)
        service.tags = given.get("tags") or []
        cluster.services[name] = service
        if given.get("clientToken"):
            self._tokens[arn] = given["clientToken"]
        self.size_daemon(cluster, service)
        self.ecs.rollouts.begin(cluster, service)
        return {"service": self.described(cluster, service)}

    def _checked(self, cluster: Cluster, given: Document) -> Document:
        """The service's settings with ECS's defaults, once nothing in them is refused."""
        if not given.get("taskDefinition"):
            raise invalid("TaskDefinition can not be blank.")
        definition = self.ecs.definitions.find(given["taskDefinition"])
        settings = without(given, "cluster", "serviceName", "desiredCount", "clientToken", "tags", "role")
        settings["taskDefinition"] = definition.arn
        daemon = given.get("schedulingStrategy") == "DAEMON"
        settings["schedulingStrategy"] = "DAEMON" if daemon else "REPLICA"
        if daemon and given.get("desiredCount"):
            raise invalid("The daemon scheduling strategy does not support a desired count for services.")
        defaults = {**ROLLING_DEFAULTS, "maximumPercent": 100, "minimumHealthyPercent": 0}
        configuration = {
            **(defaults if daemon else ROLLING_DEFAULTS),
            **(given.get("deploymentConfiguration") or {}),
        }
        settings["deploymentConfiguration"] = configuration
        settings.setdefault("availabilityZoneRebalancing", "DISABLED" if daemon else "ENABLED")
        settings.setdefault("deploymentController", {"type": "ECS"})
        settings.setdefault("enableECSManagedTags", False)
        settings.setdefault("enableExecuteCommand", False)
        settings.setdefault("propagateTags", "NONE")
        for name in ("loadBalancers", "serviceRegistries", "placementConstraints", "placementStrategy"):
            settings.setdefault(name, [])
        self._check_capacity(cluster, settings)
        self._check_rest(settings, definition)
        return settings

    def _check_capacity(self, cluster: Cluster, settings: Document) -> None:
        strategy = settings.get("capacityProviderStrategy") or []
        if strategy and settings.get("launchType"):
            raise invalid("Specifying both a launch type and capacity provider strategy is not supported.")
        if not strategy and not settings.get("launchType"):
            strategy = cluster.default_strategy if settings["schedulingStrategy"] != "DAEMON" else []
            if strategy:
                settings["capacityProviderStrategy"] = strategy
            else:
                settings["launchType"] = "EC2"
        self.ecs.providers.check_strategy(strategy, cluster.capacity_providers)
        if strategy:
            settings["capacityProviderStrategy"] = [
                {**item, "capacityProvider": item["capacityProvider"].rpartition("/")[2]} for item in strategy
            ]

    def _check_rest(self, settings: Document, definition: TaskDefinition) -> None:
        if settings["deploymentController"].get("type") != "ECS":
            raise invalid(
                "The deployment controllers CODE_DEPLOY and EXTERNAL are not supported yet by the sandbox."
            )
        check_configuration(settings["deploymentConfiguration"])
        awsvpc = definition.document["networkMode"] == "awsvpc"
        if awsvpc and not settings.get("networkConfiguration"):
            raise invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
        if not awsvpc and settings.get("networkConfiguration"):
            raise invalid("Network Configuration is not valid for the given networkMode of this task definition.")
        if uses_fargate(settings):
            if "FARGATE" not in definition.document["compatibilities"]:
                raise invalid("The task definition is not compatible with Fargate.")
            if settings["placementStrategy"] or settings["placementConstraints"]:
                raise invalid("Placement strategies and constraints are not supported on Fargate.")
        self._check_placement(settings, definition)
        check_monitoring(settings)
        for balancer in settings["loadBalancers"]:
            self._check_balancer(balancer, definition)

    def _check_placement(self, settings: Document, definition: TaskDefinition) -> None:
        from deploy.sandbox.ecs.task_definitions import member_of
        from planner.packing.constraints import ConstraintError, parse_expression
        from planner.packing.strategy import StrategyError, strategy_from

        try:
            rules = settings["placementStrategy"]
            strategy_from((rule["type"], rule.get("field") or "") for rule in rules)
            for expression in (*member_of(settings), *member_of(definition.document)):
                parse_expression(expression)
        except (StrategyError, ConstraintError) as error:
            raise invalid(f"Invalid placement: {error}.") from error

    def _check_balancer(self, balancer: Document, definition: TaskDefinition) -> None:
        arn = balancer.get("targetGroupArn")
        if arn:
            group = load_balancing.target_group(self.ecs, arn)
            if group is None:
                raise invalid(f"The specified target group {arn} does not exist.")
            if not load_balancing.has_balancer(self.ecs, arn):
                raise invalid(
                    f"The target group with targetGroupArn {arn} does not have an associated load balancer."
                )
        mapped = {
            (container["name"], int(mapping["containerPort"]))
            for container in definition.document["containerDefinitions"]
            for mapping in container["portMappings"]
        }
        wanted = (balancer.get("containerName"), int(balancer.get("containerPort") or 0))
        if wanted not in mapped:
            raise invalid(
                f"The container {wanted[0]} does not have a containerPort {wanted[1]} defined in the task "
                "definition."
            )

    # update

    def update_service(self, given: Document) -> Document:
        cluster = self.ecs.cluster(given.get("cluster"))
        service = self.find(given["service"], cluster.name)
        if service.status != "ACTIVE":
            raise inactive_service()
        change = without(given, "cluster", "service", "desiredCount", "forceNewDeployment")
        if change.get("taskDefinition"):
            change["taskDefinition"] = self.ecs.definitions.find(change["taskDefinition"]).arn
        if "deploymentConfiguration" in change:
            kept = service.settings["deploymentConfiguration"]
            change["deploymentConfiguration"] = {**kept, **change["deploymentConfiguration"]}
        settings = {**service.settings, **change}
        if change.get("capacityProviderStrategy"):
            settings.pop("launchType", None)
        self._check_update(cluster, service, settings, given)
        starts = [
            name for name in STARTS_DEPLOYMENT if name in change and change[name] != service.settings.get(name)
        ]
        service.settings = settings
        if given.get("desiredCount") is not None:
            self._scale(service, int(given["desiredCount"]))
        if starts or given.get("forceNewDeployment"):
            self.ecs.rollouts.begin(cluster, service)
        self.ecs.rollouts.wake(cluster, service)
        return {"service": self.described(cluster, service)}

    def _check_update(self, cluster: Cluster, service: Service, settings: Document, given: Document) -> None:
        if service.daemon and given.get("desiredCount") is not None:
            raise invalid("The daemon scheduling strategy does not support a desired count for services.")
        self._check_capacity(cluster, settings)
        self._check_rest(settings, self.ecs.definitions.find(settings["taskDefinition"]))

    def _scale(self, service: Service, desired: int) -> None:
        if desired != service.desired:
            service.desired, service.steady = desired, False

    def scale(self, cluster: Cluster, service: Service, desired: int) -> None:
        """Set the desired count, as Application Auto Scaling does."""
        self._scale(service, desired)
        self.ecs.rollouts.wake(cluster, service)

    # daemons

    def size_daemon(self, cluster: Cluster, service: Service) -> None:
        """A daemon's desired count is the number of active instances its constraints allow."""
        if service.daemon:
            self._scale(service, len(self._instances_for(cluster, service)))

    def _instances_for(self, cluster: Cluster, service: Service) -> list[str]:
        from deploy.sandbox.ecs.task_definitions import member_of
        from planner.packing.constraints import InstanceFacts, parse_expression

        tests = [parse_expression(text).test for text in member_of(service.settings)]
        found = []
        for instance in cluster.instances.values():
            facts = InstanceFacts(instance.attributes, instance.instance_id)
            if instance.status == "ACTIVE" and all(test(facts) for test in tests):
                found.append(instance.instance_id)
        return found

    def instances_without(self, cluster: Cluster, service: Service) -> list[str]:
        """The daemon's instances on which none of its tasks is."""
        taken = {task.instance_id for task in cluster.tasks_of(service) if task.active}
        return [i for i in self._instances_for(cluster, service) if i not in taken]

    # delete

    def delete_service(self, given: Document) -> Document:
        cluster = self.ecs.cluster(given.get("cluster"))
        service = self.find(given["service"], cluster.name)
        if service.status == "INACTIVE":
            raise no_service()
        if service.desired and not service.daemon and not given.get("force"):
            raise invalid("The service cannot be stopped while it is scaled above 0.")
        service.status, service.desired = "DRAINING", 0
        for deployment in service.deployments:
            if deployment.unfinished:
                deployment.status, deployment.stopped_at = "STOPPED", self.ecs.now
        self.ecs.rollouts.wake(cluster, service)
        return {"service": self.described(cluster, service)}

    def remove_at_once(self, arn: str) -> None:
        """Delete a service and stop its tasks without waiting, for a stack that is deleted."""
        service = self.find(arn, None)
        cluster = self.ecs.cluster(service.cluster)
        service.status, service.desired = "INACTIVE", 0
        for task in cluster.tasks_of(service):
            self.ecs.tasks.stop(cluster, task, "ServiceSchedulerInitiated", "service deleted", at_once=True)

    # read

    def describe_services(self, given: Document) -> Document:
        names = given["services"]
        if not names:
            raise invalid("Services cannot be empty.")
        if len(names) > MOST_DESCRIBED:
            raise invalid(f"Services cannot have more than {MOST_DESCRIBED} elements.")
        cluster = self.ecs.cluster(given.get("cluster"))
        tags = "TAGS" in (given.get("include") or [])
        found, failures = [], []
        for name in names:
            service = cluster.services.get(name.rpartition("/")[2])
            if service is None:
                arn = name if name.startswith("arn:") else self.ecs.arn(f"service/{cluster.name}/{name}")
                failures.append({"arn": arn, "reason": "MISSING"})
            else:
                found.append(self.described(cluster, service, tags))
        return {"services": found, "failures": failures}

    def list_services(self, given: Document) -> Document:
        cluster = self.ecs.cluster(given.get("cluster"))
        kind, strategy = given.get("launchType"), given.get("schedulingStrategy")
        arns = [
            service.arn
            for name, service in sorted(cluster.services.items())
            if service.status != "INACTIVE"
            and strategy in (None, service.settings["schedulingStrategy"])
            and kind in (None, "FARGATE" if uses_fargate(service.settings) else "EC2")
        ]
        # ECS gives 10 by default and 100 at most.
        return page({"maxResults": 10, **without(given)}, "serviceArns", arns)

    def described(self, cluster: Cluster, service: Service, tags: bool = True) -> Document:
        tasks = [task for task in cluster.tasks_of(service) if task.active]
        running = sum(task.running for task in tasks)
        answer: Document = {
            **service.settings,
            "serviceArn": service.arn,
            "serviceName": service.name,
            "clusterArn": cluster.arn,
            "status": service.status,
            "desiredCount": service.desired,
            "runningCount": running,
            "pendingCount": len(tasks) - running,
            "createdAt": service.created_at,
            "createdBy": self.ecs.caller,
            "events": list(service.events),
            "deployments": self._rollouts(service, tasks) if service.status == "ACTIVE" else [],
            "tags": service.tags if tags else [],
        }
        for name in (
            "serviceConnectConfiguration",
            "volumeConfigurations",
            "vpcLatticeConfigurations",
            "monitoring",
        ):
            answer.pop(name, None)  # shown on the deployment or the service revision, not on the service
        if service.deployments and service.deployments[0].unfinished:
            answer["currentServiceDeployment"] = service.deployments[0].arn
        answer["currentServiceRevisions"] = [
            {
                "arn": rollout.revision.arn,
                "requestedTaskCount": service.desired if number == 0 else 0,
                "runningTaskCount": sum(t.running for t in tasks if t.rollout_id == rollout.rollout_id),
                "pendingTaskCount": sum(not t.running for t in tasks if t.rollout_id == rollout.rollout_id),
            }
            for number, rollout in enumerate(service.rollouts)
        ]
        return answer

    def _rollouts(self, service: Service, tasks: list[Any]) -> list[Document]:
        answer = []
        for number, rollout in enumerate(service.rollouts):
            own = [task for task in tasks if task.rollout_id == rollout.rollout_id]
            running = sum(task.running for task in own)
            settings = rollout.revision.settings
            shown = (
                "capacityProviderStrategy", "launchType", "platformVersion", "networkConfiguration",
                "serviceConnectConfiguration", "volumeConfigurations", "vpcLatticeConfigurations",
            )  # fmt: skip
            answer.append(
                {
                    **{name: settings[name] for name in shown if name in settings},
                    "id": rollout.rollout_id,
                    "status": "PRIMARY" if number == 0 else "ACTIVE",
                    "taskDefinition": rollout.revision.task_definition,
                    "desiredCount": service.desired if number == 0 else len(own),
                    "runningCount": running,
                    "pendingCount": len(own) - running,
                    "failedTasks": rollout.failed_tasks,
                    "createdAt": rollout.created_at,
                    "updatedAt": rollout.updated_at,
                    "rolloutState": rollout.state,
                    "rolloutStateReason": rollout.reason,
                }
            )
        return answer


def uses_fargate(settings: Document) -> bool:
    strategy = settings.get("capacityProviderStrategy") or []
    return settings.get("launchType") == "FARGATE" or any(item["capacityProvider"] in FARGATE for item in strategy)


def check_configuration(configuration: Document) -> None:
    """Refuse strategies that are not imitated, and percentages ECS refuses."""
    if configuration.get("strategy", "ROLLING") != "ROLLING":
        raise invalid(
            f"The deployment strategy {configuration['strategy']} is not supported yet by the sandbox: use "
            "ROLLING."
        )
    least, most = configuration.get("minimumHealthyPercent"), configuration.get("maximumPercent")
    if least is not None and not 0 <= least <= 100:
        raise invalid("Deployment minimumHealthyPercent must be between 0 and 100.")
    if most is not None and least is not None and (most < 100 or most <= least):
        raise invalid(
            "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments."
            if most == least == 100
            else "Deployment maximumPercent must be at least 100 and more than minimumHealthyPercent."
        )
