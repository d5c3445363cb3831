"""What happened in a history that is not load: seams, resets, deployments, steps and incidents.

Marks are told beside the points and change none of them; what to leave out is the reader's decision.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from planner.model import Estate

RESET_SHARE: Final = 0.5
"""Memory that falls to less than this share from one period to the next and stays there: a restart."""
STEP_RATIO: Final = 1.4
"""A level that changes by this factor at once, with no deployment known, may be a changed reservation."""
STEP_WINDOW: Final = 60
"""Points on each side whose medians are compared."""
STEP_NOISE: Final = 6.0
"""The change must also be this many median absolute deviations."""
INCIDENT_NOISE: Final = 8.0
INCIDENT_RATIO: Final = 3.0
INCIDENT_POINTS: Final = 5
"""An incident is that many points in a row far above the usual value of that time of day."""
ERROR_SHARE: Final = 0.05
"""More than this share of requests answered 5xx is an incident."""
NEAR: Final = pd.Timedelta(minutes=15)


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    resource: str
    metric: str
    kind: str
    """seam, reset, deployment, step or incident"""
    start: datetime
    end: datetime
    detail: str


def _series(frame: pd.DataFrame, metric: str, statistic: str) -> Iterator[tuple[str, pd.DataFrame]]:
    chosen = frame[(frame["metric"] == metric) & (frame["statistic"] == statistic)]
    for resource, of_one in chosen.groupby("resource", sort=True):
        yield str(resource), of_one


def _moment(value: Any) -> datetime:
    return pd.Timestamp(value).to_pydatetime()


def seams(frame: pd.DataFrame) -> list[Mark]:
    """Where a series changes from one period to another: percentiles do not compare over it."""
    found: dict[tuple[str, str, datetime], Mark] = {}
    changes = (frame["period_s"].diff() != 0) & (
        frame["_series"].diff() == 0 if "_series" in frame else _same(frame)
    )
    before = frame["period_s"].shift()
    for row in frame[changes].assign(before=before[changes]).itertuples():
        at = _moment(row.timestamp)
        detail = f"{int(row.before)} s before, {row.period_s} s from here on"  # type: ignore[arg-type]
        key = (str(row.resource), str(row.metric), at)
        found.setdefault(key, Mark(key[0], key[1], "seam", at, at, detail))
    return list(found.values())


def _same(frame: pd.DataFrame) -> pd.Series:
    keys = ["resource", "metric", "statistic"]
    return (frame[keys] == frame[keys].shift()).all(axis=1)


def resets(frame: pd.DataFrame) -> list[Mark]:
    """Memory that falls at once and stays low: the processes started anew."""
    found = []
    for resource, series in _series(frame, "MemoryUtilization", "Average"):
        value = series["value"].to_numpy()
        if len(value) < 11:
            continue
        fell = np.flatnonzero(value[1:] < RESET_SHARE * value[:-1]) + 1
        for at in fell:
            before, after = value[max(0, at - 5) : at], value[at : at + 5]
            if np.median(after) < (RESET_SHARE + 0.1) * np.median(before):
                moment = _moment(series["timestamp"].iloc[at])
                detail = f"memory fell from {value[at - 1]:.1f} % to {value[at]:.1f} % of its reservation"
                found.append(Mark(resource, "MemoryUtilization", "reset", moment, moment, detail))
    return found


def deployments(frame: pd.DataFrame, estate: Estate | None) -> list[Mark]:
    """Deployments that ECS told of, and those that Container Insights counted."""
    found = []
    for service in estate.services if estate else ():
        for one in service.deployments:
            detail = f"{one.task_definition_arn.rsplit('/', 1)[-1]} ({one.status})"
            end = one.finished_at or one.started_at
            found.append(Mark(f"service/{service.name}", "", "deployment", one.started_at, end, detail))
    known = {mark.resource for mark in found}
    for resource, series in _series(frame, "DeploymentCount", "Maximum"):
        if resource in known:
            continue
        for first, last in _runs(series["value"].to_numpy() > 1):
            start, end = (_moment(series["timestamp"].iloc[i]) for i in (first, last))
            found.append(Mark(resource, "", "deployment", start, end, "more than one deployment at once"))
    return found


def level_steps(frame: pd.DataFrame, estate: Estate | None) -> list[Mark]:
    """Percentages of a reservation that change level at once without a known deployment."""
    known = {
        f"service/{s.name}": [pd.Timestamp(d.started_at) for d in s.deployments]
        for s in (estate.services if estate else ())
    }
    found = []
    for metric in ("CPUUtilization", "MemoryUtilization"):
        for resource, series in _series(frame, metric, "Average"):
            if not resource.startswith("service/"):
                continue
            for at, before, after in _steps(series["value"].to_numpy()):
                moment = series["timestamp"].iloc[at]
                if any(abs(moment - start) <= NEAR for start in known.get(resource, ())):
                    continue
                detail = (
                    f"the level went from {before:.1f} % to {after:.1f} % of the reservation at once: "
                    "the load or the reservation changed, and no deployment is known"
                )
                found.append(Mark(resource, metric, "step", _moment(moment), _moment(moment), detail))
    return found


def _steps(value: NDArray[np.float64]) -> list[tuple[int, float, float]]:
    """(index, level before, level after) of abrupt, lasting changes; the sharpest within a window."""
    if len(value) < 2 * STEP_WINDOW:
        return []
    ratio = (value[1:] + 1e-9) / (value[:-1] + 1e-9)
    jumps = np.flatnonzero((ratio > STEP_RATIO**0.5) | (ratio < STEP_RATIO**-0.5)) + 1
    jumps = jumps[(jumps >= STEP_WINDOW) & (jumps <= len(value) - STEP_WINDOW)]
    windows = np.lib.stride_tricks.sliding_window_view(value, STEP_WINDOW)
    before, after = windows[jumps - STEP_WINDOW], windows[jumps]
    low, high = np.median(before, axis=1), np.median(after, axis=1)
    noise = np.fmax(_deviation(before, low), _deviation(after, high))
    factor = (high + 1e-9) / (low + 1e-9)
    lasting = (factor > STEP_RATIO) | (factor < 1 / STEP_RATIO)
    clear = np.abs(high - low) > STEP_NOISE * np.fmax(noise, 1e-9)
    sharp = np.abs(value[jumps] - value[jumps - 1])
    found = [
        (float(sharp[i]), int(jumps[i]), float(low[i]), float(high[i])) for i in np.flatnonzero(lasting & clear)
    ]
    chosen: list[tuple[int, float, float]] = []
    for _, at, below, above in sorted(found, reverse=True):
        if all(abs(at - other) > STEP_WINDOW for other, _, _ in chosen):
            chosen.append((at, below, above))
    return sorted(chosen)


def _deviation(windows: NDArray[np.float64], median: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median absolute deviation of each row."""
    of_rows: NDArray[np.float64] = np.median(np.abs(windows - median[:, None]), axis=1)
    return of_rows


