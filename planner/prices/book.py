"""The price book: look-ups that answer with a price, its source and date, or with the reason there is none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from planner.model import Architecture, Price, Rejection
from planner.prices import tables
from planner.prices.instances import InstanceFacts, parse_facts
from planner.prices.tables import ABSENT, ALL_TABLES, INSTANCE_TYPES, PRICE_TABLES, PriceTable, Row
from planner.units import CpuUnits, MiB, UsdPerHour, gib, vcpu

EMBEDDED: Final = Path(__file__).parent / "data"

EVERYWHERE: Final = "*"
INCLUDED_STORAGE_GIB: Final = 20
"""Ephemeral storage that comes with every Fargate task (AWS Fargate pricing page)."""
GOVERNMENT_AND_CHINA: Final = ("us-gov-", "cn-", "us-iso")


@dataclass(frozen=True, slots=True)
class FargatePrice:
    """The rates of one Region and architecture, each with its own source and date."""

    vcpu_hour: Price
    gib_hour: Price
    ephemeral_gib_hour: Price | Rejection

    def task_usd_per_hour(
        self, cpu_units: CpuUnits, memory_mib: MiB, storage_gib: float = INCLUDED_STORAGE_GIB
    ) -> UsdPerHour | Rejection:
        """One running task of a legal size, with the storage beyond the included 20 GiB."""
        usd = vcpu(cpu_units) * self.vcpu_hour.usd + gib(memory_mib) * self.gib_hour.usd
        if storage_gib <= INCLUDED_STORAGE_GIB:
            return UsdPerHour(usd)
        if isinstance(self.ephemeral_gib_hour, Rejection):
            return self.ephemeral_gib_hour
        return UsdPerHour(usd + (storage_gib - INCLUDED_STORAGE_GIB) * self.ephemeral_gib_hour.usd)


@dataclass(frozen=True, slots=True)
class SpotPrice:
    """What Spot cost, or is estimated to cost, and how often the Spot Advisor saw interruptions."""

    price: Price
    interruption_band: int | None
    """0: under 5 % of instances a month, 1: 5-10 %, 2: 10-15 %, 3: 15-20 %, 4: over 20 %."""
    savings_percent: int | None


@dataclass(frozen=True)
class PriceBook:
    """Price tables in force. `rows` maps a table's name to its rows by key."""

    rows: Mapping[str, Mapping[Row, Row]]
    facts_rows: Sequence[Row]
    absent: Mapping[str, str]
    digest: str
    """SHA-256 over every table's bytes: the same digest means the same prices."""
    snapshot: str = "embedded"
    _cache: dict[Row, Price | Rejection] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def regions(self) -> tuple[str, ...]:
        """Regions with EC2 on-demand prices."""
        return tuple(sorted({key[0] for key in self.rows["ec2_on_demand"]}))

    @cached_property
    def instance_types(self) -> Mapping[str, InstanceFacts]:
        return {row[0]: parse_facts(row) for row in self.facts_rows}

    @cached_property
    def date(self) -> str:
        """The oldest date of any on-demand price: the book is at least as fresh as this."""
        return min(row[3] for row in self.rows["ec2_on_demand"].values())

    @cached_property
    def _dates(self) -> Mapping[str, str]:
        dates: dict[str, str] = {}
        for key, row in self.rows["ec2_on_demand"].items():
            dates[key[0]] = min(row[3], dates.get(key[0], row[3]))
        return dates

    def region_date(self, region: str) -> str | Rejection:
        """The oldest date of an on-demand price in this Region."""
        return self._dates.get(region) or self._no_region(region)

    def instance(self, region: str, instance_type: str) -> Price | Rejection:
        """On-demand Linux, shared tenancy."""
        key = (region, instance_type)
        found = self._cache.get(key)
        if found is None:
            row = self.rows["ec2_on_demand"].get(key)
            found = self._no_instance(region, instance_type) if row is None else _price(row[2], "hour", row[3:5])
            self._cache[key] = found
        return found

    def fargate(
        self,
        region: str,
        architecture: Architecture = Architecture.X86_64,
        *,
        spot: bool = False,
        operating_system: str = "linux",
    ) -> FargatePrice | Rejection:
        capacity = "spot" if spot else "on_demand"
        kind = f"{'Fargate Spot' if spot else 'Fargate'} {operating_system} {architecture.value}"
        vcpu_hour = self._fargate_item(region, operating_system, architecture.value, capacity, "vcpu_hour", kind)
        gib_hour = self._fargate_item(region, operating_system, architecture.value, capacity, "gib_hour", kind)
        if isinstance(vcpu_hour, Rejection):
            return vcpu_hour
        if isinstance(gib_hour, Rejection):
            return gib_hour
        storage = self._fargate_item(region, operating_system, "any", "on_demand", "ephemeral_gib_hour", "Fargate")
        return FargatePrice(vcpu_hour, gib_hour, storage)

    def item(self, region: str, item: str) -> Price | Rejection:
        """Anything else with a price: alb_hour, alb_lcu_hour, nat_gateway_gb, eks_cluster_hour, ..."""
        table = self.rows["items"]
        row = table.get((region, item))
        if row is None and not region.startswith(GOVERNMENT_AND_CHINA) and region in self.regions:
            row = table.get((EVERYWHERE, item))
        if row is not None:
            return _price(row[2], row[3], row[4:6])
        if item in self.absent:
            return Rejection(f"{item} in {region}", self.absent[item])
        known = {key[1] for key in table}
        if item not in known:
            return Rejection(item, "no such item in the price book; `planner prices show` lists them")
        if region not in self.regions and not any(key[0] == region for key in table):
            return self._no_region(region)
        return Rejection(f"{item} in {region}", f"the price book of {self.date} has no price for it")

    def items(self, region: str) -> dict[str, Price]:
        """Every item that has a price in this Region."""
        names = sorted({key[1] for key in self.rows["items"] if key[0] in {region, EVERYWHERE}})
        found = {name: self.item(region, name) for name in names}
        return {name: price for name, price in found.items() if isinstance(price, Price)}

    def spot(self, region: str, instance_type: str) -> SpotPrice | Rejection:
        """The newest of: observed Spot prices (the dearest zone), the Spot Advisor's saving off on-demand."""
        advisor = self.rows["spot_advisor"].get((region, instance_type))
        band = int(advisor[3]) if advisor else None
        savings = int(advisor[2]) if advisor and advisor[2] else None
        candidates = self._observed_spot(region, instance_type)
        on_demand = self.instance(region, instance_type)
        if advisor is not None and savings is not None and isinstance(on_demand, Price):
            estimate = on_demand.usd * (1 - savings / 100)
            note = f"on-demand price less the Spot Advisor's {savings} %"
            candidates.append(Price(estimate, "hour", advisor[5], advisor[4], note))
        if not candidates:
            if isinstance(on_demand, Rejection):
                return on_demand
            return Rejection(
                f"Spot price of {instance_type} in {region}", "neither Spot history nor the Spot Advisor has it"
            )
        return SpotPrice(max(candidates, key=lambda p: (p.date, p.usd)), band, savings)

    def _observed_spot(self, region: str, instance_type: str) -> list[Price]:
        rows = self._spot_rows.get((region, instance_type), ())
        if not rows:
            return []
        dearest = max(rows, key=lambda row: float(row[3]))
        return [_price(dearest[3], "hour", dearest[4:6])]

    @cached_property
    def _spot_rows(self) -> Mapping[Row, list[Row]]:
        grouped: dict[Row, list[Row]] = {}
        for key, row in self.rows["ec2_spot"].items():
            grouped.setdefault(key[:2], []).append(row)
        return grouped

    def azure(self, region: str, vm_size: str) -> Price | Rejection:
        row = self.rows["azure"].get((region, vm_size))
        if row is None:
            return Rejection(
                f"{vm_size} in {region}",
                "no Azure price in this price book; `planner prices refresh --azure-region` reads them",
            )
        return _price(row[2], "hour", row[3:5])

    def azure_sizes(self, region: str) -> tuple[str, ...]:
        return tuple(sorted(key[1] for key in self.rows["azure"] if key[0] == region))

    def _fargate_item(
        self, region: str, system: str, architecture: str, capacity: str, item: str, kind: str
    ) -> Price | Rejection:
        row = self.rows["fargate"].get((region, system, architecture, capacity, item))
        if row is not None:
            return _price(row[5], row[6], row[7:9])
        if not any(key[0] == region for key in self.rows["fargate"]) and region not in self.regions:
            return self._no_region(region)
        return Rejection(
            f"{kind} {item} in {region}",
            "no price in this price book; `planner prices refresh` reads it from the AWS price list",
        )

    def _no_region(self, region: str) -> Rejection:
        return Rejection(region, f"no such Region in the price book; it has {', '.join(self.regions)}")

    def _no_instance(self, region: str, instance_type: str) -> Rejection:
        if region not in self.regions:
            return self._no_region(region)
        if instance_type not in self.instance_types:
            return Rejection(instance_type, "no such instance type in the price book")
        return Rejection(
            f"{instance_type} in {region}",
            f"no on-demand price as of {self.region_date(region)}: not offered there, or newer than the prices",
        )


