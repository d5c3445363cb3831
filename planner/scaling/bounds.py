"""Minimum and maximum capacity minute by minute: the policy's own, scheduled actions, predictive floors.

[D] A scheduled action sets min, max or both at its moment, and its end does not put old values back. [D]
Predictive scaling only scales out: its forecast acts as a floor from the buffer before an hour to its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from planner.scaling import schedule
from planner.scaling.policies import Policy, PredictiveScaling
from planner.scaling.proposals import metric_scale
from planner.scaling.rounding import whole
from planner.units import HOURS_PER_DAY, HOURS_PER_WEEK, MINUTES_PER_HOUR, SECONDS_PER_MINUTE

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Per minute; shape (minutes,)."""

    minimum: IntArray
    maximum: IntArray
    deploying: NDArray[np.bool_]


def as_utc(moment: datetime) -> datetime:
    """Naive means UTC, as everywhere in the planner's plain files."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def bounds_of(policy: Policy, start: datetime, load: FloatArray, history: FloatArray | None = None) -> Bounds:
    """Bounds for `load` (one value a minute from `start`); `history` is what was known before `start`."""
    minutes = len(load)
    minimum = np.full(minutes, policy.min, dtype=np.int64)
    maximum = np.full(minutes, policy.max, dtype=np.int64)
    for minute, low, high in _scheduled(policy, as_utc(start), minutes):
        if low is not None:
            minimum[minute:] = low
            maximum[minute:] = np.maximum(maximum[minute:], low)
        if high is not None:
            maximum[minute:] = high
            minimum[minute:] = np.minimum(minimum[minute:], high)
    if policy.predictive is not None and policy.predictive.forecast_and_scale:
        _raise_to_forecast(policy, policy.predictive, as_utc(start), load, history, minimum, maximum)
    return Bounds(minimum, maximum, _deploying(policy, as_utc(start), minutes))


def _scheduled(policy: Policy, start: datetime, minutes: int) -> list[tuple[int, int | None, int | None]]:
    """(minute, min, max) in the order they act; actions of one minute in the order of the file."""
    end = start + timedelta(minutes=minutes)
    found = []
    for order, action in enumerate(policy.scheduled):
        first = max(start, as_utc(action.start)) if action.start else start
        last = min(end, as_utc(action.end)) if action.end else end
        parsed = schedule.parse(action.schedule, action.timezone)
        anchor = as_utc(action.start) if action.start else None
        for moment in schedule.occurrences(parsed, first, last, anchor):
            minute = -(-int((moment - start).total_seconds()) // SECONDS_PER_MINUTE)
            if minute < minutes:
                found.append((minute, order, action.min, action.max))
    return [(minute, low, high) for minute, _, low, high in sorted(found, key=lambda f: f[:2])]


def _deploying(policy: Policy, start: datetime, minutes: int) -> NDArray[np.bool_]:
    mask = np.zeros(minutes, dtype=np.bool_)
    for deployment in policy.deployments:
        first = (as_utc(deployment.start) - start).total_seconds() / SECONDS_PER_MINUTE
        last = (as_utc(deployment.end) - start).total_seconds() / SECONDS_PER_MINUTE
        mask[max(0, int(np.floor(first))) : max(0, int(np.ceil(last)))] = True
    return mask


def _raise_to_forecast(
    policy: Policy,
    predictive: PredictiveScaling,
    start: datetime,
    load: FloatArray,
    history: FloatArray | None,
    minimum: IntArray,
    maximum: IntArray,
) -> None:
    scale = metric_scale(predictive.metric, policy) / predictive.target
    buffer = int(np.ceil(predictive.scheduling_buffer_s / SECONDS_PER_MINUTE))
    for minute, hourly in hourly_forecast(load, start, predictive, history):
        if np.isnan(hourly):
            continue
        floor = whole(hourly * scale)
        window = slice(max(0, minute - buffer), max(0, minute + MINUTES_PER_HOUR))
        if predictive.increase_max_capacity:
            raised = whole(floor * (1 + predictive.max_capacity_buffer_percent / 100))
            maximum[window] = np.maximum(maximum[window], raised)
        minimum[window] = np.maximum(minimum[window], np.minimum(floor, maximum[window]))


def hourly_forecast(
    load: FloatArray, start: datetime, predictive: PredictiveScaling, history: FloatArray | None = None
) -> list[tuple[int, float]]:
    """(minute, expected mean load of the hour that starts there) for every clock hour of the replay.

    Each hour uses only what was known at the refresh before it; NaN while less than
    `minimum_history_hours` is known.
    """
    past = np.empty(0) if history is None else np.asarray(history, dtype=np.float64)
    series = np.concatenate([past, load])
    origin = start - timedelta(minutes=len(past))
    lead = -origin.minute % MINUTES_PER_HOUR
    hours = (len(series) - lead) // MINUTES_PER_HOUR
    if hours <= 0:
        return []
    table = series[lead : lead + hours * MINUTES_PER_HOUR].reshape(hours, MINUTES_PER_HOUR)
    means = np.array([row[~np.isnan(row)].mean() if (~np.isnan(row)).any() else np.nan for row in table])
    found = []
    for hour in range(hours + 1):
        minute = lead + hour * MINUTES_PER_HOUR - len(past)
        if -MINUTES_PER_HOUR < minute < len(load):
            known = hour - 1 - (hour % predictive.refresh_hours)
            found.append((minute, _same_hour(means[: max(0, known)], hour, predictive)))
    return found


def _same_hour(means: FloatArray, hour: int, predictive: PredictiveScaling) -> float:
    if len(means) < predictive.minimum_history_hours:
        return float("nan")
    oldest = max(0, hour - predictive.history_days * HOURS_PER_DAY)
    for cycle in (HOURS_PER_WEEK, HOURS_PER_DAY):
        same = means[oldest + (hour - oldest) % cycle : len(means) : cycle]
        same = same[~np.isnan(same)]
        if len(same):
            return float(same.mean())
    return float("nan")
