"""The candidates of the choice, replayed on the known weeks with floors that never saw the judged day."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from planner.model import FAST_SUFFIX
from planner.scaling.batch import Prepared, prepare_batch
from planner.scaling.documents import LOW_ALARM_S
from planner.scaling.floors import HALF_HOURS, MEDIAN, Calendar, Levels, Shape, levels, schedule
from planner.scaling.policies import CPU, Policy, TargetTracking
from planner.scaling.room import Outlook, outlook
from planner.scaling.rounding import whole
from planner.scaling.signals import Signal
from planner.units import DAYS_PER_WEEK, MINUTES_PER_DAY, SECONDS_PER_MINUTE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TARGETS: Final = (*range(24, 82, 2), 84, 88, 92)
IN_COOLDOWNS: Final = (60, 300, 600, 900)
"""Together 128 candidates, one block of lanes."""
MARGINS: Final = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8, 2.0, 2.4)
RISES: Final = (0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0)
QUANTILES: Final = (0.95, 0.99)
STRAIN: Final = 0.08
"""Share by which demand is raised to count near misses; docs/decisions/0042 has the table."""
OUT_COOLDOWNS: Final = (60, 180, 300)
NEAR_TARGETS: Final = (-1, 0, 1, 2)
HEADROOMS: Final = (1.25, 2.0)
"""Ceilings over the most tasks the same time ever needed."""
LEARNED: Final = ("calendar", "judged", "sources", "outlook")
"""What a problem works out of its demand alone."""
MOST_TASKS: Final = 5_000
PEAK_HEADROOM: Final = 3.0
"""`max` is this many times the most tasks the past needed, so that it limits only a runaway."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a candidate's bounds come from; no level is a minimum of one task."""

    level: Levels | None = None
    margin: float = 0.0
    highest: Levels | None = None
    """The most demand ever seen at each time, for a ceiling."""
    headroom: float = 0.0

    @property
    def name(self) -> str:
        return "none" if self.level is None else self.level.name


@dataclass(frozen=True, slots=True)
class Candidates:
    """All candidates in one order, with what each day cost and missed; arrays are (days, candidates)."""

    policies: list[Policy]
    sources: list[Source]
    hours: FloatArray
    violations: IntArray
    strained: IntArray
    judged: IntArray
    """Minutes with known demand, shape (days,)."""

    @classmethod
    def joined(cls, parts: Sequence[Candidates]) -> Candidates:
        return cls(
            [policy for part in parts for policy in part.policies],
            [source for part in parts for source in part.sources],
            np.concatenate([part.hours for part in parts], axis=1),
            np.concatenate([part.violations for part in parts], axis=1),
            np.concatenate([part.strained for part in parts], axis=1),
            parts[0].judged,
        )


