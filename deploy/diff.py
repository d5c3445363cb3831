"""Live against wanted, as changes named for what they do to running tasks. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deploy.model import Change, ChangeSet, Effect, Image, ResourceRef, State
from deploy.normalise import OUTDATED, VOLATILE, merged, stated
from planner.documents import ConfigDocument
from planner.documents.config import ResourceType

RESTARTS: frozenset[str] = frozenset({"taskDefinition", "capacityProviderStrategy", "loadBalancers", "monitoring"})
"""Service fields whose change replaces tasks. ECS starts a deployment by itself (UpdateService reference; for
`monitoring` the developer guide, "Faster auto scaling with high-resolution metrics"), but for a capacity provider
strategy, where this tool forces one, because running tasks would otherwise stay where they are."""

HIDDEN: frozenset[str] = frozenset({"content", "taskDefinitionArn"})
"""Fields of a task definition image that identify it and say nothing to a person."""


def diff(live: State, wanted: State, config: ConfigDocument | None = None) -> ChangeSet:
    """The changes that turn `live` into `wanted`; empty means that there is nothing to do."""
    changes: list[Change] = []
    for resource_id, image in wanted.items():
        changes += _resource_changes(ResourceRef.parse(resource_id), live.get(resource_id), image)
    today = config.today_usd_per_hour if config else None
    plan = config.plan_usd_per_hour if config else None
    return ChangeSet(tuple(changes), today, plan)


def _resource_changes(ref: ResourceRef, live: Image | None, wanted: Image | None) -> list[Change]:
    if wanted is None:
        return [] if live is None else [Change(ref.id, "", _shown(ref, live), None, Effect.REMOVES)]
    if live is None:
        return [Change(ref.id, "", None, _shown(ref, wanted), Effect.CREATES)]
    if ref.type is ResourceType.TASK_DEFINITION:
        return _definition_changes(ref, live, wanted)
    after = merged(live, stated(wanted))
    ignored = frozenset() if _is_emptied(wanted) else VOLATILE.get(ref.type, frozenset()) - {OUTDATED}
    return [
        Change(ref.id, path, old, new, effect_of(ref.type, path), _note(ref.type, path))
        for path, old, new in _differences("", live, after)
        if path.split(".")[0] not in ignored
    ]


def _is_emptied(wanted: Image) -> bool:
    return wanted.get("MaxSize") == 0


def _definition_changes(ref: ResourceRef, live: Image, wanted: Image) -> list[Change]:
    if live.get("content") == wanted.get("content"):
        return []
    shown = [
        Change(ref.id, path, old, new, Effect.RESTARTS_TASKS, "a new revision; the old one stays registered")
        for path, old, new in _differences("", _shown(ref, live), merged(_shown(ref, live), _shown(ref, wanted)))
    ]
    whole = Change(ref.id, "content", live["content"], wanted["content"], Effect.RESTARTS_TASKS, "a new revision")
    return shown or [whole]


def _shown(ref: ResourceRef, image: Image) -> dict[str, Any]:
    hidden = HIDDEN if ref.type is ResourceType.TASK_DEFINITION else frozenset()
    return {k: v for k, v in stated(image).items() if k not in hidden}


def _differences(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            yield from _differences(f"{path}.{key}" if path else str(key), old.get(key), new.get(key))
    elif old != new:
        yield path, old, new


def effect_of(kind: ResourceType, path: str) -> Effect:
    """What changing one field of a resource does."""
    field = path.split(".")[0]
    if kind is ResourceType.SERVICE and field in RESTARTS:
        return Effect.RESTARTS_TASKS
    if kind is ResourceType.AUTO_SCALING_GROUP:
        replaces = {"LaunchTemplate", "VPCZoneIdentifier", OUTDATED}
        return Effect.REPLACES if field in replaces else Effect.ONLY_MONEY
    if kind in {ResourceType.SCALABLE_TARGET, ResourceType.SCHEDULED_ACTION}:
        return Effect.ONLY_MONEY
    return Effect.NO_RESTART


def _note(kind: ResourceType, path: str) -> str:
    if kind is ResourceType.SERVICE and path.startswith("capacityProviderStrategy"):
        return "a deployment is forced, so that running tasks move"
    if kind is ResourceType.SERVICE and path.startswith("monitoring"):
        return (
            "ECS starts a deployment for it; metrics of 20 seconds are a stream of their own, charged like "
            "detailed monitoring"
        )
    if kind is ResourceType.AUTO_SCALING_GROUP and effect_of(kind, path) is Effect.REPLACES:
        return "instances are replaced in waves: new ones join first, tasks leave, then old ones go"
    return ""


def restarted_services(changes: ChangeSet) -> tuple[str, ...]:
    """Services whose tasks the change set replaces, in its order."""
    found = [
        ResourceRef.parse(change.resource_id).service
        for change in changes.changes
        if change.effect is Effect.RESTARTS_TASKS
    ]
    return tuple(dict.fromkeys(found))
