"""The rules of AWS's two control loops, one small replay each, with the source of each rule.

Sources: AAS = Application Auto Scaling user guide and API reference; CW = CloudWatch user guide, alarms;
ECS = Amazon ECS developer guide; CR#n = issue n of aws/containers-roadmap. Minutes count from the start of
the replay; a load that jumps at minute 20 is first measured in that minute.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from planner.scaling import Outcome, parse_policy, simulate
from planner.scaling.alarms import Alarm, AlarmState
from planner.scaling.policies import Adjustment, Step, StepScaling
from planner.scaling.proposals import adjusted, percent_change
from planner.scaling.provider import reservation

START = datetime(2026, 3, 23, tzinfo=UTC)  # a Monday
RULES: list[tuple[str, str, Callable[[], None]]] = []


def rule(source: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def register(check: Callable[[], None]) -> Callable[[], None]:
        RULES.append((check.__name__.replace("_", " "), source, check))
        return check

    return register


@pytest.mark.parametrize(("name", "source", "check"), RULES, ids=lambda v: v if isinstance(v, str) else "")
def test_rule(name: str, source: str, check: Callable[[], None]) -> None:
    assert source
    check()


def test_the_table_has_at_least_thirty_rules() -> None:
    assert len({name for name, _, _ in RULES}) >= 30


def demand(*pieces: tuple[int, float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(minutes, vCPU) pieces one after another."""
    return np.concatenate([np.full(minutes, vcpu) for minutes, vcpu in pieces])


def tracking(**settings: Any) -> dict[str, Any]:
    return {"target": 50, **settings}


def replay(load: np.ndarray[Any, Any], start: datetime = START, **policy: Any) -> Outcome:
    document = {"task_vcpu": 1, "min": 2, "max": 100, **policy}
    return simulate(load, start, parse_policy(document))


def moves(outcome: Outcome) -> list[tuple[float, int, int]]:
    """(minute, before, after) of every scaling activity."""
    return [(a.second / 60, a.before, a.after) for a in outcome.activities]


# Target tracking


@rule("CR#1208: 3 of 3 datapoints of 60 s; CR#2113: published about 150 s late")
def scale_out_is_triggered_360_s_after_a_step() -> None:
    # minutes 20, 21, 22 breach; the last closes at 23 min and is published at 25.5: seen at minute 26
    assert moves(replay(demand((20, 1), (20, 2)), target_tracking=tracking())) == [(26, 2, 4)]


@rule("CR#2113: task start of 23 s (386 - 363 and 109 - 86)")
def new_tasks_serve_from_the_minute_after_the_trigger() -> None:
    outcome = replay(demand((20, 1), (20, 2)), target_tracking=tracking())

    assert outcome.violating_minutes == 7  # 2 / 2 tasks > 0.8 in minutes 20 to 26
    assert outcome.trajectory.running[25:29].tolist() == [2, 2, 4, 4]


@rule("CR#2113: high-resolution metrics have a period of 20 s, published 15 to 21 s late")
def twenty_second_metrics_trigger_80_s_after_a_step() -> None:
    # periods close at 20:20, 20:40 and 21:00, the last is published at 21:16 and seen at 21:20
    fast = tracking(metric="ECSServiceAverageCPUUtilizationHighResolution")

    assert moves(replay(demand((20, 1), (20, 2)), target_tracking=fast)) == [(21 + 20 / 60, 2, 4)]


@rule("AAS target tracking: proportional; ceil(capacity x metric / target)")
def scale_out_is_proportional_and_rounds_up() -> None:
    # 3 vCPU on 2 tasks is 150 %: ceil(2 x 150 / 60) = 5
    assert moves(replay(demand((20, 1), (20, 3)), target_tracking=tracking(target=60))) == [(26, 2, 5)]


@rule("AAS target tracking: the metric may sit on the target without scaling")
def a_metric_equal_to_the_target_does_nothing() -> None:
    assert moves(replay(demand((60, 1)), target_tracking=tracking())) == []  # 1 / 2 = 50 %


@rule("CR#1208 and public records: low alarm below 0.9 x target, 15 of 15 datapoints")
def scale_in_waits_for_fifteen_datapoints() -> None:
    # minutes 20 to 34 are below 45 %; the last closes at 35 min, published at 37.5, seen at 38
    assert moves(replay(demand((20, 4), (40, 2)), initial=8, target_tracking=tracking())) == [(38, 8, 4)]


