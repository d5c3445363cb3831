"""Every call of an apply and of its rollback fails in turn: no lie in the result, and a way back to the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.apply import apply
from deploy.diff import diff
from deploy.journal import read_journal
from deploy.model import EntryKind, Outcome
from deploy.observe import observe
from deploy.ports import CallFailed
from deploy.rollback import rollback
from planner.documents import ConfigDocument
from tests.deploy import small
from tests.deploy.estate import Person, person
from tests.deploy.every_call import SAMPLE_SERVICES, Fault, Faulty, prepared, world_of
from tests.deploy.fakes import FakeCloud, Killed

CALLS = 114
"""Calls of an apply of one service, reads and writes; held by the first test."""
CALLS_BACK = 82
"""Calls of taking it back."""
SAMPLE_WRITES = 86
"""Writes of an apply of eleven services."""
ANSWERED = (Fault.DENIED, Fault.TIMED_OUT, Fault.ANSWER_LOST)
KILLS = (Fault.KILLED_BEFORE, Fault.KILLED_AFTER)


@pytest.fixture(scope="module")
def maria(tmp_path_factory: pytest.TempPathFactory) -> Person:
    return person(tmp_path_factory.mktemp("keys"))


@pytest.fixture(autouse=True)
def _no_disk_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _handle: None)


def run(config: ConfigDocument, fake: FakeCloud, who: Person, folder: Path, faulty: Faulty) -> Outcome | None:
    """None where the run was refused or failed before it began."""
    approval, approvers = small.approved(config, fake, who)
    try:
        return apply(config, approval, approvers, world_of(faulty), folder)
    except CallFailed:
        assert not list(folder.glob("*.jsonl"))
        return None


def is_done(config: ConfigDocument, fake: FakeCloud) -> bool:
    after = observe(config, fake)
    return diff(after.live, after.wanted).is_empty


def frozen(fake: FakeCloud) -> list[str]:
    targets = {n: i for n, i in fake.state.items() if n.startswith("scalable-target/") and i is not None}
    return [name for name, image in targets.items() if image["SuspendedState"]["DynamicScalingInSuspended"]]


def test_the_calls_that_fail_below_are_all_of_them(maria: Person, tmp_path: Path) -> None:
    config, fake = prepared(("web",))
    counting = Faulty(fake)
    outcome = run(config, fake, maria, tmp_path, counting)
    assert outcome is not None
    assert outcome.succeeded
    back = Faulty(fake)
    assert rollback(Path(outcome.journal), world_of(back)).succeeded

    assert (len(counting.calls), len(back.calls)) == (CALLS, CALLS_BACK)


@pytest.mark.parametrize("fault", ANSWERED)
@pytest.mark.parametrize("tenth", range(10))
def test_any_call_may_fail(maria: Person, tmp_path: Path, fault: Fault, tenth: int) -> None:
    for number in range(tenth, CALLS, 10):
        config, fake = prepared(("web",))
        before = small.visible(fake)
        folder = tmp_path / str(number)
        outcome = run(config, fake, maria, folder, Faulty(fake, fault, number))

        if outcome is None:
            assert small.visible(fake) == before
            continue
        assert read_journal(Path(outcome.journal))[-1].kind is EntryKind.END
        if outcome.succeeded:
            assert is_done(config, fake), number
        else:
            assert outcome.failure is not None
            told = [note for note in outcome.notes if "still suspended" in note]
            assert len(told) == len(frozen(fake)), number
        back = rollback(Path(outcome.journal), small.world(fake))
        assert back.succeeded, (number, back.failure, back.notes)
        assert small.visible(fake) == before


@pytest.mark.parametrize("fault", ANSWERED)
def test_any_call_of_taking_it_back_may_fail(maria: Person, tmp_path: Path, fault: Fault) -> None:
    for number in range(CALLS_BACK):
        config, fake = prepared(("web",))
        before = small.visible(fake)
        outcome = run(config, fake, maria, tmp_path / str(number), Faulty(fake))
        assert outcome is not None
        try:
            back = rollback(Path(outcome.journal), world_of(Faulty(fake, fault, number)))
            assert not back.succeeded or small.visible(fake) == before
        except CallFailed:
            pass
        assert rollback(Path(outcome.journal), small.world(fake)).succeeded, number
        assert small.visible(fake) == before


@pytest.mark.parametrize("fault", KILLS)
@pytest.mark.parametrize("ending", ["resume", "rollback"])
def test_killed_at_any_call(maria: Person, tmp_path: Path, fault: Fault, ending: str) -> None:
    for number in range(CALLS):
        killed_and_ended(maria, tmp_path / str(number), ("web",), Fault(fault), number, ending)


def killed_and_ended(
    maria: Person, folder: Path, services: tuple[str, ...], fault: Fault, number: int, ending: str
) -> None:
    """Kill an apply at one call, then go on with it or take it back."""
    config, fake = prepared(services)
    before = small.visible(fake)
    approval, approvers = small.approved(config, fake, maria)
    with pytest.raises(Killed):
        apply(config, approval, approvers, world_of(Faulty(fake, fault, number)), folder)
    fake.dead = False
    journals = list(folder.glob("*.jsonl"))
    if ending == "resume" or not journals:
        assert apply(config, approval, approvers, small.world(fake), folder).succeeded, number
        assert is_done(config, fake)
        assert frozen(fake) == []
        return
    back = rollback(journals[0], small.world(fake))
    assert back.succeeded, (number, back.failure, back.notes)
    assert small.visible(fake) == before


@pytest.mark.slow
@pytest.mark.parametrize("fault", KILLS)
@pytest.mark.parametrize("ending", ["resume", "rollback"])
def test_killed_at_every_write_of_eleven_services(
    maria: Person, tmp_path: Path, fault: Fault, ending: str
) -> None:
    config, fake = prepared(SAMPLE_SERVICES)
    counting = Faulty(fake)
    outcome = run(config, fake, maria, tmp_path / "whole", counting)
    assert outcome is not None
    assert outcome.succeeded
    writes = [n for n, name in enumerate(counting.calls) if name in {"write", "delete", "set_desired_count"}]
    writes += [n for n, name in enumerate(counting.calls) if name == "set_instance_status"]

    assert len(writes) == SAMPLE_WRITES
    for number in writes:
        killed_and_ended(maria, tmp_path / str(number), SAMPLE_SERVICES, fault, number, ending)
