"""Every run that left a journal: what was approved by whom, how it ended, and whether the chain still holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.journal import JournalError, read_journal
from deploy.model import Check, EntryKind, JournalEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from deploy.kernel.record import Line


@dataclass(frozen=True, slots=True)
class Run:
    """One run, from its journal."""

    run: str
    journal: str
    began_at: str
    cluster: str
    author: str
    approver: str
    reason: str
    bundle_sha256: str
    state: str
    """succeeded, failed, interrupted, taken back, or only partly taken back"""
    steps: int
    last_sha256: str
    """Of the last entry: kept elsewhere, it proves later that nothing was cut off."""


def history(folder: Path) -> tuple[Run, ...]:
    """Newest first; JournalError for one that cannot be trusted."""
    runs = [run_of(path, read_journal(path)) for path in sorted(folder.glob("*.jsonl"))]
    return tuple(sorted((r for r in runs if r is not None), key=lambda r: r.began_at, reverse=True))


def run_of(path: Path, entries: tuple[JournalEntry, ...]) -> Run | None:
    """None for a journal that a kill left empty: nothing was begun."""
    if not entries:
        return None
    begin = entries[0].body
    approval = begin["approval"]
    return Run(
        run=begin["run"],
        journal=str(path),
        began_at=entries[0].at.isoformat(),
        cluster=approval["cluster"],
        author=approval["author"],
        approver=approval["approver"],
        reason=approval["reason"],
        bundle_sha256=begin["bundle_sha256"],
        state=_state(entries),
        steps=sum(1 for entry in entries if entry.kind is EntryKind.DONE),
        last_sha256=entries[-1].sha256,
    )


def _state(entries: tuple[JournalEntry, ...]) -> str:
    for entry in reversed(entries):
        if entry.kind is EntryKind.ROLLBACK_END:
            return "taken back" if entry.body["succeeded"] else "only partly taken back"
        if entry.kind is EntryKind.ROLLBACK:
            return "rollback interrupted"
        if entry.kind is EntryKind.END:
            return "succeeded" if entry.body["succeeded"] else "failed"
    return "interrupted"


def verify_history(folder: Path) -> tuple[Check, ...]:
    """One check a journal, and one a record of the deploy kernel: is it whole, unaltered and in order?"""
    from deploy.kernel.record import read_record

    journals = [_verified(path, read_journal) for path in sorted(folder.glob("*.jsonl"))]
    records = [_verified(path, read_record) for path in sorted((folder / "kernel").glob("*.jsonl"))]
    return (*journals, *records)


def _verified(path: Path, read: Callable[[Path], Sequence[JournalEntry | Line]]) -> Check:
    from deploy.kernel.record import RecordAltered

    try:
        entries = read(path)
    except (JournalError, RecordAltered) as error:
        return Check.ng(path.name, str(error))
    if not entries:
        return Check.skip(path.name, "it is empty: its run was killed before it began")
    return Check.ok(path.name, f"{len(entries)} entries, last {entries[-1].sha256[:12]}")