@rule("public records: 30 -> 27, 70 -> 63")
def between_the_low_alarm_and_the_target_nothing_happens() -> None:
    assert moves(replay(demand((60, 4.6)), initial=10, target_tracking=tracking())) == []  # 46 % > 45 %


@rule("AAS target tracking: removing capacity is conservative")
def scale_in_rounds_up() -> None:
    # 44 % of 10 tasks: ceil(10 x 44 / 50) = 9, and not the 8 that rounding 8.8 down would leave
    first = moves(replay(demand((60, 4.4)), initial=10, target_tracking=tracking()))[0]

    assert first[1:] == (10, 9)


@rule("API TargetTrackingScalingPolicyConfiguration: ScaleInCooldown, 300 s for ECS")
def scale_ins_are_at_least_five_minutes_apart() -> None:
    found = moves(replay(demand((60, 2)), initial=20, target_tracking=tracking(maximum_scale_in=1)))

    assert [minute for minute, _, _ in found[:3]] == [18, 23, 28]


@rule("CW: an alarm with a scaling action repeats it every minute while in ALARM")
def without_a_cooldown_a_lasting_alarm_acts_every_minute() -> None:
    settings = tracking(maximum_scale_in=1, scale_in_cooldown_s=0)

    assert [m for m, _, _ in moves(replay(demand((60, 2)), initial=20, target_tracking=settings))[:3]] == [
        18,
        19,
        20,
    ]


@rule("API TargetTrackingScalingPolicyConfiguration: a larger scale-out may interrupt the cooldown")
def a_larger_scale_out_happens_inside_the_cooldown() -> None:
    # 26: ceil(2 x 200 / 100) = 4. Minute 23 has 6 vCPU on 2 tasks, seen at 27: ceil(2 x 300 / 50)
    # starts from the 2 tasks before the cooldown's activity, so the 2 already added count
    found = moves(replay(demand((20, 1), (3, 2), (20, 6)), target_tracking=tracking()))

    assert found[:2] == [(26, 2, 4), (27, 4, 12)]


@rule("the same: capacity added counts as part of the desired capacity for the next scale-out")
def an_equal_wish_inside_the_cooldown_adds_nothing() -> None:
    assert len(moves(replay(demand((20, 1), (8, 2), (2, 2)), target_tracking=tracking()))) == 1


@rule("API TargetTrackingScalingPolicyConfiguration: a scale-out ends the scale-in cooldown")
def a_scale_out_interrupts_a_scale_in_cooldown() -> None:
    load = demand((18, 2), (40, 30))
    settings = tracking(scale_in_cooldown_s=3600)
    found = moves(replay(load, initial=20, target_tracking=settings))

    assert found[0] == (18, 20, 4)
    assert found[1][0] == 24  # minutes 18 to 20 breach: 18 + 6, an hour before the cooldown would end


@rule("AAS: cooldowns do not apply to scheduled actions")
def a_scheduled_action_ignores_cooldowns() -> None:
    scheduled = {"schedule": "cron(19 0 ? * * *)", "min": 9}
    outcome = replay(demand((30, 2)), initial=20, target_tracking=tracking(), scheduled=scheduled)

    assert moves(outcome) == [(18, 20, 4), (19, 4, 9)]


@rule("API TargetTrackingScalingPolicyConfiguration: DisableScaleIn")
def scale_in_can_be_disabled() -> None:
    assert moves(replay(demand((60, 1)), initial=20, target_tracking=tracking(disable_scale_in=True))) == []


@rule("CW missing data: INSUFFICIENT_DATA, no action")
def missing_data_scales_nothing() -> None:
    load = demand((20, 1), (60, np.nan))

    assert moves(replay(load, target_tracking=tracking())) == []


@rule("CW missing data: the evaluation range of a 3 of 3 alarm has 5 periods")
def a_missing_datapoint_inside_the_range_is_skipped() -> None:
    alarm = Alarm(3)
    for breaching in (True, True, None, True):
        alarm.add(breaching)

    assert alarm.state is AlarmState.ALARM


