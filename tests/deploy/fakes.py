"""A cluster in memory that behaves: writes take effect, deployments end, calls fail or lose their answer.

It implements deploy.ports.Cloud over plain images, so the order of work, the journal and the way back can be
tested a thousand times a second; tests/deploy/test_sandbox_*.py run the same verbs over the real client.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.emit.fields import replaces_in_place
from deploy.model import Image, ResourceRef, State
from deploy.normalise import OUTDATED, merged, normalise, stated
from deploy.ports import AnswerLost, CallFailed, Deployment, Instance, Member, Scope, ServiceCounts
from deploy.taskdef import content_digest, derived, image_of
from planner.documents import Resource
from planner.documents.config import ResourceType
from planner.model import Rejection


class Killed(BaseException):
    """The process is gone: from now on nothing of it acts any more."""


class FakeClock:
    def __init__(self, start: datetime = datetime(2026, 5, 13, 20, tzinfo=UTC)) -> None:
        self.at = start

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class FreeLock:
    def acquire(self, holder: str) -> None: ...

    def release(self, holder: str) -> None: ...


class FakeCloud:
    """`state` is the world. `before_write` and `after_write` may raise, to fail a call or to lose its answer."""

    def __init__(self, state: State, definitions: Mapping[str, Mapping[str, Any]]) -> None:
        self.state: dict[str, Image | None] = dict(state)
        self.definitions: dict[str, dict[str, Any]] = {k: dict(v) for k, v in definitions.items()}
        self.tags: dict[str, str] = {}
        self.writes: list[str] = []
        self.before_write: Callable[[int, str], None] = lambda _number, _what: None
        self.after_write: Callable[[int, str], None] = lambda _number, _what: None
        self.outcome: Callable[[str], str] = lambda _service: "SUCCESSFUL"
        self.history: dict[str, list[Deployment]] = {}
        self.fleet: dict[str, list[Instance]] = {}
        self.templates: dict[str, Any] = {}
        """The template that each instance was launched from."""
        self.launched = 0
        self.clock = FakeClock()
        self.dead = False

    def one_look(self) -> AbstractContextManager[None]:
        return nullcontext()

    # What the run does

    def _effect(self, what: str, change: Callable[[], None]) -> None:
        self._alive()
        number = len(self.writes)
        self.before_write(number, what)
        self.writes.append(what)
        change()
        self.after_write(number, what)

    def _alive(self) -> None:
        if self.dead:
            raise Killed

    def die(self) -> None:
        self.dead = True
        raise Killed

    def scope(self) -> Scope:
        return Scope("123456789012", "eu-west-2")

    def read(self, ref: ResourceRef) -> Image | None:
        self._alive()
        if ref.type is ResourceType.TASK_DEFINITION:
            service = self.state.get(f"service/{ref.name}")
            return None if service is None else image_of(self.definitions[service["taskDefinition"]])
        image = self.state.get(ref.id)
        if ref.type is ResourceType.AUTO_SCALING_GROUP and image is not None and "LaunchTemplate" in image:
            return {**image, OUTDATED: sum(m.outdated for m in self.members(ref.name, ref.name))}
        return image

    def resolve(self, resource: Resource) -> Image | Rejection:
        self._alive()
        if resource.type is ResourceType.TASK_DEFINITION:
            made = derived(self.definitions[str(resource.base_arn)], resource.request)
            if isinstance(made, Rejection):
                return made
            image = {k: v for k, v in image_of(made).items() if k != "taskDefinitionArn"}
            return {**image, "$base": resource.base_arn, "$request": dict(resource.request)}
        identifying = {
            "cluster",
            "service",
            "name",
            "AutoScalingGroupName",
            "ServiceNamespace",
            "ResourceId",
            "ScalableDimension",
            "ScheduledActionName",
        }
        wanted = {k: v for k, v in resource.request.items() if k not in identifying and not k.startswith("$")}
        live = self.state.get(resource.id)
        if resource.type is ResourceType.SCALABLE_TARGET:
            return wanted
        whole = normalise(resource.type, merged(live, wanted))
        replaced = {OUTDATED: 0} if replaces_in_place(resource) else {}
        return {k: v for k, v in whole.items() if k in wanted} | replaced

    def write(self, ref: ResourceRef, after: Image, live: Image | None) -> Mapping[str, Any]:
        result: dict[str, Any] = {}

        def change() -> None:
            if ref.type is ResourceType.TASK_DEFINITION:
                result["taskDefinitionArn"] = self._register(after)
                return
            self._launch(ref)  # what the group has now was launched from its present template
            whole = normalise(ref.type, merged(self.state.get(ref.id), stated(after)))
            whole.pop(OUTDATED, None)
            restarts = self._restarts(ref, self.state.get(ref.id), whole)
            self.state[ref.id] = whole
            if restarts:
                self._deploy(ref.name, str(whole["taskDefinition"]))

        self._effect(f"write {ref.id}", change)
        return result

    def _launch(self, ref: ResourceRef) -> None:
        if ref.type is ResourceType.AUTO_SCALING_GROUP and self.state.get(ref.id) is not None:
            self.instances(ref.name)

    @staticmethod
    def _restarts(ref: ResourceRef, before: Image | None, after: Image) -> bool:
        fields = ("taskDefinition", "capacityProviderStrategy", "monitoring")
        return ref.type is ResourceType.SERVICE and any((before or {}).get(f) != after.get(f) for f in fields)

    def _register(self, after: Image) -> str:
        made = derived(self.definitions[str(after["$base"])], after["$request"])
        assert not isinstance(made, Rejection)
        for arn, known in self.definitions.items():
            if known.get("status") != "INACTIVE" and content_digest(known) == content_digest(made):
                return arn
        arn = f"{str(after['$base']).rsplit(':', 1)[0]}:{len(self.definitions) + 1}"
        self.definitions[arn] = {**made, "taskDefinitionArn": arn, "status": "ACTIVE"}
        self.tags[arn] = str(after["$run"])
        return arn

    def _deploy(self, service: str, definition: str) -> None:
        known = self.history.setdefault(service, [])
        status = self.outcome(service)
        arn = f"deployment/{service}/{len(known) + 1}"
        known.insert(
            0,
            Deployment(arn, status, "as told", definition, 2, 2, 0, 0, self.clock.now(), {"image": "sha256:1"}),
        )

    def delete(self, ref: ResourceRef, live: Image) -> None:
        def change() -> None:
            if ref.type is ResourceType.TASK_DEFINITION:
                self.definitions[live["taskDefinitionArn"]]["status"] = "INACTIVE"
                return
            self.state[ref.id] = None
            self.fleet.pop(ref.name, None)  # a group goes with its instances
            if ref.type is ResourceType.SCALABLE_TARGET:  # takes its policies and schedules with it
                for name in list(self.state):
                    if name.startswith((f"scaling-policy/{ref.name}/", f"scheduled-action/{ref.name}/")):
                        self.state[name] = None

        self._effect(f"delete {ref.id}", change)

    def scheduled_actions(self, service: str) -> Sequence[str]:
        start = f"scheduled-action/{service}/"
        return sorted(
            n.removeprefix(start) for n, i in self.state.items() if n.startswith(start) and i is not None
        )

    def scaling_policies(self, service: str) -> Mapping[str, str]:
        start = f"scaling-policy/{service}/"
        found = {n.removeprefix(start): i for n, i in self.state.items() if n.startswith(start) and i is not None}
        return {metric: str(image["PolicyName"]) for metric, image in found.items()}

    def service_counts(self, service: str) -> ServiceCounts | None:
        self._alive()
        image = self.state.get(f"service/{service}")
        count = int((image or {}).get("desiredCount", 0))
        return None if image is None else ServiceCounts(count, count, 0)

    def deployments(self, service: str) -> Sequence[Deployment]:
        self._alive()
        return list(self.history.get(service, []))

    def stop_reasons(self, service: str) -> Sequence[str]:
        return ["Essential container in task exited (3 tasks)"]

    def last_log_lines(self, service: str) -> Sequence[str]:
        return ["cannot open database"]

    def instances(self, capacity_provider: str) -> Sequence[Instance]:
        self._alive()
        group = self.state.get(f"auto-scaling-group/{capacity_provider}") or {}
        count = int(group.get("DesiredCapacity", 0))
        known = self.fleet.setdefault(capacity_provider, [])
        while len(known) < count:
            known.append(Instance(f"{capacity_provider}-{self.launched}", f"i-{self.launched}", "ACTIVE", 0))
            self.templates[f"i-{self.launched}"] = group.get("LaunchTemplate")
            self.launched += 1
        del known[count:]
        return list(known)

    def members(self, group: str, capacity_provider: str) -> Sequence[Member]:
        template = (self.state.get(f"auto-scaling-group/{group}") or {}).get("LaunchTemplate")
        return [
            Member(i.ec2_instance_id, i.arn, i.status, i.running_tasks, launched_from != template)
            for i in self.instances(capacity_provider)
            for launched_from in (self.templates[i.ec2_instance_id],)
        ]

    def terminate(self, ec2_instance_id: str, shrink: bool) -> None:
        def change() -> None:
            for provider, known in self.fleet.items():
                if ec2_instance_id in {i.ec2_instance_id for i in known}:
                    self.fleet[provider] = [i for i in known if i.ec2_instance_id != ec2_instance_id]
                    image = dict(self.state[f"auto-scaling-group/{provider}"] or {})
                    assert not shrink or image["DesiredCapacity"] > image["MinSize"]
                    image["DesiredCapacity"] -= shrink
                    self.state[f"auto-scaling-group/{provider}"] = image

        self._effect(f"terminate {ec2_instance_id}", change)

    def set_instance_status(self, arns: Sequence[str], status: str) -> None:
        def change() -> None:
            for provider, known in self.fleet.items():
                self.fleet[provider] = [
                    Instance(i.arn, i.ec2_instance_id, status, 0) if i.arn in arns else i for i in known
                ]

        self._effect(f"{status} {len(arns)} instances", change)

    def set_desired_count(self, service: str, count: int) -> None:
        def change() -> None:
            self.state[f"service/{service}"] = {**(self.state[f"service/{service}"] or {}), "desiredCount": count}

        self._effect(f"desired count of {service}", change)

    def created_by(self, run: str, ref: ResourceRef) -> Sequence[str]:
        self._alive()
        family = f"task-definition/{ref.name}:"
        return [
            a
            for a, r in self.tags.items()
            if r == run and family in a and self.definitions[a]["status"] == "ACTIVE"
        ]


def fail_at(number: int) -> Callable[[int, str], None]:
    """Refuse one call, the one that would be the `number`th write."""
    struck: list[str] = []

    def check(count: int, what: str) -> None:
        if count == number and not struck:
            struck.append(what)
            raise CallFailed(what, "AccessDeniedException", "not allowed")

    return check


def lose_answer_at(number: int) -> Callable[[int, str], None]:
    def check(count: int, what: str) -> None:
        if count == number:
            raise AnswerLost(f"{what} was sent and gave no answer")

    return check
