"""Rounding, defined once: every implementation counts tasks through these rules.

Demand over task size is a real number; whole tasks are counted with a tolerance of a millionth of a task,
so that 2.4 vCPU on tasks of 0.8 vCPU is three tasks and not four for a last bit of binary noise.
"""

from __future__ import annotations

import math
from typing import Final

TOLERANCE: Final = 1e-6
ROUND_UP: Final = 1.0 - TOLERANCE
"""Added before rounding down: a sum and a truncation are what the compiled loops do fastest."""


def whole(tasks: float) -> int:
    """Whole tasks (or instances) that hold a real number of them."""
    return math.floor(tasks + ROUND_UP)


def exceeds(value: float, limit: float) -> bool:
    """`value > limit`, a millionth over being equal; for a whole `limit` the same as `whole(value) > limit`."""
    return value + ROUND_UP >= limit + 1.0


def falls_below(value: float, limit: float) -> bool:
    """`value < limit`, a millionth under being equal."""
    return value + TOLERANCE < limit
