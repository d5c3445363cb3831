"""The write-ahead journal: one JSON line an entry, synced to disk before the call it announces, hash-chained.

A run that is killed leaves at most one torn last line, which says that its call was never announced; it is cut
off when the journal is opened again. Anything else that does not fit the chain is refused.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from deploy.model import EntryKind, JournalEntry
from planner.documents import canonical_bytes, digest

GENESIS = "0" * 64


class JournalError(Exception):
    """The journal cannot be trusted or used; the message says where and what to do."""


def entry_digest(sequence: int, at: str, kind: str, body: Mapping[str, Any], previous: str) -> str:
    return digest({"sequence": sequence, "at": at, "kind": kind, "body": body, "previous_sha256": previous})


def read_journal(path: Path) -> tuple[JournalEntry, ...]:
    """Every whole entry, in order; JournalError when the chain does not hold."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise JournalError(f"The journal {path} cannot be read ({error.strerror}): check its path.") from None
    return tuple(_entries(path, raw[: whole_length(raw)]))


def whole_length(raw: bytes) -> int:
    """Bytes up to the last complete line; what follows was torn by a kill."""
    return raw.rfind(b"\n") + 1


def _entries(path: Path, raw: bytes) -> Iterator[JournalEntry]:
    previous = GENESIS
    for number, line in enumerate(raw.splitlines(), start=1):
        entry = _entry(path, number, line)
        if entry.previous_sha256 != previous or entry.sequence != number - 1:
            raise JournalError(
                f"{path} line {number} does not follow the line before it: the journal was altered."
            )
        previous = entry.sha256
        yield entry


def _entry(path: Path, number: int, line: bytes) -> JournalEntry:
    try:
        data = json.loads(line)
        expected = entry_digest(data["sequence"], data["at"], data["kind"], data["body"], data["previous_sha256"])
        entry = JournalEntry(
            data["sequence"],
            datetime.fromisoformat(data["at"]),
            EntryKind(data["kind"]),
            data["body"],
            data["previous_sha256"],
            data["sha256"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise JournalError(f"{path} line {number} is not a journal entry ({error}): restore the file.") from None
    if expected != entry.sha256:
        raise JournalError(f"{path} line {number} does not match its own hash: the journal was altered.")
    return entry


class Journal:
    """An open journal; only one process holds it. Every append is on disk before it returns."""

    def __init__(self, path: Path, file: IO[bytes], entries: tuple[JournalEntry, ...]) -> None:
        self.path = path
        self._file = file
        self._entries = list(entries)

    @classmethod
    def create(cls, path: Path) -> Journal:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = path.open("xb")
        except FileExistsError:
            raise JournalError(f"The journal {path} exists already: name another folder.") from None
        _hold(path, file)
        _sync_folder(path.parent)
        return cls(path, file, ())

    @classmethod
    def reopen(cls, path: Path) -> Journal:
        """Open for appending, after cutting off a torn last line; JournalError if another process holds it."""
        entries = read_journal(path)
        file = path.open("r+b")
        _hold(path, file)
        raw = path.read_bytes()
        file.truncate(whole_length(raw))
        file.seek(0, os.SEEK_END)
        return cls(path, file, read_journal(path) if len(raw) != whole_length(raw) else entries)

    @property
    def entries(self) -> tuple[JournalEntry, ...]:
        return tuple(self._entries)

    def append(self, kind: EntryKind, at: datetime, body: Mapping[str, Any]) -> JournalEntry:
        previous = self._entries[-1].sha256 if self._entries else GENESIS
        sequence = len(self._entries)
        stamp = at.astimezone(UTC).isoformat()
        plain = json.loads(canonical_bytes(body))
        own = entry_digest(sequence, stamp, kind.value, plain, previous)
        line = canonical_bytes(
            {
                "sequence": sequence,
                "at": stamp,
                "kind": kind.value,
                "body": plain,
                "previous_sha256": previous,
                "sha256": own,
            }
        )
        self._file.write(line + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        entry = JournalEntry(sequence, datetime.fromisoformat(stamp), kind, plain, previous, own)
        self._entries.append(entry)
        return entry

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _hold(path: Path, file: IO[bytes]) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise JournalError(f"Another process is writing {path}: wait for it, or end it first.") from None


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
