"""Reading the price book from its files: the embedded tables, and a refreshed snapshot laid over them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from planner.model import Architecture
from planner.prices import tables
from planner.prices.book import AzureSize, PriceBook
from planner.prices.tables import ABSENT, ALL_TABLES, AZURE_VM_SIZES, INSTANCE_TYPES, PRICE_TABLES, PriceTable, Row
from planner.units import mib

EMBEDDED: Final = Path(__file__).parent / "data"


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
    sizes = tuple(
        AzureSize(row[0], int(row[1]), mib(float(row[2])), Architecture(row[3]))
        for row in tables.read(AZURE_VM_SIZES, contents["azure_vm_sizes"], AZURE_VM_SIZES.file_name)
    )
    return PriceBook(_Tables(priced, overlays), facts, absent, digest.hexdigest(), sizes, name)


def _by_key(table: PriceTable, rows: Sequence[Row]) -> dict[Row, Row]:
    length = table.key_length
    return {row[:length]: row for row in rows}


def _checked(table: PriceTable, content: bytes, name: str) -> list[Row]:
    rows = tables.read(table, content, name)
    tables.check_money(table, rows)
    tables.keyed(table, rows)
    return rows


def _laid_over(base: dict[Row, Row], table: PriceTable, rows: Sequence[Row]) -> dict[Row, Row]:
    refreshed = {row[0] for row in rows} if table.replaces_region else set()
    kept = {key: row for key, row in base.items() if key[0] not in refreshed} if refreshed else base
    return kept | _by_key(table, rows)
