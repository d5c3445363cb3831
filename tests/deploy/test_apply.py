"""Apply does what was signed, in an order that never lowers capacity first, and says truly how it ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.apply import ApplyRefused, apply, current_step
from deploy.diff import diff
from deploy.journal import read_journal
from deploy.model import FailureKind, Outcome
from deploy.observe import observe
from deploy.rollback import RollbackRefused, rollback
from tests.deploy import small
from tests.deploy.estate import Person, person
from tests.deploy.fakes import FakeCloud, Killed, fail_at, lose_answer_at


@pytest.fixture(scope="module")
def maria(tmp_path_factory: pytest.TempPathFactory) -> Person:
    return person(tmp_path_factory.mktemp("keys"))


@pytest.fixture(autouse=True)
def _no_disk_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync of the disk takes most of a run's time; test_journal.py holds that it is asked for."""
    monkeypatch.setattr("os.fsync", lambda _handle: None)


def run(fake: FakeCloud, maria: Person, folder: Path) -> Outcome:
    config = small.bundle()
    approval, approvers = small.approved(config, fake, maria)
    return apply(config, approval, approvers, small.world(fake), folder)


def test_applying_leads_to_the_state_of_the_bundle_and_a_second_diff_is_empty(
    maria: Person, tmp_path: Path
) -> None:
    fake = small.cloud()
    outcome = run(fake, maria, tmp_path)

    after = observe(small.bundle(), fake)
    assert outcome.succeeded
    assert diff(after.live, after.wanted).is_empty
    assert outcome.deployments == {"web": "deployment/web/1"}


def test_rollback_restores_the_starting_state(maria: Person, tmp_path: Path) -> None:
    fake = small.cloud()
    before = small.visible(fake)
    outcome = run(fake, maria, tmp_path)
    back = rollback(Path(outcome.journal), small.world(fake))

    assert back.succeeded
    assert small.visible(fake) == before
    assert [d["status"] for d in fake.definitions.values()] == ["ACTIVE", "INACTIVE"]


def test_capacity_goes_up_first_and_down_last(maria: Person, tmp_path: Path) -> None:
    fake = small.cloud()
    run(fake, maria, tmp_path)

    order = [fake.writes.index(w) for w in ("write auto-scaling-group/new", "write service/web")]
    assert order == sorted(order)
    assert fake.writes[-1] == "write auto-scaling-group/old"
    # frozen and widened before the rollout, thawed after it
    targets = [n for n, what in enumerate(fake.writes) if what == "write scalable-target/web"]
    rollout = fake.writes.index("write service/web")
    assert targets[0] < rollout < targets[-1]


def test_halved_tasks_are_doubled_in_the_same_rollout_so_the_cpu_offered_never_falls(
    maria: Person, tmp_path: Path
) -> None:
    fake = small.cloud()
    run(fake, maria, tmp_path)

    image = fake.state["service/web"]
    assert image is not None
    assert image["desiredCount"] == 8  # 4 x 1,024 = 8 x 512


def test_scale_in_is_frozen_during_the_rollout_and_free_after_it(maria: Person, tmp_path: Path) -> None:
    fake = small.cloud()
    seen: list[tuple[int, int, bool]] = []

    def watch(_number: int, what: str) -> None:
        if what == "write service/web":
            target = fake.state["scalable-target/web"] or {}
            frozen = target["SuspendedState"]["DynamicScalingInSuspended"]
            seen.append((target["MinCapacity"], target["MaxCapacity"], frozen))

    fake.before_write = watch
    run(fake, maria, tmp_path)

    assert seen == [(4, 20, True)]  # min of 4 and 3 the larger, max of 12 and 20 the larger
    target = fake.state["scalable-target/web"] or {}
    assert (target["MinCapacity"], target["MaxCapacity"]) == (3, 20)
    assert not any(target["SuspendedState"].values())


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("ROLLBACK_SUCCESSFUL", FailureKind.BREAKER_ROLLBACK),
        ("ROLLBACK_IN_PROGRESS", FailureKind.BREAKER_ROLLBACK),
        ("STOPPED", FailureKind.STOPPED),
        ("IN_PROGRESS", FailureKind.STALLED),
    ],
)
def test_a_deployment_that_did_not_succeed_is_a_named_failure_with_stop_reasons_and_log_lines(
    maria: Person, tmp_path: Path, status: str, kind: FailureKind
) -> None:
    fake = small.cloud()
    fake.outcome = lambda _service: status
    outcome = run(fake, maria, tmp_path)

    assert not outcome.succeeded
    assert outcome.failure is not None
    assert outcome.failure.kind is kind
    assert outcome.failure.stop_reasons == ("Essential container in task exited (3 tasks)",)
    assert outcome.failure.last_log_lines == ("cannot open database",)
    assert not any((fake.state["scalable-target/web"] or {})["SuspendedState"].values())


