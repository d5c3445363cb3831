"""Task definitions: registering, describing and listing them, and what one of their tasks needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from deploy.sandbox.ecs.errors import client_error, invalid
from deploy.sandbox.ecs.paging import page
from deploy.sandbox.ecs.state import Document, TaskDefinition
from planner.model import Architecture, Resources
from planner.units import FARGATE_MEMORY_MIB, CpuUnits, MiB

if TYPE_CHECKING:
    from deploy.sandbox.ecs.engine import Ecs

SMALLEST_TASK_CPU: Final = 128
LARGEST_TASK_CPU: Final = 196_608
_IDENTITY: Final = ("tags",)


class TaskDefinitions:
    """The task definitions of one Region."""

    def __init__(self, ecs: Ecs) -> None:
        self.ecs = ecs
        self._families: dict[str, list[TaskDefinition]] = {}

    def register_task_definition(self, given: Document) -> Document:
        check(given)
        family = given["family"]
        known = self._families.setdefault(family, [])
        revision = len(known) + 1
        arn = self.ecs.arn(f"task-definition/{family}:{revision}")
        document = {name: value for name, value in given.items() if name not in _IDENTITY}
        fargate = "FARGATE" in (given.get("requiresCompatibilities") or [])
        document.setdefault("networkMode", "awsvpc" if fargate else "bridge")
        for name in ("volumes", "placementConstraints"):
            document.setdefault(name, [])
        for container in document["containerDefinitions"]:
            container.setdefault("cpu", 0)
            container.setdefault("essential", True)
            for name in ("portMappings", "environment", "mountPoints", "volumesFrom"):
                container.setdefault(name, [])
        document["compatibilities"] = ["EC2", "FARGATE"] if fargate else ["EC2"]
        definition = TaskDefinition(arn, family, revision, document, self.ecs.now, tags=given.get("tags") or [])
        known.append(definition)
        return {"taskDefinition": self.described(definition), "tags": definition.tags}

    def find(self, reference: str) -> TaskDefinition:
        """By ARN, family:revision, or family (its newest ACTIVE revision)."""
        name = reference.rpartition("task-definition/")[2]
        family, _, revision = name.partition(":")
        known = self._families.get(family, [])
        if revision:
            found = [d for d in known if str(d.revision) == revision]
        else:
            found = [d for d in known if d.status == "ACTIVE"]
        if not found:
            raise client_error("Unable to describe task definition.")
        return found[-1]

    def describe_task_definition(self, given: Document) -> Document:
        definition = self.find(given["taskDefinition"])
        answer: Document = {"taskDefinition": self.described(definition)}
        if "TAGS" in (given.get("include") or []):
            answer["tags"] = definition.tags
        return answer

    def deregister_task_definition(self, given: Document) -> Document:
        if ":" not in given["taskDefinition"].rpartition("task-definition/")[2]:
            raise client_error("Revision is missing.")
        definition = self.find(given["taskDefinition"])
        definition.status, definition.deregistered_at = "INACTIVE", self.ecs.now
        return {"taskDefinition": self.described(definition)}

    def delete_task_definitions(self, given: Document) -> Document:
        deleted, failures = [], []
        for reference in given["taskDefinitions"]:
            definition = self.find(reference)
            if definition.status == "ACTIVE":
                failures.append({"arn": definition.arn, "reason": "The specified task definition is ACTIVE."})
                continue
            definition.status = "DELETE_IN_PROGRESS"
            deleted.append(self.described(definition))
        return {"taskDefinitions": deleted, "failures": failures}

    def list_task_definitions(self, given: Document) -> Document:
        status = given.get("status") or "ACTIVE"
        prefix = given.get("familyPrefix")
        arns = [
            definition.arn
            for family in sorted(self._families)
            for definition in self._families[family]
            if definition.status == status and prefix in (None, family)
        ]
        if given.get("sort") == "DESC":
            arns.reverse()
        return page(given, "taskDefinitionArns", arns)

    def list_task_definition_families(self, given: Document) -> Document:
        status = given.get("status") or "ALL"
        prefix = given.get("familyPrefix") or ""
        names = [
            family
            for family, known in sorted(self._families.items())
            if family.startswith(prefix)
            and (status == "ALL" or any(d.status == "ACTIVE" for d in known) == (status == "ACTIVE"))
        ]
        return page(given, "families", names)

    def described(self, definition: TaskDefinition) -> Document:
        answer = {
            **definition.document,
            "taskDefinitionArn": definition.arn,
            "revision": definition.revision,
            "status": definition.status,
            "registeredAt": definition.registered_at,
            "registeredBy": self.ecs.caller,
        }
        if definition.deregistered_at is not None:
            answer["deregisteredAt"] = definition.deregistered_at
        return answer

    def tagged(self, arn: str) -> list[Document] | None:
        for known in self._families.values():
            for definition in known:
                if definition.arn == arn:
                    return definition.tags
        return None


def check(given: Document) -> None:
    """Refuse what ECS refuses: no containers, containers without memory, sizes Fargate does not have."""
    containers = given.get("containerDefinitions") or []
    if not containers:
        raise client_error("Container.containerDefinitions should not be null or empty.")
    names = [container.get("name") for container in containers]
    for container in containers:
        for name in ("name", "image"):
            if not container.get(name):
                raise client_error(f"Container.{name} should not be null or empty.")
        if not (given.get("memory") or container.get("memory") or container.get("memoryReservation")):
            raise client_error(
                f"Invalid setting for container '{container['name']}'. At least one of 'memory' or "
                "'memoryReservation' must be specified."
            )
        if (container.get("memoryReservation") or 0) > (container.get("memory") or float("inf")):
            raise client_error(
                f"Invalid setting for container '{container['name']}'. The memoryReservation must not be "
                "greater than the memory."
            )
    if len(set(names)) != len(names):
        raise client_error("Container names must be unique within a task definition.")
    if "FARGATE" in (given.get("requiresCompatibilities") or []):
        _check_fargate(given)
    elif given.get("cpu") and not SMALLEST_TASK_CPU <= cpu_units(given["cpu"]) <= LARGEST_TASK_CPU:
        raise client_error(
            f"Invalid 'cpu' setting for task. Specify a value between {SMALLEST_TASK_CPU} and "
            f"{LARGEST_TASK_CPU} CPU units."
        )


def _check_fargate(given: Document) -> None:
    if given.get("networkMode") not in (None, "awsvpc"):
        raise client_error("Fargate only supports network mode ‘awsvpc’.")
    if not given.get("cpu") or not given.get("memory"):
        raise client_error("Fargate requires that 'cpu' and 'memory' be defined at the task level.")
    cpu, memory = cpu_units(given["cpu"]), memory_mib(given["memory"])
    if memory not in FARGATE_MEMORY_MIB.get(cpu, ()):
        raise client_error("No Fargate configuration exists for given values.")


def cpu_units(text: Any) -> int:
    """Task-level CPU, given in CPU units ("1024") or in vCPU ("1 vCPU")."""
    words = str(text).lower().split()
    try:
        if len(words) == 2 and words[1] == "vcpu":
            from planner.units import cpu_units as of_vcpu

            return of_vcpu(float(words[0]))
        return int(str(text))
    except ValueError:
        raise invalid(f"Invalid 'cpu' setting for task: {text}.") from None


def memory_mib(text: Any) -> int:
    """Task-level memory, given in MiB ("2048") or in GB ("2 GB")."""
    words = str(text).lower().replace("gb", " gb").split()
    try:
        if len(words) == 2 and words[1] == "gb":
            from planner.units import mib

            return mib(float(words[0]))
        return int(str(text))
    except ValueError:
        raise invalid(f"Invalid 'memory' setting for task: {text}.") from None


def needs(document: Document) -> Resources:
    """What ECS reserves for a task: the task-level size, else the sum over its containers, where the soft
    memory limit counts if there is one."""
    containers = document["containerDefinitions"]
    cpu = cpu_units(document["cpu"]) if document.get("cpu") else sum(c.get("cpu") or 0 for c in containers)
    memory = (
        memory_mib(document["memory"])
        if document.get("memory")
        else sum(c.get("memoryReservation") or c.get("memory") or 0 for c in containers)
    )
    gpus = sum(
        int(r["value"]) for c in containers for r in c.get("resourceRequirements") or [] if r.get("type") == "GPU"
    )
    return Resources(CpuUnits(cpu), MiB(memory), 1 if document["networkMode"] == "awsvpc" else 0, gpus)


def host_ports(document: Document) -> tuple[int, ...]:
    """The ports of the instance that a task takes: fixed ones in bridge mode, all of them in host mode."""
    mode = document["networkMode"]
    if mode not in ("bridge", "host"):
        return ()
    ports = set()
    for container in document["containerDefinitions"]:
        for mapping in container["portMappings"]:
            port = mapping.get("hostPort") or (mapping.get("containerPort") if mode == "host" else 0)
            if port:
                ports.add(int(port))
    return tuple(sorted(ports))


def architecture(document: Document) -> Architecture | None:
    named = (document.get("runtimePlatform") or {}).get("cpuArchitecture")
    return {"X86_64": Architecture.X86_64, "ARM64": Architecture.ARM64}.get(named or "")


def member_of(document: Document) -> tuple[str, ...]:
    """The memberOf expressions of a task definition's or a service's placementConstraints."""
    constraints = document.get("placementConstraints") or []
    return tuple(c["expression"] for c in constraints if c.get("type") == "memberOf")


def distinct_instance(document: Document) -> bool:
    return any(c.get("type") == "distinctInstance" for c in document.get("placementConstraints") or [])
