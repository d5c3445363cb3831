"""Whether a fleet of few instances holds all tasks, as it runs and after any zone is lost: an integer program
(HiGHS) over the tasks of each instance.

The tasks that run stay where they are; those of a lost zone find room on the on-demand instances of the others.
Room that is kept for the loss of one zone is kept for the loss of another too.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from planner.packing.clock import Deadline
from planner.packing.problem import PackedInstances, PackingProblem
from planner.packing.shapes import Shapes
from planner.packing.small import run_to_optimum
from planner.packing.whole_program import WholeProgram


@dataclass(frozen=True)
class Fitted:
    instances: tuple[PackedInstances, ...] | None = None
    running: Counter[int] = field(default_factory=Counter)
    """Tasks a unit."""
    is_impossible: bool = False
    """Proved; where neither is known, the search ended before."""


def fit_zones(
    problem: PackingProblem,
    shapes: Shapes,
    counts: list[int],
    on_spot: list[int],
    bought: Any,
    deadline: Deadline,
    nodes: int = 400,
) -> Fitted:
    """Put the tasks on `bought` (zones, types) instances. `counts` and `on_spot` are tasks a service, all of them
    and those that may be on Spot."""
    program = _Program(problem, shapes, counts, on_spot, bought)
    return program.solve(deadline, nodes)


@dataclass
class _Program(WholeProgram):
    """Columns by service and zone: running tasks, those of them that may be on Spot; by instance and shape:
    running tasks, and for every lost zone those taken over."""

    problem: PackingProblem
    shapes: Shapes
    counts: list[int]
    on_spot: list[int]
    bought: Any

    def __post_init__(self) -> None:
        super().__init__()
        zones, services, shapes = self.problem.zones, len(self.counts), self.shapes
        self.hosts = [(z, int(t)) for z in range(zones) for t in np.flatnonzero(self.bought[z])
                      for _ in range(int(self.bought[z, t]))]  # fmt: skip
        self.running = np.zeros((services, zones), np.int32)
        self.loose = np.zeros((services, zones), np.int32)
        for s, (count, free) in enumerate(zip(self.counts, self.on_spot, strict=True)):
            for z in range(zones):
                self.running[s, z] = self._column(0.0, count // zones, -(-count // zones))
                self.loose[s, z] = self._column(0.0, 0, min(free, -(-count // zones)))
        firm = [
            n if self.problem.survive_zone_loss else n - f for n, f in zip(self.counts, self.on_spot, strict=True)
        ]
        most = np.minimum(shapes.demand(firm + self.on_spot), shapes.most)
        used = np.maximum(shapes.needs, 1)
        self.held: dict[tuple[int, int], int] = {}
        self.taken: dict[tuple[int, int, int], int] = {}
        for h, (z, t) in enumerate(self.hosts):
            fit = np.where(shapes.needs > 0, shapes.rooms[t] // used, most[:, None]).min(axis=1)
            for i in np.flatnonzero(shapes.fits[:, t]).tolist():
                top = min(int(most[i]), int(fit[i]))
                self.held[h, i] = self._column(0.0, 0, top)
                if self._may_take_over(i, t):
                    for lost in range(zones):
                        if lost != z:
                            self.taken[h, i, lost] = self._column(0.0, 0, top)
        self._state()

    def _may_take_over(self, i: int, t: int) -> bool:
        is_firm = self.shapes.members[i][0] < len(self.counts)
        return self.problem.survive_zone_loss and is_firm and not self.shapes.offers[t].is_spot

    def _state(self) -> None:
        zones, services = self.problem.zones, len(self.counts)
        for s in range(services):
            self._row(self.counts[s], self.counts[s], dict.fromkeys(self.running[s].tolist(), 1.0))
            self._row(self.on_spot[s], self.on_spot[s], dict.fromkeys(self.loose[s].tolist(), 1.0))
        for z in range(zones):
            for i, group in enumerate(self.shapes.members):
                terms = {self.held[h, i]: 1.0 for h in self._hosts_in(z) if (h, i) in self.held}
                for u in group:
                    if u < services:
                        terms |= {int(self.running[u, z]): -1.0, int(self.loose[u, z]): 1.0}
                    else:
                        terms[int(self.loose[u - services, z])] = -1.0
                self._row(0.0, 0.0, terms)
                if self.problem.survive_zone_loss and group[0] < services:
                    terms = {k: 1.0 for (_, j, lost), k in self.taken.items() if j == i and lost == z}
                    terms |= {int(self.running[u, z]): -1.0 for u in group}
                    self._row(0.0, 0.0, terms)
        for h in range(len(self.hosts)):
            for lost in self._losses(h):
                self._state_host(h, lost)
        self._state_alike()

    def _hosts_in(self, z: int) -> list[int]:
        return [h for h, (zone, _) in enumerate(self.hosts) if zone == z]

    def _losses(self, h: int) -> list[int]:
        """Lost zones for which an instance has a row of its own; -1 for none."""
        return sorted({lost for host, _, lost in self.taken if host == h}) or [-1]

    def _state_host(self, h: int, lost: int) -> None:
        shapes = self.shapes
        here = {i: [self.held[h, i], *([self.taken[h, i, lost]] if (h, i, lost) in self.taken else [])]
                for i in range(shapes.count) if (h, i) in self.held}  # fmt: skip
        for r in range(shapes.needs.shape[1]):
            terms = {k: float(shapes.needs[i, r]) for i, ks in here.items() for k in ks if shapes.needs[i, r]}
            if terms:
                self._row(-self.infinity, float(shapes.rooms[self.hosts[h][1], r]), terms)
        for i, columns in here.items():
            if shapes.most[i] == 1:
                self._row(0.0, 1.0, dict.fromkeys(columns, 1.0))
        for word in range(shapes.ports.shape[1]):
            for bit in range(63):
                wanting = [i for i in here if int(shapes.ports[i, word]) >> bit & 1]
                if len(wanting) > 1:
                    self._row(0.0, 1.0, {k: 1.0 for i in wanting for k in here[i]})

    def _state_alike(self) -> None:
        """Equal instances may come in the order of what they run."""
        for h in range(1, len(self.hosts)):
            if self.hosts[h] == self.hosts[h - 1]:
                first = next((i for i in range(self.shapes.count) if (h, i) in self.held), None)
                if first is not None:
                    self._row(0.0, self.infinity, {self.held[h - 1, first]: 1.0, self.held[h, first]: -1.0})

    def solve(self, deadline: Deadline, nodes: int) -> Fitted:
        run_to_optimum(self.solver, nodes, deadline)
        status = str(self.solver.getModelStatus()).rsplit(".", 1)[-1]
        if status == "kInfeasible":
            return Fitted(is_impossible=True)
        answer = self.solver.getSolution()
        if not answer.value_valid or len(answer.col_value) != self.solver.getNumCol():
            return Fitted()
        return self._named(np.round(np.array(answer.col_value)).astype(np.int64))

    def _named(self, values: Any) -> Fitted:
        """The instances with the names of their tasks; tasks of a shape are handed out service by service."""
        services, zones = len(self.counts), self.problem.zones
        running, loose = values[self.running], values[self.loose]
        waiting = {
            z: {u: int(running[u, z] - loose[u, z]) if u < services else int(loose[u - services, z])
                for group in self.shapes.members for u in group}
            for z in range(zones)
        }  # fmt: skip
        lost_tasks = {z: {s: int(running[s, z]) for s in range(services)} for z in range(zones)}
        lines: Counter[Any] = Counter()
        for h, (z, t) in enumerate(self.hosts):
            tasks: Counter[str] = Counter()
            over: dict[str, Counter[str]] = {}
            for i in range(self.shapes.count):
                if (h, i) in self.held:
                    self._hand_out(i, int(values[self.held[h, i]]), waiting[z], tasks)
                for lost in range(zones):
                    if (h, i, lost) in self.taken:
                        into = over.setdefault(self.problem.zone_name(lost), Counter())
                        self._hand_out(i, int(values[self.taken[h, i, lost]]), lost_tasks[lost], into)
            variant = self.shapes.offers[t]
            named = tuple(sorted((name, tuple(sorted(c.items()))) for name, c in over.items() if c.total()))
            lines[variant.instance_type, self.problem.zone_name(z), variant.purchase,
                  tuple(sorted(tasks.items())), named] += 1  # fmt: skip
        instances = tuple(
            PackedInstances(name, zone, n, dict(tasks), {}, purchase, {lost: dict(over) for lost, over in named})
            for (name, zone, purchase, tasks, named), n in sorted(lines.items())
        )
        sums: Counter[int] = Counter()
        for s in range(services):
            sums[s] = int(running[s].sum() - loose[s].sum())
            sums[s + services] = int(loose[s].sum())
        return Fitted(instances, sums)

    def _hand_out(self, i: int, wanted: int, waiting: dict[int, int], into: Counter[str]) -> None:
        for u in self.shapes.members[i]:
            n = min(wanted, waiting[u])
            if n > 0:
                into[self.problem.tasks[u % len(self.counts)].service] += n
                waiting[u] -= n
                wanted -= n
