"""Policies in lanes cost, violate and act exactly as the scalar reference says."""

from __future__ import annotations

import dataclasses
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.scaling import kernels, replay_batch, rounding, simulate, task_counts
from planner.scaling.blocks import reciprocal_of
from planner.scaling.lanes import unlaned
from planner.scaling.policies import (
    CPU,
    CapacityBasis,
    CapacityProvider,
    CooldownFrom,
    Delay,
    Delays,
    Deployment,
    Policy,
    ScheduledScaling,
    TargetTracking,
)

START = datetime(2026, 3, 27, tzinfo=UTC)
UTILISATION = 0.8


@st.composite
def demands(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    """Random walks, with jumps, gaps, and often values whose ratios to tasks and targets are exact."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    minutes = draw(st.integers(1, 700))
    load = np.abs(np.cumsum(rng.normal(0, draw(st.sampled_from([0.2, 1, 3])), minutes)))
    if draw(st.booleans()):
        load = np.round(load) * 0.7
    for _ in range(draw(st.integers(0, 4))):
        first = int(rng.integers(0, minutes))
        load[first : first + int(rng.integers(1, 40))] = np.nan
    return load


@st.composite
def trackers(draw: st.DrawFn, shared: dict[str, Any]) -> TargetTracking:
    return TargetTracking(
        target=draw(st.one_of(st.sampled_from([20.0, 50.0, 70.0, 100.0]), st.floats(15, 100))),
        scale_out_cooldown_s=draw(st.sampled_from([0, 45, 60, 300, 700])),
        scale_in_cooldown_s=draw(st.sampled_from([0, 45, 60, 300, 700])),
        disable_scale_in=draw(st.sampled_from([False, False, False, True])),
        low_alarm_factor=draw(st.sampled_from([0.9, 0.7, 1.0])),
        maximum_scale_in=draw(st.sampled_from([None, None, 1, 3])),
        **shared,
    )


@st.composite
def batches(draw: st.DrawFn) -> list[Policy]:
    fast = draw(st.sampled_from([False, False, True]))
    shared = {
        "metric": CPU + "HighResolution" if fast else CPU,
        "period_s": 20 if fast else 60,
        "high_datapoints": draw(st.sampled_from([3, 1, 5])),
        "low_datapoints": draw(st.sampled_from([15, 3])),
        "capacity_basis": draw(st.sampled_from(CapacityBasis)),
        "metric_ceiling_percent": draw(st.sampled_from([None, 100.0])),
    }
    delays = Delays(
        Delay(draw(st.sampled_from([0, 30, 60, 150, 400]))),  # type: ignore[arg-type]
        Delay(draw(st.sampled_from([0, 16, 45]))),  # type: ignore[arg-type]
        Delay(draw(st.sampled_from([0, 23, 60, 130]))),  # type: ignore[arg-type]
    )
    scheduled = draw(st.sampled_from([(), SCHEDULE]))
    deployments = draw(st.sampled_from([(), DEPLOYMENTS]))
    return [
        Policy(
            task_vcpu=0.7,
            min=draw(st.integers(1, 6)),
            max=draw(st.integers(6, 60)),
            initial=draw(st.one_of(st.none(), st.integers(0, 40))),
            target_tracking=(draw(trackers(shared)),),
            scheduled=scheduled,
            deployments=deployments,
            delays=delays,
        )
        for _ in range(draw(st.integers(1, 3)))
    ]


SCHEDULE = (
    ScheduledScaling("cron(0/40 * ? * * *)", min=7),
    ScheduledScaling("cron(15 * ? * * *)", min=1, max=11),
)
DEPLOYMENTS = (Deployment(START + timedelta(minutes=90), START + timedelta(minutes=160)),)


def check(load: np.ndarray[Any, Any], policies: list[Policy]) -> None:
    batch = replay_batch(load, START, policies, utilisation=UTILISATION)
    for i, policy in enumerate(policies):
        outcome = simulate(load, START, policy, utilisation=UTILISATION)

        assert batch.by_reference[i] is None
        assert batch.violating_minutes[i] == outcome.violating_minutes
        assert (batch.scale_outs[i], batch.scale_ins[i]) == (outcome.scale_outs, outcome.scale_ins)
        assert batch.task_hours[i] == outcome.task_hours
        if outcome.instance_hours is not None:
            assert batch.instance_hours[i] == outcome.instance_hours
            continue
        counts, seen = task_counts(load, START, policy, utilisation=UTILISATION), outcome.trajectory
        assert np.array_equal(counts.desired, seen.desired)
        assert np.array_equal(counts.running, seen.running)
        assert np.array_equal(counts.violating, seen.violating)


@st.composite
def batches_on_instances(draw: st.DrawFn) -> list[Policy]:
    shared = {
        "capacity_basis": draw(st.sampled_from(CapacityBasis)),
        "cooldown_from": draw(st.sampled_from(CooldownFrom)),
    }
    boot = draw(st.sampled_from([0, 60, 61, 200]))
    target = draw(st.sampled_from([100.0, 100.0, 97.3, 80.0, 33.0]))
    points = {"high_datapoints": draw(st.sampled_from([1, 2])), "low_datapoints": draw(st.sampled_from([15, 3]))}
    late = draw(st.sampled_from([0, 90]))
    scheduled = draw(st.sampled_from([(), SCHEDULE]))
    found = []
    for _ in range(draw(st.integers(1, 3))):
        smallest = draw(st.integers(0, 3))
        provider = CapacityProvider(
            draw(st.sampled_from([1, 2, 3, 7, 16])),
            min_size=smallest,
            max_size=max(1, smallest + draw(st.integers(0, 40))),
            target_capacity_percent=target,
            minimum_step=draw(st.sampled_from([1, 3])),
            maximum_step=draw(st.sampled_from([3, 10_000])),
            instance_warmup_s=draw(st.sampled_from([0, 90, 300])),
            metric_delay_s=late,  # type: ignore[arg-type]
            **points,
        )
        policy = tracked(
            task_vcpu=0.7,
            min=draw(st.integers(1, 6)),
            max=draw(st.integers(6, 60)),
            target_tracking=(draw(trackers(shared)),),
            scheduled=scheduled,
            delays=Delays(instance_boot_s=Delay(boot)),  # type: ignore[arg-type]
            capacity_provider=provider,
        )
        found.append(policy)
    return found


@given(demands(), batches_on_instances())
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_lanes_on_instances_equal_the_reference(load: np.ndarray[Any, Any], policies: list[Policy]) -> None:
    check(load, policies)


@pytest.mark.slow
@given(demands(), batches_on_instances())
@settings(deadline=None, max_examples=500, suppress_health_check=[HealthCheck.too_slow])
def test_lanes_on_instances_equal_the_reference_on_five_hundred_cases(
    load: np.ndarray[Any, Any], policies: list[Policy]
) -> None:
    check(load, policies)


@given(demands(), batches())
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_lanes_equal_the_reference(load: np.ndarray[Any, Any], policies: list[Policy]) -> None:
    check(load, policies)


@pytest.mark.slow
@given(demands(), batches())
@settings(deadline=None, max_examples=1_000, suppress_health_check=[HealthCheck.too_slow])
def test_lanes_equal_the_reference_on_a_thousand_cases(load: np.ndarray[Any, Any], policies: list[Policy]) -> None:
    check(load, policies)


def tracked(**changes: Any) -> Policy:
    policy = Policy(task_vcpu=1, min=2, max=50, target_tracking=(TargetTracking(50),))
    return dataclasses.replace(policy, **changes)


def test_lanes_to_spare_hold_tasks_where_a_call_starts_from_a_count_not_measured() -> None:
    load = np.array([0.13, np.nan, np.nan])  # at minute 2 the alarm calls again on the datapoint of minute 0
    delays = Delays(Delay(0), Delay(0), Delay(23))
    tracking = TargetTracking(15, scale_out_cooldown_s=0, high_datapoints=1)

    check(load, [tracked(task_vcpu=0.7, min=1, max=6, target_tracking=(tracking,), delays=delays)])


def test_more_policies_than_lanes_fill_several_blocks() -> None:
    load = np.abs(np.sin(np.arange(3_000) / 200)) * 20
    policies = [tracked(target_tracking=(TargetTracking(20 + i / 2),)) for i in range(140)]
    batch = replay_batch(load, START, policies, utilisation=UTILISATION)

    for i in (0, 127, 128, 139):
        assert batch.task_hours[i] == simulate(load, START, policies[i]).task_hours


def test_days_add_up_to_the_total() -> None:
    load = np.abs(np.sin(np.arange(3_000) / 200)) * 20
    batch = replay_batch(load, START, [tracked()], utilisation=UTILISATION)

    assert batch.task_hours_by_day.shape == (3, 1)  # 1,440 + 1,440 + 120 minutes
    assert batch.violations_by_day.sum() == batch.violating_minutes[0] > 0


def test_a_floor_raises_the_minimum_as_a_schedule_does() -> None:
    load = np.full(180, 1.0)
    floor = np.r_[np.full(60, 2), np.full(60, 9), np.full(60, 2)]
    batch = replay_batch(load, START, [tracked()], utilisation=UTILISATION, floor=floor)
    actions = (
        ScheduledScaling("at(2026-03-27T01:00:00)", min=9),
        ScheduledScaling("at(2026-03-27T02:00:00)", min=2),
    )

    assert batch.task_hours[0] == simulate(load, START, tracked(scheduled=actions)).task_hours


def test_strain_counts_the_near_misses() -> None:
    load = np.full(100, 1.55)  # 2 tasks at 0.8 hold 1.6; 6 % more is 1.643
    batch = replay_batch(
        load, START, [tracked(target_tracking=(TargetTracking(90),))], utilisation=0.8, strain=0.06
    )

    assert batch.violating_minutes[0] == 0
    assert batch.strained_by_day.sum() == 100


def test_what_lanes_cannot_express_is_replayed_by_the_reference_and_said() -> None:
    provider = tracked(capacity_provider=CapacityProvider(4, warm_pool_size=2))
    load = np.abs(np.sin(np.arange(600) / 60)) * 20
    batch = replay_batch(load, START, [provider], utilisation=UTILISATION)
    outcome = simulate(load, START, provider)

    assert batch.by_reference == ("it has a warm pool",)
    assert batch.instance_hours[0] == outcome.instance_hours
    assert batch.violating_minutes[0] == outcome.violating_minutes


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (tracked(min=0), "minimum is 0"),
        (tracked(target_tracking=()), "not exactly one"),
        (tracked(delays=Delays(task_start_s=Delay(kind="uniform", high_s=9))), "random"),  # type: ignore[arg-type]
    ],
)
def test_every_reason_is_named(policy: Policy, reason: str) -> None:
    assert reason in str(unlaned(policy))


def test_a_ceiling_lowers_the_maximum_as_a_schedule_does() -> None:
    load = np.r_[np.full(60, 1.0), np.full(120, 9.0)]
    ceiling = np.r_[np.full(60, 50), np.full(60, 6), np.full(60, 50)]
    batch = replay_batch(load, START, [tracked()], utilisation=UTILISATION, ceiling=ceiling)
    actions = (
        ScheduledScaling("at(2026-03-27T01:00:00)", max=6),
        ScheduledScaling("at(2026-03-27T02:00:00)", max=50),
    )
    outcome = simulate(load, START, tracked(scheduled=actions))

    assert batch.task_hours[0] == outcome.task_hours
    assert batch.violating_minutes[0] == outcome.violating_minutes


def test_two_threads_count_as_one() -> None:
    load = np.abs(np.sin(np.arange(3_000) / 200)) * 20
    policies = [tracked(target_tracking=(TargetTracking(20 + i / 3),)) for i in range(150)]
    one = replay_batch(load, START, policies, utilisation=UTILISATION)
    two = replay_batch(load, START, policies, utilisation=UTILISATION, workers=2)

    assert (one.task_ticks_by_day == two.task_ticks_by_day).all()
    assert (one.violations_by_day == two.violations_by_day).all()


@pytest.mark.parametrize("room", [1, 2, 3, 5, 7, 16, 513, 999, 1_000])
def test_a_reciprocal_divides_every_count_exactly(room: int) -> None:
    factor, shift = reciprocal_of(room)
    counts = np.arange(30_000)
    products = 2 * (counts + room - 1) * int(factor.view(np.uint16))

    assert ((products >> 16) >> shift == -(-counts // room)).all()


def test_the_compiled_loops_round_as_the_reference_does() -> None:
    # numba's cache does not notice a change of another module, so the kernels repeat these numbers
    assert kernels.BASE_COUNT == rounding.BASE_COUNT
    assert (kernels.ROUND_UP, kernels.ROUND_DOWN) == (rounding.ROUND_UP, rounding.ROUND_DOWN)


@given(st.floats(0, 30_000), st.integers(0, 30_000))
def test_whole_tasks_are_read_off_the_upper_half_of_a_sum(tasks: float, limit: int) -> None:
    upper = np.array([tasks + rounding.ROUND_UP]).view(np.uint32)[1]

    assert upper & 0xFFFF == rounding.whole(tasks) == rounding.wholes(np.array([tasks]))[0]
    assert rounding.exceeds(tasks, limit) == (rounding.whole(tasks) > limit)
    assert abs(rounding.whole(tasks) - math.ceil(tasks - 1e-6)) <= (abs(tasks - 1e-6 - round(tasks)) < 1e-9)


def test_sums_of_many_tasks_do_not_overflow() -> None:
    load = np.full(3_000, 2_000.0)  # 4,000 tasks at 50 %: sixteen ticks fill an unsigned 16-bit sum
    policy = tracked(max=5_000, initial=4_000)
    batch = replay_batch(load, START, [policy], utilisation=UTILISATION)

    assert batch.task_hours[0] == simulate(load, START, policy).task_hours