@dataclass(frozen=True)
class Problem:
    """What is to be chosen; candidates are policies on CPU of the signal's load until they are handed over."""

    demand: FloatArray
    """vCPU of whole tasks: what a minute is judged by, and what floors are learned from."""
    start: datetime
    task_vcpu: float
    slo: float
    utilisation: float
    zone: ZoneInfo
    maximum_tasks: int | None
    signal: Signal | None = None
    """What the policies look at; None: CPU of the demand."""

    def on(self, signal: Signal) -> Problem:
        """The same problem with policies on another metric; what is learned of the demand is kept."""
        other = dataclasses.replace(self, signal=signal)
        learned: dict[str, Any] = {name: self.__dict__[name] for name in LEARNED if name in self.__dict__}
        other.__dict__.update(learned)
        return other

    @property
    def load(self) -> FloatArray:
        return self.demand if self.signal is None else self.signal.load

    @property
    def peak_tasks(self) -> int:
        """Tasks that keep the utilisation objective in the busiest minute."""
        return max(1, whole(float(np.nanmax(self.demand)) / (self.task_vcpu * self.utilisation)))

    @property
    def limit(self) -> int:
        return MOST_TASKS if self.maximum_tasks is None else self.maximum_tasks

    @cached_property
    def calendar(self) -> Calendar:
        return Calendar.of(self.start, len(self.demand), self.zone)

    @cached_property
    def judged(self) -> IntArray:
        """Known minutes of every day counted from the start."""
        days = range(0, len(self.demand), MINUTES_PER_DAY)
        return np.asarray(np.add.reduceat((~np.isnan(self.demand)).astype(np.int64), days))

    @cached_property
    def outlook(self) -> Outlook:
        """The level of a coming week, by growth and bursts of the demand."""
        half_hours = next(
            source.level
            for source in self.sources
            if source.level is not None and source.level.shape is Shape.HALF_HOUR_OF_DAY and source.level.rise
        )
        return outlook(self.demand, half_hours.crossed, self.calendar.day)

    @property
    def minutes_by_day(self) -> IntArray:
        """Of every day counted from the start; the last may be short."""
        firsts = np.arange(0, len(self.demand), MINUTES_PER_DAY)
        return np.minimum(MINUTES_PER_DAY, len(self.demand) - firsts)

    def policy(self, target: float, in_cooldown_s: float, period_s: int, out_cooldown_s: float = 300) -> Policy:
        peak = max(self.peak_tasks, whole(float(np.nanmax(self.load)) * 100 / (self.task_vcpu * target)))
        first = self.load[~np.isnan(self.load)][0]
        highest = max(1, min(self.limit, whole(peak * PEAK_HEADROOM)))
        return Policy(
            task_vcpu=self.task_vcpu,
            min=1,
            max=highest,
            initial=min(highest, max(1, whole(float(first) * 100 / (self.task_vcpu * target)))),
            target_tracking=(
                TargetTracking(
                    float(target),
                    CPU if period_s == SECONDS_PER_MINUTE else CPU + FAST_SUFFIX,
                    scale_out_cooldown_s=out_cooldown_s,  # type: ignore[arg-type]
                    scale_in_cooldown_s=in_cooldown_s,  # type: ignore[arg-type]
                    period_s=period_s,
                    low_datapoints=LOW_ALARM_S // period_s,
                ),
            ),
        )

    def always_peak(self) -> Policy:
        """The busiest minute's tasks all the time, and tracking for what was never seen."""
        policy = self.policy(self.utilisation * 100, 300, SECONDS_PER_MINUTE)
        peak = min(self.peak_tasks, self.limit)
        named = policy if self.signal is None else self.signal.translated(policy)
        return dataclasses.replace(named, min=peak, initial=peak, max=max(policy.max, peak))

    def base(self, period_s: int) -> list[Policy]:
        return [self.policy(target, cooldown, period_s) for target in TARGETS for cooldown in IN_COOLDOWNS]

    def floor(self, vcpu: FloatArray) -> IntArray:
        """Tasks that serve so much within the objective, at least 1 and at most the limit."""
        tasks = np.ceil(vcpu / (self.task_vcpu * self.utilisation) - 1e-6)
        return np.clip(tasks, 1, self.limit).astype(np.int64)

    def judge(self, period_s: int, advance: Callable[[float], None] = lambda _share: None) -> Candidates:
        """Replay every candidate on the known weeks."""
        sources = self.sources
        return self.replayed(self.base(period_s), sources, lambda: advance(1 / len(sources)))

    def replayed(
        self, base: list[Policy], sources: Sequence[Source], done: Callable[[], None] = lambda: None
    ) -> Candidates:
        """Every policy of `base` within the bounds of every source."""
        prepared = self._prepared(base)
        batches = []
        for source in sources:
            batches.append(prepared.replay(*self.known_bounds(source)))
            done()
        return Candidates(
            base * len(sources),
            [source for source in sources for _ in base],
            np.concatenate([batch.task_hours_by_day for batch in batches], axis=1),
            np.concatenate([batch.violations_by_day for batch in batches], axis=1),
            np.concatenate([batch.strained_by_day for batch in batches], axis=1),
            self.judged,
        )

    def _prepared(self, base: list[Policy]) -> Prepared:
        """Ready to be replayed: judged by the demand, measured by the signal."""
        prepared = prepare_batch(self.demand, self.start, base, utilisation=self.utilisation, strain=STRAIN)
        if self.signal is None or self.signal.load is self.demand:
            return prepared
        seen = prepare_batch(self.signal.load, self.start, base, utilisation=self.utilisation)
        return measured_by(prepared, seen)

    def known_bounds(self, source: Source) -> tuple[IntArray | None, IntArray | None]:
        """Floor and ceiling of every known minute, learned from other days."""
        if source.level is None:
            return None, None
        floor = self.floor(source.level.over_known(source.margin))
        if source.highest is None:
            return floor, None
        return floor, np.maximum(floor, self.floor(source.highest.over_known(source.headroom)))

    def week_bounds(self, source: Source, most: int) -> tuple[IntArray | None, IntArray | None]:
        """Floor and ceiling by kind of day and slot, learned from all days."""
        if source.level is None:
            return None, None
        floor = np.minimum(self.floor(source.level.over_week(source.margin)), most)
        if source.highest is None:
            return floor, None
        ceiling = np.minimum(self.floor(source.highest.over_week(source.headroom)), most)
        return floor, np.maximum(floor, ceiling)

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        return tuple(self._sources())

    def _sources(self) -> Iterator[Source]:
        """No floor at all, then every shape, quantile and margin that so many days can tell."""
        yield Source()
        days = len(np.unique(self.calendar.day))
        shapes = [Shape.CONSTANT, Shape.HOUR_OF_DAY, Shape.HALF_HOUR_OF_DAY]
        if days >= DAYS_PER_WEEK:
            shapes += [Shape.WORKING_HOURS, Shape.WORKING_HALF_HOURS]
        if days >= 4 * DAYS_PER_WEEK:
            shapes.append(Shape.HOUR_OF_WEEK)
        for shape in shapes:
            quantiles = (*QUANTILES, MEDIAN) if shape in HALF_HOURS else QUANTILES
            for level in levels(self.demand, self.calendar, shape, quantiles):
                if level.quantile == MEDIAN:
                    additive = level.by_rises(self.demand)
                    yield from (Source(additive, margin) for margin in RISES)
                else:
                    yield from (Source(level, margin) for margin in MARGINS)

    def around(self, policy: Policy, source: Source) -> Candidates:
        """Candidates near one: targets between the grid's, other scale-out cooldowns, ceilings by hour."""
        tracking = policy.target_tracking[0]
        targets = [tracking.target + step for step in NEAR_TARGETS]
        base = [
            self.policy(target, into, tracking.period_s, out)
            for target in targets
            for into in IN_COOLDOWNS
            for out in OUT_COOLDOWNS
        ]
        near = [source]
        if source.level is not None:
            near = [dataclasses.replace(source, margin=round(source.margin * by, 4)) for by in (1, 0.975, 0.95)]
            if source.level.shape is not Shape.CONSTANT:
                highest = levels(self.demand, self.calendar, source.level.shape, (1.0,))[0]
                near += [dataclasses.replace(source, highest=highest, headroom=by) for by in HEADROOMS]
        return self.replayed(base, near)

    def handed_over(self, policy: Policy, source: Source) -> Policy:
        """The candidate as it is deployed at the end of the known demand: bounds learned from all days."""
        last = float(self.load[~np.isnan(self.load)][-1])
        target = policy.target_tracking[0].target
        initial = max(1, whole(last * 100 / (self.task_vcpu * target)))
        floor, ceiling = self.week_bounds(source, policy.max)
        named = policy if self.signal is None else self.signal.translated(policy)
        if source.level is None or floor is None:
            return dataclasses.replace(named, initial=min(initial, policy.max))
        shape = source.level.shape
        now = Calendar.of(self.start + timedelta(minutes=len(self.demand)), 1, self.zone)
        at = int(now.kind(shape)[0]), int(now.slot(shape)[0])
        maximum = policy.max if ceiling is None else int(ceiling[at])
        minimum = int(floor[at])
        return dataclasses.replace(
            named,
            min=minimum,
            max=maximum,
            initial=min(max(initial, minimum), maximum),
            scheduled=schedule(floor, shape, self.zone.key, ceiling),
        )


def measured_by(judged: Prepared, seen: Prepared) -> Prepared:
    """The same policies with datapoints of `seen`, their minutes judged by the demand of `judged`."""
    blocks = tuple(
        (
            dataclasses.replace(
                shared,
                load=other.load,
                new_points=other.new_points,
                source=other.source,
                high_points=other.high_points,
                low_points=other.low_points,
            ),
            members,
        )
        for (shared, members), (other, _) in zip(judged.blocks, seen.blocks, strict=True)
    )
    return dataclasses.replace(judged, blocks=blocks)
