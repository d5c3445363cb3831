"""Carrying steps out: announce, act, read back, record. Used by apply, by resume and by rollback alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from deploy.authorise import Authorisation, step_running
from deploy.journal import Journal
from deploy.limits import beside_limits, has_acted, with_moved_limits
from deploy.model import Action, EntryKind, Failure, FailureKind, Image, ResourceRef, Step
from deploy.normalise import covers, normalise, ordered, stable
from deploy.ports import AnswerLost, CallFailed, Clock, Cloud, Deployment
from deploy.replacement import Order, replace_in_waves
from deploy.rollout import Rollout, await_deployment, deployment_evidence
from deploy.steps import scaled_count
from planner.documents.config import ResourceType

ATTEMPTS = 3
REVISION_ATTEMPTS = 10
"""Of reading back what only a service's new revision tells, which comes a little after the call."""
READ_BACK_S = 2.0
POLL_S = 15.0
CAPACITY_WITHIN = timedelta(minutes=15)
HEALTHY_WITHIN = timedelta(minutes=10)
DRAINED_WITHIN = timedelta(minutes=60)
WAVE_SHARE = 0.25
"""Share of a provider's instances that drain at a time."""


class StepFailed(Exception):
    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(f"{failure.resource_id}: {failure.kind}: {failure.reason}")


@dataclass(frozen=True, slots=True)
class Kinds:
    """Entry kinds of a run: those of an apply, or those of taking it back."""

    intent: EntryKind = EntryKind.INTENT
    done: EntryKind = EntryKind.DONE


APPLYING = Kinds()
TAKING_BACK = Kinds(EntryKind.ROLLBACK_INTENT, EntryKind.ROLLBACK_DONE)


