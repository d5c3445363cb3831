"""The certificate in people's words: what tasks and rules cost, and which types were never worth it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from planner.model import InstanceType
from planner.packing.bound import money_scale
from planner.packing.knapsack_kernels import price_types
from planner.packing.problem import Packing, PackingProblem, SpotRule
from planner.packing.room import allowed_types, unplaceable
from planner.packing.shapes import build_shapes, unit_counts
from planner.packing.solve import pack
from planner.units import UsdPerHour, percent, usd_per_month

_NODES = 2_000


@dataclass(frozen=True, slots=True)
class TaskPrice:
    """What one more task of a service adds to the bill, by the duals of the bound."""

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

    `is_proved`: even one instance of it makes every fleet dearer than the one found. Otherwise that holds
    for the bound only. Below `worth_at_most` USD per hour it may pay.
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
    rules = tuple(_rule_cost(name, packing, solve(without)) for name, without in _relaxations(problem))
    never = never_worth(problem, packing)
    return Certificate(tasks, rules, never, _sentences(packing, tasks, rules, never))


def _relaxations(problem: PackingProblem) -> list[tuple[str, PackingProblem]]:
    """The problem without each of its rules, one at a time."""
    found = []
    if problem.survive_zone_loss:
        found.append(("surviving the loss of a zone", replace(problem, survive_zone_loss=False)))
    elif problem.zones > 1:
        name = f"spreading every service over {problem.zones} zones"
        found.append((name, replace(problem, zones=1, zone_names=())))
    if problem.max_types is not None:
        found.append((f"at most {problem.max_types} instance types", replace(problem, max_types=None)))
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


def _rule_cost(rule: str, packing: Packing, without: Packing) -> RuleCost:
    # A fleet that keeps the rule is allowed without it too, so no rule costs less than nothing.
    return RuleCost(
        rule,
        UsdPerHour(max(0.0, packing.usd_per_hour - without.usd_per_hour)),
        UsdPerHour(max(0.0, packing.lower_bound_usd_per_hour - without.usd_per_hour)),
        UsdPerHour(max(0.0, packing.usd_per_hour - without.lower_bound_usd_per_hour)),
    )


def never_worth(problem: PackingProblem, packing: Packing) -> tuple[NeverWorth, ...]:
    """Types whose price is above the most that tasks on one instance can be worth, largest excess first."""
    allowed = allowed_types(problem)
    left_out = unplaceable(problem, allowed)
    if len(left_out) == len(problem.tasks):
        return ()
    found = []
    for offer, worth in _worth_of_every_type(problem, packing, allowed, set(left_out)):
        slack = offer.usd_per_hour - worth
        if slack > 1e-9 * offer.usd_per_hour:
            is_proved = packing.lower_bound_usd_per_hour + slack > packing.usd_per_hour
            found.append(NeverWorth(offer.instance_type, offer.usd_per_hour, UsdPerHour(worth), is_proved))
    return tuple(sorted(found, key=lambda n: (n.worth_at_most / n.usd_per_hour, n.instance_type)))


def _worth_of_every_type(
    problem: PackingProblem, packing: Packing, allowed: Any, left_out: set[int]
) -> list[tuple[InstanceType, float]]:
    shapes = build_shapes(problem, allowed, left_out, keep_every_type=True)
    scale = money_scale(shapes)
    services = len(problem.tasks)
    prices = [packing.task_prices.get(problem.tasks[group[0] % services].service, 0.0) for group in shapes.members]
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
