"""The fewest instances that a chosen fleet has to keep at all times, found by replay.

Where spare capacity in proportion does not hold the objective, a candidate keeps its own peak: that holds, and
costs the peak at night too. The least minimum size under which every service still has room for a worse week
lies between; halving finds it in a few replays, so it is looked for once, for the chosen fleet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from planner.candidates import FleetCandidate, Group, Search, option_of, replay_group
from planner.provider_choice import Hosted, keeps_room
from planner.scaling.rounding import wholes
from planner.scaling.search import STRAIN
from planner.workloads import Workload


def keeping_fewer(chosen: FleetCandidate, workloads: Sequence[Workload], search: Search) -> list[FleetCandidate]:
    """`chosen` with smaller minimum sizes where they were raised; empty where it keeps no more than any fleet."""
    groups = tuple(_fewest(group, workloads, search) for group in chosen.groups)
    if all(new.rules.min_size == old.rules.min_size for new, old in zip(groups, chosen.groups, strict=True)):
        return []
    placed = [w for w in workloads if any(w.name in group.services for group in groups)]
    return [FleetCandidate(option_of(placed, groups, search), groups)]


def _fewest(group: Group, workloads: Sequence[Workload], search: Search) -> Group:
    """The group with the least minimum size that leaves every service room; as it is where none does."""
    mine = [w for w in workloads if w.name in group.services]
    services = [_hosted(workload, search) for workload in mine]
    slo, seed = search.settings.slo, search.settings.seed
    best, too_few, enough = group, search.min_size, group.rules.min_size
    if enough <= too_few or not keeps_room(services, group.run, slo):
        return group
    while enough - too_few > 1:
        size = (too_few + enough) // 2
        tried = replay_group(group.offer, mine, replace(group.rules, min_size=size), seed)
        if keeps_room(services, tried.run, slo):
            best, enough = tried, size
        else:
            too_few = size
    return best


def _hosted(workload: Workload, search: Search) -> Hosted:
    served = workload.task_vcpu * search.settings.utilisation
    needed, strained = (
        np.nan_to_num(wholes(workload.demand_vcpu * factor / served)).astype(np.int64)
        for factor in (1.0, 1.0 + STRAIN)
    )
    known = np.isfinite(workload.demand_vcpu)
    return Hosted(workload.task_type, workload.tasks, workload.running, needed, strained, known)
