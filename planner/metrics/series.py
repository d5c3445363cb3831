"""A plain series from a CSV file: timestamp,value."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from planner.frames import METRIC_POINTS, UTC_TIMESTAMP
from planner.metrics.cleaning import CleaningReport, clean
from planner.terminal import BadInput


def read_csv(path: str | Path, *, value: str = "value") -> tuple[pd.Series, CleaningReport]:
    """The series of a file with the columns `timestamp` and `value`, cleaned, and what was found.

    Times with an offset are turned to UTC, naive times are UTC. Gaps stay gaps; duplicates and backward
    steps are resolved as in `planner.metrics.clean` and counted under the file's name. The period is the
    commonest distance between two times. Raises BadInput, naming the row, for what cannot be read.
    """
    name = Path(path).stem
    try:
        raw = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise BadInput(f"There is no file {path}.") from None
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise BadInput(f"{path} is not a CSV file: {error}") from None
    missing = [column for column in ("timestamp", value) if column not in raw.columns]
    if missing:
        raise BadInput(f"{path} has no column {' or '.join(missing)}: it needs a header timestamp,{value}.")
    times = pd.to_datetime(raw["timestamp"], utc=True, errors="coerce", format="ISO8601")
    numbers = pd.to_numeric(raw[value], errors="coerce")
    _refuse_unreadable(path, raw, times.isna(), "timestamp")
    _refuse_unreadable(path, raw, numbers.isna() & ~raw[value].str.strip().str.lower().isin(_ABSENT), value)
    points = pd.DataFrame(
        {
            "resource": name,
            "metric": "",
            "statistic": "",
            "period_s": period_s(times),
            "timestamp": times.astype(UTC_TIMESTAMP),
            "value": numbers.astype("float64"),
        }
    )
    cleaned, report = clean(points[METRIC_POINTS.column_names])
    index = pd.DatetimeIndex(cleaned["timestamp"], name="timestamp")
    return pd.Series(cleaned["value"].to_numpy(), index=index, name=name), report


_ABSENT = frozenset({"", "nan", "null", "none", "na", "n/a"})


def period_s(times: pd.Series) -> int:
    """The commonest positive distance between consecutive times in seconds; 60 where there is none."""
    distances = times.sort_values().diff().dt.total_seconds()
    distances = distances[distances > 0]
    return int(distances.mode().iloc[0]) if len(distances) else 60


def _refuse_unreadable(path: str | Path, raw: pd.DataFrame, wrong: pd.Series, column: str) -> None:
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise BadInput(
            f"{path} line {row + 2}: {raw[column].iloc[row]!r} is not a {column} that can be read "
            f"({int(wrong.sum())} such lines)."
        )
