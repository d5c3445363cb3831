"""What a person may ask of a plan: the parameters of the report notebook, checked by name and value.

papermill only warns about a parameter it does not know; here an unknown one is refused with the nearest
known name, before anything is read or written.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from planner.model import Architecture
from planner.moments import moment
from planner.terminal import BadInput


def _moment(value: Any) -> datetime:
    """An ISO 8601 moment; without an offset it means UTC."""
    try:
        return moment(value.isoformat() if isinstance(value, date) else str(value), "the moment")
    except BadInput as wrong:
        raise ValueError(str(wrong).rstrip(".")) from None


Moment = Annotated[datetime, BeforeValidator(_moment)]


MetricResolution = Literal["standard", "standard-only", "high", "either"]


class PlannedLaunch(BaseModel):
    """A change of a service's load that its history cannot show: a factor, then vCPU on top, from `at` on."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    service: str = Field(min_length=1)
    at: Moment
    factor: float = Field(default=1.0, gt=0, le=1000)
    add_vcpu: float = Field(default=0.0, ge=0)
    until: Moment | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> PlannedLaunch:
        if self.factor == 1 and self.add_vcpu == 0:
            raise ValueError(f"the launch of {self.service} changes nothing: give it a factor or add_vcpu")
        if self.until is not None and self.until <= self.at:
            raise ValueError(f"the launch of {self.service} ends before it begins")
        return self


class Settings(BaseModel):
    """The objective and the limits of a plan. Every field has a default, so no file is needed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    author: str = Field(default="planner", min_length=1, description="Who makes the plan; may not approve it")
    slo: float = Field(default=0.999, gt=0, lt=1, description="Share of minutes to keep within the objective")
    utilisation: float = Field(default=0.8, gt=0, le=1, description="CPU used over running task capacity")
    timezone: str = Field(default="Europe/London", description="IANA zone of working hours and schedules")
    holidays: str | None = Field(default="GB-ENG", description="Country or subdivision of public holidays")
    growth: float = Field(default=0.0, ge=-0.9, le=10, description="Demand to add, as a share of the observed")
    launches: tuple[PlannedLaunch, ...] = Field(default=(), description="service, at, factor, add_vcpu, until")
    deployments: dict[str, tuple[Moment, ...]] = Field(
        default_factory=dict, description="When releases changed the load, by service"
    )
    survive_zone_loss: bool = Field(default=False, description="All tasks still fit after a zone is lost")
    architectures: tuple[Architecture, ...] = Field(default=(), description="Empty: what the images run on")
    families: tuple[str, ...] = Field(default=(), description="Instance families to consider; empty: all")
    max_instance_types: int = Field(default=1, ge=1, le=3, description="Auto Scaling groups to run at most")
    min_tasks: int = Field(default=2, ge=1, description="Least tasks of a service behind a load balancer")
    metric_resolution: MetricResolution = Field(
        default="standard",
        description="Metrics to scale on: of a minute, of 20 seconds, whichever is worth it; standard takes those "
        "of 20 seconds rather than a fixed count, standard-only never",
    )
    resize_tasks: bool = Field(default=True, description="Propose task sizes from what tasks used")
    keep: tuple[str, ...] = Field(default=(), description="Services to leave exactly as they are")
    jvm_heaps_mib: dict[str, int] = Field(default_factory=dict, description="Heap size of JVM services by name")
    latency_objective_s: float | None = Field(default=None, gt=0, description="p99 response time to stay within")
    min_history_hours: float = Field(default=48, ge=1, description="History without which a service is refused")
    ceiling_usd_per_month: float | None = Field(default=None, gt=0, description="Refuse plans dearer than this")
    solver_seconds: float = Field(default=120, gt=0, le=3600, description="Limit of a search for a packing")
    seed: int = Field(default=0, ge=0, description="Of everything that draws")

    @property
    def named_services(self) -> dict[str, tuple[str, ...]]:
        """Every service that a setting names, by the setting."""
        return {
            "keep": self.keep,
            "launches": tuple(launch.service for launch in self.launches),
            "deployments": tuple(self.deployments),
            "jvm_heaps_mib": tuple(self.jvm_heaps_mib),
        }

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{name!r} is no IANA time zone such as Europe/London") from None
        return name


def parse_settings(values: Mapping[str, Any], source: str = "parameters") -> Settings:
    """Check values; BadInput names every wrong one, and for an unknown name the nearest known."""
    unknown = [name for name in values if name not in Settings.model_fields]
    if unknown:
        raise BadInput(f"{source}: {'; '.join(_unknown(name) for name in unknown)}.")
    try:
        return Settings.model_validate(dict(values))
    except ValidationError as error:
        problems = [f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors()]
        raise BadInput(f"{source}: {'; '.join(problems)}.") from None


def settings_from(namespace: Mapping[str, Any]) -> Settings:
    """The settings among a notebook's names (`globals()`); what is no setting is left alone."""
    return parse_settings({name: namespace[name] for name in Settings.model_fields if name in namespace})


def read_settings(path: Path | None) -> dict[str, Any]:
    """The mapping in a YAML or JSON file, not yet checked; an absent file name gives no values."""
    import yaml

    if path is None:
        return {}
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read ({error.strerror}): give a YAML or JSON file to --params."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is no YAML or JSON: {' '.join(str(error).split())}") from None
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise BadInput(f"{path} must hold a mapping of parameter names to values, e.g. `slo: 0.999`.")
    return values


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, Settings.model_fields, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(Settings.model_fields))}"
    return f"unknown parameter {name!r}, {hint}"
