"""Resources as rows of whole numbers, in one fixed order of columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from planner.model import Resources
from planner.units import CpuUnits, MiB

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DIMENSIONS: Final = ("cpu_units", "memory_mib", "enis", "gpus", "disk_gib", "network_mbps")
DIMENSION_WORDS: Final = (
    "CPU units", "MiB of memory", "network interfaces", "GPUs", "GiB of disk", "Mbit/s of network",
)  # fmt: skip
SCHEDULED: Final = 4
"""The ECS scheduler looks at the first four dimensions; it knows neither disk nor network bandwidth."""
CPU, MEMORY, ENIS, GPUS, DISK, NETWORK = range(6)


def as_row(resources: Resources) -> tuple[int, int, int, int, int, int]:
    return (
        resources.cpu_units, resources.memory_mib, resources.enis, resources.gpus, resources.disk_gib,
        resources.network_mbps,
    )  # fmt: skip


def scheduled_row(resources: Resources) -> tuple[int, ...]:
    """What the ECS scheduler looks at."""
    return as_row(resources)[:SCHEDULED]


def as_resources(row: NDArray[np.int64]) -> Resources:
    cpu, memory, *others = (int(value) for value in row)
    return Resources(CpuUnits(cpu), MiB(memory), *others)


def shortfall_words(need: Resources, room: Resources) -> str:
    """Which dimensions of `need` exceed `room`, e.g. "8,192 CPU units where 4,096 fit"."""
    pairs = zip(DIMENSION_WORDS, as_row(need), as_row(room), strict=True)
    return " and ".join(f"{wanted:,} {words} where {has:,} fit" for words, wanted, has in pairs if wanted > has)
