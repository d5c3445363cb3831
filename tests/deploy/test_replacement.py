"""Instances of a group are replaced in waves: new ones join before old ones drain, and what is busy never goes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.apply import apply
from deploy.approve import approve
from deploy.diff import diff
from deploy.emit import NotSupported, config_from_plan
from deploy.model import CheckStatus, Effect, Outcome
from deploy.observe import observe
from deploy.ports import Member
from deploy.refresh import refresh
from deploy.replacement import Drain, Empty, Join, Resize, Terminate, next_move, waves_of
from deploy.rollback import rollback
from deploy.sandbox import Sandbox
from deploy.verbs import check_bundle
from deploy.verify import verify
from planner.documents import ConfigDocument
from tests.deploy import estate, small
from tests.deploy.fakes import FakeCloud, Killed, lose_answer_at


@pytest.fixture(scope="module")
def maria(tmp_path_factory: pytest.TempPathFactory) -> estate.Person:
    return estate.person(tmp_path_factory.mktemp("keys"))


@pytest.fixture(autouse=True)
def _no_disk_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _handle: None)


# The decision


def member(number: int, outdated: bool, status: str = "ACTIVE", tasks: int = 0) -> Member:
    return Member(f"i-{number}", f"arn-{number}", status, tasks, outdated)


OLD = [member(n, True) for n in range(4)]
WAVES = waves_of([m.ec2_instance_id for m in OLD])


def test_new_instances_are_launched_before_a_wave_drains() -> None:
    # 4 old and ceil(6 x 1/4) = 2 new
    assert next_move(OLD, (4, 4), WAVES, 6) == Resize(6, 6)
    booting = [*OLD, Member("i-8", None, "", 0, False), member(9, False)]
    assert next_move(booting, (6, 6), WAVES, 6) == Join(1, 2)
    assert next_move([*OLD, member(8, False), member(9, False)], (6, 6), WAVES, 6) == Drain(("arn-0",))


def test_an_instance_goes_only_when_it_is_empty_and_the_group_may_shrink() -> None:
    fresh = [member(8, False), member(9, False)]
    busy = [member(0, True, "DRAINING", 2), *OLD[1:], *fresh]
    empty = [member(0, True, "DRAINING"), *OLD[1:], *fresh]

    assert next_move(busy, (6, 6), WAVES, 6) == Empty(("i-0",))
    assert next_move(empty, (6, 6), WAVES, 6) == Resize(5, 6)  # 3 old and 2 new stay
    assert next_move(empty, (5, 6), WAVES, 6) == Terminate("i-0", shrink=True)


def test_a_group_that_was_shrunk_meanwhile_replaces_what_goes() -> None:
    fresh = [member(8, False), member(9, False)]
    empty = [member(0, True, "DRAINING"), *OLD[1:], *fresh]

    assert next_move(empty, (5, 5), WAVES, 6) == Terminate("i-0", shrink=False)


def test_nothing_is_left_to_do_once_no_instance_is_outdated() -> None:
    assert next_move([member(8, False)], (1, 1), WAVES, 1) is None


@settings(max_examples=80, deadline=None)
@given(
    old=st.integers(1, 12),
    planned=st.integers(1, 15),
    tasks=st.integers(0, 3),
    killed_every=st.integers(1, 9),
)
def test_following_the_moves_replaces_every_instance_and_never_lowers_capacity_first(
    old: int, planned: int, tasks: int, killed_every: int
) -> None:
    """A group that obeys: whatever the sizes, each wave leaves only after its share of new instances is there."""
    members = [member(n, True, tasks=tasks) for n in range(old)]
    leaving = [m.ec2_instance_id for m in members]
    least = desired = old
    born = old
    for count in range(400):
        waves = waves_of(leaving)
        move = next_move(members, (least, desired), waves, planned)
        if move is None:
            break
        if count % killed_every == 0:  # a killed run looks again and decides the same
            assert next_move(list(members), (least, desired), waves, planned) == move
        match move:
            case Resize(min_size, size):
                assert size >= desired
                least, desired = min_size, size
                while len(members) < desired:
                    members.append(Member(f"i-{born}", None, "", 0, False))
                    born += 1
            case Join():
                members = [
                    replace(m, arn=m.ec2_instance_id, status="ACTIVE") if not m.status else m for m in members
                ]
            case Drain(arns):
                members = [replace(m, status="DRAINING") if m.arn in arns else m for m in members]
            case Empty(ids):
                members = [replace(m, running_tasks=0) if m.ec2_instance_id in ids else m for m in members]
            case Terminate(gone, shrink):
                (victim,) = [m for m in members if m.ec2_instance_id == gone]
                assert victim.outdated
                assert not victim.running_tasks
                members.remove(victim)
                assert shrink
                assert desired - 1 >= least
                desired -= 1
        ready = sum(1 for m in members if m.status == "ACTIVE")
        gone_share = (old - sum(m.outdated for m in members)) / old
        assert ready >= min(old, planned * gone_share) - sum(m.status == "DRAINING" for m in members) - 1e-9
    assert not [m for m in members if m.outdated]
    assert len(members) == desired == planned


# Every interruption, in memory


def replacing() -> tuple[ConfigDocument, FakeCloud]:
    """A bundle that only replaces the instances of a group of four, and a cloud that has it."""
    fake = small.cloud()
    fake.state["auto-scaling-group/old"] = {
        **(fake.state["auto-scaling-group/old"] or {}),
        "LaunchTemplate": {"LaunchTemplateName": "old", "Version": "$Latest"},
    }
    config = config_from_plan(estate.in_place())
    group = next(r for r in config.resources if r.id == "auto-scaling-group/old")
    provider = next(r for r in config.resources if r.id == "capacity-provider/old")
    group = group.model_copy(update={"depends_on": ()})
    provider = provider.model_copy(update={"request": {"name": "old"}})
    return config.model_copy(update={"resources": (group, provider)}), fake


WRITES = 1 + 4 * 4 + 1
"""The template; for each of 4 waves a resize up, a drain, a resize down and a termination; the plan's sizes."""


