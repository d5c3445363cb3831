"""Problems of many shapes, which are solved in parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.model import TaskType
from planner.packing import Packing, PackingProblem, pack
from planner.packing import generate as generation
from planner.units import Seconds
from tests.planner.packing.build import offer, task

OFFERS = (offer("c", 2048, 3900, 0.10), offer("m", 2048, 7800, 0.13), offer("r", 4096, 31000, 0.36))


@pytest.fixture(autouse=True)
def _in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cuts 40 shapes into 4 parts, where a real problem has thousands."""
    monkeypatch.setattr(generation, "MOST_ROWS", 20)
    monkeypatch.setattr(generation, "GOOD_ENOUGH", 0.0)
    monkeypatch.setattr(generation, "_ROWS_OF_A_PART", 10)


def odd_tasks(seed: int = 3) -> tuple[TaskType, ...]:
    rng = np.random.default_rng(seed)
    return tuple(
        task(f"s{k}", int(rng.integers(1, 40)), int(rng.integers(90, 900)), int(rng.integers(150, 3000)))
        for k in range(40)
    )


def running(packing: Packing) -> dict[str, int]:
    counts: dict[str, int] = {}
    for line in packing.instances:
        for service, n in line.tasks.items():
            counts[service] = counts.get(service, 0) + n * line.count
    return counts


def test_the_parts_together_place_every_task_once_near_the_bound() -> None:
    problem = PackingProblem(odd_tasks(), OFFERS)
    packing = pack(problem)

    assert running(packing) == {t.service: t.count for t in problem.tasks}
    assert packing.lower_bound_usd_per_hour <= packing.usd_per_hour <= 1.02 * packing.lower_bound_usd_per_hour


def test_the_parts_share_the_instances_that_max_count_allows() -> None:
    few = (replace(OFFERS[0], max_count=7), replace(OFFERS[1], max_count=11), OFFERS[2])
    problem = PackingProblem(odd_tasks(), few)
    packing = pack(problem)
    bought = {o.instance_type: 0 for o in few}
    for line in packing.instances:
        bought[line.instance_type] += line.count

    assert running(packing) == {t.service: t.count for t in problem.tasks}
    assert bought["c"] <= 7
    assert bought["m"] <= 11
    assert packing.lower_bound_usd_per_hour <= packing.usd_per_hour


def test_every_zone_of_a_problem_in_parts_gets_its_tasks() -> None:
    problem = PackingProblem(odd_tasks(), OFFERS, zones=2, survive_zone_loss=True)
    packing = pack(problem)
    held = {t.service: 0 for t in problem.tasks}
    for line in packing.instances:
        for service, n in (*line.tasks.items(), *line.standby.items()):
            held[service] += n * line.count

    # n tasks in two zones need n places in each
    assert held == {t.service: 2 * t.count for t in problem.tasks}
    assert packing.gap < 0.05


def test_a_time_limit_that_strikes_between_parts_still_gives_a_whole_fleet() -> None:
    now = iter(np.arange(0.0, 1e6, 0.01))
    packing = pack(PackingProblem(odd_tasks(), OFFERS), time_limit=Seconds(1.0), clock=lambda: float(next(now)))

    assert packing.status == "time_limit"
    assert not packing.unplaced
    assert packing.lower_bound_usd_per_hour <= packing.usd_per_hour
