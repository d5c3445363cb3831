"""The tasks of one service: waiting for room, starting, running.

ECS states PROVISIONING (waiting), PENDING and ACTIVATING (starting), RUNNING. A scale-in takes waiting
tasks first and then the newest, so tasks that never served go before tasks that do.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from planner.scaling.alarms import draw
from planner.scaling.policies import Delay


@dataclass(slots=True)
class Cohort:
    """Tasks placed together that become RUNNING at the same second."""

    count: int
    ready_s: float


@dataclass(slots=True)
class Tasks:
    start_delay: Delay
    rng: np.random.Generator
    waiting: int = 0
    cohorts: list[Cohort] = field(default_factory=list)

    @property
    def placed(self) -> int:
        return sum(cohort.count for cohort in self.cohorts)

    @property
    def total(self) -> int:
        return self.placed + self.waiting

    def running(self, now_s: float) -> int:
        return sum(cohort.count for cohort in self.cohorts if cohort.ready_s <= now_s)

    def set_total(self, desired: int) -> None:
        missing = desired - self.total
        if missing >= 0:
            self.waiting += missing
            return
        spare = -missing
        from_waiting = min(spare, self.waiting)
        self.waiting -= from_waiting
        self.lose(spare - from_waiting)

    def lose(self, count: int) -> None:
        """Take placed tasks away, the newest first."""
        while count > 0 and self.cohorts:
            newest = self.cohorts[-1]
            taken = min(count, newest.count)
            newest.count -= taken
            count -= taken
            if newest.count == 0:
                self.cohorts.pop()

    def place(self, count: int, now_s: float) -> None:
        """Give `count` waiting tasks a place; each starts after its own delay."""
        if count <= 0:
            return
        self.waiting -= count
        if self.start_delay.is_fixed:
            self.cohorts.append(Cohort(count, now_s + self.start_delay.value_s))
        else:
            self.cohorts.extend(Cohort(1, now_s + draw(self.start_delay, self.rng)) for _ in range(count))
        self._merge(now_s)

    def _merge(self, now_s: float) -> None:
        """Running tasks at the bottom become one cohort, so that long replays stay short lists."""
        ready = 0
        while ready < len(self.cohorts) and self.cohorts[ready].ready_s <= now_s:
            ready += 1
        if ready > 1:
            running = sum(cohort.count for cohort in self.cohorts[:ready])
            self.cohorts[:ready] = [Cohort(running, now_s)]
