"""Choose thresholds that hold on weeks nobody has seen.

Every candidate (floor shape, quantile and margin; target; cooldown) is replayed on the known weeks with
floors that never saw the day they are judged on, then those around the best with finer steps. A policy tuned
to exactly the objective on the past holds it in a quarter to two thirds of later weeks, so a candidate must
leave room: enough for a coming week to keep the objective with a chance of `room.CONFIDENCE`. What it missed
and what it would miss if demand were `search.STRAIN` higher tell that chance; counting near misses too is what
makes two weeks of rare events tell candidates apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from planner.scaling.policies import Policy
from planner.scaling.room import CONFIDENCE, chance
from planner.scaling.search import (
    IN_COOLDOWNS,
    MOST_TASKS,
    STRAIN,
    TARGETS,
    Candidates,
    FloatArray,
    IntArray,
    Problem,
    Source,
)
from planner.units import DAYS_PER_WEEK, HOURS_PER_WEEK, MINUTES_PER_DAY

__all__ = [
    "IN_COOLDOWNS",
    "MOST_TASKS",
    "TARGETS",
    "Infeasible",
    "Point",
    "Problem",
    "Tried",
    "Tuned",
    "choose",
    "over_the_limit",
]

SPREAD: Final = 1.0
"""Standard deviations above the mean that a bad week is: the room of a capacity provider's settings."""
BURST_MINUTES: Final = 7
"""What a surprise costs with 60-second metrics: six minutes to the scale-out and one to run."""
STATIC_SHARE: Final = 0.95
"""A schedule that costs this share of paying for the peak all the time does not scale."""


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
    metric: str = "CPU"
    """CPU, memory, requests per target, a custom column, or two of them at once; `target` is the first one's."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one metric at one resolution."""

    metric: str
    period_s: int
    task_hours_per_week: float | None
    attainment: float
    infeasible: str | None
    """Why no policy on it leaves room, or None."""


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
    tried: tuple[Tried, ...] = ()
    """Every metric and resolution that was tried, the chosen one first."""


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
    tried: tuple[Tried, ...] = ()
    fallback: Policy | None = None
    """The floor as a policy, with room above it; None where more tasks are needed than there may be."""


def over_the_limit(problem: Problem) -> Infeasible | None:
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


def choose(
    problem: Problem,
    period_s: int,
    usd_per_task_hour: float | None,
    seed: int,
    advance: Callable[[float], None],
) -> Tuned | Infeasible:
    """The best policy on the problem's signal at one resolution."""
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
        keeps = chance(
            found.violations, found.strained, found.judged, strain=STRAIN, budget=(1 - problem.slo) * week,
            level=problem.outlook,
        )  # fmt: skip
        self.safe = keeps >= CONFIDENCE

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
        return Infeasible(
            f"infeasible by target tracking alone (at best {reached:.3%} of minutes), because the load "
            f"{_speed(problem.demand)}; needs a floor of {problem.peak_tasks} tasks all the time"
            f"{_faster(problem)}",
            reached,
            problem.peak_tasks,
            self.frontier(),
            len(self.found.policies),
            fallback=self.problem.always_peak(),
        )

    def tuned(self) -> Tuned:
        best, found = int(np.argmin(np.where(self.safe, self.cost, np.inf))), self.found
        misses = drawn_weeks(found.violations[:, best], found.judged, self.seed) / (
            DAYS_PER_WEEK * MINUTES_PER_DAY
        )
        weeks = drawn_weeks(found.hours[:, best], self.problem.minutes_by_day, self.seed)
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
        policy, source, signal = self.found.policies[i], self.found.sources[i], self.problem.signal
        tracking = (policy if signal is None else signal.translated(policy)).target_tracking[0]
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
            "CPU" if signal is None else signal.name,
        )


def _faster(problem: Problem) -> str:
    """What 20-second metrics without any floor would reach, as a clause."""
    if problem.signal is not None and not problem.signal.has_high_resolution:
        return ""
    found = problem.replayed(problem.base(20), [Source()])
    reached = 1 - float(found.violations.sum(axis=0).min()) / float(found.judged.sum())
    return "; or 20-second metrics" if reached >= problem.slo else f"; 20-second metrics reach {reached:.3%}"


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


def drawn_weeks(by_day: NDArray[Any], minutes: IntArray, seed: int, draws: int = 2_000) -> FloatArray:
    """Sums of a week whose seven days are drawn with replacement; a day of fewer `minutes` weighs less."""
    rng = np.random.default_rng(seed)
    days = rng.integers(0, len(by_day), size=(draws, DAYS_PER_WEEK))
    drawn = np.maximum(minutes[days].sum(axis=1), 1)
    week = DAYS_PER_WEEK * MINUTES_PER_DAY
    return np.asarray(by_day[days].sum(axis=1) / drawn * week, dtype=np.float64)
