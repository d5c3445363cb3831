"""What Terraform manages, read from its state: fields it would set back at its next apply. Pure but for reading.

The state is matched by resource type and name; `ignore_changes` stands in no state file, so fields that modules
usually ignore (a service's desired count) are never claimed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deploy.emit.fields import KINDS, MISSING, get, items, put
from deploy.model import Change, ChangeSet, Image
from deploy.ports import CallFailed
from planner.documents.config import ResourceType

T = ResourceType


class StateProblem(Exception):
    """The state cannot be read or understood; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Managed:
    """One resource in Terraform's state."""

    resource_id: str
    address: str
    image: Image
    """Its values in the bundle's spelling, as far as the bundle knows them."""


def read_state(source: str, call: Callable[..., dict[str, Any]]) -> Mapping[str, Any]:
    """A state file, or `s3://bucket/key`; StateProblem where it is neither."""
    try:
        if source.startswith("s3://"):
            bucket, _, key = source.removeprefix("s3://").partition("/")
            text = call("s3", "GetObject", Bucket=bucket, Key=key)["Body"].read()
        else:
            text = Path(source).read_bytes()
        document = json.loads(text)
    except (OSError, CallFailed) as error:
        why = error.strerror if isinstance(error, OSError) else f"{error.code}: {error.message}"
        raise StateProblem(f"The Terraform state {source} cannot be read ({why}): check --state.") from None
    except ValueError:
        raise StateProblem(
            f"{source} is not a Terraform state: name the file that `terraform state pull` gives."
        ) from None
    if not isinstance(document, dict) or document.get("version") != 4:
        raise StateProblem(f"{source} is not a Terraform state of version 4: name another file.")
    return document


def managed(state: Mapping[str, Any], cluster: str) -> tuple[Managed, ...]:
    """Every resource of the kinds that the bundle knows, in this cluster."""
    by_type = {kind.terraform: resource_type for resource_type, kind in KINDS.items()}
    found = []
    for resource in state.get("resources", []):
        kind = by_type.get(resource.get("type"))
        if kind is None or resource.get("mode") != "managed":
            continue
        for instance in resource.get("instances", []):
            name = _name(kind, instance.get("attributes", {}), cluster)
            if name is not None:
                where = ".".join(p for p in (resource.get("module"), resource["type"], resource["name"]) if p)
                found.append(Managed(f"{kind}/{name}", where, _image(kind, instance["attributes"])))
    return tuple(found)


def _name(kind: ResourceType, attributes: Mapping[str, Any], cluster: str) -> str | None:
    """The name by which the bundle knows the resource; None for another cluster's."""
    if kind is T.SERVICE:
        own = str(attributes.get("cluster", "")).rsplit("/", 1)[-1]
        return str(attributes["name"]) if own == cluster else None
    if kind is T.CLUSTER_CAPACITY_PROVIDERS:
        return cluster if attributes.get("cluster_name") == cluster else None
    if kind in {T.SCALABLE_TARGET, T.SCALING_POLICY, T.SCHEDULED_ACTION}:
        parts = str(attributes.get("resource_id", "")).split("/")
        if len(parts) != 3 or parts[1] != cluster:
            return None
        if kind is T.SCALABLE_TARGET:
            return parts[2]
        if kind is T.SCHEDULED_ACTION:
            return f"{parts[2]}/{attributes['name']}"
        block = (
            "target_tracking_scaling_policy_configuration.predefined_metric_specification.predefined_metric_type"
        )
        metric = get(attributes, block)
        return None if metric is MISSING else f"{parts[2]}/{metric}"
    if kind is T.LISTENER_RULE:
        return None  # its state names the listener's ARN, not the balancer and port by which a bundle knows it
    if kind is T.TASK_DEFINITION:
        return str(attributes.get("family", "")) or None
    return str(attributes.get("name", "")) or None


def _image(kind: ResourceType, attributes: Mapping[str, Any]) -> dict[str, Any]:
    image: dict[str, Any] = {}
    for field in KINDS[kind].fields:
        value = get(attributes, field.terraform)
        if value is MISSING or value in (None, ""):
            continue
        put(image, field.aws, items(field, value, 1, True, lambda v: v) if field.item else value)
    return image


UNCLAIMED = frozenset({"DesiredCapacity", "desiredCount"})


def undone_by_terraform(changes: Sequence[Change], known: Sequence[Managed]) -> tuple[tuple[Change, str], ...]:
    """The changes that Terraform would undo at its next apply, with the address that would do it."""
    by_id = {item.resource_id: item for item in known}
    return tuple(_undone(changes, by_id))


def with_terraform_notes(changes: ChangeSet, known: Sequence[Managed]) -> ChangeSet:
    """The same changes, with "Terraform will undo this" beside those that its next apply would set back."""
    undone = {(c.resource_id, c.path): address for c, address in undone_by_terraform(changes.changes, known)}
    noted = tuple(_noted(c, undone.get((c.resource_id, c.path))) for c in changes.changes)
    return replace(changes, changes=noted)


def _noted(change: Change, address: str | None) -> Change:
    if address is None:
        return change
    told = f"Terraform will undo this ({address})"
    return replace(change, note=f"{change.note}; {told}" if change.note else told)


def _undone(changes: Sequence[Change], by_id: Mapping[str, Managed]) -> Iterator[tuple[Change, str]]:
    for change in changes:
        item = by_id.get(change.resource_id)
        top = change.path.split(".")[0]
        if item is None or top in UNCLAIMED:
            continue
        if change.path == "" or get(item.image, change.path) is not MISSING or top in item.image:
            yield change, item.address


def drift_of_terraform(
    known: Sequence[Managed], live: Mapping[str, Image | None]
) -> Iterator[tuple[str, str, Any, Any]]:
    """(resource, field, live value, Terraform's value) where the two differ."""
    for item in known:
        image = live.get(item.resource_id)
        if image is None:
            continue
        kind = ResourceType(item.resource_id.partition("/")[0])
        for field in KINDS[kind].fields:
            wanted, present = get(item.image, field.aws), get(image, field.aws)
            if wanted is MISSING or present is MISSING or field.aws in UNCLAIMED:
                continue
            if _plain(wanted) != _plain(present):
                yield item.resource_id, field.aws, present, wanted


def _plain(value: Any) -> Any:
    """Terraform keeps sets without order, and numbers as it likes."""
    if isinstance(value, list):
        return sorted(json.dumps(_plain(v), sort_keys=True) for v in value)
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items() if v not in (None, "")}
    if isinstance(value, str):
        return value.rsplit("/", 1)[-1] if value.startswith("arn:") else value
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
