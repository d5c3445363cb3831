"""What one scaling policy wants, given its alarms: target tracking and step scaling.

A policy proposes a count and never sets it; `service.py` combines the proposals. Sources: Application Auto
Scaling user guide, "Target tracking scaling policies" and "Step scaling policies"; FACTS of rounding in
`rounding.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from planner.model import FAST_SUFFIX
from planner.scaling.alarms import Alarm, Datapoint, Invocations, MetricStream
from planner.scaling.policies import (
    CPU,
    MEMORY,
    Adjustment,
    CapacityBasis,
    CooldownFrom,
    Policy,
    StepScaling,
    TargetTracking,
)
from planner.scaling.rounding import exceeds, falls_below, whole

PERCENT = 100.0


class Wish(Enum):
    OUT = "out"
    IN = "in"


@dataclass(frozen=True, slots=True)
class Proposal:
    wish: Wish
    tasks: int


def metric_scale(metric: str, policy: Policy) -> float:
    """What one unit of load on one task is in the metric's unit: percent for CPU and memory, else 1."""
    base = metric.removesuffix(FAST_SUFFIX)
    if base == CPU:
        return PERCENT / policy.task_vcpu
    if base == MEMORY:
        return PERCENT / (policy.task_memory_mib or math.nan)
    return 1.0


@dataclass(slots=True)
class OutCooldown:
    """[D] Capacity added by the activity that opened the cooldown counts for the next, larger one."""

    length_s: float
    begins: CooldownFrom = CooldownFrom.DECISION
    until_s: float = -math.inf
    base: int = 0
    waits: bool = False
    """The activity is not fulfilled yet, so the time has not begun to run."""

    def base_at(self, now_s: float, desired: int) -> int:
        return self.base if now_s < self.until_s else desired

    def start(self, now_s: float, desired_before: int) -> None:
        self.base = self.base_at(now_s, desired_before)
        self.until_s = now_s + self.length_s
        self.waits = self.begins is CooldownFrom.FULFILMENT

    def watch(self, now_s: float, fulfilled: bool) -> None:
        """While tasks are still missing, the cooldown keeps its full length."""
        if self.waits:
            self.until_s = now_s + self.length_s
            self.waits = not fulfilled


class Tracker:
    """One target tracking policy with its high and low alarm."""

    def __init__(self, settings: TargetTracking, policy: Policy, stream: MetricStream) -> None:
        self.settings = settings
        self.stream = stream
        self.out_cooldown = OutCooldown(settings.scale_out_cooldown_s, settings.cooldown_from)
        self.in_until_s = -math.inf
        self._per_target = metric_scale(settings.metric, policy) / settings.target
        ceiling = settings.metric_ceiling_percent
        self._ceiling = math.inf if ceiling is None else ceiling / settings.target
        self._per_low = self._per_target / settings.low_alarm_factor
        self._low_ceiling = self._ceiling / settings.low_alarm_factor
        self._high = Alarm(settings.high_datapoints)
        self._low = Alarm(settings.low_datapoints)
        self._high_calls, self._low_calls = Invocations(), Invocations()
        self._latest = Datapoint(math.nan, 0.0)

    def observe(self, now_s: float) -> None:
        for point in self.stream.arrived(now_s):
            if point.is_missing:
                self._high.add(None)
                self._low.add(None)
                continue
            low = min(point.load * self._per_low, point.running * self._low_ceiling)
            self._high.add(exceeds(self._tasks_at_target(point), point.running))
            self._low.add(falls_below(low, point.running))
            self._latest = point

    def _tasks_at_target(self, point: Datapoint) -> float:
        """Tasks (a real number) on which the measured load would sit at the target."""
        return min(point.load * self._per_target, point.running * self._ceiling)

    def propose(self, now_s: float, desired: int, maximum: int) -> Proposal | None:
        """Scale out on the high alarm; say how far to scale in on the low one; None when neither calls.

        A scale-in proposal of `desired` tasks agrees to scale in but sees no whole task to spare.
        """
        high_due = self._high_calls.due(self._high.state, now_s)
        low_due = self._low_calls.due(self._low.state, now_s)
        if high_due:
            base = self.out_cooldown.base_at(now_s, desired)
            wanted = min(self._proportional(base), maximum)
            return Proposal(Wish.OUT, wanted) if wanted > desired else None
        if low_due and not self.settings.disable_scale_in and now_s >= self.in_until_s:
            wanted = min(self._proportional(desired), desired)
            if self.settings.maximum_scale_in is not None:
                wanted = max(wanted, desired - self.settings.maximum_scale_in)
            return Proposal(Wish.IN, wanted)
        return None

    def _proportional(self, capacity: int) -> int:
        """[O] ceil(capacity * metric / target)."""
        needed = self._tasks_at_target(self._latest)
        if self.settings.capacity_basis is CapacityBasis.RUNNING or capacity == self._latest.running:
            return whole(needed)
        return whole(capacity * needed / self._latest.running)

    @property
    def scale_in_cooldown_s(self) -> float:
        return self.settings.scale_in_cooldown_s


