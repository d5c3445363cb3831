"""What price or demand change would make another platform the cheaper one.

Each platform's cost is a sum of groups of lines. A factor multiplies one group (all Fargate prices, say)
everywhere it occurs; the break-even factor x solves rest_a + x group_a = rest_b + x group_b. Demand multiplies
everything that grows with tasks. Fleets are not packed anew, so a factor far from 1 is a direction, not a quote.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from planner.alternatives.assumptions import Platform
from planner.alternatives.evaluation import Evaluation
from planner.cost import CostLine, Kind

FARGATE_PROVIDERS: Final = ("FARGATE", "FARGATE_SPOT")
LARGEST_FACTOR: Final = 20.0
"""A change by more than twenty times is told as "no change of this alone"."""


def is_fargate(line: CostLine) -> bool:
    return line.kind is Kind.COMPUTE and line.capacity_provider in FARGATE_PROVIDERS


def is_machine(line: CostLine) -> bool:
    return line.kind is Kind.COMPUTE and line.capacity_provider not in FARGATE_PROVIDERS


def grows_with_demand(line: CostLine) -> bool:
    return line.kind in {Kind.COMPUTE, Kind.FEE, Kind.STORAGE, Kind.NETWORK}


GROUPS: Final[tuple[tuple[str, Callable[[CostLine], bool]], ...]] = (
    ("demand", grows_with_demand),
    ("machine prices and the fees on them", lambda line: is_machine(line) or line.kind is Kind.FEE),
    ("Fargate prices", is_fargate),
    ("control plane prices", lambda line: line.kind is Kind.CONTROL_PLANE),
    ("load balancer cost", lambda line: line.kind is Kind.LOAD_BALANCING),
    ("staff rate", lambda line: line.kind is Kind.STAFF),
)


@dataclass(frozen=True, slots=True)
class Flip:
    """`challenger` costs as much as `leader` when everything in `group` is multiplied by `factor`."""

    leader: Platform
    challenger: Platform
    group: str
    factor: float

    @property
    def sentence(self) -> str:
        change = f"{self.factor - 1:+.0%}" if self.factor < 3 else f"times {self.factor:.1f}"
        return f"{self.challenger.value} costs as much as {self.leader.value} at {self.group} {change}"


def flips(leader: Evaluation, challenger: Evaluation) -> list[Flip]:
    """Every group whose change alone levels the two, the smallest change first."""
    found = []
    for name, belongs in GROUPS:
        factor = break_even_factor(leader.lines, challenger.lines, belongs)
        if factor is not None:
            found.append(Flip(leader.platform, challenger.platform, name, factor))
    return sorted(found, key=lambda flip: abs(math.log(flip.factor)))


def break_even_factor(
    a: Sequence[CostLine], b: Sequence[CostLine], belongs: Callable[[CostLine], bool]
) -> float | None:
    """The factor on one group that makes both sums equal; None where none between 1/20 and 20 does."""
    group_a, rest_a = _split(a, belongs)
    group_b, rest_b = _split(b, belongs)
    slope = group_a - group_b
    if abs(slope) < 1e-12:
        return None
    factor = (rest_b - rest_a) / slope
    return factor if 1 / LARGEST_FACTOR <= factor <= LARGEST_FACTOR else None


def _split(lines: Sequence[CostLine], belongs: Callable[[CostLine], bool]) -> tuple[float, float]:
    group = math.fsum(line.usd_per_hour for line in lines if belongs(line))
    rest = math.fsum(line.usd_per_hour for line in lines if not belongs(line))
    return group, rest