def types_of(fake: FakeCloud) -> set[str]:
    return {fake.templates[i.ec2_instance_id]["LaunchTemplateName"] for i in fake.instances("old")}


def test_a_replacement_makes_the_writes_that_are_interrupted_below(maria: estate.Person, tmp_path: Path) -> None:
    config, fake = replacing()
    approval, approvers = small.approved(config, fake, maria)

    assert apply(config, approval, approvers, small.world(fake), tmp_path).succeeded
    assert len(fake.writes) == WRITES
    assert types_of(fake) == {"old-m5.large"}
    assert len(fake.instances("old")) == 6


@pytest.mark.parametrize("moment", ["before_write", "after_write"])
@pytest.mark.parametrize("number", range(WRITES))
def test_a_killed_replacement_goes_on_or_is_taken_back(
    maria: estate.Person, tmp_path: Path, number: int, moment: str
) -> None:
    for ending in ("resume", "rollback"):
        config, fake = replacing()
        before = small.visible(fake)
        approval, approvers = small.approved(config, fake, maria)
        folder = tmp_path / ending
        setattr(fake, moment, lambda count, _what, fake=fake: fake.die() if count == number else None)
        with pytest.raises(Killed):
            apply(config, approval, approvers, small.world(fake), folder)
        fake.dead = False
        fake.before_write = fake.after_write = lambda _number, _what: None
        if ending == "resume":
            assert apply(config, approval, approvers, small.world(fake), folder).succeeded
            assert types_of(fake) == {"old-m5.large"}
            assert len(fake.instances("old")) == 6
        else:
            (journal,) = folder.glob("*.jsonl")
            back = rollback(journal, small.world(fake))
            assert back.succeeded, (back.failure, back.notes)
            assert small.visible(fake) == before
            assert types_of(fake) == {"old"}
            assert {i.status for i in fake.instances("old")} == {"ACTIVE"}


@pytest.mark.parametrize("number", range(WRITES))
def test_a_replacement_survives_a_lost_answer(maria: estate.Person, tmp_path: Path, number: int) -> None:
    config, fake = replacing()
    approval, approvers = small.approved(config, fake, maria)
    fake.after_write = lose_answer_at(number)

    assert apply(config, approval, approvers, small.world(fake), tmp_path).succeeded
    assert types_of(fake) == {"old-m5.large"}


