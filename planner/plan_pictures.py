"""The tables behind a finished plan, for the report's pictures and for people who want to look closer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from planner import frames
from planner.candidates import fleet_at, tasks_at
from planner.documents import PlanDocument
from planner.frames import PlanTables
from planner.made import Made, busiest_minute
from planner.packing import parse_strategy, place
from planner.units import HOURS_PER_WEEK
from planner.week import local_hours
from planner.workloads import Workload, capacity_vcpu, violated

if TYPE_CHECKING:
    from planner.metrics import CleaningReport

SHOWN_STEP = "15min"
REPLAY_SHOWN = pd.Timedelta(days=7)
COMING = pd.Timedelta(days=7)
EMPTY = "(empty)"


def tables(made: Made, document: PlanDocument, cleaning: CleaningReport) -> PlanTables:
    history = _history(made)
    return PlanTables(
        demand_history=history,
        demand_planned=_planned(made, document),
        week_shape=_week_shape(document),
        placed=_placed(made),
        instance_hours=_instance_hours(made),
        replayed=_replayed(made),
        coverage=_coverage(made),
        cleaned=_cleaned(cleaning),
    )


def _history(made: Made) -> pd.DataFrame:
    parts = [frames.DEMAND_HISTORY.empty()]
    for w in made.workloads:
        means = pd.Series(w.demand_vcpu, index=made.grid.index).resample(SHOWN_STEP).mean()
        parts.append(pd.DataFrame({"service": w.name, "timestamp": means.index, "vcpu": means.to_numpy()}))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def _planned(made: Made, document: PlanDocument) -> pd.DataFrame:
    """p99 of the coming week by its hours, laid over the history too."""
    end = pd.Timestamp(made.as_of) + COMING
    hours = pd.date_range(made.grid.start, end, freq="h", tz="UTC", inclusive="left")
    local = hours.tz_convert(made.settings.timezone)
    at = np.asarray(local.day_of_week * 24 + local.hour)
    parts = [
        pd.DataFrame({
            "service": d.service, "timestamp": hours,
            "p99_vcpu": np.asarray(d.p99_vcpu_by_hour_of_week, np.float64)[at],
        })
        for d in document.demand
        if d.p99_vcpu_by_hour_of_week
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True) if parts else frames.DEMAND_PLANNED.empty()


def _week_shape(document: PlanDocument) -> pd.DataFrame:
    parts = []
    for d in document.demand:
        values = np.asarray(d.p99_vcpu_by_hour_of_week, np.float64)
        if len(values):
            share = values / values.max() if values.max() > 0 else values
            parts.append(
                pd.DataFrame(
                    {"service": d.service, "hour_of_week": np.arange(HOURS_PER_WEEK), "share_of_peak": share}
                )
            )
    return pd.concat(parts, ignore_index=True) if parts else frames.WEEK_SHAPE.empty()


def _placed(made: Made) -> pd.DataFrame:
    minute = busiest_minute(made)
    rows = []
    for group in made.chosen.groups:
        fleet = fleet_at(group, int(group.run.instances[minute]))
        result = place(tasks_at(group, made.workloads, minute), fleet, parse_strategy(group.rules.strategy))
        for number, instance in enumerate(result.instances, start=1):
            label = f"{instance.instance_type} {instance.zone} #{number}"
            if not instance.tasks:
                rows.append(
                    {"instance": label, "service": EMPTY, "tasks": 0, "cpu_share": 0.0, "memory_share": 0.0}
                )
            for service, count in sorted(instance.tasks.items()):
                needs, room = made.workload(service).needs, group.offer.room
                rows.append({
                    "instance": label,
                    "service": service,
                    "tasks": count,
                    "cpu_share": count * needs.cpu_units / room.cpu_units,
                    "memory_share": count * needs.memory_mib / room.memory_mib,
                })  # fmt: skip
    if not rows:
        return frames.PLACED.empty()
    return pd.DataFrame(rows)


def _instance_hours(made: Made) -> pd.DataFrame:
    hours = local_hours(made.grid, made.settings.timezone)
    ran = (
        np.sum([g.run.instances for g in made.chosen.groups], axis=0)
        if made.chosen.groups
        else np.zeros(len(hours))
    )
    plan = pd.Series(ran).groupby(hours).max().reindex(range(HOURS_PER_WEEK)).ffill().bfill().fillna(0)
    today = pd.Series(len(made.estate.container_instances), index=range(HOURS_PER_WEEK))
    parts = [
        pd.DataFrame(
            {"side": side, "hour_of_week": np.arange(HOURS_PER_WEEK), "instances": values.to_numpy(np.int64)}
        )
        for side, values in (("today", today), ("plan", plan))
    ]
    return pd.concat(parts, ignore_index=True)


def _replayed(made: Made) -> pd.DataFrame:
    pending = made.chosen.pending()
    first = max(0, made.grid.minutes - int(REPLAY_SHOWN / pd.Timedelta(minutes=1)))
    parts = [_replay_of(w, capacity_vcpu(w, pending), made, first) for w in made.workloads]
    return pd.concat(parts, ignore_index=True) if parts else frames.REPLAYED.empty()


def _replay_of(workload: Workload, capacity: np.ndarray, made: Made, first: int) -> pd.DataFrame:
    return pd.DataFrame({
        "service": workload.name,
        "timestamp": made.grid.index[first:],
        "demand_vcpu": workload.demand_vcpu[first:],
        "capacity_vcpu": capacity[first:],
        "violated": violated(workload, capacity, made.settings.utilisation)[first:],
    })  # fmt: skip


def _coverage(made: Made) -> pd.DataFrame:
    days = np.asarray(made.grid.index.strftime("%Y-%m-%d"))
    parts = [frames.COVERAGE.empty()]
    for w in made.workloads:
        share = pd.Series(np.isfinite(w.demand_vcpu).astype(float)).groupby(days).mean()
        parts.append(pd.DataFrame({"resource": w.name, "day": share.index, "share": share.to_numpy()}))
    return pd.concat(parts[1:] or parts, ignore_index=True)


CLEANING_RULES = {
    "duplicates": "duplicates dropped",
    "conflicts": "repeated times, the last value kept",
    "backward_steps": "backward steps sorted in",
    "not_finite": "values that are no numbers dropped",
    "negative": "negative values dropped",
    "overlapped": "coarser points over finer ones dropped",
    "missing": "missing periods left missing",
}


def _cleaned(cleaning: CleaningReport) -> pd.DataFrame:
    """What cleaning did by resource and metric; of a metric's statistics the one with most is told."""
    most: dict[tuple[str, str], int] = {}
    for series in cleaning.series:
        for rule, words in CLEANING_RULES.items():
            if count := int(getattr(series, rule)):
                key = (words, f"{series.resource} {series.metric}".strip())
                most[key] = max(count, most.get(key, 0))
    for mark in cleaning.marks:
        key = (f"{mark.kind} marked", f"{mark.resource} {mark.metric}".strip())
        most[key] = most.get(key, 0) + 1
    if not most:
        return frames.CLEANED.empty()
    rows = [(rule, resource, count) for (rule, resource), count in sorted(most.items())]
    return pd.DataFrame(rows, columns=frames.CLEANED.column_names)
