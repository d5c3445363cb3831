"""The proof of a plan's packing: how near its fleet is to the cheapest possible, and what each thing costs."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from planner.documents.canonical import Strict
from planner.documents.fields import Count, Grown, Money, Name, ShareOf


class AddedCost(Strict):
    """One reason why the fleet costs more than the lower bound."""

    what: Name
    usd_per_hour: Money


class TaskCost(Strict):
    """What one more task of a service costs while it runs, by the dual prices of the bound."""

    service: Name
    usd_per_hour: Money


class RuleCost(Strict):
    """The cheapest fleet found with a rule less that found without it; the true difference lies between
    `at_least_usd_per_hour` and `at_most_usd_per_hour`, by the two bounds."""

    rule: Name
    usd_per_hour: Money
    at_least_usd_per_hour: Money
    at_most_usd_per_hour: Money


class NeverWorth(Strict):
    """A type that costs more than anything it could hold is worth, however many types were allowed."""

    instance_type: Name
    usd_per_hour: Money
    worth_at_most_usd_per_hour: Money = Field(description="The price below which it may pay")
    is_proved: bool = Field(description="One instance of it makes every fleet dearer than the one found")


class InstanceCount(Strict):
    instance_type: Name
    count: Count


class NearFleet(Strict):
    """Another fleet for the same tasks; where `rejected` says why there is none, the rest is None."""

    name: Name
    usd_per_hour: Money | None = None
    dearer_by: float | None = Field(default=None, description="Cost over that of the fleet packed as planned, - 1")
    different: ShareOf | None = Field(default=None, description="Share of the cost on other types than that fleet")
    instances: tuple[InstanceCount, ...] = ()
    is_hypothetical: bool = Field(default=False, description="Some images would have to be built anew for it")
    rejected: str | None = None


class StrategyCost(Strict):
    """The chosen instances replayed with one placement strategy over all measured minutes."""

    strategy: Name
    usd_per_hour: Money = Field(description="Of the whole candidate, as in `candidates`")
    attainment: ShareOf | None = None
    rejected: str | None = Field(default=None, description="Why it was not taken; None for the plan's own")


class RollingDeployment(Strict):
    """What one service's rolling deployment needs beside the fleet of the busiest minute."""

    service: Name
    tasks: Count
    maximum_percent: Count
    extra_tasks: Count = Field(description="floor(tasks x maximumPercent / 100) - tasks")
    extra_instances: Count
    usd_per_hour: Money = Field(description="While old and new run together")


class Certificate(Strict):
    """The proof in detail, for the tasks of the busiest minute."""

    at: AwareDatetime = Field(description="The busiest minute")
    tasks: Count
    instances: Count
    added: tuple[AddedCost, ...] = Field(description="From the lower bound to the fleet; they add up")
    orders_replayed: Count = Field(description="Random orders of arrival in which ECS's placement was replayed")
    orders_placed: Count = Field(description="Those in which every task found room on these instances")
    task_costs: tuple[TaskCost, ...] = ()
    rule_costs: tuple[RuleCost, ...] = ()
    never_worth: tuple[NeverWorth, ...] = Field(default=(), description="Nearest to paying first")
    near: tuple[NearFleet, ...] = Field(default=(), description="Packed alike; evenness over zones is left out")
    strategies: tuple[StrategyCost, ...] = ()
    deployments: tuple[RollingDeployment, ...] = ()
    searches: Count = Field(default=0, description="Packings that were searched for all this")
    searches_ended_by_clock: Count = Field(
        default=0, description="Those that the time limit ended; then another run may give another plan"
    )


class PackingProof(Grown):
    """How near the fleet at the planned peak is to the cheapest possible one under the same constraints."""

    status: str
    usd_per_hour: Money
    lower_bound_usd_per_hour: Money
    gap: Annotated[float, Field(ge=0)]
    premium_usd_per_hour: Money = Field(
        default=0, description="Of the fleet over the cheapest packing found; `certificate.added` divides it"
    )
    statement: str
    certificate: Certificate | None = None

    _later: ClassVar[tuple[str, ...]] = ("certificate",)


__all__ = ["Certificate", "PackingProof"]
