"""The way from the instances that run to the fleet that was chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from planner.packing.problem import Moved, PackedInstances, PackingProblem


def moves_to(problem: PackingProblem, instances: Sequence[PackedInstances]) -> tuple[Moved, ...]:
    """What is kept, started and stopped, by type, zone and way to buy; empty where the problem tells nothing of
    what runs and moving has no price."""
    if not problem.running and not problem.moving_usd_per_hour:
        return ()
    wanted: Counter[tuple[str, str, str]] = Counter()
    running: Counter[tuple[str, str, str]] = Counter()
    for line in instances:
        wanted[line.instance_type, line.zone, line.purchase] += line.count
    for present in problem.running:
        running[present.instance_type, present.zone, present.purchase] += present.count
    return tuple(
        Moved(
            *key,
            kept=min(wanted[key], running[key]),
            started=max(0, wanted[key] - running[key]),
            stopped=max(0, running[key] - wanted[key]),
        )
        for key in sorted(wanted | running)
    )
