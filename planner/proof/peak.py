"""The busiest minute of a finished planning as packing problems."""

from __future__ import annotations

from dataclasses import dataclass, replace

from planner.candidates import Group, tasks_at
from planner.made import Made, busiest_minute
from planner.model import TaskType
from planner.packing import PackingProblem, parse_strategy


@dataclass(frozen=True, slots=True)
class Peak:
    made: Made
    minute: int
    tasks: tuple[TaskType, ...]

    @classmethod
    def of(cls, made: Made) -> Peak:
        minute = busiest_minute(made)
        tasks = tuple(t for g in made.chosen.groups for t in tasks_at(g, made.workloads, minute) if t.count)
        return cls(made, minute, tasks)

    @property
    def groups(self) -> tuple[Group, ...]:
        return self.made.chosen.groups

    @property
    def zones(self) -> tuple[str, ...]:
        return self.made.search.zones

    @property
    def survives(self) -> bool:
        return self.made.settings.survive_zone_loss and len(self.zones) > 1

    @property
    def is_even(self) -> bool:
        """ECS keeps every service even over the zones: the strategies spread before they pack."""
        first = [parse_strategy(g.rules.strategy)[0].kind for g in self.groups]
        return len(self.zones) > 1 and all(kind == "spread" for kind in first)

    @property
    def most_types(self) -> int:
        """What was asked for, and at least one type an architecture."""
        architectures = {t.architecture for t in self.tasks if t.architecture is not None}
        return max(self.made.settings.max_instance_types, len(architectures))

    def problem(self) -> PackingProblem:
        """Whose bound the proof quotes. It leaves the evenness over zones out, so it holds for any spread; with
        the loss of a zone it is that of all fleets that survive it."""
        plain = PackingProblem(self.tasks, self.made.search.catalogue, max_types=self.most_types)
        return self.in_zones(plain) if self.survives else plain

    def in_zones(self, problem: PackingProblem) -> PackingProblem:
        return replace(problem, zones=len(self.zones), survive_zone_loss=self.survives, zone_names=self.zones)

    def own(self, group: Group, *, in_zones: bool) -> PackingProblem:
        """A group's tasks on its own type."""
        mine = tuple(t for t in self.tasks if t.service in group.services)
        plain = PackingProblem(mine, (group.offer,))
        return self.in_zones(plain) if in_zones else plain

    def instances(self, group: Group) -> int:
        return int(group.run.instances[self.minute])

    @property
    def all_instances(self) -> int:
        return sum(self.instances(g) for g in self.groups)

    @property
    def usd_per_hour(self) -> float:
        return sum(self.instances(g) * g.offer.usd_per_hour for g in self.groups)
