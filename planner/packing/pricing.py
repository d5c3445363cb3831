"""The pricing problem of all types: the most worthy filling of each, and how much more worth there may be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from planner.packing.bound import MoneyScale, money_scale
from planner.packing.exact_kernels import exact_pattern, work_of
from planner.packing.hard_pricing import hard_pattern, relaxed_weights
from planner.packing.knapsack_kernels import best_pattern, price_sequence, price_types
from planner.packing.master import Column
from planner.packing.shapes import Shapes

_MOST_STATES = 3e6
_MOST_STEPS = 6e8
"""Of the exact pricing of all types together: about a second."""
_SHARPENED = 60
"""Types whose linear relaxation is solved, so many a round."""
_HARD_TYPES = 4
_WORTH_A_PROGRAM = 2e-4
"""Types left open by more than this (relative) are worth an integer program, so many a round."""
_MOST_SHAPES_OF_A_PROGRAM = 120


@dataclass
class Pricing:
    """The pricing problem of all types, with warm starts kept from call to call."""

    shapes: Shapes
    scale: MoneyScale = field(init=False)
    weights: Any = field(init=False)
    prices: Any = field(init=False)
    patterns: Any = field(init=False)
    coarse_needs: Any = field(init=False)
    """Needs and rooms in the steps that all needs share, by resource."""
    coarse_rooms: Any = field(init=False)

    def __post_init__(self) -> None:
        types = len(self.shapes.offers)
        self.scale = money_scale(self.shapes)
        self.prices = np.array(self.scale.prices, np.int64)
        self.weights = np.zeros((types, self.shapes.needs.shape[1]))
        self.patterns = np.zeros((types, self.shapes.count), np.int64)
        step = np.maximum(np.gcd.reduce(self.shapes.needs, axis=0), 1)
        self.coarse_needs, self.coarse_rooms = self.shapes.needs // step, self.shapes.rooms // step

    def price(self, worth: Any, demand: Any, node_limit: int, tolerance: float) -> Any:
        """(types, 2): worth and upper bound of the best pattern of each type; patterns in `self.patterns`."""
        shapes = self.shapes
        found = np.zeros((len(shapes.offers), 2), np.int64)
        upper = np.minimum(demand, shapes.most)
        price_types(
            worth, shapes.needs, upper, shapes.ports, shapes.fits, shapes.rooms, self.prices, self.weights,
            node_limit, tolerance, self.patterns, found,
        )  # fmt: skip
        return found

    def settle(self, found: Any, worth: Any, demand: Any, *, thorough: bool = True) -> None:
        """Solve exactly what `price` left open, the types that could pay the most first, where that takes
        few steps; changes `found` and `self.patterns`. `thorough` allows more."""
        shapes = self.shapes
        upper = np.minimum(demand, shapes.most)
        excess = np.where(found[:, 1] > found[:, 0], found[:, 1] / self.prices - 1.0, 0.0)
        most_steps, sharpened = _MOST_STEPS if thorough else _MOST_STEPS / 20, 0
        hard = _HARD_TYPES if thorough and shapes.count <= _MOST_SHAPES_OF_A_PROGRAM else 0
        for t in np.argsort(-excess, kind="stable").tolist():
            if excess[t] <= 0.0:
                return
            if sharpened < _SHARPENED and excess[t] > _WORTH_A_PROGRAM:
                sharpened += 1
                self._sharpen(t, found, worth, upper)
                excess[t] = found[t, 1] / self.prices[t] - 1.0
                if found[t, 1] <= found[t, 0]:
                    continue
            states, steps = work_of(self.coarse_needs, upper, self.coarse_rooms[t])
            pattern = np.zeros(shapes.count, np.int64)
            if states <= _MOST_STATES and steps <= most_steps:
                most_steps -= steps
                value, bound = exact_pattern(
                    worth, self.coarse_needs, upper, shapes.ports, shapes.fits[:, t], self.coarse_rooms[t], pattern
                )
            elif hard > 0 and excess[t] > _WORTH_A_PROGRAM and not shapes.ports.any():
                hard -= 1
                value, bound, pattern = hard_pattern(
                    worth, shapes.needs, upper, shapes.fits[:, t], shapes.rooms[t]
                )
            else:
                continue
            if 0 <= bound < found[t, 1]:
                found[t, 1] = max(bound, found[t, 0])
            if value > found[t, 0]:
                found[t, 0], self.patterns[t] = value, pattern

    def _sharpen(self, t: int, found: Any, worth: Any, upper: Any) -> None:
        """Search type t once more from the weights of its linear relaxation, which the subgradient steps can
        miss by per cents; changes `found` and `self.patterns`."""
        shapes = self.shapes
        weights = relaxed_weights(worth, shapes.needs, upper, shapes.fits[:, t], shapes.rooms[t])
        if weights is None:
            return
        pattern = np.zeros(shapes.count, np.int64)
        value, bound, _ = best_pattern(
            worth, shapes.needs, upper, shapes.ports, shapes.fits[:, t], shapes.rooms[t], self.prices[t], weights,
            30_000, 1e-5, pattern,
        )  # fmt: skip
        if bound < found[t, 1]:
            found[t, 1] = max(bound, found[t, 0])
            self.weights[t] = weights
        if value > found[t, 0]:
            found[t, 0], self.patterns[t] = value, pattern

    def sequence(self, t: int, worth: Any, left: Any, rows: int, node_limit: int) -> Any:
        """Up to `rows` patterns of type t that together stay within `left`."""
        shapes = self.shapes
        out = np.zeros((rows, shapes.count), np.int64)
        count = price_sequence(
            worth, shapes.needs, left, shapes.most, shapes.ports, shapes.fits[:, t], shapes.rooms[t],
            self.prices[t], self.weights[t], node_limit, out,
        )  # fmt: skip
        return out[:count]

    def one(self, t: int, worth: Any, upper: Any, at_least: int, nodes: int) -> tuple[int, Any]:
        """The best pattern of type t within `upper` tasks a shape; worth 0 where none reaches `at_least`."""
        shapes = self.shapes
        value, _, _ = best_pattern(
            worth, shapes.needs, upper, shapes.ports, shapes.fits[:, t], shapes.rooms[t], at_least,
            self.weights[t], nodes, 1e-4, self.patterns[t],
        )  # fmt: skip
        return value, self.patterns[t]


def as_column(t: int, pattern: Any) -> Column:
    used = np.flatnonzero(pattern)
    return t, tuple(zip(used.tolist(), pattern[used].tolist(), strict=True))
