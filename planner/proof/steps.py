"""From the lower bound to the fleet that ran: each step a fleet that was really packed or replayed."""

from __future__ import annotations

from typing import Final

from planner.candidates import Group, fleet_at
from planner.documents.packing import AddedCost, RollingDeployment
from planner.made import DECIMALS
from planner.packing import EcsFleet, Packing, PackingProblem, deployment_room, ecs_fleet, parse_strategy, place
from planner.proof.peak import Peak
from planner.proof.searches import Searches
from planner.units import UsdPerHour

ORDERS: Final = 5
"""Random orders of arrival in which ECS's placement is replayed."""


def added_costs(
    peak: Peak, best: Packing, in_zones: PackingProblem | None, bound: float, searches: Searches
) -> tuple[AddedCost, ...]:
    """What the fleet of the busiest minute costs above `bound`, by reason; they add up, and none is negative: a
    later fleet keeps the earlier rules, so where it turned out cheaper it stands for the earlier ones too."""
    levels: list[tuple[str, float]] = [("what the search could neither find nor rule out", best.usd_per_hour)]
    if in_zones is not None:
        even = searches.near(in_zones).usd_per_hour
        levels.append((f"keeping every service even over {len(peak.zones)} zones", even))
    fits = [_as_ecs_places(peak, group, searches) for group in peak.groups]
    names = " and ".join(dict.fromkeys(g.offer.instance_type for g in peak.groups))
    suits = "suit" if " and " in names else "suits"
    levels += [
        (f"using {names} alone, which {suits} the whole week", sum(packed for packed, _ in fits)),
        ("tasks that ECS places one by one as they come", sum(fit for _, fit in fits)),
        ("instances that start, empty out or are kept in reserve", peak.usd_per_hour),
    ]
    return _differences(levels, bound)


def _differences(levels: list[tuple[str, float]], bound: float) -> tuple[AddedCost, ...]:
    whole = round(levels[-1][1], DECIMALS)
    reached = round(bound, DECIMALS)
    found = []
    for k, (what, _) in enumerate(levels):
        level = min(whole, max(reached, round(min(cost for _, cost in levels[k:]), DECIMALS)))
        if level > reached:
            found.append(AddedCost(what=what, usd_per_hour=round(level - reached, DECIMALS)))
        reached = level
    return tuple(found)


def _as_ecs_places(peak: Peak, group: Group, searches: Searches) -> tuple[float, float]:
    """The cost of a group's tasks packed on its type, and the fleet that ECS needs for them."""
    problem = peak.own(group, in_zones=peak.survives or peak.is_even)
    packed = searches.near(problem)
    (fit,) = ecs_fleet(
        problem, packed, strategies=(group.rules.strategy,), orders=ORDERS, seed=peak.made.settings.seed
    )
    return float(packed.usd_per_hour), float(fit.usd_per_hour)


def orders_placed(peak: Peak) -> int:
    """In how many of the random orders ECS places every task on the instances that ran."""
    seed = peak.made.settings.seed
    fleets = [
        (peak.own(g, in_zones=False).tasks, fleet_at(g, peak.instances(g)), parse_strategy(g.rules.strategy))
        for g in peak.groups
    ]
    return sum(
        not any(place(tasks, fleet, rules, "random", seed + order).unplaced for tasks, fleet, rules in fleets)
        for order in range(ORDERS)
    )


def rolling_deployments(peak: Peak) -> tuple[RollingDeployment, ...]:
    """What each service's deployment needs beside the instances that ran, the dearest first."""
    found = [deployment for group in peak.groups for deployment in _of_group(peak, group)]
    return tuple(sorted(found, key=lambda d: (-d.usd_per_hour, -d.extra_tasks, d.service)))


def _of_group(peak: Peak, group: Group) -> list[RollingDeployment]:
    problem = peak.own(group, in_zones=True)
    fleet = tuple(fleet_at(group, peak.instances(group)))
    ran = EcsFleet(group.rules.strategy, fleet, UsdPerHour(0.0), 0.0, (), ORDERS, ())
    found = []
    for task in problem.tasks:
        percent = peak.made.workload(task.service).service.maximum_percent
        (room,) = deployment_room(
            problem, ran, maximum_percent=percent, services=[task.service], seed=peak.made.settings.seed
        )
        found.append(
            RollingDeployment(
                service=task.service, tasks=task.count, maximum_percent=percent, extra_tasks=room.extra_tasks,
                extra_instances=sum(line.count for line in room.added),
                usd_per_hour=round(room.usd_per_hour, DECIMALS),
            )
        )  # fmt: skip
    return found
