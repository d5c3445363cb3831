"""Container instances: the instances of Auto Scaling groups, registered with what their type has.

An instance of a group joins the cluster that its launch template's user data names (ECS_CLUSTER=...),
else the cluster that a capacity provider of the group belongs to.
"""

from __future__ import annotations

import base64
import binascii
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from deploy.sandbox.ecs.errors import invalid
from deploy.sandbox.ecs.paging import page
from deploy.sandbox.ecs.requests import without
from deploy.sandbox.ecs.state import CapacityProvider, Cluster, Document, Instance
from deploy.sandbox.ecs.tasks import PROVIDER_ATTRIBUTE
from planner.model import Resources
from planner.units import CPU_UNITS_PER_VCPU, CpuUnits, MiB

if TYPE_CHECKING:
    from deploy.sandbox.ecs.engine import Ecs

MEMORY_KEPT: Final = 0.97
"""Share of the advertised memory that the operating system reports and the agent registers. AWS's guide
shows an m4.large (8,192 MiB) registering 7,985 MiB (0.975); larger and Nitro types lose about 3 %."""
AGENT_PORTS: Final = ("22", "2375", "2376", "51678", "51679")
"""TCP ports the agent registers as taken (amazon-ecs-agent, agent/config/config.go)."""
MOST_DESCRIBED: Final = 100
MOST_UPDATED: Final = 10


@cache
def type_facts(instance_type: str) -> Document:
    """moto's record of an instance type (EC2 DescribeInstanceTypes); {} for a type it does not know."""
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    return dict(INSTANCE_TYPES.get(instance_type, {}))


@cache
def trunked_task_limits() -> dict[str, int]:
    """Tasks with an interface of their own per instance type, with ENI trunking (data/trunked_task_limits.csv)."""
    text = files("deploy.sandbox").joinpath("data", "trunked_task_limits.csv").read_text(encoding="utf-8")
    rows = (line.split(",") for line in text.splitlines() if not line.startswith("#"))
    return {name: int(tasks) for name, tasks in rows if tasks.isdigit()}


def registered_resources(instance_type: str, trunking: bool = False) -> tuple[Resources, str]:
    """What an instance of the type registers, and its architecture. `trunking`: the account setting
    awsvpcTrunking was on when it registered."""
    facts = type_facts(instance_type)
    if not facts:
        raise invalid(f"The sandbox does not know the instance type {instance_type}.")
    memory = int(facts["MemoryInfo"]["SizeInMiB"] * MEMORY_KEPT)
    # One network interface is the instance's own (ECS developer guide, "Task networking").
    enis = int(facts["NetworkInfo"]["MaximumNetworkInterfaces"]) - 1
    if trunking:
        enis = max(enis, trunked_task_limits().get(instance_type, 0))
    gpus = sum(int(gpu.get("Count", 0)) for gpu in (facts.get("GpuInfo") or {}).get("Gpus", []))
    cpu = CpuUnits(int(facts["VCpuInfo"]["DefaultVCpus"]) * CPU_UNITS_PER_VCPU)
    arm = "arm64" in facts["ProcessorInfo"]["SupportedArchitectures"]
    return Resources(cpu, MiB(memory), enis, gpus), "arm64" if arm else "x86_64"


