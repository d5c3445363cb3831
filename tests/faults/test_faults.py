"""Faults beyond one call: credentials that end, processes that are killed, two runs at once, other hands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.apply import ApplyRefused, World, apply
from deploy.diff import diff
from deploy.lock import LocalLock
from deploy.model import CheckStatus, FailureKind
from deploy.observe import observe
from deploy.ports import CallFailed, LockHeld
from deploy.rollback import rollback
from deploy.sandbox import Sandbox
from deploy.verify import verify
from planner.documents import dump_plan
from tests.deploy import estate, small
from tests.deploy.estate import Person, person
from tests.deploy.fakes import FakeCloud, Killed
from tests.deploy.test_apply import WRITES
from tests.deploy.test_on_sandbox import read_through_boto3


@pytest.fixture(scope="module")
def maria(tmp_path_factory: pytest.TempPathFactory) -> Person:
    return person(tmp_path_factory.mktemp("keys"))


def expired_from(number: int) -> Callable[[int, str], None]:
    def check(count: int, what: str) -> None:
        if count >= number:
            raise CallFailed(
                what, "ExpiredTokenException", "The security token included in the request is expired"
            )

    return check


@pytest.mark.parametrize("number", range(WRITES))
def test_credentials_that_expire_half_way(maria: Person, tmp_path: Path, number: int) -> None:
    """The end is told as it is, suspended scaling included; with new credentials everything goes back."""
    fake, config = small.cloud(), small.bundle()
    before = small.visible(fake)
    approval, approvers = small.approved(config, fake, maria)
    fake.before_write = expired_from(number)
    outcome = apply(config, approval, approvers, small.world(fake), tmp_path)

    assert not outcome.succeeded
    assert outcome.failure is not None
    assert "ExpiredToken" in outcome.failure.reason
    frozen = (fake.state["scalable-target/web"] or {})["SuspendedState"]["DynamicScalingInSuspended"]
    assert any("still suspended" in note for note in outcome.notes) == frozen
    fake.before_write = lambda _number, _what: None
    assert rollback(Path(outcome.journal), small.world(fake)).succeeded
    assert small.visible(fake) == before


def test_two_applies_at_once_are_one(maria: Person, tmp_path: Path) -> None:
    fake, config = small.cloud(), small.bundle()
    approval, approvers = small.approved(config, fake, maria)
    lock = tmp_path / "lock"
    refused: list[str] = []

    def start_another(number: int, _what: str) -> None:
        if number == 0:
            second = World(fake, fake.clock, LocalLock(lock))
            with pytest.raises(LockHeld) as held:
                apply(config, approval, approvers, second, tmp_path / "second")
            refused.append(str(held.value))

    fake.before_write = start_another
    outcome = apply(config, approval, approvers, World(fake, fake.clock, LocalLock(lock)), tmp_path / "first")

    assert outcome.succeeded
    assert len(fake.writes) == WRITES
    assert len(refused) == 1
    assert "wait until it has ended" in refused[0]
    assert list((tmp_path / "second").glob("*.jsonl")) == []


def test_a_change_by_hand_in_the_middle_of_a_run_is_not_overwritten(maria: Person, tmp_path: Path) -> None:
    fake, config = small.cloud(), small.bundle()
    approval, approvers = small.approved(config, fake, maria)
    by_hand = [{"type": "spread", "field": "instanceId"}]

    def meddle(_number: int, what: str) -> None:
        if what == "write task-definition/web":
            fake.state["service/web"] = {**(fake.state["service/web"] or {}), "placementStrategy": by_hand}

    fake.after_write = meddle
    outcome = apply(config, approval, approvers, small.world(fake), tmp_path)

    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.CHANGED_BY_HAND
    assert (fake.state["service/web"] or {})["placementStrategy"] == by_hand


@pytest.mark.parametrize(
    ("when", "action"),
    [
        ("write task-definition/web", "night"),  # which the bundle takes away
        ("delete scheduled-action/web/night", "office"),  # which the run has just written
    ],
)
def test_a_schedule_that_acts_in_the_middle_of_a_run_is_no_foreign_hand(
    maria: Person, tmp_path: Path, when: str, action: str
) -> None:
    fake, config = small.cloud(), small.bundle()
    approval, approvers = small.approved(config, fake, maria)
    limits: dict[str, int] = {}

    def act(_number: int, what: str) -> None:
        if what == when:
            limits.update((fake.state[f"scheduled-action/web/{action}"] or {})["ScalableTargetAction"])
            fake.state["scalable-target/web"] = {**(fake.state["scalable-target/web"] or {}), **limits}

    fake.after_write = act
    outcome = apply(config, approval, approvers, small.world(fake), tmp_path)

    assert outcome.failure is None
    assert outcome.succeeded
    target = fake.state["scalable-target/web"] or {}
    # a schedule that is gone leaves the approved limits behind, one that stays its own
    approved = {"MinCapacity": 3, "MaxCapacity": 20}
    assert {name: target[name] for name in approved} == (
        {**approved, **limits} if action == "office" else approved
    )
    assert not any(target["SuspendedState"].values())
    assert [c.name for c in verify(config, fake, fake.clock) if c.status is CheckStatus.NG] == []


@pytest.mark.parametrize(
    "moved", [{}, {"MinCapacity": 1}, {"SuspendedState": {"ScheduledScalingSuspended": True}}]
)
def test_a_schedule_of_the_run_that_has_acted_since_is_taken_back_with_it(
    maria: Person, tmp_path: Path, moved: dict[str, Any]
) -> None:
    fake, config = small.cloud(), small.bundle()
    before = small.visible(fake)
    approval, approvers = small.approved(config, fake, maria)
    outcome = apply(config, approval, approvers, small.world(fake), tmp_path)
    limits = (fake.state["scheduled-action/web/office"] or {})["ScalableTargetAction"]
    fake.state["scalable-target/web"] = {**(fake.state["scalable-target/web"] or {}), **limits, **moved}
    back = rollback(Path(outcome.journal), small.world(fake))

    assert back.succeeded is not bool(moved)
    if moved:
        assert "scalable-target/web was changed by somebody since" in back.notes[0]
    else:
        assert small.visible(fake)["scalable-target/web"] == before["scalable-target/web"]


def test_another_bundle_is_refused_while_a_run_is_unfinished(maria: Person, tmp_path: Path) -> None:
    fake, config = small.cloud(), small.bundle()
    approval, approvers = small.approved(config, fake, maria)
    fake.after_write = lambda number, _what: fake.die() if number == 4 else None
    with pytest.raises(Killed):
        apply(config, approval, approvers, small.world(fake), tmp_path)
    revive(fake)
    other = config.model_copy(update={"plan_usd_per_hour": 0.6})
    approval, approvers = small.approved(other, fake, maria)

    with pytest.raises(ApplyRefused, match="Another run was interrupted"):
        apply(other, approval, approvers, small.world(fake), tmp_path)
    (journal,) = tmp_path.glob("*.jsonl")
    assert rollback(journal, small.world(fake)).succeeded
    approval, approvers = small.approved(other, fake, maria)
    assert apply(other, approval, approvers, small.world(fake), tmp_path).succeeded


def revive(fake: FakeCloud) -> None:
    fake.dead = False
    fake.before_write = fake.after_write = lambda _number, _what: None


def test_a_resume_under_another_approval_is_refused(maria: Person, tmp_path: Path) -> None:
    fake, config = small.cloud(), small.bundle()
    approval, approvers = small.approved(config, fake, maria)
    fake.before_write = lambda number, _what: fake.die() if number == 3 else None
    with pytest.raises(Killed):
        apply(config, approval, approvers, small.world(fake), tmp_path)
    revive(fake)
    fake.clock.sleep(60)
    another, _ = small.approved(config, fake, maria)

    with pytest.raises(ApplyRefused, match="under another approval"):
        apply(config, another, approvers, small.world(fake), tmp_path)
    assert apply(config, approval, approvers, small.world(fake), tmp_path).succeeded


def test_what_moved_while_a_run_was_interrupted_stops_the_resume(maria: Person, tmp_path: Path) -> None:
    fake, config = small.cloud(), small.bundle()
    approval, approvers = small.approved(config, fake, maria)
    fake.after_write = lambda number, _what: fake.die() if number == 2 else None
    with pytest.raises(Killed):
        apply(config, approval, approvers, small.world(fake), tmp_path)
    revive(fake)
    fake.state["scalable-target/web"] = {**(fake.state["scalable-target/web"] or {}), "MaxCapacity": 99}

    with pytest.raises(ApplyRefused, match="moved while the run was interrupted"):
        apply(config, approval, approvers, small.world(fake), tmp_path)


# A real process, really killed


@pytest.mark.slow
@pytest.mark.parametrize("lines", [5, 14, 22])
def test_a_process_killed_by_the_system_leaves_a_journal_that_restores_the_start(
    tmp_path: Path, lines: int
) -> None:
    with Sandbox() as sandbox:
        estate.build(sandbox, ("web",))
        before = read_through_boto3(sandbox)
        environment = prepared(sandbox, tmp_path)
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                PROGRAM,
                "apply",
                "bundle",
                "--approval",
                "approval.json",
                "--journal",
                "journal",
            ],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        journal = killed_after(process, tmp_path / "journal", lines)
        assert read_through_boto3(sandbox) != before
        done = deploy(environment, tmp_path, "rollback", "--journal", str(journal), "--json")

        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout)["succeeded"]
        assert read_through_boto3(sandbox) == before


@pytest.mark.slow
def test_a_sandbox_killed_in_the_middle_of_an_apply_leaves_a_journal_that_restores_the_start(
    tmp_path: Path,
) -> None:
    """The sandbox keeps its state in memory: started anew it holds the start, and rollback finds that out."""
    with Sandbox() as sandbox:
        estate.build(sandbox, ("web",))
        before = read_through_boto3(sandbox)
        environment = prepared(sandbox, tmp_path)
        arguments = ["apply", "bundle", "--approval", "approval.json", "--journal", "journal"]
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        journal = reached(process, tmp_path / "journal", 14)
    told = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    assert "Traceback" not in told
    assert f"deploy rollback --journal {journal.relative_to(tmp_path)}" in " ".join(told.split())
    with Sandbox() as anew:
        estate.build(anew, ("web",))
        done = deploy(environment | anew.environment(), tmp_path, "rollback", "--journal", str(journal), "--json")

        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout)["succeeded"]
        assert read_through_boto3(anew) == before


PROGRAM = "from deploy.cli import main; main()"


def deploy(environment: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def prepared(sandbox: Sandbox, folder: Path) -> dict[str, str]:
    """A bundle and its approval in `folder`; returns the environment for the command line."""
    from deploy.approve import approve, dump_approval
    from deploy.emit import config_from_plan
    from deploy.keys import trust
    from planner.documents import dump_config

    maria = person(folder)
    trust(folder / "approvers.json", maria.approver)
    config = config_from_plan(estate.plan_for(("web",)))
    dump_plan(estate.plan_for(("web",)), folder / "plan.json")
    (folder / "bundle").mkdir()
    dump_config(config, folder / "bundle" / "config.json")
    from deploy.aws import SystemClock

    cloud = estate.cloud_of(sandbox)
    observation = observe(config, cloud)
    approval = approve(
        config,
        observation,
        (),
        diff(observation.live, observation.wanted, config),
        approver=maria.name,
        reason="rehearsal",
        now=SystemClock().now(),
        expires_in=estate.EIGHT_HOURS,
        cost_ceiling_usd_per_month=1000,
        signer=maria.signer,
    )
    dump_approval(approval, folder / "approval.json")
    return {
        **os.environ,
        **sandbox.environment(),
        "ECS_DEPLOY_APPROVERS": str(folder / "approvers.json"),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }


def killed_after(process: subprocess.Popen[bytes], folder: Path, lines: int) -> Path:
    """Kill the process as soon as its journal has so many lines."""
    journal = reached(process, folder, lines)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return journal


def reached(process: subprocess.Popen[Any], folder: Path, lines: int) -> Path:
    """The journal, as soon as it has so many lines."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = sorted(folder.glob("*.jsonl"))
        if found and found[0].read_bytes().count(b"\n") >= lines:
            return found[0]
        if process.poll() is not None:
            raise AssertionError(f"the apply ended by itself with {process.returncode}")
    process.kill()
    raise AssertionError("the apply did not get that far")
