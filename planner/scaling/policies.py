"""What a service and its capacity provider are told to do: scaling policies as frozen values.

Every rule that AWS does not document is a field here with a default and its source, so that a reader can
change the assumption in the policy file instead of in a formula. Marks: [D] AWS documentation, [O] observed
by third parties, [I] inferred from AWS's published benchmark, [U] unverified.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from planner.units import Seconds, UsdPerHour

CPU: str = "ECSServiceAverageCPUUtilization"
MEMORY: str = "ECSServiceAverageMemoryUtilization"
REQUESTS: str = "ALBRequestCountPerTarget"

METRIC_DELAY_60_S: Seconds = Seconds(150)
"""[I] Publishing delay of 60-second metrics: AWS measured 363 s from a load step to the scale-out, of which
three datapoints and the alarm's phase explain 210 s (aws/containers-roadmap#2113)."""
METRIC_DELAY_20_S: Seconds = Seconds(16)
"""[I] The same for 20-second metrics: 86 s measured, 66 to 71 s explained."""
TASK_START_S: Seconds = Seconds(23)
"""[I] 386 - 363 s and 109 - 86 s in the same benchmark."""
INSTANCE_BOOT_S: Seconds = Seconds(60)
"""[O] RunInstances to a usable system about 26 to 40 s, plus [U] 10 to 30 s until the agent registers."""


@dataclass(frozen=True, slots=True)
class Delay:
    """A duration, fixed or drawn anew for each event from a distribution.

    `kind` fixed: always `value_s`. uniform: from `low_s` to `high_s`. lognormal: median `value_s`, shape
    `sigma`. normal: mean `value_s`, standard deviation `sigma` seconds, cut at 0.
    """

    value_s: Seconds = Seconds(0)
    kind: Literal["fixed", "uniform", "lognormal", "normal"] = "fixed"
    low_s: Seconds = Seconds(0)
    high_s: Seconds = Seconds(0)
    sigma: float = 0.0

    @property
    def is_fixed(self) -> bool:
        return self.kind == "fixed"


class CapacityBasis(StrEnum):
    """[U] Which capacity `ceil(capacity * metric / target)` starts from."""

    DESIRED = "desired"
    """The desired count; inside a scale-out cooldown the count before the activity that opened it, which is
    how [D] "the capacity added counts as part of the desired capacity for the next scale-out" reads."""
    RUNNING = "running"
    """The count that ran while the metric was measured, so that late metrics never overshoot."""


class CooldownFrom(StrEnum):
    """When a scale-out cooldown starts to run."""

    DECISION = "decision"
    FULFILMENT = "fulfilment"
    """[D] "After Application Auto Scaling successfully scales out": when all desired tasks run. Without a
    capacity provider the two differ by the task start alone."""


@dataclass(frozen=True, slots=True)
class TargetTracking:
    """One target tracking policy with the two alarms that Application Auto Scaling manages for it."""

    target: float
    """Percent for CPU and memory, a count per task for requests and custom metrics."""
    metric: str = CPU
    scale_out_cooldown_s: Seconds = Seconds(300)  # [D] ECS default
    scale_in_cooldown_s: Seconds = Seconds(300)  # [D] ECS default
    disable_scale_in: bool = False
    period_s: int = 60
    """60, or 20 for the high-resolution metrics of June 2026."""
    high_datapoints: int = 3  # [O] aws/containers-roadmap#1208: 3 of 3
    low_datapoints: int = 15
    """[O] the same: 15 of 15. The policy file's default is 15 minutes of datapoints: 45 at 20 s [U]."""
    low_alarm_factor: float = 0.9
    """[O] Low alarm below 0.9 x target on ECS (30 -> 27, 70 -> 63); EC2 Auto Scaling uses 0.7."""
    capacity_basis: CapacityBasis = CapacityBasis.DESIRED
    cooldown_from: CooldownFrom = CooldownFrom.DECISION
    """The policy file's default is fulfilment where there is a capacity provider."""
    maximum_scale_in: int | None = None
    """[U] Most tasks one scale-in takes away; None: down to ceil(capacity * metric / target) at once."""
    metric_ceiling_percent: float | None = None
    """What the metric cannot exceed. None: it shows demand over capacity, as tasks on EC2 that burst above
    their reservation do. 100: hard CPU limits (Fargate), where overload beyond 100 % cannot be seen."""


class Adjustment(StrEnum):
    CHANGE = "ChangeInCapacity"
    PERCENT = "PercentChangeInCapacity"
    EXACT = "ExactCapacity"


@dataclass(frozen=True, slots=True)
class Step:
    """Bounds relative to the alarm's threshold; None is infinity."""

    lower: float | None
    upper: float | None
    adjustment: float


