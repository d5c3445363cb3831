"""The time limit of a search, told by a clock that the caller hands in."""

from __future__ import annotations

import math
from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds from any fixed start, never going back."""


class Deadline:
    """When the search has to stop. Without a clock it never passes, and the search ends by its own limits."""

    def __init__(self, clock: Clock | None, seconds: float, whole: Deadline | None = None) -> None:
        self._clock = clock
        self._start = clock() if clock else 0.0
        self._seconds = seconds if clock else math.inf
        self._whole = whole
        self.struck = False
        """True once a search was told to stop by this deadline or by one of its shares."""

    def spent(self) -> float:
        return self._clock() - self._start if self._clock else 0.0

    def left(self) -> float:
        return self._seconds - self.spent() if self._clock else math.inf

    def passed(self) -> bool:
        if self.left() <= 0.0:
            self.strike()
            return True
        return False

    def share(self, part: float) -> Deadline:
        """A deadline for the next step: `part` of the time that is left."""
        return Deadline(self._clock, max(0.0, self.left()) * part if self._clock else math.inf, self)

    def strike(self) -> None:
        """Say that a search was told to stop."""
        self.struck = True
        if self._whole is not None:
            self._whole.strike()
