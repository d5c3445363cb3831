"""plan.json: what the planner decided, from what, at which price, and what it turned down."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from planner.documents import canonical
from planner.documents.canonical import DocumentError, Strict
from planner.documents.fields import (
    Count,
    Grown,
    Money,
    Name,
    Positive,
    Quantity,
    Sha256,
    ShareOf,
    TaskSize,
)
from planner.documents.packing import PackingProof
from planner.documents.routing import AttachmentPlan, RulePlan, TargetGroupPlan
from planner.model import Architecture
from planner.units import HOURS_PER_WEEK


def _check_week(name: str, values: tuple[float, ...]) -> None:
    if len(values) not in (0, HOURS_PER_WEEK):
        raise ValueError(f"{name} has {len(values)} values, not 168")


class Scope(Strict):
    """Where the plan holds. It is refused anywhere else."""

    account_id: Annotated[str, StringConstraints(pattern=r"^\d{12}$")]
    region: Name
    cluster: Name


class Input(Strict):
    """One thing the plan was made from."""

    name: Name
    sha256: Sha256
    rows: Count
    description: str


class PriceBookUsed(Strict):
    date: str
    sha256: Sha256
    sources: tuple[str, ...]


class Objective(Strict):
    """What was asked for."""

    slo: ShareOf = Field(description="Share of minutes in which utilisation stays at or under the objective")
    utilisation: ShareOf = Field(description="Used CPU over the capacity of running tasks that a minute may reach")
    timezone: Name
    holidays: str | None = Field(default=None, description="Country or subdivision, e.g. GB-ENG")
    zones: Positive
    survive_zone_loss: bool = False
    growth: float = Field(default=0, ge=-1, description="Demand added on top of the observed, as a share of it")
    architectures: tuple[Architecture, ...]
    max_instance_types: Positive = 1
    resize_tasks: bool = True


class BackTest(Strict):
    """Day-ahead forecasts in quarter hours, made from past moments and scored on what they had not seen.

    Capacity is what holds p99 at the utilisation objective, and beside it what holds the highest quarter hour
    of the two weeks before, all the time; both are priced at the plan's price of a vCPU.
    """

    forecasts: Count
    steps: Count = Field(description="Quarter hours that were forecast and measured")
    pinball_ratio_p50: Quantity | None = Field(default=None, description="Loss over that of the seasonal naive")
    pinball_ratio_p90: Quantity | None = None
    pinball_ratio_p99: Quantity | None = None
    coverage_p90: ShareOf
    coverage_p99: ShareOf
    missed_minutes: Quantity = Field(description="Minutes above p99: capacity would have been short")
    vcpu_hours: Quantity
    usd: Money | None = None
    peak_missed_minutes: Quantity
    peak_vcpu_hours: Quantity
    peak_usd: Money | None = None


class Carries(Strict):
    """Load-balanced requests per second that one task of the present size carries at the objectives."""

    requests_per_second_per_task: Quantity
    low: Quantity = Field(description="5 % end of what resampled days give")
    high: Quantity = Field(description="95 % end")
    bound_by: Name = Field(description="cpu, latency or observed load, where more was never seen")
    explained: ShareOf = Field(description="Share of the variance of CPU per task that requests explain")
    saturates: bool = Field(default=False, description="Latency bends with load (Universal Scalability Law)")


class ServiceDemand(Strict):
    """CPU needed by one service; vCPU, per minute, judged on data it has not seen where that was possible."""

    service: Name
    p50_vcpu: Quantity
    p90_vcpu: Quantity
    p99_vcpu: Quantity
    peak_vcpu: Quantity
    memory_peak_mib_per_task: Quantity | None = None
    p50_vcpu_by_hour_of_week: tuple[Quantity, ...] = Field(default=(), description="Of the coming week, as p99")
    p90_vcpu_by_hour_of_week: tuple[Quantity, ...] = Field(default=(), description="Of the coming week, as p99")
    p99_vcpu_by_hour_of_week: tuple[Quantity, ...] = Field(description="168 values from Monday 00:00 local time")
    observed_minutes: Count
    censored_minutes: Count = Field(description="Minutes in which usage sat at its limit: a lower bound")
    coverage_p99: ShareOf | None = Field(default=None, description="Back-test: share of later steps under p99")
    back_test: BackTest | None = Field(default=None, description="None where the history is too short for one")
    carries: Carries | None = Field(default=None, description="None without requests, or where they tell no load")
    scale_on: str | None = Field(default=None, description="The metric that tells the load of a task")
    scale_on_reason: str = ""
    model: str
    warnings: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _whole_week(self) -> ServiceDemand:
        for name in ("p50_vcpu_by_hour_of_week", "p90_vcpu_by_hour_of_week", "p99_vcpu_by_hour_of_week"):
            _check_week(name, getattr(self, name))
        return self


class TargetTrackingPlan(Strict):
    metric: Literal[
        "ECSServiceAverageCPUUtilization",
        "ECSServiceAverageMemoryUtilization",
        "ALBRequestCountPerTarget",
        "ECSServiceAverageCPUUtilizationHighResolution",
        "ECSServiceAverageMemoryUtilizationHighResolution",
    ]
    target: Annotated[float, Field(gt=0)]
    scale_out_cooldown_s: Count = 60
    scale_in_cooldown_s: Count = 300
    resource_label: str | None = None


class SchedulePlan(Strict):
    name: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    cron: Annotated[str, StringConstraints(pattern=r"^cron\(.+\)$")]
    timezone: Name
    min_capacity: Count
    max_capacity: Count


class ScalingPlan(Strict):
    min_capacity: Count
    max_capacity: Count
    target_tracking: TargetTrackingPlan | None = None
    schedules: tuple[SchedulePlan, ...] = ()
    attainment: ShareOf | None = Field(default=None, description="Share of minutes that met the objective")
    attainment_out_of_sample: ShareOf | None = None
    reason: str = Field(description="Why this threshold, in one sentence")

    @model_validator(mode="after")
    def _ordered(self) -> ScalingPlan:
        if self.min_capacity > self.max_capacity:
            raise ValueError(f"min_capacity {self.min_capacity} is above max_capacity {self.max_capacity}")
        return self


class StrategyItemPlan(Strict):
    capacity_provider: Name
    weight: Annotated[int, Field(ge=0, le=1000)] = 1
    base: Count = 0


class PlacementPlan(Strict):
    type: Literal["binpack", "spread", "random"]
    field: str = ""


class ServicePlan(Strict):
    """What one service gets. A field that is None is left as it is."""

    service: Name
    task_definition_arn: Name = Field(description="The revision that the new one is made from")
    task: TaskSize
    task_before: TaskSize
    architecture: Architecture
    image: str | None = Field(default=None, description="A new image reference; None keeps the present one")
    capacity_providers: tuple[StrategyItemPlan, ...] = ()
    placement: tuple[PlacementPlan, ...] = ()
    minimum_healthy_percent: Annotated[int, Field(ge=0, le=200)] = 100
    maximum_percent: Annotated[int, Field(ge=100, le=200)] = 200
    scaling: ScalingPlan | None = None
    tasks_before: Count
    tasks_typical: Count = Field(description="Median of running tasks under the plan's scaling")
    tasks_peak: Count
    tasks_by_hour_of_week: tuple[Quantity, ...] = Field(
        default=(),
        description="Mean of running tasks under the plan's scaling, 168 values; none: constant",
    )
    routes: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    load_balancers: tuple[AttachmentPlan, ...] = Field(
        default=(), description="Target groups that the service is attached to beside its present ones"
    )

    @model_validator(mode="after")
    def _whole_week(self) -> ServicePlan:
        _check_week("tasks_by_hour_of_week", self.tasks_by_hour_of_week)
        return self


class FleetPlan(Grown):
    """One capacity provider with its Auto Scaling group of one instance type."""

    capacity_provider: Name
    auto_scaling_group: Name
    like: str | None = Field(default=None, description="Capacity provider whose launch template it copies")
    exists: bool
    instance_type: Name
    architecture: Architecture
    zones: tuple[Name, ...]
    room: TaskSize = Field(description="What tasks can use on one instance")
    min_size: Count
    max_size: Count
    desired_size: Count
    typical_size: Count = Field(description="Median of running instances under the plan's scaling")
    instances_by_hour_of_week: tuple[Quantity, ...] = Field(
        default=(), description="Mean of running instances under the plan's scaling, 168 values; none: constant"
    )
    target_capacity_percent: Annotated[int, Field(ge=1, le=100)] = 100
    usd_per_hour: Money
    replaces_type: Name | None = Field(
        default=None,
        description="Instance type that a provider that exists has now, where its instances are to be replaced",
    )
    busiest_size: Count | None = Field(default=None, description="Most instances in the replayed minutes")
    max_size_reason: str | None = Field(default=None, description="What max_size has to hold, in a sentence")

    _later: ClassVar[tuple[str, ...]] = ("busiest_size", "max_size_reason")

    @model_validator(mode="after")
    def _ordered(self) -> FleetPlan:
        if not self.min_size <= self.desired_size <= self.max_size:
            raise ValueError(
                f"sizes are out of order: min {self.min_size}, desired {self.desired_size}, max {self.max_size}"
            )
        _check_week("instances_by_hour_of_week", self.instances_by_hour_of_week)
        return self


class RetiredProvider(Strict):
    capacity_provider: Name
    auto_scaling_group: Name
    instances: Count
    reason: str


class CostLinePlan(Strict):
    item: str
    kind: str
    service: str | None = None
    capacity_provider: str | None = None
    usd_per_hour: float
    basis: str
    source: str
    price_date: str


class Cost(Strict):
    today_usd_per_hour: Money
    plan_usd_per_hour: Money
    today: tuple[CostLinePlan, ...]
    plan: tuple[CostLinePlan, ...]
    by_service: tuple[CostLinePlan, ...] = ()


class Candidate(Grown):
    """One configuration that was considered; `rejected` says why it was not taken, None for the chosen one."""

    name: Name
    description: str
    usd_per_hour: Money | None
    attainment: ShareOf | None = None
    lower_bound_usd_per_hour: Money | None = None
    rejected: str | None = None
    breaks_a_rule: bool | None = Field(default=None, description="True where no cost could make up for it")

    _later: ClassVar[tuple[str, ...]] = ("breaks_a_rule",)


class Excluded(Strict):
    """Something left out by name: a type without a price, a service without metrics."""

    what: str
    reason: str


class PlanDocument(Strict):
    schema_version: Literal["1"] = "1"
    kind: Literal["plan"] = "plan"
    created_at: AwareDatetime = Field(description="The instant the plan looks from; data after it was not used")
    author: Name
    scope: Scope
    objective: Objective
    inputs: tuple[Input, ...]
    price_book: PriceBookUsed
    demand: tuple[ServiceDemand, ...]
    back_test: BackTest | None = Field(default=None, description="Of all services together")
    services: tuple[ServicePlan, ...]
    fleet: tuple[FleetPlan, ...]
    retired: tuple[RetiredProvider, ...] = ()
    packing: PackingProof
    cost: Cost
    candidates: tuple[Candidate, ...]
    excluded: tuple[Excluded, ...] = ()
    warnings: tuple[str, ...] = ()
    target_groups: tuple[TargetGroupPlan, ...] = Field(default=(), description="Target groups that the plan sets")
    rules: tuple[RulePlan, ...] = Field(default=(), description="Listener rules that the plan sets")

    @model_validator(mode="after")
    def _consistent(self) -> PlanDocument:
        problems = _repeated("services", [s.service for s in self.services])
        problems += _repeated("fleet", [f.capacity_provider for f in self.fleet])
        problems += _repeated("target_groups", [g.name for g in self.target_groups])
        problems += _repeated("rules", [r.name for r in self.rules])
        groups = {g.name for g in self.target_groups}
        problems += [
            f"{where} names target group {name}, which target_groups does not have"
            for where, name in [
                *((f"rules.{r.name}", target.target_group) for r in self.rules for target in r.forward),
                *((f"services.{s.service}", a.target_group) for s in self.services for a in s.load_balancers),
            ]
            if name not in groups
        ]
        known = {f.capacity_provider for f in self.fleet} | {"FARGATE", "FARGATE_SPOT"}
        problems += [
            f"services.{s.service} names capacity provider {item.capacity_provider}, which the fleet does not have"
            for s in self.services
            for item in s.capacity_providers
            if item.capacity_provider not in known
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _repeated(where: str, names: list[str]) -> list[str]:
    return [f"{where} has {name} twice" for name in sorted({n for n in names if names.count(n) > 1})]


def load_plan(path: Path) -> PlanDocument:
    """Read a plan; DocumentError names every problem with its path."""
    return canonical.read(path, PlanDocument)


def dump_plan(plan: PlanDocument, path: Path) -> str:
    """Write plan.json whole or not at all, and return its digest."""
    canonical.write(path, plan)
    return canonical.digest(plan)


__all__ = [
    "DocumentError", "Money", "Name", "PackingProof", "PlanDocument", "Sha256", "TaskSize", "dump_plan",
    "load_plan",
]  # fmt: skip
