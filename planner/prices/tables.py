"""The columns of the price tables, embedded or in a snapshot: what every row carries and how it is keyed.

Every table is a CSV file with a header; every row names its source and the date the price was read.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Name, file, columns in order, how many leading columns form the key, and the columns that hold money."""

    name: str
    columns: tuple[str, ...]
    key_length: int
    money: tuple[str, ...]
    compressed: bool = False
    replaces_region: bool = True
    """A refresh reads a Region whole, so rows it does not bring are gone; False: it adds and replaces rows."""

    @property
    def file_name(self) -> str:
        return f"{self.name}.csv.gz" if self.compressed else f"{self.name}.csv"


EC2_ON_DEMAND: Final = PriceTable(
    "ec2_on_demand",
    ("region", "instance_type", "usd_per_hour", "date", "source"),
    2,
    ("usd_per_hour",),
    compressed=True,
)
EC2_SPOT: Final = PriceTable(
    "ec2_spot",
    (
        "region", "instance_type", "zone", "usd_per_hour", "mean_usd_per_hour", "max_usd_per_hour",
        "history_days", "date", "source",
    ),
    3,
    ("usd_per_hour",),
    compressed=True,
)  # fmt: skip
"""Observed Spot prices; `zone` is empty where the source gives one price for the Region. The mean is weighted
by the time each price held over `history_days`; mean, maximum and days are empty without a history."""
SPOT_ADVISOR: Final = PriceTable(
    "spot_advisor",
    ("region", "instance_type", "savings_percent", "interruption_band", "date", "source"),
    2,
    (),
    compressed=True,
)
"""The Spot Advisor's saving against on-demand and its interruption band, 0 (under 5 % a month) to 4."""
EC2_RESERVED: Final = PriceTable(
    "ec2_reserved",
    (
        "region", "instance_type", "years", "offering_class", "payment",
        "upfront_usd", "usd_per_hour", "date", "source",
    ),
    5,
    ("upfront_usd", "usd_per_hour"),
    compressed=True,
)  # fmt: skip
SAVINGS_PLANS: Final = PriceTable(
    "savings_plans",
    ("region", "plan", "covers", "years", "payment", "usd", "unit", "date", "source"),
    5,
    ("usd",),
    compressed=True,
)
"""`plan` is Compute or EC2Instance; `covers` is an instance type or a Fargate key such as
fargate:x86_64:vcpu_hour."""
FARGATE: Final = PriceTable(
    "fargate",
    ("region", "operating_system", "architecture", "capacity", "item", "usd", "unit", "date", "source"),
    5,
    ("usd",),
    replaces_region=False,
)
ITEMS: Final = PriceTable(
    "items", ("region", "item", "usd", "unit", "date", "source"), 2, ("usd",), replaces_region=False
)
"""Everything else that has a price. Region "*" holds in every commercial Region that has no row of its own."""
AZURE: Final = PriceTable("azure", ("region", "vm_size", "usd_per_hour", "date", "source"), 2, ("usd_per_hour",))
INSTANCE_TYPES: Final = PriceTable(
    "instance_types",
    (
        "instance_type", "vcpu", "memory_mib", "architecture", "gpus", "gpu_name", "accelerators", "burstable",
        "bare_metal", "previous_generation", "current_generation", "max_enis", "ipv4_per_eni",
        "ecs_task_enis", "ecs_task_enis_trunked", "trunking_compatible", "branch_enis", "eks_max_pods",
        "baseline_mbps", "registered_memory_mib", "date", "source",
    ),
    1,
    (),
    compressed=True,
)  # fmt: skip
AZURE_VM_SIZES: Final = PriceTable(
    "azure_vm_sizes", ("vm_size", "vcpu", "memory_gib", "architecture", "date", "source"), 1, ()
)
ABSENT: Final = PriceTable("absent", ("item", "reason"), 1, ())
SOURCES: Final = PriceTable("sources", ("source", "description", "licence"), 1, ())

PRICE_TABLES: Final = (
    EC2_ON_DEMAND, EC2_SPOT, SPOT_ADVISOR, EC2_RESERVED, SAVINGS_PLANS, FARGATE, ITEMS, AZURE,
)  # fmt: skip
"""The tables that a refresh may replace, all keyed by Region first."""
ALL_TABLES: Final = (*PRICE_TABLES, INSTANCE_TYPES, AZURE_VM_SIZES, ABSENT, SOURCES)


class BrokenPriceFile(ValueError):
    """A price table that is truncated, has other columns, or holds something that is not a price."""


def read(table: PriceTable, content: bytes, name: str) -> list[Row]:
    """The rows of a table file as text, in file order; `BrokenPriceFile` names the file and the line."""
    try:
        text = (gzip.decompress(content) if table.compressed else content).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BrokenPriceFile(f"{name} is truncated or not what it says: {error}") from error
    reader = csv.reader(io.StringIO(text))
    header = next(reader, [])
    if tuple(header) != table.columns:
        raise BrokenPriceFile(f"{name} has the columns {header}, not {list(table.columns)}")
    width = len(table.columns)
    rows = [tuple(row) for row in reader]
    if text and not text.endswith("\n"):
        raise BrokenPriceFile(f"{name} ends in the middle of a line: it is truncated")
    for line, row in enumerate(rows, start=2):
        if len(row) != width:
            raise BrokenPriceFile(f"{name}, line {line}: {len(row)} fields, not {width}")
    return rows


def write(table: PriceTable, rows: Iterable[Row]) -> bytes:
    """The table file for `rows`, sorted by key; the same rows give the same bytes."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(sorted(rows))
    content = out.getvalue().encode("utf-8")
    return gzip.compress(content, mtime=0) if table.compressed else content


def keyed(table: PriceTable, rows: Iterable[Row]) -> dict[Row, Row]:
    """Rows by their key columns; `BrokenPriceFile` where a key repeats."""
    result: dict[Row, Row] = {}
    for row in rows:
        key = row[: table.key_length]
        if key in result:
            raise BrokenPriceFile(f"table {table.name} has two rows for {', '.join(key)}")
        result[key] = row
    return result


def check_money(table: PriceTable, rows: Iterable[Row]) -> None:
    """Refuse a row whose money is not a finite positive number. Only reservations may carry a 0: nothing
    upfront, or nothing by the hour."""
    positions = [(c, table.columns.index(c)) for c in table.money]
    for row in rows:
        for column, position in positions:
            value = _number(row[position])
            if value is None or value < 0 or (value == 0 and table is not EC2_RESERVED):
                key = ", ".join(row[: table.key_length])
                raise BrokenPriceFile(f"table {table.name}, {key}: {column} is {row[position]!r}, not a price")


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
