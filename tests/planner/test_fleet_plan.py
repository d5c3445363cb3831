"""The sizes of a group, and the reason for its maximum."""

from __future__ import annotations

from planner.fleet_plan import fleet_line
from tests.planner.proof.finished import made, steps
from tests.planner.test_candidates import offer, workload

SMALL = offer("x.large", 4096, 8000, 0.2)


def test_the_maximum_holds_every_service_at_its_own_while_the_largest_is_deployed() -> None:
    planning = made(workload("web", steps(8)), workload("db", steps(2), 512), offers=(SMALL,))
    line = fleet_line(planning, planning.chosen.groups[0])

    # both scale to 99: 99 + 99 of web's deployment x 1,024 and 99 x 512 CPU units on 4,096: 49.5 + 12.4
    assert line.busiest_size is not None
    assert line.busiest_size < 62 <= line.max_size
    assert line.max_size_reason == (
        f"ECS needs {line.max_size} instances to place every service at its own maximum, 198 tasks together, "
        "while web, the largest, rolls a deployment over itself (99 more at maximumPercent 200); none is started "
        "before tasks wait for room"
    )
