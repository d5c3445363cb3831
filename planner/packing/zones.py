"""How many tasks and how many kept places each zone gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from planner.packing.shared_places import SharedPlace


@dataclass(frozen=True)
class ZoneDemand:
    """(zones, units) whole numbers. `places` is `running` plus the places kept free."""

    running: Any
    places: Any


def zone_demand(
    counts: list[int],
    on_spot: list[int],
    zones: int,
    survive_zone_loss: bool,
    shared: Sequence[SharedPlace] = (),
    orders: Any = None,
) -> ZoneDemand:
    """Spread each service evenly; who gets the odd ones out moves on from service to service, or follows
    `orders` (services, zones), the zones of each service that get odd ones first.

    `on_spot` of the `counts` tasks of a service may run on Spot, evenly in every zone too. To survive the loss
    of a zone, n = m (zones - 1) + r tasks have m places in every zone and one more in r of them; in the loss of
    one of these one is missing, for which a place in a further zone is kept, or one of those `shared` with other
    services. Kept places are not on Spot.
    """
    services = len(counts)
    running = np.zeros((zones, 2 * services), np.int64)
    places = np.zeros((zones, 2 * services), np.int64)
    start = 0
    for group in _groups(services, shared):
        order = [(start + z) % zones for z in range(zones)] if orders is None else list(orders[group.members[0]])
        used = 0
        for s in group.members:
            own = order[used:] + order[:used]
            on_demand = np.array(_even(counts[s], zones)) - _even(on_spot[s], zones)
            running[own, s] = on_demand
            running[own, services + s] = places[own, services + s] = _even(on_spot[s], zones)
            total, odd = _least_places(counts[s], zones) if survive_zone_loss else (counts[s], 0)
            places[own, s] = np.array(_even(total, zones)) - _even(on_spot[s], zones)
            used += odd if survive_zone_loss else total % zones
        if survive_zone_loss and used:
            places[order[used], group.place] += 1
            used += 1
        start = (start + used) % zones
    return ZoneDemand(running, places)


def _groups(services: int, shared: Sequence[SharedPlace]) -> list[SharedPlace]:
    """All services, in order, with the place that each is short of; one of its own where it shares none."""
    taken = {s for group in shared for s in (group.place, *group.members)}
    return [*(SharedPlace(s, (s,)) for s in range(services) if s not in taken), *shared]


def _least_places(count: int, zones: int) -> tuple[int, int]:
    """Places of a service's own without the one it is short of, and the zones in whose loss it is short."""
    whole, odd = divmod(count, zones - 1)
    return whole * zones + odd, odd


def least_demands(
    counts: list[int],
    on_spot: list[int],
    zones: int,
    survive_zone_loss: bool,
    partly: frozenset[int] = frozenset(),
) -> list[Any]:
    """(factor, (units) places) pairs: factor x what a fleet for the places costs is a bound for all zones
    together. Instances are whole in each of these fleets, which matters where there are few.

    Whichever zone is lost, the others hold all tasks, those on Spot only as far as they run there. Taken together,
    the fleets that are left hold zones times all tasks, and every instance is in zones - 1 of them. Room that
    is kept for several losses is counted once so. Every zone runs at least its even share, rounded down.
    Services that are placed `partly` (indices) need not survive.
    """
    every, lives = np.array(counts, np.int64), np.array([s not in partly for s in range(len(counts))], np.bool_)
    copies = zones - 1 if survive_zone_loss else 1
    loose = copies * np.array(on_spot, np.int64)
    firm = (copies + (lives if survive_zone_loss else 0)) * every - loose
    found = [(Fraction(1, copies), np.concatenate([firm, loose]))]
    if zones > 1:
        # Of a share, any part may be what runs on Spot.
        share = np.array([n // zones for n in counts], np.int64)
        firm = np.array([max(0, n // zones - f) for n, f in zip(counts, on_spot, strict=True)], np.int64)
        found.append((Fraction(zones), np.concatenate([firm, share - firm])))
    if survive_zone_loss and not partly:
        all_tasks = [n - f for n, f in zip(counts, on_spot, strict=True)] + on_spot
        found.append((Fraction(zones, zones - 1), np.array(all_tasks, np.int64)))
    return found


def other_demands(
    counts: list[int],
    on_spot: list[int],
    zones: int,
    survive_zone_loss: bool,
    worth: Any,
    shared: Sequence[SharedPlace] = (),
) -> list[ZoneDemand]:
    """Other ways to give away the odd ones: so that zones come out as equal as they can, and so that the first
    zones are full and the last is small. Few large instances can make any of them the cheapest.

    `worth` (services) USD of one more place.
    """
    full = np.tile(np.arange(zones), (len(counts), 1))
    equal = full.copy()
    load = np.zeros(zones)
    groups = _groups(len(counts), shared)
    for group in sorted(groups, key=lambda g: -float(worth[g.members[0]])):
        order = np.argsort(load, kind="stable")
        equal[list(group.members)] = order
        odd = [s for s in group.members for _ in range(_odd(counts[s], zones, survive_zone_loss))]
        kept = [group.place] if survive_zone_loss and odd else []
        for z, s in zip(order.tolist(), [*odd, *kept], strict=False):
            load[z] += worth[s]
    return [zone_demand(counts, on_spot, zones, survive_zone_loss, shared, orders) for orders in (equal, full)]


def _odd(count: int, zones: int, survive_zone_loss: bool) -> int:
    return count % (zones - 1) if survive_zone_loss else count % zones


def _even(total: int, parts: int) -> list[int]:
    return [total // parts + (1 if part < total % parts else 0) for part in range(parts)]
