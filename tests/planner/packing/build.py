"""Short ways to state tasks, types and fleets in tests."""

from __future__ import annotations

from planner.model import Architecture, FleetLine, InstanceType, Resources, TaskType
from planner.units import CpuUnits, MiB, UsdPerHour


def resources(cpu: int, memory: int, enis: int = 0, gpus: int = 0) -> Resources:
    return Resources(CpuUnits(cpu), MiB(memory), enis, gpus)


def task(
    service: str,
    count: int,
    cpu: int,
    memory: int,
    *,
    enis: int = 0,
    gpus: int = 0,
    ports: tuple[int, ...] = (),
    distinct: bool = False,
    architecture: Architecture | None = None,
) -> TaskType:
    return TaskType(service, count, resources(cpu, memory, enis, gpus), ports, distinct, architecture)


def offer(
    name: str,
    cpu: int,
    memory: int,
    price: float,
    *,
    enis: int = 0,
    gpus: int = 0,
    max_count: int | None = None,
    architecture: Architecture = Architecture.X86_64,
) -> InstanceType:
    return InstanceType(name, resources(cpu, memory, enis, gpus), UsdPerHour(price), architecture, max_count)


def line(name: str, zone: str, count: int, cpu: int, memory: int, *, enis: int = 0) -> FleetLine:
    return FleetLine(name, zone, count, resources(cpu, memory, enis))
