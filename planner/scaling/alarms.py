"""CloudWatch metrics and alarms as scaling sees them: late datapoints, M of M, missing data.

Sources: CloudWatch user guide, "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing data";
an alarm with a scaling action invokes it once a minute while in ALARM (same guide, alarm actions).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np

from planner.scaling.policies import Delay

EVALUATION_RANGE_EXTRA: Final = 2
"""[D] A 3 of 3 alarm looks at 5 periods when some are missing; [U] that it is always two more."""
INVOCATION_S: Final = 60.0
"""[D] A lasting ALARM repeats its scaling action every minute."""


@dataclass(frozen=True, slots=True)
class Datapoint:
    """Load and running tasks, averaged over one period; `load` is NaN where no metric was published."""

    load: float
    running: float

    @property
    def is_missing(self) -> bool:
        return self.load != self.load or self.running <= 0


class AlarmState(StrEnum):
    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


class Alarm:
    """M of M datapoints; missing ones are skipped inside the evaluation range.

    Before the replay the metric is taken to have been quiet, so the first breach needs all M datapoints.
    """

    def __init__(self, datapoints: int) -> None:
        self._needed = datapoints
        length = datapoints + EVALUATION_RANGE_EXTRA
        self._recent: deque[bool | None] = deque([False] * length, maxlen=length)

    def add(self, breaching: bool | None) -> None:
        self._recent.append(breaching)

    @property
    def state(self) -> AlarmState:
        present = [breaching for breaching in self._recent if breaching is not None]
        if not present:
            return AlarmState.INSUFFICIENT_DATA
        return AlarmState.ALARM if all(present[-self._needed :]) else AlarmState.OK


@dataclass(slots=True)
class Invocations:
    """When an alarm in ALARM calls its action: on entering, then every minute."""

    last_s: float | None = None

    def due(self, state: AlarmState, now_s: float) -> bool:
        if state is not AlarmState.ALARM:
            self.last_s = None
            return False
        if self.last_s is None or now_s - self.last_s >= INVOCATION_S:
            self.last_s = now_s
            return True
        return False


@dataclass(slots=True)
class MetricStream:
    """Averages ticks into periods and publishes each period late, in order."""

    period_ticks: int
    tick_s: float
    delay: Delay
    rng: np.random.Generator
    _ticks: list[tuple[float, float]] = field(default_factory=list)
    _waiting: deque[tuple[float, Datapoint]] = field(default_factory=deque)
    _last_arrival_s: float = 0.0

    def record(self, tick: int, load: float, running: float) -> None:
        """Add one tick; when it closes a period, queue the datapoint."""
        self._ticks.append((load, running))
        if len(self._ticks) < self.period_ticks:
            return
        loads = [ld for ld, _ in self._ticks]
        counts = [count for _, count in self._ticks]
        self._ticks.clear()
        point = Datapoint(sum(loads) / len(loads), sum(counts) / len(counts))
        closed_s = (tick + 1) * self.tick_s
        arrival_s = max(closed_s + draw(self.delay, self.rng), self._last_arrival_s)
        self._last_arrival_s = arrival_s
        self._waiting.append((arrival_s, point))

    def arrived(self, now_s: float) -> list[Datapoint]:
        points = []
        while self._waiting and self._waiting[0][0] <= now_s:
            points.append(self._waiting.popleft()[1])
        return points


def draw(delay: Delay, rng: np.random.Generator) -> float:
    """One duration in seconds; a fixed delay uses no randomness."""
    match delay.kind:
        case "uniform":
            return float(rng.uniform(delay.low_s, delay.high_s))
        case "lognormal":
            return float(delay.value_s * np.exp(delay.sigma * rng.standard_normal()))
        case "normal":
            return max(0.0, float(rng.normal(delay.value_s, delay.sigma)))
        case _:
            return delay.value_s
