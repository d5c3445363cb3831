"""Fleets worth comparing: ranked by a bound, replayed as ECS runs them, refused with a reason."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from planner import candidates
from planner.candidates import Group, Search, impossible, lost_zone, rank, search_fleets
from planner.documents.plan import ScalingPlan, TaskSize
from planner.model import Architecture, InstanceType, Resources
from planner.settings import Settings
from planner.timegrid import TimeGrid
from planner.units import CpuUnits, MiB, UsdPerHour
from planner.workloads import Workload, summarise
from tests.estates import service

MINUTES = 240
GRID = TimeGrid(datetime(2026, 5, 11, tzinfo=UTC), MINUTES)
ZONES = ("a", "b", "c")


def offer(name: str, cpu: int, memory: int, usd: float, arm: bool = False) -> InstanceType:
    kind = Architecture.ARM64 if arm else Architecture.X86_64
    return InstanceType(name, Resources(CpuUnits(cpu), MiB(memory)), UsdPerHour(usd), kind)


def workload(name: str, counts: np.ndarray, cpu: int = 1024, memory: int = 1000, arm: bool = False) -> Workload:
    """A service whose running tasks are exactly enough: 0.8 of their CPU is the demand."""
    demand = (counts * cpu / 1024 * 0.8).astype(float)
    tasks = counts.astype(np.int64)
    return Workload(
        service=service(name, cpu, memory, int(counts[0]), arm=arm),
        size=TaskSize(cpu_units=cpu, memory_mib=memory),
        reasons=(),
        demand_vcpu=demand,
        tasks=tasks,
        running=tasks,
        summary=summarise(name, demand, np.zeros(len(counts), bool)),
        scaling=ScalingPlan(min_capacity=1, max_capacity=99, reason="test"),
        on_fargate=False,
    )


def search(*offers: InstanceType, **changes: object) -> Search:
    settings = Settings.model_validate({"timezone": "UTC", **changes})
    return Search(offers, ZONES, settings, UsdPerHour(0))


def flat(count: int) -> np.ndarray:
    return np.full(MINUTES, count)


def test_types_are_ranked_by_a_cost_no_placement_can_beat() -> None:
    dear, cheap = offer("x.dear", 4096, 8000, 0.5), offer("x.cheap", 4096, 8000, 0.2)
    found = rank([workload("web", flat(8))], search(dear, cheap))

    # 8 tasks of 1,024 on 4,096: 2 instances, 2 x 0.2 and 2 x 0.5
    assert [(round(usd, 6), o.instance_type) for usd, o in found] == [(0.4, "x.cheap"), (1.0, "x.dear")]


def test_a_steady_load_gives_its_instances_times_the_price() -> None:
    (candidate,) = search_fleets([workload("web", flat(8))], search(offer("x.large", 4096, 8000, 0.2)))

    assert candidate.option.usd_per_hour == pytest.approx(0.4)  # 2 x 0.2
    assert candidate.option.attainment == 1.0


def test_fixed_cost_is_on_every_candidate() -> None:
    asked = Search((offer("x.large", 4096, 8000, 0.2),), ZONES, Settings(timezone="UTC"), UsdPerHour(0.03))
    (candidate,) = search_fleets([workload("web", flat(8))], asked)

    assert candidate.option.usd_per_hour == pytest.approx(0.43)  # 2 x 0.2 + 0.03


def test_where_boots_break_the_objective_spare_capacity_is_tried_and_both_are_told() -> None:
    jump = np.concatenate([np.full(120, 4), np.full(120, 40)])
    found = search_fleets([workload("web", jump)], search(offer("x.large", 4096, 8000, 0.2)))

    assert len(found) > 1
    assert found[0].option.attainment is not None
    assert found[0].option.attainment < 0.999
    assert found[-1].option.attainment == 1.0
    assert "never under 10" in found[-1].option.name  # 40 tasks / 4 a piece


def test_services_of_two_architectures_get_a_group_each() -> None:
    both = [workload("web", flat(4)), workload("arm", flat(4), arm=True)]
    (candidate,) = search_fleets(
        both, search(offer("x.large", 4096, 8000, 0.2), offer("g.large", 4096, 8000, 0.15, arm=True))
    )

    assert {g.offer.instance_type: g.services for g in candidate.groups} == {
        "g.large": ("arm",),
        "x.large": ("web",),
    }


def test_two_types_put_each_service_where_its_part_is_cheaper() -> None:
    offers = (offer("c.large", 4096, 8000, 0.20), offer("r.large", 4096, 32000, 0.30))
    busy, fat = workload("busy", flat(40)), workload("fat", flat(40), cpu=128, memory=7000)
    found = search_fleets([busy, fat], search(*offers, max_instance_types=2))
    pairs = [c for c in found if len(c.groups) == 2]

    assert {g.offer.instance_type: g.services for g in pairs[0].groups} == {
        "c.large": ("busy",),
        "r.large": ("fat",),
    }
    assert min(c.option.usd_per_hour or 9 for c in pairs) < min(
        c.option.usd_per_hour or 9 for c in found if len(c.groups) == 1
    )


def test_surviving_a_zone_is_proved_by_placing_what_is_left() -> None:
    found = search_fleets(
        [workload("web", flat(24))], search(offer("x.large", 4096, 8000, 0.2), survive_zone_loss=True)
    )
    holding = [c for c in found if c.option.impossible is None]

    assert holding
    for candidate in holding:
        assert lost_zone([workload("web", flat(24))], candidate.groups[0]) is None
        # 24 tasks need 6 instances after the loss, so at least 9 before it
        assert int(candidate.groups[0].run.instances.min()) >= 9


def test_a_service_that_no_type_can_take_is_named() -> None:
    big = workload("big", flat(1), cpu=8192)
    offers = (offer("x.large", 4096, 8000, 0.2),)

    assert search_fleets([big], search(*offers)) == []
    assert [r.what for r in impossible([big], offers)] == ["big"]


def test_no_service_on_instances_gives_no_candidate() -> None:
    assert search_fleets([], search(offer("x.large", 4096, 8000, 0.2))) == []


def test_where_a_lost_zone_leaves_room_in_pieces_more_is_kept_free(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_pieces(_workloads: object, group: Group) -> str | None:
        return "in pieces" if group.rules.target_capacity_percent > 60 else None

    monkeypatch.setattr(candidates, "lost_zone", in_pieces)
    asked = search(offer("x.large", 4096, 8000, 0.2), survive_zone_loss=True)
    found = search_fleets([workload("web", flat(24))], asked)

    assert asked.target_capacities == (66, 62, 59, 52, 46)  # two thirds, and 95, 90, 80 and 70 % of that
    assert [c.option.impossible for c in found] == ["in pieces", "in pieces", None]
    assert "target capacity 59 %" in found[-1].option.name
