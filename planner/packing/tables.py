"""Tasks, catalogues and fleets from CSV text. Every error names the row and the column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from planner.csv_rows import Row, TableError, has_column, rows, shown
from planner.model import ON_DEMAND, SPOT, Architecture, FleetLine, InstanceType, Resources, TaskType
from planner.packing.constraints import ConstraintError, parse_expression
from planner.packing.problem import MAX_COUNT, MAX_PRICE, MAX_SIZE
from planner.units import CpuUnits, MiB, UsdPerHour

__all__ = [
    "TableError",
    "has_column",
    "read_catalogue",
    "read_fleet",
    "read_running",
    "read_services",
    "read_tasks",
]

_ARCHITECTURES: Final = {
    "x86_64": Architecture.X86_64, "x86": Architecture.X86_64, "amd64": Architecture.X86_64,
    "arm64": Architecture.ARM64, "arm": Architecture.ARM64, "aarch64": Architecture.ARM64,
}  # fmt: skip
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


class PackingRow(Row):
    """A row with the cells that tasks and instances have."""

    def price(self, column: str) -> UsdPerHour:
        value = self.cell(column)
        if not value:
            raise self.error(column, "the type has no price; give USD per hour or leave the row out")
        number = self.number_in(column, value)
        if not 0 < number <= MAX_PRICE:
            raise self.error(column, f"{shown(value)} is not a price above 0 (USD per hour)")
        return UsdPerHour(number)

    def ports(self, column: str) -> tuple[int, ...]:
        ports = []
        for part in self.listed(column):
            if not part.isascii() or not part.isdigit() or not 1 <= int(part) <= 65535:
                raise self.error(column, f"{shown(part)} is not a port from 1 to 65535")
            ports.append(int(part))
        if len(set(ports)) != len(ports):
            raise self.error(column, "a port is listed twice")
        return tuple(ports)

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
        value = self.cell(column).lower() or ON_DEMAND
        if value not in {ON_DEMAND, SPOT}:
            raise self.error(column, f"{shown(value)} is neither {ON_DEMAND} nor {SPOT}")
        return value

    def architecture(self, column: str) -> Architecture | None:
        value = self.cell(column).lower()
        if not value:
            return None
        if value not in _ARCHITECTURES:
            raise self.error(column, f"{shown(value)} is not x86_64 or arm64")
        return _ARCHITECTURES[value]


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
    for row in rows(text, table, PackingRow, required, TASK_COLUMNS):
        (daemons if row.truth("daemon") else tasks).append(_task(row, seen))
    return tuple(tasks), tuple(daemons)


def _task(row: PackingRow, seen: set[str]) -> TaskType:
    is_daemon = row.truth("daemon")
    return TaskType(
        row.unseen("service", seen),
        row.whole("count", default=0 if is_daemon else None, most=MAX_COUNT),
        _resources(row, "enis"),
        row.ports("host_ports"),
        row.truth("distinct_instance"),
        row.architecture("architecture"),
        _expressions(row),
        row.truth("spot") if row.has("spot") else True,
    )


def _expressions(row: PackingRow) -> tuple[str, ...]:
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
        for row in rows(text, table, PackingRow, required, TYPE_COLUMNS)
    )
    if not types:
        raise TableError(f"{table} has no rows: at least one instance type with a price is needed.")
    return types


def _instance_type(row: PackingRow, seen: set[str], trunking: bool, reserved_memory_mib: int) -> InstanceType:
    room = _resources(row, "task_enis_trunked" if trunking and row.has("task_enis_trunked") else "task_enis")
    if reserved_memory_mib > room.memory_mib:
        raise row.error("memory_mib", f"{room.memory_mib} MiB are less than the {reserved_memory_mib} reserved")
    return InstanceType(
        row.unseen("instance_type", seen),
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
    for row in rows(text, table, PackingRow, ("instance_type", "zone", "count"), ("purchase",)):
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
        for row in rows(text, table, PackingRow, required, FLEET_COLUMNS)
    )


def _resources(row: PackingRow, enis: str) -> Resources:
    return Resources(
        CpuUnits(row.whole("cpu_units", most=MAX_SIZE)),
        MiB(row.whole("memory_mib", most=MAX_SIZE)),
        row.whole(enis, default=0, most=MAX_SIZE),
        row.whole("gpus", default=0, most=MAX_SIZE),
        row.whole("disk_gib", default=0, most=MAX_SIZE),
        row.whole("network_mbps", default=0, most=MAX_SIZE),
    )
