"""Tasks, catalogues and fleets from CSV text. Every error names the row and the column."""

from __future__ import annotations

import csv
import difflib
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from planner.model import ON_DEMAND, SPOT, Architecture, FleetLine, InstanceType, Resources, TaskType
from planner.packing.constraints import ConstraintError, parse_expression
from planner.packing.problem import MAX_COUNT, MAX_PRICE, MAX_SIZE
from planner.units import CpuUnits, MiB, UsdPerHour

_TRUE: Final = {"true", "yes", "1", "y"}
_FALSE: Final = {"false", "no", "0", "n", ""}
_ARCHITECTURES: Final = {
    "x86_64": Architecture.X86_64, "x86": Architecture.X86_64, "amd64": Architecture.X86_64,
    "arm64": Architecture.ARM64, "arm": Architecture.ARM64, "aarch64": Architecture.ARM64,
}  # fmt: skip
_MAX_SHOWN: Final = 40
TASK_COLUMNS: Final = (
    "enis", "gpus", "disk_gib", "network_mbps", "host_ports", "distinct_instance", "architecture", "member_of",
    "spot", "daemon",
)  # fmt: skip
TYPE_COLUMNS: Final = (
    "task_enis", "task_enis_trunked", "gpus", "disk_gib", "network_mbps", "max_count", "architecture",
    "spot_usd_per_hour", "attributes",
)  # fmt: skip
FLEET_COLUMNS: Final = (
    "task_enis", "gpus", "disk_gib", "network_mbps", "purchase", "architecture", "attributes",
)  # fmt: skip
"""Optional columns; a column that is almost one of them is refused, not left aside."""


class TableError(ValueError):
    """One sentence that says which cell is wrong and what belongs there."""


