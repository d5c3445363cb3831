"""The price book: look-ups that answer with a price, its source and date, or with the reason there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from planner.model import Architecture, Price, Rejection
from planner.prices.instances import InstanceFacts, parse_facts
from planner.prices.tables import Row
from planner.units import CpuUnits, MiB, UsdPerHour, effective_usd_per_hour, gib, vcpu

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
    licence_vcpu_hour: Price | None = None
    """The operating system's licence on top of the vCPU: Windows (AWS Fargate pricing page, example 4)."""

    def task_usd_per_hour(
        self, cpu_units: CpuUnits, memory_mib: MiB, storage_gib: float = INCLUDED_STORAGE_GIB
    ) -> UsdPerHour | Rejection:
        """One running task of a legal size, with the storage beyond the included 20 GiB."""
        licence = self.licence_vcpu_hour.usd if self.licence_vcpu_hour else 0.0
        usd = vcpu(cpu_units) * (self.vcpu_hour.usd + licence) + gib(memory_mib) * self.gib_hour.usd
        if storage_gib <= INCLUDED_STORAGE_GIB:
            return UsdPerHour(usd)
        if isinstance(self.ephemeral_gib_hour, Rejection):
            return self.ephemeral_gib_hour
        return UsdPerHour(usd + (storage_gib - INCLUDED_STORAGE_GIB) * self.ephemeral_gib_hour.usd)


@dataclass(frozen=True, slots=True)
class SpotHistory:
    """What Spot cost over some days in the dearest zone: the mean weighted by time, and the maximum."""

    mean_usd_per_hour: UsdPerHour
    max_usd_per_hour: UsdPerHour
    days: float


@dataclass(frozen=True, slots=True)
class SpotPrice:
    """What Spot cost, or is estimated to cost, and how often the Spot Advisor saw interruptions."""

    price: Price
    history: SpotHistory | None
    interruption_band: int | None
    """0: under 5 % of instances a month, 1: 5-10 %, 2: 10-15 %, 3: 15-20 %, 4: over 20 %."""
    savings_percent: int | None


@dataclass(frozen=True, slots=True)
class AzureSize:
    vm_size: str
    vcpu: int
    memory_mib: MiB
    architecture: Architecture


@dataclass(frozen=True)
class PriceBook:
    """Price tables in force. `rows` maps a table's name to its rows by key."""

    rows: Mapping[str, Mapping[Row, Row]]
    facts_rows: Sequence[Row]
    absent: Mapping[str, str]
    digest: str
    """SHA-256 over every table's bytes: the same digest means the same prices."""
    azure_sizes: tuple[AzureSize, ...] = ()
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

    def sources(self, region: str) -> tuple[str, ...]:
        """Where the on-demand prices of this Region come from."""
        table = self.rows["ec2_on_demand"]
        return tuple(sorted({row[-1] for key, row in table.items() if key[0] == region}))

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
        if operating_system != "windows":
            return FargatePrice(vcpu_hour, gib_hour, storage)
        licence = self._fargate_item(
            region, operating_system, architecture.value, "on_demand", "licence_vcpu_hour", kind
        )
        if isinstance(licence, Rejection):
            return licence
        return FargatePrice(vcpu_hour, gib_hour, storage, licence)

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
        return Rejection(
            f"{item} in {region}",
            f"no price in this price book; `planner prices refresh --region {region}` reads it where there is one",
        )

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
        candidates, history = self._observed_spot(region, instance_type)
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
        return SpotPrice(max(candidates, key=lambda p: (p.date, p.usd)), history, band, savings)

    def _observed_spot(self, region: str, instance_type: str) -> tuple[list[Price], SpotHistory | None]:
        rows = self._spot_rows.get((region, instance_type), ())
        if not rows:
            return [], None
        dearest = max(rows, key=lambda row: float(row[3]))
        history = None
        if dearest[4] and dearest[5] and dearest[6]:
            history = SpotHistory(UsdPerHour(float(dearest[4])), UsdPerHour(float(dearest[5])), float(dearest[6]))
        return [_price(dearest[3], "hour", dearest[-2:])], history

    @cached_property
    def _spot_rows(self) -> Mapping[Row, list[Row]]:
        grouped: dict[Row, list[Row]] = {}
        for key, row in self.rows["ec2_spot"].items():
            grouped.setdefault(key[:2], []).append(row)
        return grouped

    def reserved(
        self,
        region: str,
        instance_type: str,
        *,
        years: int = 1,
        offering_class: str = "standard",
        payment: str = "No Upfront",
    ) -> Price | Rejection:
        """The effective hourly price of a reservation: upfront spread over every hour of the term."""
        key = (region, instance_type, str(years), offering_class, payment)
        row = self.rows["ec2_reserved"].get(key)
        if row is None:
            return Rejection(
                f"{offering_class} {years}-year {payment} reservation of {instance_type} in {region}",
                "no price in this price book; `planner prices refresh` reads every term and payment",
            )
        upfront, hourly = float(row[5]), float(row[6])
        note = f"{upfront:g} USD upfront and {hourly:g} USD/h over {years} years" if upfront else ""
        return Price(effective_usd_per_hour(upfront, hourly, years), "hour", row[8], row[7], note)

    def savings_plan(
        self, region: str, covers: str, *, plan: str = "Compute", years: int = 1, payment: str = "No Upfront"
    ) -> Price | Rejection:
        """The Savings Plans rate of an instance type, or of fargate:<architecture>:<item>."""
        row = self.rows["savings_plans"].get((region, plan, covers, str(years), payment))
        if row is None:
            return Rejection(
                f"{plan} Savings Plans rate of {covers} in {region}, {years} year(s), {payment}",
                "no rate in this price book; `planner prices refresh` reads the offering rates",
            )
        return _price(row[5], row[6], row[7:9])

    def azure(self, region: str, vm_size: str) -> Price | Rejection:
        row = self.rows["azure"].get((region, vm_size))
        if row is None:
            return Rejection(
                f"{vm_size} in {region}",
                f"no Azure price in this price book; `planner prices refresh --azure-region {region}` reads them",
            )
        return _price(row[2], "hour", row[3:5])

    def azure_catalogue(self, region: str) -> tuple[tuple[AzureSize, Price], ...]:
        """VM sizes with a price in this Azure region and known vCPU and memory, cheapest first."""
        priced = [(size, self.azure(region, size.vm_size)) for size in self.azure_sizes]
        known = [(size, price) for size, price in priced if isinstance(price, Price)]
        return tuple(sorted(known, key=lambda pair: (pair[1].usd, pair[0].vm_size)))

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
