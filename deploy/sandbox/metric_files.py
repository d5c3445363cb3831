"""Metric files: CSV with a timestamp and a value a row, and mappings of files onto services.

Rows are taken as CloudWatch takes data: in any order, with gaps, and with several values for one time,
which all count.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

TIME_COLUMNS: Final = ("timestamp", "time", "date", "datetime")
VALUE_COLUMNS: Final = ("value", "average", "sum")
MOST_PROBLEMS: Final = 5


class MetricFileError(ValueError):
    """A file that cannot be used; the text names the file, the lines and what to do."""


@dataclass(frozen=True, slots=True)
class MetricFile:
    """The rows of a file, as they stand: epoch seconds and values."""

    path: str
    timestamps_s: list[float]
    values: list[float]


@dataclass(frozen=True, slots=True)
class Mapping:
    """Where one file goes. `scale` multiplies its values; `tasks` is how many samples a point stands for
    (None: as many as the service runs now)."""

    file: Path
    service: str
    metric: str = "CPUUtilization"
    unit: str | None = None
    scale: float = 1.0
    tasks: int | None = None
    align_end: bool = False
    cluster: str | None = None


def read(path: Path) -> MetricFile:
    """Read a CSV file; raises MetricFileError telling every kind of problem with its line."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.reader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise MetricFileError(f"{path} cannot be read: {error}") from error
    if not rows:
        raise MetricFileError(f"{path} is empty: give it a header and rows of timestamp,value")
    header = [name.strip().lower() for name in rows[0]]
    at, of = _column(header, TIME_COLUMNS), _column(header, VALUE_COLUMNS)
    if at is None or of is None:
        raise MetricFileError(f"{path} needs a header with the columns timestamp and value, not {rows[0]}")
    stamps, values, problems = [], [], []
    for line, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        try:
            stamps.append(_epoch(row[at]))
            values.append(_finite(row[of]))
        except (ValueError, IndexError) as error:
            problems.append(f"line {line}: {error}")
    if problems:
        more = f" and {len(problems) - MOST_PROBLEMS} more" if len(problems) > MOST_PROBLEMS else ""
        raise MetricFileError(f"{path}: {'; '.join(problems[:MOST_PROBLEMS])}{more}")
    if not stamps:
        raise MetricFileError(f"{path} has a header but no rows")
    return MetricFile(str(path), stamps, values)


def _column(header: list[str], names: tuple[str, ...]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _epoch(text: str) -> float:
    """ISO 8601 or epoch seconds; naive times are UTC."""
    text = text.strip()
    try:
        number = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return _finite(str(number))


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text.strip()!r} is not a finite number")
    return number


def read_mapping(path: Path) -> list[Mapping]:
    """Read a JSON or YAML mapping: a list of {file, service, metric, unit, scale, tasks, align_end, cluster}.

    Files are looked for beside the mapping. Raises MetricFileError.
    """
    try:
        text = path.read_text(encoding="utf-8")
        given = json.loads(text) if path.suffix == ".json" else _yaml(text)
    except (OSError, ValueError) as error:
        raise MetricFileError(f"{path} cannot be read as JSON or YAML: {error}") from error
    entries = given.get("metrics") if isinstance(given, dict) else given
    if not isinstance(entries, list) or not entries:
        raise MetricFileError(f"{path} needs a list of entries with file and service")
    return [entry for number, item in enumerate(entries, start=1) for entry in _entry(path, number, item)]


def _yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _entry(path: Path, number: int, item: Any) -> Iterator[Mapping]:
    fields = {"file": str, "service": str, "metric": str, "unit": str, "scale": (int, float), "tasks": int,
              "align_end": bool, "cluster": str}  # fmt: skip
    if not isinstance(item, dict) or not {"file", "service"} <= item.keys():
        raise MetricFileError(f"{path}: entry {number} needs file and service")
    for name, value in item.items():
        if name not in fields:
            raise MetricFileError(f"{path}: entry {number} has an unknown field {name!r}")
        if not isinstance(value, fields[name]):  # type: ignore[arg-type]
            raise MetricFileError(f"{path}: entry {number} has a {name} of the wrong kind: {value!r}")
    yield Mapping(**{**item, "file": path.parent / item["file"]})
