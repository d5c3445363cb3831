"""Usage is demand only where nothing was held back; elsewhere it is marked as a lower bound."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from planner.demand import demand, request_demand
from tests.planner.demand.usage import usage_table


def test_usage_below_its_limits_is_the_demand() -> None:
    result = demand(usage_table(3, cpu_per_task=0.5, mib_per_task=1000.0))

    assert result["vcpu"].tolist() == [1.0, 1.0, 1.0]  # 2 tasks x 0.5 vCPU
    assert result["memory_mib"].tolist() == [2000.0] * 3
    assert not result["censored"].any()


def test_cpu_at_its_limit_is_a_lower_bound() -> None:
    result = demand(usage_table(3, cpu_per_task=np.array([0.5, 0.96, 1.0])))

    assert result["censored"].tolist() == [False, True, True]
    assert result["vcpu"].tolist() == pytest.approx([1.0, 1.92, 2.0])


def test_one_task_at_its_limit_is_enough() -> None:
    table = usage_table(2, cpu_per_task=0.5)
    table.loc[1, "cpu_used_max_per_task_vcpu"] = 1.0

    assert demand(table)["censored"].tolist() == [False, True]


def test_a_service_seen_above_its_reservation_is_not_limited_by_it() -> None:
    """On EC2 the reservation is a share, not a limit: 1.5 of 1 vCPU proves it, so 0.97 was no limit."""
    table = usage_table(3, cpu_per_task=np.array([0.5, 0.97, 1.5]))

    assert not demand(table)["censored"].any()
    assert demand(table, hard_cpu_limit={"web": True})["censored"].tolist() == [False, True, True]


def test_memory_at_its_limit_is_a_lower_bound() -> None:
    result = demand(usage_table(2, mib_per_task=np.array([1000.0, 2040.0])))

    assert result["censored"].tolist() == [False, True]  # 2040 of 2048 MiB


def test_rejected_requests_mark_their_minute() -> None:
    table = usage_table(3, requests_per_task=10.0)
    rejected = pd.DataFrame(
        {"service": ["web"], "timestamp": [table["timestamp"].iloc[1]], "rejected_per_second": [4.0]}
    )

    assert demand(table, rejected_per_second=rejected)["censored"].tolist() == [False, True, False]
    requests = request_demand(table, rejected_per_second=rejected)
    assert requests["requests_per_second"].tolist() == [20.0, 24.0, 20.0]  # 2 tasks x 10, + 4 refused
    assert requests["censored"].tolist() == [False, True, False]


def test_minutes_without_a_metric_are_absent() -> None:
    table = usage_table(3)
    table.loc[1, "cpu_used_vcpu"] = np.nan

    assert len(demand(table)) == 2


def test_a_service_without_a_load_balancer_has_no_request_demand() -> None:
    assert request_demand(usage_table(3)).empty


def test_a_table_without_its_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="no column cpu_used_vcpu"):
        demand(usage_table(3).drop(columns="cpu_used_vcpu"))
