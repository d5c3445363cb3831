"""The ways to have an instance of a type: on-demand or Spot, started anew or running already."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from planner.model import ON_DEMAND, SPOT, InstanceType
from planner.packing.problem import PackingProblem, price_of

UNLIMITED: Final = 2**61
"""More instances than anybody buys; a limit below this binds."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to have an instance of a type. What the solver chooses among."""

    offer: InstanceType
    base: int
    """Its index in the catalogue."""
    purchase: str
    price: Fraction
    """USD per hour, with the price of starting it where it does not run yet."""
    limit: int
    """Most in all zones together, or UNLIMITED."""
    by_zone: tuple[int, ...] = ()
    """Most in each zone, for instances that run already; empty: anywhere."""

    @property
    def instance_type(self) -> str:
        return self.offer.instance_type

    @property
    def is_spot(self) -> bool:
        return self.purchase == SPOT


def variants_of(problem: PackingProblem) -> tuple[Variant, ...]:
    """Every way to have every type of the catalogue, in its order."""
    found: list[Variant] = []
    for base, offer in enumerate(problem.catalogue):
        found += _ways(problem, base, offer, ON_DEMAND)
        if problem.spot is not None and problem.spot.share > 0.0 and offer.spot_usd_per_hour is not None:
            found += _ways(problem, base, offer, SPOT)
    return tuple(found)


def exact(value: float) -> Fraction:
    """The decimal that people wrote: 0.1 is one tenth, not the nearest binary number."""
    return Fraction(repr(float(value)))


def _ways(problem: PackingProblem, base: int, offer: InstanceType, purchase: str) -> list[Variant]:
    price = exact(price_of(offer, purchase))
    most = UNLIMITED if offer.max_count is None or purchase == SPOT else offer.max_count
    moving = exact(problem.moving_usd_per_hour)
    kept = kept_by_zone(problem, offer, purchase) if moving else ()
    if not any(kept):
        return [Variant(offer, base, purchase, price + moving, most)]
    return [
        Variant(offer, base, purchase, price, min(most, sum(kept)), kept),
        Variant(offer, base, purchase, price + moving, most),
    ]


def kept_by_zone(problem: PackingProblem, offer: InstanceType, purchase: str) -> tuple[int, ...]:
    """Instances of a type that run already, by zone."""
    counts = [0] * problem.zones
    at = {problem.zone_name(z): z for z in range(problem.zones)}
    for line in problem.running:
        if line.instance_type == offer.instance_type and line.purchase == purchase:
            counts[at[line.zone]] += line.count
    return tuple(counts)
