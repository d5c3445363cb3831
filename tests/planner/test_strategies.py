"""The chosen fleet under other placement strategies."""

from __future__ import annotations

import numpy as np

from planner.candidates import FleetCandidate, Search, search_fleets
from planner.fleet import scarcest, usual_strategy
from planner.strategies import PACKING, SPREADING, under_other_strategies
from planner.workloads import Workload
from tests.planner.test_candidates import flat, offer, search, workload

LARGE = offer("x.large", 4096, 16000, 0.2)


def candidate(*workloads: Workload, asked: Search) -> FleetCandidate:
    return search_fleets(list(workloads), asked)[-1]


def test_the_fleet_packs_by_what_its_services_are_shortest_of() -> None:
    busy, fat = workload("busy", flat(4), 1024, 1000), workload("fat", flat(4), 128, 4000)
    cpu, memory = ({w.name: w.tasks} for w in (busy, fat))

    assert scarcest(cpu, [busy.task_type], LARGE) == "cpu"  # 1,024 of 4,096 against 1,000 of 16,000
    assert scarcest(memory, [fat.task_type], LARGE) == "memory"  # 128 of 4,096 against 4,000 of 16,000
    assert candidate(busy, asked=search(LARGE)).groups[0].rules.strategy == "spread:az,binpack:cpu"


def test_under_a_target_capacity_of_100_binpack_comes_first() -> None:
    assert usual_strategy("cpu", 100) == "spread:az,binpack:cpu"
    assert usual_strategy("cpu", 90) == "binpack:cpu,spread:az"


def test_every_other_strategy_is_replayed_and_none_that_gives_up_the_spread_is_possible() -> None:
    web, asked = workload("web", flat(8)), search(LARGE)
    chosen = candidate(web, asked=asked)
    others = under_other_strategies(chosen, [web], asked)

    assert {c.groups[0].rules.strategy for c in others} == {*SPREADING, *PACKING} - {"spread:az,binpack:cpu"}
    for other in others:
        strategy = other.groups[0].rules.strategy
        assert other.option.name == f"{chosen.option.name}, placed {strategy}"
        assert (other.option.impossible is not None) == (strategy in PACKING)


def test_a_fleet_that_keeps_spare_capacity_packs_before_it_spreads() -> None:
    jump = np.concatenate([flat(8)[:120], flat(9)[120:]])
    web, asked = workload("web", jump), search(LARGE)
    chosen = next(c for c in search_fleets([web], asked) if c.groups[0].rules.target_capacity_percent < 100)
    others = under_other_strategies(chosen, [web], asked)

    assert [c.groups[0].rules.strategy for c in others] == ["binpack:memory,spread:az"]
    assert others[0].option.impossible is None


def test_in_one_zone_there_is_no_spread_to_give_up() -> None:
    web, asked = workload("web", flat(8)), search(LARGE)
    alone = Search(asked.catalogue, ("a",), asked.settings, asked.fixed_usd_per_hour)
    others = under_other_strategies(candidate(web, asked=alone), [web], alone)

    assert all(c.option.impossible is None for c in others)


def test_no_fleet_has_no_other_strategy() -> None:
    web, asked = workload("web", flat(8)), search(LARGE)
    nothing = FleetCandidate(candidate(web, asked=asked).option, ())

    assert under_other_strategies(nothing, [web], asked) == []
