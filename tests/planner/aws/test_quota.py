"""The datapoint quota is CloudWatch's default unless the account's own is told."""

from __future__ import annotations

import pytest

from deploy.sandbox import Sandbox
from planner.aws.buckets import DATAPOINT_QUOTAS
from planner.aws.clients import DATAPOINTS_VARIABLE, connect
from planner.terminal import BadInput


def burst(monkeypatch: pytest.MonkeyPatch, told: str | None) -> float:
    if told is None:
        monkeypatch.delenv(DATAPOINTS_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(DATAPOINTS_VARIABLE, told)
    return connect(region="eu-west-2").buckets["older datapoints"]._quota.burst


def test_without_a_word_the_default_quota_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert burst(monkeypatch, None) == DATAPOINT_QUOTAS["older datapoints"].burst == 396_000


def test_a_raised_quota_replaces_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert burst(monkeypatch, "800000") == 800_000


@pytest.mark.parametrize("told", ["many", "0", "-1", "inf", "nan"])
def test_what_is_no_rate_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    with pytest.raises(BadInput, match=DATAPOINTS_VARIABLE):
        burst(monkeypatch, told)


def test_the_sandbox_has_no_quota_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox() as sandbox:
        told = sandbox.environment()[DATAPOINTS_VARIABLE]

    assert burst(monkeypatch, told) > 100 * DATAPOINT_QUOTAS["older datapoints"].burst
