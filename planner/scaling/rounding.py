"""Rounding, defined once: every implementation counts tasks through these rules.

Demand over task size is a real number; whole tasks are counted with a tolerance of a millionth of a task,
so that 2.4 vCPU on tasks of 0.8 vCPU is three tasks and not four for a last bit of binary noise. Counts are
rounded on top of BASE_COUNT, at 2 ** -32 of a task: the whole part of such a sum can be read off the upper
half of a float64, which is what the compiled loops do fastest.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

TOLERANCE: Final = 1e-6
BASE_COUNT: Final = 1.5 * 2**20
"""A multiple of 2 ** 16 to which counts of half a million tasks can be added within one power of two."""
ROUND_UP: Final = BASE_COUNT + (1.0 - TOLERANCE)
ROUND_DOWN: Final = BASE_COUNT + TOLERANCE


def whole(tasks: float) -> int:
    """Whole tasks (or instances) that hold a real number of them."""
    return math.floor(tasks + ROUND_UP) - int(BASE_COUNT)


def wholes(tasks: NDArray[np.float64]) -> NDArray[np.float64]:
    """`whole` of each; NaN stays."""
    return np.asarray(np.floor(tasks + ROUND_UP) - BASE_COUNT)


def exceeds(value: float, limit: float) -> bool:
    """`value > limit`, a millionth over being equal; for a whole `limit` the same as `whole(value) > limit`."""
    return value + ROUND_UP >= limit + (BASE_COUNT + 1.0)


def falls_below(value: float, limit: float) -> bool:
    """`value < limit`, a millionth under being equal."""
    return value + ROUND_DOWN < limit + BASE_COUNT