# On the sandbox


def run(config: ConfigDocument, sandbox: Sandbox, folder: Path) -> Outcome:
    world, maria = estate.world_of(sandbox, folder), estate.person(folder)
    observation = observe(config, world.cloud)
    approval = approve(
        config,
        observation,
        (),
        diff(observation.live, observation.wanted, config),
        approver=maria.name,
        reason="smaller instances",
        now=world.clock.now(),
        expires_in=estate.EIGHT_HOURS,
        cost_ceiling_usd_per_month=1000,
        signer=maria.signer,
    )
    return apply(config, approval, [maria.approver], world, folder / "journal")


def group(sandbox: Sandbox) -> dict[str, Any]:
    told = sandbox.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=["old"])
    found = dict(told["AutoScalingGroups"][0])
    types = sorted(i["InstanceType"] for i in found["Instances"] if i["LifecycleState"] == "InService")
    template = found["LaunchTemplate"]
    return {
        "sizes": (found["MinSize"], found["MaxSize"], found["DesiredCapacity"]),
        "template": (template["LaunchTemplateName"], template["Version"]),
        "types": types,
    }


def running(sandbox: Sandbox) -> int:
    return int(
        sandbox.client("ecs").describe_services(cluster=estate.CLUSTER, services=["web"])["services"][0][
            "runningCount"
        ]
    )


def test_a_group_changes_its_instance_type_in_waves_and_goes_back(sandbox: Sandbox, tmp_path: Path) -> None:
    before = group(sandbox)
    config = config_from_plan(estate.in_place())
    world = estate.world_of(sandbox, tmp_path)
    observation = observe(config, world.cloud)
    assert observation.problems == ()
    effects = {(c.resource_id, c.path): c.effect for c in diff(observation.live, observation.wanted).changes}
    assert effects["auto-scaling-group/old", "LaunchTemplate.LaunchTemplateName"] is Effect.REPLACES

    outcome = run(config, sandbox, tmp_path)
    assert outcome.succeeded, outcome.failure
    after = group(sandbox)
    assert after["types"] == ["m5.large"] * after["sizes"][2]
    assert after["sizes"][:2] == (3, 30)
    assert after["template"] == ("old-m5.large", "$Latest")
    assert running(sandbox) == 4
    again = observe(config, world.cloud)
    assert diff(again.live, again.wanted, config).is_empty
    assert [c for c in verify(config, world.cloud, world.clock) if c.status is CheckStatus.NG] == []

    back = rollback(Path(outcome.journal), estate.world_of(sandbox, tmp_path))
    assert back.succeeded, back.failure
    assert group(sandbox) == before
    assert running(sandbox) == 4
    templates = sandbox.client("ec2").describe_launch_templates()["LaunchTemplates"]
    assert [t["LaunchTemplateName"] for t in templates] == ["old"]


def test_a_new_machine_image_is_rolled_out_by_a_bundle_of_its_own(sandbox: Sandbox, tmp_path: Path) -> None:
    cloud = estate.cloud_of(sandbox)
    config = refresh(cloud, "old", "Ops", sandbox.now, "ami-0123456789abcdef0")
    checks = {c.name: c for c in check_bundle(config, cloud)}
    assert checks["capacity-provider/old may be drained"].status is CheckStatus.OK

    outcome = run(config, sandbox, tmp_path)
    assert outcome.succeeded, outcome.failure
    sandbox.advance(60)  # the last instance leaves the group once its tasks have stopped
    images = {
        i["ImageId"]
        for r in sandbox.client("ec2").describe_instances()["Reservations"]
        for i in r["Instances"]
        if i["State"]["Name"] == "running"
    }
    assert images == {"ami-0123456789abcdef0"}
    with pytest.raises(NotSupported, match="launched from ami-0123456789abcdef0 already"):
        refresh(cloud, "old", "Ops", sandbox.now, "ami-0123456789abcdef0")
    again = observe(config, cloud)
    assert diff(again.live, again.wanted, config).is_empty
