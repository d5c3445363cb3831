"""Capacity-provider managed scaling: an Auto Scaling group that follows CapacityProviderReservation.

Sources: ECS developer guide, "Amazon ECS cluster auto scaling" (M, N, target capacity, steps, warm-up, 15
datapoints to scale in, empty instances only); aws/containers-roadmap #76, #638, #1150, #1716.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from planner.scaling.alarms import draw
from planner.scaling.policies import CapacityProvider, Delay, Placement
from planner.scaling.rounding import exceeds, falls_below, whole
from planner.units import SECONDS_PER_MINUTE, share

CPR_EMPTY = 100.0
CPR_FROM_ZERO = 200.0


def reservation(needed: int, running: int) -> float:
    """CapacityProviderReservation: M / N x 100; M = N = 0 is 100 and N = 0 with M > 0 is 200."""
    if running == 0:
        return CPR_FROM_ZERO if needed > 0 else CPR_EMPTY
    return needed / running * 100


@dataclass(slots=True)
class Group:
    """Instances that run, and moments at which launched ones will have registered."""

    settings: CapacityProvider
    boot_delay: Delay
    rng: np.random.Generator
    running: int = 0
    booting: list[float] = field(default_factory=list)
    launched: int = 0
    terminated: int = 0
    _warm_until_s: float = -math.inf
    _warm: int = 0
    _warm_refills: list[float] = field(default_factory=list)
    _high: int = 0
    _low: int = 0
    _late: list[tuple[float, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._warm = self.settings.warm_pool_size

    @property
    def size(self) -> int:
        """Launched and not terminated: what is paid."""
        return self.running + len(self.booting)

    def register(self, now_s: float) -> None:
        ready = [moment for moment in self.booting if moment <= now_s]
        if ready:
            self.booting = [moment for moment in self.booting if moment > now_s]
            self.running += len(ready)
        refilled = [moment for moment in self._warm_refills if moment <= now_s]
        if refilled:
            self._warm_refills = [moment for moment in self._warm_refills if moment > now_s]
            self._warm += len(refilled)

    def needed(self, tasks: int) -> int:
        """M: instances on which all tasks, waiting ones included, fit by bin packing."""
        return whole(tasks / self.settings.tasks_per_instance)

    def occupied(self, placed: int) -> int:
        """Instances with at least one task; spread leaves no instance empty while tasks last."""
        if self.settings.placement is Placement.SPREAD:
            return min(placed, self.running)
        return min(self.needed(placed), self.running)

    def room(self, placed: int) -> int:
        return max(0, self.running * self.settings.tasks_per_instance - placed)

    def decide(self, now_s: float, tasks: int, placed: int) -> None:
        """Once a minute: act on the newest published reservation, then measure the next one."""
        while self._late and self._late[0][0] <= now_s:
            _, needed, occupied = self._late.pop(0)
            self._act(now_s, needed, occupied, placed)
        moment = now_s + SECONDS_PER_MINUTE + self.settings.metric_delay_s
        self._late.append((moment, self.needed(tasks), self.occupied(placed)))

    def _act(self, now_s: float, needed: int, occupied: int, placed: int) -> None:
        """M / N above or below the target is needed / target against N, free of rounding in a percentage."""
        self._high = self._high + 1 if exceeds(self._at_target(needed), self.running) else 0
        busy = occupied if self.settings.reservation == "empty" else needed
        self._low = self._low + 1 if falls_below(self._at_target(busy), self.running) else 0
        if self._high >= self.settings.high_datapoints:
            self._scale_out(now_s, needed)
        elif self._low >= self.settings.low_datapoints:
            self._scale_in(needed, placed)

    def _at_target(self, needed: int) -> float:
        """Instances (a real number) of which `needed` are the target share."""
        return needed * (1 / share(self.settings.target_capacity_percent))

    def wanted(self, needed: int) -> int:
        """The size at which M / N sits at the target capacity."""
        return whole(self._at_target(needed))

    def _scale_out(self, now_s: float, needed: int) -> None:
        self._low = 0  # a scale-out ends a scale-in in progress
        if now_s < self._warm_until_s:
            return
        missing = self.settings.from_zero if self.size == 0 else self.wanted(needed) - self.size
        if missing <= 0:
            return
        step = min(max(missing, self.settings.minimum_step), self.settings.maximum_step)
        step = min(step, self.settings.max_size - self.size)
        if step > 0:
            self._launch(now_s, step)
            self._warm_until_s = now_s + self.settings.instance_warmup_s

    def _launch(self, now_s: float, count: int) -> None:
        for _ in range(count):
            boot_s = draw(self.boot_delay, self.rng)
            if self._warm > 0:
                self._warm -= 1
                self._warm_refills.append(now_s + boot_s)
                boot_s = self.settings.warm_start_s
            self.booting.append(now_s + boot_s)
        self.launched += count

    def _scale_in(self, needed: int, placed: int) -> None:
        spare = self.running - max(self.wanted(needed), self.settings.min_size)
        empty = self.running - self.occupied(placed)
        most = max(1, math.ceil(self.running * self.settings.maximum_scale_in_share) - 1)
        leaving = min(spare, empty, most)
        if leaving > 0:
            self.running -= leaving
            self.terminated += leaving
