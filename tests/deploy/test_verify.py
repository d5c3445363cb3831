"""Verification knows what the plan itself may have changed since."""

from __future__ import annotations

from typing import Any

from deploy.diff import diff
from deploy.emit import config_from_plan
from deploy.observe import Observation
from deploy.verify import _state
from planner.documents import ConfigDocument
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
