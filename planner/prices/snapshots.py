"""Refreshed prices on disk: every snapshot is kept, one is current, and two can be compared.

    FOLDER/current                      the name of the snapshot in force, one line
    FOLDER/20261124T083000Z/            one snapshot: table files and manifest.json with their SHA-256

A snapshot is written whole into a hidden folder and renamed, and `current` is replaced last, so a refresh
that is killed leaves the old prices in force.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from planner.prices import tables
from planner.prices.book import PriceBook
from planner.prices.tables import PRICE_TABLES, BrokenPriceFile, PriceTable, Row

CURRENT: Final = "current"
MANIFEST: Final = "manifest.json"


def current(folder: Path) -> Path | None:
    """The snapshot in force, None where the folder has none. Raises BrokenPriceFile where a file of it is
    missing or differs from the manifest."""
    pointer = folder / CURRENT
    if not pointer.is_file():
        return None
    snapshot = folder / pointer.read_text(encoding="utf-8").strip()
    verify(snapshot)
    return snapshot


def verify(snapshot: Path) -> None:
    try:
        manifest = json.loads((snapshot / MANIFEST).read_text(encoding="utf-8"))
        files: Mapping[str, str] = manifest["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BrokenPriceFile(f"price snapshot {snapshot.name} has no readable manifest: {error}") from error
    for name, expected in files.items():
        path = snapshot / name
        if not path.is_file():
            raise BrokenPriceFile(f"price snapshot {snapshot.name} lacks {name}")
        if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            raise BrokenPriceFile(f"{name} of price snapshot {snapshot.name} is truncated or was changed")


def names(folder: Path) -> list[str]:
    """Every snapshot in the folder, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.name[0] != "." and (path / MANIFEST).is_file())


def save(
    folder: Path, contents: Mapping[PriceTable, Iterable[Row]], read_at: datetime, previous: Path | None
) -> Path:
    """Write a snapshot of `contents`, keep the previous one's other Regions in it, and make it current.

    Rows are checked before anything is written; raises BrokenPriceFile and leaves the folder as it was.
    """
    merged = {table: _with_previous(table, list(rows), previous) for table, rows in contents.items()}
    for table in PRICE_TABLES:
        if table not in merged and previous is not None and (previous / table.file_name).is_file():
            merged[table] = tables.read(table, (previous / table.file_name).read_bytes(), table.file_name)
    files: dict[str, bytes] = {}
    for table, rows in merged.items():
        tables.check_money(table, rows)
        tables.keyed(table, rows)
        if rows:
            files[table.file_name] = tables.write(table, rows)
    return _publish(folder, files, read_at)


def _with_previous(table: PriceTable, rows: list[Row], previous: Path | None) -> list[Row]:
    path = None if previous is None else previous / table.file_name
    if path is None or not path.is_file():
        return rows
    refreshed = {row[0] for row in rows}
    return rows + [row for row in tables.read(table, path.read_bytes(), path.name) if row[0] not in refreshed]


def _publish(folder: Path, files: Mapping[str, bytes], read_at: datetime) -> Path:
    stamp = read_at.strftime("%Y%m%dT%H%M%SZ")
    target = folder / stamp
    if target.exists():
        raise BrokenPriceFile(f"a price snapshot of {stamp} exists already in {folder}")
    building = folder / f".{stamp}.partial"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    for name, content in files.items():
        (building / name).write_bytes(content)
    manifest = {
        "read_at": read_at.isoformat(),
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    (building / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    building.rename(target)
    use(folder, stamp)
    return target


def use(folder: Path, name: str) -> None:
    """Make a snapshot current, also an old one; raises BrokenPriceFile where it is not whole."""
    verify(folder / name)
    pointer = folder / f".{CURRENT}.partial"
    pointer.write_text(name + "\n", encoding="utf-8")
    os.replace(pointer, folder / CURRENT)


@dataclass(frozen=True, slots=True)
class PriceChange:
    """One row that differs: `before` is None for a new row, `after` for one that is gone."""

    table: str
    key: Row
    before: float | None
    after: float | None

    @property
    def change_per_before(self) -> float | None:
        if self.before and self.after is not None:
            return self.after / self.before - 1
        return None


def changes(before: PriceBook, after: PriceBook) -> list[PriceChange]:
    """Rows whose price differs between two books, by table and key."""
    result: list[PriceChange] = []
    for table in PRICE_TABLES:
        if not table.money:
            continue
        position = table.columns.index(table.money[-1])  # a reservation's hourly rate, not its upfront
        old, new = before.rows[table.name], after.rows[table.name]
        for key in sorted({*old, *new}):
            was = float(old[key][position]) if key in old else None
            now = float(new[key][position]) if key in new else None
            if was != now:
                result.append(PriceChange(table.name, key, was, now))
    return result