@rule("CW missing data: all points of the range missing")
def five_missing_datapoints_are_insufficient_data() -> None:
    alarm = Alarm(3)
    for _ in range(5):
        alarm.add(None)

    assert alarm.state is AlarmState.INSUFFICIENT_DATA


@rule("ECS service auto scaling: minimum and maximum capacity bound every policy")
def policies_stay_within_the_bounds() -> None:
    outcome = replay(demand((20, 1), (20, 90), (60, 0.1)), max=10, target_tracking=tracking())

    assert outcome.trajectory.desired.max() == 10
    assert outcome.trajectory.desired.min() == 2


@rule("ECS metrics: a hard CPU limit shows at most 100 %")
def a_metric_ceiling_hides_overload() -> None:
    # 9 vCPU on 2 tasks shows as 100 %: ceil(2 x 100 / 50) = 4, not 18
    limited = tracking(metric_ceiling_percent=100)

    assert moves(replay(demand((20, 1), (8, 9)), target_tracking=limited)) == [(26, 2, 4)]


# Several policies, deployments


def two_policies(memory: float, **first: Any) -> dict[str, Any]:
    return {
        "task_memory_mib": 1000,
        "target_tracking": [tracking(**first), {"metric": "memory", "target": memory}],
    }


def replay_memory(cpu: np.ndarray[Any, Any], memory: np.ndarray[Any, Any], **policy: Any) -> Outcome:
    document = {"task_vcpu": 1, "min": 2, "max": 100, **policy}
    return simulate(cpu, START, parse_policy(document), loads={"memory_mib": memory})


@rule("ECS service auto scaling: scales out if any target tracking policy wants it")
def any_policy_may_scale_out() -> None:
    found = replay_memory(demand((40, 0.95)), demand((20, 1000), (20, 2000)), **two_policies(60))

    assert moves(found)[0] == (26, 2, 4)  # memory: ceil(2 x 100 / 60)


@rule("ECS service auto scaling: scales in only if all policies agree")
def all_policies_must_agree_to_scale_in() -> None:
    # CPU is at 10 %, memory at 50 % of a 50 % target: not below its low alarm
    assert moves(replay_memory(demand((60, 1)), demand((60, 5000)), initial=10, **two_policies(50))) == []


@rule("AAS: of several policies the largest capacity wins")
def the_largest_capacity_wins() -> None:
    # CPU wants ceil(2 x 200 / 50) = 8, memory ceil(2 x 150 / 50) = 6
    found = replay_memory(demand((20, 1), (9, 4)), demand((20, 1000), (9, 3000)), **two_policies(50))

    assert moves(found)[0] == (26, 2, 8)


@rule("AAS cooldown: capacity added counts for the next scale-out, whichever policy calls for it [U]")
def a_second_policy_does_not_multiply_what_the_first_added() -> None:
    # until the metrics of 8 tasks are published at 31, memory still shows 150 %: of 8 that would be 24
    found = replay_memory(demand((20, 1), (12, 4)), demand((20, 1000), (12, 3000)), **two_policies(50))

    assert moves(found) == [(26, 2, 8)]


@rule("AAS: the largest capacity wins when scaling in too")
def scale_in_stops_at_the_larger_wish() -> None:
    # CPU would go to 2, memory to ceil(10 x 30 / 50) = 6
    found = replay_memory(demand((19, 0.5)), demand((19, 3000)), initial=10, **two_policies(50))

    assert moves(found) == [(18, 10, 6)]


@rule("ECS service auto scaling: scale-in is off while a deployment is in progress")
def a_deployment_blocks_scale_in() -> None:
    window = {"start": "2026-03-23T00:10:00Z", "end": "2026-03-23T00:40:00Z"}
    outcome = replay(demand((60, 2)), initial=20, target_tracking=tracking(), deployments=[window])

    assert moves(outcome)[0] == (40, 20, 4)  # instead of minute 18


@rule("the same: scale-out continues")
def a_deployment_leaves_scale_out_on() -> None:
    window = {"start": "2026-03-23T00:00:00Z", "end": "2026-03-23T02:00:00Z"}
    found = replay(demand((20, 1), (20, 2)), target_tracking=tracking(), deployments=[window])

    assert moves(found) == [(26, 2, 4)]


# Step scaling

STEPS = [{"lower": 0, "upper": 10, "adjustment": 1}, {"lower": 10, "adjustment": 3}]


