"""The bound, the fleet of the busiest minute, and the certificate that tells what lies between."""

from __future__ import annotations

from dataclasses import replace

from planner.documents.packing import AddedCost, Certificate, PackingProof, StrategyCost, TaskCost
from planner.made import DECIMALS, Made
from planner.packing import Packing, PackingProblem
from planner.proof.near import (
    near_fleets,
    other_architectures,
    rule_costs,
    shortlist,
    types_never_worth,
    without_own_types,
)
from planner.proof.peak import Peak
from planner.proof.searches import Effort, Searches
from planner.proof.steps import ORDERS, added_costs, orders_placed, rolling_deployments
from planner.proof.words import statement


def prove(made: Made, effort: Effort) -> PackingProof:
    """The chosen fleet at its busiest minute against the cheapest possible one for the same tasks."""
    peak = Peak.of(made)
    if not peak.tasks:
        return PackingProof(
            status="nothing to pack", usd_per_hour=0, lower_bound_usd_per_hour=0, gap=0,
            statement="No service of this plan runs on instances, so there is nothing to pack.",
        )  # fmt: skip
    searches = Searches(made.settings.solver_seconds, made.settings.seed, effort)
    problem = peak.problem()
    in_zones = peak.in_zones(problem) if peak.is_even and not peak.survives else None
    if effort.is_whole:
        _search_side_by_side(peak, problem, in_zones, searches)
    best = searches.exact(problem)
    running = peak.usd_per_hour
    bound = min(best.lower_bound_usd_per_hour, running)
    added = added_costs(peak, best, in_zones, bound, searches) if effort.is_whole else ()
    return PackingProof(
        status=best.status,
        usd_per_hour=round(running, DECIMALS),
        lower_bound_usd_per_hour=round(bound, DECIMALS),
        gap=round(max(0.0, running / bound - 1), 6) if bound else 0.0,
        premium_usd_per_hour=max(0.0, round(running - best.usd_per_hour, DECIMALS)),
        statement=statement(peak, bound, added),
        certificate=_certificate(peak, problem, in_zones, best, added, searches) if effort.is_whole else None,
    )


def _search_side_by_side(
    peak: Peak, problem: PackingProblem, in_zones: PackingProblem | None, searches: Searches
) -> None:
    """Everything that the certificate is going to ask for. Two types are sought among those that come nearest to
    paying, where that is a question of its own: among all it takes longer than everything else together."""
    free = replace(problem, max_types=None)
    searches.together([problem], [free, *([in_zones] if in_zones is not None else [])])
    own = {g.offer.instance_type for g in peak.groups}
    others = [variant for _, variant in other_architectures(peak.made, problem)]
    two = replace(problem, max_types=2)
    few = replace(two, catalogue=shortlist(free, searches.near(free), own))
    searches.together(
        [],
        [
            *([] if two == problem else [few]),
            replace(problem, max_types=1),
            *without_own_types(problem, own),
            *(variant for variant in others if isinstance(variant, PackingProblem)),
        ],
    )
    if two != problem:
        searches.stand_in(two, few)


def _certificate(
    peak: Peak,
    problem: PackingProblem,
    in_zones: PackingProblem | None,
    best: Packing,
    added: tuple[AddedCost, ...],
    searches: Searches,
) -> Certificate:
    made = peak.made
    prices = sorted(best.task_prices.items(), key=lambda pair: (-pair[1], pair[0]))
    # Asked for first, so that `ended_by_clock` counts every search.
    rules, never = rule_costs(problem, best, in_zones, searches), types_never_worth(problem, best, searches)
    near = near_fleets(made, problem, best, searches)
    return Certificate(
        at=made.grid.index[peak.minute].to_pydatetime(),
        tasks=sum(t.count for t in peak.tasks),
        instances=peak.all_instances,
        added=added,
        orders_replayed=ORDERS,
        orders_placed=orders_placed(peak),
        task_costs=tuple(TaskCost(service=s, usd_per_hour=round(usd, DECIMALS)) for s, usd in prices),
        rule_costs=rules,
        never_worth=never,
        near=near,
        strategies=_strategies(made),
        deployments=rolling_deployments(peak),
        searches=searches.count,
        searches_ended_by_clock=searches.ended_by_clock,
    )


def _strategies(made: Made) -> tuple[StrategyCost, ...]:
    """The chosen instances under each placement strategy that was replayed, the cheapest first."""
    reasons = {option.name: rejection.reason for option, rejection in made.decision.rejected}
    found = [
        StrategyCost(
            strategy=" and ".join(dict.fromkeys(g.rules.strategy for g in candidate.groups)),
            usd_per_hour=round(candidate.option.usd_per_hour or 0.0, DECIMALS),
            attainment=candidate.option.attainment,
            rejected=reasons.get(candidate.option.name),
        )
        for candidate in made.by_strategy
    ]
    return tuple(sorted(found, key=lambda s: (s.usd_per_hour, s.strategy)))