def test_a_later_deployment_by_somebody_else_is_told_as_superseding(maria: Person, tmp_path: Path) -> None:
    fake = small.cloud()

    def intrude(_number: int, what: str) -> None:
        if what == "write service/web":
            fake._deploy("web", "arn:aws:ecs:eu-west-2:123456789012:task-definition/web:99")

    fake.after_write = intrude
    outcome = run(fake, maria, tmp_path)

    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.SUPERSEDED


def test_live_state_that_moved_since_the_approval_is_refused_before_any_write(
    maria: Person, tmp_path: Path
) -> None:
    fake, config = small.cloud(), small.bundle()
    approval, approvers = small.approved(config, fake, maria)
    service = dict(fake.state["service/web"] or {})
    fake.state["service/web"] = {**service, "placementStrategy": [{"type": "random"}]}

    with pytest.raises(ApplyRefused, match=r"moved since the approval \(service/web\)"):
        apply(config, approval, approvers, small.world(fake), tmp_path)
    assert fake.writes == []
    assert list(tmp_path.glob("*.jsonl")) == []


def test_the_autoscaler_may_move_the_desired_count_between_approval_and_apply(
    maria: Person, tmp_path: Path
) -> None:
    fake, config = small.cloud(), small.bundle()
    approval, approvers = small.approved(config, fake, maria)
    fake.state["service/web"] = {**(fake.state["service/web"] or {}), "desiredCount": 7}

    assert apply(config, approval, approvers, small.world(fake), tmp_path).succeeded
    assert (fake.state["service/web"] or {})["desiredCount"] == 14  # 7 x 1,024 = 14 x 512


def test_no_environment_value_reaches_the_journal(maria: Person, tmp_path: Path) -> None:
    outcome = run(small.cloud(), maria, tmp_path)

    assert "hunter2" not in Path(outcome.journal).read_text()


def test_a_write_is_authorised_only_while_its_step_runs(maria: Person, tmp_path: Path) -> None:
    fake = small.cloud()
    tokens = []
    fake.before_write = lambda _number, what: tokens.append((what, current_step()))
    run(fake, maria, tmp_path)

    assert current_step() is None
    for what, token in tokens:
        assert token is not None, what
    token = next(t for w, t in tokens if w == "write service/web")
    assert token is not None
    assert token.allows("ecs", "UpdateService", {"service": "web"})
    assert not token.allows("ecs", "UpdateService", {"service": "other"})
    assert not token.allows("ecs", "DeleteService", {"service": "web"})


# Faults, each at every write


def number_of_writes(maria: Person, tmp_path: Path) -> int:
    fake = small.cloud()
    assert run(fake, maria, tmp_path).succeeded
    return len(fake.writes)


WRITES = 16
"""Calls that change something in the apply below; held by the first test."""


def test_the_faults_below_strike_at_every_write(maria: Person, tmp_path: Path) -> None:
    assert number_of_writes(maria, tmp_path) == WRITES


@pytest.mark.parametrize("number", range(WRITES))
def test_a_refused_call_ends_the_run_with_a_journal_that_restores_everything(
    maria: Person, tmp_path: Path, number: int
) -> None:
    fake = small.cloud()
    before = small.visible(fake)
    fake.before_write = fail_at(number)
    outcome = run(fake, maria, tmp_path)

    assert not outcome.succeeded
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.CALL_FAILED
    fake.before_write = lambda _number, _what: None
    assert not any((fake.state["scalable-target/web"] or {})["SuspendedState"].values())
    assert rollback(Path(outcome.journal), small.world(fake)).succeeded
    assert small.visible(fake) == before


@pytest.mark.parametrize("number", range(WRITES))
def test_a_lost_answer_is_read_back_and_the_run_goes_on(maria: Person, tmp_path: Path, number: int) -> None:
    fake = small.cloud()
    fake.after_write = lose_answer_at(number)
    outcome = run(fake, maria, tmp_path)

    assert outcome.succeeded
    assert len(fake.definitions) == 2  # the base and one new revision, not two
    after = observe(small.bundle(), fake)
    assert diff(after.live, after.wanted).is_empty


