"""Bounds: exact, from any dual prices, never above what a fleet costs."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from planner.packing import PackingProblem
from planner.packing.bound import (
    dual_bound,
    floor_to_float,
    money_scale,
    resource_prices,
    rounded_up,
    volume_bound,
)
from planner.packing.room import allowed_types
from planner.packing.shapes import Shapes, build_shapes
from tests.planner.packing.build import offer, task


def shapes_of(*offers: tuple[str, int, int, float]) -> Shapes:
    problem = PackingProblem((task("web", 10, 100, 100),), tuple(offer(*o) for o in offers))
    return build_shapes(problem, allowed_types(problem), set())


def test_the_volume_bound_is_the_price_of_the_room_that_is_needed() -> None:
    shapes = shapes_of(("a", 400, 800, 2.0))
    demand = np.array([10])
    bound = volume_bound(resource_prices(demand, shapes), demand, shapes, money_scale(shapes))

    assert Fraction(4999999, 1000000) < bound <= 5  # 1,000 CPU units / 400 x 2.0 USD


def test_dual_prices_that_are_too_high_are_scaled_down() -> None:
    shapes = shapes_of(("a", 400, 800, 2.0))
    scale = money_scale(shapes)
    worth = 4 * scale.prices[0]  # four tasks of one instance price each: twice 2 ... four times too high
    bound = dual_bound([scale.prices[0]], [worth], np.array([10]), shapes, scale)

    assert bound == 5  # 10 tasks x 2.0 USD / 4


def test_prices_are_decimals_so_whole_instances_round_without_noise() -> None:
    shapes = shapes_of(("a", 400, 800, 0.1))

    assert rounded_up(Fraction(3, 10), shapes) == Fraction(3, 10)
    assert rounded_up(Fraction(3, 10) + Fraction(1, 10**15), shapes) == Fraction(4, 10)


def test_a_bound_is_never_lifted_by_turning_it_into_a_float() -> None:
    third = Fraction(1, 3)

    assert Fraction(floor_to_float(third)) <= third
    assert floor_to_float(Fraction(5)) == 5.0