def step(**settings: Any) -> dict[str, Any]:
    return {"threshold": 60, "steps": STEPS, "cooldown_s": 0, **settings}


@rule("AAS step scaling: above the threshold the lower bound is inclusive, the upper exclusive")
def a_breach_on_the_border_takes_the_upper_step() -> None:
    # 1.4 vCPU on 2 tasks is 70 %: exactly 10 above 60. One datapoint of minute 20, published 23.5: seen at 24
    assert moves(replay(demand((20, 1), (2, 1.4), (9, 1)), step=step()))[0] == (24, 2, 5)


@rule("AAS step scaling: below the threshold the upper bound is inclusive, the lower exclusive")
def below_the_threshold_borders_are_reversed() -> None:
    down = [{"lower": -10, "upper": 0, "adjustment": -1}, {"upper": -10, "adjustment": -3}]
    policy = step(threshold=40, comparison="<=", steps=down)

    # 3 vCPU on 10 tasks is 30 %: exactly 10 below 40, so the larger step
    assert moves(replay(demand((4, 3.5), (9, 3)), initial=10, step=policy))[:2] == [(4, 10, 9), (5, 9, 8)]
    assert moves(replay(demand((5, 3)), initial=10, step=policy)) == [(4, 10, 7)]


@rule("AAS step scaling: rounding of PercentChangeInCapacity")
def percentages_round_as_documented() -> None:
    assert [percent_change(x) for x in (12.7, 0.67, -0.58, -6.67)] == [12, 1, -1, -6]


@rule("AAS step scaling: MinAdjustmentMagnitude")
def the_minimum_adjustment_raises_small_changes() -> None:
    settings = StepScaling(60, (Step(0, None, 25),), adjustment_type=Adjustment.PERCENT, minimum_adjustment=2)

    assert adjusted(4, 25, settings) == 6  # 25 % of 4 is 1, raised to 2: AWS's own example


@rule("AAS step scaling: ExactCapacity")
def exact_capacity_sets_the_count() -> None:
    exact = [{"lower": 0, "adjustment": 7}]

    assert moves(replay(demand((2, 2), (9, 2)), step=step(steps=exact, adjustment_type="ExactCapacity"))) == [
        (4, 2, 7)
    ]


@rule("AAS step scaling: in the cooldown a bigger step adds only the difference")
def a_bigger_step_in_the_cooldown_adds_the_difference() -> None:
    # minute 0: 65 %, +1 at minute 4; minute 1: 75 % on the same 2 tasks, +3 in all at minute 5
    load = demand((1, 1.3), (1, 1.5), (20, 1))

    assert moves(replay(load, step=step(cooldown_s=300))) == [(4, 2, 3), (5, 3, 5)]


@rule("API StepScalingPolicyConfiguration: aggregation over the most recent datapoints")
def steps_see_the_aggregated_metric() -> None:
    # 61 % then 75 %: the average 68 % is in the first step, the maximum in the second
    load = demand((1, 1.22), (1, 1.5), (9, 1))

    assert moves(replay(load, step=step(datapoints=2)))[0] == (5, 2, 3)
    assert moves(replay(load, step=step(datapoints=2, aggregation="Maximum")))[0] == (5, 2, 5)


# Scheduled and predictive scaling


@rule("AAS scheduled scaling: current below the new minimum scales out to it")
def a_scheduled_minimum_scales_out_at_once() -> None:
    assert moves(replay(demand((10, 1)), scheduled={"schedule": "cron(5 0 ? * * *)", "min": 6})) == [(5, 2, 6)]


@rule("AAS scheduled scaling: current above the new maximum scales in to it")
def a_scheduled_maximum_scales_in_at_once() -> None:
    scheduled = {"schedule": "at(2026-03-23T00:05:00)", "max": 3}

    assert moves(replay(demand((10, 1)), initial=8, scheduled=scheduled)) == [(5, 8, 3)]


@rule("AAS scheduled scaling: time zones with daylight saving time")
def cron_follows_local_time_over_the_change() -> None:
    # London is UTC until 2026-03-29 01:00 UTC and UTC+1 after: 07:00 is 07:00 UTC, then 06:00 UTC
    morning = {"schedule": "cron(0 7 ? * * *)", "timezone": "Europe/London", "min": 5}
    evening = {"schedule": "cron(0 19 ? * * *)", "timezone": "Europe/London", "min": 2, "max": 4}
    load = demand((2 * 1440, 1))
    outcome = replay(load, datetime(2026, 3, 28, tzinfo=UTC), max=9, scheduled=[morning, evening])

    assert [m / 60 for m, before, after in moves(outcome) if after == 5] == [7, 24 + 6]


