"""The certificate in people's words: what tasks and rules cost, and which types were never worth it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from planner.model import InstanceType
from planner.packing.bound import money_scale
from planner.packing.dimensions import as_row
from planner.packing.knapsack_kernels import price_types
from planner.packing.problem import Packing, PackingProblem, SpotRule, places_a_task
from planner.packing.room import allowed_types, rooms_for_tasks, unplaceable
from planner.packing.shapes import build_shapes, unit_counts
from planner.packing.solve import pack
from planner.units import UsdPerHour, percent, usd_per_month

_NODES = 2_000


@dataclass(frozen=True, slots=True)
class TaskPrice:
    """What one more task of a service adds to the bill, with the room it needs when a zone is lost, by the duals
    of the bound."""

    service: str
    usd_per_hour: UsdPerHour


@dataclass(frozen=True, slots=True)
class RuleCost:
    """What a rule of the problem costs: the fleet found with it minus the fleet found without it.

    The true cost of the rule lies between `at_least` and `at_most`, by the two bounds.
    """

    rule: str
    usd_per_hour: UsdPerHour
    at_least: UsdPerHour
    at_most: UsdPerHour


@dataclass(frozen=True, slots=True)
class NeverWorth:
    """A type that costs more than anything it could hold is worth.

    `is_proved`: even one instance of it makes every fleet dearer than the one found, which follows from what
    all tasks are worth together plus the type's excess. Below `worth_at_most` USD per hour it may pay.
    """

    instance_type: str
    usd_per_hour: UsdPerHour
    worth_at_most: UsdPerHour
    is_proved: bool


@dataclass(frozen=True, slots=True)
class Certificate:
    task_prices: tuple[TaskPrice, ...]
    rule_costs: tuple[RuleCost, ...]
    never_worth: tuple[NeverWorth, ...]
    sentences: tuple[str, ...]


def explain(
    problem: PackingProblem, packing: Packing, solve: Callable[[PackingProblem], Packing] = pack
) -> Certificate:
    """Explain a packing. Each rule's cost takes one more call of `solve`, without that rule."""
    tasks = tuple(
        TaskPrice(service, UsdPerHour(price))
        for service, price in sorted(packing.task_prices.items(), key=lambda pair: (-pair[1], pair[0]))
    )
    rules = tuple(rule_cost(name, packing, solve(without)) for name, without in relaxations(problem))
    never = never_worth(problem, packing)
    return Certificate(tasks, rules, never, _sentences(packing, tasks, rules, never))


def zone_rule(zones: int) -> str:
    return f"spreading every service over {zones} zones"


def _types_rule(most: int) -> str:
    return f"at most {most} instance type{'s' if most > 1 else ''}"


def relaxations(problem: PackingProblem) -> list[tuple[str, PackingProblem]]:
    """The problem without each of its rules, one at a time."""
    found = []
    if problem.survive_zone_loss:
        found.append(("surviving the loss of a zone", replace(problem, survive_zone_loss=False)))
    elif problem.zones > 1:
        found.append((zone_rule(problem.zones), replace(problem, zones=1, zone_names=())))
    if problem.max_types is not None:
        found.append((_types_rule(problem.max_types), replace(problem, max_types=None)))
    if problem.spare_instances:
        found.append((f"{problem.spare_instances} spare instances", replace(problem, spare_instances=0)))
    if any(task.distinct_instance for task in problem.tasks):
        together = tuple(replace(task, distinct_instance=False) for task in problem.tasks)
        found.append(("distinctInstance", replace(problem, tasks=together)))
    if problem.member_of or any(task.member_of for task in problem.tasks):
        anywhere = tuple(replace(task, member_of=()) for task in problem.tasks)
        found.append(("memberOf constraints", replace(problem, member_of={}, tasks=anywhere)))
    if problem.spot is not None and (problem.spot.max_pool_share < 1.0 or problem.spot.min_pools > 1):
        free = SpotRule(problem.spot.share)
        found.append(("spreading Spot over pools", replace(problem, spot=free)))
    return found


def rule_cost(rule: str, packing: Packing, without: Packing) -> RuleCost:
    """From the packing with the rule and the one without it."""
    # A fleet that keeps the rule is allowed without it too, so no rule costs less than nothing.
    return RuleCost(
        rule,
        UsdPerHour(max(0.0, packing.usd_per_hour - without.usd_per_hour)),
        UsdPerHour(max(0.0, packing.lower_bound_usd_per_hour - without.usd_per_hour)),
        UsdPerHour(max(0.0, packing.usd_per_hour - without.lower_bound_usd_per_hour)),
    )


def never_worth(problem: PackingProblem, packing: Packing) -> tuple[NeverWorth, ...]:
    """Types whose price is above the most that tasks on one instance can be worth, nearest to paying first."""
    allowed = allowed_types(problem)
    left_out = unplaceable(problem, allowed)
    if len(left_out) == len(problem.tasks):
        return ()
    if problem.max_types == 1:
        return _never_alone(problem, packing, allowed)
    worths = _worth_of_every_type(problem, packing, allowed, set(left_out))
    # Prices of tasks times `scale` make no type worth more than its price, so that they prove something.
    scale = min([1.0, *(offer.usd_per_hour / worth for offer, worth in worths if worth > 0)])
    needed = _excess_that_proves(problem, packing, scale)
    found = []
    for offer, worth in worths:
        if worth < offer.usd_per_hour * (1 - 1e-9):
            is_proved = offer.usd_per_hour - scale * worth > needed
            found.append(NeverWorth(offer.instance_type, offer.usd_per_hour, UsdPerHour(worth), is_proved))
    return tuple(sorted(found, key=lambda n: (-n.worth_at_most / n.usd_per_hour, n.instance_type)))


