"""Whether Fargate takes a task's size."""

from __future__ import annotations

from planner.units import FARGATE_MEMORY_MIB, CpuUnits, MiB


def size_problem(cpu: CpuUnits, memory: MiB) -> str | None:
    """Why Fargate would refuse the size; None if it would not."""
    allowed = FARGATE_MEMORY_MIB.get(cpu)
    if allowed is None:
        return f"{cpu} CPU units are no Fargate size: use one of {', '.join(map(str, FARGATE_MEMORY_MIB))}"
    if memory not in allowed:
        return f"{memory} MiB do not go with {cpu} CPU units: use {allowed[0]} to {allowed[-1]} in Fargate's steps"
    return None
