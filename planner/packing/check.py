"""An independent check of a finished packing: it shares no code with the search."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from planner.model import ON_DEMAND, SPOT, InstanceType, Resources, TaskType
from planner.packing.constraints import InstanceFacts
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
    if not line.takes_over:
        return _content_violations(line, Counter(line.tasks) + Counter(line.standby), tasks, offers, problem)
    found = [f"an instance in {line.zone} takes over from its own zone"] if line.zone in line.takes_over else []
    for over in line.takes_over.values():
        held = Counter(line.tasks) + Counter(line.standby) + Counter(over)
        found += _content_violations(line, held, tasks, offers, problem)
    return list(dict.fromkeys(found))


def _content_violations(
    line: PackedInstances,
    held: Counter[str],
    tasks: dict[str, TaskType],
    offers: dict[str, InstanceType],
    problem: PackingProblem,
) -> list[str]:
    offer = offers[line.instance_type]
    load = problem.daemons
    ports: Counter[int] = Counter()
    found = []
    facts = {"ecs.instance-type": offer.instance_type, "ecs.cpu-architecture": offer.architecture.value}
    told = InstanceFacts({"ecs.os-type": "linux", **facts, **dict(offer.attributes)})
    for daemon in problem.daemon_tasks:
        if daemon.architecture in {None, offer.architecture} and all(
            e.test(told) for e in problem.constraints_of(daemon)
        ):
            load = load + daemon.needs
            ports.update(daemon.host_ports)
    for service, n in held.items():
        task = tasks[service]
        load = load + task.needs * n
        ports.update(dict.fromkeys(task.host_ports, n))
        if n > 1 and task.distinct_instance:
            found.append(f"{n} tasks of {service} share an instance")
        if task.architecture is not None and task.architecture != offer.architecture:
            found.append(f"{service} cannot run on {offer.instance_type}")
        if not all(e.test(told) for e in problem.constraints_of(task)):
            found.append(f"{service} may not run on {offer.instance_type} by its constraints")
        if line.purchase == SPOT and not task.may_use_spot:
            found.append(f"{service} may not run on Spot")
    if line.purchase == SPOT and (line.standby or line.takes_over):
        found.append(f"places are kept free on Spot, on {offer.instance_type}")
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
    over = {name: Counter[str]() for name in names}
    for line in packing.instances:
        for lost, taken in line.takes_over.items():
            over[lost].update({s: n * line.count for s, n in taken.items()})
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
            if any(total - places[name][task.service] + over[name][task.service] < task.count for name in names):
                found.append(f"{task.service} would not survive the loss of a zone")
    return found


def _purchase_violations(problem: PackingProblem, packing: Packing, offers: dict[str, InstanceType]) -> list[str]:
    found = []
    bought: Counter[tuple[str, str, str]] = Counter()
    for line in packing.instances:
        bought[line.instance_type, line.zone, line.purchase] += line.count
    for name, offer in offers.items():
        count = sum(n for (kind, _, purchase), n in bought.items() if kind == name and purchase == ON_DEMAND)
        if offer.max_count is not None and count > offer.max_count:
            found.append(f"{count} of {name} exceed its max_count {offer.max_count}")
    types = {name for name, _, _ in bought}
    if problem.max_types is not None and len(types) > problem.max_types:
        found.append(f"{len(types)} types exceed max_types {problem.max_types}")
    found += _cost_violations(problem, packing, offers, bought)
    if problem.spot is not None:
        found += _spot_violations(problem, packing, offers)
    elif any(purchase == SPOT for _, _, purchase in bought):
        found.append("Spot instances are bought although the problem does not allow them")
    return found


def _cost_violations(
    problem: PackingProblem,
    packing: Packing,
    offers: dict[str, InstanceType],
    bought: Counter[tuple[str, str, str]],
) -> list[str]:
    cost = Fraction(0)
    runs: Counter[tuple[str, str, str]] = Counter()
    for line in problem.running:
        runs[line.instance_type, line.zone, line.purchase] += line.count
    for (name, zone, purchase), n in bought.items():
        price = offers[name].spot_usd_per_hour if purchase == SPOT else offers[name].usd_per_hour
        cost += Fraction(repr(float(price or 0.0))) * n
        started = max(0, n - runs[name, zone, purchase])
        cost += Fraction(repr(float(problem.moving_usd_per_hour))) * started
    found = []
    if abs(float(cost) - packing.usd_per_hour) > 1e-9 * max(1.0, float(cost)):
        found.append(f"the cost is {float(cost)}, not {packing.usd_per_hour}")
    if packing.lower_bound_usd_per_hour > packing.usd_per_hour:
        found.append("the bound exceeds the cost")
    return found


def _spot_violations(problem: PackingProblem, packing: Packing, offers: dict[str, InstanceType]) -> list[str]:
    rule = problem.spot
    assert rule is not None
    on_spot: Counter[str] = Counter()
    pools: Counter[tuple[str, str]] = Counter()
    for line in packing.instances:
        if line.purchase == SPOT:
            on_spot.update({service: n * line.count for service, n in line.tasks.items()})
            pools[line.instance_type, line.zone] += line.count * max(1, offers[line.instance_type].room.cpu_units)
    found = [
        f"{on_spot[task.service]} of {task.count} tasks of {task.service} are on Spot"
        for task in problem.tasks
        if on_spot[task.service] > Fraction(repr(float(rule.share))) * task.count
    ]
    most = Fraction(repr(float(rule.max_pool_share))) * pools.total()
    found += [f"the Spot pool {name} in {zone} is too large" for (name, zone), n in pools.items() if n > most]
    if pools and len(pools) < rule.min_pools:
        found.append(f"{len(pools)} Spot pools are fewer than {rule.min_pools}")
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
