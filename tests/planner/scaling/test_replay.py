"""What a replay amounts to: sums that can be done by hand, queueing, drills, random delays."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from planner.scaling import DemandError, Outcome, parse_policy, simulate
from planner.scaling.drills import rehearse
from planner.scaling.outcome import queueing_estimate

START = datetime(2026, 1, 5, 10, 30, tzinfo=UTC)


def replay(load: list[float] | np.ndarray[Any, Any], **policy: Any) -> Outcome:
    document = {"task_vcpu": 0.5, "min": 4, "max": 4, **policy}
    return simulate(np.asarray(load, dtype=np.float64), START, parse_policy(document), usd_per_task_hour=0.02)


def test_a_fixed_fleet_is_a_sum() -> None:
    outcome = replay([1.0] * 60 + [1.7] * 30 + [2.5] * 30)  # capacity 2 vCPU, objective 1.6

    assert outcome.minutes == 120
    assert outcome.violating_minutes == 60
    assert outcome.slo_attainment == 0.5
    assert outcome.task_hours == 8  # 4 tasks for 2 hours
    assert outcome.usd == pytest.approx(0.16)
    assert outcome.unserved_vcpu_minutes == pytest.approx(15)  # 0.5 vCPU over 30 minutes
    assert outcome.served_vcpu_minutes == pytest.approx(60 + 51 + 75 - 15)
    assert (outcome.scale_outs, outcome.scale_ins) == (0, 0)


def test_demand_exactly_at_the_objective_does_not_violate() -> None:
    assert replay([1.6] * 5).violating_minutes == 0


def test_no_demand_on_no_capacity_does_not_violate_and_any_demand_does() -> None:
    assert replay([0.0, 0.1], min=0, max=0).violating_minutes == 1


def test_the_worst_hour_is_a_clock_hour() -> None:
    worst = replay([1.0] * 60 + [2.5] * 40).worst_hour  # 11:30 to 12:10

    assert worst is not None
    assert (worst.start.hour, worst.violating_minutes) == (11, 30)
    assert worst.unserved_vcpu_minutes == pytest.approx(15)


def test_unknown_minutes_are_not_judged() -> None:
    outcome = replay([1.0, np.nan, 2.5])

    assert (outcome.minutes, outcome.missing_minutes, outcome.violating_minutes) == (2, 1, 1)


def test_the_trajectory_adds_up_to_the_outcome() -> None:
    load = 3 + 2 * np.sin(np.arange(900) / 60)
    tracked = {"target": 60}
    outcome = replay(load, max=40, target_tracking=tracked, capacity_provider={"tasks_per_instance": 3})
    seen = outcome.trajectory

    assert seen.instances is not None
    assert outcome.task_hours == pytest.approx(seen.tasks.sum() / 60)
    assert outcome.instance_hours == pytest.approx(seen.instances.sum() / 60)
    assert outcome.violating_minutes == seen.violating.sum()
    assert (seen.running <= seen.tasks).all()
    assert (seen.tasks <= 3 * seen.instances).all()


@pytest.mark.parametrize(
    ("load", "words"),
    [([], "non-empty"), ([1, -1], "negative at minute 1"), ([1, np.inf], "infinite at minute 1")],
)
def test_impossible_demand_is_refused(load: list[float], words: str) -> None:
    with pytest.raises(DemandError, match=words):
        replay(load)


def test_a_metric_without_its_column_is_refused() -> None:
    with pytest.raises(DemandError, match="needs the column 'requests'"):
        replay([1.0], target_tracking={"metric": "requests_per_target", "target": 100})


def test_requests_per_target_scale_like_any_metric() -> None:
    policy = parse_policy(
        {"task_vcpu": 1, "min": 2, "max": 50, "target_tracking": {"metric": "requests", "target": 100}}
    )
    requests = np.r_[np.full(20, 200.0), np.full(20, 900.0)]
    outcome = simulate(np.full(40, 0.5), START, policy, loads={"requests": requests})

    assert [(a.second, a.after) for a in outcome.activities] == [(26 * 60, 9)]  # 900 / 100


def test_queueing_grows_with_utilisation_and_falls_with_tasks() -> None:
    def wait(load: float, tasks: int) -> float:
        return queueing_estimate(np.array([load]), np.array([tasks]), 1.0).mean_wait

    assert wait(0.9, 1) == pytest.approx(9)  # M/M/1: rho / (1 - rho)
    assert wait(0.9, 1) > wait(0.5, 1) > wait(5, 10)


def test_saturated_minutes_are_counted_apart() -> None:
    assert queueing_estimate(np.array([2.0, 1.0]), np.array([2, 2]), 1.0).saturated_minutes == 1


RANDOM = {
    "task_start_s": {"kind": "lognormal", "value_s": 90, "sigma": 0.8},
    "metric_publishing_s": {"kind": "uniform", "low_s": 60, "high_s": 240},
    "instance_boot_s": {"kind": "normal", "value_s": 90, "sigma": 40},
}


def random_replay(seed: int) -> Outcome:
    load = 6 + 5 * np.sin(np.arange(900) / 40)
    return replay(
        load,
        max=60,
        target_tracking={"target": 50},
        capacity_provider={"tasks_per_instance": 3},
        delays={**RANDOM, "seed": seed},
    )


def test_random_delays_repeat_with_their_seed_and_differ_without() -> None:
    first, again, other = random_replay(1), random_replay(1), random_replay(2)

    assert first.document() == again.document()
    assert first.document() != other.document()


def test_drills_hit_the_busiest_served_minute() -> None:
    load = np.r_[np.full(200, 2.0), np.full(100, 6.0), np.full(200, 2.0)]
    load[250] = 6.01
    policy = parse_policy({"task_vcpu": 1, "min": 2, "max": 50, "target_tracking": {"target": 60}})
    drills = {d.name: d for d in rehearse(load, START, policy, utilisation=0.8)}

    assert set(drills) == {"zone-lost", "bad-deployment", "spot-reclaim", "load-doubles"}
    # 6 vCPU on 10 tasks. 4 lost (a third, rounded up) leave 6 for one minute: 100 % > 80 %
    assert drills["zone-lost"].added_violating_minutes == 1
    assert drills["load-doubles"].added_violating_minutes == 7  # six to the trigger, one to start
    assert drills["load-doubles"].added_unserved_vcpu_minutes == pytest.approx(14.02)  # 12 - 10 over 7 minutes
    assert drills["bad-deployment"].added_violating_minutes == 0  # nothing had to start then
