"""Which inputs move the answer most: one at a time from low to high, everything else as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from planner.alternatives.assumptions import Platform
from planner.alternatives.evaluation import Evaluation
from planner.alternatives.flips import grows_with_demand, is_fargate, is_machine
from planner.cost import CostLine, Kind
from planner.units import UsdPerHour


@dataclass(frozen=True, slots=True)
class Input:
    """One uncertain input as a factor on the lines it touches, with the range it is tried over."""

    name: str
    low: float
    high: float
    touches: Callable[[CostLine], bool]
    reason: str
    """Where the range comes from."""
    platforms: frozenset[Platform] | None = None
    """None: all."""


_SPOT: Final = frozenset({Platform.ECS_FARGATE_SPOT})
_MANAGED: Final = frozenset({Platform.ECS_MANAGED_INSTANCES})
_KUBERNETES: Final = frozenset({Platform.EKS_EC2, Platform.EKS_FARGATE, Platform.KUBERNETES_EC2, Platform.AKS})
_OWN_MACHINES: Final = frozenset(
    {Platform.ECS_EC2, Platform.ECS_MANAGED_INSTANCES, Platform.EKS_EC2, Platform.KUBERNETES_EC2, Platform.AKS}
)

INPUTS: Final = (
    Input("demand", 0.7, 1.5, grows_with_demand, "growth or loss of load within a year"),
    Input("machine prices", 0.55, 1.0, is_machine, "three-year commitment to none"),
    Input("Fargate prices", 0.5, 1.0, is_fargate, "Compute Savings Plan to none"),
    Input(
        "Fargate Spot price", 0.8, 1.7,
        lambda line: line.capacity_provider == "FARGATE_SPOT", "AWS advertises 50 to 70 % off", _SPOT,
    ),
    Input("packing and headroom", 0.92, 1.25, is_machine, "headroom of 1 % to 37 %", _OWN_MACHINES),
    Input("memory and CPU of tasks", 0.7, 1.2, grows_with_demand, "right-sizing that has not happened yet"),
    Input("staff rate", 0.6, 1.6, lambda line: line.kind is Kind.STAFF, "45 to 120 USD an hour"),
    Input(
        "staff hours on Kubernetes", 0.4, 1.5, lambda line: line.kind is Kind.STAFF,
        "a platform team that runs it already, to one that learns it", _KUBERNETES,
    ),
    Input(
        "staff hours on own machines", 0.5, 2.0, lambda line: line.kind is Kind.STAFF, "automation of patching",
        _OWN_MACHINES,
    ),
    Input("load balancer traffic", 0.5, 2.0, lambda line: line.kind is Kind.LOAD_BALANCING, "LCUs follow traffic"),
    Input(
        "control plane prices", 1.0, 6.0, lambda line: line.kind is Kind.CONTROL_PLANE,
        "standard to extended support",
    ),
    Input(
        "Managed Instances fee", 0.65, 1.0, lambda line: line.kind is Kind.FEE,
        "7.8 % measured on g6, 12 % listed", _MANAGED,
    ),
    Input("root volumes", 0.5, 3.0, lambda line: line.kind is Kind.STORAGE, "15 to 90 GB an instance"),
)  # fmt: skip
"""Ranges are judgements; each says of what."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the tornado: the leader's cost with the input at its low and at its high end, its advantage
    over the rival, and which platform would be the cheapest there."""

    input: str
    reason: str
    low: float
    high: float
    low_usd_per_hour: UsdPerHour
    high_usd_per_hour: UsdPerHour
    low_advantage_usd_per_hour: UsdPerHour
    """What the leader saves against the rival; negative where the rival is the cheaper one."""
    high_advantage_usd_per_hour: UsdPerHour
    cheapest_at_low: Platform
    cheapest_at_high: Platform

    @property
    def swing_usd_per_hour(self) -> UsdPerHour:
        """How far the leader's advantage moves between the ends: what ranks the bars."""
        return UsdPerHour(abs(self.high_advantage_usd_per_hour - self.low_advantage_usd_per_hour))


def leader_and_rival(
    evaluations: Sequence[Evaluation], home: Platform | None = None
) -> tuple[Platform, Platform | None] | None:
    """The cheapest complete platform, and the one to hold it against: `home`, because the question is whether
    to leave it; None stands for the best other platform. Needs two complete platforms, else None."""
    base = {e.platform: _cost(e, None, 1.0) for e in evaluations if e.is_complete}
    if len(base) < 2:
        return None
    leader = min(base, key=lambda p: (base[p], p))
    return leader, home if home in base and home is not leader else None


def tornado(
    evaluations: Sequence[Evaluation],
    inputs: Sequence[Input] = INPUTS,
    count: int = 10,
    home: Platform | None = None,
) -> tuple[Bar, ...]:
    """The `count` inputs that move the decision most: ranked by how far the leader's advantage over its rival
    (see `leader_and_rival`) swings, then by how far its cost does."""
    pair = leader_and_rival(evaluations, home)
    if pair is None:
        return ()
    complete = [e for e in evaluations if e.is_complete]
    bars = [_bar(complete, *pair, item) for item in inputs]
    bars.sort(key=lambda b: (-b.swing_usd_per_hour, -abs(b.high_usd_per_hour - b.low_usd_per_hour), b.input))
    return tuple(bars[:count])


def _bar(complete: Sequence[Evaluation], leader: Platform, rival: Platform | None, item: Input) -> Bar:
    low, high = _costs(complete, item, item.low), _costs(complete, item, item.high)
    return Bar(
        item.name, item.reason, item.low, item.high,
        UsdPerHour(low[leader]), UsdPerHour(high[leader]),
        advantage(low, leader, rival), advantage(high, leader, rival),
        min(low, key=lambda p: (low[p], p)), min(high, key=lambda p: (high[p], p)),
    )  # fmt: skip


def _costs(complete: Sequence[Evaluation], item: Input, factor: float) -> Mapping[Platform, float]:
    return MappingProxyType({e.platform: _cost(e, item, factor) for e in complete})


def _cost(evaluation: Evaluation, item: Input | None, factor: float) -> float:
    touched = item is not None and (item.platforms is None or evaluation.platform in item.platforms)
    return sum(
        line.usd_per_hour * (factor if touched and item is not None and item.touches(line) else 1.0)
        for line in evaluation.lines
    )


def advantage(costs: Mapping[Platform, float], leader: Platform, rival: Platform | None) -> UsdPerHour:
    """What the leader saves against the rival, or against the best of the others."""
    if rival is not None:
        return UsdPerHour(costs[rival] - costs[leader])
    return UsdPerHour(min(cost for platform, cost in costs.items() if platform != leader) - costs[leader])
