"""A journal that was made anew, with a chain that fits, restores and resumes nothing but what was approved."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.apply import apply
from deploy.held import JournalNotHeld
from deploy.journal import GENESIS, entry_digest
from deploy.rollback import rollback
from planner.documents import canonical_bytes, digest
from tests.deploy import small
from tests.deploy.estate import Person, person
from tests.deploy.fakes import FakeCloud, Killed


@pytest.fixture(scope="module")
def maria(tmp_path_factory: pytest.TempPathFactory) -> Person:
    return person(tmp_path_factory.mktemp("keys"))


def ran(maria: Person, folder: Path) -> tuple[FakeCloud, Path]:
    fake, config = small.cloud(), small.bundle()
    approval, approvers = small.approved(config, fake, maria)
    outcome = apply(config, approval, approvers, small.world(fake), folder)
    assert outcome.succeeded
    return fake, Path(outcome.journal)


def forge(path: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    """Alter entries and make the chain of hashes anew, as somebody with the file in hand could."""
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    change(entries)
    previous = GENESIS
    for number, entry in enumerate(entries):
        entry |= {"sequence": number, "previous_sha256": previous}
        parts = (entry["sequence"], entry["at"], entry["kind"], entry["body"], previous)
        entry["sha256"] = previous = entry_digest(*parts)
    path.write_bytes(b"".join(canonical_bytes(entry) + b"\n" for entry in entries))


def raise_maximum(entries: list[dict[str, Any]]) -> None:
    entries[0]["body"]["live"]["scalable-target/web"]["MaxCapacity"] = 500


def other_bundle(entries: list[dict[str, Any]]) -> None:
    entries[0]["body"]["bundle"]["author"] = "Somebody Else"
    entries[0]["body"]["bundle_sha256"] = digest(entries[0]["body"]["bundle"])


def other_reason(entries: list[dict[str, Any]]) -> None:
    entries[0]["body"]["approval"]["reason"] = "another one"


def other_spelling(entries: list[dict[str, Any]]) -> None:
    entries[0]["body"]["live"]["service/web"]["$raw"] = {"placementStrategy": [{"type": "random"}]}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (raise_maximum, "is not the one that was approved"),
        (other_bundle, "The bundle in the journal is not the one"),
        (other_reason, "The signature does not match"),
        (other_spelling, "spells service/web in two ways"),
    ],
)
def test_a_forged_journal_restores_nothing(
    maria: Person, tmp_path: Path, change: Callable[[list[dict[str, Any]]], None], told: str
) -> None:
    fake, path = ran(maria, tmp_path)
    forge(path, change)
    writes = len(fake.writes)

    with pytest.raises(JournalNotHeld, match=told):
        rollback(path, small.world(fake), approvers=[maria.approver])
    assert len(fake.writes) == writes


def test_a_forged_before_image_is_not_what_is_restored(maria: Person, tmp_path: Path) -> None:
    before = small.visible(small.cloud())
    fake, path = ran(maria, tmp_path)

    def change(entries: list[dict[str, Any]]) -> None:
        for entry in entries:
            if entry["kind"] == "intent" and entry["body"]["resource"] == "scalable-target/web":
                entry["body"]["before"]["MaxCapacity"] = 500

    forge(path, change)
    assert rollback(path, small.world(fake), approvers=[maria.approver]).succeeded
    assert small.visible(fake) == before


def test_a_journal_signed_by_a_stranger_restores_nothing(maria: Person, tmp_path: Path) -> None:
    fake, path = ran(maria, tmp_path / "journal")
    stranger = person(tmp_path, "Some Stranger")

    with pytest.raises(JournalNotHeld, match="not on the list of approvers"):
        rollback(path, small.world(fake), approvers=[stranger.approver])


def killed(maria: Person, folder: Path) -> tuple[FakeCloud, Path, Callable[[], object]]:
    fake, config = small.cloud(), small.bundle()
    approval, approvers = small.approved(config, fake, maria)
    fake.after_write = lambda number, _what: fake.die() if number == 3 else None
    with pytest.raises(Killed):
        apply(config, approval, approvers, small.world(fake), folder)
    fake.dead, fake.after_write = False, lambda _number, _what: None
    (path,) = folder.glob("*.jsonl")
    return fake, path, lambda: apply(config, approval, approvers, small.world(fake), folder)


def other_steps(entries: list[dict[str, Any]]) -> None:
    step = next(s for s in entries[0]["body"]["steps"] if s["resource_id"] == "scalable-target/web")
    step["after"]["MaxCapacity"] = 500


def other_wanted(entries: list[dict[str, Any]]) -> None:
    entries[0]["body"]["wanted"]["scalable-target/web"]["MaxCapacity"] = 500


@pytest.mark.parametrize(("change", "told"), [(other_steps, "The steps"), (other_wanted, "The changes")])
def test_a_run_is_not_continued_with_steps_that_nobody_approved(
    maria: Person, tmp_path: Path, change: Callable[[list[dict[str, Any]]], None], told: str
) -> None:
    fake, path, resume = killed(maria, tmp_path)
    forge(path, change)
    writes = len(fake.writes)

    with pytest.raises(JournalNotHeld, match=told):
        resume()
    assert len(fake.writes) == writes