class Instances:
    def __init__(self, ecs: Ecs) -> None:
        self.ecs = ecs
        self._launched: set[str] = set()

    # Auto Scaling groups

    def groups(self) -> dict[str, Any]:
        """moto's Auto Scaling groups of this Region by name."""
        from moto.backends import get_backend

        backend = get_backend("autoscaling")[self.ecs.account_id][self.ecs.region]
        groups: dict[str, Any] = backend.autoscaling_groups
        return groups

    def group_of(self, arn_or_name: str) -> Any:
        name = arn_or_name.rpartition("/")[2]
        return self.groups().get(name)

    def provider_of(self, group_name: str) -> CapacityProvider | None:
        known = self.ecs.providers.by_name.values()
        return next((p for p in known if p.status == "ACTIVE" and p.group_name == group_name), None)

    def scales(self, provider: str | None) -> bool:
        """Whether a capacity provider adds instances by itself, so that a task may wait for one."""
        known = self.ecs.providers.by_name.get(provider or "")
        return known is not None and (known.settings.get("managedScaling") or {}).get("status") == "ENABLED"

    def look_at_groups(self, boot_s: float | None = None) -> None:
        """Take up instances that were launched and let go of those that left their group."""
        delay = self.ecs.delays.instance_boot if boot_s is None else boot_s
        present: set[str] = set()
        self._associate()
        for name, group in self.groups().items():
            cluster = self._cluster_of(name, group)
            for state in group.instance_states:
                ec2_id = state.instance.id
                present.add(ec2_id)
                if cluster is not None and ec2_id not in self._launched:
                    self._launched.add(ec2_id)
                    self._plan_registration(cluster, name, ec2_id, delay)
        for cluster in self.ecs.by_name.values():
            for instance in list(cluster.instances.values()):
                if instance.ec2_id not in present:
                    self.leave(cluster, instance)

    def _associate(self) -> None:
        """Give instances that registered before their group's capacity provider to that provider."""
        for cluster in self.ecs.by_name.values():
            for instance in cluster.instances.values():
                group = next((n for n, g in self.groups().items() if _holds(g, instance.ec2_id)), "")
                provider = self.provider_of(group)
                name = provider.name if provider and provider.name in cluster.capacity_providers else None
                if instance.capacity_provider is None and name is not None:
                    instance.capacity_provider = name
                    cluster.scheduler.remove_instance(instance.instance_id)
                    self._enter(cluster, instance)
                    for task in cluster.tasks_on(instance.instance_id):
                        cluster.scheduler.place_on(task.needs, instance.instance_id)

    def _enter(self, cluster: Cluster, instance: Instance) -> None:
        """Tell the placement engine of an instance."""
        cluster.scheduler.add_instance(
            instance.instance_id,
            instance.registered,
            zone=instance.zone,
            instance_type=instance.instance_type,
            architecture=instance.architecture,
            attributes={**instance.attributes, PROVIDER_ATTRIBUTE: instance.capacity_provider or ""},
        )

    def _plan_registration(self, cluster: Cluster, group: str, ec2_id: str, delay_s: float) -> None:
        if delay_s:
            self.ecs.world.clock.call_after(delay_s, lambda: self._register(cluster, group, ec2_id))
        else:
            self._register(cluster, group, ec2_id)

    def _cluster_of(self, name: str, group: Any) -> Cluster | None:
        named = re.search(r"ECS_CLUSTER=([\w-]+)", _text(group.user_data))
        if named:
            found = self.ecs.by_name.get(named[1])
            return found if found is not None and found.status == "ACTIVE" else None
        provider = self.provider_of(name)
        if provider is None:
            return None
        active = (c for c in self.ecs.by_name.values() if c.status == "ACTIVE")
        return next((c for c in active if provider.name in c.capacity_providers), None)

    def _register(self, cluster: Cluster, group_name: str, ec2_id: str) -> None:
        group = self.groups().get(group_name)
        states = [] if group is None else [s for s in group.instance_states if s.instance.id == ec2_id]
        if not states or cluster.status != "ACTIVE":
            return
        machine = states[0].instance
        resources, architecture = registered_resources(
            machine.instance_type, trunking=self.ecs.tagging.settings["awsvpcTrunking"] == "enabled"
        )
        provider = self.provider_of(group_name)
        instance_id = self.ecs.hex()
        instance = Instance(
            instance_id,
            self.ecs.arn(f"container-instance/{cluster.name}/{instance_id}"),
            ec2_id,
            machine.instance_type,
            machine.placement.zone,
            architecture,
            resources,
            self.ecs.now,
            provider.name if provider else None,
        )
        instance.attributes = {
            "ecs.availability-zone": instance.zone,
            "ecs.instance-type": instance.instance_type,
            "ecs.os-type": "linux",
            "ecs.cpu-architecture": architecture,
            "ecs.ami-id": str(machine.image_id),
            "ecs.vpc-id": str(machine.vpc_id),
            "ecs.subnet-id": str(machine.subnet_id),
        }
        cluster.instances[instance_id] = instance
        self._enter(cluster, instance)
        self.ecs.rollouts.place_waiting(cluster)

    # leaving

    def drain(self, cluster: Cluster, instance: Instance) -> None:
        """No new tasks; the tasks of services move elsewhere."""
        instance.status = "DRAINING"
        cluster.scheduler.set_draining(instance.instance_id)
        for service in cluster.services.values():
            self.ecs.rollouts.wake(cluster, service)
        self.task_left(cluster, instance.instance_id)

    def drain_ec2(self, ec2_id: str) -> bool:
        """Drain the container instance of an EC2 instance; False where it runs no task that has to move."""
        for cluster in self.ecs.by_name.values():
            for instance in list(cluster.instances.values()):
                if instance.ec2_id == ec2_id and cluster.tasks_on(instance.instance_id):
                    self.drain(cluster, instance)
                    return True
        return False

    def leave(self, cluster: Cluster, instance: Instance) -> None:
        """The EC2 instance is gone: its tasks stop at once and it is deregistered."""
        instance.leaving = True
        instance.status = "DRAINING"
        cluster.scheduler.set_draining(instance.instance_id)
        for task in cluster.tasks_on(instance.instance_id):
            self.ecs.tasks.stop(
                cluster, task, "TerminationNotice", "Host EC2 (instance) terminated.", at_once=True
            )
        self.task_left(cluster, instance.instance_id)

    def task_left(self, cluster: Cluster, instance_id: str) -> None:
        """Deregister an instance that was leaving once the last task of a service has gone from it."""
        instance = cluster.instances.get(instance_id)
        if instance is None or instance.status != "DRAINING":
            return
        left = [task for task in cluster.tasks_on(instance_id) if not self._is_daemon(cluster, task)]
        if left:
            return
        if instance.leaving:
            cluster.instances.pop(instance_id)
            cluster.scheduler.remove_instance(instance_id)
        else:
            self._drained(instance)

    def _is_daemon(self, cluster: Cluster, task: Any) -> bool:
        service = self.ecs.tasks.service_of(cluster, task)
        return service is not None and service.daemon and task.active

    def _drained(self, instance: Instance) -> None:
        """Tell the Auto Scaling group that waits with the termination (managed draining)."""
        for group in self.groups().values():
            finish = getattr(group, "finish_termination", None)
            if finish is not None:
                finish(instance.ec2_id)

    # the API

    def list_container_instances(self, given: Document) -> Document:
        cluster = self.ecs.cluster(given.get("cluster"))
        chosen = [i for i in cluster.instances.values() if given.get("status") in (None, i.status)]
        if given.get("filter"):
            from planner.packing.constraints import ConstraintError, InstanceFacts, parse_expression

            try:
                test = parse_expression(given["filter"]).test
            except ConstraintError as error:
                raise invalid(f"Invalid filter: {error}.") from error
            chosen = [i for i in chosen if test(InstanceFacts(i.attributes, i.instance_id))]
        return page(given, "containerInstanceArns", [i.arn for i in chosen])

    def describe_container_instances(self, given: Document) -> Document:
        cluster = self.ecs.cluster(given.get("cluster"))
        references = given["containerInstances"]
        if not references:
            raise invalid("Container Instances cannot be empty.")
        if len(references) > MOST_DESCRIBED:
            raise invalid(f"Container instances cannot have more than {MOST_DESCRIBED} elements.")
        include = given.get("include") or []
        found, failures = [], []
        for reference in references:
            instance = cluster.instances.get(reference.rpartition("/")[2])
            if instance is None:
                failures.append({"arn": reference, "reason": "MISSING"})
            else:
                found.append(self.described(cluster, instance, "TAGS" in include))
        return {"containerInstances": found, "failures": failures}

    def update_container_instances_state(self, given: Document) -> Document:
        cluster = self.ecs.cluster(given.get("cluster"))
        if given["status"] not in ("ACTIVE", "DRAINING"):
            raise invalid("Container instance status should be one of [ACTIVE,DRAINING].")
        if len(given["containerInstances"]) > MOST_UPDATED:
            raise invalid(f"Container instances cannot have more than {MOST_UPDATED} elements.")
        found, failures = [], []
        for reference in given["containerInstances"]:
            instance = cluster.instances.get(reference.rpartition("/")[2])
            if instance is None:
                failures.append({"arn": reference, "reason": "MISSING"})
                continue
            if given["status"] == "DRAINING":
                self.drain(cluster, instance)
            elif not instance.leaving:
                instance.status = "ACTIVE"
                cluster.scheduler.set_draining(instance.instance_id, False)
                self.ecs.rollouts.place_waiting(cluster)
            found.append(self.described(cluster, instance, tags=False))
        return {"containerInstances": found, "failures": failures}

    def described(self, cluster: Cluster, instance: Instance, tags: bool) -> Document:
        tasks = cluster.tasks_on(instance.instance_id)
        running = sum(task.running for task in tasks)
        remaining = cluster.scheduler.remaining(instance.instance_id)
        ports = sorted(str(port) for task in tasks for port in task.host_ports.values() if port)
        return without(
            {
                "containerInstanceArn": instance.arn,
                "ec2InstanceId": instance.ec2_id,
                "capacityProviderName": instance.capacity_provider,
                "version": 1,
                "versionInfo": {"agentVersion": "1.99.0", "agentHash": "sandbox", "dockerVersion": "25.0"},
                "registeredResources": _resources(instance.registered, list(AGENT_PORTS)),
                "remainingResources": _resources(remaining, [*AGENT_PORTS, *ports]),
                "status": instance.status,
                "agentConnected": not instance.leaving,
                "runningTasksCount": running,
                "pendingTasksCount": len(tasks) - running,
                "attributes": [{"name": n, "value": v} for n, v in sorted(instance.attributes.items())],
                "registeredAt": instance.registered_at,
                "attachments": [],
                "tags": instance.tags if tags else [],
            }
        )


def _resources(room: Resources, ports: list[str]) -> list[Document]:
    answer: list[Document] = [
        {"name": "CPU", "type": "INTEGER", "integerValue": room.cpu_units},
        {"name": "MEMORY", "type": "INTEGER", "integerValue": room.memory_mib},
        {"name": "PORTS", "type": "STRINGSET", "stringSetValue": ports},
        {"name": "PORTS_UDP", "type": "STRINGSET", "stringSetValue": []},
    ]
    if room.gpus:
        gpus = [f"GPU-{number}" for number in range(room.gpus)]
        answer.append({"name": "GPU", "type": "STRINGSET", "stringSetValue": gpus})
    return answer


def _holds(group: Any, ec2_id: str) -> bool:
    return any(state.instance.id == ec2_id for state in group.instance_states)


def _text(user_data: Any) -> str:
    """User data in clear: moto keeps it as given, in base64 or not."""
    if user_data is None:
        return ""
    raw = user_data if isinstance(user_data, bytes) else str(user_data).encode()
    try:
        return base64.b64decode(raw, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return raw.decode(errors="replace")