class Row:
    """One row of a table; rows count as a spreadsheet does, the heading being row 1."""

    def __init__(self, table: str, number: int, cells: dict[str, str]) -> None:
        self._table, self._number, self._cells = table, number, cells

    def error(self, column: str, problem: str) -> TableError:
        return TableError(f"{self._table}, row {self._number}, column {column}: {problem}.")

    def has(self, column: str) -> bool:
        return bool(self._cells.get(column, "").strip())

    def text(self, column: str) -> str:
        value = self._cells.get(column, "").strip()
        if not value:
            raise self.error(column, "the cell is empty")
        if not value.isprintable() or len(value) > 255:
            raise self.error(column, "a name has at most 255 printable characters")
        return value

    def whole(self, column: str, default: int | None = None, most: int = MAX_SIZE) -> int:
        """A whole number from 0 to `most`; "512.0" counts as whole, "512.5" does not."""
        value = self._cells.get(column, "").strip()
        if not value and default is not None:
            return default
        if not value:
            raise self.error(column, "the cell is empty; a whole number is needed")
        number = self._number_in(column, value)
        if number != int(number):
            raise self.error(column, f"{shown(value)} is not a whole number")
        if not 0 <= number <= most:
            raise self.error(column, f"{shown(value)} is not from 0 to {most:,}")
        return int(number)

    def price(self, column: str) -> UsdPerHour:
        value = self._cells.get(column, "").strip()
        if not value:
            raise self.error(column, "the type has no price; give USD per hour or leave the row out")
        number = self._number_in(column, value)
        if not 0 < number <= MAX_PRICE:
            raise self.error(column, f"{shown(value)} is not a price above 0 (USD per hour)")
        return UsdPerHour(number)

    def truth(self, column: str) -> bool:
        value = self._cells.get(column, "").strip().lower()
        if value in _TRUE:
            return True
        if value in _FALSE:
            return False
        raise self.error(column, f"{shown(value)} is neither true nor false")

    def ports(self, column: str) -> tuple[int, ...]:
        parts = [part.strip() for part in self._cells.get(column, "").split(";") if part.strip()]
        ports = []
        for part in parts:
            if not part.isascii() or not part.isdigit() or not 1 <= int(part) <= 65535:
                raise self.error(column, f"{shown(part)} is not a port from 1 to 65535")
            ports.append(int(part))
        if len(set(ports)) != len(ports):
            raise self.error(column, "a port is listed twice")
        return tuple(ports)

    def listed(self, column: str) -> tuple[str, ...]:
        """The parts of a cell, separated by semicolons."""
        return tuple(part.strip() for part in self._cells.get(column, "").split(";") if part.strip())

    def attributes(self, column: str) -> tuple[tuple[str, str], ...]:
        pairs = []
        for part in self.listed(column):
            name, sign, value = part.partition("=")
            if not sign or not name.strip() or not value.strip():
                raise self.error(column, f"{shown(part)} is not name=value")
            pairs.append((name.strip(), value.strip()))
        if len({name for name, _ in pairs}) != len(pairs):
            raise self.error(column, "an attribute is given twice")
        return tuple(pairs)

    def purchase(self, column: str) -> str:
        value = self._cells.get(column, "").strip().lower() or ON_DEMAND
        if value not in {ON_DEMAND, SPOT}:
            raise self.error(column, f"{shown(value)} is neither {ON_DEMAND} nor {SPOT}")
        return value

    def architecture(self, column: str) -> Architecture | None:
        value = self._cells.get(column, "").strip().lower()
        if not value:
            return None
        if value not in _ARCHITECTURES:
            raise self.error(column, f"{shown(value)} is not x86_64 or arm64")
        return _ARCHITECTURES[value]

    def _number_in(self, column: str, value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            raise self.error(column, f"{shown(value)} is not a number") from None
        if not math.isfinite(number):
            raise self.error(column, f"{shown(value)} is not a finite number")
        return number


def shown(value: str) -> str:
    """A cell's text inside a sentence: quoted, one line, not too long."""
    clean = "".join(c if c.isprintable() else "?" for c in value)
    return f'"{clean[:_MAX_SHOWN]}..."' if len(clean) > _MAX_SHOWN else f'"{clean}"'


def read_tasks(text: str, table: str = "the task table") -> tuple[TaskType, ...]:
    """The rows of `read_services` where none is a daemon service. Raises TableError."""
    tasks, daemons = read_services(text, table)
    if daemons:
        raise TableError(
            f"{table}: {daemons[0].service} is a daemon service, not supported here yet: leave its row out."
        )
    return tasks


def read_services(text: str, table: str = "the task table") -> tuple[tuple[TaskType, ...], tuple[TaskType, ...]]:
    """Tasks, and daemon services, from rows service,count,cpu_units,memory_mib and optionally enis, gpus,
    disk_gib, network_mbps, host_ports, distinct_instance, architecture, member_of, spot (may it run on Spot),
    daemon. host_ports and member_of are ;-separated lists. Raises TableError."""
    required = ("service", "count", "cpu_units", "memory_mib")
    seen: set[str] = set()
    tasks: list[TaskType] = []
    daemons: list[TaskType] = []
    for row in _rows(text, table, required, TASK_COLUMNS):
        (daemons if row.truth("daemon") else tasks).append(_task(row, seen))
    return tuple(tasks), tuple(daemons)


def _task(row: Row, seen: set[str]) -> TaskType:
    is_daemon = row.truth("daemon")
    return TaskType(
        _unseen(row, "service", seen),
        row.whole("count", default=0 if is_daemon else None, most=MAX_COUNT),
        _resources(row, "enis"),
        row.ports("host_ports"),
        row.truth("distinct_instance"),
        row.architecture("architecture"),
        _expressions(row),
        row.truth("spot") if row.has("spot") else True,
    )


def _expressions(row: Row) -> tuple[str, ...]:
    texts = row.listed("member_of")
    for text in texts:
        try:
            parse_expression(text)
        except ConstraintError as error:
            raise row.error("member_of", shown(str(error))[1:-1]) from None
    return texts


def read_catalogue(
    text: str, table: str = "the catalogue", *, trunking: bool = False, reserved_memory_mib: int = 0
) -> tuple[InstanceType, ...]:
    """Rows instance_type,cpu_units,memory_mib,usd_per_hour and optionally task_enis, task_enis_trunked, gpus,
    disk_gib, network_mbps, max_count, architecture, spot_usd_per_hour, attributes (name=value, ;-separated).

    With `trunking` the network interfaces for tasks are those of task_enis_trunked, and a type without a number
    there cannot trunk, so task_enis stands. `reserved_memory_mib` is ECS_RESERVED_MEMORY, taken off every type.
    Raises TableError.
    """
    required = ("instance_type", "cpu_units", "memory_mib", "usd_per_hour")
    seen: set[str] = set()
    if trunking and not has_column(text, "task_enis_trunked"):
        raise TableError(
            f"{table} has no column task_enis_trunked, which trunking needs: add it, or trunk nothing."
        )
    types = tuple(
        _instance_type(row, seen, trunking, reserved_memory_mib)
        for row in _rows(text, table, required, TYPE_COLUMNS)
    )
    if not types:
        raise TableError(f"{table} has no rows: at least one instance type with a price is needed.")
    return types


def _instance_type(row: Row, seen: set[str], trunking: bool, reserved_memory_mib: int) -> InstanceType:
    room = _resources(row, "task_enis_trunked" if trunking and row.has("task_enis_trunked") else "task_enis")
    if reserved_memory_mib > room.memory_mib:
        raise row.error("memory_mib", f"{room.memory_mib} MiB are less than the {reserved_memory_mib} reserved")
    return InstanceType(
        _unseen(row, "instance_type", seen),
        replace(room, memory_mib=MiB(room.memory_mib - reserved_memory_mib)),
        row.price("usd_per_hour"),
        row.architecture("architecture") or Architecture.X86_64,
        row.whole("max_count", most=MAX_COUNT) if row.has("max_count") else None,
        row.price("spot_usd_per_hour") if row.has("spot_usd_per_hour") else None,
        row.attributes("attributes"),
    )


def read_running(
    text: str, catalogue: Sequence[InstanceType], table: str = "the running instances"
) -> tuple[FleetLine, ...]:
    """Rows instance_type,zone,count and optionally purchase (on-demand or spot); rooms and prices are those of
    the catalogue. Raises TableError."""
    known = {offer.instance_type: offer for offer in catalogue}
    found = []
    for row in _rows(text, table, ("instance_type", "zone", "count"), ("purchase",)):
        name = row.text("instance_type")
        if name not in known:
            raise row.error("instance_type", f"{shown(name)} has no row in the catalogue, so no price")
        found.append(
            FleetLine(
                name, row.text("zone"), row.whole("count", most=MAX_COUNT), known[name].room,
                purchase=row.purchase("purchase"),
            )
        )  # fmt: skip
    return tuple(found)


def read_fleet(text: str, table: str = "the fleet") -> tuple[FleetLine, ...]:
    """Rows instance_type,zone,count,cpu_units,memory_mib and optionally task_enis, gpus, disk_gib, network_mbps,
    purchase, architecture, attributes. Raises TableError."""
    required = ("instance_type", "zone", "count", "cpu_units", "memory_mib")
    return tuple(
        FleetLine(
            row.text("instance_type"),
            row.text("zone"),
            row.whole("count", most=MAX_COUNT // 100),
            _resources(row, "task_enis"),
            None,
            row.purchase("purchase"),
            row.architecture("architecture"),
            row.attributes("attributes"),
        )
        for row in _rows(text, table, required, FLEET_COLUMNS)
    )


def has_column(text: str, column: str) -> bool:
    try:
        return column in _heading(_read(text))
    except csv.Error:
        return True  # reading the rows tells what is wrong


def _resources(row: Row, enis: str) -> Resources:
    return Resources(
        CpuUnits(row.whole("cpu_units")),
        MiB(row.whole("memory_mib")),
        row.whole(enis, default=0),
        row.whole("gpus", default=0),
        row.whole("disk_gib", default=0),
        row.whole("network_mbps", default=0),
    )


def _unseen(row: Row, column: str, seen: set[str]) -> str:
    name = row.text(column)
    if name in seen:
        raise row.error(column, f"{shown(name)} is listed twice")
    seen.add(name)
    return name


def _read(text: str) -> Any:
    """A CSV reader; line ends may be those of Unix, Windows or old Macs."""
    return csv.reader(io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n")), strict=True)


def _heading(lines: Iterator[list[str]]) -> list[str]:
    return [cell.strip().lower().lstrip("\ufeff") for cell in next(lines, [])]


def _rows(text: str, table: str, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> Iterator[Row]:
    lines = _read(text)
    try:
        heading = _heading(lines)
        _check_heading(heading, table, required, optional)
        for number, cells in enumerate(lines, start=2):
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) > len(heading):
                raise TableError(
                    f"{table}, row {number}: {len(cells)} cells where the heading has {len(heading)} columns."
                )
            yield Row(table, number, dict(zip(heading, cells, strict=False)))
    except csv.Error as error:
        raise TableError(f"{table} is not readable as CSV near row {lines.line_num}: {error}.") from None


_SEPARATORS: Final = {";": "semicolons", "\t": "tabs", "|": "bars"}


def _check_heading(heading: list[str], table: str, required: tuple[str, ...], optional: tuple[str, ...]) -> None:
    missing = [name for name in required if name not in heading]
    other = next((sign for sign in _SEPARATORS if sum(sign in cell for cell in heading)), None)
    if missing and other is not None:
        raise TableError(
            f"{table} is separated by {_SEPARATORS[other]}: save it with commas, the first row naming "
            f"{', '.join(required)}."
        )
    if missing:
        raise TableError(
            f"{table} has no column {', '.join(missing)}: its first row must name "
            f"{', '.join(required)} (comma-separated)."
        )
    repeated = [name for name in heading if name and heading.count(name) > 1]
    if repeated:
        raise TableError(f"{table} names the column {shown(repeated[0])} twice.")
    for name in (n for n in heading if n and n not in (*required, *optional)):
        near = difflib.get_close_matches(name, [o for o in optional if o not in heading], n=1, cutoff=0.8)
        if near:
            raise TableError(
                f"{table} has a column {shown(name)}, which would be left aside: name it {near[0]} or take it out."
            )
