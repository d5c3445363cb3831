"""Fleets that could serve the workloads, each replayed as ECS would run it, with its cost and attainment.

Hundreds of instance types are ranked by a bound that no placement can beat (`fluid_instances`); the best
of them, and the best of each further family so that "why not m7i?" has an answer, are replayed in full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from planner.decide import Option
from planner.fleet import (
    FleetRules,
    FleetRun,
    fluid_instances,
    misfits,
    replay_fleet,
    scarcest,
    usual_strategy,
)
from planner.model import FleetLine, InstanceType, Rejection, TaskType
from planner.packing import parse_strategy, place
from planner.settings import Settings
from planner.units import UsdPerHour
from planner.workloads import Workload, attainment, capacity_vcpu

BEST_OVERALL = 5
BEST_OF_OTHER_FAMILIES = 5
TARGET_CAPACITIES = (100, 95, 90, 80, 70)
"""Percent; under 100 keeps spare instances, so tasks wait less for a boot."""


@dataclass(frozen=True, slots=True)
class Group:
    """One capacity provider of a candidate with what its replay did."""

    offer: InstanceType
    services: tuple[str, ...]
    rules: FleetRules
    run: FleetRun

    @property
    def usd_per_hour(self) -> UsdPerHour:
        """The mean over the replayed minutes."""
        return UsdPerHour(self.run.mean_instances * self.offer.usd_per_hour)


@dataclass(frozen=True, slots=True)
class FleetCandidate:
    option: Option
    groups: tuple[Group, ...]

    def pending(self) -> Mapping[str, NDArray[np.int64]]:
        return _pending(self.groups)


def _pending(groups: Sequence[Group]) -> Mapping[str, NDArray[np.int64]]:
    """Tasks that waited for room by service, over all groups."""
    return {service: waiting for group in groups for service, waiting in group.run.pending.items()}


@dataclass(frozen=True, slots=True)
class Search:
    """What the search needs to know beside the workloads."""

    catalogue: tuple[InstanceType, ...]
    zones: tuple[str, ...]
    settings: Settings
    fixed_usd_per_hour: UsdPerHour
    """What the candidate pays whatever its instances: load balancers, Fargate tasks."""

    @property
    def min_size(self) -> int:
        """Two zones keep a service up when one instance dies; surviving a zone needs every zone."""
        return len(self.zones) if self.settings.survive_zone_loss else min(2, len(self.zones))

    @property
    def target_capacities(self) -> tuple[int, ...]:
        if not self.settings.survive_zone_loss or len(self.zones) < 2:
            return TARGET_CAPACITIES
        # With n zones, what is left after a loss is (n - 1) / n of the fleet; it must hold everything, and where
        # that leaves room in pieces too small for a task, somewhat less does.
        most = 100 * (len(self.zones) - 1) // len(self.zones)
        return tuple(most * t // 100 for t in TARGET_CAPACITIES)

    def rules(self, target_capacity_percent: int) -> FleetRules:
        return FleetRules(
            zones=self.zones,
            min_size=self.min_size,
            target_capacity_percent=target_capacity_percent,
        )


def search_fleets(
    workloads: Sequence[Workload], search: Search, on_candidate: Callable[[], None] = lambda: None
) -> list[FleetCandidate]:
    """Candidates with one instance type an architecture, then with two types; empty when nothing runs on
    instances."""
    placed = [w for w in workloads if not w.on_fargate and w.scaling is not None]
    ranked = {
        a: rank([w for w in placed if w.architecture == a], search)
        for a in sorted({w.architecture for w in placed})
    }
    found: list[FleetCandidate] = []
    choices = {a: _worth_replaying(r) for a, r in ranked.items()}
    for row in range(max((len(c) for c in choices.values()), default=0)):
        offers = {a: c[min(row, len(c) - 1)] for a, c in choices.items() if c}
        if len(offers) == len(choices):
            assigned = {w.name: offers[w.architecture].instance_type for w in placed}
            found += _with_enough_capacity(placed, {o.instance_type: o for o in offers.values()}, assigned, search)
        on_candidate()
    if search.settings.max_instance_types > 1 and len(ranked) == 1:
        (only,) = ranked.values()
        for pair in combinations([offer for _, offer in _best_by_shape(only)], 2):
            assigned = _cheaper_of(placed, pair)
            if len(set(assigned.values())) > 1:
                found += _with_enough_capacity(placed, {o.instance_type: o for o in pair}, assigned, search)
                on_candidate()
    return found


def rank(workloads: Sequence[Workload], search: Search) -> list[tuple[float, InstanceType]]:
    """Types that can take every task, by their unbeatable mean cost, cheapest first."""
    tasks = [w.task_type for w in workloads]
    able = [offer for offer in search.catalogue if not misfits(tasks, offer)]
    costs = [(_fluid_usd(workloads, offer, search.min_size), offer) for offer in able]
    return sorted(costs, key=lambda pair: (pair[0], pair[1].instance_type))


def _fluid_usd(workloads: Sequence[Workload], offer: InstanceType, min_size: int) -> float:
    """Mean USD per hour under which these workloads cannot run on this type."""
    counts = {w.name: w.tasks for w in workloads}
    least = np.maximum(fluid_instances(counts, [w.task_type for w in workloads], offer), min_size)
    return float(least.mean()) * offer.usd_per_hour


def impossible(workloads: Sequence[Workload], catalogue: Iterable[InstanceType]) -> list[Rejection]:
    """Services that no type in the catalogue can take."""
    offers = list(catalogue)
    return [
        Rejection(w.name, f"no instance type that was considered holds one task of {w.needs.cpu_units} CPU units "
                  f"and {w.needs.memory_mib} MiB on {w.architecture.value}")
        for w in workloads
        if not w.on_fargate and all(misfits([w.task_type], offer) for offer in offers)
    ]  # fmt: skip


def _family(offer: InstanceType) -> str:
    return offer.instance_type.partition(".")[0]


def _worth_replaying(ranked: list[tuple[float, InstanceType]]) -> list[InstanceType]:
    best = [offer for _, offer in ranked[:BEST_OVERALL]]
    families = {_family(offer) for offer in best}
    for _, offer in ranked[BEST_OVERALL:]:
        if len(best) >= BEST_OVERALL + BEST_OF_OTHER_FAMILIES:
            break
        if _family(offer) not in families:
            families.add(_family(offer))
            best.append(offer)
    return best


def _best_by_shape(ranked: list[tuple[float, InstanceType]]) -> list[tuple[float, InstanceType]]:
    """The best type of each memory-to-CPU shape: pairs of one shape gain nothing."""
    shapes: dict[int, tuple[float, InstanceType]] = {}
    for cost, offer in ranked:
        shape = round(offer.room.memory_mib / max(1, offer.room.cpu_units))
        shapes.setdefault(shape, (cost, offer))
    return sorted(shapes.values(), key=lambda pair: pair[0])[:4]


def _cheaper_of(workloads: Sequence[Workload], pair: tuple[InstanceType, InstanceType]) -> dict[str, str]:
    """Each service on the type of which it uses the cheaper part."""

    def part(workload: Workload, offer: InstanceType) -> float:
        need, room = workload.needs, offer.room
        return offer.usd_per_hour * max(need.cpu_units / room.cpu_units, need.memory_mib / room.memory_mib)

    def cheaper(workload: Workload) -> str:
        return min(pair, key=lambda offer: (part(workload, offer), offer.instance_type)).instance_type

    return {w.name: cheaper(w) for w in workloads}


def _with_enough_capacity(
    workloads: Sequence[Workload], offers: Mapping[str, InstanceType], assigned: Mapping[str, str], search: Search
) -> list[FleetCandidate]:
    """The candidate at each target capacity until the objective holds; the others are told, not taken.

    Where spare capacity in proportion does not hold it, the fleet never shrinks below its own peak.
    """
    tried: list[FleetCandidate] = []
    for target in search.target_capacities:
        tried.append(replay_candidate(workloads, offers, assigned, search.rules(target), search))
        if _holds(tried[-1], search):
            return tried
    peak = {g.offer.instance_type: int(g.run.instances.max()) for g in tried[0].groups}
    tried.append(
        replay_candidate(workloads, offers, assigned, search.rules(search.target_capacities[0]), search, peak)
    )
    return tried


def _holds(candidate: FleetCandidate, search: Search) -> bool:
    kept = candidate.option.attainment
    return candidate.option.impossible is None and kept is not None and kept >= search.settings.slo


def replay_candidate(
    workloads: Sequence[Workload],
    offers: Mapping[str, InstanceType],
    assigned: Mapping[str, str],
    rules: FleetRules,
    search: Search,
    min_sizes: Mapping[str, int] | None = None,
) -> FleetCandidate:
    """Run each type's services on a fleet of that type. `assigned`: service -> instance type; `min_sizes`
    raises the rules' minimum by type; each fleet packs by what its services are shortest of."""

    def group(offer: InstanceType) -> Group:
        least = max(rules.min_size, (min_sizes or {}).get(offer.instance_type, 0))
        mine = [w for w in workloads if assigned[w.name] == offer.instance_type]
        short_of = scarcest({w.name: w.tasks for w in mine}, [w.task_type for w in mine], offer)
        placed = usual_strategy(short_of, rules.target_capacity_percent)
        return replay_group(offer, mine, replace(rules, min_size=least, strategy=placed), search.settings.seed)

    groups = tuple(group(offer) for offer in sorted(offers.values(), key=lambda o: o.instance_type))
    return FleetCandidate(option_of(workloads, groups, search), groups)


