"""The instance types that can be bought in a Region, with the room they leave for tasks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from planner.model import Architecture, InstanceType, Price, Rejection, Resources
from planner.prices.book import PriceBook
from planner.prices.instances import MEMORY_LOST_PER_ADVERTISED, NO_ROOM, InstanceFacts
from planner.units import MiB, Share, UsdPerHour

AGENT_RESERVE_MIB: Final = MiB(0)
"""ECS_RESERVED_MEMORY, whose default is 0 (ECS agent configuration)."""

Usable = Callable[[InstanceFacts], "Resources | Rejection"]
"""What of a type is left for tasks; ECS, EKS and plain Kubernetes reserve differently."""


def catalogue(
    book: PriceBook,
    region: str,
    *,
    architectures: Collection[Architecture] | None = None,
    families: Collection[str] | None = None,
    instance_types: Collection[str] | None = None,
    min_vcpu: int | None = None,
    max_vcpu: int | None = None,
    awsvpc_trunking: bool = False,
    reserved_memory_mib: MiB = AGENT_RESERVE_MIB,
    daemons: Resources = NO_ROOM,
    registered: Mapping[str, Resources] | None = None,
    memory_lost: Share = MEMORY_LOST_PER_ADVERTISED,
    include_burstable: bool = False,
    include_bare_metal: bool = False,
    include_previous_generation: bool = False,
    include_gpu: bool = False,
    spot: bool = False,
    usable: Usable | None = None,
) -> tuple[tuple[InstanceType, ...], tuple[Rejection, ...]]:
    """Instance types with their price and room, cheapest first, and every other type with its reason.

    `registered` holds live registered resources by type (DescribeContainerInstances); they win over the
    estimate, and since they are already less ECS_RESERVED_MEMORY, `reserved_memory_mib` is not taken
    off them again. `daemons` is what daemon services take on each instance. `usable` replaces the whole
    ECS reckoning for other orchestrators. Families are matched by name ("m7i") or by the letters before
    the generation ("m"). An unknown Region gives no types and one rejection.
    """
    if region not in book.regions:
        refused = book.instance(region, "")
        assert isinstance(refused, Rejection)
        return (), (refused,)
    live = registered or {}

    def room(facts: InstanceFacts) -> Resources | Rejection:
        if facts.instance_type in live:
            return live[facts.instance_type] - daemons
        if usable is not None:
            return usable(facts)
        estimate = facts.registered(awsvpc_trunking, memory_lost)
        if isinstance(estimate, Rejection):
            return estimate
        return estimate - Resources(memory_mib=reserved_memory_mib) - daemons

    flags = {
        "burstable": include_burstable, "bare metal": include_bare_metal,
        "of a previous generation": include_previous_generation, "a GPU or accelerator type": include_gpu,
    }  # fmt: skip
    accepted: list[InstanceType] = []
    rejected: list[Rejection] = []
    for facts in book.instance_types.values():
        reason = _unwanted(facts, architectures, families, instance_types, min_vcpu, max_vcpu, flags)
        if reason is not None:
            rejected.append(Rejection(facts.instance_type, reason))
            continue
        offer = _offer(book, region, facts, room(facts), spot)
        if isinstance(offer, InstanceType):
            accepted.append(offer)
        else:
            rejected.append(offer)
    accepted.sort(key=lambda t: (t.usd_per_hour, t.instance_type))
    return tuple(accepted), tuple(rejected)


def _offer(
    book: PriceBook, region: str, facts: InstanceFacts, room: Resources | Rejection, spot: bool
) -> InstanceType | Rejection:
    if isinstance(room, Rejection):
        return room
    price: Price | Rejection
    if spot:
        found = book.spot(region, facts.instance_type)
        price = found if isinstance(found, Rejection) else found.price
    else:
        price = book.instance(region, facts.instance_type)
    if isinstance(price, Rejection):
        return Rejection(facts.instance_type, price.reason)
    if room.cpu_units <= 0 or room.memory_mib <= 0 or room.enis < 0 or room.gpus < 0:
        return Rejection(facts.instance_type, "nothing is left for tasks after the reserves")
    assert facts.architecture is not None
    return InstanceType(facts.instance_type, room, UsdPerHour(price.usd), facts.architecture)


def _unwanted(
    facts: InstanceFacts,
    architectures: Collection[Architecture] | None,
    families: Collection[str] | None,
    instance_types: Collection[str] | None,
    min_vcpu: int | None,
    max_vcpu: int | None,
    flags: Mapping[str, bool],
) -> str | None:
    if facts.architecture is None:
        return "its architecture is not known, or it does not run Linux containers"
    if instance_types is not None and facts.instance_type not in instance_types:
        return "not among the instance types asked for"
    if architectures is not None and facts.architecture not in architectures:
        return f"{facts.architecture.value} was not asked for"
    if families is not None and not {facts.family, _letters(facts)} & set(families):
        return f"family {facts.family} was not asked for"
    if facts.vcpu is not None and min_vcpu is not None and facts.vcpu < min_vcpu:
        return f"{facts.vcpu} vCPU, fewer than {min_vcpu}"
    if facts.vcpu is not None and max_vcpu is not None and facts.vcpu > max_vcpu:
        return f"{facts.vcpu} vCPU, more than {max_vcpu}"
    if instance_types is not None:
        return None
    kinds = {
        "burstable": facts.burstable, "bare metal": facts.bare_metal,
        "of a previous generation": facts.previous_generation,
        "a GPU or accelerator type": bool(facts.gpus or facts.accelerators),
    }  # fmt: skip
    excluded = [kind for kind, holds in kinds.items() if holds and not flags[kind]]
    return f"{' and '.join(excluded)}, which was not asked for" if excluded else None


def _letters(facts: InstanceFacts) -> str:
    """The letters before the generation: m of m7i, c of c6gn."""
    family = facts.family
    return family[: next((i for i, c in enumerate(family) if c.isdigit()), len(family))]
