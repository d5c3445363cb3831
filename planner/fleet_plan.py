"""The instances of a plan: new groups, groups that stay, and groups that are given back."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from planner.candidates import Group
from planner.documents.plan import FleetPlan, RetiredProvider, TaskSize
from planner.estate_cost import price_of
from planner.fleet import FleetRules, replay_fleet
from planner.made import DECIMALS, Made, counts_by_hour
from planner.model import CapacityProvider
from planner.workloads import Workload


def provider_name(cluster: str, instance_type: str) -> str:
    """A name that ECS accepts: letters, digits, - and _, not starting with aws, ecs or fargate."""
    name = re.sub(r"[^A-Za-z0-9_-]", "-", f"{cluster}-{instance_type}")[:255]
    return f"cp-{name}"[:255] if re.match(r"(?i)aws|ecs|fargate", name) else name


def _provider_of_type(made: Made, instance_type: str) -> CapacityProvider | None:
    fitting = [p for p in made.estate.capacity_providers if p.instance_types == (instance_type,)]
    return fitting[0] if fitting and fitting[0].auto_scaling_group else None


def _busiest_provider(made: Made) -> CapacityProvider | None:
    groups = [p for p in made.estate.capacity_providers if p.auto_scaling_group]
    return max(groups, key=lambda p: (p.desired_size, p.name), default=None)


def fleet_line(made: Made, group: Group) -> FleetPlan:
    present = _provider_of_type(made, group.offer.instance_type)
    model = _busiest_provider(made)
    name = present.name if present else provider_name(made.estate.cluster, group.offer.instance_type)
    at_start = _instances_for(group, made, {n: _count_at_start(made.workload(n)) for n in group.services})
    held = _rollout(group, made)
    busiest = int(group.run.instances.max())
    most = max(held.instances, at_start, busiest)
    return FleetPlan(
        capacity_provider=name,
        auto_scaling_group=(present.auto_scaling_group or name) if present else name,
        like=None if present or model is None else model.name,
        exists=present is not None,
        instance_type=group.offer.instance_type,
        architecture=group.offer.architecture,
        zones=group.rules.zones,
        room=TaskSize(cpu_units=group.offer.room.cpu_units, memory_mib=group.offer.room.memory_mib),
        min_size=group.rules.min_size,
        max_size=most,
        desired_size=max(at_start, group.rules.min_size),
        typical_size=int(np.median(group.run.instances)),
        instances_by_hour_of_week=counts_by_hour(made, group.run.instances),
        target_capacity_percent=group.rules.target_capacity_percent,
        usd_per_hour=round(group.offer.usd_per_hour, DECIMALS),
        busiest_size=busiest,
        max_size_reason=held.reason(most),
    )


def _count_at_start(workload: Workload) -> int:
    """The autoscaler owns the desired count; the plan only moves it into its limits."""
    scaling = workload.scaling
    if scaling is None:
        return workload.service.desired_count
    return min(max(workload.service.desired_count, scaling.min_capacity), scaling.max_capacity)


@dataclass(frozen=True, slots=True)
class _Rollout:
    """The most that a group may ever have to hold: every service at its own maximum, while the largest of them
    rolls a deployment over itself."""

    tasks: int
    largest: str
    maximum_percent: int
    extra_tasks: int
    instances: int

    def reason(self, most: int) -> str:
        if not self.tasks:
            return "no service runs on it"
        if most > self.instances:
            return f"{most} run already, or ran in the measured weeks"
        rolls = (
            f", while {self.largest}, the largest, rolls a deployment over itself ({self.extra_tasks:,} more at"
            f" maximumPercent {self.maximum_percent})"
        )
        return (
            f"ECS needs {self.instances} instances to place every service at its own maximum, {self.tasks:,} tasks"
            f" together{rolls if self.extra_tasks else ''}; none is started before tasks wait for room"
        )


def _rollout(group: Group, made: Made) -> _Rollout:
    counts = {n: _most_tasks(made.workload(n)) for n in group.services}
    if not counts:
        return _Rollout(0, "", 100, 0, 0)
    largest = max(counts, key=lambda n: (counts[n] * made.workload(n).needs.cpu_units, n))
    percent = made.workload(largest).service.maximum_percent
    extra = counts[largest] * percent // 100 - counts[largest]
    instances = _instances_for(group, made, {**counts, largest: counts[largest] + extra})
    return _Rollout(sum(counts.values()), largest, percent, extra, instances)


def _most_tasks(workload: Workload) -> int:
    return workload.scaling.max_capacity if workload.scaling else workload.service.desired_count


def _instances_for(group: Group, made: Made, counts: dict[str, int]) -> int:
    """Instances on which ECS itself places these counts."""
    rules = FleetRules(group.rules.zones, min_size=1, strategy=group.rules.strategy)
    wanted = {name: np.array([count], np.int64) for name, count in counts.items()}
    tasks = [made.workload(name).task_type for name in counts]
    if not tasks:
        return 0
    return int(replay_fleet(wanted, tasks, group.offer, rules, made.settings.seed).instances[0])


def kept_providers(made: Made) -> list[FleetPlan]:
    """Providers that stay because services were to be kept as they are, at their present size."""
    used = {
        item.capacity_provider
        for w in made.workloads
        if w.scaling is None and not w.on_fargate
        for item in w.service.capacity_provider_strategy
    }
    chosen = {g.offer.instance_type for g in made.chosen.groups}
    return [
        _present_line(made, p)
        for p in made.estate.capacity_providers
        if p.name in used and p.auto_scaling_group and not set(p.instance_types) & chosen
    ]


def _present_line(made: Made, provider: CapacityProvider) -> FleetPlan:
    instance = next(i for i in made.estate.container_instances if i.capacity_provider == provider.name)
    price = price_of(made.book, made.estate.region, instance.instance_type)
    return FleetPlan(
        capacity_provider=provider.name,
        auto_scaling_group=provider.auto_scaling_group or provider.name,
        exists=True,
        instance_type=instance.instance_type,
        architecture=instance.architecture,
        zones=provider.zones,
        room=TaskSize(cpu_units=instance.registered.cpu_units, memory_mib=instance.registered.memory_mib),
        min_size=provider.min_size,
        max_size=provider.max_size,
        desired_size=provider.desired_size,
        typical_size=provider.desired_size,
        target_capacity_percent=provider.managed_scaling.target_capacity_percent,
        usd_per_hour=round(price.usd_per_hour, DECIMALS),
    )


def retired_providers(made: Made, fleet: list[FleetPlan]) -> list[RetiredProvider]:
    staying = {line.capacity_provider for line in fleet}
    counted = [i.capacity_provider for i in made.estate.container_instances]
    return [
        RetiredProvider(
            capacity_provider=p.name,
            auto_scaling_group=p.auto_scaling_group,
            instances=counted.count(p.name),
            reason=f"its services move to {', '.join(sorted(staying))}; it is drained, then set to size 0",
        )
        for p in made.estate.capacity_providers
        if p.auto_scaling_group and p.name not in staying
    ]
