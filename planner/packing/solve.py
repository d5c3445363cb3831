"""`pack`: the cheapest fleet that can be found, with a bound that proves how near it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np

from planner.model import InstanceType, Resources, TaskType
from planner.packing.assemble import assemble, left_over
from planner.packing.bound import dual_bound, floor_to_float, rounded_up
from planner.packing.check import checked
from planner.packing.clock import Clock, Deadline
from planner.packing.generate import Generated, generate
from planner.packing.greedy import Fleet
from planner.packing.integer import pack_zone
from planner.packing.problem import Packing, PackingProblem, ProblemError, Unplaced
from planner.packing.shapes import UNLIMITED, Shapes, allowed_types, build_shapes, unplaceable
from planner.packing.type_choice import choose_types
from planner.packing.zones import zone_demand
from planner.units import CpuUnits, MiB, Seconds, UsdPerHour

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
    deadline = Deadline(clock, time_limit)
    allowed = allowed_types(problem)
    left_out = unplaceable(problem, allowed)
    if len(left_out) == len(problem.tasks):
        return nothing_placed(tuple(left_out.values()))
    task = _Task(problem, build_shapes(problem, allowed, set(left_out)), left_out, deadline, seed, gap_goal)
    return task.solve(_Ticker(deadline, on_progress))


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

    def __post_init__(self) -> None:
        self.counts = [0 if s in self.left_out else task.count for s, task in enumerate(self.problem.tasks)]
        self.total = self.shapes.demand(self.counts)
        self.demand = zone_demand(self.counts, self.problem.zones, self.problem.survive_zone_loss)

    def solve(self, tick: Callable[[], None]) -> Packing:
        state = generate(self.shapes, self.total, self.deadline.share(0.5), on_round=tick)
        proved: Fraction | None = None
        first_fleet: Fleet | None = None
        if self.problem.max_types is not None and len(self.shapes.offers) > self.problem.max_types:
            first_zone = self.shapes.demand(self.demand.places[0])
            chosen = choose_types(
                self.shapes, self.total, first_zone, state, self.problem.max_types,
                self.deadline.share(0.5), self.seed,
            )  # fmt: skip
            if chosen is None:
                return nothing_placed(self._no_choice())
            state, proved, first_fleet = chosen.generated, chosen.bound, chosen.fleet
        tick()
        fleets = self._fleets(state, proved or state.bound, first_fleet, tick)
        if self.problem.spare_instances:
            add_spares(fleets, state.pricing.shapes, self.problem)
        return checked(self.problem, self._packing(state, proved, fleets))

    def _fleets(
        self, state: Generated, bound: Fraction, first: Fleet | None, tick: Callable[[], None]
    ) -> list[Fleet]:
        shapes = state.pricing.shapes
        stock = shapes.limits.copy()
        fleets: list[Fleet] = []
        goal = float(self._zone_factor() * rounded_up(bound, shapes)) / self.problem.zones * (1.0 + self.gap_goal)
        solved: dict[bytes, Fleet] = {}
        if first is None and self.problem.zones == 1 and not state.first_left.any():
            first = state.first_fleet
        for zone in range(self.problem.zones):
            demand = shapes.demand(self.demand.places[zone])
            zones_left = self.problem.zones - zone
            known = solved.get(demand.tobytes())
            if known is None or (stock < UNLIMITED).any():
                share = np.where(stock < UNLIMITED, -(-stock // zones_left), stock)
                known = pack_zone(
                    state,
                    demand,
                    share,
                    goal,
                    self.deadline.share(1.0 / zones_left),
                    self.seed,
                    known=first if zone == 0 else None,
                ).fleet
                solved[demand.tobytes()] = known
            for (t, _), count in known.items():
                if stock[t] < UNLIMITED:
                    stock[t] -= count
            fleets.append(dict(known))
            tick()
        return fleets

    def _zone_factor(self) -> Fraction:
        """Whatever zone is lost, the other zones are a fleet for all tasks: summed over the zones, that is
        zones - 1 times the fleet's cost on one side and zones times the bound on the other."""
        zones = self.problem.zones
        return Fraction(zones, zones - 1) if self.problem.survive_zone_loss else Fraction(1)

    def _packing(self, state: Generated, proved: Fraction | None, fleets: list[Fleet]) -> Packing:
        shapes = state.pricing.shapes
        instances, running = assemble(self.problem, shapes, fleets, self.demand)
        cost = sum((shapes.exact_prices[t] * n for fleet in fleets for (t, _), n in fleet.items()), Fraction(0))
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
        )

    def _task_prices(self, state: Generated) -> dict[str, float]:
        """Dual prices scaled as the bound scales them, by service."""
        factor = min(
            (
                p / w
                for p, w in zip(state.pricing.scale.prices, state.worth_at_most.tolist(), strict=True)
                if w > p
            ),
            default=1.0,
        )
        worth = state.worth() * (1.0 if (self.shapes.limits < UNLIMITED).any() else factor)
        return {
            self.problem.tasks[s].service: float(worth[i])
            for i, group in enumerate(self.shapes.members)
            for s in group
        }

    def _bound(self, state: Generated, proved: Fraction | None, running: Any) -> Fraction:
        """The bound for the tasks that were placed, which are all but those max_count had no room for."""
        placed = self.shapes.demand([running[s] for s in range(len(self.problem.tasks))])
        if (placed == self.total).all():
            bound = proved if proved is not None else state.bound
            return rounded_up(rounded_up(bound, self.shapes) * self._zone_factor(), self.shapes)
        return rounded_up(
            dual_bound(
                state.duals, state.worth_at_most.tolist(), placed, state.pricing.shapes, state.pricing.scale
            ),
            self.shapes,
        )

    def _no_choice(self) -> tuple[Unplaced, ...]:
        reason = f"no {self.problem.max_types} instance types together take every task; allow more types"
        return tuple(
            self.left_out.get(s) or Unplaced(task.service, task.count, reason)
            for s, task in enumerate(self.problem.tasks)
        )


