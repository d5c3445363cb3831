"""How tasks and kept places are spread over zones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.packing import PackingProblem, pack
from planner.packing.zones import other_demands, zone_demand
from tests.planner.packing.build import offer, task


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(0, 12), min_size=1, max_size=5),
    zones=st.integers(2, 4),
    survive=st.booleans(),
    share=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_every_spread_keeps_the_rules_with_the_fewest_places(
    counts: list[int], zones: int, survive: bool, share: float
) -> None:
    on_spot = [int(share * n) for n in counts]
    worth = np.arange(1.0, len(counts) + 1.0)
    first = zone_demand(counts, on_spot, zones, survive)

    for demand in [first, *other_demands(counts, on_spot, zones, survive, worth)]:
        for s, count in enumerate(counts):
            units = [s, s + len(counts)]
            running = demand.running[:, units].sum(axis=1)
            places = demand.places[:, units].sum(axis=1)
            assert running.sum() == count
            assert running.max() - running.min() <= 1
            assert (demand.places >= demand.running).all()
            assert demand.places[:, units[1]].sum() == on_spot[s]  # nothing is kept on Spot
            if survive:
                assert places.sum() - places.max() >= count
            assert places.sum() == (-(-count * zones // (zones - 1)) if survive else count)


@pytest.mark.parametrize("max_types", [None, 1])
def test_the_bound_counts_whole_instances_in_what_is_left_of_a_lost_zone(max_types: int | None) -> None:
    # 100 tasks, 3 to an instance: either of 2 zones holds all in 34 instances. 200 places would take only 67.
    tasks, offers = (task("web", 100, 10, 10),), (offer("a", 30, 30, 1.0), offer("b", 29, 30, 0.99))
    problem = PackingProblem(tasks, offers[:1], zones=2, survive_zone_loss=True)
    packing = pack(problem if max_types is None else replace(problem, catalogue=offers, max_types=1))

    assert (packing.status, packing.usd_per_hour) == ("optimal", 68.0)


def test_the_bound_counts_whole_instances_in_every_zone() -> None:
    # 60 tasks in 3 zones, 18 to an instance: 20 in each zone take 2 instances. Together they would take 4.
    packing = pack(PackingProblem((task("web", 60, 10, 10),), (offer("a", 180, 180, 1.0),), zones=3))

    assert (packing.status, packing.usd_per_hour) == ("optimal", 6.0)
