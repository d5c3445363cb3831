"""Apply exactly what was signed: same bundle, same live state, one run at a time, every call announced first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from deploy.approve import ApprovalRefused, require_valid
from deploy.authorise import Authorisation, current_step, step_running
from deploy.diff import diff
from deploy.execute import Executor, StepFailed
from deploy.held import statement_of, steps_of
from deploy.hours import next_opening, refuse_in_hours
from deploy.journal import Journal, read_journal
from deploy.keys import Approver
from deploy.model import (
    Action,
    Approval,
    EntryKind,
    Failure,
    FailureKind,
    JournalEntry,
    Outcome,
    ResourceRef,
    Step,
)
from deploy.move import Move
from deploy.normalise import stable
from deploy.observe import Observation, observe
from deploy.ports import AnswerLost, CallFailed, Clock, Cloud, Lock
from deploy.steps import plan_steps
from planner.documents import ConfigDocument, digest
from planner.documents.config import ResourceType

__all__ = ["ApplyRefused", "Authorisation", "World", "apply", "current_step", "move_of", "step_running"]


class ApplyRefused(Exception):
    """Nothing was changed; the message says why and what to do."""


@dataclass(frozen=True)
class World:
    """What a run needs from outside."""

    cloud: Cloud
    clock: Clock
    lock: Lock
    say: Callable[[str], None] = field(default=lambda _text: None)


def apply(
    config: ConfigDocument,
    approval: Approval,
    approvers: Sequence[Approver],
    world: World,
    journal_folder: Path,
    *,
    wait_for_hours: bool = False,
) -> Outcome:
    """Carry the bundle out, or go on with a run of it that was interrupted.

    Raises ApprovalRefused, ApplyRefused or LockHeld before anything is changed. Afterwards every end, good or
    bad, is an Outcome whose journal `rollback` can take back. Scaling that the run froze is thawed at its end,
    whatever the end.
    """
    require_valid(approval, config, approvers, world.clock.now())
    if approval.statement.executor != "boto3":
        raise ApprovalRefused("The approval is for the Terraform executor: pass --executor terraform.")
    interrupted = find_interrupted(journal_folder, digest(config))
    if interrupted is None:
        _refuse_unfinished(journal_folder)
    run = interrupted.stem if interrupted else run_id(world.clock.now(), config)
    world.lock.acquire(run)
    try:
        if interrupted is not None:
            return _resume(config, approval, world, interrupted, run)
        return _start(config, approval, world, journal_folder / f"{run}.jsonl", run, wait_for_hours)
    finally:
        world.lock.release(run)


def run_id(now: datetime, config: ConfigDocument) -> str:
    return f"{now:%Y%m%dT%H%M%SZ}-{digest(config)[:12]}"


def find_interrupted(folder: Path, bundle_sha256: str) -> Path | None:
    """The journal of a run of this bundle that neither ended nor was taken back."""
    for path in sorted(folder.glob("*.jsonl"), reverse=True):
        entries = read_journal(path)
        if not entries or entries[0].body.get("bundle_sha256") != bundle_sha256:
            continue
        ends = {EntryKind.END, EntryKind.ROLLBACK}
        if not any(entry.kind in ends for entry in entries):
            return path
    return None


def _refuse_unfinished(folder: Path) -> None:
    """Another run that was interrupted, forwards or backwards, has to be dealt with first."""
    ends = {EntryKind.END, EntryKind.ROLLBACK_END}
    for path in sorted(folder.glob("*.jsonl")):
        entries = read_journal(path)
        last = next((e.kind for e in reversed(entries) if e.kind in ends | {EntryKind.ROLLBACK}), None)
        if entries and last not in ends:
            raise ApplyRefused(
                f"Another run was interrupted ({path}): take it back with `deploy rollback` first, "
                "or go on with it by `deploy apply` of its own bundle."
            )


def move_of(config: ConfigDocument, observation: Observation) -> Move:
    return Move(observation.live, observation.wanted, providers_of(config))


def providers_of(config: ConfigDocument) -> dict[str, str]:
    """Auto Scaling group to capacity provider, as the bundle links them."""
    found: dict[str, str] = {}
    for resource in config.resources:
        if resource.type is ResourceType.AUTO_SCALING_GROUP and "$provider" in resource.request:
            found[resource.name] = resource.request["$provider"]
        if resource.type is ResourceType.CAPACITY_PROVIDER:
            for needed in resource.depends_on:
                ref = ResourceRef.parse(needed)
                if ref.type is ResourceType.AUTO_SCALING_GROUP:
                    found[ref.name] = resource.name
    return found


# A new run


def _start(
    config: ConfigDocument,
    approval: Approval,
    world: World,
    path: Path,
    run: str,
    wait_for_hours: bool,
) -> Outcome:
    _observed_as_approved(config, approval, world)
    _keep_hours(config, approval, world, wait_for_hours)
    observation = _observed_as_approved(config, approval, world)
    steps = plan_steps(move_of(config, observation))
    with Journal.create(path) as journal:
        journal.append(
            EntryKind.BEGIN,
            world.clock.now(),
            {
                "run": run,
                "bundle_sha256": digest(config),
                "bundle": config.model_dump(mode="json"),
                "approval": asdict(approval.statement),
                "signature": approval.signature,
                "live": dict(observation.live),
                "wanted": dict(observation.wanted),
                "order": list(observation.wanted),  # canonical JSON sorts keys
                "steps": [asdict(step) for step in steps],
            },
        )
        return _run(config, world, journal, run, steps, observation.live)


def _observed_as_approved(config: ConfigDocument, approval: Approval, world: World) -> Observation:
    """Observe again; ApplyRefused names what moved since the approval."""
    observation = observe(config, world.cloud)
    if observation.problems:
        first = observation.problems[0]
        raise ApplyRefused(f"{first.what} {first.reason}.")
    now, then = observation.digests, dict(approval.observed)
    moved = sorted(name for name in now.keys() | then.keys() if now.get(name, "") != then.get(name, ""))
    if moved:
        raise ApplyRefused(
            f"The live state moved since the approval ({', '.join(moved[:5])}): look at `deploy diff` and have it "
            "approved again."
        )
    if diff(observation.live, observation.wanted, config).digest != approval.statement.changes_sha256:
        raise ApplyRefused("The changes are not those that were approved: have the bundle approved again.")
    return observation


def _keep_hours(config: ConfigDocument, approval: Approval, world: World, wait: bool) -> None:
    hours = approval.statement.working_hours
    if hours is None:
        return
    now = world.clock.now()
    why = refuse_in_hours(config, hours, now)
    if why is None:
        return
    opening = next_opening(hours, now)
    if not wait:
        raise ApplyRefused(f"{why}; it may run from {opening.isoformat()}, or pass --wait.")
    if opening >= datetime.fromisoformat(approval.statement.expires_at):
        raise ApplyRefused(f"{why}, and the approval expires before {opening.isoformat()}: approve it for longer.")
    world.say(f"Waiting until {opening.isoformat()}: {why}")
    world.clock.sleep((opening - now).total_seconds())


# An interrupted run


def _resume(config: ConfigDocument, approval: Approval, world: World, path: Path, run: str) -> Outcome:
    with Journal.reopen(path) as journal:
        begin = journal.entries[0].body
        if begin["signature"] != approval.signature:
            raise ApplyRefused(
                f"An interrupted run of this bundle is in {path} under another approval: pass that one, or "
                "take it back with `deploy rollback`."
            )
        statement = statement_of(journal.entries, None)  # the signature is that of the approval at hand
        steps = steps_of(journal.entries, config, providers_of(config), statement)
        _refuse_foreign_changes(config, world, journal, begin["live"])
        journal.append(EntryKind.RESUME, world.clock.now(), {"run": run})
        return _run(config, world, journal, run, steps, begin["live"])


def _refuse_foreign_changes(config: ConfigDocument, world: World, journal: Journal, live: dict[str, Any]) -> None:
    """What this run has not touched must still be as it was approved."""
    touched = {entry.body["resource"] for entry in journal.entries if entry.kind is EntryKind.INTENT}
    now = observe(config, world.cloud).live
    moved = [
        resource_id
        for resource_id, before in live.items()
        if resource_id not in touched
        and _untouched_kind(resource_id, touched)
        and stable(ResourceRef.parse(resource_id).type, before)
        != stable(ResourceRef.parse(resource_id).type, now.get(resource_id))
    ]
    if moved:
        raise ApplyRefused(
            f"The live state moved while the run was interrupted ({', '.join(moved[:5])}): take the run back with "
            "`deploy rollback`, then plan again."
        )


def _untouched_kind(resource_id: str, touched: set[str]) -> bool:
    """A task definition's image follows its service, so a touched service moves it."""
    ref = ResourceRef.parse(resource_id)
    return not (ref.type is ResourceType.TASK_DEFINITION and f"{ResourceType.SERVICE}/{ref.name}" in touched)