def kill_at(fake: FakeCloud, number: int) -> Callable[[int, str], None]:
    def check(count: int, _what: str) -> None:
        if count == number:
            fake.die()

    return check


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", range(WRITES))
def test_a_killed_apply_is_taken_back(maria: Person, tmp_path: Path, number: int, moment: str) -> None:
    fake = small.cloud()
    before = small.visible(fake)
    setattr(fake, f"{moment}_write", kill_at(fake, number))
    with pytest.raises(Killed):
        run(fake, maria, tmp_path)
    revive(fake)

    (journal,) = tmp_path.glob("*.jsonl")
    assert rollback(journal, small.world(fake)).succeeded
    assert small.visible(fake) == before
    assert rollback(journal, small.world(fake)).succeeded  # and once more changes nothing
    assert small.visible(fake) == before


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", range(WRITES))
def test_a_killed_apply_resumes(maria: Person, tmp_path: Path, number: int, moment: str) -> None:
    fake, config = small.cloud(), small.bundle()
    approval, approvers = small.approved(config, fake, maria)
    setattr(fake, f"{moment}_write", kill_at(fake, number))
    with pytest.raises(Killed):
        apply(config, approval, approvers, small.world(fake), tmp_path)
    revive(fake)

    outcome = apply(config, approval, approvers, small.world(fake), tmp_path)
    assert outcome.succeeded
    assert len(list(tmp_path.glob("*.jsonl"))) == 1
    after = observe(config, fake)
    assert diff(after.live, after.wanted).is_empty
    assert (fake.state["service/web"] or {})["desiredCount"] == 8  # grown once, not twice


@pytest.mark.parametrize("number", range(12))
def test_a_killed_rollback_is_finished_by_the_next_one(maria: Person, tmp_path: Path, number: int) -> None:
    fake = small.cloud()
    before = small.visible(fake)
    outcome = run(fake, maria, tmp_path)
    fake.after_write = kill_at(fake, WRITES + number)
    with pytest.raises(Killed):
        rollback(Path(outcome.journal), small.world(fake))
    revive(fake)

    assert rollback(Path(outcome.journal), small.world(fake)).succeeded
    assert small.visible(fake) == before


def revive(fake: FakeCloud) -> None:
    fake.dead = False
    fake.before_write = fake.after_write = lambda _number, _what: None


# Rollback leaves alone what is not ours


def test_rollback_leaves_a_service_alone_that_somebody_changed_since(maria: Person, tmp_path: Path) -> None:
    fake = small.cloud()
    outcome = run(fake, maria, tmp_path)
    hotfix = {
        **(fake.state["service/web"] or {}),
        "taskDefinition": "arn:aws:ecs:eu-west-2:1:task-definition/web:77",
    }
    fake.state["service/web"] = hotfix
    fake.definitions[hotfix["taskDefinition"]] = small.definition("web")

    back = rollback(Path(outcome.journal), small.world(fake))
    assert not back.succeeded
    assert fake.state["service/web"] == hotfix
    assert any("service/web was changed by somebody" in note for note in back.notes)
    assert rollback(Path(outcome.journal), small.world(fake), force=True).succeeded
    assert (fake.state["service/web"] or {})["taskDefinition"].endswith("web:1")


def test_a_journal_that_was_altered_is_refused(maria: Person, tmp_path: Path) -> None:
    outcome = run(small.cloud(), maria, tmp_path)
    path = Path(outcome.journal)
    lines = path.read_text().splitlines()
    lines[2] = lines[2].replace("launch-template/new", "launch-template/old")
    path.write_text("\n".join(lines) + "\n")

    with pytest.raises(Exception, match="line 3 does not match its own hash"):
        rollback(path, small.world(small.cloud()))


def test_a_torn_last_line_is_cut_off(maria: Person, tmp_path: Path) -> None:
    outcome = run(small.cloud(), maria, tmp_path)
    path = Path(outcome.journal)
    whole = len(read_journal(path))
    with path.open("a") as file:
        file.write(json.dumps({"sequence": whole})[:7])

    assert len(read_journal(path)) == whole


def test_an_empty_journal_says_that_nothing_was_begun(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.touch()

    with pytest.raises(RollbackRefused, match="nothing was begun"):
        rollback(path, small.world(small.cloud()))
