"""The policy file: JSON in and out, checked whole, every problem named with its path."""

from __future__ import annotations

import itertools
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from planner.model import FAST_SUFFIX
from planner.scaling import policies, schedule
from planner.scaling.policies import CPU, MEMORY, REQUESTS, Policy
from planner.units import SECONDS_PER_MINUTE, Seconds

MAXIMUM_TASKS = 5_000
"""Tasks per service, an ECS service quota (2026); a larger `max` could never be reached."""
MAXIMUM_SCHEDULED = 200
MAXIMUM_POLICIES = 50
MAXIMUM_STEPS = 20
"""Quotas of Application Auto Scaling, per scalable target and per step policy."""

LOW_ALARM_S = 900
"""15 datapoints of a minute; at 20 s the same time is assumed [U]."""

SHORT_METRICS = {
    "cpu": CPU,
    "memory": MEMORY,
    "requests": REQUESTS,
    "requests_per_target": REQUESTS,
}


class PolicyError(ValueError):
    """A policy that cannot be used; `problems` are (path, sentence), all of them."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{path}: {text}" for path, text in problems))


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, populate_by_name=True)


def _full_metric(name: Any) -> Any:
    return SHORT_METRICS.get(name, name) if isinstance(name, str) else name


def _known_metric(name: str) -> str:
    base = name.removesuffix(FAST_SUFFIX)
    if base in (CPU, MEMORY, REQUESTS) or (name.startswith("custom:") and len(name) > len("custom:")):
        return name
    raise ValueError(
        f"metric {name!r} is not known: use cpu, memory, requests_per_target, one of the ECS predefined "
        "metric types, or custom:<column of the demand file>"
    )


Metric = Annotated[str, BeforeValidator(_full_metric), AfterValidator(_known_metric)]
Period = Literal[20, 60]
Count = Annotated[int, Field(ge=0, le=MAXIMUM_TASKS)]
DurationS = Annotated[float, Field(ge=0, le=86_400)]


def _plain_delay(value: Any) -> Any:
    return {"value_s": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


class _Delay(_Form):
    value_s: DurationS = 0
    kind: Literal["fixed", "uniform", "lognormal", "normal"] = "fixed"
    low_s: DurationS = 0
    high_s: DurationS = 0
    sigma: Annotated[float, Field(ge=0, le=86_400)] = 0

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> _Delay:
        if self.kind == "uniform" and self.low_s > self.high_s:
            raise ValueError(f"low_s {self.low_s:g} is above high_s {self.high_s:g}")
        return self


DelayForm = Annotated[_Delay, BeforeValidator(_plain_delay, json_schema_input_type=float | _Delay)]


class _Delays(_Form):
    metric_publishing_s: DelayForm = Field(default_factory=lambda: _Delay(value_s=policies.METRIC_DELAY_60_S))
    high_resolution_metric_publishing_s: DelayForm = Field(
        default_factory=lambda: _Delay(value_s=policies.METRIC_DELAY_20_S)
    )
    task_start_s: DelayForm = Field(default_factory=lambda: _Delay(value_s=policies.TASK_START_S))
    instance_boot_s: DelayForm = Field(default_factory=lambda: _Delay(value_s=policies.INSTANCE_BOOT_S))
    seed: Annotated[int, Field(ge=0)] = 0


def _check_target(target: float, metric: str) -> None:
    is_share = metric.removesuffix(FAST_SUFFIX) in (CPU, MEMORY)
    if target <= 0 or (is_share and target > 100):
        rule = "above 0 and at most 100 (percent)" if is_share else "above 0"
        raise ValueError(f"a target of {target:g} is not possible for {metric}: it must be {rule}")


class _Tracked(_Form):
    metric: Metric = Field(CPU, validation_alias=AliasChoices("metric", "PredefinedMetricType"))
    period_s: Period | None = None

    @model_validator(mode="after")
    def _period_follows_the_metric(self) -> _Tracked:
        fast = self.metric.endswith(FAST_SUFFIX)
        if fast and self.period_s == 60:
            raise ValueError(f"{self.metric} has a period of 20 s, not 60 s")
        self.period_s = 20 if fast else self.period_s or 60
        return self


class _TargetTracking(_Tracked):
    target: float = Field(validation_alias=AliasChoices("target", "target_value", "TargetValue"))
    scale_out_cooldown_s: DurationS = Field(
        300, validation_alias=AliasChoices("scale_out_cooldown_s", "scale_out_cooldown", "ScaleOutCooldown")
    )
    scale_in_cooldown_s: DurationS = Field(
        300, validation_alias=AliasChoices("scale_in_cooldown_s", "scale_in_cooldown", "ScaleInCooldown")
    )
    disable_scale_in: bool = Field(False, validation_alias=AliasChoices("disable_scale_in", "DisableScaleIn"))
    high_datapoints: Annotated[int, Field(ge=1, le=100)] = 3
    low_datapoints: Annotated[int, Field(ge=1, le=100)] | None = None
    low_alarm_factor: Annotated[float, Field(gt=0, le=1)] = 0.9
    capacity_basis: policies.CapacityBasis = policies.CapacityBasis.DESIRED
    cooldown_from: policies.CooldownFrom | None = None
    maximum_scale_in: Annotated[int, Field(ge=1)] | None = None
    metric_ceiling_percent: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _target_is_possible(self) -> _TargetTracking:
        _check_target(self.target, self.metric)
        if self.low_datapoints is None:
            self.low_datapoints = LOW_ALARM_S // (self.period_s or SECONDS_PER_MINUTE)
        return self


class _Step(_Form):
    lower: float | None = Field(None, validation_alias=AliasChoices("lower", "MetricIntervalLowerBound"))
    upper: float | None = Field(None, validation_alias=AliasChoices("upper", "MetricIntervalUpperBound"))
    adjustment: float = Field(validation_alias=AliasChoices("adjustment", "ScalingAdjustment"))


class _StepScaling(_Tracked):
    threshold: float
    comparison: Literal[">", ">=", "<", "<="] = ">="
    adjustment_type: policies.Adjustment = Field(
        policies.Adjustment.CHANGE, validation_alias=AliasChoices("adjustment_type", "AdjustmentType")
    )
    steps: Annotated[list[_Step], Field(min_length=1, max_length=MAXIMUM_STEPS)] = Field(
        validation_alias=AliasChoices("steps", "StepAdjustments")
    )
    cooldown_s: DurationS = Field(300, validation_alias=AliasChoices("cooldown_s", "cooldown", "Cooldown"))
    minimum_adjustment: Annotated[int, Field(ge=0)] = Field(
        0, validation_alias=AliasChoices("minimum_adjustment", "MinAdjustmentMagnitude")
    )
    aggregation: Literal["Average", "Minimum", "Maximum"] = "Average"
    datapoints: Annotated[int, Field(ge=1, le=100)] = 1
    metric_ceiling_percent: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _steps_tile(self) -> _StepScaling:
        problem = step_problem(self.steps)
        if problem:
            raise ValueError(problem)
        return self


def step_problem(steps: list[_Step]) -> str | None:
    """Why a set of step adjustments is not allowed, or None (step scaling guide: no overlap, no gap)."""
    infinity = float("inf")
    bounds = sorted(
        (
            -infinity if step.lower is None else step.lower,
            infinity if step.upper is None else step.upper,
        )
        for step in steps
    )
    for lower, upper in bounds:
        if lower >= upper:
            return f"a step from {lower:g} to {upper:g} is empty: its lower bound must be below its upper"
    for (_, upper), (lower, _) in itertools.pairwise(bounds):
        if lower < upper:
            return f"steps overlap between {lower:g} and {upper:g}: each metric value may match one step"
        if lower > upper:
            return f"steps leave a gap from {upper:g} to {lower:g}: every value must match a step"
    if -infinity < bounds[0][0] < 0:
        return "a step with a negative lower bound needs one whose lower bound is open"
    if 0 < bounds[-1][1] < infinity:
        return "a step with a positive upper bound needs one whose upper bound is open"
    return None


class _Scheduled(_Form):
    schedule: str = Field(validation_alias=AliasChoices("schedule", "Schedule"))
    min: Count | None = Field(None, validation_alias=AliasChoices("min", "MinCapacity"))
    max: Count | None = Field(None, validation_alias=AliasChoices("max", "MaxCapacity"))
    timezone: str = Field("UTC", validation_alias=AliasChoices("timezone", "Timezone"))
    name: str = Field("", validation_alias=AliasChoices("name", "ScheduledActionName"))
    start: datetime | None = None
    end: datetime | None = None

    @model_validator(mode="after")
    def _can_run(self) -> _Scheduled:
        schedule.parse(self.schedule, self.timezone)
        if self.min is None and self.max is None:
            raise ValueError("a scheduled action must set min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


class _Predictive(_Tracked):
    target: float
    forecast_and_scale: bool = True
    scheduling_buffer_s: Annotated[float, Field(ge=0, lt=3_600)] = 300
    increase_max_capacity: bool = False
    max_capacity_buffer_percent: Annotated[float, Field(ge=0, le=100)] = 0
    history_days: Annotated[int, Field(ge=1, le=14)] = 14
    minimum_history_hours: Annotated[int, Field(ge=24)] = 24
    refresh_hours: Annotated[int, Field(ge=1, le=48)] = 6

    @model_validator(mode="after")
    def _target_is_possible(self) -> _Predictive:
        _check_target(self.target, self.metric)
        return self


class _CapacityProvider(_Form):
    tasks_per_instance: Annotated[int, Field(ge=1)]
    min_size: Annotated[int, Field(ge=0)] = 0
    max_size: Annotated[int, Field(ge=1)] = 10_000
    target_capacity_percent: Annotated[float, Field(ge=1, le=100)] = Field(
        100, validation_alias=AliasChoices("target_capacity_percent", "target_capacity", "targetCapacity")
    )
    minimum_step: Annotated[int, Field(ge=1, le=10_000)] = Field(
        1, validation_alias=AliasChoices("minimum_step", "minimumScalingStepSize")
    )
    maximum_step: Annotated[int, Field(ge=1, le=10_000)] = Field(
        10_000, validation_alias=AliasChoices("maximum_step", "maximumScalingStepSize")
    )
    instance_warmup_s: Annotated[float, Field(ge=0, le=10_000)] = Field(
        300, validation_alias=AliasChoices("instance_warmup_s", "instanceWarmupPeriod")
    )
    high_datapoints: Annotated[int, Field(ge=1, le=100)] = 1
    low_datapoints: Annotated[int, Field(ge=1, le=100)] = 15
    metric_delay_s: DurationS = 0
    maximum_scale_in_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    from_zero: Annotated[int, Field(ge=1)] = 2
    reservation: Literal["needed_over_running", "empty"] = "needed_over_running"
    placement: policies.Placement = policies.Placement.BINPACK
    warm_pool_size: Annotated[int, Field(ge=0)] = 0
    warm_start_s: DurationS = 20
    usd_per_hour: Annotated[float, Field(ge=0)] | None = None
    instance_type: str | None = None

    @model_validator(mode="after")
    def _sizes_are_ordered(self) -> _CapacityProvider:
        if self.min_size > self.max_size:
            raise ValueError(f"min_size {self.min_size} is above max_size {self.max_size}")
        if self.minimum_step > self.maximum_step:
            raise ValueError(f"minimum_step {self.minimum_step} is above maximum_step {self.maximum_step}")
        return self


class _Deployment(_Form):
    start: datetime
    end: datetime

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> _Deployment:
        if self.end <= self.start:
            raise ValueError("a deployment must end after it starts")
        return self


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class PolicyForm(_Form):
    """The policy file. One scaling policy may stand alone or in a list."""

    task_vcpu: Annotated[float, Field(gt=0, le=192)]
    min: Count
    max: Count
    task_memory_mib: Annotated[int, Field(gt=0)] | None = None
    initial: Count | None = None
    target_tracking: Annotated[
        list[_TargetTracking],
        BeforeValidator(_as_list, json_schema_input_type=list[_TargetTracking] | _TargetTracking),
        Field(max_length=MAXIMUM_POLICIES),
    ] = Field(default_factory=list)
    step: Annotated[
        list[_StepScaling],
        BeforeValidator(_as_list, json_schema_input_type=list[_StepScaling] | _StepScaling),
        Field(max_length=MAXIMUM_POLICIES),
    ] = Field(default_factory=list)
    scheduled: Annotated[
        list[_Scheduled],
        BeforeValidator(_as_list, json_schema_input_type=list[_Scheduled] | _Scheduled),
        Field(max_length=MAXIMUM_SCHEDULED),
    ] = Field(default_factory=list)
    predictive: _Predictive | None = None
    delays: _Delays = Field(default_factory=_Delays)
    capacity_provider: _CapacityProvider | None = None
    deployments: list[_Deployment] = Field(default_factory=list)

    @model_validator(mode="after")
    def _bounds_and_needs_agree(self) -> PolicyForm:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        fulfilment, decision = policies.CooldownFrom.FULFILMENT, policies.CooldownFrom.DECISION
        for policy in self.target_tracking:
            policy.cooldown_from = policy.cooldown_from or (
                fulfilment if self.capacity_provider is not None else decision
            )
        tracked = [*self.target_tracking, *self.step]
        if self.task_memory_mib is None and any(MEMORY in p.metric for p in tracked):
            raise ValueError("a policy on memory needs task_memory_mib")
        return self


def parse_policy(document: Any) -> Policy:
    """Turn a policy file's JSON value into a Policy.

    Raises PolicyError with every problem and its path, e.g. ("target_tracking[0].target", "...").
    """
    try:
        form = PolicyForm.model_validate(document)
    except ValidationError as error:
        raise PolicyError(
            [(_path(e["loc"]), _sentence(cast("dict[str, Any]", e))) for e in error.errors()]
        ) from None
    return _policy(form)


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path or "policy"


def _sentence(error: dict[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "this key is not known"
    if error["type"] == "missing":
        return "this key is required"
    if error["type"] == "model_type":
        return "a JSON object is required"
    return str(error["msg"]).removeprefix("Value error, ")


def _policy(form: PolicyForm) -> Policy:
    delays = form.delays
    provider = form.capacity_provider
    return Policy(
        task_vcpu=form.task_vcpu,
        min=form.min,
        max=form.max,
        task_memory_mib=form.task_memory_mib,
        initial=form.initial,
        target_tracking=tuple(policies.TargetTracking(**t.model_dump()) for t in form.target_tracking),
        step=tuple(
            policies.StepScaling(
                **{**s.model_dump(), "steps": tuple(policies.Step(**x.model_dump()) for x in s.steps)}
            )
            for s in form.step
        ),
        scheduled=tuple(policies.ScheduledScaling(**s.model_dump()) for s in form.scheduled),
        predictive=_predictive(form.predictive),
        delays=policies.Delays(
            metric_publishing_s=_delay(delays.metric_publishing_s),
            high_resolution_metric_publishing_s=_delay(delays.high_resolution_metric_publishing_s),
            task_start_s=_delay(delays.task_start_s),
            instance_boot_s=_delay(delays.instance_boot_s),
            seed=delays.seed,
        ),
        capacity_provider=policies.CapacityProvider(**provider.model_dump()) if provider else None,
        deployments=tuple(policies.Deployment(**d.model_dump()) for d in form.deployments),
    )


def _predictive(form: _Predictive | None) -> policies.PredictiveScaling | None:
    if form is None:
        return None
    return policies.PredictiveScaling(**form.model_dump(exclude={"period_s"}))


def _delay(form: _Delay) -> policies.Delay:
    return policies.Delay(Seconds(form.value_s), form.kind, Seconds(form.low_s), Seconds(form.high_s), form.sigma)


def print_policy(policy: Policy) -> dict[str, Any]:
    """The policy as the JSON value that `parse_policy` reads back to an equal Policy."""
    document = {k: v for k, v in asdict(policy).items() if v not in (None, (), [])}
    return cast("dict[str, Any]", _json(document))


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"value_s", "kind", "low_s", "high_s", "sigma"} and value["kind"] == "fixed":
            return value["value_s"]
        return {k: _json(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [_json(v) for v in value]
    return value.isoformat() if isinstance(value, datetime) else value


def policy_schema() -> dict[str, Any]:
    """The JSON Schema of the policy file."""
    return PolicyForm.model_json_schema(by_alias=False)
