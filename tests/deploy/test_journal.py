"""The journal is on disk before a call is made, holds a chain, and survives a torn end."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.history import history, verify_history
from deploy.journal import Journal, JournalError, read_journal
from deploy.model import CheckStatus, EntryKind

AT = datetime(2026, 5, 13, 9, tzinfo=UTC)


def filled(path: Path, entries: int = 3) -> Path:
    with Journal.create(path) as journal:
        for number in range(entries):
            journal.append(EntryKind.INTENT, AT, {"step": str(number)})
    return path


def test_every_entry_is_synced_before_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    with Journal.create(tmp_path / "j.jsonl") as journal:
        monkeypatch.setattr("os.fsync", synced.append)
        journal.append(EntryKind.INTENT, AT, {"step": "1"})

        assert len(synced) == 1
        assert (tmp_path / "j.jsonl").read_bytes().endswith(b"\n")


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    assert [e.body["step"] for e in read_journal(filled(tmp_path / "j.jsonl"))] == ["0", "1", "2"]


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_torn_last_line_is_cut_off_and_the_chain_goes_on(tmp_path: Path, cut: int) -> None:
    path = filled(tmp_path / "j.jsonl")
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal.reopen(path) as journal:
        assert len(journal.entries) == 2
        journal.append(EntryKind.END, AT, {"succeeded": False})

    assert [e.kind for e in read_journal(path)] == [EntryKind.INTENT, EntryKind.INTENT, EntryKind.END]


def test_a_line_taken_out_breaks_the_chain(tmp_path: Path) -> None:
    path = filled(tmp_path / "j.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])

    with pytest.raises(JournalError, match="line 2 does not follow"):
        read_journal(path)


def test_any_altered_byte_is_found(tmp_path: Path) -> None:
    path = filled(tmp_path / "j.jsonl", 1)
    whole = path.read_bytes()
    for at in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(JournalError):
            read_journal(path)


def test_a_second_process_cannot_open_a_journal_that_is_written(tmp_path: Path) -> None:
    path = filled(tmp_path / "j.jsonl")
    with Journal.reopen(path), pytest.raises(JournalError, match="Another process"):
        Journal.reopen(path)


def test_an_existing_journal_is_not_overwritten(tmp_path: Path) -> None:
    path = filled(tmp_path / "j.jsonl")

    with pytest.raises(JournalError, match="exists already"):
        Journal.create(path)


def test_history_verify_names_the_altered_journal(tmp_path: Path) -> None:
    filled(tmp_path / "a.jsonl")
    altered = filled(tmp_path / "b.jsonl")
    altered.write_bytes(altered.read_bytes().replace(b'"step":"1"', b'"step":"7"'))
    (tmp_path / "c.jsonl").touch()

    assert [c.status for c in verify_history(tmp_path)] == [CheckStatus.OK, CheckStatus.NG, CheckStatus.SKIP]


def test_an_empty_journal_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").touch()

    assert history(tmp_path) == ()
