"""What daemons, disk, network and constraints leave for tasks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.model import Architecture, Resources
from planner.packing import PackingProblem, ProblemError, pack
from planner.units import CpuUnits, MiB
from tests.planner.packing.build import offer, task


def with_room(name: str, disk: int, network: int, price: float = 1.0):  # type: ignore[no-untyped-def]
    room = Resources(CpuUnits(1000), MiB(1000), 0, 0, disk, network)
    return replace(offer(name, 1, 1, price), room=room)


@pytest.mark.parametrize(
    ("disk", "network", "instances"),
    [(0, 0, 1), (50, 0, 2), (0, 400, 4)],  # 4 tasks: 4 x 250 CPU fit one; 2 x 50 of 100 GiB; 1 x 400 of 500 Mbit/s
)
def test_disk_and_network_fill_an_instance_as_cpu_does(disk: int, network: int, instances: int) -> None:
    web = replace(task("web", 4, 250, 250), needs=Resources(CpuUnits(250), MiB(250), 0, 0, disk, network))
    packing = pack(PackingProblem((web,), (with_room("a", 100, 500),)))

    assert (packing.status, sum(line.count for line in packing.instances)) == ("optimal", instances)


def test_a_task_that_needs_more_disk_than_any_type_has_is_named() -> None:
    web = replace(task("web", 1, 1, 1), needs=Resources(CpuUnits(1), MiB(1), 0, 0, 200, 0))
    packing = pack(PackingProblem((web,), (with_room("a", 100, 500),)))

    assert "200 GiB of disk where 100 fit" in packing.unplaced[0].reason


def test_a_daemon_takes_its_room_on_every_instance_it_may_run_on() -> None:
    daemon = task("agent", 0, 500, 100, architecture=Architecture.X86_64)
    offers = (offer("x86", 1000, 1000, 1.0), offer("arm", 1000, 1000, 1.5, architecture=Architecture.ARM64))
    packing = pack(PackingProblem((task("web", 4, 250, 250),), offers, daemon_tasks=(daemon,)))

    # x86 keeps 500 of 1,000 for tasks, so 2 instances at 1.0; arm holds all four at 1.5
    assert (packing.types, packing.usd_per_hour) == (("arm",), 1.5)


def test_a_host_port_of_a_daemon_is_not_free_for_tasks() -> None:
    daemon = task("agent", 0, 1, 1, ports=(9100,))
    problem = PackingProblem(
        (task("web", 1, 1, 1, ports=(9100,)),), (offer("a", 9, 9, 1.0),), daemon_tasks=(daemon,)
    )

    assert "taken by a daemon service" in pack(problem).unplaced[0].reason


def test_a_member_of_expression_over_an_attribute_of_the_type_is_kept() -> None:
    ssd = replace(offer("ssd", 1000, 1000, 2.0), attributes=(("disk", "ssd"),))
    web = replace(task("web", 1, 10, 10), member_of=("attribute:disk == ssd",))

    assert pack(PackingProblem((web,), (offer("plain", 1000, 1000, 1.0), ssd))).types == ("ssd",)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("task:group == service:web", "not supported yet"),
        ("attribute:ecs.availability-zone == eu-west-2a", "ecs.availability-zone is not supported yet"),
        ("attribute:x like y", "not an operator"),
        ("attribute:ecs.instance-type > 5", "not a number"),
    ],
)
def test_a_constraint_that_a_type_cannot_answer_is_refused_by_name(text: str, sentence: str) -> None:
    web = replace(task("web", 1, 10, 10), member_of=(text,))
    with pytest.raises(ProblemError, match=sentence):
        pack(PackingProblem((web,), (offer("a", 1000, 1000, 1.0),)))
