"""Capacity providers scale their groups as AWS's managed scaling does."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.deploy.sandbox.conftest import CLUSTER, GROUP, PROVIDER, Estate


def scaled(estate: Estate, instances: int, **scaling: Any) -> Estate:
    estate.add_provider(estate.add_group(instances), status="ENABLED", **scaling)
    estate.sandbox.advance(100)
    return estate


def whole(estate: Estate, count: int, name: str = "whole") -> None:
    """A service of tasks that fill an m5.large (2 vCPU) each."""
    estate.create(name, count, estate.definition(family=name, cpu=2048))


def reservation(estate: Estate) -> list[float]:
    metric = {
        "Namespace": "AWS/ECS/ManagedScaling",
        "MetricName": "CapacityProviderReservation",
        "Dimensions": [
            {"Name": "CapacityProviderName", "Value": PROVIDER},
            {"Name": "ClusterName", "Value": CLUSTER},
        ],
    }
    answer = estate.sandbox.client("cloudwatch").get_metric_data(
        MetricDataQueries=[{"Id": "q", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Average"}}],
        StartTime=estate.sandbox.now - timedelta(minutes=30),
        EndTime=estate.sandbox.now,
    )
    values: list[float] = answer["MetricDataResults"][0]["Values"]
    return values


def test_waiting_tasks_bring_the_instances_they_need(estate: Estate) -> None:
    scaled(estate, 1)
    whole(estate, 4)
    assert {task["lastStatus"] for task in estate.tasks("whole")} == {"PENDING", "PROVISIONING"}

    estate.sandbox.advance(60)
    assert reservation(estate)[0] == 400.0  # 1 occupied + 3 for the waiting, on 1
    assert estate.group["DesiredCapacity"] == 4
    estate.sandbox.advance(180)
    assert estate.counts("whole") == (4, 0)


def test_from_zero_two_instances_are_launched(estate: Estate) -> None:
    scaled(estate, 0)
    assert reservation(estate) == [100.0]
    estate.create(count=1)
    estate.sandbox.advance(60)

    assert reservation(estate)[0] == 200.0
    assert estate.group["DesiredCapacity"] == 2


def test_steps_are_capped_and_the_warm_up_holds_the_next_one_back(estate: Estate) -> None:
    scaled(estate, 1, maximumScalingStepSize=2, instanceWarmupPeriod=300)
    whole(estate, 8)

    sizes = []
    for _ in range(8):
        estate.sandbox.advance(60)
        sizes.append(estate.group["DesiredCapacity"])

    assert sizes == [3, 3, 3, 3, 3, 5, 5, 5]


def test_a_target_below_100_keeps_spare_instances(estate: Estate) -> None:
    scaled(estate, 1, targetCapacity=50)
    whole(estate, 3)
    estate.sandbox.advance(600)

    assert estate.group["DesiredCapacity"] == 6  # 3 occupied are 50 % of 6


def test_empty_instances_leave_after_15_minutes_and_occupied_ones_never(estate: Estate) -> None:
    scaled(estate, 6)
    whole(estate, 2)
    estate.sandbox.advance(14 * 60)
    assert len(estate.instances()) == 6
    busy = {task["containerInstanceArn"] for task in estate.tasks("whole")}

    sizes = []
    for _ in range(5):
        estate.sandbox.advance(60)
        sizes.append(len(estate.instances()))

    assert sizes[-1] == 2
    assert sizes == sorted(sizes, reverse=True)
    assert all(before - after < before / 2 or before - after == 1 for before, after in pairwise(sizes))
    assert {i["containerInstanceArn"] for i in estate.instances()} == busy


def test_the_group_s_limits_hold(estate: Estate) -> None:
    scaled(estate, 3)
    estate.groups.update_auto_scaling_group(AutoScalingGroupName=GROUP, MinSize=2, MaxSize=4)
    estate.sandbox.advance(30 * 60)
    assert estate.group["DesiredCapacity"] == 2
    whole(estate, 9)
    estate.sandbox.advance(1200)
    assert estate.group["DesiredCapacity"] == 4


def test_a_task_that_fits_no_instance_of_the_type_does_not_scale_the_group(estate: Estate) -> None:
    scaled(estate, 1)
    estate.create("huge", 1, estate.definition(family="huge", cpu=8192))
    estate.sandbox.advance(600)

    assert estate.group["DesiredCapacity"] == 1
    assert [task["lastStatus"] for task in estate.tasks("huge")] == ["PROVISIONING"]


@pytest.mark.parametrize("status", ["DISABLED"])
def test_without_managed_scaling_nothing_moves(estate: Estate, status: str) -> None:
    estate.add_provider(estate.add_group(3), status=status)
    estate.sandbox.advance(3600)

    assert len(estate.instances()) == 3
    assert reservation(estate) == []