@dataclass
class Executor:
    """Runs steps one by one against the cloud, writing the journal ahead of every call."""

    cloud: Cloud
    clock: Clock
    journal: Journal
    run: str
    bundle_sha256: str
    kinds: Kinds = APPLYING
    say: Callable[[str], None] = lambda _text: None
    made: dict[str, Any] = field(default_factory=dict)
    """"<resource id>#<field>" to a value that is known since it was made."""
    deployments: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    known: dict[str, list[Image | None]] = field(default_factory=dict)
    """Resource id to the stable images that are ours: the approved one and what our writes left."""

    def execute(self, step: Step) -> None:
        """Do one step; StepFailed names why it could not be done. Safe to call again after a kill."""
        ref = ResourceRef.parse(step.resource_id)
        token = Authorisation(self.bundle_sha256, self.run, step.id, ref.id, self._names(ref, step))
        with step_running(token):
            match step.action:
                case Action.WRITE:
                    self._attempt(step, lambda: self._write(step, ref))
                case Action.DELETE:
                    self._attempt(step, lambda: self._delete(step, ref))
                case Action.SET_DESIRED_COUNT:
                    self._attempt(step, lambda: self._set_desired_count(step, ref))
                case Action.AWAIT_CAPACITY:
                    self._attempt(step, lambda: self._await_capacity(step, ref))
                case Action.AWAIT_TARGETS:
                    self._attempt(step, lambda: self._await_targets(step, ref))
                case Action.AWAIT_DEPLOYMENT:
                    self._attempt(step, lambda: self._await_deployment(step, ref))
                case Action.DRAIN:
                    self._attempt(step, lambda: self._drain(step, ref))
                case Action.REPLACE:
                    self._attempt(step, lambda: self._replace(step, ref))
                case Action.UNDRAIN:
                    self._attempt(step, lambda: self._undrain(step, ref))
                case Action.DEREGISTER:
                    self._attempt(step, lambda: self._deregister(step, ref))

    def _names(self, ref: ResourceRef, step: Step) -> frozenset[str]:
        names = {ref.name, ref.leaf, ref.service}
        live = self.cloud.read(ref) if step.action is not Action.AWAIT_DEPLOYMENT else None
        for image in (live, step.after):
            names |= {value for value in (image or {}).values() if isinstance(value, str)}
        if step.action is Action.REPLACE:
            names |= {m.ec2_instance_id for m in self.cloud.members(ref.name, str((step.after or {})["provider"]))}
        return frozenset(names)

    def _attempt(self, step: Step, act: Callable[[], None]) -> None:
        """Try again after a lost answer or a busy service; every attempt reads before it writes."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                act()
                return
            except AnswerLost as error:
                lost = Failure(FailureKind.UNKNOWN_EFFECT, step.resource_id, str(error))
                if attempt == ATTEMPTS:
                    raise StepFailed(lost) from error
                self.clock.sleep(READ_BACK_S * attempt)
            except CallFailed as error:
                raise StepFailed(Failure(FailureKind.CALL_FAILED, step.resource_id, str(error))) from error

    # One resource

    def _write(self, step: Step, ref: ResourceRef) -> None:
        live = self.cloud.read(ref)
        recorded = self._recorded(step)
        after = self._complete(step, ref, live) if recorded is None else dict(recorded["after"])
        if recorded is None:
            moved = self._after_schedules(ref, live, after)
            if moved is None:
                self._refuse_foreign(step, ref, live, after)
            after = after if moved is None else moved
            self._announce(step, ref, live, after)
        if self._is_there(ref, live, after):
            result: Mapping[str, Any] = self._facts(live)
        else:
            result = self.cloud.write(ref, after, live)
        observed = self._read_back(step, ref, after)
        self._finish(step, ref, observed, {**self._facts(observed), **result})

    def _recorded(self, step: Step) -> Mapping[str, Any] | None:
        """The announcement of this very step by an attempt that was interrupted."""
        for entry in self.journal.entries:
            if entry.kind is self.kinds.intent and entry.body["step"] == step.id and self._is_this_run(entry.body):
                return entry.body
        return None

    def _is_this_run(self, body: Mapping[str, Any]) -> bool:
        return bool(body.get("run") == self.run)

    def _complete(self, step: Step, ref: ResourceRef, live: Image | None) -> dict[str, Any]:
        """`after` with references replaced by what was made, and the task count worked out."""
        after = dict(self._substituted(step.after or {}))
        if ref.type is ResourceType.TASK_DEFINITION:
            after["$run"] = self.run  # the tag by which a rollback finds what this run registered
        rule = after.pop("$scale_count", None)
        if rule is not None:
            after["desiredCount"] = scaled_count(rule, int((live or {}).get("desiredCount", 0)))
        return ordered(ref.type, after)

    def _substituted(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            if set(value) == {"$ref"}:
                return self._made(value["$ref"])
            return {key: self._substituted(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._substituted(item) for item in value]
        return value

    def _made(self, reference: str) -> Any:
        if reference not in self.made:
            reason = f"{reference} is not known: the step that makes it has not been done"
            raise StepFailed(Failure(FailureKind.CALL_FAILED, reference.rpartition("#")[0], reason))
        return self.made[reference]

    def _after_schedules(self, ref: ResourceRef, live: Image | None, after: Image) -> dict[str, Any] | None:
        """`after` where a scheduled action, approved or written by this run, has moved the target's limits since;
        None where none has."""
        ours, found = self.known.get(ref.id, []), stable(ref.type, live)
        if ref.type is not ResourceType.SCALABLE_TARGET or live is None or found in ours:
            return None
        if beside_limits(found) not in [beside_limits(image) for image in ours]:
            return None
        prefix = f"{ResourceType.SCHEDULED_ACTION}/{ref.name}/"
        actions = [images for name, images in self.known.items() if name.startswith(prefix)]
        if not any(has_acted(image, live) for images in actions for image in images):
            return None
        still_there = any(has_acted(images[-1], live) for images in actions)
        return with_moved_limits(after, live) if still_there else dict(after)

    def _refuse_foreign(self, step: Step, ref: ResourceRef, live: Image | None, after: Image) -> None:
        """What is neither the approved state nor our own work was changed by somebody: it is not overwritten."""
        ours = self.known.get(ref.id)
        if ours is None or ref.type is ResourceType.TASK_DEFINITION:
            return
        found = stable(ref.type, live)
        if found in ours or covers(live, after):
            return
        reason = (
            "it is not as it was when the change was approved, nor as this run left it: "
            f"{_difference(found, ours[-1])}"
        )
        raise StepFailed(Failure(FailureKind.CHANGED_BY_HAND, step.resource_id, reason))

    def _is_there(self, ref: ResourceRef, live: Image | None, after: Image) -> bool:
        if ref.type is ResourceType.TASK_DEFINITION:
            return False  # the image is that of the service's present revision; the adapter looks for ours
        return covers(live, after)

    def _facts(self, image: Image | None) -> dict[str, Any]:
        """Values that other resources may refer to."""
        names = {"AutoScalingGroupARN", "capacityProviderArn", "TargetGroupArn"}
        return {k: v for k, v in (image or {}).items() if k in names}

    def _read_back(self, step: Step, ref: ResourceRef, after: Image) -> Image | None:
        """Read what was written: an accepted call that left the old value is a failure, not a success."""
        if ref.type is ResourceType.TASK_DEFINITION:
            return None
        wanted = normalise(ref.type, after)
        missing: list[str] = []
        for attempt in range(REVISION_ATTEMPTS if "monitoring" in wanted else ATTEMPTS):
            if attempt:
                self.clock.sleep(READ_BACK_S)
            live = self.cloud.read(ref)
            checked = (
                wanted if "DesiredCapacity" in wanted and wanted.get("MaxSize") == 0 else stable(ref.type, wanted)
            )
            if live is not None and covers(live, checked):
                return live
            missing = sorted(k for k, v in (checked or {}).items() if (live or {}).get(k) != v)
        reason = f"AWS accepted the call, but {', '.join(missing) or 'the resource'} did not change"
        raise StepFailed(Failure(FailureKind.CALL_FAILED, step.resource_id, reason))

    def _delete(self, step: Step, ref: ResourceRef) -> None:
        live = self.cloud.read(ref)
        if self._recorded(step) is None:
            self._announce(step, ref, live, None)
        if live is not None:
            self.cloud.delete(ref, live)
        self._finish(step, ref, None, {})

    def _set_desired_count(self, step: Step, ref: ResourceRef) -> None:
        counts = self.cloud.service_counts(ref.name)
        limits = step.after or {}
        desired = counts.desired if counts else 0
        count = limits.get("exactly", min(max(desired, limits.get("at_least", 0)), limits.get("at_most", desired)))
        if count == desired and self._recorded(step) is None:
            return
        if self._recorded(step) is None:
            self._announce(step, ref, {"desiredCount": desired}, {"desiredCount": count})
        if count != desired:
            self.cloud.set_desired_count(ref.name, count)
        self._finish(step, ref, self.cloud.read(ref), {})

    # Waiting

    def _await_capacity(self, step: Step, ref: ResourceRef) -> None:
        wanted, provider = int((step.after or {})["instances"]), str((step.after or {})["provider"])
        began = self.clock.now()
        while True:
            ready = sum(1 for i in self.cloud.instances(provider) if i.status == "ACTIVE")
            if ready >= wanted:
                # Noted, because later steps drain: a resumed run must not wait for them to be active again.
                body = {"step": step.id, "run": self.run, "resource": ref.id, "result": {}}
                self.journal.append(self.kinds.done, self.clock.now(), body)
                return
            if self.clock.now() - began > CAPACITY_WITHIN:
                reason = f"{ready} of {wanted} instances of {provider} joined the cluster"
                raise StepFailed(Failure(FailureKind.NO_CAPACITY, ref.id, reason))
            self.say(f"{provider}: {ready} of {wanted} instances")
            self.clock.sleep(POLL_S)

    def _await_targets(self, step: Step, ref: ResourceRef) -> None:
        began = self.clock.now()
        groups = self._substituted(dict(step.after or {}))["groups"]
        while empty := [arn for arn in groups if not self.cloud.healthy_targets(arn)]:
            if self.clock.now() - began > HEALTHY_WITHIN:
                reason = f"{', '.join(empty)} has none, so requests would be lost"
                raise StepFailed(Failure(FailureKind.NO_TARGETS, ref.id, reason))
            self.say(f"{ref.name}: waiting for healthy targets")
            self.clock.sleep(POLL_S)

    def _await_deployment(self, step: Step, ref: ResourceRef) -> None:
        planned = str(self._substituted(step.after or {})["taskDefinition"])
        written = self._last_write(ref)
        rollout = Rollout(
            ref.name,
            planned,
            written.get("deployment"),
            frozenset(written.get("earlier", ())),
        )
        ended = await_deployment(rollout, self.cloud, self.clock, self.say)
        if isinstance(ended, Failure):
            raise StepFailed(ended)
        self._record_deployment(step, ref, ended)

    def _record_deployment(self, step: Step, ref: ResourceRef, ended: Deployment) -> None:
        self.deployments[ref.name] = ended.arn
        self.digests |= ended.digests
        body = {"step": step.id, "run": self.run, "resource": ref.id, "result": deployment_evidence(ended)}
        self.journal.append(self.kinds.done, self.clock.now(), body)

    def _last_write(self, ref: ResourceRef) -> dict[str, Any]:
        """What the journal knows of the service update that started the deployment."""
        found: dict[str, Any] = {}
        for entry in self.journal.entries:
            if entry.body.get("resource") != ref.id or not self._is_this_run(entry.body):
                continue
            if entry.kind is self.kinds.intent and "earlier" in entry.body:
                found = {"earlier": entry.body["earlier"]}
            if entry.kind is self.kinds.done and entry.body["result"].get("deployment"):
                found["deployment"] = entry.body["result"]["deployment"]
        return found

    def _drain(self, step: Step, ref: ResourceRef) -> None:
        """Drain a provider's instances wave by wave, each one empty before the next begins."""
        provider = str((step.after or {})["provider"])
        instances = self.cloud.instances(provider)
        active = sorted(i.arn for i in instances if i.status == "ACTIVE")
        if self._recorded(step) is None:
            self._announce(step, ref, {"instances": active}, {"status": "DRAINING"})
        size = max(1, round(len(instances) * WAVE_SHARE))
        waves = [active[at : at + size] for at in range(0, len(active), size)] or [[]]
        for wave in waves:
            if wave:
                self.cloud.set_instance_status(wave, "DRAINING")
            self._await_empty(provider, ref)
        self._finish(step, ref, None, {})

    def _replace(self, step: Step, ref: ResourceRef) -> None:
        """Replace a group's outdated instances; the list and every resize are announced before they begin."""
        wanted = step.after or {}
        recorded = self._recorded(step)
        if recorded is None:
            old = [m for m in self.cloud.members(ref.name, wanted["provider"]) if m.outdated]
            named = {"instances": [m.ec2_instance_id for m in old], "arns": [m.arn for m in old if m.arn]}
            self._announce(step, ref, named, dict(wanted))
            leaving = tuple(named["instances"])
        else:
            leaving = tuple(recorded["before"]["instances"])
        order = Order(ref.name, str(wanted["provider"]), leaving, int(wanted["instances"]))
        failure = replace_in_waves(
            order, self.cloud, self.clock, lambda before, after: self._announce(step, ref, before, after), self.say
        )
        if failure is not None:
            raise StepFailed(failure)
        self._finish(step, ref, self.cloud.read(ref), {})

    def _undrain(self, step: Step, ref: ResourceRef) -> None:
        wanted = step.after or {}
        there = {i.arn for i in self.cloud.instances(str(wanted["provider"])) if i.status == "DRAINING"}
        back = [arn for arn in wanted["instances"] if arn in there]
        self._announce(step, ref, {"instances": back}, {"status": "ACTIVE"})
        if back:
            self.cloud.set_instance_status(back, "ACTIVE")
        self._finish(step, ref, None, {})

    def _deregister(self, step: Step, ref: ResourceRef) -> None:
        self._announce(step, ref, dict(step.after or {}), None)
        for arn in (step.after or {})["arns"]:
            self.cloud.delete(ref, {"taskDefinitionArn": arn})
        self._finish(step, ref, None, {})

    def _await_empty(self, provider: str, ref: ResourceRef) -> None:
        began = self.clock.now()
        while True:
            busy = [i for i in self.cloud.instances(provider) if i.status == "DRAINING" and i.running_tasks]
            if not busy:
                return
            if self.clock.now() - began > DRAINED_WITHIN:
                names = ", ".join(i.ec2_instance_id for i in busy[:5])
                raise StepFailed(Failure(FailureKind.NOT_DRAINED, ref.id, f"{names} still run tasks"))
            self.say(f"{provider}: {len(busy)} instances drain")
            self.clock.sleep(POLL_S)

    # The journal

    def _announce(self, step: Step, ref: ResourceRef, before: Image | None, after: Image | None) -> None:
        body: dict[str, Any] = {
            "step": step.id,
            "run": self.run,
            "action": step.action.value,
            "resource": ref.id,
            "before": before,
            "after": after,
        }
        if step.action is Action.WRITE and ref.type is ResourceType.SERVICE:
            body["earlier"] = [d.arn for d in self.cloud.deployments(ref.name)]
        self.journal.append(self.kinds.intent, self.clock.now(), body)

    def _finish(self, step: Step, ref: ResourceRef, observed: Image | None, result: Mapping[str, Any]) -> None:
        for name, value in result.items():
            self.made[f"{ref.id}#{name}"] = value
        if observed is not None or step.action is Action.DELETE:
            self.known.setdefault(ref.id, []).append(stable(ref.type, observed))
        body = {
            "step": step.id,
            "run": self.run,
            "resource": ref.id,
            "observed": observed,
            "result": dict(result),
        }
        self.journal.append(self.kinds.done, self.clock.now(), body)


def _difference(found: Image | None, left: Image | None) -> str:
    """What was found against what was left, in the names of the fields; the values may be long or secret."""
    if found is None or left is None:
        return "it is gone" if found is None else "it is there again"
    names = sorted(name for name in found.keys() | left.keys() if found.get(name) != left.get(name))
    return f"{', '.join(names)} differ{'s' if len(names) == 1 else ''}"
