"""Spot: the share of each service, and the spread over pools."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.model import SPOT
from planner.packing import PackingProblem, ProblemError, SpotRule, pack
from planner.packing.check import violations
from planner.packing.problem import PackedInstances
from planner.units import Share, UsdPerHour
from tests.planner.packing.build import offer, task


def spot_offer(name: str, cpu: int, memory: int, price: float, spot: float):  # type: ignore[no-untyped-def]
    return replace(offer(name, cpu, memory, price), spot_usd_per_hour=UsdPerHour(spot))


OFFERS = (spot_offer("a", 1000, 1000, 1.0, 0.3), spot_offer("b", 1000, 1000, 1.1, 0.4))


def spot_tasks(packing) -> Counter[str]:  # type: ignore[no-untyped-def]
    found: Counter[str] = Counter()
    for line in packing.instances:
        if line.purchase == SPOT:
            found.update({service: n * line.count for service, n in line.tasks.items()})
    return found


def test_at_most_the_share_of_each_service_runs_on_spot() -> None:
    problem = PackingProblem((task("web", 10, 250, 250),), OFFERS, spot=SpotRule(Share(0.5)))
    packing = pack(problem)

    # 5 of 10 may: one Spot instance (0.3) is full with 4, and the other 6 need two on demand (1.0 each) anyway
    assert spot_tasks(packing) == {"web": 4}
    assert packing.usd_per_hour == pytest.approx(2 * 1.0 + 0.3)


def test_a_service_that_must_not_run_on_spot_stays_off_it() -> None:
    problem = PackingProblem(
        (replace(task("db", 4, 250, 250), may_use_spot=False), task("web", 4, 250, 250)),
        OFFERS, spot=SpotRule(Share(1.0)),
    )  # fmt: skip

    assert "db" not in spot_tasks(pack(problem))


def test_no_pool_has_more_than_its_share_and_the_bound_knows_it() -> None:
    tasks = (task("web", 80, 250, 250),)
    free = pack(PackingProblem(tasks, OFFERS, spot=SpotRule(Share(1.0))))
    spread = pack(PackingProblem(tasks, OFFERS, spot=SpotRule(Share(1.0), 2, Share(0.5))))
    pools = {line.instance_type: line.count for line in spread.instances if line.purchase == SPOT}

    assert free.usd_per_hour == pytest.approx(20 * 0.3)
    assert pools == {"a": 10, "b": 10}
    assert spread.usd_per_hour == pytest.approx(10 * 0.3 + 10 * 0.4)
    assert spread.lower_bound_usd_per_hour > 6.9  # without the rule it would be 6.0


def test_where_no_spread_can_be_had_nothing_is_on_spot() -> None:
    problem = PackingProblem((task("web", 4, 250, 250),), OFFERS, spot=SpotRule(Share(1.0), 5, Share(0.2)))

    assert spot_tasks(pack(problem)) == {}


@pytest.mark.parametrize(
    "rule", [SpotRule(Share(1.5)), SpotRule(Share(0.5), 0), SpotRule(Share(0.5), 1, Share(0.0))]
)
def test_an_impossible_rule_is_refused(rule: SpotRule) -> None:
    with pytest.raises(ProblemError):
        PackingProblem((task("web", 4, 250, 250),), OFFERS, spot=rule)


def test_a_catalogue_without_spot_prices_is_refused() -> None:
    with pytest.raises(ProblemError, match="Spot price"):
        PackingProblem((task("web", 4, 250, 250),), (offer("a", 1, 1, 1.0),), spot=SpotRule(Share(0.5)))


@settings(max_examples=25, deadline=None)
@given(
    needs=st.lists(
        st.tuples(st.integers(1, 9), st.integers(5, 60), st.integers(5, 60), st.booleans(), st.booleans()),
        min_size=1, max_size=4,
    ),
    rooms=st.lists(
        st.tuples(st.integers(60, 150), st.integers(60, 150), st.integers(50, 200), st.integers(10, 190)),
        min_size=1, max_size=3,
    ),
    share=st.sampled_from([0.3, 0.5, 1.0]),
    pools=st.sampled_from([(1, 1.0), (2, 0.6), (3, 0.34)]),
    zones=st.integers(1, 3),
    survive=st.booleans(),
)  # fmt: skip
def test_every_spot_fleet_keeps_every_rule_and_costs_no_more_than_without_spot(  # type: ignore[no-untyped-def]
    needs, rooms, share, pools, zones, survive
) -> None:
    tasks = tuple(
        replace(task(f"s{k}", n, cpu, memory, distinct=distinct), may_use_spot=may)
        for k, (n, cpu, memory, distinct, may) in enumerate(needs)
    )
    offers = tuple(
        spot_offer(f"t{k}", cpu, memory, price / 100, spot / 100)
        for k, (cpu, memory, price, spot) in enumerate(rooms)
    )
    problem = PackingProblem(
        tasks, offers, zones=zones, survive_zone_loss=survive and zones > 1,
        spot=SpotRule(Share(share), pools[0], Share(pools[1])),
    )  # fmt: skip
    packing = pack(problem)

    assert violations(problem, packing) == []
    assert packing.lower_bound_usd_per_hour <= pack(replace(problem, spot=None)).usd_per_hour + 1e-9


def test_the_bound_knows_that_places_kept_for_a_lost_zone_are_never_on_spot() -> None:
    # 8 tasks in 2 zones, 4 to an instance: each zone runs 4 on Spot (0.3) and keeps 4 places on demand (1.0)
    problem = PackingProblem(
        (task("web", 8, 250, 250),), OFFERS, zones=2, survive_zone_loss=True, spot=SpotRule(Share(1.0))
    )
    packing = pack(problem)

    assert packing.usd_per_hour == pytest.approx(2 * 0.3 + 2 * 1.0)
    assert packing.lower_bound_usd_per_hour == pytest.approx(2 * 0.3 + 2 * 1.0)


def test_the_check_finds_places_kept_on_spot() -> None:
    problem = PackingProblem((task("web", 1, 250, 250),), OFFERS, spot=SpotRule(Share(1.0)))
    line = PackedInstances("a", "zone-1", 1, {"web": 1}, {"web": 1}, SPOT)
    packing = replace(pack(problem), instances=(line,))

    assert "places are kept free on Spot, on a" in violations(problem, packing)
