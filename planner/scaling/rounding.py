"""Rounding, defined once: every implementation counts tasks through these rules.

Demand over task size is a real number; whole tasks are counted with a tolerance of a millionth of a task,
so that 2.4 vCPU on tasks of 0.8 vCPU is three tasks and not four for a last bit of binary noise.
"""

from __future__ import annotations

import math
from typing import Final

TOLERANCE: Final = 1e-6


def whole(tasks: float) -> int:
    """Whole tasks (or instances) that hold a real number of them."""
    return math.ceil(tasks - TOLERANCE)


def exceeds(value: float, limit: float) -> bool:
    """`value > limit`, a millionth over being equal."""
    return value - TOLERANCE > limit


def falls_below(value: float, limit: float) -> bool:
    """`value < limit`, a millionth under being equal."""
    return value + TOLERANCE < limit
