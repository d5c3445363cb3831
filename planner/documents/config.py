"""The configuration bundle: the AWS resources a plan asks for, each as a request document."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, model_validator

from planner.documents import canonical
from planner.documents.canonical import Strict
from planner.documents.plan import Money, Name, Scope, Sha256


class ResourceType(StrEnum):
    LAUNCH_TEMPLATE = "launch-template"
    AUTO_SCALING_GROUP = "auto-scaling-group"
    CAPACITY_PROVIDER = "capacity-provider"
    CLUSTER_CAPACITY_PROVIDERS = "cluster-capacity-providers"
    TASK_DEFINITION = "task-definition"
    SERVICE = "service"
    SCALABLE_TARGET = "scalable-target"
    SCALING_POLICY = "scaling-policy"
    SCHEDULED_ACTION = "scheduled-action"
    TARGET_GROUP = "target-group"
    LISTENER_RULE = "listener-rule"


class Resource(Strict):
    """One resource in the state it should have.

    `request` holds the parameters of the AWS call that creates or updates it, spelled as botocore spells
    them. A value that is only known at apply time is written `{"$ref": "<resource id>#<field>"}`. A value
    that is copied from a base without being shown (a task definition's environment, a launch template's user
    data) is written `{"$base": "<arn or resource id>"}`; beside other fields, `"$base"` says where the fields
    that are not shown come from. No environment value and no secret enters the bundle.
    """

    id: Name = Field(description="type/name, e.g. service/web")
    type: ResourceType
    name: Name
    request: dict[str, Any]
    base_arn: str | None = Field(default=None, description="Task definition revision that is copied")
    depends_on: tuple[Name, ...] = ()
    present: bool = Field(default=True, description="False: the resource should be gone (or at size 0)")
    today_usd_per_hour: Money | None = Field(default=None, description="What it costs before; None is unknown")
    plan_usd_per_hour: Money | None = None
    headroom_before: float | None = Field(
        default=None, le=1, description="(capacity - p99 demand) / capacity, CPU; negative is a shortfall"
    )
    headroom_after: float | None = Field(default=None, le=1)


class ConfigDocument(Strict):
    schema_version: Literal["1"] = "1"
    kind: Literal["config"] = "config"
    plan_sha256: Sha256
    created_at: AwareDatetime
    author: Name
    scope: Scope
    today_usd_per_hour: Money | None = Field(description="None: no price is known, as for a patch of an image")
    plan_usd_per_hour: Money | None
    resources: Annotated[tuple[Resource, ...], Field(min_length=0)]

    @model_validator(mode="after")
    def _consistent(self) -> ConfigDocument:
        ids = [r.id for r in self.resources]
        problems = [f"resources has {i} twice" for i in sorted({i for i in ids if ids.count(i) > 1})]
        problems += [
            f"{r.id} depends on {needed}, which is not there"
            for r in self.resources
            for needed in r.depends_on
            if needed not in ids
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self


def load_config(path: Path) -> ConfigDocument:
    """Read a bundle; DocumentError names every problem with its path."""
    return canonical.read(path, ConfigDocument)


def dump_config(config: ConfigDocument, path: Path) -> str:
    """Write the bundle whole or not at all, and return its digest."""
    canonical.write(path, config)
    return canonical.digest(config)
