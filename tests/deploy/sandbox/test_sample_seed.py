"""Two loads of the sample estate with one seed are equal, identifiers and metrics alike."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from deploy.sandbox import Sandbox
from deploy.sandbox.sample import demand
from deploy.sandbox.sample.workloads import CLUSTER, WORKLOADS


def test_demand_is_one_series_whatever_part_of_it_is_asked_for() -> None:
    minute = 29_600_000
    whole = demand.per_second(WORKLOADS[0], minute, 3000, seed=5)

    assert demand.per_second(WORKLOADS[0], minute + 1400, 100, seed=5).tolist() == whole[1400:1500].tolist()
    assert demand.per_second(WORKLOADS[0], minute, 3000, seed=6).tolist() != whole.tolist()


@pytest.mark.slow
def test_two_loads_with_one_seed_are_equal() -> None:
    def read() -> tuple[Any, ...]:
        with Sandbox(seed=3) as sandbox:
            sandbox.load_sample(seed=3)
            ecs, cloudwatch = sandbox.client("ecs"), sandbox.client("cloudwatch")
            dimensions = [{"Name": "ClusterName", "Value": CLUSTER}, {"Name": "ServiceName", "Value": "api"}]
            metric = {"Namespace": "AWS/ECS", "MetricName": "CPUUtilization", "Dimensions": dimensions}
            answer = cloudwatch.get_metric_data(
                MetricDataQueries=[{"Id": "q", "MetricStat": {"Metric": metric, "Period": 3600, "Stat": "p90"}}],
                StartTime=sandbox.now - timedelta(days=15),
                EndTime=sandbox.now,
            )
            tasks = ecs.list_tasks(cluster=CLUSTER)["taskArns"]
            return tasks, answer["MetricDataResults"][0]["Values"]

    first = read()

    assert len(first[1]) == 360  # 15 days x 24 hours
    assert first == read()
