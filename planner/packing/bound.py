"""Lower bounds in exact arithmetic, from any dual prices.

A dual price is what one task of a shape is worth. If no instance of a type can hold tasks worth more than
its price, then the worth of all tasks is a bound on the cost of every fleet (weak duality of the
configuration linear program: Gilmore and Gomory 1961). Prices that are too high are scaled down first
(Farley 1990). Everything here is whole numbers and fractions, so no rounding can lift the bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from planner.packing.shapes import Shapes
from planner.packing.variants import UNLIMITED

_SCALE_BITS = 40


@dataclass(frozen=True)
class MoneyScale:
    """Prices as whole numbers: `per_usd` of them are one USD, the dearest type is 2^40."""

    per_usd: Fraction
    prices: tuple[int, ...]

    def whole(self, usd: Any) -> Any:
        """Dual prices (float USD) as whole numbers, rounded down, never negative."""
        limit = float(2**_SCALE_BITS)
        return np.floor(np.clip(usd * float(self.per_usd), 0.0, limit)).astype(np.int64)


def money_scale(shapes: Shapes) -> MoneyScale:
    per_usd = Fraction(2**_SCALE_BITS) / max(shapes.exact_prices)
    return MoneyScale(per_usd, tuple(math.floor(price * per_usd) for price in shapes.exact_prices))


def dual_bound(
    duals: Any, worth_at_most: Sequence[int], demand: Any, shapes: Shapes, scale: MoneyScale
) -> Fraction:
    """The bound in USD per hour that whole-number `duals` prove for `demand` (tasks a shape).

    `worth_at_most[t]` is an upper bound on what one instance of type t can hold, in the same units. Types with
    a max_count may be worth more than their price: what they could save at most is taken off (Lagrange).
    """
    factor = Fraction(1)
    for t, worth in enumerate(worth_at_most):
        if worth > scale.prices[t] and shapes.limits[t] >= UNLIMITED:
            factor = min(factor, Fraction(scale.prices[t], worth))
    total = factor * sum(int(d) * int(n) for d, n in zip(duals, demand, strict=True))
    for t, worth in enumerate(worth_at_most):
        if shapes.limits[t] < UNLIMITED:
            total -= int(shapes.limits[t]) * max(Fraction(0), factor * worth - scale.prices[t])
    return max(Fraction(0), total / scale.per_usd)


def part_bound(
    duals: Any, worth_at_most: Sequence[int], part: tuple[Fraction, Any], shapes: Shapes, scale: MoneyScale
) -> Fraction:
    """As `dual_bound`, for a (factor, demand) pair: factor x what a fleet for the demand costs. A factor of
    1 / n stands for n fleets at once, which may use each limit n times."""
    factor, demand = part
    copies = factor.denominator if factor < 1 else 1
    limits = np.where(shapes.limits < UNLIMITED, shapes.limits * copies, shapes.limits)
    return factor * rounded_up(dual_bound(duals, worth_at_most, demand, shapes.with_limits(limits), scale), shapes)


def resource_prices(demand: Any, shapes: Shapes) -> Any:
    """A price (r) in USD for one unit of each resource, such that no type is worth more than it costs and the
    needs of all tasks are worth the most. One small linear program."""
    from scipy.optimize import linprog

    total = (demand[:, None] * shapes.needs).sum(axis=0).astype(np.float64)
    unit = np.maximum(shapes.rooms.max(axis=0), 1).astype(np.float64)
    dearest = float(shapes.prices.max())
    answer = linprog(
        -total / unit / max(float((total / unit).max()), 1e-300),
        A_ub=shapes.rooms / unit,
        b_ub=shapes.prices / dearest,
        bounds=(0, None),
        method="highs",
    )
    if answer.status != 0:
        return np.zeros(unit.shape[0])
    return np.maximum(answer.x, 0.0) / unit * dearest


_RESOURCE_BITS = 20


def _exact_resource_prices(prices: Any, scale: MoneyScale) -> list[int]:
    return [math.floor(Fraction(float(price)) * scale.per_usd * 2**_RESOURCE_BITS) for price in prices]


def _worth_of_rows(prices: list[int], rows: Any) -> list[int]:
    return [sum(p * int(x) for p, x in zip(prices, row, strict=True)) >> _RESOURCE_BITS for row in rows]


def volume_worth(prices: Any, shapes: Shapes, scale: MoneyScale) -> Any:
    """(t) what the room of an instance is worth at resource prices: more than any tasks on it."""
    return np.array(_worth_of_rows(_exact_resource_prices(prices, scale), shapes.rooms), np.int64)


def volume_bound(prices: Any, demand: Any, shapes: Shapes, scale: MoneyScale) -> Fraction:
    """The bound that resource prices prove: tasks are worth their resources, instances their room."""
    exact = _exact_resource_prices(prices, scale)
    duals = _worth_of_rows(exact, shapes.needs)
    return dual_bound(duals, _worth_of_rows(exact, shapes.rooms), demand, shapes, scale)


def rounded_up(bound: Fraction, shapes: Shapes) -> Fraction:
    """Every fleet costs a whole multiple of the prices' greatest common divisor, so the bound may too."""
    step = common_step(shapes)
    return step * math.ceil(bound / step)


def common_step(shapes: Shapes) -> Fraction:
    """The greatest common divisor of all prices, USD per hour."""
    step = Fraction(0)
    for price in shapes.exact_prices:
        step = Fraction(
            math.gcd(step.numerator * price.denominator, price.numerator * step.denominator),
            step.denominator * price.denominator,
        )
    return step


def floor_to_float(value: Fraction) -> float:
    """The largest float that is not above the exact value."""
    nearest = float(value)
    return math.nextafter(nearest, -math.inf) if Fraction(nearest) > value else nearest
