"""Units as types, and the only place where one is turned into another.

`NewType` costs nothing at run time and lets mypy refuse swapped arguments. Inside the planner CPU is
counted in whole CPU units and memory in whole MiB, as ECS does; money is USD per hour; a share is a
number from 0 to 1 named for its base; percent exists only at the edge.
"""

from __future__ import annotations

import math
from typing import Final, NewType

CpuUnits = NewType("CpuUnits", int)
"""1,024 CPU units are one vCPU (ECS task definition reference)."""
Vcpu = NewType("Vcpu", float)
MiB = NewType("MiB", int)
GiB = NewType("GiB", float)
Usd = NewType("Usd", float)
UsdPerHour = NewType("UsdPerHour", float)
UsdPerMonth = NewType("UsdPerMonth", float)
Seconds = NewType("Seconds", float)
Share = NewType("Share", float)
"""0 to 1 of a base that the variable's name tells, e.g. `cpu_used_per_reserved`."""
Percent = NewType("Percent", float)

CPU_UNITS_PER_VCPU: Final = 1024
MIB_PER_GIB: Final = 1024
BYTES_PER_MIB: Final = 1024 * 1024
HOURS_PER_MONTH: Final = 730
"""The month of AWS's own pricing pages: 8,760 hours a year over 12."""
HOURS_PER_YEAR: Final = 8760
HOURS_PER_WEEK: Final = 168
MINUTES_PER_MONTH: Final = 43_800
"""Of AWS's month of 730 hours."""
SECONDS_PER_MINUTE: Final = 60
MINUTES_PER_HOUR: Final = 60
SECONDS_PER_HOUR: Final = 3600
SECONDS_PER_DAY: Final = 86_400
HOURS_PER_DAY: Final = 24
MINUTES_PER_DAY: Final = 1440
DAYS_PER_WEEK: Final = 7


def cpu_units(vcpu: float) -> CpuUnits:
    """CPU units that hold `vcpu`, rounded up to a whole unit (1e-9 forgives float noise)."""
    return CpuUnits(math.ceil(vcpu * CPU_UNITS_PER_VCPU - 1e-9))


def vcpu(units: float) -> Vcpu:
    return Vcpu(units / CPU_UNITS_PER_VCPU)


def mib(gib: float) -> MiB:
    """MiB that hold `gib`, rounded up to a whole MiB."""
    return MiB(math.ceil(gib * MIB_PER_GIB - 1e-9))


def gib(memory_mib: float) -> GiB:
    return GiB(memory_mib / MIB_PER_GIB)


def usd_per_month(hourly: float) -> UsdPerMonth:
    """A constant hourly rate over AWS's month of 730 hours."""
    return UsdPerMonth(hourly * HOURS_PER_MONTH)


def usd_per_hour(monthly: float) -> UsdPerHour:
    return UsdPerHour(monthly / HOURS_PER_MONTH)


def effective_usd_per_hour(upfront_usd: float, hourly: float, years: int) -> UsdPerHour:
    """Spread an upfront payment over every hour of the term, used or not."""
    return UsdPerHour(upfront_usd / (years * HOURS_PER_YEAR) + hourly)


def percent(share: float) -> Percent:
    return Percent(share * 100)


def share(percentage: float) -> Share:
    return Share(percentage / 100)


# What Fargate sells: CPU and memory only come in these pairs

FARGATE_MEMORY_MIB: dict[int, tuple[int, ...]] = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4096 + 1, 1024)),
    1024: tuple(range(2048, 8192 + 1, 1024)),
    2048: tuple(range(4096, 16384 + 1, 1024)),
    4096: tuple(range(8192, 30720 + 1, 1024)),
    8192: tuple(range(16384, 61440 + 1, 4096)),
    16384: tuple(range(32768, 122880 + 1, 8192)),
    32768: (61440, 122880, 249856),
}
"""CPU units to the MiB that go with them. Source: botocore's RegisterTaskDefinition up to 16,384 CPU units, the
CloudFormation schema's fargate_cpu_memory for 32,768. Read in November 2026."""
