"""What a service tracks in the plan: CPU, or the requests it tracks today where they are as cheap."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from planner.documents.plan import Carries, ScalingPlan, TargetTrackingPlan
from planner.model import Route, ScalingTarget, Service, TargetTracking
from planner.settings import Settings
from planner.thresholds import (
    CPU_METRIC,
    REQUESTS_METRIC,
    TrackedLoad,
    choose_scaling,
    tracked_load,
    with_metric_told,
)
from planner.timegrid import TimeGrid
from tests.planner.test_candidates import flat, workload

START = datetime(2026, 5, 11, tzinfo=UTC)
MINUTES = 3 * 1440
LABEL = "app/web/50dc6c495c0c9188/targetgroup/web/943f017f100becff"
GRID = TimeGrid(START, MINUTES)
MEMORY_METRIC = "ECSServiceAverageMemoryUtilization"


def demand() -> np.ndarray:
    hour = np.arange(MINUTES) / 60 % 24
    noise = np.random.default_rng(3).normal(0, 0.02, MINUTES)
    return (6 + 4 * np.sin((hour - 8) / 12 * np.pi)) * np.exp(noise)


def service(label: str | None = LABEL) -> Service:
    policy = TargetTracking("by-requests", REQUESTS_METRIC, 500.0, resource_label=label)
    return replace(workload("web", flat(4)).service, scaling=ScalingTarget(1, 50, (policy,)))


def test_a_service_that_tracks_requests_keeps_to_them_with_their_label() -> None:
    wanted = demand()
    scaling, counts = choose_scaling(
        service(), wanted, 1.0, Settings(slo=0.99), GRID, load=TrackedLoad(wanted * 600, LABEL)
    )
    assert scaling.target_tracking is not None

    assert scaling.target_tracking.metric == REQUESTS_METRIC
    assert scaling.target_tracking.resource_label == LABEL
    assert 600 * 0.2 < scaling.target_tracking.target < 600  # 600 requests are a vCPU, and tasks have one
    assert scaling.attainment == pytest.approx(1 - counts.violating.mean(), abs=1e-6)


def test_without_its_requests_a_service_is_scaled_on_cpu() -> None:
    scaling, _ = choose_scaling(service(), demand(), 1.0, Settings(slo=0.99), GRID)
    assert scaling.target_tracking is not None

    assert scaling.target_tracking.metric == "ECSServiceAverageCPUUtilization"
    assert scaling.target_tracking.resource_label is None


def test_requests_that_tell_no_load_give_way_to_cpu() -> None:
    wanted = demand()
    noise = np.random.default_rng(1).uniform(0.2, 3, MINUTES)
    scaling, _ = choose_scaling(
        service(), wanted, 1.0, Settings(slo=0.99), GRID, load=TrackedLoad(wanted * 600 * noise, LABEL)
    )
    assert scaling.target_tracking is not None

    assert scaling.target_tracking.metric == "ECSServiceAverageCPUUtilization"


def test_demand_raised_above_what_was_seen_raises_requests_alike() -> None:
    load = tracked_load(service(), np.array([60.0, 60.0]), np.array([3.0, np.nan]), np.array([2.0, np.nan]))
    assert load is not None

    assert load.requests[0] == 90  # half as much again
    assert np.isnan(load.requests[1])


@pytest.mark.parametrize("label", [None, ""])
def test_a_policy_without_a_label_cannot_be_kept(label: str | None) -> None:
    assert tracked_load(service(label), np.array([60.0]), np.array([1.0]), np.array([1.0])) is None


BALANCER = "arn:aws:elasticloadbalancing:eu-west-2:123456789012:loadbalancer/app/web/50dc6c495c0c9188"
GROUP = "arn:aws:elasticloadbalancing:eu-west-2:123456789012:targetgroup/web/943f017f100becff"
LATE = Carries(requests_per_second_per_task=2.0, low=1.8, high=2.2, bound_by="latency", explained=0.9)


def routed(*routes: Route) -> Service:
    groups = tuple({route.target_group_arn: None for route in routes})
    return replace(workload("web", flat(4)).service, routes=routes, target_group_arns=groups)


def test_where_latency_binds_requests_are_tracked_behind_their_load_balancer() -> None:
    """A task carries 2 requests a second within the objective, though they cost a tenth of its CPU."""
    web = routed(Route("web", 443, "1", ("path /*",), GROUP, BALANCER), Route("web", 80, "1", (), GROUP, BALANCER))
    wanted = demand() / 10
    requests = wanted * 600  # 10 a second and vCPU
    load = tracked_load(web, requests, wanted, wanted, LATE)
    assert load is not None
    scaling, counts = choose_scaling(web, wanted, 1.0, Settings(slo=0.99), GRID, load=load)
    assert scaling.target_tracking is not None

    assert scaling.target_tracking.metric == REQUESTS_METRIC
    assert scaling.target_tracking.resource_label == LABEL
    assert (counts.running >= requests / 60 / 2.0).mean() >= 0.99  # by CPU alone one or two tasks would do


@pytest.mark.parametrize(
    "routes",
    [
        (),
        (Route("web", 443, "1", (), GROUP, BALANCER.replace("/app/", "/net/")),),
        (Route("web", 443, "1", (), GROUP, BALANCER), Route("other", 443, "1", (), GROUP, BALANCER + "0")),
    ],
)
def test_requests_that_no_one_target_group_counts_are_not_tracked(routes: tuple[Route, ...]) -> None:
    assert tracked_load(routed(*routes), np.array([60.0]), np.array([1.0]), np.array([1.0]), LATE) is None


@pytest.mark.parametrize(
    ("tracked", "scale_on", "load", "words"),
    [
        (CPU_METRIC, CPU_METRIC, None, "because"),
        (CPU_METRIC, None, None, "because"),
        (CPU_METRIC + "HighResolution", CPU_METRIC, None, "because"),
        (
            CPU_METRIC,
            MEMORY_METRIC,
            None,
            "because; ECSServiceAverageMemoryUtilization is not tracked: what a task holds",
        ),
        (
            CPU_METRIC,
            REQUESTS_METRIC,
            None,
            "because; ALBRequestCountPerTarget is not tracked: its task is resized, or no one",
        ),
        (CPU_METRIC, REQUESTS_METRIC, TrackedLoad(np.ones(1), LABEL), "is not tracked: CPU costs less"),
        (REQUESTS_METRIC, CPU_METRIC, TrackedLoad(np.ones(1), LABEL), "ALBRequestCountPerTarget is kept"),
    ],
)
def test_a_metric_that_tells_the_load_and_is_not_tracked_has_its_reason(
    tracked: str, scale_on: str | None, load: TrackedLoad | None, words: str
) -> None:
    tracking = TargetTrackingPlan(metric=tracked, target=50)  # type: ignore[arg-type]
    plan = ScalingPlan(min_capacity=1, max_capacity=9, target_tracking=tracking, reason="because")

    assert words in with_metric_told(plan, scale_on, load).reason
    assert (with_metric_told(plan, scale_on, load) == plan) == (words == "because")


def bursts() -> np.ndarray:
    """From 2 to 20 vCPU within three minutes, four times a day at minutes that nobody can know, for 40 minutes."""
    random, load = np.random.default_rng(3), np.full(MINUTES, 2.0)
    for start in range(0, MINUTES, 360):
        at = start + int(random.integers(0, 360 - 46))
        load[at : at + 46] = np.r_[np.linspace(2, 20, 3), np.full(40, 20.0), np.linspace(20, 2, 3)]
    return load


@pytest.mark.parametrize("resolution", ["standard", "either", "high"])
def test_where_metrics_of_a_minute_do_not_hold_those_of_twenty_seconds_come_before_a_fixed_count(
    resolution: str,
) -> None:
    settings = Settings(slo=0.99, metric_resolution=resolution)  # type: ignore[arg-type]
    scaling, counts = choose_scaling(service(None), bursts(), 1.0, settings, GRID)
    assert scaling.target_tracking is not None

    assert scaling.target_tracking.metric == CPU_METRIC + "HighResolution"
    assert scaling.min_capacity < 20 / 0.8 <= scaling.max_capacity  # 25 tasks hold the peak
    assert scaling.attainment == pytest.approx(1 - counts.violating.mean(), abs=1e-6)
    assert scaling.attainment is not None
    assert scaling.attainment >= 0.99
    assert "charged like detailed monitoring" in scaling.reason
    told = "on metrics of a minute: infeasible by target tracking alone" in scaling.reason
    assert told is (resolution != "high")


def test_a_service_whose_metrics_come_by_the_minute_only_gets_a_fixed_count_that_says_so() -> None:
    web = replace(service(None), minute_metrics_only="its deployment controller is CODE_DEPLOY")
    scaling, _ = choose_scaling(web, bursts(), 1.0, Settings(slo=0.99, metric_resolution="high"), GRID)

    assert scaling.target_tracking is None
    assert scaling.min_capacity == scaling.max_capacity == 25  # 20 vCPU / 0.8
    assert "only metrics of a minute: its deployment controller is CODE_DEPLOY" in scaling.reason


def test_twenty_second_metrics_are_never_taken_where_that_is_asked_for() -> None:
    settings = Settings(slo=0.99, metric_resolution="standard-only")
    scaling, _ = choose_scaling(service(None), bursts(), 1.0, settings, GRID)

    assert scaling.target_tracking is None


def test_a_service_on_twenty_second_metrics_today_keeps_them_where_they_repay() -> None:
    """A hundred vCPU with steep mornings: 20 seconds save far more than the 25 vCPU-hours a week they have to."""
    policy = TargetTracking("fast", CPU_METRIC + "HighResolution", 50.0)
    today = replace(service(None), scaling=ScalingTarget(1, 500, (policy,)))
    gentle = bursts() * 0.2 + 8  # between 8.4 and 12 vCPU: metrics of a minute hold
    settings = Settings(slo=0.99)
    found = {
        name: choose_scaling(web, gentle * 10, 1.0, settings, GRID)[0].target_tracking
        for name, web in (("today", today), ("new", service(None)))
    }

    assert {name: tracking.metric for name, tracking in found.items() if tracking is not None} == {
        "today": CPU_METRIC + "HighResolution",
        "new": CPU_METRIC,
    }


def test_metrics_of_a_minute_are_kept_where_they_hold() -> None:
    scaling, _ = choose_scaling(service(None), demand(), 1.0, Settings(slo=0.99), GRID)
    assert scaling.target_tracking is not None

    assert scaling.target_tracking.metric == CPU_METRIC
    assert "20-second" not in scaling.reason
