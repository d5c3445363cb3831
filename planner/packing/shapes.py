"""The problem as arrays: equal tasks grouped to shapes, and only the types that can be part of an answer.

Services whose tasks have equal needs and the same choice of types are one *shape*, because exchanging their
tasks changes nothing. A service with host ports or distinctInstance is a shape of its own, since at most one
of its tasks may be on an instance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from planner.model import InstanceType, Resources, TaskType
from planner.packing.constraints import (
    ARCHITECTURE_ATTRIBUTE,
    INSTANCE_TYPE_ATTRIBUTE,
    InstanceFacts,
    parse_expression,
)
from planner.packing.dimensions import as_row, shortfall_words
from planner.packing.placement import RESERVED_HOST_PORTS
from planner.packing.problem import PackingProblem, Unplaced

UNLIMITED = np.iinfo(np.int64).max // 4
_PORTS_A_WORD = 63


@dataclass(frozen=True)
class Shapes:
    """Arrays over shapes (n) and offered types (t); r is the number of resources that any task needs.

    `needs` (n, r) and `rooms` (t, r) are whole numbers; `most` (n) is how many tasks of a shape one instance
    may hold by rule; `ports` (n, w) are bit sets of host ports that two or more services want; `fits` (n, t);
    `limits` (t) is max_count or UNLIMITED; `prices` (t) USD per hour, `exact_prices` the same decimals exactly.
    """

    members: tuple[tuple[int, ...], ...]
    """Indices into the problem's tasks, one tuple a shape."""
    offers: tuple[InstanceType, ...]
    needs: Any
    most: Any
    ports: Any
    fits: Any
    rooms: Any
    prices: Any
    exact_prices: tuple[Fraction, ...]
    limits: Any
    dimensions: tuple[int, ...]
    """Which columns of `dimensions.DIMENSIONS` the r resources are."""

    @property
    def count(self) -> int:
        return len(self.members)

    def demand(self, counts: Any) -> Any:
        """Tasks a shape from tasks a service."""
        return np.array([sum(int(counts[i]) for i in group) for group in self.members], np.int64)

    def only(self, types: Any) -> Shapes:
        """The same shapes with some of the types, given by index."""
        chosen = [int(t) for t in types]
        return replace(
            self,
            offers=tuple(self.offers[t] for t in chosen),
            fits=np.ascontiguousarray(self.fits[:, chosen]),
            rooms=np.ascontiguousarray(self.rooms[chosen]),
            prices=self.prices[chosen],
            exact_prices=tuple(self.exact_prices[t] for t in chosen),
            limits=self.limits[chosen],
        )

    def part(self, shapes: Any) -> Shapes:
        """Some of the shapes, given by index, and all types that one of them fits on."""
        return replace(
            self,
            members=tuple(self.members[i] for i in shapes),
            needs=np.ascontiguousarray(self.needs[shapes]),
            most=self.most[shapes],
            ports=np.ascontiguousarray(self.ports[shapes]),
            fits=np.ascontiguousarray(self.fits[shapes]),
        )

    def with_limits(self, limits: Any) -> Shapes:
        """The same shapes and types with other numbers still to be bought."""
        return replace(self, limits=limits)


def room_for_tasks(offer: InstanceType, daemons: Resources) -> Resources:
    """What daemon services leave of an instance, never below 0."""
    rest = offer.room - daemons
    return Resources(*(max(0, value) for value in as_row(rest)))  # type: ignore[arg-type]


def allowed_types(problem: PackingProblem) -> Any:
    """(tasks, types) True where architecture and memberOf let the task run, whatever its size."""
    allowed = np.array(
        [
            [t.architecture is None or t.architecture == o.architecture for o in problem.catalogue]
            for t in problem.tasks
        ],
        np.bool_,
    ).reshape(len(problem.tasks), len(problem.catalogue))
    facts = [
        InstanceFacts({INSTANCE_TYPE_ATTRIBUTE: o.instance_type, ARCHITECTURE_ATTRIBUTE: o.architecture.value})
        for o in problem.catalogue
    ]
    for s, task in enumerate(problem.tasks):
        for text in problem.member_of.get(task.service, ()):
            expression = parse_expression(text)
            allowed[s] &= np.array([expression.test(f) for f in facts], np.bool_)
    return allowed


def unplaceable(problem: PackingProblem, allowed: Any) -> dict[int, Unplaced]:
    """Services that no type can ever take, by index, with the reason; and those with nothing to place."""
    rooms = [room_for_tasks(o, problem.daemons) for o in problem.catalogue]
    found: dict[int, Unplaced] = {}
    for s, task in enumerate(problem.tasks):
        reason = _why_never(task, rooms, allowed[s], problem)
        if task.count == 0:
            reason = "count is 0: there is nothing to place"
        if reason:
            found[s] = Unplaced(task.service, task.count, reason)
    return found


