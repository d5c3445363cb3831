"""Metric points made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pandas as pd

from planner.frames import METRIC_POINTS, UTC_TIMESTAMP

NOON = datetime(2026, 5, 13, 12, 0, tzinfo=UTC)


def points(
    values: Sequence[float],
    *,
    resource: str = "service/web",
    metric: str = "CPUUtilization",
    statistic: str = "Average",
    start: datetime = NOON,
    period_s: int = 60,
    minutes: Sequence[int] | None = None,
) -> pd.DataFrame:
    """A series with a point each period from `start`, or at the `minutes` after it."""
    seconds = [m * 60 for m in minutes] if minutes is not None else [n * period_s for n in range(len(values))]
    times = pd.Timestamp(start) + pd.to_timedelta(seconds, unit="s")
    return pd.DataFrame(
        {
            "resource": resource,
            "metric": metric,
            "statistic": statistic,
            "period_s": period_s,
            "timestamp": pd.Series(times).astype(UTC_TIMESTAMP),
            "value": pd.Series(values, dtype="float64"),
        }
    )[METRIC_POINTS.column_names]


def together(*frames: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True)