def incidents(frame: pd.DataFrame) -> list[Mark]:
    """Utilisation far above the usual value of its time of day, unhealthy hosts, and many 5xx answers."""
    found = []
    for resource, series in _series(frame, "CPUUtilization", "Average"):
        value = series["value"].to_numpy()
        usual, noise = _usual(series)
        high = (value > INCIDENT_RATIO * usual) & (value > usual + INCIDENT_NOISE * noise)
        for first, last in _runs(high):
            if last - first + 1 >= INCIDENT_POINTS:
                start, end = (_moment(series["timestamp"].iloc[i]) for i in (first, last))
                detail = f"up to {value[first : last + 1].max():.1f} %, usual is {usual[first]:.1f} %"
                found.append(Mark(resource, "CPUUtilization", "incident", start, end, detail))
    for resource, series in _series(frame, "UnHealthyHostCount", "Maximum"):
        for first, last in _runs(series["value"].to_numpy() > 0):
            start, end = (_moment(series["timestamp"].iloc[i]) for i in (first, last))
            worst = series["value"].to_numpy()[first : last + 1].max()
            detail = f"up to {worst:.0f} unhealthy targets"
            found.append(Mark(resource, "UnHealthyHostCount", "incident", start, end, detail))
    return found + _error_incidents(frame)


def _usual(series: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and median absolute deviation of each point's quarter of an hour of the day."""
    quarter = series["timestamp"].dt.hour * 4 + series["timestamp"].dt.minute // 15
    usual = series.groupby(quarter.to_numpy())["value"].transform("median")
    noise = (series["value"] - usual).abs().groupby(quarter.to_numpy()).transform("median")
    return usual.to_numpy(np.float64), np.maximum(noise.to_numpy(np.float64), 0.5)


def _error_incidents(frame: pd.DataFrame) -> list[Mark]:
    requests = dict(_series(frame, "RequestCount", "Sum"))
    found = []
    for resource, errors in _series(frame, "HTTPCode_Target_5XX_Count", "Sum"):
        if resource not in requests:
            continue
        joined = errors.merge(
            requests[resource][["timestamp", "value"]], on="timestamp", suffixes=("", "_requests")
        )
        share = joined["value"].to_numpy() / np.maximum(joined["value_requests"].to_numpy(), 1.0)
        for first, last in _runs(share > ERROR_SHARE):
            if last - first + 1 >= 3:
                start, end = (_moment(joined["timestamp"].iloc[i]) for i in (first, last))
                detail = f"up to {share[first : last + 1].max() * 100:.0f} % of requests answered 5xx"
                found.append(Mark(resource, "HTTPCode_Target_5XX_Count", "incident", start, end, detail))
    return found


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, last) index of each run of True."""
    edges = np.diff(np.concatenate(([0], flags.astype(np.int8), [0])))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    return list(zip(starts.tolist(), stops.tolist(), strict=True))
