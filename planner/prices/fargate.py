"""Task sizes that Fargate accepts, and the smallest one that holds a need."""

from __future__ import annotations

import math
from typing import Final

from planner.model import Rejection, Resources
from planner.units import FARGATE_MEMORY_MIB, SECONDS_PER_HOUR, CpuUnits, MiB, Seconds, gib, vcpu

SIZES: Final = FARGATE_MEMORY_MIB
MINIMUM_RUN_S: Final = 60
"""Fargate bills by the second from the image pull, at least a minute a task (AWS Fargate pricing page)."""


def billed_hours(run: Seconds, runs: float) -> float:
    """Hours billed for `runs` runs of one task that take `run` seconds each."""
    return max(MINIMUM_RUN_S, math.ceil(run - 1e-9)) * runs / SECONDS_PER_HOUR


def is_legal(cpu_units: int, memory_mib: int) -> bool:
    return memory_mib in SIZES.get(cpu_units, ())


def smallest_size(needs: Resources, vcpu_usd: float = 0.04048, gib_usd: float = 0.004445) -> Resources | Rejection:
    """The cheapest legal size that holds `needs` at these rates per vCPU-hour and GiB-hour.

    The defaults are us-east-1's; only their ratio matters, and it is nearly the same everywhere.
    """
    if needs.gpus:
        return Rejection("Fargate", "Fargate has no GPUs")
    options = [
        (vcpu(cpu) * vcpu_usd + gib(memory) * gib_usd, cpu, memory)
        for cpu, memories in SIZES.items()
        for memory in memories
        if cpu >= needs.cpu_units and memory >= needs.memory_mib
    ]
    if not options:
        return Rejection(
            "Fargate",
            f"no Fargate size holds {needs.cpu_units} CPU units and {needs.memory_mib} MiB;"
            " the largest has 32768 and 249856",
        )
    _usd, cpu, memory = min(options)
    return Resources(CpuUnits(cpu), MiB(memory), needs.enis)
