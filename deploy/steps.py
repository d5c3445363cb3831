"""The order of work: from one state to another without ever lowering capacity first. Pure.

Capacity is raised, then task definitions are registered, then services roll out one by one, then scaling gets
its final form, and only then is anything made smaller or taken away. While a service rolls out its scale-in is
frozen and its range is the union of the old and the new one. The same order takes an apply back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from deploy.model import Action, Image, ResourceRef, Step
from deploy.move import Move, replaces_instances
from deploy.normalise import OUTDATED, covers, merged, stable
from planner.documents.config import ResourceType

FREEZE: Mapping[str, bool] = {"DynamicScalingInSuspended": True}


def plan_steps(move: Move) -> tuple[Step, ...]:
    """Every step, in order; empty when the states are equal."""
    ordered = [
        *_raise_capacity(move),
        *_freeze(move),
        *_register(move),
        *_target_groups(move),
        # A service that leaves a target group does so after requests have; one that joins it does before.
        *(_rules(move) if _detaches(move) else _associate(move)),
        *_policies(move, before_rollout=True),
        *_roll_out(move),
        *(() if _detaches(move) else _rules(move)),
        *_scaling(move),
        *_lower_capacity(move),
        *_remove(move),
    ]
    return tuple(
        replace(step, id=f"{number:03d}-{step.resource_id}") for number, step in enumerate(ordered, start=1)
    )


def _write(move: Move, ref: ResourceRef, after: Image, why: str, first: bool = True) -> Step:
    expected = stable(ref.type, move.live.get(ref.id)) if first else None
    return Step("", Action.WRITE, ref.id, after, why, expected)


# Up


def _raise_capacity(move: Move) -> Iterator[Step]:
    for ref in move.changed(ResourceType.LAUNCH_TEMPLATE):
        if move.wanted[ref.id] is not None:
            yield _write(move, ref, _image(move, ref), "launch template of new instances")
    for ref in move.changed(ResourceType.AUTO_SCALING_GROUP):
        raised = _raised_sizes(move.live.get(ref.id), move.wanted[ref.id])
        if raised is not None:
            yield _write(move, ref, raised, "capacity goes up before anything else")
    for ref in move.changed(ResourceType.CAPACITY_PROVIDER):
        if move.wanted[ref.id] is not None and not _lowers_spare(move, ref):
            yield _write(move, ref, _image(move, ref), "capacity provider and its managed scaling")
    for ref in move.changed(ResourceType.CLUSTER_CAPACITY_PROVIDERS):
        grown = _grown_cluster(move, ref)
        if not covers(move.live[ref.id], grown):
            yield _write(move, ref, grown, "the cluster may use the new providers; the present ones are kept")
    for ref in move.changed(ResourceType.AUTO_SCALING_GROUP):
        raised = _raised_sizes(move.live.get(ref.id), move.wanted[ref.id])
        provider = move.providers.get(ref.name)
        if raised is not None and provider is not None and raised.get("DesiredCapacity", 0) > 0:
            wait = {"provider": provider, "instances": int(raised["DesiredCapacity"])}
            yield Step("", Action.AWAIT_CAPACITY, ref.id, wait, "services move only onto instances that are there")


def _image(move: Move, ref: ResourceRef) -> Image:
    image = move.wanted[ref.id]
    assert image is not None
    return image


def _raised_sizes(live: Image | None, wanted: Image | None) -> dict[str, Any] | None:
    """The larger of old and new sizes; None where nothing goes up or differs beside the sizes."""
    if wanted is None:
        return None
    if live is None:
        return dict(wanted)
    after = {name: value for name, value in wanted.items() if name not in {*SIZES, OUTDATED}}
    after["MinSize"] = max(live["MinSize"], wanted["MinSize"])
    after["MaxSize"] = max(live["MaxSize"], wanted["MaxSize"])
    floor = max(live["DesiredCapacity"], wanted.get("DesiredCapacity", 0))
    if wanted["MaxSize"] > 0 and floor > live["DesiredCapacity"]:
        after["DesiredCapacity"] = min(floor, after["MaxSize"])
    return None if covers(live, after) else after


SIZES = frozenset({"MinSize", "MaxSize", "DesiredCapacity"})


def _lowers_spare(move: Move, ref: ResourceRef) -> bool:
    """A higher target capacity keeps fewer spare instances."""
    live = move.live.get(ref.id)
    return live is not None and _target_capacity(_image(move, ref)) > _target_capacity(live)


def _target_capacity(image: Image) -> int:
    scaling = image.get("autoScalingGroupProvider", {}).get("managedScaling", {})
    return int(scaling.get("targetCapacity") or 100)


def _grown_cluster(move: Move, ref: ResourceRef) -> dict[str, Any]:
    live, wanted = move.live[ref.id], move.wanted[ref.id]
    assert live is not None
    assert wanted is not None
    return {
        **wanted,
        "capacityProviders": sorted({*live["capacityProviders"], *wanted["capacityProviders"]}),
    }


# Freeze, register, roll out


def _freeze(move: Move) -> Iterator[Step]:
    for resource_id, wanted in move.wanted.items():
        ref = ResourceRef.parse(resource_id)
        if ref.type is not ResourceType.SCALABLE_TARGET:
            continue
        live = move.live.get(resource_id)
        rolls = move.restarts(ref.service)
        widened = _widened(live, wanted, rolls)
        if widened is not None and not covers(live, widened) and (rolls or move.differs(ref)):
            yield _write(move, ref, widened, "range of old and new; scale-in waits, scale-out stays")
            yield Step(
                "",
                Action.SET_DESIRED_COUNT,
                f"{ResourceType.SERVICE}/{ref.service}",
                {"at_least": widened["MinCapacity"], "at_most": widened["MaxCapacity"]},
                "the desired count stays inside its range",
            )


def _widened(live: Image | None, wanted: Image | None, rolls: bool) -> dict[str, Any] | None:
    known = [image for image in (live, merged(live, wanted) if wanted is not None else None) if image]
    if not known:
        return None
    widened: dict[str, Any] = {
        "MinCapacity": max(image["MinCapacity"] for image in known),
        "MaxCapacity": max(image["MaxCapacity"] for image in known),
    }
    if rolls:
        widened["SuspendedState"] = dict(FREEZE)
    return merged(known[-1], widened) if live is None else widened


def _register(move: Move) -> Iterator[Step]:
    for ref in move.changed(ResourceType.TASK_DEFINITION):
        if move.wanted[ref.id] is not None:
            yield _write(move, ref, _image(move, ref), "a new revision from the base; the base is not touched")


def _roll_out(move: Move) -> Iterator[Step]:
    for ref in move.changed(ResourceType.SERVICE):
        restarts = move.restarts(ref.name)
        after = dict(_image(move, ref))
        if restarts:
            after |= _desired_count_rule(move, ref)
        yield _write(move, ref, after, "rolls out" if restarts else "settings without a restart")
        if restarts:
            planned = {"taskDefinition": merged(move.live[ref.id], after)["taskDefinition"]}
            yield Step("", Action.AWAIT_DEPLOYMENT, ref.id, planned, "this deployment, on the planned revision")


def _desired_count_rule(move: Move, ref: ResourceRef) -> dict[str, Any]:
    """Smaller tasks need more of them: the count grows with the rollout so that the CPU offered never falls."""
    definition = f"{ResourceType.TASK_DEFINITION}/{ref.name}"
    old, new = move.live.get(definition), move.wanted.get(definition)
    before, after = _cpu(old), _cpu(new)
    target = move.wanted.get(f"{ResourceType.SCALABLE_TARGET}/{ref.name}")
    if before is None or after is None or after >= before or target is None:
        return {}
    live_target = move.live.get(f"{ResourceType.SCALABLE_TARGET}/{ref.name}")
    widened = _widened(live_target, target, rolls=True)
    assert widened is not None
    return {
        "$scale_count": {
            "from_cpu_units": before,
            "to_cpu_units": after,
            "at_least": widened["MinCapacity"],
            "at_most": widened["MaxCapacity"],
        }
    }


def _cpu(definition: Image | None) -> int | None:
    if definition is None:
        return None
    total = definition.get("cpu") or sum(c.get("cpu") or 0 for c in definition.get("containers", {}).values())
    return int(total) or None


def scaled_count(rule: Mapping[str, int], desired: int) -> int:
    """Tasks of the new size that offer at least the CPU of `desired` tasks of the old one, inside the range.

    4 tasks of 1,024 units become 8 of 512; a count of 0 stays 0.
    """
    if desired == 0:
        return max(0, rule["at_least"])
    needed = math.ceil(desired * rule["from_cpu_units"] / rule["to_cpu_units"])
    return min(max(needed, rule["at_least"], desired), rule["at_most"])


# Requests


def _target_groups(move: Move) -> Iterator[Step]:
    for ref in move.changed(ResourceType.TARGET_GROUP):
        if move.wanted[ref.id] is None:
            continue
        after = _image(move, ref)
        if move.live.get(ref.id) is None and "Attributes" in after:
            yield _write(move, ref, {k: v for k, v in after.items() if k != "Attributes"}, "a new target group")
            yield _write(move, ref, {"Attributes": after["Attributes"]}, "its attributes", first=False)
        else:
            yield _write(move, ref, after, "health check and attributes; targets stay registered")


def _detaches(move: Move) -> bool:
    """Whether a service leaves a target group that it is attached to."""
    return any(
        [item for item in (move.live.get(ref.id) or {}).get("loadBalancers") or [] if item not in wanted]
        for ref in move.changed(ResourceType.SERVICE)
        if (wanted := (move.wanted[ref.id] or {}).get("loadBalancers")) is not None
    )


def _forwards(image: Image | None) -> list[dict[str, Any]]:
    """The target groups of a rule with their weights."""
    actions = (image or {}).get("Actions") or []
    return [dict(group) for action in actions for group in action.get("ForwardConfig", {}).get("TargetGroups", [])]


def _associate(move: Move) -> Iterator[Step]:
    """Let a rule name its new target groups with weight 0: ECS attaches no service to one without a balancer."""
    for ref in move.changed(ResourceType.LISTENER_RULE):
        live, wanted = move.live.get(ref.id), move.wanted[ref.id]
        if live is None or wanted is None:
            continue
        present = _forwards(live)
        known = [group["TargetGroupArn"] for group in present]
        new = [group["TargetGroupArn"] for group in _forwards(wanted) if group["TargetGroupArn"] not in known]
        if present and new:
            groups = [*present, *({"TargetGroupArn": arn, "Weight": 0} for arn in new)]
            after = {"Actions": [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]}
            yield _write(move, ref, after, "names the new target group; no request goes there yet")


def _rules(move: Move) -> Iterator[Step]:
    for ref in move.changed(ResourceType.LISTENER_RULE):
        if move.wanted[ref.id] is None:
            continue
        after = _image(move, ref)
        groups = [group["TargetGroupArn"] for group in _forwards(after) if group["Weight"]]
        yield Step("", Action.AWAIT_TARGETS, ref.id, {"groups": groups}, "no request goes where nothing answers")
        yield _write(move, ref, after, "requests as planned")
    for ref in move.changed(ResourceType.LISTENER_RULE):
        if move.wanted[ref.id] is None:
            yield Step("", Action.DELETE, ref.id, None, "not part of the plan's routing", _expected(move, ref))


# Scaling


def _policies(move: Move, before_rollout: bool) -> Iterator[Step]:
    """A policy on 20-second metrics is put once the rollout has made its tasks send them, and goes before one that
    makes them stop: in between it would see nothing. What takes its place is there before it goes."""
    for ref in sorted(move.changed(ResourceType.SCALING_POLICY), key=lambda ref: move.wanted[ref.id] is None):
        if move.slows_metrics(ref.service) is before_rollout:
            yield _written_or_deleted(move, ref)


def _written_or_deleted(move: Move, ref: ResourceRef) -> Step:
    if move.wanted[ref.id] is None:
        return Step("", Action.DELETE, ref.id, None, "not part of the plan's scaling", _expected(move, ref))
    return _write(move, ref, _image(move, ref), "scaling as planned")


def _scaling(move: Move) -> Iterator[Step]:
    yield from _policies(move, before_rollout=False)
    for ref in move.changed(ResourceType.SCHEDULED_ACTION):
        yield _written_or_deleted(move, ref)
    for resource_id, wanted in move.wanted.items():
        ref = ResourceRef.parse(resource_id)
        if ref.type is not ResourceType.SCALABLE_TARGET:
            continue
        if wanted is None:
            if move.live.get(ref.id) is not None:
                yield Step("", Action.DELETE, ref.id, None, "the service had no autoscaler", None)
        elif move.restarts(ref.service) or move.differs(ref):
            yield from _final_target(move, ref, wanted)


def _expected(move: Move, ref: ResourceRef) -> Image | None:
    return stable(ref.type, move.live.get(ref.id))


def _final_target(move: Move, ref: ResourceRef, wanted: Image) -> Iterator[Step]:
    final = merged(move.live.get(ref.id), wanted)
    if "SuspendedState" not in final:
        final["SuspendedState"] = dict.fromkeys(FREEZE, False)
    yield _write(move, ref, final, "final range; scale-in is on again", first=False)
    yield Step(
        "",
        Action.SET_DESIRED_COUNT,
        f"{ResourceType.SERVICE}/{ref.service}",
        {"at_least": final["MinCapacity"], "at_most": final["MaxCapacity"]},
        "the desired count stays inside its range",
    )


# Down


def _lower_capacity(move: Move) -> Iterator[Step]:
    for ref in move.changed(ResourceType.CAPACITY_PROVIDER):
        if move.wanted[ref.id] is not None and _lowers_spare(move, ref):
            yield _write(move, ref, _image(move, ref), "less spare capacity, now that services are moved")
    for ref in move.changed(ResourceType.AUTO_SCALING_GROUP):
        live, wanted = move.live.get(ref.id), move.wanted[ref.id]
        if live is None or wanted is None:
            continue
        if wanted["MaxSize"] == 0:
            provider = move.providers.get(ref.name)
            if provider is not None:
                yield _drain(provider)
            yield _write(move, ref, wanted, "emptied last")
            continue
        replaced = replaces_instances(live, wanted)
        if replaced:
            yield _replace(move, ref, wanted)
        if replaced or wanted["MinSize"] < live["MinSize"] or wanted["MaxSize"] < live["MaxSize"]:
            final = {n: v for n, v in wanted.items() if n not in {"DesiredCapacity", OUTDATED}}
            yield _write(move, ref, final, "sizes of the plan", first=False)


def _replace(move: Move, ref: ResourceRef, wanted: Image) -> Step:
    after = {"provider": move.providers.get(ref.name, ""), "instances": int(wanted["DesiredCapacity"])}
    return Step("", Action.REPLACE, ref.id, after, "new instances join before old ones drain and go, in waves")


def _drain(provider: str) -> Step:
    ref = ResourceRef(ResourceType.CAPACITY_PROVIDER, provider)
    return Step("", Action.DRAIN, ref.id, {"provider": provider}, "tasks leave in waves before instances go")


def _remove(move: Move) -> Iterator[Step]:
    for ref in move.changed(ResourceType.CLUSTER_CAPACITY_PROVIDERS):
        wanted = _image(move, ref)
        if set(move.live[ref.id]["capacityProviders"]) - set(wanted["capacityProviders"]):  # type: ignore[index]
            yield _write(move, ref, wanted, "the cluster forgets the removed providers", first=False)
    gone = {
        kind: [ref for ref in move.changed(kind) if move.wanted[ref.id] is None]
        for kind in (
            ResourceType.CAPACITY_PROVIDER,
            ResourceType.AUTO_SCALING_GROUP,
            ResourceType.LAUNCH_TEMPLATE,
            ResourceType.TARGET_GROUP,
        )
    }
    for ref in gone[ResourceType.AUTO_SCALING_GROUP]:
        provider = move.providers.get(ref.name)
        if provider is not None:
            yield _drain(provider)
    for refs in gone.values():
        for ref in refs:
            yield Step("", Action.DELETE, ref.id, None, "made by the apply that is taken back", None)
