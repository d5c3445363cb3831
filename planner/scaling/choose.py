"""Choose thresholds that hold on weeks nobody has seen.

Every candidate (floor shape, quantile and margin; target; cooldown) is replayed on the known weeks with
floors that never saw the day they are judged on, then those around the best with finer steps. A policy tuned
to exactly the objective on the past holds it in a quarter to two thirds of later weeks, so a candidate must
leave room: judged as if demand were `search.STRAIN` higher, its violations of a week plus `SPREAD` standard
deviations, days being drawn anew, must fit the objective's budget. Counting near misses too is what makes
two weeks of rare events tell candidates apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from planner.scaling.batch import replay_batch
from planner.scaling.bounds import as_utc
from planner.scaling.policies import Policy
from planner.scaling.replay import checked_demand
from planner.scaling.search import (
    IN_COOLDOWNS,
    MOST_TASKS,
    TARGETS,
    Candidates,
    FloatArray,
    IntArray,
    Problem,
)
from planner.units import DAYS_PER_WEEK, HOURS_PER_WEEK, MINUTES_PER_DAY

__all__ = ["IN_COOLDOWNS", "MOST_TASKS", "TARGETS", "Infeasible", "Point", "Problem", "Tuned", "tune"]

SPREAD: Final = 1.0
"""Set together with the strain on unseen weeks of ten families of series; docs/decisions/0042."""
BURST_MINUTES: Final = 7
"""What a surprise costs with 60-second metrics: six minutes to the scale-out and one to run."""
MINIMUM_DAYS: Final = 2
STATIC_SHARE: Final = 0.95
"""A schedule that costs this share of paying for the peak all the time does not scale."""
WORTH: Final = 0.10
"""Share of the cost that 20-second metrics must save to be chosen over those of a minute: they are charged
extra, at a price the price book does not have."""
Resolution = Literal["standard", "high", "either"]


@dataclass(frozen=True, slots=True)
class Point:
    """One candidate as judged on the known weeks with floors that never saw the judged day."""

    target: float
    scale_in_cooldown_s: float
    scale_out_cooldown_s: float
    period_s: int
    """Of the metric: 60, or 20 seconds."""
    floor: str
    margin: float
    headroom: float
    """Ceiling over the most tasks the same time ever needed; 0 where there is none by hour."""
    task_hours_per_week: float
    attainment: float
    holds: bool
    """Whether it leaves the room that unseen weeks ask for."""


@dataclass(frozen=True, slots=True)
class Tuned:
    policy: Policy
    attainment: float
    """On the known weeks, with crossed floors."""
    attainment_interval: tuple[float, float]
    """Of a coming week: 10th to 90th percentile, weeks drawn from the known days."""
    task_hours_per_week: float
    task_hours_interval: tuple[float, float]
    usd_per_week: float | None
    frontier: tuple[Point, ...]
    candidates: int
    reason: str
    alternative: Tuned | None = None
    """The best policy on the other metric resolution, where both were tried and it holds."""


@dataclass(frozen=True, slots=True)
class Infeasible:
    reason: str
    best_attainment: float
    floor_needed: int | None
    """Tasks that would have to run all the time."""
    frontier: tuple[Point, ...]
    candidates: int
    alternative: Tuned | None = None
    """What holds on 20-second metrics, where they were tried."""


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
    usd_per_task_hour: float | None = None,
    seed: int = 0,
    advance: Callable[[float], None] = lambda _share: None,
) -> Tuned | Infeasible:
    """The cheapest policy expected to keep `slo` (share of minutes) on weeks like those known.

    `demand_vcpu` has one value a minute from `start`, NaN where unknown. `maximum_tasks` is a limit of
    yours; without it `max` leaves room above everything seen. `resolution` is that of the metric: of a
    minute, of 20 seconds ("high"), or whichever is worth it. Raises DemandError for unusable demand and
    ValueError for an objective outside 0 to 1 or less than two days of demand.
    """
    demand = checked_demand(demand_vcpu)
    if not 0 < slo <= 1:
        raise ValueError(f"the objective must be above 0 and at most 1, not {slo:g}")
    if (~np.isnan(demand)).sum() < MINIMUM_DAYS * MINUTES_PER_DAY:
        raise ValueError(f"at least {MINIMUM_DAYS} days of known demand are needed to choose thresholds")
    if not np.nanmax(demand) > 0:
        raise ValueError("the demand is 0 in every known minute: there is nothing to scale")
    problem = Problem(demand, as_utc(start), task_vcpu, slo, utilisation, ZoneInfo(timezone), maximum_tasks)
    over = _over_the_limit(problem)
    if over is not None:
        return over
    if resolution == "high":
        return _choose(problem, 20, usd_per_task_hour, seed, advance)
    if resolution == "standard":
        return _choose(problem, 60, usd_per_task_hour, seed, advance)
    standard = _choose(problem, 60, usd_per_task_hour, seed, lambda share: advance(share / 4))
    high = _choose(problem, 20, usd_per_task_hour, seed, lambda share: advance(share * 3 / 4))
    return _either(standard, high)


def _either(standard: Tuned | Infeasible, high: Tuned | Infeasible) -> Tuned | Infeasible:
    """20-second metrics where they are worth their charge; what holds on them beside an infeasible verdict."""
    if isinstance(high, Infeasible):
        return standard
    if isinstance(standard, Infeasible):
        return replace(standard, alternative=high)
    saved = 1 - high.task_hours_per_week / standard.task_hours_per_week
    if saved < WORTH:
        return replace(standard, alternative=high)
    reason = f"{high.reason}; 20-second metrics save {saved:.0%} of task-hours against those of a minute"
    return replace(high, reason=reason, alternative=standard)


def _over_the_limit(problem: Problem) -> Infeasible | None:
    """No policy helps where the demand itself needs more tasks than there may be."""
    known = problem.demand[~np.isnan(problem.demand)]
    above = float((known / (problem.task_vcpu * problem.utilisation) - 1e-6 > problem.limit).mean())
    if above <= 1 - problem.slo:
        return None
    whose = "the maximum" if problem.maximum_tasks is not None else "the quota of a service"
    return Infeasible(
        f"infeasible: {above:.3%} of minutes need more than {problem.limit:,} tasks of {problem.task_vcpu:g} "
        f"vCPU, {whose}; use larger tasks or raise it",
        1 - above,
        problem.peak_tasks,
        (),
        0,
    )


def _choose(
    problem: Problem,
    period_s: int,
    usd_per_task_hour: float | None,
    seed: int,
    advance: Callable[[float], None],
) -> Tuned | Infeasible:
    verdict = Verdict(problem, problem.judge(period_s, advance), usd_per_task_hour, seed)
    best = verdict.best
    if best is None or verdict.is_static(best):
        return verdict.infeasible()
    near = problem.around(verdict.found.policies[best], verdict.found.sources[best])
    return Verdict(problem, Candidates.joined([verdict.found, near]), usd_per_task_hour, seed).tuned()


class Verdict:
    """What the replays of all candidates amount to."""

    def __init__(self, problem: Problem, found: Candidates, usd_per_task_hour: float | None, seed: int) -> None:
        self.problem, self.found, self.usd_per_task_hour, self.seed = problem, found, usd_per_task_hour, seed
        week = MINUTES_PER_DAY * DAYS_PER_WEEK
        self.cost = found.hours.sum(axis=0) * week / len(problem.demand)
        self.attainment = 1 - found.violations.sum(axis=0) / found.judged.sum()
        self.safe = weekly_bound(found.strained, found.judged) <= (1 - problem.slo) * week

    @property
    def best(self) -> int | None:
        """The cheapest candidate that leaves room."""
        if not self.safe.any():
            return None
        return int(np.argmin(np.where(self.safe, self.cost, np.inf)))

    @property
    def alone(self) -> NDArray[np.bool_]:
        """Candidates of target tracking without any floor."""
        return np.array([source.level is None for source in self.found.sources])

    def is_static(self, best: int) -> bool:
        """Whether only paying for the peak all the time holds, while the load is mostly far below it."""
        problem = self.problem
        static = problem.peak_tasks * HOURS_PER_WEEK
        mean = float(np.nanmean(problem.demand)) / (problem.task_vcpu * problem.utilisation)
        alone = bool((self.safe & self.alone).any())
        return not alone and self.cost[best] >= STATIC_SHARE * static and mean < problem.peak_tasks / 2

    def infeasible(self) -> Infeasible:
        problem = self.problem
        reached = float(self.attainment[self.alone].max())
        fast = _reached_alone(problem, 20)
        helps = f"20-second metrics reach {fast:.3%}" if fast < problem.slo else "or 20-second metrics"
        return Infeasible(
            f"infeasible by target tracking alone (at best {reached:.3%} of minutes), because the load "
            f"{_speed(problem.demand)}; needs a floor of {problem.peak_tasks} tasks all the time; {helps}",
            reached,
            problem.peak_tasks,
            self.frontier(),
            len(self.found.policies),
        )

    def tuned(self) -> Tuned:
        best, found = int(np.argmin(np.where(self.safe, self.cost, np.inf))), self.found
        misses = drawn_weeks(found.violations[:, best], self.seed) / (DAYS_PER_WEEK * MINUTES_PER_DAY)
        weeks = drawn_weeks(found.hours[:, best], self.seed)
        cost, price = float(self.cost[best]), self.usd_per_task_hour
        return Tuned(
            policy=self.problem.handed_over(found.policies[best], found.sources[best]),
            attainment=float(self.attainment[best]),
            attainment_interval=(float(1 - np.quantile(misses, 0.9)), float(1 - np.quantile(misses, 0.1))),
            task_hours_per_week=cost,
            task_hours_interval=(float(np.quantile(weeks, 0.1)), float(np.quantile(weeks, 0.9))),
            usd_per_week=None if price is None else cost * price,
            frontier=self.frontier(),
            candidates=len(found.policies),
            reason=f"{self._why()}; the cheapest of {int(self.safe.sum())} of {len(found.policies)} candidates "
            "that leave room for a worse week than those known",
        )

    def _why(self) -> str:
        if (self.safe & self.alone).any():
            return "target tracking alone keeps the objective"
        return (
            f"target tracking alone reaches {float(self.attainment[self.alone].max()):.3%} at best, because the "
            f"load {_speed(self.problem.demand)}, so a floor is added"
        )

    def frontier(self) -> tuple[Point, ...]:
        """The candidates no other one beats in both cost and attainment, cheapest first."""
        kept: list[int] = []
        for i in np.lexsort((-self.attainment, self.cost)).tolist():
            if not kept or self.attainment[i] > self.attainment[kept[-1]]:
                kept.append(i)
        return tuple(self._point(i) for i in kept)

    def _point(self, i: int) -> Point:
        tracking, source = self.found.policies[i].target_tracking[0], self.found.sources[i]
        return Point(
            tracking.target,
            tracking.scale_in_cooldown_s,
            tracking.scale_out_cooldown_s,
            tracking.period_s,
            source.name,
            source.margin,
            source.headroom,
            float(self.cost[i]),
            float(self.attainment[i]),
            bool(self.safe[i]),
        )


def _reached_alone(problem: Problem, period_s: int) -> float:
    """The best attainment of target tracking without any floor."""
    batch = replay_batch(problem.demand, problem.start, problem.base(period_s), utilisation=problem.utilisation)
    known = int((~np.isnan(problem.demand)).sum())
    return 1 - float(batch.violating_minutes.min()) / known


def _speed(demand: FloatArray) -> str:
    """How the load outruns the reaction time, in words."""
    lag = BURST_MINUTES - 1
    before, after = demand[:-lag], demand[lag:]
    usual = before > float(np.nanmedian(demand)) / 2  # a rise after an outage is no rise of the load
    factor = np.nanmax(np.divide(after, before, out=np.zeros_like(after), where=usual), initial=0.0)
    if factor >= 2:
        return f"doubles faster than {lag} minutes (by {factor:.1f} times at most)"
    return f"rises by up to {factor:.2f} times in {lag} minutes, faster than new tasks run"


def weekly_bound(violations: IntArray, judged: IntArray) -> FloatArray:
    """Violating minutes of a bad week, per candidate: mean plus `SPREAD` deviations of seven drawn days.

    `violations` has shape (days, candidates); days with gaps count by their known share.
    """
    count = float(judged.sum()) / MINUTES_PER_DAY
    if count == 0:
        return np.full(violations.shape[1], np.inf)
    mean = violations.sum(axis=0) / (count + 1)
    square = (violations.astype(np.float64) ** 2).sum(axis=0) / (count + 1)
    variance = np.maximum(0.0, square - mean**2)
    deviation = np.sqrt(DAYS_PER_WEEK * variance * (1 + DAYS_PER_WEEK / (count + 1)))
    return np.asarray(DAYS_PER_WEEK * mean + SPREAD * deviation)


def drawn_weeks(by_day: NDArray[Any], seed: int, draws: int = 2_000) -> FloatArray:
    """Sums over seven days drawn with replacement."""
    rng = np.random.default_rng(seed)
    days = rng.integers(0, len(by_day), size=(draws, DAYS_PER_WEEK))
    return np.asarray(by_day[days].sum(axis=1), dtype=np.float64)
