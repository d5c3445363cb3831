"""Percent of a reservation becomes vCPU and MiB with the size and task count of that minute."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from planner import frames
from planner.metrics import usage
from planner.model import ScalingTarget, TargetTracking
from tests.planner.aws.estates import deployment, estate, service
from tests.planner.metrics.points import NOON, points, together

MINUTE = timedelta(minutes=1)


def service_points(
    cpu: list[float], tasks: list[float], memory: list[float] | None = None, **options: object
) -> pd.DataFrame:
    memory = memory if memory is not None else [50.0] * len(cpu)
    return together(
        points(cpu, **options),  # type: ignore[arg-type]
        points([2 * v for v in cpu], statistic="Maximum", **options),  # type: ignore[arg-type]
        points(tasks, statistic="SampleCount", **options),  # type: ignore[arg-type]
        points(memory, metric="MemoryUtilization", **options),  # type: ignore[arg-type]
        points(memory, metric="MemoryUtilization", statistic="Maximum", **options),  # type: ignore[arg-type]
    )


def test_percent_times_tasks_times_size() -> None:
    found = usage(service_points([50.0], [4.0]), estate(service("web", cpu=512, memory=1024)))

    frames.check(found, frames.USAGE)
    (row,) = found.to_dict("records")
    assert row["running_tasks"] == 4
    assert row["cpu_reserved_vcpu"] == 4 * 0.5
    assert row["cpu_used_vcpu"] == 4 * 0.5 * 0.5
    assert row["cpu_used_max_per_task_vcpu"] == 0.5 * 1.0  # Maximum is 100 %
    assert (row["memory_reserved_mib"], row["memory_used_mib"]) == (4 * 1024, 4 * 512)
    assert np.isnan(row["requests_per_second"])


def test_a_deployment_that_halves_the_reservation_does_not_look_like_doubled_load() -> None:
    at = NOON + 10 * MINUTE
    web = service(
        "web", cpu=512, deployments=(deployment(NOON - timedelta(days=9), NOON, 1024), deployment(at, at, 512))
    )
    # the same 1 vCPU on 4 tasks: 25 % of 4 x 1 vCPU, then 50 % of 4 x 0.5 vCPU
    cpu = [25.0] * 10 + [50.0] * 10

    found = usage(service_points(cpu, [4.0] * 20), estate(web))

    assert found["cpu_used_vcpu"].tolist() == [1.0] * 20
    assert found["cpu_reserved_vcpu"].tolist() == [4.0] * 10 + [2.0] * 10


def test_sizes_are_blended_while_a_deployment_rolls() -> None:
    start = deployment(NOON - timedelta(days=9), NOON - timedelta(days=9), 1024)
    rolling = deployment(NOON, NOON + 10 * MINUTE, 512)

    found = usage(service_points([50.0] * 12, [4.0] * 12), estate(service("web", deployments=(start, rolling))))

    per_task = (found["cpu_reserved_vcpu"] / 4).tolist()
    assert per_task[0] == 1.0
    assert per_task[5] == 0.75
    assert per_task[10:] == [0.5, 0.5]


def test_a_size_before_the_first_known_deployment_is_told_as_assumed() -> None:
    web = service("web", deployments=(deployment(NOON + MINUTE, NOON + MINUTE, 512),))

    found = usage(service_points([50.0] * 3, [2.0] * 3), estate(web))

    (rejection,) = found.attrs["rejections"]
    assert rejection.what == "service/web"
    assert "task size before 2026-05-13 12:01 UTC is not known" in rejection.reason


@pytest.mark.parametrize("whole_service", [False, True])
def test_container_insights_reservation_is_used_where_it_was_recorded(whole_service: bool) -> None:
    # 1,024 units a task until the deployment nobody remembers, 512 afterwards
    per_task = np.array([1024.0] * 5 + [512.0] * 5)
    reserved = per_task * (4 if whole_service else 1)
    frame = together(
        service_points([25.0] * 5 + [50.0] * 5, [4.0] * 10), points(reserved.tolist(), metric="CpuReserved")
    )

    found = usage(frame, estate(service("web", cpu=512)))

    assert found["cpu_used_vcpu"].tolist() == [1.0] * 10


def test_five_minute_points_count_tasks_a_minute() -> None:
    found = usage(service_points([50.0], [20.0], period_s=300), estate(service("web")))

    assert found["running_tasks"].tolist() == [4.0]
    assert found["period_s"].tolist() == [300]


def test_a_service_that_publishes_every_twenty_seconds_has_three_samples_a_task() -> None:
    policy = TargetTracking("cpu", "ECSServiceAverageCPUUtilizationHighResolution", 60.0)
    web = replace(service("web"), scaling=ScalingTarget(1, 9, (policy,)))  # two tasks run

    found = usage(service_points([50.0] * 3, [6.0] * 3), estate(web))

    assert found["running_tasks"].tolist() == [2.0] * 3


def test_a_service_that_went_over_to_twenty_seconds_is_counted_as_it_published_at_the_time() -> None:
    at = NOON + 3 * MINUTE
    before = replace(deployment(NOON - timedelta(days=9), NOON, 1024), fast_metrics=())
    after = replace(deployment(at, at, 1024), fast_metrics=("CPUUtilization",))
    web = service("web", cpu=1024, deployments=(before, after))

    found = usage(service_points([50.0] * 6, [2.0] * 3 + [6.0] * 3), estate(web))

    assert found["running_tasks"].tolist() == [2.0] * 6
    assert found["cpu_used_vcpu"].tolist() == [1.0] * 6  # two tasks of a vCPU, half busy


def test_requests_and_latency_come_from_the_target_groups_of_the_service() -> None:
    arns = tuple(f"arn:aws:elasticloadbalancing:eu-west-2:1:targetgroup/{n}/0123" for n in ("blue", "green"))
    traffic = [
        points(
            [600.0, 300.0], resource=f"target-group/{n}", metric="RequestCount", statistic="Sum", minutes=[0, 2]
        )
        for n in ("blue", "green")
    ]
    latency = [
        points([value] * 3, resource=f"target-group/{n}", metric="TargetResponseTime", statistic="p99")
        for n, value in (("blue", 0.2), ("green", 0.4))
    ]
    frame = together(service_points([50.0] * 4, [2.0] * 4), *traffic, *latency)

    found = usage(frame, estate(service("web", target_group_arns=arns)))

    # 2 x 600 a minute; none in the minute between; unknown after the last
    assert found["requests_per_second"].tolist()[:3] == [20.0, 0.0, 10.0]
    assert np.isnan(found["requests_per_second"].tolist()[3])
    assert found["latency_p99_s"].tolist()[:3] == [0.4] * 3


def test_gaps_are_absent_rows_not_zeros() -> None:
    frame = together(
        points([50.0, 50.0], minutes=[0, 5]),
        points([2.0, 2.0], minutes=[0, 5], statistic="SampleCount"),
    )

    found = usage(frame, estate(service("web")))

    assert len(found) == 2


def test_what_cannot_be_computed_is_a_reason_by_name() -> None:
    frame = points([50.0], resource="service/web")

    found = usage(frame, estate(service("web"), service("api")))

    assert len(found) == 0
    reasons = {r.what: r.reason for r in found.attrs["rejections"]}
    assert "task count was not recorded" in reasons["service/web"]
    assert "no utilisation" in reasons["service/api"]
