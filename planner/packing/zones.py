"""How many tasks and how many kept places each zone gets."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ZoneDemand:
    """(zones, units) whole numbers. `places` is `running` plus the places kept free."""

    running: Any
    places: Any


def zone_demand(
    counts: list[int], on_spot: list[int], zones: int, survive_zone_loss: bool, orders: Any = None
) -> ZoneDemand:
    """Spread each service evenly; who gets the odd ones out moves on from service to service, or follows
    `orders` (services, zones), the zones of each service that get odd ones first.

    `on_spot` of the `counts` tasks of a service may run on Spot, evenly in every zone too. To survive the loss
    of a zone, n tasks need places so that any zones - 1 zones hold n: with at most q = ceil(n / (zones - 1))
    places in a zone, n + q places in total are enough, and without sharing places the fewest possible: summed over
    the zone that is lost, (zones - 1) x total >= zones x n. Kept places are not on Spot.
    """
    services = len(counts)
    running = np.zeros((zones, 2 * services), np.int64)
    places = np.zeros((zones, 2 * services), np.int64)
    start = 0
    for s, count in enumerate(counts):
        kept = _kept(count, zones) if survive_zone_loss else 0
        order = [(start + z) % zones for z in range(zones)] if orders is None else orders[s]
        on_demand = np.array(_even(count, zones)) - _even(on_spot[s], zones)
        running[order, s] = on_demand
        places[order, s] = on_demand + np.array(_even(count + kept, zones)) - _even(count, zones)
        running[order, services + s] = places[order, services + s] = _even(on_spot[s], zones)
        start = (start + (count + kept) % zones) % zones
    return ZoneDemand(running, places)


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
    counts: list[int], on_spot: list[int], zones: int, survive_zone_loss: bool, worth: Any
) -> list[ZoneDemand]:
    """Other ways to give away the odd ones: so that zones come out as equal as they can, and so that the first
    zones are full and the last is small. Few large instances can make any of them the cheapest.

    `worth` (services) USD of one more place.
    """
    services = len(counts)
    full = np.tile(np.arange(zones), (services, 1))
    equal = full.copy()
    load = np.zeros(zones)
    for s in np.argsort(-worth, kind="stable").tolist():
        equal[s] = np.argsort(load, kind="stable")
        odd = (counts[s] + (_kept(counts[s], zones) if survive_zone_loss else 0)) % zones
        load[equal[s][:odd]] += worth[s]
    return [zone_demand(counts, on_spot, zones, survive_zone_loss, orders) for orders in (equal, full)]


def _kept(count: int, zones: int) -> int:
    return -(-count // (zones - 1))


def _even(total: int, parts: int) -> list[int]:
    return [total // parts + (1 if part < total % parts else 0) for part in range(parts)]
