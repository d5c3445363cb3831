"""A whole list of tasks on a fixed fleet, as ECS would place it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.model import Architecture, Resources
from planner.packing import parse_strategy, place
from planner.units import CpuUnits, MiB
from tests.planner.packing.build import line, resources, task


def test_spread_over_zones_is_even_and_binpack_fills_one_instance_first() -> None:
    fleet = (line("m5.large", "a", 2, 2048, 8000), line("m5.large", "b", 2, 2048, 8000))
    placed = place((task("web", 6, 256, 1000),), fleet, parse_strategy("spread:az,binpack:memory"))

    assert sorted(i.tasks.get("web", 0) for i in placed.instances) == [0, 0, 3, 3]
    assert (placed.placed, placed.empty_instances, placed.unplaced) == (6, 2, ())


def test_what_does_not_fit_is_told_with_its_number_and_cause() -> None:
    placed = place((task("web", 5, 1024, 100),), (line("m5.large", "a", 2, 2048, 8000),))

    assert [(u.service, u.count) for u in placed.unplaced] == [("web", 1)]  # 2 x 2 of 5 fit
    assert "2 lack CPU units" in placed.unplaced[0].reason


def test_host_ports_and_distinct_instance_take_one_task_an_instance() -> None:
    fleet = (line("m5.large", "a", 2, 2048, 8000),)
    tasks = (task("proxy", 3, 10, 10, ports=(80,)), task("agent", 3, 10, 10, distinct=True))
    placed = place(tasks, fleet)

    assert {u.service: u.count for u in placed.unplaced} == {"proxy": 1, "agent": 1}


def test_a_service_kept_off_a_type_is_not_placed_on_it() -> None:
    fleet = (line("arm", "a", 1, 2048, 8000), line("x86", "a", 1, 2048, 8000))
    placed = place((task("web", 2, 10, 10),), fleet, allowed={"web": {"arm": False}})

    assert [i.tasks for i in placed.instances] == [{}, {"web": 2}]


def test_an_empty_fleet_places_nothing_and_says_so() -> None:
    placed = place((task("web", 2, 10, 10),), ())

    assert [(u.count, u.reason) for u in placed.unplaced] == [(2, "there is no container instance")]


def test_a_service_listed_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="web is listed twice"):
        place((task("web", 1, 1, 1), task("web", 1, 1, 1)), ())


@settings(max_examples=60, deadline=None)
@given(
    needs=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=5),
    rooms=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 90), st.integers(0, 90)), max_size=5),
    rules=st.sampled_from(["", "random", "binpack:cpu", "spread:az,binpack:memory", "spread:instanceId"]),
    seed=st.integers(0, 9),
)
def test_the_replay_never_places_what_does_not_fit_and_counts_every_task(
    needs: list[tuple[int, int, int]], rooms: list[tuple[str, int, int]], rules: str, seed: int
) -> None:
    tasks = tuple(task(f"s{k}", n, cpu, memory) for k, (n, cpu, memory) in enumerate(needs))
    fleet = tuple(line(f"t{k}", zone, 1, cpu, memory) for k, (zone, cpu, memory) in enumerate(rooms))
    placed = place(tasks, fleet, parse_strategy(rules), "random", seed)

    for instance, (_, cpu, memory) in zip(placed.instances, rooms, strict=True):
        used = sum((t.needs * instance.tasks.get(t.service, 0) for t in tasks), start=resources(0, 0))
        assert used.fits_in(resources(cpu, memory))
        assert instance.remaining == resources(cpu, memory) - used
    unplaced = {u.service: u.count for u in placed.unplaced}
    for t in tasks:
        here = sum(i.tasks.get(t.service, 0) for i in placed.instances)
        assert here + unplaced.get(t.service, 0) == t.count
    assert placed == place(tasks, fleet, parse_strategy(rules), "random", seed)


def test_scale_in_under_binpack_stops_where_most_would_be_left() -> None:
    fleet = (line("small", "a", 1, 1000, 1000), line("large", "a", 1, 1000, 4000))
    placed = place((task("web", 4, 400, 400),), fleet, parse_strategy("binpack:memory"), scale_in={"web": 2})

    # two on each; the large one has 3,200 MiB left, so its tasks stop first
    assert [(s.instance_id, s.count) for s in placed.stopped] == [("large/a/1", 2)]
    assert placed.placed == 2


def test_architecture_and_member_of_keep_tasks_off_lines_of_the_fleet() -> None:
    arm = replace(line("m7g", "a", 1, 2048, 8000), architecture=Architecture.ARM64)
    tagged = replace(line("m7i", "b", 1, 2048, 8000), attributes=(("stack", "prod"),))
    web = replace(task("web", 1, 10, 10, architecture=Architecture.X86_64))
    db = replace(task("db", 1, 10, 10), member_of=("attribute:stack == prod",))

    assert [i.tasks for i in place((web, db), (arm, tagged)).instances] == [{}, {"web": 1, "db": 1}]


def test_a_constraint_on_running_tasks_is_replayed_one_by_one() -> None:
    fleet = (line("a", "a", 1, 2048, 8000), line("b", "a", 1, 2048, 8000))
    shy = replace(task("shy", 2, 10, 10), member_of=("task:group != service:shy",))
    placed = place((shy,), fleet, parse_strategy("binpack:memory"), scale_in={"shy": 1})

    assert sorted(i.tasks.get("shy", 0) for i in placed.instances) == [0, 1]
    assert [s.count for s in placed.stopped] == [1]


def test_disk_that_ecs_gives_away_twice_is_told() -> None:
    room = Resources(CpuUnits(1000), MiB(1000), 0, 0, 50, 0)
    web = replace(task("web", 2, 10, 10), needs=Resources(CpuUnits(10), MiB(10), 0, 0, 40, 0))
    placed = place((web,), (replace(line("a", "a", 1, 1, 1), room=room),))

    assert (placed.overloaded_instances, placed.instances[0].remaining.disk_gib) == (1, -30)  # 50 - 2 x 40
