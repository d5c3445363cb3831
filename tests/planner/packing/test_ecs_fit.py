"""The fleet with which ECS itself succeeds."""

from __future__ import annotations

from planner.packing import PackingProblem, deployment_room, ecs_fleet, pack, parse_strategy, place
from tests.planner.packing.build import offer, task


def test_ecs_places_everything_on_the_fleet_that_is_told_in_every_order_tried() -> None:
    tasks = tuple(task(f"s{k}", 2 + k, 100 + 170 * k % 800, 150 + 310 * k % 800) for k in range(8))
    problem = PackingProblem(tasks, (offer("a", 1000, 1000, 1.0),))
    packing = pack(problem)
    fits = ecs_fleet(problem, packing, orders=3, seed=4)

    assert fits[0].usd_per_hour == min(f.usd_per_hour for f in fits)
    for fit in fits:
        assert fit.unplaced == ()
        assert fit.usd_per_hour >= packing.usd_per_hour
        for order in range(3):
            replay = place(tasks, fit.fleet, parse_strategy(fit.strategy), "random", 4 + order)
            assert replay.unplaced == ()


def test_a_deployment_at_200_percent_needs_room_for_as_many_tasks_again() -> None:
    problem = PackingProblem((task("web", 4, 500, 500),), (offer("a", 1000, 1000, 1.0),))
    fit = ecs_fleet(problem, pack(problem))[0]
    room = deployment_room(problem, fit)[0]

    assert (room.service, room.extra_tasks, room.usd_per_hour) == ("web", 4, 2.0)  # 4 x 500 / 1,000
    assert deployment_room(problem, fit, maximum_percent=100)[0].added == ()
