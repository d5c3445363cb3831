"""Which write is the step being applied: by the approved bundle, the running step and the call itself. Pure.

A run is opened only on evidence: a trusted approver's signature over exactly this bundle, for this account and
Region. Inside it a call passes only if the step that is running may make it, on its own resource, with the values
that were announced for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from deploy.apply import providers_of
from deploy.approve import ApprovalRefused, require_valid, statement_bytes
from deploy.authorise import OPERATIONS, Authorisation
from deploy.keys import Approver, verifies
from deploy.model import Approval, ResourceRef
from planner.documents import ConfigDocument, digest
from planner.documents.config import ResourceType

_OPERATIONS: Mapping[ResourceType, frozenset[str]] = MappingProxyType(dict(OPERATIONS))

# The parameter that names the resource, and how the name follows from it; "" where a tag or an ARN names it.
_SERVICE_TYPES = frozenset(
    {ResourceType.SCALABLE_TARGET, ResourceType.SCALING_POLICY, ResourceType.SCHEDULED_ACTION}
)


TERMINATE = "autoscaling:TerminateInstanceInAutoScalingGroup"


@dataclass(frozen=True, slots=True)
class Run:
    """An approved bundle that is being applied, or taken back."""

    bundle_sha256: str
    account_id: str
    region: str
    cluster: str
    resources: frozenset[str]
    services: frozenset[str]
    lock: str | None = None
    """s3://bucket/key or dynamodb://table where the run's lock is; None for a local file."""


@dataclass(frozen=True, slots=True)
class Announced:
    """What the running step is about to write, frozen when it was handed to the cloud."""

    resource_id: str
    after: Mapping[str, Any]


_announced: ContextVar[Announced | None] = ContextVar("deploy_announced", default=None)


@contextmanager
def announcing(write: Announced) -> Iterator[None]:
    """Say what the running step writes, for as long as it does."""
    token = _announced.set(write)
    try:
        yield
    finally:
        _announced.reset(token)


def announced() -> Announced | None:
    return _announced.get()


def open_run(
    config: ConfigDocument,
    approval: Approval,
    approvers: Sequence[Approver],
    now: datetime,
    lock: str | None = None,
    taking_back: bool = False,
) -> Run:
    """The run that this evidence allows; ApprovalRefused where it does not.

    Taking back needs the signature of the approval under which the run was made, but not that it is still fresh.
    """
    if taking_back:
        _require_signed(config, approval, approvers)
    else:
        require_valid(approval, config, approvers, now)
    refs = [ResourceRef(resource.type, resource.name) for resource in config.resources]
    drained = {ResourceRef(ResourceType.CAPACITY_PROVIDER, name).id for name in providers_of(config).values()}
    services = {ref.service for ref in refs if ref.type in _SERVICE_TYPES | {ResourceType.SERVICE}}
    return Run(
        bundle_sha256=digest(config),
        account_id=config.scope.account_id,
        region=config.scope.region,
        cluster=config.scope.cluster,
        resources=frozenset({ref.id for ref in refs} | drained),
        services=frozenset(services),
        lock=lock,
    )


def _require_signed(config: ConfigDocument, approval: Approval, approvers: Sequence[Approver]) -> None:
    import base64

    statement = approval.statement
    approver = next((a for a in approvers if a.key_id == statement.key_id), None)
    if approver is None:
        raise ApprovalRefused("The run was approved with a key that is not on the list of approvers.")
    if statement.bundle_sha256 != digest(config):
        raise ApprovalRefused("The journal's bundle is not the one that was approved: it was altered.")
    if not verifies(approver, base64.b64decode(approval.signature), statement_bytes(statement)):
        raise ApprovalRefused("The journal's approval does not match its signature: it was altered.")


def step_refusal(
    run: Run,
    authorisation: Authorisation | None,
    announced: Announced | None,
    call: tuple[str, str],
    region: str,
    parameters: Mapping[str, Any],
) -> str | None:
    """None if the call is the running step's own; otherwise why not, as the end of a sentence."""
    name = f"{call[0]}:{call[1]}"
    if region != run.region:
        return f"the run is approved for {run.region}, not {region}"
    account = _foreign_account(parameters, run.account_id)
    if account is not None:
        return f"the run is approved for account {run.account_id}, not {account}"
    if _is_lock(run, name, parameters) or _is_stop(run, name, parameters):
        return None
    if authorisation is None:
        return "no step is running"
    if authorisation.bundle_sha256 != run.bundle_sha256:
        return "the running step is of another bundle"
    ref = ResourceRef.parse(authorisation.resource_id)
    if ref.id not in run.resources and ref.service not in run.services:
        return f"{ref.id} is not in the approved bundle"
    if name not in _OPERATIONS[ref.type]:
        return f"a step on {ref.id} does not call it"
    if name == TERMINATE and parameters.get("InstanceId") not in authorisation.names:
        return f"instance {parameters.get('InstanceId')} is not one of the step's group"
    if call[0] == "elbv2" and (arn := _routing_arn(parameters)) and arn not in authorisation.names:
        return f"{arn} is not the step's own"
    mine = announced.after if announced is not None and announced.resource_id == ref.id else {}
    return (
        _names_another(run, ref, name, parameters) or _adds(name, mine, parameters) or _differs(mine, parameters)
    )


def _routing_arn(parameters: Mapping[str, Any]) -> str | None:
    """The ARN by which a call names a target group, a rule, or the listener of a new rule."""
    found = [parameters[name] for name in ("TargetGroupArn", "RuleArn", "ListenerArn") if name in parameters]
    return str(found[0]) if found else None


