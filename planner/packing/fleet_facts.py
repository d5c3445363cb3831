"""What placement constraints can ask of the instances of a fleet."""

from __future__ import annotations

from planner.model import FleetLine, TaskType
from planner.packing.constraints import (
    ARCHITECTURE_ATTRIBUTE,
    INSTANCE_TYPE_ATTRIBUTE,
    OS_ATTRIBUTE,
    InstanceFacts,
    parse_expression,
)
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
