"""A new task definition revision from an immutable base: sizes, image and architecture replaced, the rest copied.

The base's environment and secrets pass through memory on their way to RegisterTaskDefinition and are never
written anywhere; what is shown and kept is an image of sizes, images and a digest. Pure.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from deploy.normalise import task_cpu_units, task_memory_mib
from planner.documents import digest
from planner.model import Rejection

SMALLEST_CONTAINER_MIB = 6
"""ECS API reference, ContainerDefinition.memory: at least 6 MiB on Linux."""

NOT_REGISTRABLE = frozenset(
    {
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "deregisteredAt",
        "deleteRequestedAt",
        "registeredBy",
    }
)
"""What DescribeTaskDefinition tells and RegisterTaskDefinition does not take."""


def registrable(description: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that would register this definition again."""
    return {
        k: copy.deepcopy(v) for k, v in description.items() if k not in NOT_REGISTRABLE and v not in (None, [])
    }


def image_of(description: Mapping[str, Any]) -> dict[str, Any]:
    """What people and journals see of a definition: sizes, images and a digest over everything."""
    return {
        "taskDefinitionArn": description.get("taskDefinitionArn"),
        "family": description["family"],
        "cpu": _text(description.get("cpu"), task_cpu_units),
        "memory": _text(description.get("memory"), task_memory_mib),
        "cpuArchitecture": (description.get("runtimePlatform") or {}).get("cpuArchitecture"),
        "containers": {c["name"]: _container_image(c) for c in description.get("containerDefinitions", [])},
        "content": content_digest(description),
    }


def _text(value: Any, read: Any) -> str | None:
    return None if value is None else str(read(value))


def _container_image(container: Mapping[str, Any]) -> dict[str, Any]:
    shown = ("image", "cpu", "memory", "memoryReservation")
    return {name: container[name] for name in shown if container.get(name)}


def content_digest(description: Mapping[str, Any]) -> str:
    """SHA-256 of what would be registered; equal digests mean interchangeable revisions."""
    plain = _plain(registrable(description))
    for name, read in (("cpu", task_cpu_units), ("memory", task_memory_mib)):
        if plain.get(name) is not None:
            plain[name] = str(read(plain[name]))
    plain["containerDefinitions"] = [_container(c) for c in plain.get("containerDefinitions", [])]
    return digest(plain)


UNORDERED = {"environment": "name", "secrets": "name"}
CONTAINER_DEFAULTS: Mapping[str, Any] = {"essential": True, "cpu": 0}


def _container(container: Mapping[str, Any]) -> dict[str, Any]:
    kept = {k: v for k, v in {**CONTAINER_DEFAULTS, **container}.items() if v not in (None, [], {})}
    for name, key in UNORDERED.items():
        if name in kept:
            kept[name] = sorted(kept[name], key=lambda item: str(item.get(key)))
    return kept


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def derived(base: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any] | Rejection:
    """`base` with the sizes, image and architecture that `request` asks for; a Rejection says what does not fit.

    A change of size goes to the largest container: the others (log routers, proxies) keep what they have.
    """
    definition = registrable(base)
    _set_architecture(definition, (request.get("runtimePlatform") or {}).get("cpuArchitecture"))
    if "cpu" in request or "memory" in request:
        problem = _resize(definition, request)
        if problem is not None:
            return problem
    if "$image" in request:
        problem = _set_image(definition, str(request["$image"]))
        if problem is not None:
            return problem
    return definition


def _set_architecture(definition: dict[str, Any], architecture: str | None) -> None:
    platform = definition.get("runtimePlatform") or {}
    present = platform.get("cpuArchitecture") or "X86_64"  # ECS's default
    if architecture is None or architecture == present:
        return
    definition["runtimePlatform"] = {"operatingSystemFamily": "LINUX", **platform, "cpuArchitecture": architecture}


def _resize(definition: dict[str, Any], request: Mapping[str, Any]) -> Rejection | None:
    containers = definition["containerDefinitions"]
    largest = max(
        containers, key=lambda c: (c.get("memoryReservation") or c.get("memory") or 0, c.get("cpu") or 0)
    )
    for name, read in (("cpu", task_cpu_units), ("memory", task_memory_mib)):
        if request.get(name) is None:
            continue
        wanted = int(read(request[name]))
        delta = wanted - _reserved(definition, name)
        if definition.get(name) is not None:
            definition[name] = str(wanted)
        fields = ("cpu",) if name == "cpu" else ("memory", "memoryReservation")
        for field in fields:
            if largest.get(field):
                largest[field] += delta
                if largest[field] < (SMALLEST_CONTAINER_MIB if name == "memory" else 0):
                    return Rejection(
                        f"task-definition/{definition['family']}",
                        f"cannot have {wanted} {name}: its other containers leave {largest[field]} to "
                        f"{largest['name']}",
                    )
    return None


def _reserved(definition: Mapping[str, Any], name: str) -> int:
    """What ECS reserves for a task: its own size, else the sum over containers (soft memory limit first)."""
    if definition.get(name) is not None:
        read = task_cpu_units if name == "cpu" else task_memory_mib
        return int(read(definition[name]))
    containers = definition["containerDefinitions"]
    if name == "cpu":
        return sum(int(c.get("cpu") or 0) for c in containers)
    return sum(int(c.get("memoryReservation") or c.get("memory") or 0) for c in containers)


def repository(image: str) -> str:
    """An image reference without tag and digest: "registry:5000/web:1@sha256:..." -> "registry:5000/web"."""
    name = image.split("@", 1)[0]
    head, slash, tail = name.rpartition("/")
    return head + slash + tail.split(":", 1)[0]


def _set_image(definition: dict[str, Any], image: str) -> Rejection | None:
    containers = definition["containerDefinitions"]
    fitting = [c for c in containers if repository(c["image"]) == repository(image)]
    if len(containers) == 1:
        fitting = containers
    if len(fitting) != 1:
        return Rejection(
            f"task-definition/{definition['family']}",
            f"has {len(fitting)} containers with an image of {repository(image)}: say which one to change",
        )
    fitting[0]["image"] = image
    return None
