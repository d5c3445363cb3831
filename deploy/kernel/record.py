"""The record of a kernel's life: every cell, verb, AWS call, decision and person, as lines of one hash chain.

The form of a line is that of the run's journal (deploy.journal); the file is another, because a cell and a read
are no steps of a run. Cells are kept as a digest and redacted text. Reads are written when the cell ends, anything
refused and every step at once.
"""

from __future__ import annotations

import json
import os
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.kernel.guard import Observed

GENESIS = "0" * 64

_SECRET = re.compile(
    r"""(?x)
    \b(?:AKIA|ASIA)[0-9A-Z]{16}\b                      # access key ids
    | \beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*  # JSON web tokens
    | -----BEGIN[^-]*PRIVATE\ KEY-----.*?(?:-----END[^-]*-----|\Z)
    | (?<![A-Za-z0-9/+=])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])   # secret access keys
    | \bgl[a-z]{2,5}-[A-Za-z0-9_-]{16,} | \bgh[pousr]_[A-Za-z0-9]{20,}   # tokens of code hosts
    | (?<=://)[^/\s:@'"]+:[^/\s@'"]+(?=@)              # user:password in a URL
    """,
    re.DOTALL,
)
_NAMED_SECRET = re.compile(
    r"(?i)(\b\w*(?:password|passwd|secret|token|api_?key|access_?key|credential)\w*\b['\"]?\s*[=:]\s*)"
    r"(?:(['\"]{3}|['\"]).*?\2|[^\s,;)\]}]+)",
    re.DOTALL,
)
REDACTED = "[redacted]"


def redact(text: str) -> str:
    """The text without what looks like a secret: known forms, and whatever is assigned to a telling name."""
    return _NAMED_SECRET.sub(rf"\1{REDACTED}", _SECRET.sub(REDACTED, text))


@dataclass(frozen=True, slots=True)
class Line:
    sequence: int
    at: datetime
    kind: str
    body: Mapping[str, Any]
    sha256: str


class RecordAltered(Exception):
    """The record does not hold together; the message names the line."""


class Record:
    """Collects lines; writes them once it knows the folder."""

    def __init__(self, now: Callable[[], datetime], name: str) -> None:
        self._now = now
        self._name = name
        self._lines: list[Line] = []
        self._calls: deque[Observed] = deque()
        self._unwritten: list[bytes] = []
        self.path: Path | None = None

    @property
    def lines(self) -> tuple[Line, ...]:
        return tuple(self._lines)

    @property
    def head(self) -> str:
        """The last line's hash: noted elsewhere, it shows that no line was cut off the end."""
        return self._lines[-1].sha256 if self._lines else GENESIS

    def keep_in(self, folder: Path) -> None:
        """Write what was collected to `folder/kernel/`, and everything after it."""
        path = folder / "kernel" / f"{self._name}.jsonl"
        if self.path is None or self.path != path:
            path.parent.mkdir(parents=True, exist_ok=True)
            if self.path is not None and self.path.exists():
                self._unwritten = self.path.read_bytes().splitlines(keepends=True)
            self.path = path
        self._write()

    def observe(self, call: Observed) -> None:
        """Take note of an AWS call. A read waits in memory: it must cost next to nothing."""
        self._calls.append(call)
        if call.verdict in {"refused", "step"}:
            self.flush()

    def append(self, kind: str, body: Mapping[str, Any]) -> None:
        self._take_calls()
        self._add(kind, body)
        self._write()

    def flush(self) -> None:
        self._take_calls()
        self._write()

    def _take_calls(self) -> None:
        reads: dict[tuple[str, str], int] = {}
        while self._calls:
            call = self._calls.popleft()
            name = f"{call.service}:{call.operation}"
            if call.verdict in {"refused", "step"}:
                self._add_reads(reads)
                self._add("call", {"call": name, "verdict": call.verdict, "reason": redact(call.reason)})
            else:
                reads[(name, call.verdict)] = reads.get((name, call.verdict), 0) + 1
        self._add_reads(reads)

    def _add_reads(self, reads: dict[tuple[str, str], int]) -> None:
        for (name, verdict), count in reads.items():
            self._add("call", {"call": name, "verdict": verdict, "times": count})
        reads.clear()

    def _add(self, kind: str, body: Mapping[str, Any]) -> None:
        from deploy.journal import entry_digest
        from planner.documents import canonical_bytes

        sequence, at, previous = len(self._lines), self._now().astimezone(UTC).isoformat(), self.head
        plain = json.loads(json.dumps(body, default=str))
        own = entry_digest(sequence, at, kind, plain, previous)
        self._lines.append(Line(sequence, datetime.fromisoformat(at), kind, plain, own))
        line = {
            "sequence": sequence,
            "at": at,
            "kind": kind,
            "body": plain,
            "previous_sha256": previous,
            "sha256": own,
        }
        self._unwritten.append(canonical_bytes(line) + b"\n")

    def _write(self) -> None:
        if self.path is None or not self._unwritten:
            return
        with self.path.open("ab") as file:
            file.write(b"".join(self._unwritten))
            file.flush()
            os.fsync(file.fileno())
        self._unwritten.clear()


def read_record(path: Path, head: str | None = None) -> tuple[Line, ...]:
    """Every line of a record whose chain holds, up to `head` where that was noted.

    Raises RecordAltered with the line that was removed, altered or put in; OSError if there is no such file.
    """
    from deploy.journal import entry_digest

    lines: list[Line] = []
    previous = GENESIS
    for number, raw in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            data = json.loads(raw)
            expected = entry_digest(data["sequence"], data["at"], data["kind"], data["body"], previous)
            at = datetime.fromisoformat(data["at"])
        except (ValueError, KeyError, TypeError) as error:
            raise RecordAltered(f"{path} line {number} is no line of a record ({error}).") from None
        if data.get("previous_sha256") != previous or data["sequence"] != number - 1:
            raise RecordAltered(f"{path} line {number} does not follow the line before it: a line was removed.")
        if data.get("sha256") != expected:
            raise RecordAltered(f"{path} line {number} does not match its own hash: it was altered.")
        lines.append(Line(data["sequence"], at, data["kind"], data["body"], expected))
        previous = expected
    if head is not None and head not in {line.sha256 for line in lines}:
        raise RecordAltered(f"{path} ends before the line {head[:12]} that was noted: lines were cut off its end.")
    return tuple(lines)
