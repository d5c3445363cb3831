"""A chosen fleet keeps no more instances than its services need."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from planner.candidates import FleetCandidate, Search, option_of, replay_group
from planner.fleet import FleetRules
from planner.kept_instances import keeping_fewer
from planner.workloads import Workload
from tests.planner.test_candidates import ZONES, offer, search, workload

MONDAY = datetime(2026, 5, 11, tzinfo=UTC)
DAY = 1440


def jumping(low: int, high: int) -> np.ndarray:
    """Two days; twice a day the tasks jump by what two instances hold, and later to `high` one by one."""
    hours = np.full(24, low)
    hours[8:12] = low + 8
    climb = np.repeat(np.arange(low, high + 1), 12)
    day = np.repeat(hours, 60)
    day[720 : 720 + len(climb)] = climb
    return np.tile(day, 2)


def roomy(counts: np.ndarray) -> Workload:
    """A service whose tasks are a tenth more than its objective asks for."""
    made = workload("web", counts)
    return replace(made, demand_vcpu=made.demand_vcpu * 0.9)


def keeping(size: int, web: Workload, asked: Search) -> FleetCandidate:
    group = replay_group(asked.catalogue[0], [web], FleetRules(ZONES, min_size=size), 0)
    return FleetCandidate(option_of([web], (group,), asked), (group,))


def test_the_peak_is_not_kept_where_less_is_enough() -> None:
    web, asked = roomy(jumping(8, 40)), search(offer("x.large", 4096, 8000, 0.2), slo=0.99)
    peak = keeping(10, web, asked)  # 40 tasks, 4 an instance
    (found,) = keeping_fewer(peak, [web], asked)
    (group,) = found.groups

    assert found.option.attainment is not None
    assert found.option.attainment >= 0.99
    assert 3 < group.rules.min_size < 10
    assert group.usd_per_hour < peak.groups[0].usd_per_hour
    assert f"never under {group.rules.min_size}" in found.option.name


def test_one_instance_less_leaves_no_room() -> None:
    web, asked = roomy(jumping(8, 40)), search(offer("x.large", 4096, 8000, 0.2), slo=0.99)
    (found,) = keeping_fewer(keeping(10, web, asked), [web], asked)
    least = found.groups[0].rules.min_size

    assert keeping_fewer(keeping(least, web, asked), [web], asked) == []


def test_a_fleet_that_keeps_no_more_than_any_is_left_alone() -> None:
    web, asked = roomy(jumping(8, 40)), search(offer("x.large", 4096, 8000, 0.2))

    assert keeping_fewer(keeping(asked.min_size, web, asked), [web], asked) == []


def test_a_service_without_room_on_its_peak_keeps_the_peak() -> None:
    web, asked = workload("web", jumping(8, 40)), search(offer("x.large", 4096, 8000, 0.2))

    assert keeping_fewer(keeping(10, web, asked), [web], asked) == []