# Running


def _run(
    config: ConfigDocument,
    world: World,
    journal: Journal,
    run: str,
    steps: tuple[Step, ...],
    live: Any,
) -> Outcome:
    executor = Executor(world.cloud, world.clock, journal, run, digest(config), say=world.say)
    restore_memory(executor, live)
    done = finished_steps(journal.entries, run)
    failure: Failure | None = None
    completed = 0
    try:
        for step in steps:
            if step.id not in done:
                world.say(f"{step.resource_id}: {step.action} ({step.why})")
                failure = _guarded(executor, step)
                if failure is not None:
                    break
            completed += 1
    except KeyboardInterrupt:
        failure = Failure(FailureKind.INTERRUPTED, step.resource_id, f"interrupted during {step.action}")
    notes = () if failure is None else thaw(executor, live)
    outcome = Outcome(
        succeeded=failure is None,
        journal=str(journal.path),
        steps_done=completed,
        steps_total=len(steps),
        failure=failure,
        deployments=dict(executor.deployments),
        digests=dict(executor.digests),
        notes=notes,
    )
    _end(world, journal, run, outcome)
    return outcome


def _guarded(executor: Executor, step: Step) -> Failure | None:
    try:
        executor.execute(step)
    except StepFailed as error:
        failure = error.failure
    except (CallFailed, AnswerLost) as error:
        kind = FailureKind.CALL_FAILED if isinstance(error, CallFailed) else FailureKind.UNKNOWN_EFFECT
        failure = Failure(kind, step.resource_id, str(error))
    else:
        return None
    body = {"step": step.id, "run": executor.run, "resource": step.resource_id, "failure": asdict(failure)}
    executor.journal.append(EntryKind.FAILED, executor.clock.now(), body)
    return failure


