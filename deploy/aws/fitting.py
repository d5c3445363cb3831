"""The facts of the fit proof from the live cluster: instances, what runs on them, and what is planned."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.aws.cloud import AwsCloud
from deploy.aws.groups import staying
from deploy.drains import Drain, prove_drains
from deploy.emit.fields import replaces_in_place
from deploy.fit import SERVERLESS, FitInstance, FitProvider, FitService
from deploy.model import Check, Image, ResourceRef
from deploy.move import Move
from deploy.normalise import task_cpu_units, task_memory_mib
from deploy.ports import CallFailed
from deploy.taskdef import derived
from planner.documents import ConfigDocument, Resource
from planner.documents.config import ResourceType
from planner.model import Architecture, Rejection, Resources, TaskType
from planner.packing import StrategyError
from planner.packing.strategy import DEFAULT_STRATEGY, Strategy, strategy_from
from planner.units import CpuUnits, MiB

PAGE = 100


def fit_checks(config: ConfigDocument, wanted: Mapping[str, Image | None], cloud: AwsCloud) -> list[Check]:
    """One check a service and one a provider that is drained; a SKIP says why where the replay has no facts."""
    services = [r for r in config.resources if r.type is ResourceType.SERVICE]
    drained = [r for r in config.resources if is_drained(r)]
    if not services and not drained:
        return []
    try:
        facts = _Facts(config, wanted, cloud, drained)
        fits, drains = prove_drains(
            facts.rolling, facts.bystanders, facts.instances(), facts.providers(), facts.drains
        )
    except (CallFailed, StrategyError) as error:
        names = [f"{r.id} rollout fits" for r in services] + [f"{r.id} may be drained" for r in drained]
        return [Check.skip(name, f"the cluster cannot be replayed: {error}") for name in names]
    checks = [
        (Check.ok if fit.fits else Check.ng)(f"service/{fit.service} rollout fits", fit.reason) for fit in fits
    ]
    told = {fit.service for fit in fits}
    checks += [
        Check.skip(f"{r.id} rollout fits", facts.skipped[r.name])
        if r.name in facts.skipped
        else Check.ok(f"{r.id} rollout fits", "its tasks are not replaced")
        for r in services
        if r.name not in told
    ]
    return checks + [
        facts.loose_check(drain.provider)
        or (Check.ok if drain.fits else Check.ng)(
            f"capacity-provider/{drain.provider} may be drained", drain.reason
        )
        for drain in drains
    ]


def is_drained(resource: Resource) -> bool:
    """Whether instances of the group leave in waves: it is emptied, or its instances are replaced."""
    return resource.type is ResourceType.AUTO_SCALING_GROUP and (
        not resource.present or replaces_in_place(resource)
    )


class _Facts:
    def __init__(
        self,
        config: ConfigDocument,
        wanted: Mapping[str, Image | None],
        cloud: AwsCloud,
        drained: Sequence[Resource],
    ) -> None:
        self.config, self.wanted, self.cloud = config, wanted, cloud
        self.calls = cloud.calls
        self.skipped: dict[str, str] = {}
        self._known_tasks: list[dict[str, Any]] | None = None
        self.rolling: list[FitService] = []
        self.bystanders: list[FitService] = []
        self.loose: Counter[str] = Counter()
        """By provider that is drained, running tasks that belong to no service."""
        for resource in config.resources:
            if resource.type is ResourceType.SERVICE:
                service = self._service(resource)
                if service is not None:
                    (self.rolling if self._restarts(resource) else self.bystanders).append(service)
        self._instances = self._container_instances()
        self.drains = [self._drain(resource) for resource in drained]
        self._find_bystanders()
        self._services = [*self.rolling, *self.bystanders]

    def loose_check(self, provider: str) -> Check | None:
        """Tasks outside services make draining wait, and nobody can say for how long."""
        count = self.loose[provider]
        if not count:
            return None
        return Check.skip(
            f"capacity-provider/{provider} may be drained",
            f"{count} tasks on it belong to no service and do not move: draining waits for their end",
        )

    # Services

    def _restarts(self, resource: Resource) -> bool:
        live = {resource.id: self.cloud.read(ResourceRef.parse(resource.id))}
        return Move(live, {resource.id: self.wanted.get(resource.id)}, {}).restarts(resource.name)

    def _drain(self, resource: Resource) -> Drain:
        provider = self._provider_of(resource) or ""
        mine = [i for i in self._instances if i.get("capacityProviderName") == provider]
        planned = None
        if resource.present:
            planned = int(resource.request["DesiredCapacity"])
            group = self.cloud.capacity.describe_group(resource.name) or {}
            if (group.get("LaunchTemplate") or {}).get("LaunchTemplateName") == resource.request["LaunchTemplate"][
                "LaunchTemplateName"
            ]:
                left = {name for name, outdated in staying(group).items() if outdated}
                mine = [i for i in mine if i["ec2InstanceId"] in left]
        return Drain(provider, tuple(i["containerInstanceArn"] for i in mine), planned)

    def _find_bystanders(self) -> None:
        """Services outside the bundle whose tasks run on what is drained: they have to move as well."""
        if not self.drains:
            return
        known = {service.name for service in (*self.rolling, *self.bystanders)}
        provider_of = {arn: drain.provider for drain in self.drains for arn in drain.instances}
        found: set[str] = set()
        for task in self._tasks():
            provider = provider_of.get(task.get("containerInstanceArn", ""))
            group = str(task.get("group", ""))
            if provider is None:
                continue
            if group.startswith("service:"):
                found.add(group.removeprefix("service:"))
            else:
                self.loose[provider] += 1
        for name in sorted(found - known):
            service = self._bystander(name)
            if service is not None:
                self.bystanders.append(service)

    def _bystander(self, name: str) -> FitService | None:
        live = self.cloud.ecs.describe_service(name)
        if live is None or live.get("schedulingStrategy") == "DAEMON":
            return None  # a daemon's task ends with its instance
        task = task_type(name, self.cloud.ecs.definition(live["taskDefinition"]), live)
        return self._as_fit(live, {}, task, task, int(live["desiredCount"]))

    def _service(self, resource: Resource) -> FitService | None:
        live = self.cloud.ecs.describe_service(resource.name)
        definition = self._wanted_definition(resource.name)
        image = self.wanted.get(resource.id)
        if live is None or definition is None or image is None:
            self.skipped[resource.name] = "the service or its task definition cannot be read"
            return None
        old = task_type(resource.name, self.cloud.ecs.definition(live["taskDefinition"]), live)
        new = task_type(resource.name, definition, live)
        return self._as_fit(
            live, image, old, new, self._desired(resource.name, old, new, int(live["desiredCount"]))
        )

    @staticmethod
    def _as_fit(
        live: Mapping[str, Any], image: Mapping[str, Any], old: TaskType, new: TaskType, desired: int
    ) -> FitService:
        deployment = {**live.get("deploymentConfiguration", {}), **image.get("deploymentConfiguration", {})}
        strategy = image.get("capacityProviderStrategy", live.get("capacityProviderStrategy")) or []
        rules = image.get("placementStrategy", live.get("placementStrategy")) or []
        constraints = [c for c in live.get("placementConstraints", []) if c["type"] == "memberOf"]
        return FitService(
            live["serviceName"],
            old,
            new,
            desired,
            int(deployment.get("minimumHealthyPercent", 100)),
            int(deployment.get("maximumPercent", 200)),
            tuple((i["capacityProvider"], int(i.get("weight", 0)), int(i.get("base", 0))) for i in strategy),
            _strategy(rules),
            tuple(c["expression"] for c in constraints),
        )

    def _wanted_definition(self, service: str) -> Mapping[str, Any] | None:
        resource = next(
            (r for r in self.config.resources if r.id == f"{ResourceType.TASK_DEFINITION}/{service}"), None
        )
        if resource is None:
            live = self.cloud.ecs.describe_service(service)
            return None if live is None else self.cloud.ecs.definition(live["taskDefinition"])
        made = derived(self.cloud.ecs.definition(str(resource.base_arn)), resource.request)
        return None if isinstance(made, Rejection) else made

    def _desired(self, service: str, old: TaskType, new: TaskType, desired: int) -> int:
        """As apply sets it: smaller tasks are more tasks, within the range of the plan."""
        target = self.wanted.get(f"{ResourceType.SCALABLE_TARGET}/{service}")
        if target is None:
            return desired
        if 0 < new.needs.cpu_units < old.needs.cpu_units:
            desired = max(desired, math.ceil(desired * old.needs.cpu_units / new.needs.cpu_units))
        return min(max(desired, int(target["MinCapacity"])), int(target["MaxCapacity"]))

    # Instances

    def instances(self) -> Sequence[FitInstance]:
        mine, ports = self._placed_tasks()
        known = {service.name: service.old for service in self._services}
        found: list[FitInstance] = []
        for told in self._instances:
            tasks = mine.get(told["containerInstanceArn"], Counter())
            used = sum((known[name].needs * count for name, count in tasks.items()), Resources())
            attributes = {a["name"]: a.get("value", "") for a in told.get("attributes", [])}
            taken = set(_ports(told["remainingResources"])) - set(ports.get(told["containerInstanceArn"], []))
            found.append(
                FitInstance(
                    id=told["containerInstanceArn"],
                    provider=told.get("capacityProviderName", ""),
                    zone=attributes.get("ecs.availability-zone", ""),
                    instance_type=attributes.get("ecs.instance-type", ""),
                    architecture=_architecture(attributes.get("ecs.cpu-architecture")),
                    room=_resources(told["remainingResources"]) + used + Resources(enis=self._enis(told, tasks)),
                    tasks=dict(tasks),
                    taken_ports=tuple(sorted(taken - AGENT_PORTS)),
                )
            )
        return found

    def _container_instances(self) -> list[dict[str, Any]]:
        cluster = self.cloud.cluster
        arns = list(
            self.calls.pages(
                "ecs", "ListContainerInstances", "containerInstanceArns", cluster=cluster, status="ACTIVE"
            )
        )
        found: list[dict[str, Any]] = []
        for at in range(0, len(arns), PAGE):
            page = arns[at : at + PAGE]
            answer = self.calls("ecs", "DescribeContainerInstances", cluster=cluster, containerInstances=page)
            found += answer["containerInstances"]
        return found

    def _placed_tasks(self) -> tuple[dict[str, Counter[str]], dict[str, list[int]]]:
        """Per instance: the tasks of services that may move, and the host ports they hold."""
        by_instance: dict[str, Counter[str]] = defaultdict(Counter)
        ports: dict[str, list[int]] = defaultdict(list)
        known = {f"service:{service.name}": service for service in self._services}
        for task in self._tasks():
            instance, service = task.get("containerInstanceArn"), known.get(str(task.get("group")))
            if instance and service is not None:
                by_instance[instance][service.name] += 1
                ports[instance] += service.old.host_ports
        return by_instance, ports

    def _tasks(self) -> list[dict[str, Any]]:
        """Every task of the cluster that has not stopped; read once."""
        if self._known_tasks is None:
            cluster = self.cloud.cluster
            arns = list(self.calls.pages("ecs", "ListTasks", "taskArns", cluster=cluster))
            found: list[dict[str, Any]] = []
            for at in range(0, len(arns), PAGE):
                found += self.calls("ecs", "DescribeTasks", cluster=cluster, tasks=arns[at : at + PAGE])["tasks"]
            self._known_tasks = [task for task in found if task.get("lastStatus") != "STOPPED"]
        return self._known_tasks

    def _enis(self, told: Mapping[str, Any], tasks: Counter[str]) -> int:
        """Interfaces that tasks can have: what is attached to tasks now plus what is free (limit less the own)."""
        attributes = {a["name"]: a.get("value", "") for a in told.get("attributes", [])}
        limit = self._eni_limit(attributes.get("ecs.instance-type", ""))
        foreign = max(0, int(told.get("runningTasksCount", 0)) - sum(tasks.values()))
        used = sum(
            count for name, count in tasks.items() for s in self._services if s.name == name and s.old.needs.enis
        )
        # The interfaces of the bundle's own tasks are part of `used` room already.
        return max(0, limit - foreign - used) if self._any_awsvpc() else 0

    def _any_awsvpc(self) -> bool:
        return any(service.new.needs.enis or service.old.needs.enis for service in self._services)

    def _eni_limit(self, instance_type: str) -> int:
        if not instance_type or not self._any_awsvpc():
            return 0
        told = self.calls("ec2", "DescribeInstanceTypes", InstanceTypes=[instance_type])["InstanceTypes"][0]
        # One interface is the instance's own (ECS developer guide, "Task networking").
        return int(told["NetworkInfo"]["MaximumNetworkInterfaces"]) - 1

    # Providers

    def providers(self) -> Sequence[FitProvider]:
        return [
            provider
            for resource in self.config.resources
            if resource.type is ResourceType.AUTO_SCALING_GROUP and resource.present
            for provider in (self._provider(resource),)
            if provider is not None
        ]

    def _provider_of(self, group: Resource) -> str | None:
        """The capacity provider of a group of the bundle."""
        if "$provider" in group.request:
            return str(group.request["$provider"])
        kind = ResourceType.CAPACITY_PROVIDER
        return next((r.name for r in self.config.resources if r.type is kind and group.id in r.depends_on), None)

    def _provider(self, resource: Resource) -> FitProvider | None:
        room = resource.request.get("$room")
        name = self._provider_of(resource)
        if room is None or name is None:
            return None
        live = self.cloud.capacity.read_group(resource.name) or {}
        kind = str(room["instance_type"])
        return FitProvider(
            name,
            kind,
            Architecture(room["architecture"]),
            Resources(CpuUnits(room["cpu_units"]), MiB(room["memory_mib"]), self._eni_limit(kind)),
            tuple(resource.request.get("$zones", ())),
            max(int(resource.request["DesiredCapacity"]), int(live.get("DesiredCapacity", 0))),
            max(int(resource.request["MaxSize"]), int(live.get("MaxSize", 0))),
        )


AGENT_PORTS = frozenset({22, 2375, 2376, 51678, 51679})
"""Host ports that the ECS agent registers as taken (amazon-ecs-agent, agent/config/config.go)."""


def task_type(service: str, definition: Mapping[str, Any], live: Mapping[str, Any]) -> TaskType:
    """What one task of a revision takes from an instance."""
    containers = definition["containerDefinitions"]
    cpu = definition.get("cpu")
    memory = definition.get("memory")
    units = task_cpu_units(cpu) if cpu else sum(int(c.get("cpu") or 0) for c in containers)
    mib = (
        task_memory_mib(memory)
        if memory
        else sum(int(c.get("memoryReservation") or c.get("memory") or 0) for c in containers)
    )
    mode = definition.get("networkMode", "bridge")
    ports = [
        int(p.get("hostPort") or (p["containerPort"] if mode == "host" else 0))
        for c in containers
        for p in c.get("portMappings", [])
        if mode != "awsvpc"
    ]
    gpus = sum(
        int(r["value"]) for c in containers for r in c.get("resourceRequirements", []) if r.get("type") == "GPU"
    )
    distinct = any(c["type"] == "distinctInstance" for c in live.get("placementConstraints", []))
    needs = Resources(CpuUnits(units), MiB(mib), 1 if mode == "awsvpc" else 0, gpus)
    platform = (definition.get("runtimePlatform") or {}).get("cpuArchitecture")
    return TaskType(
        service,
        1,
        needs,
        tuple(p for p in ports if p),
        distinct,
        _architecture(str(platform)) if platform else None,
    )


def _architecture(text: str | None) -> Architecture | None:
    return Architecture(text.lower()) if text and text.lower() in {a.value for a in Architecture} else None


def _strategy(rules: Sequence[Mapping[str, str]]) -> Strategy:
    if not rules:
        return DEFAULT_STRATEGY
    return strategy_from((rule["type"], rule.get("field", "")) for rule in rules)


def _resources(told: Sequence[Mapping[str, Any]]) -> Resources:
    values = {r["name"]: r.get("integerValue", 0) for r in told}
    gpus = next((len(r.get("stringSetValue", [])) for r in told if r["name"] == "GPU"), 0)
    return Resources(CpuUnits(int(values.get("CPU", 0))), MiB(int(values.get("MEMORY", 0))), 0, gpus)


def _ports(told: Sequence[Mapping[str, Any]]) -> list[int]:
    return [int(port) for r in told if r["name"] == "PORTS" for port in r.get("stringSetValue", [])]


__all__ = ["SERVERLESS", "fit_checks", "task_type"]
