"""Verification knows what the plan itself may have changed since, and waits for tasks that still start."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.apply import apply
from deploy.diff import diff
from deploy.emit import config_from_plan
from deploy.observe import Observation
from deploy.ports import ServiceCounts
from deploy.verify import SETTLES_WITHIN, _state, verify
from planner.documents import ConfigDocument
from tests.deploy import small
from tests.deploy.estate import person
from tests.deploy.fakes import FakeCloud
from tests.plans import plan

TARGET = "scalable-target/web"


def config() -> ConfigDocument:
    """A target of 2 to 9 with one scheduled action that sets 4 to 9."""
    return config_from_plan(plan())


def observed(low: int, high: int) -> Observation:
    wanted = {TARGET: limits(2, 9)}
    return Observation({TARGET: limits(low, high)}, wanted)


def limits(low: int, high: int) -> dict[str, Any]:
    return {"MinCapacity": low, "MaxCapacity": high, "SuspendedState": {}}


def state_of(low: int, high: int) -> tuple[str, str]:
    seen = observed(low, high)
    check = _state(TARGET, diff(seen.live, seen.wanted, config()).changes, seen, config())
    return str(check.status), check.reason


def test_the_approved_limits_are_as_approved() -> None:
    assert state_of(2, 9) == ("OK", "equal in every field of the bundle")


def test_limits_that_an_approved_schedule_has_set_since_are_as_approved() -> None:
    status, reason = state_of(4, 9)

    assert status == "OK"
    assert "scheduled-action/web/morning, which has acted since" in reason


def test_limits_that_nobody_approved_are_told() -> None:
    assert state_of(5, 9) == ("NG", "differs in MinCapacity")


@pytest.fixture
def applied(tmp_path: Path) -> FakeCloud:
    """A bundle that has been carried out."""
    fake, maria = small.cloud(), person(tmp_path)
    approval, approvers = small.approved(small.bundle(), fake, maria)
    assert apply(small.bundle(), approval, approvers, small.world(fake), tmp_path / "journal").succeeded
    return fake


def wrong(fake: FakeCloud, **options: Any) -> list[str]:
    checks = verify(small.bundle(), fake, fake.clock, **options)
    return [f"{check.name}: {check.reason}" for check in checks if check.status == "NG"]


def start_tasks_at(fake: FakeCloud, moment: datetime) -> None:
    """One of four tasks runs until `moment`, then all do."""

    def counts(service: str) -> ServiceCounts | None:
        return ServiceCounts(4, 4, 0) if fake.clock.now() >= moment else ServiceCounts(4, 1, 3)

    fake.service_counts = counts  # type: ignore[method-assign]


def test_tasks_that_start_in_time_are_waited_for(applied: FakeCloud) -> None:
    ready = applied.clock.now() + timedelta(minutes=3)
    said: list[str] = []
    start_tasks_at(applied, ready)

    assert wrong(applied, say=said.append) == []
    assert applied.clock.now() == ready
    assert said[0] == "service/web settles: 1 of 4 running, 3 pending"


def test_tasks_that_never_start_are_told_when_the_wait_is_over(applied: FakeCloud) -> None:
    began = applied.clock.now()
    start_tasks_at(applied, began + timedelta(days=1))

    assert wrong(applied) == ["service/web runs what it wants: 1 of 4 running, 3 pending"]
    assert applied.clock.now() == began + SETTLES_WITHIN


def test_nothing_is_waited_for_where_waiting_cannot_help(applied: FakeCloud) -> None:
    began = applied.clock.now()
    start_tasks_at(applied, began + timedelta(minutes=3))
    applied.state["scalable-target/web"] = {**(applied.state["scalable-target/web"] or {}), "MinCapacity": 1}

    assert len(wrong(applied)) == 2  # the tasks and the limit
    assert applied.clock.now() == began
