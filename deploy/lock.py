"""One run at a time for one cluster: by a local file, an S3 object or a DynamoDB item.

The holder is the run, not the process: a run that was killed takes its own lock again, and nobody else's.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

from deploy.ports import CallFailed, Clock, Lock, LockHeld

LEASE = timedelta(hours=6)
"""After this a lock whose holder is gone may be taken over; longer than any run."""

Call = Callable[..., dict[str, Any]]


class LocalLock:
    """A file that the operating system locks while the process lives: a killed run holds nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    def acquire(self, holder: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            other = file.read().strip() or "another run"
            file.close()
            raise LockHeld(f"{other} holds {self.path}: wait until it has ended.") from None
        file.truncate(0)
        file.write(f"{holder} (process {os.getpid()})\n")
        file.flush()
        self._file = file

    def release(self, holder: str) -> None:
        del holder  # the open file is the proof
        if self._file is not None:
            self._file.close()
            self._file = None


class S3Lock:
    """An object that only the first writer creates (If-None-Match); a stale one is replaced by If-Match."""

    def __init__(self, call: Call, clock: Clock, bucket: str, key: str) -> None:
        self._call, self._clock, self.bucket, self.key = call, clock, bucket, key

    def acquire(self, holder: str) -> None:
        body = f"{holder}\n{self._clock.now().isoformat()}\n".encode()
        try:
            self._call("s3", "PutObject", Bucket=self.bucket, Key=self.key, Body=body, IfNoneMatch="*")
            return
        except CallFailed as error:
            if error.code not in CONDITION_FAILED:
                raise
        held = self._call("s3", "GetObject", Bucket=self.bucket, Key=self.key)
        other, since = _parse(held["Body"].read().decode())
        _require_free(other, since, holder, self._clock.now(), f"s3://{self.bucket}/{self.key}")
        try:
            self._call("s3", "PutObject", Bucket=self.bucket, Key=self.key, Body=body, IfMatch=held["ETag"])
        except CallFailed as error:
            if error.code not in CONDITION_FAILED:
                raise
            raise LockHeld(
                f"Another run took s3://{self.bucket}/{self.key} first: wait until it has ended."
            ) from None

    def release(self, holder: str) -> None:
        held = self._call("s3", "GetObject", Bucket=self.bucket, Key=self.key)
        if _parse(held["Body"].read().decode())[0] == holder:
            self._call("s3", "DeleteObject", Bucket=self.bucket, Key=self.key)


class DynamoLock:
    """An item that is put only where there is none, it is one's own, or its lease is over."""

    def __init__(self, call: Call, clock: Clock, table: str, name: str) -> None:
        self._call, self._clock, self.table, self.name = call, clock, table, name

    def acquire(self, holder: str) -> None:
        now = self._clock.now()
        try:
            self._call(
                "dynamodb",
                "PutItem",
                TableName=self.table,
                Item={
                    "LockID": {"S": self.name},
                    "Holder": {"S": holder},
                    "ExpiresAt": {"N": str(int((now + LEASE).timestamp()))},
                },
                ConditionExpression="attribute_not_exists(LockID) OR Holder = :me OR ExpiresAt < :now",
                ExpressionAttributeValues={":me": {"S": holder}, ":now": {"N": str(int(now.timestamp()))}},
            )
        except CallFailed as error:
            if error.code not in CONDITION_FAILED:
                raise
            raise LockHeld(
                f"Another run holds {self.name} in DynamoDB table {self.table}: wait until it has ended."
            ) from None

    def release(self, holder: str) -> None:
        try:
            self._call(
                "dynamodb",
                "DeleteItem",
                TableName=self.table,
                Key={"LockID": {"S": self.name}},
                ConditionExpression="Holder = :me",
                ExpressionAttributeValues={":me": {"S": holder}},
            )
        except CallFailed as error:
            if error.code not in CONDITION_FAILED:
                raise


CONDITION_FAILED = frozenset(
    {"PreconditionFailed", "ConditionalCheckFailedException", "ConditionalRequestConflict"}
)


def _parse(text: str) -> tuple[str, datetime | None]:
    holder, _, since = text.partition("\n")
    try:
        return holder, datetime.fromisoformat(since.strip())
    except ValueError:
        return holder, None


def _require_free(other: str, since: datetime | None, holder: str, now: datetime, where: str) -> None:
    if other == holder or (since is not None and now - since > LEASE):
        return
    raise LockHeld(f"Run {other} holds {where} since {since}: wait until it has ended, or remove the object.")


class BadLock(ValueError):
    """A lock that cannot be understood; the message says how to write one."""


def lock_from(text: str | None, call: Call, clock: Clock, folder: Path, scope: str) -> Lock:
    """`s3://bucket/key`, `dynamodb://table`, or None for a file in `folder`. `scope` names what is locked."""
    if text is None:
        return LocalLock(folder / f"{scope}.lock")
    scheme, _, rest = text.partition("://")
    if scheme == "s3" and "/" in rest:
        bucket, _, key = rest.partition("/")
        return S3Lock(call, clock, bucket, key or f"{scope}.lock")
    if scheme == "dynamodb" and rest:
        return DynamoLock(call, clock, rest.strip("/"), scope)
    raise BadLock(f"--lock {text!r} is not understood: write s3://bucket/key or dynamodb://table.")
