"""The sample estate is healthy when it is loaded, and its metrics have what a planner has to cope with."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.sandbox import Sandbox
from deploy.sandbox.sample.workloads import CLUSTER, WORKLOADS


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        running.load_sample()
        yield running


def services(sandbox: Sandbox) -> list[dict[str, Any]]:
    ecs = sandbox.client("ecs")
    arns = ecs.list_services(cluster=CLUSTER, maxResults=100)["serviceArns"]
    return [
        service
        for start in range(0, len(arns), 10)
        for service in ecs.describe_services(cluster=CLUSTER, services=arns[start : start + 10])["services"]
    ]


def values(
    sandbox: Sandbox, service: str, metric: str, statistic: str, start: datetime, hours: int, period: int
) -> list[float]:
    query = {
        "Id": "q",
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/ECS",
                "MetricName": metric,
                "Dimensions": [
                    {"Name": "ClusterName", "Value": CLUSTER},
                    {"Name": "ServiceName", "Value": service},
                ],
            },
            "Period": period,
            "Stat": statistic,
        },
    }
    answer = sandbox.client("cloudwatch").get_metric_data(
        MetricDataQueries=[query],
        StartTime=start,
        EndTime=start + timedelta(hours=hours),
        ScanBy="TimestampAscending",
    )
    found: list[float] = answer["MetricDataResults"][0]["Values"]
    return found


def test_every_service_runs_what_it_desires(sandbox: Sandbox) -> None:
    found = services(sandbox)

    assert {service["serviceName"] for service in found} == {w.name for w in WORKLOADS}
    assert 8 <= len(found) <= 12
    for service in found:
        assert service["runningCount"] == service["desiredCount"] > 0
        assert [d["rolloutState"] for d in service["deployments"]] == ["COMPLETED"]


def test_the_group_is_of_one_type_in_three_zones_and_holds_far_more_than_is_reserved(sandbox: Sandbox) -> None:
    ecs = sandbox.client("ecs")
    arns = ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
    instances = ecs.describe_container_instances(cluster=CLUSTER, containerInstances=arns)["containerInstances"]

    def attribute(instance: dict[str, Any], name: str) -> str:
        return next(a["value"] for a in instance["attributes"] if a["name"] == name)

    def cpu(instance: dict[str, Any], which: str) -> int:
        return next(r["integerValue"] for r in instance[which] if r["name"] == "CPU")

    assert {attribute(i, "ecs.instance-type") for i in instances} == {"m5.2xlarge"}
    assert {attribute(i, "ecs.availability-zone")[-1] for i in instances} == {"a", "b", "c"}
    assert {i["capacityProviderName"] for i in instances} == {"general-purpose"}
    free = sum(cpu(i, "remainingResources") for i in instances)
    assert free > 0.5 * sum(cpu(i, "registeredResources") for i in instances)


def test_the_sample_count_is_the_number_of_running_tasks(sandbox: Sandbox) -> None:
    minute = sandbox.now - timedelta(minutes=1)

    assert values(sandbox, "auth", "CPUUtilization", "SampleCount", minute, 1, 60)[0] == 4


def test_working_days_are_busier_than_the_weekend_and_the_bank_holiday(sandbox: Sandbox) -> None:
    def midday(day: int) -> float:
        start = datetime(2026, 5, day, 9, tzinfo=UTC)
        return values(sandbox, "auth", "CPUUtilization", "Average", start, 2, 7200)[0]

    assert midday(6) > 1.8 * midday(9)  # Wednesday, Saturday
    assert midday(6) > 1.8 * midday(4)  # Wednesday, the bank holiday Monday


def test_the_day_follows_london_time_not_utc(sandbox: Sandbox) -> None:
    # 07:30 in London is 06:30 UTC in May: the morning has begun, while 06:30 in London is still night.
    at = [
        values(sandbox, "frontend", "CPUUtilization", "Average", datetime(2026, 5, 6, h, 15, tzinfo=UTC), 1, 900)[
            0
        ]
        for h in (4, 7)
    ]

    assert at[1] > 2 * at[0]


def test_documents_uses_twice_the_share_of_its_reservation_after_it_was_halved(sandbox: Sandbox) -> None:
    before = values(
        sandbox, "documents", "CPUUtilization", "Average", datetime(2026, 5, 7, 10, tzinfo=UTC), 4, 14400
    )
    after = values(
        sandbox, "documents", "CPUUtilization", "Average", datetime(2026, 5, 8, 10, tzinfo=UTC), 4, 14400
    )
    history = sandbox.client("ecs").list_service_deployments(cluster=CLUSTER, service="documents")

    assert 1.5 < after[0] / before[0] < 2.6
    assert history["serviceDeployments"][0]["createdAt"] == datetime(2026, 5, 8, 9, 30, tzinfo=UTC)


def test_the_incident_saturates_the_api(sandbox: Sandbox) -> None:
    incident = datetime(2026, 5, 6, 13, 10, tzinfo=UTC)

    assert max(values(sandbox, "api", "CPUUtilization", "Maximum", incident, 1, 60)) > 95
    assert max(values(sandbox, "api", "CPUUtilization", "Maximum", incident - timedelta(days=1), 1, 60)) < 95


def test_metrics_go_on_with_the_clock_and_follow_the_tasks_that_run(sandbox: Sandbox) -> None:
    ecs, start = sandbox.client("ecs"), sandbox.now
    ecs.update_service(cluster=CLUSTER, service="payments", desiredCount=5)
    sandbox.advance(600)

    minute_before = start - timedelta(minutes=1)
    counts = values(sandbox, "payments", "CPUUtilization", "SampleCount", minute_before, 1, 60)
    assert counts == [3] + [5] * 10  # two more tasks start within the first of the ten minutes


def test_a_service_that_publishes_every_twenty_seconds_sends_three_samples_a_task(sandbox: Sandbox) -> None:
    """The last test here, since it changes the estate."""
    fast = {"metricConfigurations": [{"metricNames": ["CPUUtilization"], "resolutionSeconds": 20}]}
    sandbox.client("ecs").update_service(cluster=CLUSTER, service="admin", monitoring=fast)
    sandbox.advance(1200)
    at = sandbox.now.replace(second=0, microsecond=0) - timedelta(minutes=5)
    running = next(s for s in services(sandbox) if s["serviceName"] == "admin")["runningCount"]

    def read(metric: str, period: int) -> list[float]:
        return values(sandbox, "admin", metric, "SampleCount", at, 1, period)

    assert read("CPUUtilization", 60) == [3.0 * running] * 5
    assert read("CPUUtilization", 20) == [float(running)] * 15
    assert read("MemoryUtilization", 60) == [float(running)] * 5
    busy = values(sandbox, "admin", "CPUUtilization", "Average", at, 1, 20)
    assert all(0 < percent < 102 for percent in busy)
    assert len(set(busy)) == 15  # each of its own
