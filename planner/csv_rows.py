"""Tables of named columns, row by row from CSV text. Every error names the row and the column."""

from __future__ import annotations

import csv
import difflib
import io
import math
from collections.abc import Iterator
from typing import Any, Final, TypeVar

_TRUE: Final = {"true", "yes", "1", "y"}
_FALSE: Final = {"false", "no", "0", "n", ""}
_SEPARATORS: Final = {";": "semicolons", "\t": "tabs", "|": "bars"}
_LONGEST_NAME: Final = 255
_MAX_SHOWN: Final = 40
_ALIKE: Final = 0.8
"""From this likeness on (difflib's ratio) a column is taken for a misspelt one."""


class TableError(ValueError):
    """One sentence that says which cell is wrong and what belongs there."""


class Row:
    """One row of a table; rows count as a spreadsheet does, the heading being row 1."""

    def __init__(self, table: str, number: int, cells: dict[str, str]) -> None:
        self._table, self._number, self._cells = table, number, cells

    def error(self, column: str, problem: str) -> TableError:
        return TableError(f"{self._table}, row {self._number}, column {column}: {problem}.")

    def cell(self, column: str) -> str:
        """The cell without the spaces around it; empty where there is none."""
        return self._cells.get(column, "").strip()

    def has(self, column: str) -> bool:
        return bool(self.cell(column))

    def text(self, column: str) -> str:
        value = self.cell(column)
        if not value:
            raise self.error(column, "the cell is empty")
        if not value.isprintable() or len(value) > _LONGEST_NAME:
            raise self.error(column, f"a name has at most {_LONGEST_NAME} printable characters")
        return value

    def unseen(self, column: str, seen: set[str]) -> str:
        """A name that no row before had; it joins those that were `seen`."""
        name = self.text(column)
        if name in seen:
            raise self.error(column, f"{shown(name)} is listed twice")
        seen.add(name)
        return name

    def whole(self, column: str, default: int | None = None, *, most: int, least: int = 0) -> int:
        """A whole number from `least` to `most`; "512.0" counts as whole, "512.5" does not."""
        value = self.cell(column)
        if not value and default is not None:
            return default
        if not value:
            raise self.error(column, "the cell is empty; a whole number is needed")
        number = self.number_in(column, value)
        if number != int(number):
            raise self.error(column, f"{shown(value)} is not a whole number")
        if not least <= number <= most:
            raise self.error(column, f"{shown(value)} is not from {least:,} to {most:,}")
        return int(number)

    def positive(self, column: str, most: float) -> float:
        """A number above 0 and at most `most`."""
        value = self.cell(column)
        if not value:
            raise self.error(column, "the cell is empty; a number is needed")
        number = self.number_in(column, value)
        if not 0 < number <= most:
            raise self.error(column, f"{shown(value)} is not above 0 and at most {most:,g}")
        return number

    def truth(self, column: str) -> bool:
        value = self.cell(column).lower()
        if value in _TRUE:
            return True
        if value in _FALSE:
            return False
        raise self.error(column, f"{shown(value)} is neither true nor false")

    def listed(self, column: str) -> tuple[str, ...]:
        """The parts of a cell, separated by semicolons."""
        return tuple(part.strip() for part in self._cells.get(column, "").split(";") if part.strip())

    def number_in(self, column: str, value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            raise self.error(column, f"{shown(value)} is not a number") from None
        if not math.isfinite(number):
            raise self.error(column, f"{shown(value)} is not a finite number")
        return number


Kind = TypeVar("Kind", bound=Row)


def rows(
    text: str, table: str, kind: type[Kind], required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> Iterator[Kind]:
    """The rows of a table that are not empty, as `kind`, under a heading with the columns `required`.

    A column that is almost one of the `optional` ones is refused, not left aside; any other is. `table` is what
    errors call it. Raises TableError.
    """
    lines = _read(text)
    try:
        heading = _heading(lines)
        _check_heading(heading, table, required, optional)
        for number, cells in enumerate(lines, start=2):
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) > len(heading):
                raise TableError(
                    f"{table}, row {number}: {len(cells)} cells where the heading has {len(heading)} columns."
                )
            yield kind(table, number, dict(zip(heading, cells, strict=False)))
    except csv.Error as error:
        raise TableError(f"{table} is not readable as CSV near row {lines.line_num}: {error}.") from None


def has_column(text: str, column: str) -> bool:
    try:
        return column in _heading(_read(text))
    except csv.Error:
        return True  # reading the rows tells what is wrong


def shown(value: str) -> str:
    """A cell's text inside a sentence: quoted, one line, not too long."""
    clean = "".join(c if c.isprintable() else "?" for c in value)
    return f'"{clean[:_MAX_SHOWN]}..."' if len(clean) > _MAX_SHOWN else f'"{clean}"'


def _read(text: str) -> Any:
    """A CSV reader; line ends may be those of Unix, Windows or old Macs."""
    return csv.reader(io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n")), strict=True)


def _heading(lines: Iterator[list[str]]) -> list[str]:
    return [cell.strip().lower().lstrip("\ufeff") for cell in next(lines, [])]


def _check_heading(heading: list[str], table: str, required: tuple[str, ...], optional: tuple[str, ...]) -> None:
    missing = [name for name in required if name not in heading]
    other = next((sign for sign in _SEPARATORS if sum(sign in cell for cell in heading)), None)
    if missing and other is not None:
        raise TableError(
            f"{table} is separated by {_SEPARATORS[other]}: save it with commas, the first row naming "
            f"{', '.join(required)}."
        )
    if missing:
        raise TableError(
            f"{table} has no column {', '.join(missing)}: its first row must name "
            f"{', '.join(required)} (comma-separated)."
        )
    repeated = [name for name in heading if name and heading.count(name) > 1]
    if repeated:
        raise TableError(f"{table} names the column {shown(repeated[0])} twice.")
    for name in (n for n in heading if n and n not in (*required, *optional)):
        near = difflib.get_close_matches(name, [o for o in optional if o not in heading], n=1, cutoff=_ALIKE)
        if near:
            raise TableError(
                f"{table} has a column {shown(name)}, which would be left aside: name it {near[0]} or take it out."
            )