def _end(world: World, journal: Journal, run: str, outcome: Outcome) -> None:
    body = {
        "run": run,
        "succeeded": outcome.succeeded,
        "steps_done": outcome.steps_done,
        "steps_total": outcome.steps_total,
        "failure": None if outcome.failure is None else asdict(outcome.failure),
        "digests": dict(outcome.digests),
    }
    journal.append(EntryKind.END, world.clock.now(), body)


def finished_steps(entries: Sequence[JournalEntry], run: str) -> frozenset[str]:
    return frozenset(e.body["step"] for e in entries if e.kind is EntryKind.DONE and e.body.get("run") == run)


def restore_memory(executor: Executor, live: Any) -> None:
    """What a run knows from its journal: the values it made, and the states that are its own work."""
    for resource_id, image in live.items():
        executor.known[resource_id] = [stable(ResourceRef.parse(resource_id).type, image)]
    for entry in executor.journal.entries:
        body = entry.body
        if entry.kind not in {EntryKind.DONE, EntryKind.ROLLBACK_DONE}:
            continue
        for name, value in body.get("result", {}).items():
            executor.made[f"{body['resource']}#{name}"] = value
        if body.get("observed") is not None:
            ref = ResourceRef.parse(body["resource"])
            executor.known.setdefault(ref.id, []).append(stable(ref.type, body["observed"]))
        if body.get("result", {}).get("digests") is not None and entry.kind is executor.kinds.done:
            executor.deployments[ref_service(body["resource"])] = body["result"]["deployment"]
            executor.digests |= body["result"]["digests"]


def ref_service(resource_id: str) -> str:
    return ResourceRef.parse(resource_id).service


def thaw(executor: Executor, live: Any) -> tuple[str, ...]:
    """Put scaling that the run suspended back as it was; says what could not be put back."""
    notes: list[str] = []
    for resource_id in frozen_targets(executor.journal.entries):
        before = live.get(resource_id) or {}
        state = before.get("SuspendedState") or {"DynamicScalingInSuspended": False}
        step = Step(f"thaw-{resource_id}", Action.WRITE, resource_id, {"SuspendedState": state}, "scale-in again")
        failure = _guarded(executor, step)
        if failure is not None:
            notes.append(f"{resource_id} is still suspended ({failure.reason}): run `deploy rollback`.")
    return tuple(notes)


def frozen_targets(entries: Sequence[JournalEntry]) -> tuple[str, ...]:
    """Scalable targets whose scale-in the run may have suspended and not yet been seen to free again."""
    frozen: dict[str, bool] = {}
    for entry in entries:
        body = entry.body
        name = str(body.get("resource", ""))
        if not name.startswith(f"{ResourceType.SCALABLE_TARGET}/"):
            continue
        if entry.kind in {EntryKind.INTENT, EntryKind.ROLLBACK_INTENT} and _suspends(body.get("after")):
            frozen[name] = frozen.get(name, False) or not _suspends(body.get("before"))
        if entry.kind in {EntryKind.DONE, EntryKind.ROLLBACK_DONE} and not _suspends(body.get("observed")):
            frozen[name] = False
    return tuple(name for name, is_frozen in frozen.items() if is_frozen)


def _suspends(image: Any) -> bool:
    return bool(((image or {}).get("SuspendedState") or {}).get("DynamicScalingInSuspended"))