def _names_another(run: Run, ref: ResourceRef, name: str, parameters: Mapping[str, Any]) -> str | None:
    wanted = _identity(run, ref, name)
    for parameter, value in wanted.items():
        if parameters.get(parameter) != value:
            return f"it names {parameter} {parameters.get(parameter)!r}, the step is on {value!r}"
    return None


def _identity(run: Run, ref: ResourceRef, name: str) -> dict[str, str]:
    if name == "ecs:UpdateService":
        return {"cluster": run.cluster, "service": ref.name}
    if name == "ecs:UpdateContainerInstancesState":
        return {"cluster": run.cluster}
    if name == TERMINATE:
        return {}  # names no group: the step's own instances are compared instead
    if name == "elbv2:CreateTargetGroup":
        return {"Name": ref.name}
    if name == "ecs:PutClusterCapacityProviders":
        return {"cluster": ref.name}
    if name == "ecs:DeleteCapacityProvider":
        return {"capacityProvider": ref.name}
    if ref.type is ResourceType.CAPACITY_PROVIDER:
        return {"name": ref.name}
    if ref.type is ResourceType.AUTO_SCALING_GROUP:
        return {"AutoScalingGroupName": ref.name}
    if ref.type is ResourceType.LAUNCH_TEMPLATE:
        return {"LaunchTemplateName": ref.name}
    if ref.type in _SERVICE_TYPES:
        return {"ServiceNamespace": "ecs", "ResourceId": f"service/{run.cluster}/{ref.service}"}
    return {}


def _adds(name: str, announced: Mapping[str, Any], parameters: Mapping[str, Any]) -> str | None:
    """A field of an update that neither names the resource nor was announced for it."""
    if name == "ecs:UpdateService":
        known = {"cluster", "service", *(announced or {"desiredCount"}), "forceNewDeployment"}
    elif name == "autoscaling:UpdateAutoScalingGroup":
        known = {"AutoScalingGroupName", *announced}
    else:
        return None
    added = sorted(set(parameters) - known)
    return f"its {added[0]} is not part of the approved step" if added else None


def _differs(announced: Mapping[str, Any], parameters: Mapping[str, Any]) -> str | None:
    """A value that is not the step's; fields that the call takes over from the live resource are not compared."""
    for field, value in announced.items():
        if field in parameters and not any(
            _same(parameters[field], v) for v in (value, *_spelled(announced, field))
        ):
            return f"its {field} is not the approved step's"
    return _container_differs(announced, parameters)


def _spelled(announced: Mapping[str, Any], field: str) -> list[Any]:
    """The field as an image's `$raw` spells it: a before-image keeps AWS's own spelling for the way back."""
    raw = announced.get("$raw")
    return [raw[field]] if isinstance(raw, Mapping) and field in raw else []


def _same(given: Any, announced: Any) -> bool:
    """Equal, or a mapping that holds at least the announced entries (the rest is the live resource's).

    What is announced as None is left out of a call; a marker (`$...`) of an image never is in one.
    """
    if isinstance(given, Mapping) and isinstance(announced, Mapping):
        return all(_same(given.get(key), value) for key, value in announced.items())
    if isinstance(given, list) and isinstance(announced, list):
        pairs = zip(sorted(given, key=_key), sorted(announced, key=_key), strict=False)
        return len(given) == len(announced) and all(_same(one, other) for one, other in pairs)
    return bool(given == announced) or str(given) == str(announced)


def _key(value: Any) -> str:
    """Order without meaning, by what an entry names first."""
    return repr(sorted(value.items())) if isinstance(value, Mapping) else repr(value)


def _container_differs(after: Mapping[str, Any], parameters: Mapping[str, Any]) -> str | None:
    wanted, given = after.get("containers"), parameters.get("containerDefinitions")
    if not isinstance(wanted, Mapping) or not isinstance(given, list):
        return None
    for container in given:
        for field in ("image", "cpu", "memory", "memoryReservation"):
            value = wanted.get(container.get("name"), {}).get(field)
            if value is not None and not _same(container.get(field), value):
                return f"{field} of container {container.get('name')!r} is not the approved step's"
    return None


def _is_lock(run: Run, name: str, parameters: Mapping[str, Any]) -> bool:
    if run.lock is None:
        return False
    scheme, _, rest = run.lock.partition("://")
    if scheme == "s3" and name in {"s3:PutObject", "s3:DeleteObject"}:
        bucket, _, key = rest.partition("/")
        return parameters.get("Bucket") == bucket and (not key or parameters.get("Key") == key)
    if scheme == "dynamodb" and name in {"dynamodb:PutItem", "dynamodb:DeleteItem"}:
        return parameters.get("TableName") == rest.strip("/")
    return False


def _is_stop(run: Run, name: str, parameters: Mapping[str, Any]) -> bool:
    """Stopping a deployment of a service of the bundle: what a second interrupt asks for."""
    parts = str(parameters.get("serviceDeploymentArn", "")).split("/")
    return (
        name == "ecs:StopServiceDeployment"
        and len(parts) == 4
        and parts[1] == run.cluster
        and parts[2] in run.services
    )


def _foreign_account(value: Any, account_id: str) -> str | None:
    """An account in any ARN among the parameters that is not the run's; AWS's own resources have none."""
    if isinstance(value, str) and value.startswith("arn:aws"):
        account = (value.split(":", 5) + [""] * 5)[4]
        return account if account.isdigit() and account != account_id else None
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return next((found for item in value if (found := _foreign_account(item, account_id))), None)
    return None