def add_spares(fleets: list[Fleet], shapes: Shapes, problem: PackingProblem) -> None:
    """Add empty instances, each able to take over the tasks of any one instance; zones take turns.

    Where max_types is used up, the spare is of a type of the fleet. Raises ProblemError where no type is large
    enough.
    """
    lines = [(t, pattern) for fleet in fleets for t, pattern in fleet]
    used = {t for t, _ in lines}
    is_full = problem.max_types is not None and len(used) >= problem.max_types
    loads = [sum((shapes.needs[i] * n for i, n in pattern), start=0) for _, pattern in lines]
    held = sorted({i for _, pattern in lines for i, _ in pattern})
    options = [
        t
        for t in (used if is_full else range(len(shapes.offers)))
        if shapes.fits[held, t].all() and all((load <= shapes.rooms[t]).all() for load in loads)
        if shapes.limits[t] >= UNLIMITED
    ]
    if not options:
        raise ProblemError(
            "no instance type can take over every instance of the fleet: leave spare_instances out or allow "
            "larger types"
        )
    spare = min(options, key=lambda t: (shapes.exact_prices[t], t))
    for number in range(problem.spare_instances):
        fleet = fleets[number % len(fleets)]
        fleet[spare, ()] = fleet.get((spare, ()), 0) + 1


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


def load_kernels() -> None:
    """Compile or load the numba kernels now, so that a time limit started afterwards is spent on the search.

    The first run on a machine compiles for some seconds; later runs load from numba's cache.
    """
    tasks = tuple(TaskType(f"s{k}", 3, Resources(CpuUnits(300 + 90 * k), MiB(500 - 110 * k))) for k in range(4))
    offers = tuple(
        InstanceType(f"t{k}", Resources(CpuUnits(1000 + k), MiB(1000)), UsdPerHour(1.0 + k)) for k in range(2)
    )
    pack(PackingProblem(tasks, offers))