@rule("AAS scheduled scaling: nothing is restored when an action's end time passes")
def the_end_of_an_action_restores_nothing() -> None:
    scheduled = {
        "schedule": "rate(1 hour)",
        "min": 6,
        "start": "2026-03-23T00:00:00Z",
        "end": "2026-03-23T01:00:00Z",
    }

    assert replay(demand((180, 1)), scheduled=scheduled).trajectory.desired.tolist() == [6] * 180


PREDICTIVE = {"target": 50, "scheduling_buffer_s": 300}


def two_days() -> np.ndarray[Any, Any]:
    """Each day 1 vCPU, and 6 from 12:00 to 13:00."""
    return np.tile(demand((720, 1), (60, 6), (660, 1)), 2)


@rule("AAS predictive scaling: at least 24 hours of history")
def nothing_is_forecast_on_the_first_day() -> None:
    assert replay(two_days(), predictive=PREDICTIVE).trajectory.desired[:1440].max() == 2


@rule("API PredictiveScalingPolicyConfiguration: SchedulingBufferTime 300 s before the hour")
def capacity_is_there_five_minutes_before_the_hour() -> None:
    desired = replay(two_days(), predictive=PREDICTIVE).trajectory.desired

    assert desired[1440 + 714 : 1440 + 716].tolist() == [2, 12]  # 6 vCPU at 50 % are 12 tasks


@rule("AAS predictive scaling: it only scales out")
def predictive_scaling_never_scales_in() -> None:
    outcome = replay(two_days(), predictive=PREDICTIVE)

    assert outcome.trajectory.desired[-1] == 12
    assert outcome.scale_ins == 0


@rule("API PredictiveScalingPolicyConfiguration: ForecastOnly")
def forecast_only_changes_nothing() -> None:
    assert moves(replay(two_days(), predictive={**PREDICTIVE, "forecast_and_scale": False})) == []


@rule("API PredictiveScalingPolicyConfiguration: MaxCapacityBreachBehavior")
def the_maximum_is_honoured_unless_it_may_grow() -> None:
    honour = replay(two_days(), max=8, predictive=PREDICTIVE)
    grow = replay(two_days(), max=8, predictive={**PREDICTIVE, "increase_max_capacity": True})

    assert (honour.trajectory.desired.max(), grow.trajectory.desired.max()) == (8, 12)


# Capacity provider managed scaling

PROVIDER = {"tasks_per_instance": 2}


def grown(tasks: int = 12, **provider: Any) -> Outcome:
    """From 2 tasks to `tasks` at minute 10, back at minute 60."""
    actions = [
        {"schedule": "cron(10 0 ? * * *)", "min": tasks, "max": tasks},
        {"schedule": "cron(0 1 ? * * *)", "min": 2, "max": 2},
    ]
    return replay(demand((120, 1)), scheduled=actions, capacity_provider={**PROVIDER, **provider})


def instances(outcome: Outcome) -> list[int]:
    assert outcome.trajectory.instances is not None
    return [int(n) for n in outcome.trajectory.instances]


@rule("ECS cluster auto scaling: CapacityProviderReservation = M / N x 100")
def the_reservation_is_needed_over_running() -> None:
    assert [reservation(6, 4), reservation(2, 4)] == [150, 50]


@rule("ECS cluster auto scaling: the special cases of N = 0")
def without_instances_the_reservation_is_100_or_200() -> None:
    assert [reservation(0, 0), reservation(3, 0)] == [100, 200]


@rule("CR#638: one datapoint scales out; M by bin packing")
def one_minute_of_waiting_tasks_launches_what_is_missing() -> None:
    assert instances(grown())[9:13] == [1, 1, 6, 6]  # 12 tasks, 2 on each; measured in minute 10


@rule("ECS developer guide: waiting tasks are placed when instances register")
def tasks_run_after_boot_and_start() -> None:
    # launched at 11, registered at 12 (60 s), placed at 12, running from 13 (23 s)
    assert grown().trajectory.running[10:14].tolist() == [2, 2, 2, 12]


