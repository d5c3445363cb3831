"""One capacity provider for several services: chosen by replay, judged on weeks it had not seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from planner.model import InstanceType, Resources, TaskType
from planner.provider_choice import Hosted, ProviderChoice, Setting, choose_provider, hosted
from planner.scaling import Policy
from planner.scaling.policies import TargetTracking
from planner.units import CpuUnits, MiB, UsdPerHour

ZONES = ("a", "b")
DAY = 1440
OFFER = InstanceType("x.large", Resources(CpuUnits(4096), MiB(8000)), UsdPerHour(0.2))


def service(name: str, needed: np.ndarray, wanted: np.ndarray | None = None) -> Hosted:
    """Tasks of a quarter of an instance; what is wanted runs at once where there is room."""
    task = TaskType(name, 1, Resources(CpuUnits(1024), MiB(1000)))
    tasks = needed if wanted is None else wanted
    return Hosted(task, tasks, tasks, needed, needed, np.ones(len(needed), bool))


def flat(count: int, days: int) -> np.ndarray:
    return np.full(days * DAY, count)


def jumping(days: int) -> np.ndarray:
    """4 tasks, and 16 in two hours of every day; the rise takes no minute."""
    minute = np.arange(days * DAY) % DAY
    return np.where((minute >= 600) & (minute < 720), 16, 4)


def chosen(services: list[Hosted], slo: float = 0.9999) -> ProviderChoice:
    found = choose_provider(services, OFFER, ZONES, slo=slo)
    assert isinstance(found, ProviderChoice)
    return found


def test_calm_services_share_instances_and_keep_none_to_spare() -> None:
    found = chosen([service("web", flat(3, 7)), service("api", flat(5, 7))])

    assert found.chosen.setting == Setting(100, 0)
    assert found.chosen.instance_hours_per_week == 2 * 7 * 24  # 8 tasks, 4 an instance
    assert found.attainment == {"web": 1.0, "api": 1.0}


def test_instances_are_kept_where_tasks_would_wait_for_a_boot() -> None:
    found = chosen([service("web", jumping(7)), service("api", flat(4, 7))])
    bare = next(p for p in found.frontier if p.setting == Setting(100, 0))

    assert not bare.holds  # 3 minutes of every day wait for a boot, 1 of a week is allowed
    assert found.chosen.holds
    assert found.chosen.attainment == 1.0
    assert found.chosen.instance_hours_per_week > bare.instance_hours_per_week
    assert found.max_size == 10  # twice the 5 instances that 16 and 4 tasks need


def test_an_unseen_week_is_judged_by_what_the_weeks_before_it_would_have_chosen() -> None:
    services = [service("web", np.r_[flat(4, 7), jumping(7)]), service("api", flat(4, 14))]
    (week,) = chosen(services).unseen

    assert week.setting == Setting(100, 0)  # the first week jumps nowhere
    assert not week.held
    assert week.reachable
    assert week.attainment == pytest.approx(1 - 7 * 3 / (7 * DAY))  # 3 minutes of each day wait for a boot


def test_the_reason_counts_the_unseen_weeks() -> None:
    found = chosen([service("web", jumping(14)), service("api", flat(4, 14))])

    assert [(week.held, week.cost_ratio) for week in found.unseen] == [(True, 1.0)]
    assert "held 1 of 1 unseen weeks" in found.reason
    assert "judged on no unseen week" in chosen([service("web", flat(4, 7))]).reason


def test_services_that_are_short_with_instances_always_there_are_named() -> None:
    late = service("late", jumping(7), wanted=np.r_[flat(4, 7)])
    found = chosen([late, service("api", flat(4, 7))])

    assert not found.chosen.holds
    assert "because late would not have it with instances always there" in found.reason


def test_near_misses_count_against_a_setting() -> None:
    calm = service("web", flat(4, 7))
    found = chosen([replace(calm, strained=flat(5, 7))])

    assert found.chosen.attainment == 1.0
    assert not found.chosen.holds


def test_a_task_larger_than_the_instance_is_refused() -> None:
    large = TaskType("large", 1, Resources(CpuUnits(5000), MiB(1000)))
    found = choose_provider([replace(service("large", flat(1, 2)), task=large)], OFFER, ZONES, slo=0.99)

    assert not isinstance(found, ProviderChoice)
    assert [refused.what for refused in found] == ["large"]


def test_a_service_is_hosted_as_its_policy_scales_it() -> None:
    demand = np.r_[np.full(60, 1.0), np.full(60, 3.0), [np.nan]]
    policy = Policy(1, 2, 50, initial=2, target_tracking=(TargetTracking(50),))
    found = hosted(service("web", flat(1, 1)).task, demand, datetime(2026, 1, 5, tzinfo=UTC), policy, 0.8)

    assert found.needed[[0, 60, 120]].tolist() == [2, 4, 0]  # 1 / 0.8, 3 / 0.8, unknown
    assert found.strained[60] == 5  # 3 x 1.08 / 0.8 = 4.05
    assert (found.wanted[0], found.wanted[-1]) == (2, 6)  # 3 vCPU at 50 %
    assert found.known.sum() == 120
