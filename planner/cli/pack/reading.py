"""The packing problem from CSV files and options; every mistake is one sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from planner import terminal
from planner.cli.place import read_text
from planner.model import FleetLine, InstanceType, TaskType
from planner.packing import PackingProblem, ProblemError, SpotRule, tables
from planner.units import Share, UsdPerHour


@dataclass(frozen=True, slots=True)
class Rules:
    """The options of `planner pack` that are part of the problem."""

    zones: int
    survive_zone_loss: bool
    max_types: int | None
    spare_instances: int
    trunking: bool
    reserved_memory_mib: int
    spot_share: float
    spot_pools: int
    spot_pool_share: float
    price_of_moving_usd: float
    moving_hours: float

    @property
    def moving_usd_per_hour(self) -> UsdPerHour:
        return UsdPerHour(self.price_of_moving_usd / self.moving_hours)


def read_problem(tasks: Path, catalogue: Path, running: Path | None, rules: Rules) -> PackingProblem:
    """Raises terminal.BadInput."""
    for name, value in (
        ("--spot-share", rules.spot_share), ("--spot-pool-share", rules.spot_pool_share),
        ("--price-of-moving", rules.price_of_moving_usd), ("--moving-hours", rules.moving_hours),
    ):  # fmt: skip
        if not math.isfinite(value):
            raise terminal.BadInput(f"{name} is {value}: give a finite number.")
    if rules.price_of_moving_usd and running is None:
        raise terminal.BadInput("--price-of-moving needs --running: which instances run already?")
    if rules.spot_share == 0.0 and (rules.spot_pools > 1 or rules.spot_pool_share < 1.0):
        raise terminal.BadInput("Rules about Spot pools need --spot-share above 0.")
    try:
        wanted, daemons = tables.read_services(read_text(tasks), tasks.name)
        text = read_text(catalogue)
        offers = tables.read_catalogue(
            text, catalogue.name, trunking=rules.trunking, reserved_memory_mib=rules.reserved_memory_mib
        )
        check_columns(text, catalogue.name, (*wanted, *daemons))
        present = tables.read_running(read_text(running), offers, running.name) if running else ()
        return _problem(wanted, daemons, offers, present, rules)
    except tables.TableError as error:
        raise terminal.BadInput(str(error)) from None
    except ProblemError as error:
        raise terminal.BadInput(f"{error}.") from None


_NEEDED = (
    ("enis", "task_enis", "network interfaces", "how many tasks of awsvpc mode each type can hold"),
    ("disk_gib", "disk_gib", "ephemeral disk", "the GiB of disk that tasks can use on each type"),
    ("network_mbps", "network_mbps", "network bandwidth", "the baseline Mbit/s of each type"),
)


def check_columns(text: str, name: str, tasks: Sequence[TaskType]) -> None:
    """A need that no row of the catalogue could meet is a column left out, not a task too large."""
    for need, column, words, remedy in _NEEDED:
        columns = {column, "task_enis_trunked"} if column == "task_enis" else {column}
        if any(getattr(task.needs, need) for task in tasks) and not any(
            tables.has_column(text, known) for known in columns
        ):
            raise tables.TableError(f"{name} has no column {column}, but tasks need {words}: add {remedy}.")


def _problem(
    wanted: tuple[TaskType, ...],
    daemons: tuple[TaskType, ...],
    offers: tuple[InstanceType, ...],
    present: tuple[FleetLine, ...],
    rules: Rules,
) -> PackingProblem:
    return PackingProblem(
        wanted,
        offers,
        zones=rules.zones,
        survive_zone_loss=rules.survive_zone_loss,
        max_types=rules.max_types,
        spare_instances=rules.spare_instances,
        daemon_tasks=daemons,
        spot=SpotRule(Share(rules.spot_share), rules.spot_pools, Share(rules.spot_pool_share))
        if rules.spot_share
        else None,
        running=present,
        moving_usd_per_hour=rules.moving_usd_per_hour,
        zone_names=_zone_names(present, rules.zones),
    )


def _zone_names(present: tuple[FleetLine, ...], zones: int) -> tuple[str, ...]:
    names = sorted({line.zone for line in present})
    if len(names) > zones:
        raise tables.TableError(
            f"Instances run in {len(names)} zones but --zones is {zones}: use --zones {len(names)}."
        )
    others = [f"zone-{k + 1}" for k in range(zones)]
    return tuple([*names, *(n for n in others if n not in names)][:zones]) if names else ()
