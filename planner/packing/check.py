"""An independent check of a finished packing: it shares no code with the search."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from planner.model import InstanceType, Resources, TaskType
from planner.packing.problem import PackedInstances, Packing, PackingProblem


def violations(problem: PackingProblem, packing: Packing) -> list[str]:
    """Every rule the packing breaks, in words; an empty list where it keeps all."""
    tasks = {task.service: task for task in problem.tasks}
    offers = {offer.instance_type: offer for offer in problem.catalogue}
    found = [f for line in packing.instances for f in _line_violations(line, tasks, offers, problem)]
    found += _count_violations(problem, packing)
    found += _zone_violations(problem, packing)
    found += _purchase_violations(problem, packing, offers)
    return found


def _line_violations(
    line: PackedInstances,
    tasks: dict[str, TaskType],
    offers: dict[str, InstanceType],
    problem: PackingProblem,
) -> list[str]:
    offer = offers[line.instance_type]
    held = Counter(line.tasks) + Counter(line.standby)
    load = problem.daemons
    ports: Counter[int] = Counter()
    found = []
    for service, n in held.items():
        task = tasks[service]
        load = load + task.needs * n
        ports.update(dict.fromkeys(task.host_ports, n))
        if n > 1 and task.distinct_instance:
            found.append(f"{n} tasks of {service} share an instance")
        if task.architecture is not None and task.architecture != offer.architecture:
            found.append(f"{service} cannot run on {offer.instance_type}")
    if held and not load.fits_in(offer.room):
        found.append(f"{offer.instance_type} holds {load} in {offer.room}")
    if any(n > 1 for n in ports.values()):
        found.append(f"a host port is used twice on one {offer.instance_type}")
    return found


def _count_violations(problem: PackingProblem, packing: Packing) -> list[str]:
    placed: Counter[str] = Counter()
    for line in packing.instances:
        placed.update({service: n * line.count for service, n in line.tasks.items()})
    unplaced = Counter({u.service: u.count for u in packing.unplaced})
    return [
        f"{task.service}: {placed[task.service]} placed and {unplaced[task.service]} not, of {task.count}"
        for task in problem.tasks
        if placed[task.service] + unplaced[task.service] != task.count
    ]


def _zone_violations(problem: PackingProblem, packing: Packing) -> list[str]:
    names = [problem.zone_name(z) for z in range(problem.zones)]
    running = {name: Counter[str]() for name in names}
    places = {name: Counter[str]() for name in names}
    for line in packing.instances:
        running[line.zone].update({s: n * line.count for s, n in line.tasks.items()})
        places[line.zone].update({s: n * line.count for s, n in line.tasks.items()})
        places[line.zone].update({s: n * line.count for s, n in line.standby.items()})
    found = []
    short = {u.service for u in packing.unplaced}
    for task in problem.tasks:
        counts = [running[name][task.service] for name in names]
        if max(counts) - min(counts) > 1 and task.service not in short:
            found.append(f"{task.service} is spread unevenly: {counts}")
        if problem.survive_zone_loss and task.service not in short:
            total = sum(places[name][task.service] for name in names)
            if any(total - places[name][task.service] < task.count for name in names):
                found.append(f"{task.service} would not survive the loss of a zone")
    return found


def _purchase_violations(problem: PackingProblem, packing: Packing, offers: dict[str, InstanceType]) -> list[str]:
    found = []
    bought: Counter[str] = Counter()
    for line in packing.instances:
        bought[line.instance_type] += line.count
    for name, count in bought.items():
        limit = offers[name].max_count
        if limit is not None and count > limit:
            found.append(f"{count} of {name} exceed its max_count {limit}")
    if problem.max_types is not None and len(bought) > problem.max_types:
        found.append(f"{len(bought)} types exceed max_types {problem.max_types}")
    cost = sum((Fraction(repr(float(offers[name].usd_per_hour))) * n for name, n in bought.items()), Fraction(0))
    if abs(float(cost) - packing.usd_per_hour) > 1e-9 * max(1.0, float(cost)):
        found.append(f"the cost is {float(cost)}, not {packing.usd_per_hour}")
    if packing.lower_bound_usd_per_hour > packing.usd_per_hour:
        found.append("the bound exceeds the cost")
    return found


class PackingDefect(AssertionError):
    """The search returned a packing that breaks a rule: a defect of the planner, never of the input."""


def checked(problem: PackingProblem, packing: Packing) -> Packing:
    found = violations(problem, packing)
    if found:
        raise PackingDefect("; ".join(found[:5]))
    return packing


def total_needs(tasks: tuple[TaskType, ...]) -> Resources:
    total = Resources()
    for task in tasks:
        total = total + task.needs * task.count
    return total
