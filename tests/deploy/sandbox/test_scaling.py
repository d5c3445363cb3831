"""Application Auto Scaling: targets, policies with true alarms, schedules in their time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deploy.sandbox.scaling.schedule import ScheduleError, following
from deploy.sandbox.series import MetricKey
from tests.deploy.sandbox.conftest import CLUSTER, Estate

TARGET = {
    "ServiceNamespace": "ecs",
    "ResourceId": f"service/{CLUSTER}/web",
    "ScalableDimension": "ecs:service:DesiredCount",
}
CPU = {"PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}}


@pytest.fixture
def scaled(fleet: Estate) -> Estate:
    """Four tasks, between 2 and 10."""
    fleet.create(count=4)
    fleet.sandbox.advance(140)
    fleet.scaling.register_scalable_target(**TARGET, MinCapacity=2, MaxCapacity=10)
    return fleet


def track(estate: Estate, target: float = 50.0, name: str = "cpu", **fields: Any) -> None:
    estate.scaling.put_scaling_policy(
        **TARGET,
        PolicyName=name,
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={"TargetValue": target, **CPU, **fields},
    )


def use(estate: Estate, percent: float, minutes: int) -> list[int]:
    """Let the service use that much CPU for so many minutes; returns its desired count of each."""
    counts = []
    key = MetricKey.of("AWS/ECS", "CPUUtilization", {"ClusterName": CLUSTER, "ServiceName": "web"})
    for _ in range(minutes):
        estate.sandbox.metrics().add(key, [estate.sandbox.now.timestamp()], [percent], unit="Percent")
        estate.sandbox.advance(60)
        counts.append(estate.service()["desiredCount"])
    return counts


def test_the_alarms_have_the_true_thresholds(scaled: Estate) -> None:
    track(scaled, 70.0)

    alarms = scaled.sandbox.client("cloudwatch").describe_alarms()["MetricAlarms"]

    found = {a["AlarmName"].split("-Alarm")[1].split("-")[0]: a for a in alarms}
    assert (found["High"]["Threshold"], found["High"]["EvaluationPeriods"]) == (70.0, 3)
    assert (found["Low"]["Threshold"], found["Low"]["EvaluationPeriods"]) == (63.0, 15)  # 0.9 x 70
    assert found["High"]["ComparisonOperator"] == "GreaterThanThreshold"
    scaled.scaling.delete_scaling_policy(**TARGET, PolicyName="cpu")
    assert scaled.sandbox.client("cloudwatch").describe_alarms()["MetricAlarms"] == []


def test_three_published_minutes_above_the_target_scale_out_in_proportion(scaled: Estate) -> None:
    track(scaled)

    counts = use(scaled, 80.0, 6)

    assert counts[:4] == [4, 4, 4, 4]  # three minutes, seen two minutes late
    assert counts[5] == 7  # ceil(4 x 80 / 50)
    activity = scaled.scaling.describe_scaling_activities(**TARGET)["ScalingActivities"][0]
    assert activity["Description"] == "Setting desired count to 7."
    assert "AlarmHigh" in activity["Cause"]


def test_within_the_cooldown_what_was_added_already_counts(scaled: Estate) -> None:
    track(scaled, ScaleOutCooldown=300)

    assert use(scaled, 80.0, 9)[-1] == 7


def test_fifteen_minutes_below_nine_tenths_scale_in_and_the_minimum_holds(scaled: Estate) -> None:
    track(scaled, ScaleInCooldown=0)

    counts = use(scaled, 10.0, 22)

    assert counts[14] == 4
    assert counts[-1] == 2  # ceil(4 x 10 / 50) is 1, the minimum 2


def test_a_value_between_the_alarms_changes_nothing(scaled: Estate) -> None:
    track(scaled)

    assert set(use(scaled, 47.0, 20)) == {4}  # 0.9 x 50 = 45 < 47 < 50


def test_missing_data_changes_nothing_and_shows_as_insufficient(scaled: Estate) -> None:
    track(scaled)
    scaled.sandbox.advance(1800)

    states = {a["StateValue"] for a in scaled.sandbox.client("cloudwatch").describe_alarms()["MetricAlarms"]}
    assert states == {"INSUFFICIENT_DATA"}
    assert scaled.service()["desiredCount"] == 4


FAST = {"PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilizationHighResolution"}}


def use_fast(estate: Estate, percent: float, seconds: int) -> list[int]:
    """The same every 20 seconds; returns the desired count after each of them."""
    counts = []
    key = MetricKey.of("AWS/ECS", "CPUUtilization", {"ClusterName": CLUSTER, "ServiceName": "web"})
    for _ in range(seconds // 20):
        stamp = [estate.sandbox.now.timestamp()]
        estate.sandbox.metrics().add(key, stamp, [percent], unit="Percent", resolution_s=20)
        estate.sandbox.advance(20)
        counts.append(estate.service()["desiredCount"])
    return counts


def test_alarms_on_twenty_second_metrics_have_that_period_and_as_much_patience(scaled: Estate) -> None:
    track(scaled, 70.0, **FAST)

    alarms = scaled.sandbox.client("cloudwatch").describe_alarms()["MetricAlarms"]

    assert {(a["Period"], a["EvaluationPeriods"]) for a in alarms} == {(20, 3), (20, 45)}  # 45 x 20 s = 15 minutes


def test_on_twenty_second_metrics_a_surge_is_answered_within_aws_s_own_time(scaled: Estate) -> None:
    track(scaled, **FAST)
    use_fast(scaled, 40.0, 120)

    counts = use_fast(scaled, 80.0, 120)

    # AWS's benchmark is 86 s. Here three points of 20 s are seen 16 s late, at the next evaluation: after 80 s.
    assert counts[:5] == [4, 4, 4, 7, 7]  # ceil(4 x 80 / 50)


def test_a_policy_on_twenty_second_metrics_of_a_service_that_publishes_by_the_minute_sees_nothing(
    scaled: Estate,
) -> None:
    track(scaled, **FAST)

    assert set(use(scaled, 95.0, 10)) == {4}
    states = {a["StateValue"] for a in scaled.sandbox.client("cloudwatch").describe_alarms()["MetricAlarms"]}
    assert states == {"INSUFFICIENT_DATA"}


def test_scale_in_waits_for_a_running_deployment(scaled: Estate) -> None:
    track(scaled, ScaleInCooldown=0)
    stuck = {"minimumHealthyPercent": 100, "maximumPercent": 101}
    scaled.update(taskDefinition=scaled.definition("registry.example/web:2"), deploymentConfiguration=stuck)

    assert set(use(scaled, 10.0, 20)) == {4}


def test_of_several_policies_the_largest_wins_and_all_must_agree_to_scale_in(scaled: Estate) -> None:
    track(scaled, 50.0, ScaleInCooldown=0)
    track(scaled, 8.0, name="other", ScaleInCooldown=0)  # 10 % is above this target

    assert use(scaled, 10.0, 20)[-1] >= 5  # ceil(4 x 10 / 8), never down


def test_disabled_scale_in_has_no_low_alarm(scaled: Estate) -> None:
    track(scaled, DisableScaleIn=True)

    assert len(scaled.sandbox.client("cloudwatch").describe_alarms()["MetricAlarms"]) == 1
    assert set(use(scaled, 5.0, 20)) == {4}


def test_limits_move_the_desired_count(scaled: Estate) -> None:
    scaled.scaling.register_scalable_target(**TARGET, MinCapacity=6, MaxCapacity=10)
    assert scaled.service()["desiredCount"] == 6
    scaled.scaling.register_scalable_target(**TARGET, MaxCapacity=10, MinCapacity=1)
    assert scaled.service()["desiredCount"] == 6


def test_a_scheduled_action_runs_in_its_time_zone_and_plans_the_next(scaled: Estate) -> None:
    # The sandbox starts on Wednesday 2026-05-13 00:00 UTC; 07:00 in London is 06:00 UTC.
    scaled.scaling.put_scheduled_action(
        **TARGET,
        ScheduledActionName="morning",
        Schedule="cron(0 7 ? * MON-FRI *)",
        Timezone="Europe/London",
        ScalableTargetAction={"MinCapacity": 8},
    )
    at = datetime(2026, 5, 13, 6, tzinfo=UTC)
    scaled.sandbox.advance((at - scaled.sandbox.now).total_seconds() - 1)
    assert scaled.service()["desiredCount"] == 4
    scaled.sandbox.advance(1)
    assert scaled.service()["desiredCount"] == 8
    assert (
        scaled.scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"][0]["MinCapacity"] == 8
    )
    scaled.scaling.register_scalable_target(**TARGET, MinCapacity=1, MaxCapacity=3)
    scaled.sandbox.advance(86_400)
    assert scaled.service()["desiredCount"] == 8


@pytest.mark.parametrize(
    ("schedule", "zone", "after", "expected"),
    [
        ("cron(0 7 ? * MON-FRI *)", "Europe/London", "2026-05-15T12:00", "2026-05-18T06:00"),  # over a weekend
        ("cron(0 7 ? * MON-FRI *)", "Europe/London", "2026-10-23T12:00", "2026-10-26T07:00"),  # winter time again
        ("cron(30 22 * * ? *)", "", "2026-05-15T12:00", "2026-05-15T22:30"),
        ("cron(0/20 9 1 1 ? 2027)", "UTC", "2026-05-15T12:00", "2027-01-01T09:00"),
        ("cron(0 0 L * ? *)", "UTC", "2026-02-01T00:00", "2026-02-28T00:00"),
        ("cron(0 12 ? * SUN *)", "UTC", "2026-05-15T00:00", "2026-05-17T12:00"),
        ("at(2026-05-20T10:00:00)", "Europe/London", "2026-05-15T12:00", "2026-05-20T09:00"),
        ("rate(6 hours)", "", "2026-05-15T13:00", "2026-05-15T18:00"),
    ],
)
def test_schedules_follow_the_calendar(schedule: str, zone: str, after: str, expected: str) -> None:
    start = datetime(2026, 5, 15, tzinfo=UTC)
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)

    assert following(schedule, zone, moment, start) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "zone"),
    [("every day", "UTC"),
     ("cron(0 7 * * *)", "UTC"), ("cron(0 7 * * MON *)", "UTC"), ("cron(0 25 * * ? *)", "UTC"),
     ("rate(0 minutes)", "UTC"), ("at(tomorrow)", "UTC"), ("rate(1 day)", "Europe/Atlantis"),
     ("cron(0 7 ? * 2#1 *)", "UTC")],
)  # fmt: skip
def test_schedules_that_mean_nothing_are_refused(schedule: str, zone: str) -> None:
    with pytest.raises(ScheduleError):
        following(schedule, zone, datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))


def test_the_api_refuses_a_schedule_that_means_nothing(scaled: Estate) -> None:
    with pytest.raises(ClientError, match=r"ValidationException.*six fields"):
        scaled.scaling.put_scheduled_action(
            **TARGET,
            ScheduledActionName="wrong",
            Schedule="cron(0 7 * * *)",
            ScalableTargetAction={"MinCapacity": 1},
        )


def test_policies_and_actions_are_given_back_and_refused_as_aws_does(scaled: Estate) -> None:
    scaling = scaled.scaling
    track(scaled, 60.0, ScaleOutCooldown=45)
    policy = scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"][0]
    assert policy["TargetTrackingScalingPolicyConfiguration"]["ScaleOutCooldown"] == 45
    assert len(policy["Alarms"]) == 2
    predictive = {"MetricSpecifications": [{"TargetValue": 40.0}], "Mode": "ForecastOnly"}
    scaling.put_scaling_policy(
        **TARGET, PolicyName="p", PolicyType="PredictiveScaling", PredictiveScalingPolicyConfiguration=predictive
    )
    assert len(scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]) == 2
    with pytest.raises(ClientError, match="does not imitate application-autoscaling GetPredictiveScalingForecast"):
        scaling.get_predictive_scaling_forecast(
            **TARGET, PolicyName="p", StartTime=scaled.sandbox.now, EndTime=scaled.sandbox.now + timedelta(days=1)
        )
    with pytest.raises(ClientError, match="service doesn't exist"):
        scaling.register_scalable_target(
            **{**TARGET, "ResourceId": f"service/{CLUSTER}/none"}, MinCapacity=1, MaxCapacity=2
        )
    with pytest.raises(ClientError, match="Maximum capacity cannot be less"):
        scaling.register_scalable_target(**TARGET, MinCapacity=5, MaxCapacity=2)
    with pytest.raises(ClientError, match="ObjectNotFoundException"):
        scaling.delete_scheduled_action(**TARGET, ScheduledActionName="none")
    scaling.deregister_scalable_target(**TARGET)
    assert scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"] == []


def test_targets_are_tagged(scaled: Estate) -> None:
    arn = scaled.scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"][0][
        "ScalableTargetARN"
    ]
    scaled.scaling.tag_resource(ResourceARN=arn, Tags={"owner": "team"})

    assert scaled.scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"owner": "team"}
