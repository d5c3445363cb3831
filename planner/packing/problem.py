"""What is packed onto what, what a packing is, and the checks of the problem itself."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from planner.model import ON_DEMAND, SPOT, FleetLine, InstanceType, Resources, TaskType
from planner.packing.constraints import LAUNCH_ATTRIBUTES, ConstraintError, Expression, parse_expression
from planner.packing.dimensions import DIMENSIONS
from planner.units import Share, UsdPerHour

MAX_SIZE: Final = 10**9
"""Sizes above this (a million vCPU, a PiB of memory) are taken for a slip of the pen."""
MAX_COUNT: Final = 10_000_000
MAX_PRICE: Final = 1e9


class ProblemError(ValueError):
    """The problem as stated cannot be packed; the message says what to change."""


@dataclass(frozen=True, slots=True)
class SpotRule:
    """How much may run on Spot, and how it is spread over pools. A pool is one instance type in one zone.

    At most `share` of the tasks of each service (rounded down) run on Spot instances. These use at least
    `min_pools` pools, and no pool has more than `max_pool_share` of all CPU units of the Spot instances.
    """

    share: Share
    min_pools: int = 1
    max_pool_share: Share = Share(1.0)


@dataclass(frozen=True, slots=True)
class PackingProblem:
    """Tasks to place, types that can be bought, and the rules the fleet must keep.

    `zones`: the tasks of each service are spread evenly, their numbers differing by at most one. With
    `survive_zone_loss` the on-demand instances also have room kept free, so that after the loss of any one
    zone the tasks that ran there all fit on the other zones, beside those that run there. `max_types` limits
    the different types in the fleet.
    `spare_instances` adds that many instances beyond the tasks' need, each able to take over any one
    instance of the fleet. `daemons` is what daemon services take on every instance.
    `member_of[service]` lists memberOf expressions over attributes that an instance type fixes, beside those
    that the tasks themselves carry. `daemon_tasks` run once on every instance that their architecture and
    constraints allow; their count means nothing.

    `running` are the instances that are there already. Each that the fleet has beyond them is started, and
    starting one costs `moving_usd_per_hour`: the price of the move spread over the hours it has to pay for.
    """

    tasks: tuple[TaskType, ...]
    catalogue: tuple[InstanceType, ...]
    zones: int = 1
    survive_zone_loss: bool = False
    max_types: int | None = None
    spare_instances: int = 0
    daemons: Resources = field(default_factory=Resources)
    member_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    zone_names: tuple[str, ...] = ()
    daemon_tasks: tuple[TaskType, ...] = ()
    spot: SpotRule | None = None
    running: tuple[FleetLine, ...] = ()
    moving_usd_per_hour: UsdPerHour = UsdPerHour(0.0)

    def __post_init__(self) -> None:
        _check_rules(self)
        _check_tasks((*self.tasks, *self.daemon_tasks))
        _check_catalogue(self.catalogue)
        _check_spot(self)
        _check_running(self)
        for task in (*self.tasks, *self.daemon_tasks):
            self.constraints_of(task)

    def zone_name(self, zone: int) -> str:
        return self.zone_names[zone] if self.zone_names else f"zone-{zone + 1}"

    def constraints_of(self, task: TaskType) -> tuple[Expression, ...]:
        """Its memberOf expressions. Raises ProblemError for one that an instance type cannot answer."""
        texts = (*task.member_of, *self.member_of.get(task.service, ()))
        return tuple(_type_constraint(task.service, text, self.catalogue) for text in texts)


def _type_constraint(service: str, text: str, catalogue: tuple[InstanceType, ...]) -> Expression:
    try:
        expression = parse_expression(text)
    except ConstraintError as error:
        raise ProblemError(f"service {service}: {error}") from None
    if not expression.is_static or "ec2InstanceId" in text:
        raise ProblemError(
            f"service {service}: packing by task:group, runningTasksCount or ec2InstanceId is not supported yet, "
            "because they are not known before tasks start: use attributes, or replay the fleet"
        )
    for name in sorted(expression.attributes & LAUNCH_ATTRIBUTES):
        if not all(name in dict(offer.attributes) for offer in catalogue):
            raise ProblemError(
                f"service {service}: packing by attribute {name} is not supported yet, because an instance type "
                "does not tell it: give it as an attribute of every type, or leave the constraint out"
            )
    return expression


def _check_rules(problem: PackingProblem) -> None:
    if problem.zones < 1:
        raise ProblemError(f"zones is {problem.zones}: at least one zone is needed")
    if problem.survive_zone_loss and problem.zones < 2:
        raise ProblemError("surviving the loss of a zone needs at least two zones: set zones to 2 or more")
    if problem.max_types is not None and problem.max_types < 1:
        raise ProblemError(f"max_types is {problem.max_types}: at least one instance type is needed")
    if problem.spare_instances < 0:
        raise ProblemError(f"spare_instances is {problem.spare_instances}: it cannot be negative")
    if problem.zone_names and len(set(problem.zone_names)) != problem.zones:
        raise ProblemError(f"{problem.zones} different zone names are needed, one a zone")


def _check_spot(problem: PackingProblem) -> None:
    rule = problem.spot
    if rule is None:
        return
    if not (math.isfinite(rule.share) and 0.0 <= rule.share <= 1.0):
        raise ProblemError(f"the share of Spot is {rule.share}: it is a number from 0 to 1")
    if not (math.isfinite(rule.max_pool_share) and 0.0 < rule.max_pool_share <= 1.0):
        raise ProblemError(f"the largest share of a Spot pool is {rule.max_pool_share}: it is above 0, up to 1")
    if rule.min_pools < 1:
        raise ProblemError(f"Spot needs at least one pool, not {rule.min_pools}")
    if rule.share > 0.0 and all(offer.spot_usd_per_hour is None for offer in problem.catalogue):
        raise ProblemError("no instance type has a Spot price: give spot_usd_per_hour, or a Spot share of 0")


def _check_running(problem: PackingProblem) -> None:
    offers = {offer.instance_type: offer for offer in problem.catalogue}
    zones = {problem.zone_name(z) for z in range(problem.zones)}
    for line in problem.running:
        if line.count < 0:
            raise ProblemError(f"the running fleet has {line.count} of {line.instance_type}")
        if line.instance_type not in offers:
            raise ProblemError(
                f"instance type {line.instance_type} is running but has no row in the catalogue: add it with its "
                "price, or leave it out of the running instances"
            )
        if line.zone not in zones:
            raise ProblemError(
                f"an instance runs in zone {line.zone}, but the zones are {', '.join(sorted(zones))}"
            )
        if line.purchase not in {ON_DEMAND, SPOT}:
            raise ProblemError(f"{line.purchase} is not a way to buy: use {ON_DEMAND} or {SPOT}")
    price = problem.moving_usd_per_hour
    if not (math.isfinite(price) and 0.0 <= price <= MAX_PRICE):
        raise ProblemError(f"the price of moving is {price}: it is USD per hour from 0")


def _check_tasks(tasks: tuple[TaskType, ...]) -> None:
    _refuse_repeated((task.service for task in tasks), "service")
    for task in tasks:
        if not 0 <= task.count <= MAX_COUNT:
            raise ProblemError(f"service {task.service}: count {task.count} is not from 0 to {MAX_COUNT:,}")
        _check_sizes(f"service {task.service}", task.needs)
        wrong = [port for port in task.host_ports if not 1 <= port <= 65535]
        if wrong or len(set(task.host_ports)) != len(task.host_ports):
            raise ProblemError(f"service {task.service}: host ports must be different, from 1 to 65535")


def _check_catalogue(catalogue: tuple[InstanceType, ...]) -> None:
    if not catalogue:
        raise ProblemError("the catalogue has no instance type: at least one with a price is needed")
    _refuse_repeated((offer.instance_type for offer in catalogue), "instance type")
    for offer in catalogue:
        _check_sizes(f"instance type {offer.instance_type}", offer.room)
        price = offer.usd_per_hour
        if not (math.isfinite(price) and 0 < price <= MAX_PRICE):
            raise ProblemError(
                f"instance type {offer.instance_type} has no usable price ({price}): give USD per hour above 0"
            )
        spot = offer.spot_usd_per_hour
        if spot is not None and not (math.isfinite(spot) and 0 < spot <= MAX_PRICE):
            raise ProblemError(f"instance type {offer.instance_type} has no usable Spot price ({spot})")
        if offer.max_count is not None and offer.max_count < 0:
            raise ProblemError(f"instance type {offer.instance_type}: max_count cannot be negative")


def _check_sizes(what: str, sizes: Resources) -> None:
    for name in DIMENSIONS:
        value = getattr(sizes, name)
        if not isinstance(value, int) or not 0 <= value <= MAX_SIZE:
            raise ProblemError(f"{what}: {name} {value} is not a whole number from 0 to {MAX_SIZE:,}")


def _refuse_repeated(names: object, what: str) -> None:
    repeated = [name for name, n in Counter(names).items() if n > 1]  # type: ignore[call-overload]
    if repeated:
        raise ProblemError(f"{what} {repeated[0]} is listed twice: give each one row")


@dataclass(frozen=True, slots=True)
class Unplaced:
    """`count` tasks of a service that were not placed, and why."""

    service: str
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class PackedInstances:
    """`count` equal instances in one zone. `tasks` run on each of them; `standby` are places kept free on each
    for tasks of any zone that is lost, `takes_over` the tasks that each takes over when the zone named is lost,
    in room that is shared between losses."""

    instance_type: str
    zone: str
    count: int
    tasks: Mapping[str, int]
    standby: Mapping[str, int] = field(default_factory=dict)
    purchase: str = ON_DEMAND
    takes_over: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Moved:
    """How many instances of one kind are kept, started and stopped to reach the fleet."""

    instance_type: str
    zone: str
    purchase: str
    kept: int
    started: int
    stopped: int


@dataclass(frozen=True, slots=True)
class Packing:
    """A fleet with its tasks, and the proof of how near to the cheapest it is.

    `lower_bound_usd_per_hour` holds for every fleet that places the placed tasks under the problem's rules;
    `gap` is cost / bound - 1. `status`: "optimal" (gap 0), "feasible" (the search ended), "time_limit" (the
    clock ended the search, so another run may differ) or "nothing_placed".
    """

    status: str
    usd_per_hour: UsdPerHour
    lower_bound_usd_per_hour: UsdPerHour
    gap: float
    instances: tuple[PackedInstances, ...]
    unplaced: tuple[Unplaced, ...] = ()
    task_prices: Mapping[str, float] = field(default_factory=dict)
    """USD per hour that one more task of a service costs on demand, with the room it needs when a zone is lost,
    by the dual prices that prove the bound. The bound is their sum over all tasks, before what Spot saves and
    whole instances add."""
    moves: tuple[Moved, ...] = ()
    """How to get there from the running instances, where the problem names them."""
    moving_usd_per_hour: UsdPerHour = UsdPerHour(0.0)
    """Part of `usd_per_hour` and of the bound that pays for instances to start; 0 where moving has no price."""

    @property
    def bill_usd_per_hour(self) -> UsdPerHour:
        """What the fleet costs once it runs."""
        return UsdPerHour(max(0.0, self.usd_per_hour - self.moving_usd_per_hour))

    def fleet(self, catalogue: tuple[InstanceType, ...]) -> tuple[FleetLine, ...]:
        """The instances to run, one line a type, zone and way to buy."""
        known = {offer.instance_type: offer for offer in catalogue}
        counts: Counter[tuple[str, str, str]] = Counter()
        for line in self.instances:
            counts[line.instance_type, line.zone, line.purchase] += line.count
        return tuple(
            FleetLine(
                name, zone, count, known[name].room, price_of(known[name], purchase), purchase,
                known[name].architecture, known[name].attributes,
            )
            for (name, zone, purchase), count in sorted(counts.items())
        )  # fmt: skip

    @property
    def types(self) -> tuple[str, ...]:
        return tuple(sorted({line.instance_type for line in self.instances}))


def places_a_task(problem: PackingProblem) -> float:
    """Places a task needs on average, with those kept for the loss of a zone: any zones - 1 zones hold all."""
    return problem.zones / (problem.zones - 1) if problem.survive_zone_loss else 1.0


def price_of(offer: InstanceType, purchase: str) -> UsdPerHour:
    """USD per hour of one instance bought this way. Raises ProblemError where it cannot be bought so."""
    if purchase == ON_DEMAND:
        return offer.usd_per_hour
    if offer.spot_usd_per_hour is None:
        raise ProblemError(f"instance type {offer.instance_type} has no Spot price")
    return offer.spot_usd_per_hour
