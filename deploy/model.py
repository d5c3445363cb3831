"""The nouns of deploying: what is there, what should be there, who agreed, what was done. All frozen.

A resource is named by `ResourceRef` ("service/web") and described by an `Image`: the request fields that
we manage, spelled as botocore spells them and normalised (deploy.normalise), without any secret and without
environment values. A `State` maps resource ids to images; None says that the resource is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from planner.documents import digest
from planner.documents.config import ResourceType

Image = Mapping[str, Any]
State = Mapping[str, Image | None]


@dataclass(frozen=True, slots=True, order=True)
class ResourceRef:
    type: ResourceType
    name: str
    """The name of the resource; policies and schedules are `<service>/<name>`."""

    @property
    def id(self) -> str:
        return f"{self.type}/{self.name}"

    @property
    def service(self) -> str:
        """The ECS service that a scaling resource belongs to."""
        return self.name.split("/", 1)[0]

    @property
    def leaf(self) -> str:
        return self.name.split("/", 1)[-1]

    @staticmethod
    def parse(resource_id: str) -> ResourceRef:
        kind, _, name = resource_id.partition("/")
        return ResourceRef(ResourceType(kind), name)


# What would change


class Effect(StrEnum):
    """What a change does to what is running."""

    RESTARTS_TASKS = "restarts tasks"
    NO_RESTART = "no restart"
    REPLACES = "replaces"
    CREATES = "creates"
    REMOVES = "removes"
    ONLY_MONEY = "only money"


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one resource, before and after. `path` is "" for a whole resource."""

    resource_id: str
    path: str
    before: Any
    after: Any
    effect: Effect
    note: str = ""
    """Whatever a person needs to judge it: what owns the field, what undoes it."""


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """The ordered changes that turn the live state into the bundle's, with the money beside them."""

    changes: tuple[Change, ...]
    today_usd_per_hour: float | None = None
    plan_usd_per_hour: float | None = None

    @property
    def is_empty(self) -> bool:
        return not self.changes

    @property
    def digest(self) -> str:
        return digest([asdict(change) for change in self.changes])

    def touching(self, resource_id: str) -> tuple[Change, ...]:
        return tuple(c for c in self.changes if c.resource_id == resource_id)


# Whether it would work


class CheckStatus(StrEnum):
    OK = "OK"
    NG = "NG"
    SKIP = "SKIP"


@dataclass(frozen=True, slots=True)
class Check:
    """One question with its answer; the reason is given for OK too."""

    name: str
    status: CheckStatus
    reason: str

    @staticmethod
    def ok(name: str, reason: str) -> Check:
        return Check(name, CheckStatus.OK, reason)

    @staticmethod
    def ng(name: str, reason: str) -> Check:
        return Check(name, CheckStatus.NG, reason)

    @staticmethod
    def skip(name: str, reason: str) -> Check:
        return Check(name, CheckStatus.SKIP, reason)


# Who agreed, to what, until when


@dataclass(frozen=True, slots=True)
class WorkingHours:
    """Local hours in which availability must not be lowered."""

    days: tuple[str, ...]
    """MON ... SUN"""
    start: str
    """HH:MM"""
    end: str
    timezone: str
    holidays: str | None = None
    """Country or subdivision whose bank holidays are not working days, e.g. GB-ENG."""


@dataclass(frozen=True, slots=True)
class Statement:
    """Exactly what an approver signs: digests, scope, person, limits. Its canonical JSON is the message."""

    bundle_sha256: str
    observed_sha256: str
    checks_sha256: str
    changes_sha256: str
    account_id: str
    region: str
    cluster: str
    author: str
    approver: str
    reason: str
    approved_at: str
    expires_at: str
    cost_ceiling_usd_per_month: float
    algorithm: str
    """ed25519 or kms-ecdsa-sha-256"""
    key_id: str
    """Fingerprint of the public key, or the ARN of the KMS key."""
    executor: str = "boto3"
    terraform_plan_sha256: str | None = None
    working_hours: WorkingHours | None = None
    schema_version: str = "1"


@dataclass(frozen=True, slots=True)
class Approval:
    """A signed statement, with what its digests were taken from so that a refusal can say what moved."""

    statement: Statement
    signature: str
    """Base64."""
    observed: Mapping[str, str | None] = field(default_factory=dict)
    """Resource id to the SHA-256 of its stable image; held by `observed_sha256`."""
    checks: tuple[Check, ...] = ()
    """Held by `checks_sha256`."""


# What is done


class Action(StrEnum):
    WRITE = "write"
    """Create or update the resource so that it matches `after`."""
    DELETE = "delete"
    AWAIT_CAPACITY = "await capacity"
    """Wait until a capacity provider has its instances."""
    AWAIT_DEPLOYMENT = "await deployment"
    """Wait until the deployment started by the preceding write is SUCCESSFUL on the planned revision."""
    AWAIT_TARGETS = "await targets"
    """Wait until every target group that a rule will send requests to has a healthy target."""
    SET_DESIRED_COUNT = "set desired count"
    DRAIN = "drain"
    """Drain the instances of a capacity provider in waves."""
    REPLACE = "replace"
    """Replace a group's instances in waves: new ones join, old ones drain and go."""
    UNDRAIN = "undrain"
    DEREGISTER = "deregister"
    """Task definition revisions that a run made and that is taken back."""


@dataclass(frozen=True, slots=True)
class Step:
    """One idempotent action on one resource."""

    id: str
    """Stable within a run: 012-service/web"""
    action: Action
    resource_id: str
    after: Image | None = None
    why: str = ""
    expected: Image | None = None
    """The stable fields the resource should have before; anything else was changed by somebody."""


class EntryKind(StrEnum):
    BEGIN = "begin"
    RESUME = "resume"
    INTENT = "intent"
    """Written and synced before the call: the before-image."""
    DONE = "done"
    FAILED = "failed"
    END = "end"
    ROLLBACK = "rollback"
    ROLLBACK_INTENT = "rollback-intent"
    ROLLBACK_DONE = "rollback-done"
    ROLLBACK_END = "rollback-end"


@dataclass(frozen=True, slots=True)
class JournalEntry:
    sequence: int
    at: datetime
    kind: EntryKind
    body: Mapping[str, Any]
    previous_sha256: str
    sha256: str


class FailureKind(StrEnum):
    """Why a run did not end well; each is a name a person can look up in docs/guide/faults.md."""

    BREAKER_ROLLBACK = "rolled back by the circuit breaker"
    STALLED = "deployment stalled"
    SUPERSEDED = "superseded by another deployment"
    STOPPED = "deployment stopped"
    WRONG_REVISION = "another revision runs"
    NO_CAPACITY = "instances did not arrive"
    NOT_DRAINED = "instances still run tasks"
    NO_TARGETS = "no healthy targets"
    CHANGED_BY_HAND = "changed by somebody else"
    CALL_FAILED = "an AWS call failed"
    UNKNOWN_EFFECT = "an AWS call gave no answer"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Failure:
    kind: FailureKind
    resource_id: str
    reason: str
    stop_reasons: tuple[str, ...] = ()
    last_log_lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. `succeeded` is true only if every step is done and every deployment was SUCCESSFUL."""

    succeeded: bool
    journal: str
    steps_done: int
    steps_total: int
    failure: Failure | None = None
    deployments: Mapping[str, str] = field(default_factory=dict)
    """Service to the ARN of the deployment this run started."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Container image (with tag) to the digest ECS resolved it to."""
    notes: tuple[str, ...] = ()
