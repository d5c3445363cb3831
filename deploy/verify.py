"""Named checks that the applied state is the approved one, after an apply and at any time later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from deploy.diff import diff
from deploy.limits import LIMITS, has_acted
from deploy.model import Change, Check, ResourceRef
from deploy.observe import Observation, observe
from deploy.ports import Clock, Cloud
from deploy.rollout import ROLLED_BACK
from planner.documents import ConfigDocument
from planner.documents.config import ResourceType

RUNS_WHAT_IT_WANTS = "runs what it wants"
SETTLES_WITHIN = timedelta(minutes=10)
"""As long as the waiter `aws ecs wait services-stable` waits (40 looks, 15 seconds apart)."""
POLL_S = 15.0


def verify(
    config: ConfigDocument,
    cloud: Cloud,
    clock: Clock,
    *,
    settles_within: timedelta = SETTLES_WITHIN,
    say: Callable[[str], None] = lambda _text: None,
) -> tuple[Check, ...]:
    """Every resource of the bundle against the live account, and every service's deployment.

    A service that has just been scaled has tasks that still start, and nothing is wrong with it: where the
    number of running tasks is all that differs, it is looked at again until they run or `settles_within` is over.
    """
    began = clock.now()
    while True:
        checks = _look(config, cloud)
        wrong = [check for check in checks if check.status == "NG"]
        settling = wrong and all(check.name.endswith(RUNS_WHAT_IT_WANTS) for check in wrong)
        if not settling or clock.now() - began >= settles_within:
            return checks
        say(f"{wrong[0].name.removesuffix(RUNS_WHAT_IT_WANTS)}settles: {wrong[0].reason}")
        clock.sleep(POLL_S)


def _look(config: ConfigDocument, cloud: Cloud) -> tuple[Check, ...]:
    with cloud.one_look():
        observation = observe(config, cloud)
        of_services = [
            check
            for resource in config.resources
            if resource.type is ResourceType.SERVICE
            for check in _service(resource.name, observation, cloud)
        ]
    changes = diff(observation.live, observation.wanted, config).changes
    checks = [_state(resource.id, changes, observation, config) for resource in config.resources]
    checks += of_services
    checks += _not_suspended(observation)
    checks += [
        Check.ng(f"{change.resource_id} is gone", "it is still there and would fight the plan")
        for change in changes
        if observation.wanted.get(change.resource_id, {}) is None
    ]
    return tuple(checks)


def _state(resource_id: str, changes: Sequence[Change], observation: Observation, config: ConfigDocument) -> Check:
    name = f"{resource_id} is as approved"
    problem = next((p for p in observation.problems if p.what == resource_id), None)
    if problem is not None:
        return Check.ng(name, problem.reason)
    different = [c.path or "the whole" for c in changes if c.resource_id == resource_id]
    if different and set(different) <= LIMITS and (action := _set_by_schedule(resource_id, observation, config)):
        return Check.ok(name, f"its limits are those of {action}, which has acted since")
    if different:
        return Check.ng(name, f"differs in {', '.join(different[:5])}")
    return Check.ok(name, "equal in every field of the bundle")


def _set_by_schedule(resource_id: str, observation: Observation, config: ConfigDocument) -> str | None:
    """The approved scheduled action that would leave the target's limits as they are now."""
    ref, live = ResourceRef.parse(resource_id), observation.live.get(resource_id) or {}
    if ref.type is not ResourceType.SCALABLE_TARGET:
        return None
    for resource in config.resources:
        of_target = resource.type is ResourceType.SCHEDULED_ACTION and resource.name.startswith(f"{ref.name}/")
        if of_target and has_acted(resource.request, live):
            return resource.id
    return None


def _service(service: str, observation: Observation, cloud: Cloud) -> list[Check]:
    return [
        _deployment(service, observation, cloud),
        _running(service, cloud),
        _in_range(service, observation, cloud),
    ]


def _deployment(service: str, observation: Observation, cloud: Cloud) -> Check:
    name = f"service/{service} deployment succeeded"
    known = cloud.deployments(service)
    if not known:
        return Check.skip(name, "ECS lists no deployment of it")
    newest = known[0]
    if newest.status in ROLLED_BACK:
        return Check.ng(name, f"the newest deployment is {newest.status}: {newest.reason}")
    if newest.status != "SUCCESSFUL":
        return Check.ng(name, f"the newest deployment is {newest.status}")
    live = observation.live.get(f"{ResourceType.SERVICE}/{service}") or {}
    if newest.task_definition != live.get("taskDefinition"):
        return Check.ng(name, f"it runs {newest.task_definition}, the service says {live.get('taskDefinition')}")
    digests = ", ".join(sorted(newest.digests.values())) or "no digest told"
    return Check.ok(name, f"{newest.task_definition}, {digests}")


def _running(service: str, cloud: Cloud) -> Check:
    name = f"service/{service} {RUNS_WHAT_IT_WANTS}"
    counts = cloud.service_counts(service)
    if counts is None:
        return Check.ng(name, "the service is not there")
    text = f"{counts.running} of {counts.desired} running, {counts.pending} pending"
    return Check.ok(name, text) if counts.running == counts.desired else Check.ng(name, text)


def _in_range(service: str, observation: Observation, cloud: Cloud) -> Check:
    name = f"service/{service} desired count is in its range"
    target = observation.live.get(f"{ResourceType.SCALABLE_TARGET}/{service}")
    counts = cloud.service_counts(service)
    if target is None or counts is None:
        return Check.skip(name, "no autoscaler")
    low, high = target["MinCapacity"], target["MaxCapacity"]
    text = f"{counts.desired} in {low} to {high}"
    return (
        Check.ok(name, text)
        if low <= counts.desired <= high
        else Check.ng(name, f"{counts.desired} is outside {low} to {high}")
    )


def _not_suspended(observation: Observation) -> list[Check]:
    checks = []
    for resource_id, image in observation.live.items():
        if ResourceRef.parse(resource_id).type is not ResourceType.SCALABLE_TARGET or image is None:
            continue
        on = sorted(name for name, value in image["SuspendedState"].items() if value)
        name = f"{resource_id} is not suspended"
        checks.append(Check.ng(name, f"{', '.join(on)} is set") if on else Check.ok(name, "all scaling is on"))
    return checks
