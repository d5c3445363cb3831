"""What a failure drill does to a replay: capacity lost, starts that fail, load that jumps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Disturbance:
    """From minute `start` for `minutes` minutes; the defaults disturb nothing."""

    start: int = 0
    minutes: int = 0
    lost: float = 0.0
    """Share of tasks and instances that vanish at `start`; ECS starts the tasks again."""
    load_factor: float = 1.0
    starts_fail: bool = False
    """Tasks that would start cannot, as under a deployment whose new tasks never become healthy."""
    scale_in_off: bool = False

    def _covers(self, minute: int) -> bool:
        return self.start <= minute < self.start + self.minutes

    def factors(self, minutes: int) -> NDArray[np.float64]:
        factors = np.ones(minutes)
        factors[self.start : self.start + self.minutes] = self.load_factor
        return factors

    def lost_share(self, minute: int) -> float:
        return self.lost if minute == self.start else 0.0

    def blocks_starts(self, minute: int) -> bool:
        return self.starts_fail and self._covers(minute)

    def blocks_scale_in(self, minute: int) -> bool:
        return self.scale_in_off and self._covers(minute)


CALM = Disturbance()
