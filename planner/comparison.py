"""The comparison of platforms, strung together: a plan's demand, the packer and the price book."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from planner.alternatives import Assumptions, Comparison, Pack, Packed, Platform, Question, compare
from planner.alternatives.from_plan import demanded_of, load_balancing_of
from planner.documents import PlanDocument
from planner.model import InstanceType, Rejection, TaskType
from planner.packing import PackingProblem, pack
from planner.prices import PriceBook
from planner.units import Seconds

TIME_LIMIT: Final = Seconds(1.0)
"""Search for one packing; a comparison makes about thirty."""


def packer(zones: int, time_limit: Seconds, seed: int = 0) -> Pack:
    """The planner's packer as the comparison asks for it; tasks that fit nowhere are named with the reason."""

    def packed(tasks: Sequence[TaskType], types: Sequence[InstanceType]) -> Packed | Rejection:
        problem = PackingProblem(tuple(tasks), tuple(types), zones=zones)
        found = pack(problem, time_limit=time_limit, seed=seed)
        left = [f"{u.count} of {u.service}: {u.reason}" for u in found.unplaced if u.count]
        if left:
            return Rejection("packing", "; ".join(left))
        counts: Counter[str] = Counter()
        for line in found.instances:
            counts[line.instance_type] += line.count
        return Packed(tuple(sorted(counts.items())), found.usd_per_hour, found.lower_bound_usd_per_hour)

    return packed


def compare_plan(
    plan: PlanDocument,
    book: PriceBook,
    assumed: Assumptions | None = None,
    *,
    platforms: Sequence[Platform] = tuple(Platform),
    time_limit: Seconds = TIME_LIMIT,
    advance: Callable[[float], None] = lambda _amount: None,
) -> Comparison:
    """Every platform on the demand of a plan, in its Region, zones and architectures."""
    question = Question(
        demanded_of(plan),
        book,
        plan.scope.region,
        packer(plan.objective.zones, time_limit),
        assumed or Assumptions(),
        architectures=plan.objective.architectures,
        zones=plan.objective.zones,
        load_balancing=load_balancing_of(plan),
    )
    return compare(question, platforms, advance)
