"""The instance types that a plan considers."""

from __future__ import annotations

from collections.abc import Collection

from planner.estate_cost import daemons_of
from planner.model import Architecture, Estate, InstanceType, Rejection, Resources
from planner.prices import PriceBook, catalogue
from planner.settings import Settings


def offers(
    estate: Estate, architectures: Collection[Architecture], settings: Settings, book: PriceBook
) -> tuple[tuple[InstanceType, ...], tuple[Rejection, ...]]:
    """Types of the Region with price and room, and the others with the reason; live registered resources win over
    the table's estimate."""
    live: dict[str, Resources] = {i.instance_type: i.registered for i in estate.container_instances}
    return catalogue(
        book,
        estate.region,
        architectures=sorted(architectures),
        families=settings.families or None,
        daemons=daemons_of(estate),
        registered=live,
    )
