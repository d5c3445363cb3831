"""The replay against AWS's published benchmark (aws/containers-roadmap#2113, comment of 2026-09-15)."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from planner.scaling import parse_policy, simulate

AWS = {60: (363, 386), 20: (86, 109)}
METRIC = {60: "ECSServiceAverageCPUUtilization", 20: "ECSServiceAverageCPUUtilizationHighResolution"}


@pytest.mark.parametrize("period_s", [60, 20])
def test_a_load_step_is_answered_within_ten_percent_of_aws_s_time(period_s: int) -> None:
    policy = parse_policy(
        {"task_vcpu": 1, "min": 2, "max": 99, "target_tracking": {"target": 50, "metric": METRIC[period_s]}}
    )
    load = np.r_[np.full(20, 1.0), np.full(20, 1.9)]
    outcome = simulate(load, datetime(2026, 1, 1, tzinfo=UTC), policy)
    triggered = outcome.activities[0].second - 20 * 60
    provisioned = triggered + policy.delays.task_start_s.value_s
    trigger, provision = AWS[period_s]

    assert triggered == pytest.approx(trigger, rel=0.1)
    assert provisioned == pytest.approx(provision, rel=0.1)
