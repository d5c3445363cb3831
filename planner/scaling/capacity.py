"""Choose the target capacity of managed scaling under a chosen service policy: both loops replayed together.

A capacity provider below 100 % keeps instances to spare, so that tasks start without waiting for one to boot;
a lower CPU target keeps tasks to spare, which wait for instances all the same. Which of the two is cheaper
depends on the load, so they are searched together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from planner.scaling.batch import replay_batch
from planner.scaling.choose import weekly_bound
from planner.scaling.policies import CapacityProvider, CooldownFrom, Policy
from planner.scaling.search import STRAIN
from planner.units import DAYS_PER_WEEK, MINUTES_PER_DAY

FloatArray = NDArray[np.float64]

CAPACITY_TARGETS: Final = (100, 95, 90, 85, 80, 75, 70, 65, 60, 50)
TARGET_SHARES: Final = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7)
"""Of the CPU target chosen for tasks that never wait for instances."""


@dataclass(frozen=True, slots=True)
class CapacityPoint:
    """One pair of targets on the known weeks; the floors are those handed over, learned from these weeks."""

    capacity_target_percent: float
    target: float
    instance_hours_per_week: float
    attainment: float
    holds: bool


@dataclass(frozen=True, slots=True)
class CapacityChoice:
    policy: Policy
    chosen: CapacityPoint
    frontier: tuple[CapacityPoint, ...]
    reason: str


def choose_capacity(
    demand_vcpu: FloatArray,
    start: datetime,
    policy: Policy,
    provider: CapacityProvider,
    *,
    slo: float,
    utilisation: float = 0.8,
    advance: Callable[[float], None] = lambda _share: None,
) -> CapacityChoice:
    """The pair of targets with fewest instance-hours that leaves room for a worse week.

    `policy` is a chosen one, without a capacity provider. Where no pair leaves room, the one nearest to it is
    returned, and the reason says so.
    """
    candidates = [
        _hosted(policy, provider, share, target) for share in TARGET_SHARES for target in CAPACITY_TARGETS
    ]
    batch = replay_batch(
        demand_vcpu, start, candidates, utilisation=utilisation, strain=STRAIN,
        advance=lambda done: advance(done / len(candidates)),
    )  # fmt: skip
    known = ~np.isnan(demand_vcpu)
    judged = np.add.reduceat(known.astype(np.int64), range(0, len(known), MINUTES_PER_DAY))
    week = DAYS_PER_WEEK * MINUTES_PER_DAY
    bound = weekly_bound(batch.strained_by_day, judged)
    hours = batch.instance_hours * week / len(known)
    attainment = 1 - batch.violating_minutes / known.sum()
    holds = bound <= (1 - slo) * week
    order = np.lexsort((hours, np.where(holds, 0.0, bound)))
    points = [
        _point(candidate, float(hours[i]), float(attainment[i]), bool(holds[i]))
        for i, candidate in enumerate(candidates)
    ]
    best = int(order[0])
    return CapacityChoice(
        candidates[best], points[best], _frontier(points), _reason(points[best], int(holds.sum()))
    )


def _hosted(policy: Policy, provider: CapacityProvider, share: float, capacity_target: float) -> Policy:
    trackers = tuple(
        replace(t, target=round(t.target * share, 2), cooldown_from=CooldownFrom.FULFILMENT)
        for t in policy.target_tracking
    )
    hosted = replace(provider, target_capacity_percent=float(capacity_target))
    return replace(policy, target_tracking=trackers, capacity_provider=hosted)


def _point(policy: Policy, hours: float, attainment: float, holds: bool) -> CapacityPoint:
    provider = policy.capacity_provider
    target = 0.0 if provider is None else provider.target_capacity_percent
    return CapacityPoint(target, policy.target_tracking[0].target, hours, attainment, holds)


def _frontier(points: list[CapacityPoint]) -> tuple[CapacityPoint, ...]:
    kept: list[CapacityPoint] = []
    for point in sorted(points, key=lambda p: (p.instance_hours_per_week, -p.attainment)):
        if not kept or point.attainment > kept[-1].attainment:
            kept.append(point)
    return tuple(kept)


def _reason(chosen: CapacityPoint, holding: int) -> str:
    pair = f"target capacity {chosen.capacity_target_percent:g} % under a CPU target of {chosen.target:g} %"
    tried = len(TARGET_SHARES) * len(CAPACITY_TARGETS)
    if holding:
        return f"{pair}: fewest instance-hours of the {holding} of {tried} pairs that leave room for a worse week"
    return (
        f"no pair of {tried} leaves room for a worse week, because tasks wait for instances to boot; {pair} comes "
        f"nearest ({chosen.attainment:.3%}): add a warm pool or a larger min_size"
    )
