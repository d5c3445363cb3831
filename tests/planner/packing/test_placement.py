"""The scheduler, one step at a time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.model import Architecture, Rejection
from planner.packing.placement import EcsScheduler, Placed
from planner.packing.strategy import parse_strategy
from tests.planner.packing.build import resources, task

BINPACK = parse_strategy("binpack:memory")
SPREAD = parse_strategy("spread:az")


def scheduler(*rooms: tuple[str, int, int], seed: int = 0) -> EcsScheduler:
    """Instances i-0, i-1 ... from (zone, cpu, memory)."""
    engine = EcsScheduler(seed)
    for k, (zone, cpu, memory) in enumerate(rooms):
        engine.add_instance(f"i-{k}", resources(cpu, memory), zone=zone)
    return engine


def test_binpack_takes_the_instance_with_the_least_memory_left_that_still_fits() -> None:
    engine = scheduler(("a", 4096, 8000), ("a", 4096, 3000), ("a", 4096, 1000))

    assert engine.place_one(task("web", 1, 256, 2000), BINPACK) == Placed("web", "i-1")


def test_spread_counts_the_tasks_of_that_service_a_zone() -> None:
    engine = scheduler(("a", 4096, 8000), ("b", 4096, 8000), ("b", 4096, 8000))
    zones = [engine.place_one(task("web", 9, 256, 256), SPREAD) for _ in range(4)]

    on_a = engine.tasks_on("i-0")["web"]
    assert (len(zones), on_a, engine.running("web")) == (4, 2, 4)


def test_rules_apply_in_order_spread_first_then_binpack() -> None:
    engine = scheduler(("a", 4096, 9000), ("b", 4096, 8000), ("b", 4096, 2000))
    rules = parse_strategy("spread:az,binpack:memory")
    engine.place_on(task("web", 9, 256, 256), "i-0")

    assert engine.place_one(task("web", 9, 256, 256), rules) == Placed("web", "i-2")


def test_scale_in_under_binpack_stops_where_most_would_be_left() -> None:
    engine = scheduler(("a", 4096, 8000), ("a", 4096, 3000))
    web = task("web", 2, 256, 1000)
    engine.place_on(web, "i-0")
    engine.place_on(web, "i-1")

    assert engine.stop_one("web", BINPACK) == "i-0"  # 8,000 left against 3,000


def test_scale_in_under_spread_keeps_the_zones_even() -> None:
    engine = scheduler(("a", 4096, 8000), ("b", 4096, 8000))
    web = task("web", 3, 256, 1000)
    for instance in ("i-0", "i-0", "i-1"):
        engine.place_on(web, instance)

    assert engine.stop_one("web", SPREAD) == "i-0"


def test_a_host_port_is_taken_once_an_instance_and_free_again_after_the_stop() -> None:
    engine = scheduler(("a", 4096, 8000))
    proxy = task("proxy", 2, 128, 128, ports=(80,))
    engine.place_one(proxy)
    refused = engine.place_one(task("other", 1, 128, 128, ports=(80, 443)))

    assert isinstance(refused, Rejection)
    assert "host port" in refused.reason
    engine.stop_one("proxy")
    assert isinstance(engine.place_one(task("other", 1, 128, 128, ports=(80, 443))), Placed)


def test_ports_of_the_agent_are_never_given_away() -> None:
    refused = scheduler(("a", 4096, 8000)).place_one(task("ssh", 1, 1, 1, ports=(22,)))

    assert refused == Rejection("ssh", "host port 22 is kept by the ECS agent")


def test_distinct_instance_binds_even_when_room_is_left() -> None:
    engine = scheduler(("a", 4096, 8000))
    web = task("web", 2, 256, 256, distinct=True)
    engine.place_one(web)
    refused = engine.place_one(web)

    assert isinstance(refused, Rejection)
    assert "distinctInstance" in refused.reason


def test_architecture_and_member_of_exclude_instances() -> None:
    engine = EcsScheduler()
    engine.add_instance("arm", resources(4096, 8000), zone="a", architecture=Architecture.ARM64.value)
    engine.add_instance(
        "x86",
        resources(4096, 8000),
        zone="a",
        instance_type="m7i.large",
        architecture=Architecture.X86_64.value,
    )
    web = task("web", 1, 256, 256, architecture=Architecture.X86_64)

    assert engine.place_one(web) == Placed("web", "x86")
    assert isinstance(engine.place_one(web, member_of=("attribute:ecs.instance-type =~ t3.*",)), Rejection)


def test_a_draining_instance_takes_no_new_task() -> None:
    engine = scheduler(("a", 4096, 8000))
    engine.set_draining("i-0")

    assert isinstance(engine.place_one(task("web", 1, 1, 1)), Rejection)


def test_removing_an_instance_tells_its_tasks_and_leaves_the_others_alone() -> None:
    engine = scheduler(("a", 4096, 8000), ("b", 4096, 8000), ("c", 4096, 8000))
    web = task("web", 3, 256, 1000)
    for instance in ("i-0", "i-0", "i-2"):
        engine.place_on(web, instance)

    assert engine.remove_instance("i-0") == {"web": 2}
    assert engine.remaining("i-2") == resources(3840, 7000)
    assert (engine.running("web"), engine.instance_ids) == (1, ("i-1", "i-2"))


def test_the_reason_counts_what_each_instance_lacks() -> None:
    engine = scheduler(("a", 100, 8000), ("a", 4096, 100), ("a", 4096, 100))
    refused = engine.place_one(task("web", 1, 256, 256))

    assert refused == Rejection("web", "none of 3 instances takes it: 2 lack MiB of memory, 1 lack CPU units")


@settings(max_examples=60, deadline=None)
@given(
    rooms=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=6
    ),
    steps=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=40),
    rules=st.sampled_from(["", "random", "binpack:cpu", "spread:az,binpack:memory", "spread:instanceId"]),
    seed=st.integers(0, 5),
)
def test_no_instance_is_ever_over_full_and_the_books_balance(
    rooms: list[tuple[str, int, int]], steps: list[tuple[int, int]], rules: str, seed: int
) -> None:
    engine = scheduler(*rooms, seed=seed)
    kinds = [task(f"s{k}", 9, 5 + 7 * k, 11 - 3 * k, ports=(80,) if k == 2 else ()) for k in range(3)]
    chosen = parse_strategy(rules)
    for action, kind in steps:
        if action < 3:
            engine.place_one(kinds[kind], chosen)
        else:
            engine.stop_one(kinds[kind].service, chosen)

    for k, (_, cpu, memory) in enumerate(rooms):
        held = engine.tasks_on(f"i-{k}")
        used = sum((t.needs * held.get(t.service, 0) for t in kinds), start=resources(0, 0))
        assert used.fits_in(resources(cpu, memory))
        assert engine.remaining(f"i-{k}") == resources(cpu, memory) - used
        assert held.get("s2", 0) <= 1


@pytest.mark.parametrize("seed", [0, 7])
def test_a_seed_fixes_every_random_choice(seed: int) -> None:
    def run() -> list[Placed | Rejection]:
        engine = scheduler(*[("a", 4096, 8000)] * 5, seed=seed)
        return [engine.place_one(task("web", 9, 256, 256), parse_strategy("random")) for _ in range(12)]

    assert run() == run()
