"""Few instances under all rules together: cost and bound against a plain model solved to its optimum."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from planner.model import SPOT
from planner.packing import PackingProblem, SpotRule, pack
from planner.packing.check import violations
from planner.packing.problem import PackedInstances
from planner.units import Share, UsdPerHour
from tests.planner.packing.build import offer, task

TOLERANCE = 1e-9


class PlainModel:
    """One column for each instance that may be bought, its running tasks, and what it takes over in each loss."""

    def __init__(self, problem: PackingProblem, instances: int) -> None:
        self.columns: list[tuple[float, float, float]] = []  # cost, least, most
        self.rows: list[tuple[dict[int, float], float, float]] = []
        zones, tasks, spot = range(problem.zones), problem.tasks, problem.spot is not None
        used = {o.instance_type: self.column(0, 0, 1) for o in problem.catalogue}
        self.row(dict.fromkeys(used.values(), 1.0), 0, problem.max_types or len(used))
        runs: dict[tuple[int, int], list[int]] = {(s, z): [] for s in range(len(tasks)) for z in zones}
        taken: dict[tuple[int, int], list[int]] = {(s, z): [] for s in range(len(tasks)) for z in zones}
        on_spot: dict[int, list[int]] = {s: [] for s in range(len(tasks))}
        for z in zones:
            for o in problem.catalogue:
                for price in [o.usd_per_hour, *([o.spot_usd_per_hour] if spot else [])]:
                    for _ in range(instances):
                        there = self.column(float(price or 0), 0, 1)
                        self.row({there: 1.0, used[o.instance_type]: -1.0}, -1, 0)
                        held = [self.column(0, 0, t.count) for t in tasks]
                        is_spot = price is not o.usd_per_hour
                        over = {
                            lost: [self.column(0, 0, t.count) for t in tasks]
                            for lost in zones
                            if problem.survive_zone_loss and lost != z and not is_spot
                        }
                        for lost in over or [None]:
                            for need, room in (("cpu_units", o.room.cpu_units), ("memory_mib", o.room.memory_mib)):
                                sizes = [float(getattr(t.needs, need)) for t in tasks]
                                terms = dict(zip(held, sizes, strict=True))
                                terms |= dict(zip(over[lost], sizes, strict=True)) if lost is not None else {}
                                self.row(terms | {there: -float(room)}, -np.inf, 0)
                        for s in range(len(tasks)):
                            runs[s, z].append(held[s])
                            on_spot[s] += [held[s]] if is_spot else []
                            for lost in over:
                                taken[s, lost].append(over[lost][s])
        for s, t in enumerate(tasks):
            self.row(dict.fromkeys([k for z in zones for k in runs[s, z]], 1.0), t.count, t.count)
            if problem.spot is not None:
                self.row(dict.fromkeys(on_spot[s], 1.0), 0, int(problem.spot.share * t.count))
            for z in zones:
                self.row(dict.fromkeys(runs[s, z], 1.0), t.count // problem.zones, -(-t.count // problem.zones))
                if problem.survive_zone_loss:
                    self.row(dict.fromkeys(taken[s, z], 1.0) | dict.fromkeys(runs[s, z], -1.0), 0, np.inf)

    def column(self, cost: float, least: float, most: float) -> int:
        self.columns.append((cost, least, most))
        return len(self.columns) - 1

    def row(self, terms: dict[int, float], least: float, most: float) -> None:
        self.rows.append((terms, least, most))

    def cheapest(self) -> float:
        matrix = np.zeros((len(self.rows), len(self.columns)))
        for r, (terms, _, _) in enumerate(self.rows):
            matrix[r, list(terms)] = list(terms.values())
        costs, least, most = (np.array(values) for values in zip(*self.columns, strict=True))
        rows = LinearConstraint(matrix, [low for _, low, _ in self.rows], [high for _, _, high in self.rows])
        answer = milp(costs, constraints=rows, bounds=Bounds(least, most), integrality=np.ones(len(costs)))
        assert answer.status == 0
        return float(answer.fun)


def test_places_that_are_kept_for_different_losses_are_one_place() -> None:
    # a runs in one zone and b in another; one instance in the third takes over either of them. A place for each
    # would take four instances, and no bound may say that four are needed.
    tasks = (task("a", 1, 10, 10), task("b", 1, 9, 9))
    problem = PackingProblem(tasks, (offer("t", 10, 10, 1.0),), zones=3, survive_zone_loss=True)
    packing = pack(problem)

    assert (packing.status, packing.usd_per_hour) == ("optimal", 3.0)


@settings(max_examples=12, deadline=None)
@given(
    needs=st.lists(
        st.tuples(st.integers(1, 4), st.integers(5, 60), st.integers(5, 60)), min_size=1, max_size=3
    ),
    rooms=st.lists(
        st.tuples(st.integers(60, 150), st.integers(60, 150), st.integers(20, 300), st.integers(10, 300)),
        min_size=1, max_size=2,
    ),
    zones=st.integers(2, 3),
    survive=st.booleans(),
    spot=st.booleans(),
    max_types=st.sampled_from([1, None]),
)  # fmt: skip
def test_few_instances_cost_what_the_plain_model_finds(  # type: ignore[no-untyped-def]
    needs, rooms, zones, survive, spot, max_types
) -> None:
    tasks = tuple(task(f"s{k}", n, cpu, memory) for k, (n, cpu, memory) in enumerate(needs))
    offers = tuple(
        replace(offer(f"t{k}", cpu, memory, price / 100), spot_usd_per_hour=UsdPerHour(cheaper / 100))
        for k, (cpu, memory, price, cheaper) in enumerate(rooms)
    )
    problem = PackingProblem(
        tasks, offers, zones=zones, survive_zone_loss=survive, max_types=max_types,
        spot=SpotRule(Share(0.5)) if spot else None,
    )  # fmt: skip
    packing = pack(problem)
    # More instances than a zone of the fleet found has are not cheaper, for each costs something.
    most = max(
        sum(n.count for n in packing.instances if n.zone == zone) for zone in ("zone-1", "zone-2", "zone-3")
    )
    best = PlainModel(problem, min(3, most)).cheapest() if most <= 3 else None

    assert violations(problem, packing) == []
    if best is not None:
        assert packing.lower_bound_usd_per_hour <= best + TOLERANCE
        if packing.status == "optimal":
            assert packing.usd_per_hour <= best + TOLERANCE
        assert best <= packing.usd_per_hour + TOLERANCE


def test_five_services_on_three_types_that_survive_a_zone_are_proved_the_cheapest() -> None:
    tasks = (
        task("a", 3, 184, 356), task("b", 5, 341, 1186), task("c", 1, 4006, 5897), task("d", 4, 283, 2046),
        task("e", 2, 146, 669),
    )  # fmt: skip
    offers = tuple(
        offer(f"{family}.x{size}", 1024 * size, int(1024 * ratio * size * 0.97), round(price * size, 4))
        for family, ratio, price in (("c", 2, 0.0299), ("m", 4, 0.0423), ("r", 8, 0.0671))
        for size in (1, 2, 4, 8)
    )
    packing = pack(PackingProblem(tasks, offers, zones=3, survive_zone_loss=True, max_types=3))

    assert packing.gap < 0.01


def _line(zone: str, running: dict[str, int], over: dict[str, dict[str, int]], purchase: str = "on-demand") -> Any:
    return PackedInstances("t", zone, 1, running, {}, purchase, over)


@pytest.mark.parametrize(
    ("third", "told"),
    [
        (_line("zone-3", {}, {"zone-1": {"a": 1}}), "b would not survive the loss of a zone"),
        (_line("zone-3", {}, {"zone-1": {"a": 2}, "zone-2": {"b": 1}}), "t holds"),
        (_line("zone-3", {}, {"zone-3": {"a": 1}}), "an instance in zone-3 takes over from its own zone"),
        (
            _line("zone-3", {}, {"zone-1": {"a": 1}, "zone-2": {"b": 1}}, SPOT),
            "places are kept free on Spot, on t",
        ),
    ],
)
def test_the_check_finds_what_a_loss_would_leave_without_room(third: PackedInstances, told: str) -> None:
    tasks, offers = (task("a", 1, 10, 10), task("b", 1, 9, 9)), (offer("t", 10, 10, 1.0),)
    problem = PackingProblem(tasks, offers, zones=3, survive_zone_loss=True)
    lines = (_line("zone-1", {"a": 1}, {}), _line("zone-2", {"b": 1}, {}), third)

    assert any(told in found for found in violations(problem, replace(pack(problem), instances=lines)))
