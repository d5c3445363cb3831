"""Local search on a whole fleet: the arrays around `repack_kernels`."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from planner.packing.clock import Deadline
from planner.packing.greedy import Fleet
from planner.packing.repack_kernels import repack
from planner.packing.shapes import Shapes

_SCALE = 2.0**40
_STEP = 100
"""Trials between two looks at the clock."""
_ROUNDS_AN_INSTANCE = 20
_WORTH_GOING_ON = 3e-5
"""What the trials of a while must save at least, relative to the fleet's cost."""
_MOST_INSTANCES = 200_000
"""Above this a few instances repacked make no difference worth the memory."""


class FleetArrays:
    """A fleet as the sparse arrays of the kernel, one row an instance, with room for a few more."""

    def __init__(self, fleet: Fleet, shapes: Shapes) -> None:
        self.bins = sum(fleet.values())
        rows = self.bins + 64
        # No pattern can hold more kinds than there are shapes, nor more than the tasks of the widest so far
        # with some slack; a trial that needs more is given up.
        widest = max((len(pattern) for _, pattern in fleet), default=1)
        width = min(shapes.count, 2 * widest + 8)
        self.kind = np.zeros(rows, np.int64)
        self.size = np.zeros(rows, np.int64)
        self.shape = np.zeros((rows, width), np.int64)
        self.number = np.zeros((rows, width), np.int64)
        b = 0
        for (t, pattern), count in sorted(fleet.items()):
            for _ in range(count):
                self.kind[b], self.size[b] = t, len(pattern)
                for k, (i, n) in enumerate(pattern):
                    self.shape[b, k], self.number[b, k] = i, n
                b += 1

    def fleet(self) -> Fleet:
        found: Counter[tuple[int, tuple[tuple[int, int], ...]]] = Counter()
        for b in range(self.bins):
            k = int(self.size[b])
            pairs = zip(self.shape[b, :k].tolist(), self.number[b, :k].tolist(), strict=True)
            found[int(self.kind[b]), tuple(sorted(pairs))] += 1
        return dict(found)


def improve(
    fleet: Fleet,
    shapes: Shapes,
    worth: Any,
    types: Any,
    deadline: Deadline,
    *,
    seed: int,
    good_enough: float,
    most_rounds: int | None = None,
    most_taken: int = 6,
) -> Fleet:
    """Repack until the cost is `good_enough`, nothing was gained for long, or time is up.

    `worth` (n) USD a task from the duals; `types` are the indices that new instances may have.
    """
    if not 2 <= sum(fleet.values()) <= _MOST_INSTANCES:
        return fleet
    arrays = FleetArrays(fleet, shapes)
    cost = sum(shapes.prices[t] * count for (t, _), count in fleet.items())
    stock = shapes.limits.copy()
    for (t, _), count in fleet.items():
        stock[t] -= count
    rng = np.array([seed], np.uint64)
    value = np.maximum(worth, 1e-9 * max(float(worth.max(initial=0.0)), 1e-300))
    weights = np.zeros((len(shapes.offers), shapes.needs.shape[1]))
    rounds = most_rounds or 4_000 + _ROUNDS_AN_INSTANCE * arrays.bins
    mark, idle, idle_at_most = cost, 0, max(1_500, 4 * arrays.bins)
    for _ in range(max(1, rounds // _STEP)):
        if deadline.passed() or cost <= good_enough * (1.0 + 1e-12):
            break
        arrays.bins, saved = repack(
            arrays.bins, arrays.kind, arrays.shape, arrays.number, arrays.size, shapes.needs, shapes.most,
            shapes.ports, shapes.fits, shapes.rooms, shapes.prices, value, _SCALE / float(shapes.prices.max()),
            stock, types, _STEP, most_taken, 300, weights, rng,
        )  # fmt: skip
        cost -= saved
        idle += _STEP
        if cost < mark * (1.0 - _WORTH_GOING_ON):
            mark, idle = cost, 0
        if idle >= idle_at_most:
            break
        if arrays.bins + 16 > arrays.kind.shape[0]:
            arrays = FleetArrays(arrays.fleet(), shapes)
    return arrays.fleet()
