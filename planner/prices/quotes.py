"""Answers of the price book as records for JSON and for tables of text."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from planner.model import Architecture, Price, Rejection, Resources
from planner.prices.book import INCLUDED_STORAGE_GIB, FargatePrice, PriceBook, SpotPrice
from planner.prices.fargate import smallest_size
from planner.prices.instances import InstanceFacts
from planner.units import CpuUnits, MiB, gib, usd_per_month, vcpu

BANDS: Final = ("under 5 %", "5 to 10 %", "10 to 15 %", "15 to 20 %", "over 20 %")
"""Share of instances interrupted in a month, as the Spot Advisor bands it."""

Record = dict[str, Any]


def price_record(price: Price) -> Record:
    record: Record = {"usd": price.usd, "unit": price.unit, "price_date": price.date, "source": price.source}
    if price.note:
        record["note"] = price.note
    return record


def book_record(book: PriceBook) -> Record:
    return {"date": book.date, "sha256": book.digest, "snapshot": book.snapshot}


def facts_record(facts: InstanceFacts) -> Record:
    return {
        "vcpu": facts.vcpu,
        "memory_mib": facts.memory_mib,
        "architecture": facts.architecture.value if facts.architecture else None,
        "gpus": facts.gpus,
        "burstable": facts.burstable,
        "bare_metal": facts.bare_metal,
        "previous_generation": facts.previous_generation,
        "max_enis": facts.max_enis,
        "ecs_task_enis": facts.task_enis(awsvpc_trunking=False),
        "ecs_task_enis_trunked": facts.task_enis(awsvpc_trunking=True),
        "eks_max_pods": facts.eks_max_pods,
        "facts_date": facts.date,
        "facts_source": facts.source,
    }


def instance_quote(book: PriceBook, region: str, instance_type: str, spot: bool = False) -> Record | Rejection:
    found: Price | SpotPrice | Rejection = (
        book.spot(region, instance_type) if spot else book.instance(region, instance_type)
    )
    if isinstance(found, Rejection):
        return found
    price = found.price if isinstance(found, SpotPrice) else found
    record: Record = {
        "instance_type": instance_type,
        "region": region,
        "operating_system": "Linux",
        "purchase": "spot" if spot else "on_demand",
        "usd_per_hour": price.usd_per_hour,
        "usd_per_month": usd_per_month(price.usd_per_hour),
        "price_date": price.date,
        "source": price.source,
        "facts": facts_record(book.instance_types[instance_type]),
        "price_book": book_record(book),
    }
    if price.note:
        record["note"] = price.note
    if isinstance(found, SpotPrice) and found.history is not None:
        record["history"] = {
            "mean_usd_per_hour": found.history.mean_usd_per_hour,
            "max_usd_per_hour": found.history.max_usd_per_hour,
            "days": found.history.days,
        }
    if isinstance(found, SpotPrice) and found.interruption_band is not None:
        record["interruption_band"] = found.interruption_band
        record["interrupted_per_month"] = BANDS[found.interruption_band]
    return record


def fargate_quote(
    book: PriceBook,
    region: str,
    cpu_units: CpuUnits,
    memory_mib: MiB,
    *,
    architecture: Architecture = Architecture.X86_64,
    spot: bool = False,
    operating_system: str = "linux",
    storage_gib: float = INCLUDED_STORAGE_GIB,
    tasks: int = 1,
) -> Record | Rejection:
    """The price of `tasks` tasks of exactly this size, which must be one that Fargate accepts."""
    rates = book.fargate(region, architecture, spot=spot, operating_system=operating_system)
    if isinstance(rates, Rejection):
        return rates
    each = rates.task_usd_per_hour(cpu_units, memory_mib, storage_gib)
    if isinstance(each, Rejection):
        return each
    return {
        "region": region,
        "architecture": architecture.value,
        "operating_system": operating_system,
        "purchase": "spot" if spot else "on_demand",
        "vcpu": vcpu(cpu_units),
        "memory_gib": gib(memory_mib),
        "storage_gib": storage_gib,
        "tasks": tasks,
        "usd_per_hour": tasks * each,
        "usd_per_month": usd_per_month(tasks * each),
        "price_date": min(rates.vcpu_hour.date, rates.gib_hour.date),
        "source": rates.vcpu_hour.source,
        "rates": _rates(rates),
        "price_book": book_record(book),
    }


def committed_quotes(book: PriceBook, region: str, instance_type: str) -> list[Record]:
    """Every reservation and Savings Plans rate of a type, the largest saving first. All upfront payments are
    spread over the hours of the term."""
    on_demand = book.instance(region, instance_type)
    found: list[Record] = []
    for key in book.rows["ec2_reserved"]:
        if key[:2] == (region, instance_type):
            price = book.reserved(region, instance_type, years=int(key[2]), offering_class=key[3], payment=key[4])
            found.append(_committed(f"reserved, {key[3]}", key[2], key[4], price, on_demand))
    for key in book.rows["savings_plans"]:
        if (key[0], key[2]) == (region, instance_type):
            price = book.savings_plan(region, instance_type, plan=key[1], years=int(key[3]), payment=key[4])
            found.append(_committed(f"{key[1]} Savings Plan", key[3], key[4], price, on_demand))
    return sorted(found, key=lambda record: (record["usd_per_hour"], record["offer"], record["payment"]))


def _committed(
    offer: str, years: str, payment: str, price: Price | Rejection, on_demand: Price | Rejection
) -> Record:
    assert isinstance(price, Price)  # its key is in the table
    saving = 1 - price.usd_per_hour / on_demand.usd_per_hour if isinstance(on_demand, Price) else None
    return {
        "offer": offer,
        "years": int(years),
        "payment": payment,
        "usd_per_hour": price.usd_per_hour,
        "saving_per_on_demand": saving,
        "price_date": price.date,
        "source": price.source,
    }


def _rates(rates: FargatePrice) -> Record:
    storage = rates.ephemeral_gib_hour
    return {
        "vcpu_hour": price_record(rates.vcpu_hour),
        "gib_hour": price_record(rates.gib_hour),
        "ephemeral_gib_hour": {"absent": storage.reason}
        if isinstance(storage, Rejection)
        else price_record(storage),
        **({"licence_vcpu_hour": price_record(rates.licence_vcpu_hour)} if rates.licence_vcpu_hour else {}),
    }


def legal_size_advice(needs_cpu_units: CpuUnits, needs_memory_mib: MiB) -> str:
    """What to ask for instead of a size that Fargate does not accept."""
    size = smallest_size(Resources(needs_cpu_units, needs_memory_mib))
    if isinstance(size, Rejection):
        return size.reason
    return f"the cheapest size that holds it is {vcpu(size.cpu_units):g} vCPU and {gib(size.memory_mib):g} GiB"


def age_days(price_date: str, as_of: date) -> int | None:
    """Days since a price was read; a date known only to the year or month counts from its first day."""
    parts = price_date.split("-")
    try:
        numbers = [int(part) for part in parts[:3]]
        first = date(*[*numbers, 1, 1][:3])
    except (ValueError, TypeError):
        return None
    return (as_of - first).days


def age_sentence(book: PriceBook, region: str, as_of: date, stale_after_days: int = 90) -> str | None:
    """The warning a report carries when the Region's prices are older than `stale_after_days`."""
    dated = book.region_date(region)
    if isinstance(dated, Rejection):
        return f"{dated.what}: {dated.reason}."
    age = age_days(dated, as_of)
    if age is None or age <= stale_after_days:
        return None
    return (
        f"The prices of {region} are {age} days old (read {dated}): run"
        f" `planner prices refresh --region {region}` and plan again."
    )
