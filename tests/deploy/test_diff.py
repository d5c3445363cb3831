"""An empty diff means that there is nothing to do; every change is named for what it does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.diff import diff
from deploy.model import Effect, ResourceRef
from deploy.move import Move
from deploy.normalise import covers, exactly, merged, normalise, task_cpu_units, task_memory_mib
from deploy.observe import observe
from deploy.steps import plan_steps, scaled_count
from planner.documents.config import ResourceType
from tests.deploy import small

T = ResourceType


@pytest.mark.parametrize(
    ("text", "units"),
    [("256", 256), (256, 256), ("0.25 vCPU", 256), (".25vcpu", 256), ("4 VCPU", 4096), (" 512 ", 512)],
)
def test_cpu_is_read_however_it_is_written(text: str, units: int) -> None:
    assert task_cpu_units(text) == units


@pytest.mark.parametrize(
    ("text", "mib"), [("512", 512), (512, 512), ("0.5 GB", 512), ("0.5gb", 512), ("30 GB", 30720)]
)
def test_memory_is_read_however_it_is_written(text: str, mib: int) -> None:
    assert task_memory_mib(text) == mib


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (
            T.SERVICE,
            {"capacityProviderStrategy": [{"capacityProvider": "b", "weight": 1}, {"capacityProvider": "a"}]},
            {
                "capacityProviderStrategy": [
                    {"capacityProvider": "arn:aws:ecs:eu-west-2:1:capacity-provider/a", "weight": 0, "base": 0},
                    {"capacityProvider": "b", "weight": 1, "base": 0},
                ]
            },
        ),
        (
            T.SERVICE,
            {"placementStrategy": [{"type": "BinPack", "field": "MEMORY"}, {"type": "spread", "field": "host"}]},
            {
                "placementStrategy": [
                    {"type": "binpack", "field": "memory"},
                    {"type": "spread", "field": "instanceId"},
                ]
            },
        ),
        (
            T.SERVICE,
            {"deploymentConfiguration": {}},
            {
                "deploymentConfiguration": {
                    "minimumHealthyPercent": 100,
                    "maximumPercent": 200,
                    "deploymentCircuitBreaker": {"enable": False, "rollback": False},
                }
            },
        ),
        (T.TASK_DEFINITION, {"cpu": "0.25 vCPU", "memory": "1 GB"}, {"cpu": "256", "memory": "1024"}),
        (
            T.SCHEDULED_ACTION,
            {"Schedule": "cron(0  7 ? * MON-FRI *)"},
            {"Schedule": "cron(0 7 ? * MON-FRI *)", "Timezone": "UTC"},
        ),
        (
            T.AUTO_SCALING_GROUP,
            {"VPCZoneIdentifier": "subnet-b, subnet-a"},
            {"VPCZoneIdentifier": "subnet-a,subnet-b"},
        ),
        (
            T.SCALABLE_TARGET,
            {"MinCapacity": 1},
            {"MinCapacity": 1, "SuspendedState": {"DynamicScalingInSuspended": False}},
        ),
    ],
)
def test_two_spellings_of_one_meaning_are_equal(
    kind: ResourceType, one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert normalise(kind, one) == normalise(kind, other)


def test_placement_order_has_a_meaning_and_is_kept() -> None:
    rules = [{"type": "spread", "field": "instanceId"}, {"type": "binpack", "field": "cpu"}]

    one, other = (normalise(T.SERVICE, {"placementStrategy": r}) for r in (rules, rules[::-1]))
    assert one != other


def test_the_effect_of_each_change_is_named() -> None:
    fake, config = small.cloud(), small.bundle()
    seen = observe(config, fake)
    effects = {(c.resource_id, c.path): c.effect for c in diff(seen.live, seen.wanted, config).changes}

    assert effects["auto-scaling-group/new", ""] is Effect.CREATES
    assert effects["task-definition/web", "cpu"] is Effect.RESTARTS_TASKS
    assert effects["service/web", "capacityProviderStrategy"] is Effect.RESTARTS_TASKS
    assert effects["service/web", "placementStrategy"] is Effect.NO_RESTART
    assert effects["service/web", "deploymentConfiguration.minimumHealthyPercent"] is Effect.NO_RESTART
    assert effects["scalable-target/web", "MaxCapacity"] is Effect.ONLY_MONEY
    assert effects["scheduled-action/web/night", ""] is Effect.REMOVES
    assert effects["auto-scaling-group/old", "MaxSize"] is Effect.ONLY_MONEY


def test_replacing_subnets_of_a_group_replaces_instances() -> None:
    live = {"auto-scaling-group/g": {"MinSize": 1, "MaxSize": 2, "VPCZoneIdentifier": "subnet-a"}}
    wanted = {"auto-scaling-group/g": {"VPCZoneIdentifier": "subnet-b"}}

    assert [c.effect for c in diff(live, wanted).changes] == [Effect.REPLACES]


# Properties

SIZES = st.fixed_dictionaries(
    {"MinSize": st.integers(0, 5), "MaxSize": st.integers(5, 20), "DesiredCapacity": st.just(5)}
)
TARGETS = st.fixed_dictionaries({"MinCapacity": st.integers(0, 9), "MaxCapacity": st.integers(9, 30)})
SERVICES = st.fixed_dictionaries(
    {
        "taskDefinition": st.sampled_from(["web:1", "web:2"]),
        "placementStrategy": st.sampled_from([[], [{"type": "random"}]]),
        "capacityProviderStrategy": st.sampled_from([[], [{"capacityProvider": "a", "weight": 1}]]),
        "deploymentConfiguration": st.fixed_dictionaries({"maximumPercent": st.integers(100, 200)}),
    }
)
STATES = st.fixed_dictionaries(
    {
        "auto-scaling-group/g": st.none() | SIZES,
        "service/web": SERVICES,
        "scalable-target/web": st.none() | TARGETS,
        "scheduled-action/web/office": st.none()
        | st.fixed_dictionaries({"Schedule": st.sampled_from(["cron(1)", "cron(2)"])}),
    }
).map(lambda s: {k: None if v is None else normalise(ResourceRef.parse(k).type, v) for k, v in s.items()})


@settings(max_examples=60, deadline=None)
@given(state=STATES)
def test_a_state_does_not_differ_from_itself(state: dict[str, Any]) -> None:
    assert diff(state, state).is_empty
    assert plan_steps(Move(state, state, {})) == ()


@settings(max_examples=60, deadline=None)
@given(one=STATES, other=STATES)
def test_every_difference_is_a_change_and_a_change_is_a_difference(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    volatile = {
        k: None if v is None else {f: x for f, x in v.items() if f != "DesiredCapacity"} for k, v in other.items()
    }
    reached = {k: None if v is None else merged(one[k], exactly(v, one[k])) for k, v in volatile.items()}

    assert diff(one, one).is_empty
    assert diff(reached, volatile).is_empty
    assert diff(one, volatile).is_empty == all(
        covers(one[k], v) if v is not None else one[k] is None for k, v in volatile.items()
    )


@settings(max_examples=80, deadline=None)
@given(one=STATES, other=STATES)
def test_merging_exactly_gives_just_the_wanted(one: dict[str, Any], other: dict[str, Any]) -> None:
    for name, wanted in other.items():
        if wanted is not None:
            assert merged(one[name], exactly(wanted, one[name])) == wanted


@settings(max_examples=100, deadline=None)
@given(
    desired=st.integers(0, 400),
    before=st.integers(128, 4096),
    after=st.integers(128, 4096),
    low=st.integers(0, 20),
    room=st.integers(0, 500),
)
def test_the_count_of_smaller_tasks_stays_in_range_and_offers_the_cpu_where_the_range_allows(
    desired: int, before: int, after: int, low: int, room: int
) -> None:
    rule = {"from_cpu_units": before, "to_cpu_units": after, "at_least": low, "at_most": low + room}
    count = scaled_count(rule, desired)

    assert low <= count <= low + room
    if desired and count < low + room:
        assert count * after >= desired * before


@settings(max_examples=60, deadline=None)
@given(one=STATES, other=STATES)
def test_no_step_lowers_capacity_before_the_last_service_has_rolled_out(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    steps = plan_steps(Move(one, other, {}))
    rollouts = [
        n
        for n, step in enumerate(steps)
        if step.resource_id == "service/web" and step.action == "await deployment"
    ]
    live = one["auto-scaling-group/g"]
    for number, step in enumerate(steps):
        if live is not None and step.resource_id == "auto-scaling-group/g" and rollouts and number < rollouts[-1]:
            assert step.after is not None
            assert step.after.get("MinSize", live["MinSize"]) >= live["MinSize"]
            assert step.after.get("MaxSize", live["MaxSize"]) >= live["MaxSize"]