def _price(usd: str, unit: str, date_and_source: Row) -> Price:
    return Price(float(usd), unit, date_and_source[1], date_and_source[0])


class _Tables(Mapping[str, Mapping[Row, Row]]):
    """Embedded tables, each parsed when it is first asked for."""

    def __init__(self, contents: Mapping[str, bytes], overlays: Mapping[str, Sequence[Row]]) -> None:
        self._contents = contents
        self._overlays = overlays
        self._parsed: dict[str, Mapping[Row, Row]] = {}

    def __getitem__(self, name: str) -> Mapping[Row, Row]:
        if name not in self._parsed:
            table = next(table for table in PRICE_TABLES if table.name == name)
            rows = _by_key(table, tables.read(table, self._contents[name], table.file_name))
            self._parsed[name] = _laid_over(rows, table, self._overlays.get(name, ()))
        return self._parsed[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._contents)

    def __len__(self) -> int:
        return len(self._contents)


def load(snapshot: Path | None = None) -> PriceBook:
    """The embedded price book, with a refreshed snapshot's tables laid over it.

    A snapshot replaces a table's rows Region by Region: what it holds for a Region is all that counts
    there, so a type that AWS no longer lists is gone. Raises `tables.BrokenPriceFile` for a snapshot
    that is truncated or holds something that is not a price.
    """
    contents = {table.name: (EMBEDDED / table.file_name).read_bytes() for table in ALL_TABLES}
    digest = hashlib.sha256(b"".join(contents.values()))
    overlays: dict[str, Sequence[Row]] = {}
    for table in PRICE_TABLES:
        path = None if snapshot is None else snapshot / table.file_name
        if path is not None and path.is_file():
            content = path.read_bytes()
            overlays[table.name] = _checked(table, content, path.name)
            digest.update(path.name.encode() + content)
    facts = tables.read(INSTANCE_TYPES, contents["instance_types"], INSTANCE_TYPES.file_name)
    absent = {row[0]: row[1] for row in tables.read(ABSENT, contents["absent"], ABSENT.file_name)}
    priced = {table.name: contents[table.name] for table in PRICE_TABLES}
    name = "embedded" if snapshot is None else snapshot.name
    return PriceBook(_Tables(priced, overlays), facts, absent, digest.hexdigest(), name)


def _by_key(table: PriceTable, rows: Sequence[Row]) -> dict[Row, Row]:
    length = table.key_length
    return {row[:length]: row for row in rows}


def _checked(table: PriceTable, content: bytes, name: str) -> list[Row]:
    rows = tables.read(table, content, name)
    tables.check_money(table, rows)
    tables.keyed(table, rows)
    return rows


def _laid_over(base: dict[Row, Row], table: PriceTable, rows: Sequence[Row]) -> dict[Row, Row]:
    refreshed = {row[0] for row in rows}
    kept = {key: row for key, row in base.items() if key[0] not in refreshed} if refreshed else base
    return kept | _by_key(table, rows)
