"""The demand file: timestamp,vcpu and any other load columns, one row a minute, gaps allowed."""

from __future__ import annotations

import csv
import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from planner.units import HOURS_PER_YEAR, MINUTES_PER_HOUR, SECONDS_PER_MINUTE

FloatArray = NDArray[np.float64]
MAXIMUM_MINUTES: Final = 20 * HOURS_PER_YEAR * MINUTES_PER_HOUR
"""A time span above twenty years is a broken timestamp, not demand."""


class DemandFileError(ValueError):
    """A demand file that cannot be used; the sentence names the row."""


@dataclass(frozen=True, slots=True)
class Demand:
    """Minutes from `start` (UTC); NaN where the file has no row."""

    start: datetime
    vcpu: FloatArray
    loads: Mapping[str, FloatArray]
    """The other columns, by name."""

    @property
    def warnings(self) -> tuple[str, ...]:
        gaps = int(np.isnan(self.vcpu).sum())
        if not gaps:
            return ()
        return (
            f"{gaps} of {len(self.vcpu)} minutes have no row: no metric is published in them and none is judged",
        )

    def before(self, moment: datetime) -> Demand:
        """The part that was known at `moment`: minutes that ended by then."""
        minutes = max(0, min(len(self.vcpu), self.minute_of(moment)))
        loads = {name: values[:minutes] for name, values in self.loads.items()}
        return Demand(self.start, self.vcpu[:minutes], loads)

    def since(self, moment: datetime) -> Demand:
        """The minutes from `moment` on, which is one of them."""
        first = self.minute_of(moment)
        loads = {name: values[first:] for name, values in self.loads.items()}
        return Demand(moment, self.vcpu[first:], loads)

    def minute_of(self, moment: datetime) -> int:
        return int((moment - self.start).total_seconds() // SECONDS_PER_MINUTE)


def read_demand(path: Path) -> Demand:
    """Read a demand file; raises DemandFileError with one sentence."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.reader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DemandFileError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
    header = [name.strip() for name in rows[0]] if rows else []
    if "timestamp" not in header or "vcpu" not in header:
        raise DemandFileError("a header is needed with the columns timestamp and vcpu")
    if len(set(header)) != len(header):
        raise DemandFileError("the file repeats a column name in its header")
    return _assemble(header, sorted(_parsed(header, rows[1:]), key=lambda row: row[0]))


def _parsed(header: list[str], rows: list[list[str]]) -> Iterator[tuple[datetime, list[float]]]:
    at = header.index("timestamp")
    for number, row in enumerate(rows, start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            raise DemandFileError(f"row {number} has {len(row)} cells where the header has {len(header)}")
        values = [
            _number(cell, name, number) for name, cell in zip(header, row, strict=True) if name != "timestamp"
        ]
        yield parse_moment(row[at], f"row {number}"), values


def parse_moment(text: str, where: str) -> datetime:
    """An ISO 8601 moment in UTC; without an offset it is UTC."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise DemandFileError(f"{where}: {text.strip()!r} is not an ISO 8601 timestamp") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _number(cell: str, name: str, row: int) -> float:
    if name != "vcpu" and not cell.strip():
        return math.nan  # another load that was not measured in a minute whose demand is known
    try:
        value = float(cell)
    except ValueError:
        raise DemandFileError(
            f"row {row}: {name} {cell.strip()!r} is not a number; leave out unknown rows"
        ) from None
    if not math.isfinite(value):
        raise DemandFileError(f"row {row}: {name} is {cell.strip()}; leave out rows that are unknown")
    if value < 0:
        raise DemandFileError(f"row {row}: {name} is negative ({cell.strip()}), and demand cannot be")
    return value


def _assemble(header: list[str], rows: list[tuple[datetime, list[float]]]) -> Demand:
    if not rows:
        raise DemandFileError("the demand file has no rows below its header")
    start = rows[0][0]
    minutes = [_minute(moment, start) for moment, _ in rows]
    _check_step(minutes)
    if minutes[-1] >= MAXIMUM_MINUTES:
        raise DemandFileError(
            f"the demand file spans from {start.date()} to {rows[-1][0].date()}: check its years"
        )
    names = [name for name in header if name != "timestamp"]
    table, at = np.full((len(names), minutes[-1] + 1), np.nan), names.index("vcpu")
    for minute, (moment, values) in zip(minutes, rows, strict=True):
        seen = table[:, minute]
        if not np.isnan(seen[at]) and not np.array_equal(seen, values, equal_nan=True):
            raise DemandFileError(f"{moment.isoformat()} appears twice with different values")
        table[:, minute] = values
    columns = dict(zip(names, table, strict=True))
    vcpu = columns.pop("vcpu")
    return Demand(start, vcpu, columns)


def _minute(moment: datetime, start: datetime) -> int:
    seconds = (moment - start) / timedelta(seconds=1)
    if seconds % SECONDS_PER_MINUTE:
        raise DemandFileError(
            f"{moment.isoformat()} is not a whole number of minutes after {start.isoformat()}: resample the "
            "demand to one row a minute"
        )
    return int(seconds // SECONDS_PER_MINUTE)


def _check_step(minutes: list[int]) -> None:
    steps = Counter(b - a for a, b in itertools.pairwise(minutes) if b > a)
    if steps and steps.most_common(1)[0][0] != 1:
        step = steps.most_common(1)[0][0]
        raise DemandFileError(f"the demand file has a row every {step} minutes: resample it to one row a minute")
