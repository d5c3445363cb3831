"""What rules cost, which types never paid, and other fleets for the same tasks."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final

from planner.documents.packing import InstanceCount, NearFleet, NeverWorth, RuleCost
from planner.made import DECIMALS, Made
from planner.model import InstanceType, Rejection
from planner.offers import offers
from planner.packing import Alternative, Packing, PackingProblem, near_optimal
from planner.packing.alternatives import ARCHITECTURES, alternative_to
from planner.packing.certificate import RuleCost as Cost
from planner.packing.certificate import never_worth, relaxations, rule_cost, zone_rule
from planner.proof.searches import Searches

SHORTLIST: Final = 20


def without_own_types(problem: PackingProblem, own: set[str]) -> list[PackingProblem]:
    """The problem without these types, and without their families."""
    families = {name.partition(".")[0] for name in own}
    kept = [
        tuple(o for o in problem.catalogue if o.instance_type not in own),
        tuple(o for o in problem.catalogue if o.instance_type.partition(".")[0] not in families),
    ]
    return [replace(problem, catalogue=types) for types in kept if types]


def rule_costs(
    problem: PackingProblem, best: Packing, in_zones: PackingProblem | None, searches: Searches
) -> tuple[RuleCost, ...]:
    """`in_zones`: the problem with every service even over zones, where ECS keeps that."""
    costs = [rule_cost(rule, best, searches.near(without)) for rule, without in relaxations(problem)]
    if in_zones is not None:
        costs.insert(0, rule_cost(zone_rule(in_zones.zones), searches.near(in_zones), best))
    return tuple(_written(cost) for cost in costs)


def _written(cost: Cost) -> RuleCost:
    return RuleCost(
        rule=cost.rule,
        usd_per_hour=round(cost.usd_per_hour, DECIMALS),
        at_least_usd_per_hour=round(cost.at_least, DECIMALS),
        at_most_usd_per_hour=round(cost.at_most, DECIMALS),
    )


def types_never_worth(problem: PackingProblem, best: Packing, searches: Searches) -> tuple[NeverWorth, ...]:
    """Where several types are allowed, by the prices of tasks with any number of them, so that no rule is to
    blame."""
    stated = problem if problem.max_types == 1 else replace(problem, max_types=None)
    found = best if stated is problem else searches.near(stated)
    return tuple(
        NeverWorth(
            instance_type=n.instance_type,
            usd_per_hour=round(n.usd_per_hour, DECIMALS),
            worth_at_most_usd_per_hour=round(n.worth_at_most, DECIMALS),
            is_proved=n.is_proved,
        )
        for n in never_worth(stated, found)
    )


def shortlist(free: PackingProblem, found: Packing, own: set[str]) -> tuple[InstanceType, ...]:
    """The types that are worth their price or come nearest to it, and `own`, in the order of the catalogue."""
    never = [n.instance_type for n in never_worth(free, found)]
    worth = [o.instance_type for o in free.catalogue if o.instance_type not in set(never)]
    kept = {*own, *found.types, *[*worth, *never][:SHORTLIST]}
    return tuple(o for o in free.catalogue if o.instance_type in kept)


def other_architectures(made: Made, problem: PackingProblem) -> list[tuple[str, PackingProblem | Rejection]]:
    """The tasks on an architecture that some of their images are not built for, as if they were."""
    found: list[tuple[str, PackingProblem | Rejection]] = []
    for name, architecture in ARCHITECTURES:
        if all(t.architecture in {None, architecture} for t in problem.tasks):
            continue
        types, _ = offers(made.estate, [architecture], made.settings, made.book)
        tasks = tuple(replace(t, architecture=None) for t in problem.tasks)
        refused = Rejection(name, "no such instance type is among those that were considered")
        most = made.settings.max_instance_types
        found.append(
            (name, PackingProblem(
                tasks, types, problem.zones, problem.survive_zone_loss, most, zone_names=problem.zone_names
            ) if types else refused)
        )  # fmt: skip
    return found


def near_fleets(made: Made, problem: PackingProblem, best: Packing, searches: Searches) -> tuple[NearFleet, ...]:
    """The fleet packed as planned first, then the others; a different fleet that was told already is left out."""
    hypothetical = other_architectures(made, problem)
    rebuilt = {name for name, _ in hypothetical}
    found = [_near(a) for a in near_optimal(problem, best, searches.near) if not _is_told(a, best, rebuilt)]
    for name, variant in hypothetical:
        tried = (
            variant
            if isinstance(variant, Rejection)
            else alternative_to(problem, best, name, variant, searches.near)
        )
        found.append(_near(tried, is_hypothetical=True))
    told: list[NearFleet] = []
    for fleet in found:
        again = fleet.name.startswith("without") and fleet.instances in [other.instances for other in told]
        told += [] if again else [fleet]
    return tuple(told)


def _is_told(found: Alternative | Rejection, best: Packing, rebuilt: set[str]) -> bool:
    if isinstance(found, Rejection):
        return found.what in rebuilt
    return found.packing is best and found.name != "cheapest"


def _near(found: Alternative | Rejection, *, is_hypothetical: bool = False) -> NearFleet:
    if isinstance(found, Rejection):
        return NearFleet(name=found.what, rejected=found.reason, is_hypothetical=is_hypothetical)
    counts: Counter[str] = Counter()
    for line in found.packing.instances:
        counts[line.instance_type] += line.count
    return NearFleet(
        name="packed as planned" if found.name == "cheapest" else found.name,
        usd_per_hour=round(found.packing.usd_per_hour, DECIMALS),
        dearer_by=round(found.dearer_by, 6),
        different=round(min(1.0, max(0.0, found.different)), 6),
        instances=tuple(InstanceCount(instance_type=t, count=n) for t, n in sorted(counts.items())),
        is_hypothetical=is_hypothetical,
    )
