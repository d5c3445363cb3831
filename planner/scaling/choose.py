"""Choose thresholds that hold on weeks nobody has seen.

Every candidate (floor shape, quantile and margin; target; cooldown) is replayed on the known weeks with
floors that never saw the day they are judged on. A policy tuned to exactly the objective on the past holds
it in a quarter to two thirds of later weeks, so a candidate must leave room: judged as if demand were
`STRAIN` higher, its violations of a week plus `SPREAD` standard deviations, days being drawn anew, must fit
the objective's budget. Counting near misses too is what makes two weeks of rare events tell candidates apart.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from planner.scaling.batch import replay_batch
from planner.scaling.bounds import as_utc
from planner.scaling.documents import LOW_ALARM_S
from planner.scaling.floors import Calendar, Levels, Shape, levels, schedule
from planner.scaling.policies import CPU, HIGH_RESOLUTION_SUFFIX, Policy, TargetTracking
from planner.scaling.replay import checked_demand
from planner.scaling.rounding import whole
from planner.units import DAYS_PER_WEEK, HOURS_PER_WEEK, MINUTES_PER_DAY, SECONDS_PER_MINUTE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TARGETS: Final = (24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 68, 72, 76, 80, 90)
IN_COOLDOWNS: Final = (60, 300, 600, 900)
"""Together 64 candidates, one block of lanes."""
MARGINS: Final = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8, 2.0, 2.4)
QUANTILES: Final = (0.95, 0.99)
STRAIN: Final = 0.12
SPREAD: Final = 0.5
"""Set together on 120 unseen weeks of eighteen series; docs/decisions/0042 has the table."""
BURST_MINUTES: Final = 7
"""What a surprise costs with 60-second metrics: six minutes to the scale-out and one to run."""
MINIMUM_DAYS: Final = 2
MOST_TASKS: Final = 5_000
PEAK_HEADROOM: Final = 3.0
"""`max` is this many times the most tasks the past needed, so that it limits only a runaway."""
STATIC_SHARE: Final = 0.95
"""A schedule that costs this share of paying for the peak all the time does not scale."""


@dataclass(frozen=True, slots=True)
class Point:
    """One candidate as judged on the known weeks with floors that never saw the judged day."""

    target: float
    scale_in_cooldown_s: float
    floor: str
    margin: float
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


@dataclass(frozen=True, slots=True)
class Infeasible:
    reason: str
    best_attainment: float
    floor_needed: int | None
    """Tasks that would have to run all the time."""
    frontier: tuple[Point, ...]
    candidates: int


@dataclass(frozen=True, slots=True)
class Candidates:
    """All candidates in one order, with what each day cost and missed; arrays are (days, candidates)."""

    policies: list[Policy]
    sources: list[tuple[Levels | None, float]]
    hours: FloatArray
    violations: IntArray
    strained: IntArray
    judged: IntArray
    """Minutes with known demand, shape (days,)."""


def tune(
    demand_vcpu: FloatArray,
    start: datetime,
    *,
    task_vcpu: float,
    slo: float,
    utilisation: float = 0.8,
    timezone: str = "UTC",
    maximum_tasks: int | None = None,
    high_resolution: bool = False,
    usd_per_task_hour: float | None = None,
    seed: int = 0,
    advance: Callable[[float], None] = lambda _share: None,
) -> Tuned | Infeasible:
    """The cheapest policy expected to keep `slo` (share of minutes) on weeks like those known.

    `demand_vcpu` has one value a minute from `start`, NaN where unknown. `maximum_tasks` is a limit of
    yours; without it `max` leaves room above everything seen. Raises DemandError for unusable demand and
    ValueError for an objective outside 0 to 1 or less than two days of demand.
    """
    demand = checked_demand(demand_vcpu)
    if not 0 < slo <= 1:
        raise ValueError(f"the objective must be above 0 and at most 1, not {slo:g}")
    if (~np.isnan(demand)).sum() < MINIMUM_DAYS * MINUTES_PER_DAY:
        raise ValueError(f"at least {MINIMUM_DAYS} days of known demand are needed to choose thresholds")
    problem = Problem(demand, as_utc(start), task_vcpu, slo, utilisation, ZoneInfo(timezone), maximum_tasks)
    over = problem.over_the_limit()
    if over is not None:
        return over
    period_s = 20 if high_resolution else 60
    found = problem.judge(period_s, advance)
    return problem.choose(found, usd_per_task_hour, seed)


@dataclass(frozen=True, slots=True)
class Problem:
    demand: FloatArray
    start: datetime
    task_vcpu: float
    slo: float
    utilisation: float
    zone: ZoneInfo
    maximum_tasks: int | None

    @property
    def peak_tasks(self) -> int:
        """Tasks that keep the utilisation objective in the busiest minute."""
        return max(1, whole(float(np.nanmax(self.demand)) / (self.task_vcpu * self.utilisation)))

    @property
    def limit(self) -> int:
        return MOST_TASKS if self.maximum_tasks is None else self.maximum_tasks

    def over_the_limit(self) -> Infeasible | None:
        """No policy helps where the demand itself needs more tasks than there may be."""
        known = self.demand[~np.isnan(self.demand)]
        above = float((known / (self.task_vcpu * self.utilisation) - 1e-6 > self.limit).mean())
        if above <= 1 - self.slo:
            return None
        whose = "the maximum" if self.maximum_tasks is not None else "the quota of a service"
        return Infeasible(
            f"infeasible: {above:.3%} of minutes need more than {self.limit:,} tasks of {self.task_vcpu:g} vCPU, "
            f"{whose}; use larger tasks or raise it",
            1 - above,
            self.peak_tasks,
            (),
            0,
        )

    def policy(self, target: float, in_cooldown_s: float, period_s: int) -> Policy:
        peak = max(self.peak_tasks, whole(float(np.nanmax(self.demand)) * 100 / (self.task_vcpu * target)))
        first = self.demand[~np.isnan(self.demand)][0]
        highest = min(self.limit, whole(peak * PEAK_HEADROOM))
        return Policy(
            task_vcpu=self.task_vcpu,
            min=1,
            max=highest,
            initial=min(highest, max(1, whole(float(first) * 100 / (self.task_vcpu * target)))),
            target_tracking=(
                TargetTracking(
                    float(target),
                    CPU if period_s == SECONDS_PER_MINUTE else CPU + HIGH_RESOLUTION_SUFFIX,
                    scale_in_cooldown_s=in_cooldown_s,  # type: ignore[arg-type]
                    period_s=period_s,
                    low_datapoints=LOW_ALARM_S // period_s,
                ),
            ),
        )

    def judge(self, period_s: int, advance: Callable[[float], None] = lambda _share: None) -> Candidates:
        """Replay every candidate on the known weeks."""
        calendar = Calendar.of(self.start, len(self.demand), self.zone)
        base = [self.policy(t, c, period_s) for t in TARGETS for c in IN_COOLDOWNS]
        sources = self._sources(calendar)
        hours, violations, strained = [], [], []
        for level, margin in sources:
            floor = None if level is None else self.floor(level.crossed, margin)
            batch = replay_batch(
                self.demand, self.start, base, utilisation=self.utilisation, floor=floor, strain=STRAIN
            )
            strained.append(batch.strained_by_day)
            hours.append(batch.task_hours_by_day)
            violations.append(batch.violations_by_day)
            advance(1 / len(sources))
        days = range(0, len(self.demand), MINUTES_PER_DAY)
        return Candidates(
            base * len(sources),
            [source for source in sources for _ in base],
            np.concatenate(hours, axis=1),
            np.concatenate(violations, axis=1),
            np.concatenate(strained, axis=1),
            np.add.reduceat((~np.isnan(self.demand)).astype(np.int64), days),
        )

    def _sources(self, calendar: Calendar) -> list[tuple[Levels | None, float]]:
        days = len(np.unique(calendar.day))
        shapes = [Shape.CONSTANT, Shape.HOUR_OF_DAY]
        if days >= DAYS_PER_WEEK:
            shapes.append(Shape.WORKING_HOURS)
        if days >= 4 * DAYS_PER_WEEK:
            shapes.append(Shape.HOUR_OF_WEEK)
        found: list[tuple[Levels | None, float]] = [(None, 0.0)]
        for shape in shapes:
            for level in levels(self.demand, calendar, shape, QUANTILES):
                found += [(level, margin) for margin in MARGINS if margin > 0]
        return found

    def floor(self, vcpu: FloatArray, margin: float) -> IntArray:
        tasks = np.ceil(vcpu * margin / (self.task_vcpu * self.utilisation) - 1e-6)
        return np.clip(tasks, 1, self.limit).astype(np.int64)

    def choose(self, found: Candidates, usd_per_task_hour: float | None, seed: int) -> Tuned | Infeasible:
        budget = (1 - self.slo) * DAYS_PER_WEEK * MINUTES_PER_DAY
        cost = found.hours.sum(axis=0) * MINUTES_PER_DAY * DAYS_PER_WEEK / len(self.demand)
        safe = weekly_bound(found.strained, found.judged) <= budget
        attainment = 1 - found.violations.sum(axis=0) / found.judged.sum()
        points = [self._point(found, i, cost, attainment, safe) for i in range(len(cost))]
        frontier = _frontier(points)
        if not safe.any():
            return self._infeasible(found, attainment, frontier)
        best = int(np.argmin(np.where(safe, cost, np.inf)))
        if self._is_static(cost[best], found, safe):
            return self._infeasible(found, attainment, frontier)
        return self._tuned(found, best, cost, attainment, frontier, safe, usd_per_task_hour, seed)

    def _point(
        self, found: Candidates, i: int, cost: FloatArray, attainment: FloatArray, safe: NDArray[np.bool_]
    ) -> Point:
        tracking = found.policies[i].target_tracking[0]
        level, margin = found.sources[i]
        name = "none" if level is None else f"{level.shape.value}, quantile {level.quantile:g}"
        return Point(
            tracking.target,
            tracking.scale_in_cooldown_s,
            name,
            margin,
            float(cost[i]),
            float(attainment[i]),
            bool(safe[i]),
        )

    def _is_static(self, cost: float, found: Candidates, safe: NDArray[np.bool_]) -> bool:
        """Whether only paying for the peak all the time holds, while the load is mostly far below it."""
        alone = any(safe[i] for i, (level, _) in enumerate(found.sources) if level is None)
        static = self.peak_tasks * HOURS_PER_WEEK
        mean = float(np.nanmean(self.demand)) / (self.task_vcpu * self.utilisation)
        return not alone and cost >= STATIC_SHARE * static and mean < self.peak_tasks / 2

    def _infeasible(self, found: Candidates, attainment: FloatArray, frontier: tuple[Point, ...]) -> Infeasible:
        alone = [i for i, (level, _) in enumerate(found.sources) if level is None]
        best = float(attainment[alone].max())
        fast = self.judge_alone(20)
        helps = f"20-second metrics reach {fast:.3%}" if fast < self.slo else "or 20-second metrics"
        return Infeasible(
            f"infeasible by target tracking alone (at best {best:.3%} of minutes), because the load "
            f"{self.speed()}; needs a floor of {self.peak_tasks} tasks all the time; {helps}",
            best,
            self.peak_tasks,
            frontier,
            len(found.policies),
        )

    def judge_alone(self, period_s: int) -> float:
        """The best attainment of target tracking without any floor."""
        base = [self.policy(t, c, period_s) for t in TARGETS for c in IN_COOLDOWNS]
        batch = replay_batch(self.demand, self.start, base, utilisation=self.utilisation)
        known = int((~np.isnan(self.demand)).sum())
        return 1 - float(batch.violating_minutes.min()) / known

    def speed(self) -> str:
        """How the load outruns the reaction time, in words."""
        lag = BURST_MINUTES - 1
        before, after = self.demand[:-lag], self.demand[lag:]
        usual = before > float(np.nanmedian(self.demand)) / 2  # a rise after an outage is no rise of the load
        factor = np.nanmax(np.divide(after, before, out=np.zeros_like(after), where=usual), initial=0.0)
        if factor >= 2:
            return f"doubles faster than {lag} minutes (by {factor:.1f} times at most)"
        return f"rises by up to {factor:.2f} times in {lag} minutes, faster than new tasks run"

    def _tuned(
        self,
        found: Candidates,
        best: int,
        cost: FloatArray,
        attainment: FloatArray,
        frontier: tuple[Point, ...],
        safe: NDArray[np.bool_],
        usd_per_task_hour: float | None,
        seed: int,
    ) -> Tuned:
        misses = drawn_weeks(found.violations[:, best], seed) / (DAYS_PER_WEEK * MINUTES_PER_DAY)
        weeks = drawn_weeks(found.hours[:, best], seed)
        alone = any(safe[i] for i, (level, _) in enumerate(found.sources) if level is None)
        level, margin = found.sources[best]
        why = "target tracking alone keeps the objective" if alone else self._why_floor(found, attainment)
        return Tuned(
            policy=self._handed_over(found.policies[best], level, margin),
            attainment=float(attainment[best]),
            attainment_interval=(
                float(1 - np.quantile(misses, 0.9)),
                float(1 - np.quantile(misses, 0.1)),
            ),
            task_hours_per_week=float(cost[best]),
            task_hours_interval=(float(np.quantile(weeks, 0.1)), float(np.quantile(weeks, 0.9))),
            usd_per_week=None if usd_per_task_hour is None else float(cost[best]) * usd_per_task_hour,
            frontier=frontier,
            candidates=len(found.policies),
            reason=f"{why}; the cheapest of {int(safe.sum())} of {len(found.policies)} candidates that leave "
            "room for a worse week than those known",
        )

    def _why_floor(self, found: Candidates, attainment: FloatArray) -> str:
        alone = [i for i, (level, _) in enumerate(found.sources) if level is None]
        return (
            f"target tracking alone reaches {float(attainment[alone].max()):.3%} at best, because the load "
            f"{self.speed()}, so a floor is added"
        )

    def _handed_over(self, policy: Policy, level: Levels | None, margin: float) -> Policy:
        """The candidate as it is deployed at the end of the known demand: floors learned from all days."""
        last = float(self.demand[~np.isnan(self.demand)][-1])
        tracking = policy.target_tracking[0]
        initial = max(1, whole(last * 100 / (self.task_vcpu * tracking.target)))
        if level is None:
            return dataclasses.replace(policy, initial=min(initial, policy.max))
        table = np.minimum(self.floor(level.table, margin), policy.max)
        zone = self.zone.key
        end = self.start + timedelta(minutes=len(self.demand))
        now = Calendar.of(end, 1, self.zone)
        minimum = int(table[int(now.kind(level.shape)[0]), int(now.hour[0])])
        return dataclasses.replace(
            policy,
            min=minimum,
            initial=min(max(initial, minimum), policy.max),
            scheduled=schedule(table, level.shape, zone),
        )


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


def _frontier(points: Sequence[Point]) -> tuple[Point, ...]:
    """The candidates no other one beats in both cost and attainment, cheapest first."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda p: (p.task_hours_per_week, -p.attainment)):
        if not kept or point.attainment > kept[-1].attainment:
            kept.append(point)
    return tuple(kept)