def replay_group(offer: InstanceType, workloads: Sequence[Workload], rules: FleetRules, seed: int) -> Group:
    counts = {w.name: w.tasks for w in workloads}
    run = replay_fleet(counts, [w.task_type for w in workloads], offer, rules, seed)
    return Group(offer, tuple(w.name for w in workloads), rules, run)


def tasks_at(group: Group, workloads: Sequence[Workload], minute: int) -> list[TaskType]:
    """What ran on a group's instances in one minute."""
    return [
        replace(w.task_type, count=int(w.tasks[minute] - group.run.pending[w.name][minute]))
        for w in workloads
        if w.name in group.services
    ]


def fleet_at(group: Group, instances: int) -> list[FleetLine]:
    """`instances` of the group's type spread evenly over its zones, as an Auto Scaling group keeps them."""
    zones = group.rules.zones
    sizes = [instances // len(zones) + (index < instances % len(zones)) for index in range(len(zones))]
    return [
        FleetLine(group.offer.instance_type, zone, size, group.offer.room, group.offer.usd_per_hour)
        for zone, size in zip(zones, sizes, strict=True)
        if size
    ]


def lost_zone(workloads: Sequence[Workload], group: Group) -> str | None:
    """Why the group would not survive the loss of a zone at its busiest minute; None where it does."""
    minute = int(np.argmax(group.run.instances))
    fleet = fleet_at(group, int(group.run.instances[minute]))
    for zone in group.rules.zones:
        left = [line for line in fleet if line.zone != zone]
        result = place(tasks_at(group, workloads, minute), left, parse_strategy(group.rules.strategy))
        if result.unplaced:
            first = result.unplaced[0]
            return f"without {zone}, {first.count} tasks of {first.service} find no room at the busiest minute"
    return None


def option_of(workloads: Sequence[Workload], groups: tuple[Group, ...], search: Search) -> Option:
    names = " and ".join(g.offer.instance_type for g in groups)
    target = groups[0].rules.target_capacity_percent
    pending = _pending(groups)
    kept = [attainment(w, capacity_vcpu(w, pending), search.settings.utilisation) for w in workloads]
    sizes = ", ".join(
        f"{int(g.run.instances.min())} to {int(g.run.instances.max())} x {g.offer.instance_type}" for g in groups
    )
    bounds = [
        _fluid_usd(w, g.offer, g.rules.min_size)
        for g in groups
        if (w := [w for w in workloads if w.name in g.services])
    ]
    return Option(
        name=f"{names}, target capacity {target} %{_never_below(groups, search)}",
        description=f"{sizes}; placed {' and '.join(dict.fromkeys(g.rules.strategy for g in groups))}",
        usd_per_hour=UsdPerHour(sum(g.usd_per_hour for g in groups) + search.fixed_usd_per_hour),
        attainment=min(kept, default=1.0),
        lower_bound_usd_per_hour=UsdPerHour(sum(bounds) + search.fixed_usd_per_hour),
        impossible=_would_not_survive(workloads, groups) if search.settings.survive_zone_loss else None,
    )


def _would_not_survive(workloads: Sequence[Workload], groups: tuple[Group, ...]) -> str | None:
    return next((reason for group in groups if (reason := lost_zone(workloads, group))), None)


def _never_below(groups: tuple[Group, ...], search: Search) -> str:
    raised = [g for g in groups if g.rules.min_size > search.min_size]
    return f", never under {' and '.join(str(g.rules.min_size) for g in raised)}" if raised else ""
