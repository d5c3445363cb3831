"""What placement constraints can ask of the instances of a fleet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from planner.model import FleetLine, TaskType
from planner.packing.constraints import (
    ARCHITECTURE_ATTRIBUTE,
    INSTANCE_TYPE_ATTRIBUTE,
    OS_ATTRIBUTE,
    InstanceFacts,
    parse_expression,
)
from planner.packing.problem import ProblemError
from planner.packing.strategy import ZONE_ATTRIBUTE


def facts_of(line: FleetLine) -> InstanceFacts:
    """The attributes of an instance of the line, as far as they are known."""
    known = {ZONE_ATTRIBUTE: line.zone, INSTANCE_TYPE_ATTRIBUTE: line.instance_type, OS_ATTRIBUTE: "linux"}
    if line.architecture is not None:
        known[ARCHITECTURE_ATTRIBUTE] = line.architecture.value
    return InstanceFacts({**known, **dict(line.attributes)})


def may_run(task: TaskType, line: FleetLine) -> bool:
    """True where architecture and memberOf let the task run on instances of the line. Raises ConstraintError."""
    if task.architecture is not None and line.architecture not in {None, task.architecture}:
        return False
    facts = facts_of(line)
    return all(parse_expression(text).test(facts) for text in task.member_of)


def with_daemons(fleet: Sequence[FleetLine], daemons: Sequence[TaskType]) -> tuple[FleetLine, ...]:
    """The fleet with the room that daemon services leave. Raises ProblemError where one does not fit, or holds
    a host port, which the replay cannot keep from other tasks yet."""
    found = []
    for line in fleet:
        room = line.room
        for daemon in daemons:
            if daemon.host_ports:
                raise ProblemError(
                    f"replaying the daemon service {daemon.service} with host ports is not supported yet: leave "
                    "the ports out."
                )
            if may_run(daemon, line):
                if not daemon.needs.fits_in(room):
                    raise ProblemError(f"daemon service {daemon.service} does not fit on {line.instance_type}.")
                room = room - daemon.needs
        found.append(replace(line, room=room))
    return tuple(found)