@rule("CR#1716: scaling from zero launches two")
def from_zero_two_instances_are_launched() -> None:
    scheduled = {"schedule": "cron(10 0 ? * * *)", "min": 8}
    found = replay(demand((14, 0)), min=0, scheduled=scheduled, capacity_provider=PROVIDER)

    assert instances(found)[9:13] == [0, 0, 2, 2]


@rule("API ManagedScaling: targetCapacity below 100 keeps spare instances")
def a_target_capacity_of_50_keeps_twice_the_instances() -> None:
    assert instances(grown(target_capacity=50))[20] == 12


@rule("API ManagedScaling: minimumScalingStepSize")
def the_minimum_step_rounds_a_launch_up() -> None:
    assert instances(grown(4, minimum_step=3))[12] == 4  # one was missing


@rule("API ManagedScaling: maximumScalingStepSize and instanceWarmupPeriod 300 s")
def the_warm_up_blocks_the_next_launch() -> None:
    found = instances(grown(maximum_step=2))

    assert [found.index(n) for n in (3, 5, 6)] == [11, 16, 21]


@rule("Auto Scaling group: maximum size")
def the_group_stops_at_its_maximum() -> None:
    assert max(instances(grown(max_size=4))) == 4


@rule("ECS cluster auto scaling: 15 datapoints to scale in")
def scale_in_waits_fifteen_minutes() -> None:
    found = instances(grown())

    # minutes 60 to 74 are below 100; the last is known at 75
    assert (found[74], found[75]) == (6, 4)


@rule("ECS cluster auto scaling: a scale-in takes under half of the group a minute")
def the_group_shrinks_by_less_than_half_a_minute() -> None:
    assert instances(grown(40))[74:81] == [20, 11, 6, 4, 3, 2, 1]  # ceil(n / 2) - 1, at least 1


@rule("ECS cluster auto scaling: only instances without tasks leave")
def spread_tasks_keep_their_instances() -> None:
    # 6 of 12 tasks stay, spread over all 6 instances: M = 3, but none is empty
    actions = [
        {"schedule": "cron(10 0 ? * * *)", "min": 12, "max": 12},
        {"schedule": "cron(0 1 ? * * *)", "min": 6, "max": 6},
    ]
    spread = {**PROVIDER, "placement": "spread"}
    found = replay(demand((120, 1)), scheduled=actions, capacity_provider=spread)

    assert instances(found)[-1] == 6


@rule("ECS cluster auto scaling: a scale-out restarts the scale-in's fifteen minutes")
def a_scale_out_restarts_the_scale_in() -> None:
    actions = [
        {"schedule": "cron(10 0 ? * * *)", "min": 12, "max": 12},
        {"schedule": "cron(0 1 ? * * *)", "min": 2, "max": 2},
        {"schedule": "cron(10 1 ? * * *)", "min": 14, "max": 14},
        {"schedule": "cron(12 1 ? * * *)", "min": 2, "max": 2},
    ]
    found = instances(replay(demand((120, 1)), scheduled=actions, capacity_provider=PROVIDER))

    assert min(found[75:87]) == 7  # without the two minutes of 14 tasks it would shrink at 75


@rule("ECS warm pools: pre-initialised instances start faster")
def a_warm_pool_shortens_the_wait() -> None:
    slow = {"delays": {"instance_boot_s": 300}}
    scheduled = {"schedule": "cron(10 0 ? * * *)", "min": 12}
    load = demand((30, 1))
    cold = replay(load, scheduled=scheduled, capacity_provider=PROVIDER, **slow)
    warm = replay(load, scheduled=scheduled, capacity_provider={**PROVIDER, "warm_pool_size": 5}, **slow)

    assert [o.trajectory.running.tolist().index(12) for o in (cold, warm)] == [17, 13]


@rule("AAS: a cooldown starts once the scale-out has succeeded")
def with_a_provider_the_cooldown_waits_for_the_tasks() -> None:
    # the desired count does not double again while instances boot
    slow = {"delays": {"instance_boot_s": 600}}
    found = replay(demand((20, 1), (40, 2)), target_tracking=tracking(), capacity_provider=PROVIDER, **slow)

    assert moves(found) == [(26, 2, 4)]
