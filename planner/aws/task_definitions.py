"""Task definitions, each read once, all containers and sizes included; values of variables are not kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from planner.aws.clients import Clients
from planner.aws.paging import Unreadable, each
from planner.model import Architecture, Container, TaskDefinition
from planner.units import CpuUnits, MiB

_ARCHITECTURES = {"X86_64": Architecture.X86_64, "ARM64": Architecture.ARM64}


class TaskDefinitions:
    """Task definitions by the name or ARN they were asked for."""

    def __init__(self, clients: Clients) -> None:
        self._ecs = clients.get("ecs")
        self._found: dict[str, TaskDefinition] = {}

    def __contains__(self, arn: str) -> bool:
        return arn in self._found

    def __getitem__(self, arn: str) -> TaskDefinition:
        return self._found[arn]

    def get(self, arn: str) -> TaskDefinition | None:
        return self._found.get(arn)

    def read(self, arns: Iterable[str], unreadable: Unreadable) -> None:
        """Describe those of `arns` not yet known; what cannot be read is noted and stays absent."""
        missing = sorted(set(arns) - set(self._found))

        def describe(arn: str) -> TaskDefinition | None:
            return unreadable.attempt(f"task definition {arn.rsplit('/', 1)[-1]}", lambda: self._one(arn), None)

        for arn, found in zip(missing, each(describe, missing), strict=True):
            if found is not None:
                self._found[arn] = found

    def _one(self, arn: str) -> TaskDefinition | None:
        return parse(self._ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"])


def parse(raw: dict[str, Any]) -> TaskDefinition:
    """A task definition from its description; a task's sizes are strings there, a container's are integers."""
    containers = raw.get("containerDefinitions") or ()
    platform = raw.get("runtimePlatform") or {}
    mappings = [m for c in containers for m in c.get("portMappings") or ()]
    return TaskDefinition(
        arn=raw["taskDefinitionArn"],
        family=raw["family"],
        revision=raw["revision"],
        containers=tuple(_container(c) for c in containers),
        cpu_units=CpuUnits(int(raw["cpu"])) if raw.get("cpu") else None,
        memory_mib=MiB(int(raw["memory"])) if raw.get("memory") else None,
        network_mode=raw.get("networkMode") or "bridge",
        architecture=_ARCHITECTURES.get(platform.get("cpuArchitecture", "")),
        compatibilities=tuple(raw.get("compatibilities") or ()),
        host_ports=tuple(sorted({m["hostPort"] for m in mappings if m.get("hostPort")}))
        if raw.get("networkMode") != "awsvpc"
        else (),
        gpus=sum(
            int(need["value"])
            for c in containers
            for need in c.get("resourceRequirements") or ()
            if need.get("type") == "GPU"
        ),
    )


def _container(raw: dict[str, Any]) -> Container:
    secrets = [s["valueFrom"] for s in raw.get("secrets") or () if s.get("valueFrom")]
    log = (raw.get("logConfiguration") or {}).get("secretOptions") or ()
    secrets += [s["valueFrom"] for s in log if s.get("valueFrom")]
    return Container(
        name=raw["name"],
        image=raw.get("image", ""),
        essential=raw.get("essential", True),
        cpu_units=CpuUnits(raw.get("cpu") or 0),
        memory_mib=MiB(raw["memory"]) if raw.get("memory") else None,
        memory_reservation_mib=MiB(raw["memoryReservation"]) if raw.get("memoryReservation") else None,
        secret_arns=tuple(secrets),
        repository_credentials_arn=(raw.get("repositoryCredentials") or {}).get("credentialsParameter"),
    )
