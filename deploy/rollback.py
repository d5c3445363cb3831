"""Take a whole run back from its journal, in the same careful order in which it was made.

Nothing but the journal and the live account is read: the first before-image of every resource that the run
announced is what it goes back to, whether the announced call happened or not. So it works after a kill at any
point, may be killed itself, and may be run again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deploy.apply import (
    ApplyRefused,
    World,
    _guarded,
    frozen_targets,
    providers_of,
    restore_memory,
    thaw,
)
from deploy.execute import TAKING_BACK, Executor
from deploy.held import before_image, statement_of
from deploy.journal import Journal
from deploy.keys import Approver
from deploy.limits import beside_limits, has_acted
from deploy.model import Action, EntryKind, Failure, Image, JournalEntry, Outcome, ResourceRef, State, Step
from deploy.move import Move
from deploy.normalise import covers, exactly, merged, stable
from deploy.steps import SIZES, plan_steps
from planner.documents import ConfigDocument
from planner.documents.config import ResourceType


class RollbackRefused(ApplyRefused):
    """The run cannot be taken back as things are; the message says why."""


@dataclass(frozen=True, slots=True)
class Past:
    """What the journal says about the time before the run."""

    config: ConfigDocument
    before: Mapping[str, Image | None]
    ours: Mapping[str, tuple[Image | None, ...]]
    """Per resource, every image that the run announced or saw after its own writes."""
    desired_counts: Mapping[str, int]
    """Service to its desired count, where the run changed it."""
    drained: Mapping[str, tuple[str, ...]]
    """Capacity provider to the instances that the run drained."""
    touched_definitions: tuple[str, ...]


def read_past(entries: tuple[JournalEntry, ...]) -> Past:
    """Raises RollbackRefused when the journal does not begin with an apply."""
    if not entries or entries[0].kind is not EntryKind.BEGIN:
        raise RollbackRefused("The journal is empty: nothing was begun, so there is nothing to take back.")
    if entries[0].body["approval"]["executor"] != "boto3":
        raise RollbackRefused("This run was Terraform's: apply the configuration before it there to take it back.")
    config = ConfigDocument.model_validate(entries[0].body["bundle"])
    before: dict[str, Image | None] = {}
    ours: dict[str, list[Image | None]] = {}
    counts: dict[str, int] = {}
    drained: dict[str, tuple[str, ...]] = {}
    definitions: list[str] = []
    for entry in entries:
        body = entry.body
        if entry.kind in {EntryKind.DONE, EntryKind.ROLLBACK_DONE} and "observed" in body:
            ours.setdefault(body["resource"], []).append(body["observed"])
        if entry.kind not in {EntryKind.INTENT, EntryKind.ROLLBACK_INTENT}:
            continue
        ref, action = ResourceRef.parse(body["resource"]), Action(body["action"])
        if action is Action.REPLACE and "MaxSize" in body["after"]:  # a resize between two waves
            ours.setdefault(ref.id, []).append(body["after"])
        if action in {Action.WRITE, Action.DELETE}:
            ours.setdefault(ref.id, []).append(body["after"])
            if entry.kind is EntryKind.INTENT:
                before.setdefault(ref.id, before_image(entries[0].body["live"], ref, body["before"]))
        if entry.kind is EntryKind.ROLLBACK_INTENT:
            continue
        if action is Action.DRAIN:
            drained.setdefault(ref.name, tuple(body["before"]["instances"]))
        if action is Action.REPLACE and "arns" in body["before"]:
            drained.setdefault(str(body["after"]["provider"]), tuple(body["before"]["arns"]))
        if ref.type is ResourceType.SERVICE and "desiredCount" in (body["after"] or {}):
            counts.setdefault(ref.name, int(body["before"]["desiredCount"]))
        if ref.type is ResourceType.TASK_DEFINITION and ref.name not in definitions:
            definitions.append(ref.name)
    frozen = {name: tuple(images) for name, images in ours.items()}
    return Past(config, before, frozen, counts, drained, tuple(definitions))


def rollback(
    journal_path: Path, world: World, *, approvers: Sequence[Approver] | None = None, force: bool = False
) -> Outcome:
    """Restore the state before the run. Refuses to overwrite what somebody changed since, unless forced.

    The approval in the journal holds what is restored (docs/decisions/0077): JournalNotHeld where it does not.
    `approvers` None: the caller has checked its signature.
    """
    with Journal.reopen(journal_path) as journal:
        past = read_past(journal.entries)
        statement_of(journal.entries, approvers)
        run = str(journal.entries[0].body["run"])
        world.lock.acquire(run)
        try:
            return _take_back(past, journal, run, world, force)
        finally:
            world.lock.release(run)


def _take_back(past: Past, journal: Journal, run: str, world: World, force: bool) -> Outcome:
    attempt = f"{run}-rollback-{sum(1 for e in journal.entries if e.kind is EntryKind.ROLLBACK) + 1}"
    journal.append(EntryKind.ROLLBACK, world.clock.now(), {"run": run, "attempt": attempt, "forced": force})
    bundle = str(journal.entries[0].body["bundle_sha256"])
    executor = Executor(world.cloud, world.clock, journal, attempt, bundle, TAKING_BACK, world.say)
    live = {resource_id: world.cloud.read(ResourceRef.parse(resource_id)) for resource_id in _relevant(past)}
    foreign = () if force else _foreign(past, live)
    wanted = {name: _wanted(past, name, live[name]) for name in live if name not in foreign}
    restore_memory(executor, live)
    steps = _steps(past, live, wanted)
    failure: Failure | None = None
    completed = 0
    for step in steps:
        world.say(f"{step.resource_id}: {step.action} ({step.why})")
        failure = _guarded(executor, step)
        if failure is not None:
            break
        completed += 1
    notes: list[str] = [
        f"{name} was changed by somebody since and is left alone; --force overwrites it" for name in foreign
    ]
    if failure is None:
        notes += _forget_definitions(past, world, executor, run)
    elif frozen_targets(journal.entries):
        notes += thaw(executor, journal.entries[0].body["live"])
    outcome = Outcome(
        succeeded=failure is None and not foreign,
        journal=str(journal.path),
        steps_done=completed,
        steps_total=len(steps),
        failure=failure,
        deployments=dict(executor.deployments),
        notes=tuple(notes),
    )
    body = {
        "run": run,
        "succeeded": outcome.succeeded,
        "failure": asdict(failure) if failure else None,
        "notes": notes,
    }
    journal.append(EntryKind.ROLLBACK_END, world.clock.now(), body)
    return outcome


def _relevant(past: Past) -> list[str]:
    """What the run announced, and what the order of work needs to know beside it."""
    names = [r.id for r in past.config.resources if r.id in past.before]
    names += [name for name in past.before if name not in names]
    return names


def _wanted(past: Past, resource_id: str, live: Image | None) -> Image | None:
    """The before-image to the letter, without what an autoscaler has moved on by itself since."""
    ref, image = ResourceRef.parse(resource_id), past.before[resource_id]
    if image is None:
        return None
    if ref.type is ResourceType.AUTO_SCALING_GROUP:
        return image
    if ref.type is ResourceType.SERVICE and "monitoring" not in image:  # of a version that did not know it
        live = {name: value for name, value in (live or {}).items() if name != "monitoring"}
    raw = {"$raw": image["$raw"]} if "$raw" in image else {}  # as AWS told it, before it was normalised
    return exactly(stable(ref.type, image) or {}, stable(ref.type, live)) | raw


def _foreign(past: Past, live: State) -> tuple[str, ...]:
    """Resources that are neither as before the run nor as the run left or announced them."""
    found = []
    for resource_id, image in live.items():
        ref = ResourceRef.parse(resource_id)
        before = past.before[resource_id]
        if ref.type is ResourceType.TASK_DEFINITION or stable(ref.type, image) == stable(ref.type, before):
            continue
        if _moved_by_schedule(past, ref, image):
            continue
        if not any(_is_ours(ref, image, ours, before) for ours in past.ours.get(resource_id, ())):
            found.append(resource_id)
    return tuple(found)


def _moved_by_schedule(past: Past, ref: ResourceRef, live: Image | None) -> bool:
    """Whether a scheduled action of the run has set a target's limits since, and nothing else of it differs."""
    if ref.type is not ResourceType.SCALABLE_TARGET or live is None:
        return False
    prefix = f"{ResourceType.SCHEDULED_ACTION}/{ref.name}/"
    actions = [image for name, images in past.ours.items() if name.startswith(prefix) for image in images]
    beside = beside_limits(stable(ref.type, live))
    left = [beside_limits(stable(ref.type, ours)) for ours in past.ours.get(ref.id, ()) if ours is not None]
    return beside in left and any(has_acted(action, live) for action in actions)


