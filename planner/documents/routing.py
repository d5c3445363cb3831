"""How requests reach services, where a plan sets it: target groups, listener rules and attachments."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from planner.documents.canonical import Strict

BalancerName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?$")]
"""Names of load balancers and target groups: up to 32 letters, digits and inner hyphens (ELB API reference)."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class HealthCheckPlan(Strict):
    """A field that is None is left as it is."""

    path: str | None = Field(default=None, pattern=r"^/", max_length=1024)
    interval_s: Annotated[int, Field(ge=5, le=300)] | None = None
    timeout_s: Annotated[int, Field(ge=2, le=120)] | None = None
    healthy_threshold: Annotated[int, Field(ge=2, le=10)] | None = None
    unhealthy_threshold: Annotated[int, Field(ge=2, le=10)] | None = None
    matcher: str | None = Field(default=None, description="HTTP codes that are healthy, e.g. 200-299")


class TargetGroupPlan(Strict):
    """A target group that exists and gets other settings, or a new one made like another."""

    name: BalancerName
    exists: bool = True
    like: BalancerName | None = Field(
        default=None, description="Target group whose network, protocol, port and target type a new one copies"
    )
    health_check: HealthCheckPlan | None = None
    deregistration_delay_s: Annotated[int, Field(ge=0, le=3600)] | None = None
    slow_start_s: Annotated[int, Field(ge=0, le=900)] | None = Field(
        default=None, description="0 (off), or 30 to 900"
    )
    algorithm: Literal["round_robin", "least_outstanding_requests", "weighted_random"] | None = None

    @model_validator(mode="after")
    def _makeable(self) -> TargetGroupPlan:
        if not self.exists and self.like is None:
            raise ValueError(f"target group {self.name} is new and says no `like`: name an existing one to copy")
        if self.slow_start_s is not None and 0 < self.slow_start_s < 30:
            raise ValueError(f"slow_start_s of {self.name} is {self.slow_start_s}: it is 0, or 30 to 900")
        return self


class ConditionPlan(Strict):
    field: Literal["host-header", "path-pattern", "http-request-method", "source-ip", "http-header"]
    values: Annotated[tuple[Text, ...], Field(min_length=1, max_length=5)]
    header: Text | None = Field(default=None, description="Name of the header, for http-header")

    @model_validator(mode="after")
    def _named(self) -> ConditionPlan:
        if (self.field == "http-header") != (self.header is not None):
            raise ValueError("a condition names a header if and only if its field is http-header")
        return self


class ForwardPlan(Strict):
    target_group: BalancerName
    weight: Annotated[int, Field(ge=0, le=999)] = 1


class RulePlan(Strict):
    """One rule of a listener of an Application Load Balancer, known by its place: balancer, port, priority."""

    load_balancer: BalancerName
    port: Annotated[int, Field(ge=1, le=65535)]
    priority: Annotated[int, Field(ge=1, le=50000)]
    exists: bool = True
    present: bool = Field(default=True, description="False: the rule should be gone")
    conditions: tuple[ConditionPlan, ...] = ()
    forward: tuple[ForwardPlan, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.load_balancer}:{self.port}/{self.priority}"

    @model_validator(mode="after")
    def _whole(self) -> RulePlan:
        if self.present and not (self.conditions and self.forward):
            raise ValueError(f"rule {self.name} needs conditions and a target group to forward to")
        if len(self.forward) > 5:
            raise ValueError(f"rule {self.name} forwards to {len(self.forward)} target groups: 5 are the most")
        if self.present and not any(target.weight for target in self.forward):
            raise ValueError(f"rule {self.name} gives every target group the weight 0: nothing would be served")
        return self


class AttachmentPlan(Strict):
    """A container's port as target of a target group, beside those that the service is attached to already."""

    target_group: BalancerName
    container: Text
    container_port: Annotated[int, Field(ge=1, le=65535)]
