"""How much of a fleet to run on Spot: what it saves against the minutes in which capacity may be short."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Final

from planner.units import MINUTES_PER_MONTH, UsdPerHour

BAND_UPPER: Final = (0.05, 0.10, 0.15, 0.20, 0.30)
"""Share of instances interrupted in a month, the upper end of each Spot Advisor band. The last band is
open ("over 20 %"); 0.30 is an assumption."""
RECOVERY_MINUTES: Final = 5.0
"""From the end of an instance to its replacement running tasks, beyond the two-minute notice: an assumption
to be set from the simulator's delays."""


SHARES: Final = tuple(step / 20 for step in range(21))


@dataclass(frozen=True, slots=True)
class SpotMix:
    """One share of the fleet on Spot."""

    spot_share: float
    usd_per_hour: UsdPerHour
    """Expected cost of the mix."""
    short_minutes_per_month: float
    """Expected minutes with less capacity than the demand leaves as headroom."""
    interruptions_per_month: float
    """Expected reclaimed instances."""


@dataclass(frozen=True, slots=True)
class SpotRisk:
    """What is assumed of Spot; every number is a parameter of the answer."""

    interruption_band: int
    pools: int
    """Instance type and zone pairs that the Spot part is spread over evenly; pools are reclaimed
    independently and whole, which is the bad case for one pool and AWS's reason for spreading."""
    headroom: float
    """Share of the fleet that may be lost without a shortfall."""
    recovery_minutes: float = RECOVERY_MINUTES

    @property
    def pool_down(self) -> float:
        """Probability that a pool is down at a moment."""
        monthly = BAND_UPPER[self.interruption_band]
        down_share: float = monthly * self.recovery_minutes / MINUTES_PER_MONTH
        return min(1.0, down_share)


def spot_mix(share: float, on_demand: UsdPerHour, spot: UsdPerHour, instances: float, risk: SpotRisk) -> SpotMix:
    """A fleet of `instances` costing `on_demand` an hour altogether (or `spot`, all on Spot), with `share`
    of it on Spot."""
    down = risk.pool_down
    short = sum(
        comb(risk.pools, lost) * down**lost * (1 - down) ** (risk.pools - lost)
        for lost in range(1, risk.pools + 1)
        if share * lost / risk.pools > risk.headroom + 1e-12
    )
    return SpotMix(
        share,
        UsdPerHour(share * spot + (1 - share) * on_demand),
        short * MINUTES_PER_MONTH,
        share * instances * BAND_UPPER[risk.interruption_band],
    )


def best_spot_mix(
    on_demand: UsdPerHour,
    spot: UsdPerHour,
    instances: float,
    risk: SpotRisk,
    short_minutes_allowed: float,
    shares: Sequence[float] = SHARES,
) -> tuple[SpotMix, tuple[SpotMix, ...]]:
    """The cheapest share whose expected short minutes stay within the allowance, and every share tried.
    Share 0 is always tried, so there is an answer."""
    mixes = tuple(spot_mix(share, on_demand, spot, instances, risk) for share in sorted({0.0, *shares}))
    allowed = [m for m in mixes if m.short_minutes_per_month <= short_minutes_allowed]
    return min(allowed, key=lambda m: (m.usd_per_hour, m.spot_share)), mixes