@dataclass(frozen=True, slots=True)
class StepScaling:
    """A step scaling policy and the alarm that invokes it."""

    threshold: float
    steps: tuple[Step, ...]
    metric: str = CPU
    comparison: Literal[">", ">=", "<", "<="] = ">="
    adjustment_type: Adjustment = Adjustment.CHANGE
    cooldown_s: Seconds = Seconds(300)  # [D] botocore StepScalingPolicyConfiguration
    minimum_adjustment: int = 0
    aggregation: Literal["Average", "Minimum", "Maximum"] = "Average"
    datapoints: int = 1
    period_s: int = 60
    metric_ceiling_percent: float | None = None

    @property
    def above(self) -> bool:
        return self.comparison in (">", ">=")


@dataclass(frozen=True, slots=True)
class ScheduledScaling:
    """A scheduled action: cron(...) of six fields, rate(...) or at(...), in an IANA time zone."""

    schedule: str
    min: int | None = None
    max: int | None = None
    timezone: str = "UTC"
    name: str = ""
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class PredictiveScaling:
    """Predictive scaling for ECS: an hourly forecast that only ever scales out.

    AWS does not publish its forecaster; the replay uses the mean demand at the same hour of the week (of
    the day while less than a week is known), over at most 14 days.
    """

    target: float
    metric: str = CPU
    forecast_and_scale: bool = True
    """False: ForecastOnly, which changes nothing."""
    scheduling_buffer_s: Seconds = Seconds(300)  # [D]
    increase_max_capacity: bool = False  # [D] HonorMaxCapacity is the default
    max_capacity_buffer_percent: float = 0.0
    history_days: int = 14  # [D]
    minimum_history_hours: int = 24  # [D]
    refresh_hours: int = 6  # [D]


class Placement(StrEnum):
    BINPACK = "binpack"
    SPREAD = "spread"


@dataclass(frozen=True, slots=True)
class CapacityProvider:
    """An Auto Scaling group with ECS managed scaling (developer guide, cluster auto scaling)."""

    tasks_per_instance: int
    min_size: int = 0
    max_size: int = 10_000
    target_capacity_percent: float = 100.0  # [D]
    minimum_step: int = 1  # [D]
    maximum_step: int = 10_000  # [D]
    instance_warmup_s: Seconds = Seconds(300)  # [D]
    high_datapoints: int = 1  # [O] aws/containers-roadmap#638
    low_datapoints: int = 15  # [D]
    metric_delay_s: Seconds = Seconds(0)
    """[U] CapacityProviderReservation is computed by ECS every minute."""
    maximum_scale_in_share: float = 0.5
    """[D] A scale-in takes more than one instance but under half of the group a minute."""
    from_zero: int = 2  # [D] N = 0 and M > 0 reports 200, which launches two
    reservation: Literal["needed_over_running", "empty"] = "needed_over_running"
    """M / N, or for scale-in 100 minus the share of empty instances: the guide states both."""
    placement: Placement = Placement.BINPACK
    warm_pool_size: int = 0
    warm_start_s: Seconds = Seconds(20)  # [U] start of a stopped warm instance plus registration
    usd_per_hour: UsdPerHour | None = None
    instance_type: str | None = None


@dataclass(frozen=True, slots=True)
class Delays:
    metric_publishing_s: Delay = Delay(METRIC_DELAY_60_S)
    high_resolution_metric_publishing_s: Delay = Delay(METRIC_DELAY_20_S)
    task_start_s: Delay = Delay(TASK_START_S)
    instance_boot_s: Delay = Delay(INSTANCE_BOOT_S)
    seed: int = 0
    """Of the distributions; unused while all delays are fixed."""

    @property
    def are_fixed(self) -> bool:
        drawn = (
            self.metric_publishing_s,
            self.high_resolution_metric_publishing_s,
            self.task_start_s,
            self.instance_boot_s,
        )
        return all(delay.is_fixed for delay in drawn)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A window in which an ECS deployment is in progress: scale-in is off, scale-out stays on."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything the replay needs to know of one service's scaling."""

    task_vcpu: float
    min: int
    max: int
    task_memory_mib: int | None = None
    initial: int | None = None
    """Desired (and running) tasks when the replay starts; None: the minimum then in force."""
    target_tracking: tuple[TargetTracking, ...] = ()
    step: tuple[StepScaling, ...] = ()
    scheduled: tuple[ScheduledScaling, ...] = ()
    predictive: PredictiveScaling | None = None
    delays: Delays = field(default_factory=Delays)
    capacity_provider: CapacityProvider | None = None
    deployments: tuple[Deployment, ...] = ()
