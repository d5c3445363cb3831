"""The task sizes that Fargate takes.

Source: Amazon ECS developer guide, "Task size" (and cfn-lint's E3047 table); read in November 2026.
"""

from __future__ import annotations

from planner.units import CpuUnits, MiB


def _steps(first: int, last: int, step: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1, step))


MEMORY_MIB_BY_CPU_UNITS: dict[int, tuple[int, ...]] = {
    256: (512, 1024, 2048),
    512: _steps(1024, 4096, 1024),
    1024: _steps(2048, 8192, 1024),
    2048: _steps(4096, 16384, 1024),
    4096: _steps(8192, 30720, 1024),
    8192: _steps(16384, 61440, 4096),
    16384: _steps(32768, 122880, 8192),
    32768: (61440, 122880, 249856),
}


def size_problem(cpu: CpuUnits, memory: MiB) -> str | None:
    """Why Fargate would refuse the size; None if it would not."""
    allowed = MEMORY_MIB_BY_CPU_UNITS.get(cpu)
    if allowed is None:
        return f"{cpu} CPU units are no Fargate size: use one of {', '.join(map(str, MEMORY_MIB_BY_CPU_UNITS))}"
    if memory not in allowed:
        return f"{memory} MiB do not go with {cpu} CPU units: use {allowed[0]} to {allowed[-1]} in Fargate's steps"
    return None