class Stepper:
    """One step scaling policy with the alarm that invokes it."""

    def __init__(self, settings: StepScaling, policy: Policy, stream: MetricStream) -> None:
        self.settings = settings
        self.stream = stream
        self.out_cooldown = OutCooldown(settings.cooldown_s)
        self.in_until_s = -math.inf
        self._scale = metric_scale(settings.metric, policy)
        self._alarm = Alarm(settings.datapoints)
        self._calls = Invocations()
        self._values: list[float] = []

    def observe(self, now_s: float) -> None:
        for point in self.stream.arrived(now_s):
            if point.is_missing:
                self._alarm.add(None)
                continue
            value = point.load * self._scale / point.running
            if self.settings.metric_ceiling_percent is not None:
                value = min(value, self.settings.metric_ceiling_percent)
            self._values = [*self._values, value][-self.settings.datapoints :]
            self._alarm.add(self._breaches(value))

    def _breaches(self, value: float) -> bool:
        threshold = self.settings.threshold
        match self.settings.comparison:
            case ">":
                return exceeds(value, threshold)
            case ">=":
                return not falls_below(value, threshold)
            case "<":
                return falls_below(value, threshold)
            case _:
                return not exceeds(value, threshold)

    def propose(self, now_s: float, desired: int, maximum: int) -> Proposal | None:
        if not self._calls.due(self._alarm.state, now_s):
            return None
        after = self._after(desired)
        if after is None:
            return None
        if after > desired:  # else a step that scales in would add tasks where a cooldown's base is the larger
            out = min(self._after(self.out_cooldown.base_at(now_s, desired)) or 0, maximum)
            return Proposal(Wish.OUT, out) if out > desired else None
        if after < desired and now_s >= self.in_until_s:
            return Proposal(Wish.IN, max(after, 0))
        return None

    def _after(self, capacity: int) -> int | None:
        """The count the matching step leads to, or None where no step matches the breach."""
        breach = round(self._aggregate() - self.settings.threshold, 6)
        for step in self.settings.steps:
            if _in_step(breach, step.lower, step.upper, self.settings.above):
                return adjusted(capacity, step.adjustment, self.settings)
        return None

    def _aggregate(self) -> float:
        values = self._values
        match self.settings.aggregation:
            case "Minimum":
                return min(values)
            case "Maximum":
                return max(values)
            case _:
                return sum(values) / len(values)

    @property
    def scale_in_cooldown_s(self) -> float:
        return self.settings.cooldown_s


def _in_step(breach: float, lower: float | None, upper: float | None, above: bool) -> bool:
    """[D] Above the threshold the lower bound is inclusive, below it the upper one is."""
    low = -math.inf if lower is None else lower
    high = math.inf if upper is None else upper
    return low <= breach < high if above else low < breach <= high


def adjusted(capacity: int, adjustment: float, settings: StepScaling) -> int:
    """Capacity after one step adjustment, with AWS's rounding of percentages."""
    if settings.adjustment_type is Adjustment.EXACT:
        return int(adjustment)
    if settings.adjustment_type is Adjustment.CHANGE:
        return capacity + int(adjustment)
    change = percent_change(capacity * adjustment / PERCENT)
    if change != 0 and abs(change) < settings.minimum_adjustment:
        change = int(math.copysign(settings.minimum_adjustment, change))
    return capacity + change


def percent_change(change: float) -> int:
    """[D] Above 1 down; 0 to 1 is 1; -1 to 0 is -1; below -1 towards zero."""
    if 0 < change < 1:
        return 1
    if -1 < change < 0:
        return -1
    return math.trunc(change)
