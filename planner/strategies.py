"""The chosen fleet under the other placement strategies, so that the one that strands least is taken.

Which strategy needs the fewest instances is no matter of rules of thumb: it depends on the shapes of the tasks
and on how their numbers rise and fall, so each is replayed over the same minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from planner.candidates import FleetCandidate, Group, Search, option_of, replay_group
from planner.decide import Option
from planner.workloads import Workload

SPREADING = ("spread:az,binpack:memory", "spread:az,binpack:cpu", "spread:az")
"""Keep each service even over the zones."""
PACKING = ("binpack:memory,spread:az", "binpack:cpu,spread:az")
"""Zones only break ties."""


def under_other_strategies(
    chosen: FleetCandidate, workloads: Sequence[Workload], search: Search
) -> list[FleetCandidate]:
    """`chosen` replayed under every other strategy; those that give up the spread over zones are told with
    their cost and marked as impossible."""
    if not chosen.groups:
        return []
    if chosen.groups[0].rules.target_capacity_percent < 100:
        return _tried(PACKING, chosen, workloads, search)
    packing = [_without_spread(c) for c in _tried(PACKING, chosen, workloads, search)]
    return [*_tried(SPREADING, chosen, workloads, search), *(packing if len(search.zones) > 1 else [])]


def _tried(
    strategies: Sequence[str], chosen: FleetCandidate, workloads: Sequence[Workload], search: Search
) -> list[FleetCandidate]:
    taken = {group.rules.strategy for group in chosen.groups}
    return [_under(s, chosen, workloads, search) for s in strategies if {s} != taken]


def _under(strategy: str, chosen: FleetCandidate, workloads: Sequence[Workload], search: Search) -> FleetCandidate:
    def again(group: Group) -> Group:
        mine = [w for w in workloads if w.name in group.services]
        return replay_group(group.offer, mine, replace(group.rules, strategy=strategy), search.settings.seed)

    groups = tuple(again(group) for group in chosen.groups)
    option = option_of([w for w in workloads if any(w.name in g.services for g in groups)], groups, search)
    return FleetCandidate(replace(option, name=f"{option.name}, placed {strategy}"), groups)


def _without_spread(candidate: FleetCandidate) -> FleetCandidate:
    reason = "it packs before it spreads, so that all tasks of a service may stand in one zone"
    option: Option = replace(candidate.option, impossible=candidate.option.impossible or reason)
    return replace(candidate, option=option)