def _is_ours(ref: ResourceRef, live: Image | None, ours: Image | None, before: Image | None) -> bool:
    if ours is None or live is None:
        return ours is None and live is None
    wanted = stable(ref.type, ours) or {}
    if before is None:
        return covers(live, wanted)  # AWS has filled in what the request did not say
    return covers(live, wanted) and covers(merged(before, wanted), stable(ref.type, live))


def _steps(past: Past, live: State, wanted: Mapping[str, Image | None]) -> tuple[Step, ...]:
    move = Move(
        {name: live[name] for name in wanted if not _is_definition(name)},
        {name: image for name, image in wanted.items() if not _is_definition(name)},
        providers_of(past.config),
    )
    steps = [*_undrain(past), *plan_steps(move), *_sizes(wanted), *_counts(past, wanted)]
    return tuple(
        Step(f"back-{number:03d}-{s.resource_id}", s.action, s.resource_id, s.after, s.why, None)
        for number, s in enumerate(steps, start=1)
    )


def _is_definition(resource_id: str) -> bool:
    return ResourceRef.parse(resource_id).type is ResourceType.TASK_DEFINITION


def _undrain(past: Past) -> list[Step]:
    return [
        Step(
            "",
            Action.UNDRAIN,
            ResourceRef(ResourceType.CAPACITY_PROVIDER, provider).id,
            {"provider": provider, "instances": list(arns)},
            "instances take tasks again before anything moves back",
        )
        for provider, arns in past.drained.items()
        if arns
    ]


