"""Series and zones as people write them; the thin edge before the forecast.

Every failure is a ValueError (or UnusableSeries) of one sentence that says what to do.
"""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from planner.demand.notices import Notice, UnusableSeries
from planner.moments import FIRST_YEAR, LAST_YEAR


@dataclass(frozen=True, slots=True)
class LoadedSeries:
    series: pd.Series
    notices: tuple[Notice, ...]


def read_series(path: Path) -> LoadedSeries:
    """One series from a CSV file with the columns timestamp,value (gzip allowed).

    Timestamps with an offset are converted to UTC, those without are taken as UTC. Cells that cannot be
    read are left out and told. Raises ValueError for a file that cannot be read as such a table.
    """
    times, values, notices = _columns(_table(path), path)
    return _loaded(times, values, notices, path)


def read_many(path: Path) -> dict[str, LoadedSeries]:
    """The series of a CSV file by name: of its column `series`, or the one of a file without that column."""
    table = _table(path)
    column = next((name for name in table.columns if str(name).strip().lower() == "series"), None)
    if column is None:
        return {path.name: _loaded(*_columns(table, path), path)}
    if table.empty:
        raise UnusableSeries("the file has a header but no rows")
    found = {}
    for name, rows in table.groupby(column, sort=False):
        times, values, notices = _columns(rows.drop(columns=column), path)
        found[str(name)] = _loaded(times, values, notices, path)
    return found


def _loaded(times: pd.Series, values: pd.Series, notices: list[Notice], path: Path) -> LoadedSeries:
    stamps, zone_notices = _timestamps(times, path)
    numbers = pd.to_numeric(values.str.replace("−", "-"), errors="coerce")
    junk = numbers.isna() & values.notna() & ~values.str.strip().str.lower().isin(_EMPTY)
    bad_times = stamps.isna()
    if bad_times.any():
        notices.append(
            Notice("unreadable-timestamps", f"{int(bad_times.sum())} rows without a readable timestamp left out")
        )
    if junk.any():
        example = str(values[junk].iloc[0])[:20]
        notices.append(
            Notice("unreadable-values", f"{int(junk.sum())} values are no numbers (such as {example!r})")
        )
    series = pd.Series(numbers[~bad_times].to_numpy(dtype=float), index=pd.DatetimeIndex(stamps[~bad_times]))
    if series.empty:
        raise UnusableSeries("no row of the file has a readable timestamp")
    return LoadedSeries(series, (*notices, *zone_notices))


_EMPTY = {"", "nan", "null", "none", "na", "n/a", "-"}


def _table(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise ValueError(f"There is no file {path}: pass a CSV with the columns timestamp,value")
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except pd.errors.EmptyDataError:
        raise ValueError(f"The file {path} is empty: it needs the columns timestamp,value and some rows") from None
    except (pd.errors.ParserError, UnicodeDecodeError, OSError) as problem:
        reason = " ".join(str(problem).split())
        raise ValueError(f"The file {path} cannot be read as CSV ({reason}): save it as plain CSV") from None


def _columns(table: pd.DataFrame, path: Path) -> tuple[pd.Series, pd.Series, list[Notice]]:
    by_name = {str(name).strip().lower(): name for name in table.columns}
    if table.empty:
        raise UnusableSeries("the file has a header but no rows")
    if "timestamp" in by_name and "value" in by_name:
        return table[by_name["timestamp"]], table[by_name["value"]], []
    if len(table.columns) == 2:
        first, second = table.columns
        notice = Notice("columns", f"the columns {first!r},{second!r} were read as timestamp,value")
        return table[first], table[second], [notice]
    raise ValueError(f"The file {path} has no columns timestamp,value: rename its columns to these")


def _timestamps(texts: pd.Series, path: Path) -> tuple[pd.Series, list[Notice]]:
    texts = texts.str.strip()
    if texts.str.fullmatch(r"\d{9,10}(\.\d+)?|\d{13}").mean() > 0.5:
        seconds = pd.to_numeric(texts, errors="coerce")
        seconds = seconds.where(seconds < 1e11, seconds / 1000)
        notice = Notice("epoch-timestamps", "numbers in the timestamp column were read as Unix time")
        return pd.to_datetime(seconds, unit="s", utc=True, errors="coerce"), [notice]
    stamps = pd.to_datetime(texts, utc=True, errors="coerce", format="ISO8601")
    if stamps.isna().any():
        stamps = stamps.fillna(
            pd.to_datetime(texts.where(stamps.isna()), utc=True, errors="coerce", format="mixed")
        )
    if stamps.isna().all():
        raise ValueError(
            f"No timestamp in {path} can be read (the first is {str(texts.iloc[0])[:40]!r}): "
            "write them like 2026-03-01T12:00:00Z"
        )
    offsets = texts.str.extract(r"(Z|[+-]\d{2}:?\d{2})$", flags=re.IGNORECASE)[0].fillna("none").str.upper()
    beyond = (stamps.dt.year < FIRST_YEAR) | (stamps.dt.year > LAST_YEAR)
    stamps = stamps.where(~beyond)  # counts as unreadable
    kinds = sorted(offsets[stamps.notna()].unique())
    if len(kinds) > 1:
        shown = ", ".join(str(kind) for kind in kinds[:4])
        return stamps, [
            Notice("mixed-time-zones", f"timestamps carry different offsets ({shown}); all were turned to UTC")
        ]
    return stamps, []


def to_timezone(name: str | None) -> str | None:
    if name is not None and name not in zoneinfo.available_timezones():
        raise ValueError(f"There is no time zone {name!r}: write it like Europe/London")
    return name
