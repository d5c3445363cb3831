"""What is still to be packed while a fleet is bought step by step."""

from __future__ import annotations

from typing import Any

import numpy as np

from planner.packing.greedy import Fleet, Pattern
from planner.packing.shapes import Shapes
from planner.packing.variants import UNLIMITED


class Residual:
    """What is still to be packed: tasks left, instances bought, types that may still be bought."""

    def __init__(self, shapes: Shapes, demand: Any, stock: Any) -> None:
        self.shapes = shapes
        self.left = demand.astype(np.int64).copy()
        self.stock = stock.copy()
        self.fleet: Fleet = {}

    def times_possible(self, t: int, pattern: Pattern) -> int:
        """How often the whole pattern can be used without placing a task twice."""
        return int(min(min(self.left[i] // n for i, n in pattern), self.stock[t]))

    def cut(self, pattern: Pattern) -> Pattern:
        """The part of the pattern that is still to be packed."""
        left = self.left
        return tuple((i, min(n, int(left[i]))) for i, n in pattern if left[i] > 0)

    def buy(self, t: int, pattern: Pattern, times: int) -> None:
        self.fleet[t, pattern] = self.fleet.get((t, pattern), 0) + times
        for i, n in pattern:
            self.left[i] -= n * times
        if self.stock[t] < UNLIMITED:
            self.stock[t] -= times