def _never_alone(problem: PackingProblem, packing: Packing, allowed: Any) -> tuple[NeverWorth, ...]:
    """Where all instances are of one type: those of which so many are needed at least, however the tasks are put
    on them, that they cost more than the fleet found."""
    if problem.spot is not None or problem.running or problem.spare_instances or packing.unplaced:
        return ()
    found = []
    for offer, least in _least_instances(problem, allowed):
        worth = packing.usd_per_hour / least
        if worth < offer.usd_per_hour * (1 - 1e-9):
            found.append(NeverWorth(offer.instance_type, offer.usd_per_hour, UsdPerHour(worth), is_proved=True))
    return tuple(sorted(found, key=lambda n: (-n.worth_at_most / n.usd_per_hour, n.instance_type)))


def _least_instances(problem: PackingProblem, allowed: Any) -> list[tuple[InstanceType, int]]:
    """For each type that may run every task, the instances without which no placement is possible."""
    needs = np.array([as_row(task.needs) for task in problem.tasks], dtype=object)
    counts = np.array([task.count for task in problem.tasks], dtype=object)
    total = (needs * counts[:, None]).sum(axis=0)
    alone = max((t.count for t in problem.tasks if t.distinct_instance or t.host_ports), default=0)
    found = []
    for t, (offer, room) in enumerate(zip(problem.catalogue, rooms_for_tasks(problem), strict=True)):
        wanted = [(s, task) for s, task in enumerate(problem.tasks) if task.count]
        if all(allowed[s, t] and task.needs.fits_in(room) for s, task in wanted):
            poured = max(-(-int(n) // r) if n else 0 for n, r in zip(total, as_row(room), strict=True))
            least = max(1, poured, alone)
            if problem.survive_zone_loss:
                least = -(-least * problem.zones // (problem.zones - 1))
            found.append((offer, least))
    return found


def _excess_that_proves(problem: PackingProblem, packing: Packing, scale: float) -> float:
    """The excess of price over worth beyond which one instance of a type makes every fleet dearer than `packing`:
    every fleet costs at least what its tasks are worth, plus the excess of each instance in it. Infinite where
    tasks may run on Spot or starting instances has a price, since a type has several prices then."""
    if problem.spot is not None or problem.running or any(u.count for u in packing.unplaced):
        return math.inf
    # The price of a task has the room for the loss of a zone in it: summed over the zone that is lost, zones - 1
    # fleets hold all tasks zones times.
    worth = scale * sum(packing.task_prices.get(task.service, 0.0) * task.count for task in problem.tasks)
    return packing.usd_per_hour - worth * (1 - 1e-9)


def _worth_of_every_type(
    problem: PackingProblem, packing: Packing, allowed: Any, left_out: set[int]
) -> list[tuple[InstanceType, float]]:
    shapes = build_shapes(problem, allowed, left_out, keep_every_type=True)
    scale = money_scale(shapes)
    services = len(problem.tasks)
    places = places_a_task(problem)
    prices = [
        packing.task_prices.get(problem.tasks[group[0] % services].service, 0.0) / places
        for group in shapes.members
    ]
    counts, on_spot = unit_counts(problem, left_out)
    demand = shapes.demand([n - f for n, f in zip(counts, on_spot, strict=True)] + on_spot)
    types = len(shapes.offers)
    found = np.zeros((types, 2), np.int64)
    price_types(
        scale.whole(np.array(prices)), shapes.needs, np.minimum(demand, shapes.most), shapes.ports,
        shapes.fits, shapes.rooms, np.zeros(types, np.int64), np.zeros((types, shapes.needs.shape[1])),
        _NODES, 1e-4, np.zeros((types, shapes.count), np.int64), found,
    )  # fmt: skip
    worth = found[:, 1] / float(scale.per_usd)
    return [
        (variant.offer, value)
        for variant, value in zip(shapes.offers, worth.tolist(), strict=True)
        if not variant.is_spot and not variant.by_zone
    ]


def _sentences(
    packing: Packing,
    tasks: tuple[TaskPrice, ...],
    rules: tuple[RuleCost, ...],
    never: tuple[NeverWorth, ...],
) -> tuple[str, ...]:
    if not packing.instances:
        return ("No task was placed, so there is no fleet to explain.",)
    said = [
        f"The fleet costs {packing.usd_per_hour:,.4f} USD per hour "
        f"({usd_per_month(packing.usd_per_hour):,.0f} a month); it is at most "
        f"{percent(packing.gap):.2f} % above the cheapest possible."
    ]
    said += [
        f"One more task of {t.service} costs about {usd_per_month(t.usd_per_hour):,.2f} USD a month."
        for t in tasks[:5]
    ]
    said += [
        f"The rule '{r.rule}' costs {usd_per_month(r.usd_per_hour):,.0f} USD a month (for certain from "
        f"{usd_per_month(r.at_least):,.0f} to {usd_per_month(r.at_most):,.0f})."
        for r in rules
    ]
    said += [
        f"{n.instance_type} was never worth its {n.usd_per_hour:.4f} USD per hour: it may pay below "
        f"{n.worth_at_most:.4f}."
        for n in never[:5]
    ]
    return tuple(said)
