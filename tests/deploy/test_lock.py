"""One run at a time: a second is refused, a killed one takes its own lock again, a stale one is taken over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.lock import BadLock, lock_from
from deploy.ports import Lock, LockHeld
from deploy.sandbox import Sandbox
from tests.deploy import estate

Make = Callable[[], Lock]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture(params=["s3://locks/ecs/", "dynamodb://locks"])
def make(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path) -> Make:
    if request.param.startswith("s3"):
        where = {"LocationConstraint": estate.REGION}
        sandbox.client("s3").create_bucket(Bucket="locks", CreateBucketConfiguration=where)
    else:
        sandbox.client("dynamodb").create_table(
            TableName="locks",
            KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    calls = estate.calls_of(sandbox)
    return lambda: lock_from(request.param, calls.call, calls.clock, tmp_path, "scope")


def test_a_second_run_is_refused_until_the_first_releases(make: Make) -> None:
    first, second = make(), make()
    first.acquire("run-1")
    with pytest.raises(LockHeld, match="wait until it has ended"):
        second.acquire("run-2")
    first.release("run-1")
    second.acquire("run-2")


def test_a_killed_run_takes_its_own_lock_again(make: Make) -> None:
    make().acquire("run-1")
    make().acquire("run-1")


def test_nobody_releases_another_s_lock(make: Make) -> None:
    make().acquire("run-1")
    make().release("run-2")
    with pytest.raises(LockHeld):
        make().acquire("run-2")


def test_a_lock_whose_lease_is_over_is_taken_over(make: Make, sandbox: Sandbox) -> None:
    make().acquire("run-1")
    sandbox.advance(6 * 60 * 60 + 61)
    make().acquire("run-2")
    with pytest.raises(LockHeld):
        make().acquire("run-1")


def test_a_local_lock_ends_with_its_process(tmp_path: Path) -> None:
    first, second = (lock_from(None, dict, None, tmp_path, "scope") for _ in range(2))  # type: ignore[arg-type]
    first.acquire("run-1")
    with pytest.raises(LockHeld, match="run-1"):
        second.acquire("run-2")
    first.release("run-1")
    second.acquire("run-2")


@pytest.mark.parametrize("text", ["s3://bucket", "dynamodb://", "redis://x", "file"])
def test_a_lock_that_is_not_understood_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(BadLock, match="write s3://bucket/key"):
        lock_from(text, dict, None, tmp_path, "scope")  # type: ignore[arg-type]
