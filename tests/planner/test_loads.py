"""What a task carries, what to scale on, and whose demand is only a lower bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from planner.documents.plan import ServiceDemand
from planner.loads import turned_away, with_load
from planner.model import Estate, Route, Service
from planner.settings import Settings
from planner.workloads import summarise
from tests import estates
from tests.planner.demand.usage import usage_table

ROWS = 2016


def service(name: str) -> Service:
    return estates.service(name, 1024, 2048, 2)


def behind(balancer: str, name: str = "web") -> Estate:
    route = Route(balancer, 443, "1", ("path /*",), "arn:aws:elasticloadbalancing:eu-west-2:1:targetgroup/t/1")
    return estates.estate(replace(service(name), routes=(route,)))


def counted(requests: float, rejected: float, balancer: str = "public") -> pd.DataFrame:
    """One minute of a load balancer's counts."""
    at = pd.Timestamp("2026-05-04T12:00Z")
    rows = [("RequestCount", requests), ("RejectedConnectionCount", rejected)]
    return pd.DataFrame(
        [
            {
                "resource": f"load-balancer/{balancer}", "metric": metric, "statistic": "Sum",
                "timestamp": at, "period_s": 60, "value": value,
            }
            for metric, value in rows
        ]
    )  # fmt: skip


def summary() -> ServiceDemand:
    return summarise("web", np.ones(10), np.zeros(10, bool))


def test_a_minute_that_turned_requests_away_names_every_service_behind_the_balancer() -> None:
    found = turned_away(counted(600, 60), behind("public"))

    # 60 rejected in a minute is 1 a second
    assert found.to_dict("records") == [
        {"service": "web", "timestamp": pd.Timestamp("2026-05-04T12:00Z"), "rejected_per_second": 1.0}
    ]


@pytest.mark.parametrize(
    ("points", "balancer"),
    [
        (counted(6000, 60), "public"),  # 60 of 6,060 is under one in a hundred
        (counted(600, 0), "public"),
        (counted(600, 60, "internal"), "public"),
    ],
)
def test_a_stray_error_or_another_balancer_marks_nothing(points: pd.DataFrame, balancer: str) -> None:
    assert turned_away(points, behind(balancer)).empty


def test_a_task_carries_what_its_cpu_allows() -> None:
    requests = np.random.default_rng(0).uniform(5, 60, ROWS)
    usage = usage_table(ROWS, cpu_per_task=0.01 * requests, requests_per_task=requests)

    found = with_load(summary(), service("web"), usage, Settings(utilisation=0.8))

    # 0.8 of 1 vCPU at 0.01 vCPU a request a second
    assert found.carries is not None
    assert found.carries.requests_per_second_per_task == pytest.approx(80, rel=0.01)
    assert found.carries.bound_by == "cpu"
    assert found.scale_on == "ECSServiceAverageCPUUtilization"


def test_requests_that_tell_no_load_give_the_reason() -> None:
    usage = usage_table(ROWS, requests_per_task=10.0)

    found = with_load(summary(), service("web"), usage, Settings())

    assert found.carries is None
    assert "hardly varies" in found.scale_on_reason


def test_a_worker_of_a_queue_scales_on_its_backlog() -> None:
    worker = replace(service("worker"), queue_name="jobs")

    found = with_load(summary(), worker, usage_table(ROWS), Settings())

    assert "drains the queue jobs" in found.scale_on_reason


def test_without_a_load_balancer_nothing_is_said() -> None:
    assert with_load(summary(), service("web"), usage_table(ROWS), Settings()) == summary()
