"""The comparison of platforms, strung together: a plan's demand, the packer and the price book."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Final

from planner.alternatives import Assumptions, Comparison, Pack, Packed, Platform, Question, compare
from planner.alternatives.from_plan import demanded_of, load_balancing_of, planned_fleet_of
from planner.documents import PlanDocument
from planner.model import Architecture, InstanceType, Rejection, TaskType
from planner.packing import PackingProblem, pack
from planner.packing.clock import Clock
from planner.prices import PriceBook
from planner.units import Seconds

TIME_LIMIT: Final = Seconds(30)
"""Search for one packing, where a clock is handed in: many times what the searches need that end by themselves."""
GAP_GOAL: Final = 0.01
"""Nearer to the cheapest fleet than this, the order of platforms does not turn on it."""


def packer(zones: int, time_limit: Seconds, seed: int = 0, clock: Clock | None = None) -> Pack:
    """The planner's packer as the comparison asks for it; tasks that fit nowhere are named with the reason.
    Without a `clock` (e.g. time.monotonic) the search ends by its own limits, and equal questions have equal
    answers."""

    def packed(tasks: Sequence[TaskType], types: Sequence[InstanceType]) -> Packed | Rejection:
        problem = PackingProblem(tuple(tasks), tuple(types), zones=zones)
        found = pack(problem, time_limit=time_limit, seed=seed, clock=clock, gap_goal=GAP_GOAL)
        left = [f"{u.count} of {u.service}: {u.reason}" for u in found.unplaced if u.count]
        if left:
            return Rejection("packing", "; ".join(left))
        counts: Counter[str] = Counter()
        for line in found.instances:
            counts[line.instance_type] += line.count
        return Packed(
            tuple(sorted(counts.items())), found.usd_per_hour, found.lower_bound_usd_per_hour,
            found.status == "time_limit",
        )  # fmt: skip

    return packed


def compare_plan(
    plan: PlanDocument,
    book: PriceBook,
    assumed: Assumptions | None = None,
    *,
    platforms: Sequence[Platform] = tuple(Platform),
    time_limit: Seconds = TIME_LIMIT,
    clock: Clock | None = None,
    advance: Callable[[float], None] = lambda _amount: None,
) -> Comparison:
    """Every platform on the demand of a plan, in its Region, zones and architectures. ECS on EC2 is what the
    plan itself runs. With a `clock` `time_limit` counts for each packing; the comparison tells where it struck."""
    pack_in = partial(packer, time_limit=time_limit, clock=clock)
    question = question_of(plan, book, plan.scope.region, pack_in, assumed or Assumptions())
    return compare(question, platforms, advance)


def question_of(
    plan: PlanDocument,
    book: PriceBook,
    region: str,
    pack_in: Callable[[int], Pack],
    assumed: Assumptions,
    *,
    architectures: Collection[Architecture] | None = None,
    families: Collection[str] | None = None,
) -> Question:
    """The question that a plan poses. Its own fleet and load balancers count in its own Region and where no
    other machines are asked for; elsewhere fleets are packed anew. `pack_in`: zones -> packer."""
    at_home = region == plan.scope.region
    own_fleet = at_home and architectures is None and families is None
    planned = planned_fleet_of(plan)
    return Question(
        demanded_of(plan),
        book,
        region,
        pack_in(plan.objective.zones),
        assumed,
        architectures=architectures or plan.objective.architectures,
        families=families,
        zones=plan.objective.zones,
        load_balancing=load_balancing_of(plan) if at_home else None,
        planned=planned if own_fleet and planned.lines else None,
    )
