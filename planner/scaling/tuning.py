"""The choice over everything a policy can be: which metric, how often it is published, then thresholds.

Each metric is tried at each resolution it has; `choose.choose` finds the best policy of one. CPU of a minute
needs nothing extra, so another metric must save something, and 20-second ones must repay what they are charged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal
from zoneinfo import ZoneInfo

import numpy as np

from planner.model import FAST_S
from planner.scaling.bounds import as_utc
from planner.scaling.choose import Infeasible, Point, Tried, Tuned, choose, over_the_limit
from planner.scaling.replay import checked_demand
from planner.scaling.search import FloatArray, Problem
from planner.scaling.signals import MetricError, Signal, binding, signals
from planner.units import MINUTES_PER_DAY, SECONDS_PER_MINUTE

MINIMUM_DAYS: Final = 2
METRIC_WORTH: Final = 0.02
"""Share of the cost that another metric than the first must save: less is noise."""
FAST_VCPU_HOURS: Final = 25.0
"""vCPU-hours a week that 20-second metrics must repay. They are charged like detailed monitoring: a metric and two
alarms of about a dollar a month in all, which these hours repay even at a cent each."""
FAST_SAFETY: Final = 0.02
"""Share of the cost that a reaction four times as fast to what was never seen is worth (docs/decisions/0042)."""
FAST_EFFORT: Final = 3
"""Ticks of 20-second metrics against those of a minute, for the progress that is shown."""
Resolution = Literal["standard", "high", "either"]


@dataclass(frozen=True, slots=True)
class _Variant:
    """A metric at one resolution, and the choice on it."""

    signal: Signal
    period_s: int
    found: Tuned | Infeasible

    @property
    def cost(self) -> float:
        return self.found.task_hours_per_week if isinstance(self.found, Tuned) else np.inf

    @property
    def told(self) -> Tried:
        found = self.found
        if isinstance(found, Tuned):
            return Tried(self.signal.name, self.period_s, found.task_hours_per_week, found.attainment, None)
        return Tried(self.signal.name, self.period_s, None, found.best_attainment, found.reason)


def tune(
    demand_vcpu: FloatArray,
    start: datetime,
    *,
    task_vcpu: float,
    slo: float,
    utilisation: float = 0.8,
    timezone: str = "UTC",
    maximum_tasks: int | None = None,
    resolution: Resolution = "standard",
    loads: Mapping[str, FloatArray] | None = None,
    task_memory_mib: int | None = None,
    metrics: Sequence[str] | None = ("cpu",),
    least_vcpu: FloatArray | None = None,
    usd_per_task_hour: float | None = None,
    seed: int = 0,
    advance: Callable[[float], None] = lambda _share: None,
) -> Tuned | Infeasible:
    """The cheapest policy expected to keep `slo` (share of minutes) on weeks like those known.

    `demand_vcpu` has one value a minute from `start`, NaN where unknown. `maximum_tasks` is a limit of
    yours; without it `max` leaves room above everything seen. `resolution` is that of the metric: of a
    minute, of 20 seconds ("high"), or whichever is worth it. `metrics` names what a policy may track: cpu,
    memory, requests, custom:<column>; None is all that `loads` (series by column: memory_mib, requests, ...)
    can tell. With `task_memory_mib` and memory_mib a minute also needs the tasks its memory fills; `least_vcpu`
    is the vCPU of tasks it needs for any other reason, as a latency objective. Raises
    DemandError for unusable demand, MetricError for a metric that cannot be told, and ValueError for an
    objective outside 0 to 1 or less than two days of demand.
    """
    cpu_demand, loads = checked_demand(demand_vcpu), loads or {}
    _check(cpu_demand, slo)
    demand = binding(cpu_demand, loads, task_vcpu=task_vcpu, task_memory_mib=task_memory_mib)
    if least_vcpu is not None:
        demand = np.where(np.isnan(demand), np.nan, np.fmax(demand, least_vcpu))
    known = signals(cpu_demand, loads, metrics, task_vcpu=task_vcpu, task_memory_mib=task_memory_mib)
    problem = Problem(demand, as_utc(start), task_vcpu, slo, utilisation, ZoneInfo(timezone), maximum_tasks)
    over = over_the_limit(problem)
    if over is not None:
        return over
    _ = problem.sources, problem.judged  # learned once for all metrics
    pairs = _pairs(known, resolution)
    efforts = [FAST_EFFORT if period == FAST_S else 1 for _, period in pairs]
    tried = []
    for (signal, period), effort in zip(pairs, efforts, strict=True):

        def told(share: float, effort: int = effort) -> None:
            advance(share * effort / sum(efforts))

        found = choose(problem.on(signal), period, usd_per_task_hour, seed, told)
        tried.append(_Variant(signal, period, found))
    return _best(tried, task_vcpu)


def _check(demand: FloatArray, slo: float) -> None:
    if not 0 < slo <= 1:
        raise ValueError(f"the objective must be above 0 and at most 1, not {slo:g}")
    if (~np.isnan(demand)).sum() < MINIMUM_DAYS * MINUTES_PER_DAY:
        raise ValueError(f"at least {MINIMUM_DAYS} days of known demand are needed to choose thresholds")
    if not np.nanmax(demand) > 0:
        raise ValueError("the demand is 0 in every known minute: there is nothing to scale")


def _pairs(known: Sequence[Signal], resolution: Resolution) -> list[tuple[Signal, int]]:
    slow = [(signal, SECONDS_PER_MINUTE) for signal in known] if resolution != "high" else []
    fast = [(signal, FAST_S) for signal in known if signal.has_high_resolution] if resolution != "standard" else []
    if not slow and not fast:
        names = ", ".join(signal.name for signal in known)
        raise MetricError(f"{names} has no 20-second metrics: only CPU and memory of a service are published so")
    return slow + fast


def _best(tried: list[_Variant], task_vcpu: float) -> Tuned | Infeasible:
    """The variant to take, with what the others came to."""
    slow = _cheapest([v for v in tried if v.period_s == SECONDS_PER_MINUTE])
    fast = _cheapest([v for v in tried if v.period_s == FAST_S])
    first, second = (slow, fast) if slow is not None else (fast, None)
    if first is None:
        raise ValueError("no metric was tried")
    chosen, other = first, second
    if second is not None and _is_worth_its_charge(first, second, task_vcpu):
        chosen, other = second, first
    alternative = other.found if other is not None and isinstance(other.found, Tuned) else None
    reason = chosen.found.reason
    if isinstance(chosen.found, Tuned):
        reason += _why(chosen, first, tried)
    return replace(
        chosen.found,
        alternative=alternative,
        tried=(chosen.told, *(v.told for v in tried if v is not chosen)),
        frontier=_frontier(tried),
        candidates=sum(variant.found.candidates for variant in tried),
        reason=reason,
    )


def _cheapest(variants: list[_Variant]) -> _Variant | None:
    """The first, unless another saves something; the cheapest of those that do."""
    if not variants:
        return None
    least = min(variants, key=lambda v: v.cost)
    return variants[0] if least.cost >= variants[0].cost * (1 - METRIC_WORTH) else least


def _is_worth_its_charge(slow: _Variant, fast: _Variant, task_vcpu: float) -> bool:
    """Whether 20-second metrics repay what they are charged; they never overrule an infeasible verdict."""
    if not isinstance(slow.found, Tuned) or not isinstance(fast.found, Tuned):
        return False
    return fast.cost * task_vcpu + FAST_VCPU_HOURS <= slow.cost * task_vcpu * (1 + FAST_SAFETY)


def _why(chosen: _Variant, slow: _Variant, tried: list[_Variant]) -> str:
    """What the metric and its resolution save, as clauses after the reason."""
    words = ""
    if chosen.period_s != slow.period_s:
        saved = 1 - chosen.cost / slow.cost
        words += (
            f"; 20-second metrics save {saved:.1%} of task-hours against those of a minute"
            if saved > 0
            else "; 20-second metrics cost no more than those of a minute and meet surprises sooner"
        )
    first = next(v for v in tried if v.period_s == chosen.period_s)
    if chosen is first:
        return words
    if isinstance(first.found, Infeasible):
        return f"{words}; it tracks {chosen.signal.name}, because {first.signal.name} does not hold"
    saved = 1 - chosen.cost / first.cost
    return f"{words}; tracking {chosen.signal.name} saves {saved:.0%} against {first.signal.name}"


def _frontier(tried: list[_Variant]) -> tuple[Point, ...]:
    """The points of all variants that no other one beats, cheapest first."""
    kept: list[Point] = []
    points = [point for variant in tried for point in variant.found.frontier]
    for point in sorted(points, key=lambda p: (p.task_hours_per_week, -p.attainment)):
        if not kept or point.attainment > kept[-1].attainment:
            kept.append(point)
    return tuple(kept)