def _sizes(wanted: Mapping[str, Image | None]) -> list[Step]:
    """Group sizes to the letter, once services are back: the order of work only ever raises the desired size."""
    return [
        Step("", Action.WRITE, resource_id, {name: image[name] for name in SIZES if name in image}, "as before")
        for resource_id, image in wanted.items()
        if image is not None and ResourceRef.parse(resource_id).type is ResourceType.AUTO_SCALING_GROUP
    ]


def _counts(past: Past, wanted: Mapping[str, Image | None]) -> list[Step]:
    return [
        Step("", Action.SET_DESIRED_COUNT, f"{ResourceType.SERVICE}/{service}", {"exactly": count}, "as before")
        for service, count in past.desired_counts.items()
        if f"{ResourceType.SERVICE}/{service}" in wanted or f"{ResourceType.SERVICE}/{service}" not in past.before
    ]


def _forget_definitions(past: Past, world: World, executor: Executor, run: str) -> list[str]:
    """Deregister the revisions that the run made, found by the run's tag, and nothing else."""
    notes: list[str] = []
    for service in past.touched_definitions:
        ref = ResourceRef(ResourceType.TASK_DEFINITION, service)
        arns = tuple(world.cloud.created_by(run, ref))
        if not arns:
            continue
        step = Step(f"back-{ref.id}", Action.DEREGISTER, ref.id, {"arns": list(arns)}, "made by the run")
        failure = _guarded(executor, step)
        if failure is not None:
            notes.append(f"{', '.join(arns)} could not be deregistered: {failure.reason}")
    return notes


__all__: list[Any] = ["Past", "RollbackRefused", "read_past", "rollback"]
