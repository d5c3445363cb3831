"""`pack`: the cheapest fleet that can be found, with a bound that proves how near it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, Final

import numpy as np

from planner.model import InstanceType
from planner.packing.assemble import assemble, left_over
from planner.packing.bound import floor_to_float, part_bound, rounded_up
from planner.packing.check import checked
from planner.packing.clock import Clock, Deadline
from planner.packing.generate import MOST_ROWS, Generated, generate
from planner.packing.greedy import Fleet, fleet_cost
from planner.packing.moves import moves_to
from planner.packing.problem import (
    PackedInstances,
    Packing,
    PackingProblem,
    Unplaced,
    places_a_task,
    price_of,
)
from planner.packing.room import allowed_types, unplaceable
from planner.packing.shapes import Shapes, build_shapes, uncapped, unit_counts
from planner.packing.shared_places import SharedPlace, share_places, told_by_loss
from planner.packing.small import solve_small
from planner.packing.spares import add_spares, spare_floor
from planner.packing.spot import SpotPools
from planner.packing.type_choice import TypeChoices
from planner.packing.type_search import choose_types
from planner.packing.variants import UNLIMITED, exact
from planner.packing.zone_counts import FEW_NODES, NODES, Counted, is_few, solve_by_counts
from planner.packing.zone_program import solve_zones
from planner.packing.zone_search import ZoneSearch
from planner.packing.zones import ZoneDemand, least_demands, other_demands, zone_demand
from planner.units import Seconds, UsdPerHour

DEFAULT_TIME_LIMIT: Final = Seconds(60)
Progress = Callable[[float], None]


def pack(
    problem: PackingProblem,
    *,
    time_limit: Seconds = DEFAULT_TIME_LIMIT,
    seed: int = 0,
    on_progress: Progress | None = None,
    clock: Clock | None = None,
    gap_goal: float = 0.0,
) -> Packing:
    """Pack the tasks onto the cheapest fleet found, with a proved lower bound.

    `time_limit` counts only with a `clock` (e.g. time.monotonic); without one the search ends by its own
    limits. Equal arguments give equal answers as long as the clock does not end the search, which `status`
    tells. `on_progress` is called with the seconds that passed since its last call. `gap_goal` ends the
    search early, e.g. at 0.01.
    """
    deadline = Deadline(clock, max(0.5 * time_limit, time_limit - _finishing(problem)))
    allowed = allowed_types(problem)
    left_out = unplaceable(problem, allowed)
    if len(left_out) == len(problem.tasks):
        return nothing_placed(tuple(left_out.values()))
    packed, shared = share_places(problem, allowed, left_out)
    shapes = build_shapes(packed, allowed_types(packed) if shared else allowed, set(left_out))
    task = _Task(packed, shapes, left_out, deadline, seed, gap_goal, problem, shared)
    return task.solve(_Ticker(deadline, on_progress))


def _finishing(problem: PackingProblem) -> float:
    """Seconds that naming the tasks of a fleet and checking it take, about."""
    return 0.05 + 6e-6 * sum(task.count for task in problem.tasks)


class _Ticker:
    """Tells the caller how much time passed since the last tick."""

    def __init__(self, deadline: Deadline, on_progress: Progress | None) -> None:
        self._deadline, self._on_progress, self._last = deadline, on_progress, deadline.spent()

    def __call__(self) -> None:
        if self._on_progress is not None:
            now = self._deadline.spent()
            self._on_progress(now - self._last)
            self._last = now


@dataclass
class _Task:
    """One call of `pack`."""

    problem: PackingProblem
    shapes: Shapes
    left_out: dict[int, Unplaced]
    deadline: Deadline
    seed: int
    gap_goal: float
    stated: PackingProblem
    """The problem without the services that stand for places which others share."""
    shared: tuple[SharedPlace, ...]

    def __post_init__(self) -> None:
        counts, on_spot = unit_counts(self.problem, self.left_out)
        rules = self.problem.zones, self.problem.survive_zone_loss
        self.fewest = zone_demand(counts, on_spot, *rules, self.shared)
        self.parts = self._parts(counts, on_spot)
        """What every fleet holds at least, as (factor, demand)."""
        self.demand = self.fewest
        """The places that are packed."""
        self.total = self.shapes.demand(self.fewest.places.sum(axis=0))

    def solve(self, tick: Callable[[], None]) -> Packing:
        pools = SpotPools.of(self.problem, self.shapes)
        proved = Fraction(0)
        if pools is not None:
            proved = pools.bound(self.total, self.parts[0], self.deadline.share(0.25))
            self.shapes = pools.capped()
        most = self.problem.max_types
        # Where rules add whole instances in every zone, the last 0.01 % of the linear program costs too much time.
        thorough = self.problem.zones == 1 and most is None
        # Of many shapes, the search for prices gives the first fleet too.
        share = self.deadline.share(0.9 if self.shapes.count > MOST_ROWS else 0.5)
        quick = thorough and pools is None
        state = generate(self.shapes, self.total, share, on_round=tick, thorough=thorough, quick=quick)
        first: list[Fleet] | None = None
        choices: TypeChoices | None = None
        if most is not None and len({v.base for v in self.shapes.offers}) > most:
            spreads = self._spreads(state)
            zones = [[self.shapes.demand(places) for places in spread.places] for spread in spreads]
            proved = max(proved, self._first_bound(state))
            (part, needed), *others = self.parts
            parts = [(1.0, float(part) * needed), *((float(factor), demand) for factor, demand in others)]
            chosen = choose_types(
                self.shapes, self.total, parts, zones, state, proved, most,
                self.deadline.share(0.25 if self._is_small(state) else 0.5), self.seed,
            )  # fmt: skip
            if chosen is None:
                return nothing_placed(self._no_choice())
            self.demand = spreads[chosen.spread]
            state, first, choices = chosen.generated, chosen.fleets, chosen.choices
            proved = max(proved, chosen.bound)
        elif pools is None:
            proved = self._first_bound(state)
        if self.gap_goal == 0.0 and not self.deadline.passed():
            whole, (factor, needed) = (
                uncapped(self.shapes),
                self.parts[-1 if self.problem.survive_zone_loss else 0],
            )
            small = solve_small(whole, needed, whole.limits, self.deadline.share(0.25))
            proved = max(proved, factor * small.bound) if small else proved
        counts, _ = unit_counts(self.problem, self.left_out)
        outright = solve_zones(self.problem, self.shapes, counts, self.deadline.share(0.5))
        proved = max(proved, outright.bound) if outright else proved
        tick()
        fleets, shapes = self._fleets(state, proved, first, pools, tick), state.pricing.shapes
        if outright and not self._is_as_good(fleets, shapes, outright.fleets):
            self.demand, fleets, shapes = outright.demand, outright.fleets, self.shapes
        counted = self._by_counts(state, fleets, shapes, proved, pools, choices)
        if self.problem.spare_instances:
            add_spares(fleets, shapes, self.problem)
        return checked(self.stated, self._packing(state, shapes, proved, fleets, counted))

    def _is_small(self, state: Generated) -> bool:
        """Few instances, which are settled by their numbers in the end."""
        return is_few(self.shapes.count - len(self.shared), state.master.cost, self.shapes)

    def _by_counts(
        self,
        state: Generated,
        fleets: list[Fleet],
        shapes: Shapes,
        proved: Fraction,
        pools: SpotPools | None,
        choices: TypeChoices | None,
    ) -> Counted | None:
        """A better bound and a cheaper fleet, where there are few instances and the bound is not reached yet."""
        held = sum(n * count for fleet in fleets for (_, pattern), count in fleet.items() for _, n in pattern)
        cost = sum((shapes.exact_prices[t] * n for fleet in fleets for (t, _), n in fleet.items()), Fraction(0))
        reached = rounded_up(proved, self.shapes) * (1 + exact(self.gap_goal))
        if held < int(self.total.sum()) or cost <= reached or self.deadline.passed():
            return None
        counts, on_spot = unit_counts(self.stated, self.left_out)
        shapes, worth = uncapped(self.shapes), state.worth()
        if self.shared:
            each = self._by_unit(worth)
            shapes = build_shapes(self.stated, allowed_types(self.stated), set(self.left_out))
            worth = np.array([each[self._packed_unit(group[0])] for group in shapes.members])
        types = choices.below(float(cost)) if choices else None
        if types is not None:
            shapes = shapes.only([t for t, v in enumerate(shapes.offers) if v.base in types])
        if not shapes.offers:
            return Counted(cost)
        found = solve_by_counts(
            self.stated, shapes, counts, on_spot, [worth], cost, self.deadline.share(0.9),
            wants_fleet=pools is None and not self.problem.spare_instances,
            nodes=FEW_NODES if self.gap_goal else NODES,
        )  # fmt: skip
        if found is None:
            return None
        return replace(found, running=Counter({self._packed_unit(u): n for u, n in found.running.items()}))

    def _packed_unit(self, unit: int) -> int:
        """The number that a unit of the problem as stated has in the one that is packed."""
        services = len(self.stated.tasks)
        return unit if unit < services else unit - services + len(self.problem.tasks)

    def _by_unit(self, worth: Any) -> Any:
        """(units) from (n) values of shapes; 0 for units without tasks."""
        each = np.zeros(2 * len(self.problem.tasks))
        for group, value in zip(self.shapes.members, worth.tolist(), strict=True):
            each[list(group)] = value
        return each

    def _parts(self, counts: list[int], on_spot: list[int], partly: frozenset[int] = frozenset()) -> list[Any]:
        rules = self.problem.zones, self.problem.survive_zone_loss
        least = least_demands(counts, on_spot, *rules, partly)
        return [(factor, self.shapes.demand(places)) for factor, places in least]

    def _is_as_good(self, fleets: list[Fleet], shapes: Shapes, others: list[Fleet]) -> bool:
        """True where `fleets` hold everything and cost no more than `others`, which do."""
        held = sum(n * count for fleet in fleets for (_, pattern), count in fleet.items() for _, n in pattern)
        cost = sum(fleet_cost(fleet, shapes) for fleet in fleets)
        other = sum(fleet_cost(fleet, self.shapes) for fleet in others)
        return held >= int(self.total.sum()) and cost <= other * (1.0 + 1e-12)

    def _first_bound(self, state: Generated) -> Fraction:
        best = self._bound_by_parts(state, self.parts)
        # Places that are shared between losses are fewer than those packed, and limits by pool are no rule.
        is_of_all = not self.problem.survive_zone_loss and state.pricing.shapes.limits.tolist() == [
            v.limit for v in state.pricing.shapes.offers
        ]
        return max(best, state.bound) if is_of_all else best

    def _bound_by_parts(self, state: Generated, parts: list[Any]) -> Fraction:
        """The best bound by what the fleet, or that of some of the zones, holds at least."""
        worth, shapes = state.worth_at_most.tolist(), uncapped(state.pricing.shapes)
        return max(part_bound(state.duals, worth, part, shapes, state.pricing.scale) for part in parts)

    def _spreads(self, state: Generated) -> list[ZoneDemand]:
        """Ways to spread the tasks over the zones."""
        if self.problem.zones == 1:
            return [self.demand]
        worth = self._by_unit(state.worth())
        counts, on_spot = unit_counts(self.problem, self.left_out)
        rules = self.problem.zones, self.problem.survive_zone_loss
        return [self.demand, *other_demands(counts, on_spot, *rules, worth[: len(counts)], self.shared)]

    def _fleets(
        self,
        state: Generated,
        bound: Fraction,
        first: list[Fleet] | None,
        pools: SpotPools | None,
        tick: Callable[[], None],
    ) -> list[Fleet]:
        best = max(bound, state.bound)
        goal = float(rounded_up(best, self.shapes)) / self.problem.zones * (1.0 + self.gap_goal)
        search = ZoneSearch(self.problem, state, self.demand, goal, self.deadline, self.seed)
        if pools is None:
            if first is None and self.problem.zones == 1 and not state.first_left.any():
                first = [state.first_fleet]
            return search.fleets(first, tick)
        return pools.fleets(search, state.pricing.shapes, tick)

    def _packing(
        self, state: Generated, shapes: Shapes, proved: Fraction, fleets: list[Fleet], counted: Counted | None
    ) -> Packing:
        instances, running = assemble(self.problem, shapes, fleets, self.demand, is_shared=bool(self.shared))
        if self.shared:
            instances = told_by_loss(self.problem, instances, self.shared)
        if counted is not None:
            proved = max(proved, counted.bound)
            if counted.instances is not None:
                instances, running = counted.instances, counted.running
        moves = moves_to(self.problem, instances)
        moving = exact(self.problem.moving_usd_per_hour) * sum(m.started for m in moves)
        cost = moving + sum((exact(self._price_of(line)) * line.count for line in instances), Fraction(0))
        unplaced = left_over(self.problem, running, self.left_out)
        bound = self._bound(state, proved, running)
        status = "optimal" if bound >= cost else "time_limit" if self.deadline.struck else "feasible"
        bound = min(bound, cost)
        return Packing(
            status=status,
            usd_per_hour=UsdPerHour(float(cost)),
            # At the optimum both are one number, and are told as one.
            lower_bound_usd_per_hour=UsdPerHour(float(cost) if bound == cost else floor_to_float(bound)),
            gap=float(cost / bound - 1) if bound else 0.0,
            instances=instances,
            unplaced=tuple(unplaced),
            task_prices=self._task_prices(state),
            moves=moves,
            moving_usd_per_hour=UsdPerHour(float(moving)),
        )

    def _price_of(self, line: PackedInstances) -> UsdPerHour:
        return price_of(self._offers[line.instance_type], line.purchase)

    @cached_property
    def _offers(self) -> dict[str, InstanceType]:
        return {offer.instance_type: offer for offer in self.problem.catalogue}

    def _task_prices(self, state: Generated) -> dict[str, float]:
        """Dual prices scaled as the bound scales them, by service, with the place that is kept for the task."""
        factor = min(
            (
                p / w
                for p, w in zip(state.pricing.scale.prices, state.worth_at_most.tolist(), strict=True)
                if w > p
            ),
            default=1.0,
        )
        worth = state.worth() * (1.0 if (self.shapes.limits < UNLIMITED).any() else factor)
        worth = worth * places_a_task(self.problem)
        # Units with the larger number, which may run on Spot, come first, so that the price on demand is told.
        units = sorted(((u, i) for i, group in enumerate(self.shapes.members) for u in group), reverse=True)
        tasks = self.problem.tasks
        known = range(len(self.stated.tasks))
        return {tasks[u % len(tasks)].service: float(worth[i]) for u, i in units if u % len(tasks) in known}

    def _bound(self, state: Generated, proved: Fraction, running: Any) -> Fraction:
        """The bound for the tasks that were placed, which are all but those max_count had no room for."""
        services = len(self.problem.tasks)
        counts, _ = unit_counts(self.problem, self.left_out)
        placed = [running[s] + running[s + services] for s in range(services)]
        spares = spare_floor(self.shapes, self.problem)
        if placed == counts:
            return rounded_up(proved, self.shapes) + spares
        partly = frozenset(s for s, n in enumerate(counts) if placed[s] < n)
        parts = self._parts(placed, [running[s + services] for s in range(services)], partly)
        return rounded_up(self._bound_by_parts(state, parts[:1]), self.shapes) + spares

    def _no_choice(self) -> tuple[Unplaced, ...]:
        reason = f"no {self.problem.max_types} instance types together take every task; allow more types"
        return tuple(
            self.left_out.get(s) or Unplaced(task.service, task.count, reason)
            for s, task in enumerate(self.problem.tasks)
        )


def nothing_placed(unplaced: tuple[Unplaced, ...]) -> Packing:
    return Packing("nothing_placed", UsdPerHour(0.0), UsdPerHour(0.0), 0.0, (), unplaced)


def pack_many(
    problems: Sequence[PackingProblem],
    *,
    time_limit: Seconds = DEFAULT_TIME_LIMIT,
    seed: int = 0,
    clock: Clock | None = None,
    gap_goal: float = 0.005,
    on_progress: Progress | None = None,
) -> tuple[Packing, ...]:
    """Pack many problems, e.g. the hours of a week; equal ones are solved once. `time_limit` is for each;
    `on_progress` is called with 1.0 after each."""
    known: dict[str, Packing] = {}
    found = []
    for problem in problems:
        key = repr(problem)
        if key not in known:
            known[key] = pack(problem, time_limit=time_limit, seed=seed, clock=clock, gap_goal=gap_goal)
        found.append(known[key])
        if on_progress is not None:
            on_progress(1.0)
    return tuple(found)