def _why_never(task: TaskType, rooms: list[Resources], allowed: Any, problem: PackingProblem) -> str:
    reserved = RESERVED_HOST_PORTS.intersection(task.host_ports)
    if reserved:
        return f"host port {min(reserved)} is kept by the ECS agent on every instance"
    permitted = [(room, o) for room, o, ok in zip(rooms, problem.catalogue, allowed, strict=True) if ok]
    if not permitted:
        return "no instance type of the catalogue meets its architecture or placement constraints"
    fitting = [o for room, o in permitted if task.needs.fits_in(room)]
    if not fitting:
        room, offer = min(permitted, key=lambda pair: _excess(task.needs, pair[0]))
        return (
            f"one task is larger than every permitted instance type; the nearest, {offer.instance_type}, "
            f"falls short: {shortfall_words(task.needs, room)}"
        )
    if all(o.max_count == 0 for o in fitting):
        return "every instance type it fits on has max_count 0"
    return ""


def _excess(need: Resources, room: Resources) -> tuple[int, float]:
    pairs = [(n, r) for n, r in zip(as_row(need), as_row(room), strict=True) if n > r]
    return len(pairs), max((n / max(r, 0.5) for n, r in pairs), default=0.0)


def build_shapes(
    problem: PackingProblem, allowed: Any, left_out: set[int], *, keep_every_type: bool = False
) -> Shapes:
    """Group the tasks that can be placed and drop the types that cannot be part of a cheapest fleet."""
    rooms = np.array([as_row(room_for_tasks(o, problem.daemons)) for o in problem.catalogue], np.int64)
    groups = _groups(problem, allowed, left_out)
    first = [group[0] for group in groups]
    needs = np.array([as_row(problem.tasks[s].needs) for s in first], np.int64).reshape(len(groups), 4)
    fits = allowed[first] & (needs[:, None, :] <= rooms[None, :, :]).all(axis=2)
    types = list(range(len(problem.catalogue))) if keep_every_type else _undominated(problem, rooms, fits)
    dimensions = tuple(int(r) for r in np.flatnonzero(needs.any(axis=0))) or (0,)
    offers = tuple(problem.catalogue[t] for t in types)
    alone = [problem.tasks[s].distinct_instance or bool(problem.tasks[s].host_ports) for s in first]
    return Shapes(
        tuple(groups),
        offers,
        np.ascontiguousarray(needs[:, dimensions]),
        np.where(np.array(alone, np.bool_), 1, UNLIMITED).astype(np.int64),
        _port_sets([problem.tasks[s] for s in first]),
        np.ascontiguousarray(fits[:, types]),
        np.ascontiguousarray(rooms[np.ix_(types, dimensions)]),
        np.array([o.usd_per_hour for o in offers], np.float64),
        tuple(exact_price(o) for o in offers),
        np.array([UNLIMITED if o.max_count is None else o.max_count for o in offers], np.int64),
        dimensions,
    )


def exact_price(offer: InstanceType) -> Fraction:
    """The price as the decimal that people wrote: 0.1 is one tenth, not the nearest binary number."""
    return Fraction(repr(float(offer.usd_per_hour)))


def _groups(problem: PackingProblem, allowed: Any, left_out: set[int]) -> list[tuple[int, ...]]:
    groups: dict[Any, list[int]] = {}
    for s, task in enumerate(problem.tasks):
        if s in left_out:
            continue
        alone = task.distinct_instance or task.host_ports
        key = s if alone else (as_row(task.needs), allowed[s].tobytes())
        groups.setdefault(key, []).append(s)
    return [tuple(group) for group in groups.values()]


def _port_sets(tasks: list[TaskType]) -> Any:
    """Bit sets over the host ports that more than one service wants, 63 ports a word."""
    wanted: dict[int, int] = {}
    for task in tasks:
        for port in task.host_ports:
            wanted[port] = wanted.get(port, 0) + 1
    bit = {port: k for k, port in enumerate(sorted(p for p, n in wanted.items() if n > 1))}
    sets = np.zeros((len(tasks), max(1, -(-len(bit) // _PORTS_A_WORD))), np.int64)
    for s, task in enumerate(tasks):
        for port in task.host_ports:
            if port in bit:
                sets[s, bit[port] // _PORTS_A_WORD] |= 1 << (bit[port] % _PORTS_A_WORD)
    return sets


def _undominated(problem: PackingProblem, rooms: Any, fits: Any) -> list[int]:
    """Types by index, cheapest first, without those that another type replaces one for one.

    A type is replaced by one without max_count that costs no more, has no less of anything, and takes every
    task the first takes.
    """
    prices = [float(o.usd_per_hour) for o in problem.catalogue]
    room_sums = rooms.sum(axis=1)
    order = sorted(range(len(prices)), key=lambda t: (prices[t], -int(room_sums[t]), t))
    kept: list[int] = []
    for t in order:
        offer = problem.catalogue[t]
        if offer.max_count == 0 or not fits[:, t].any():
            continue
        rivals = [k for k in kept if problem.catalogue[k].max_count is None]
        if rivals:
            wider = (rooms[rivals] >= rooms[t]).all(axis=1) & ~(fits[:, [t]] & ~fits[:, rivals]).any(axis=0)
            if wider.any():
                continue
        kept.append(t)
    return kept
