"""Rows of any table: cells by name, errors by row and column."""

from __future__ import annotations

import pytest

from planner.csv_rows import Row, TableError, has_column, rows


def one(cell: str) -> Row:
    return next(rows(f"name,size\nx,{cell}\n", "sizes.csv", Row, ("name", "size")))


def test_numbers_above_zero_and_whole_ones_from_a_least_one_are_read() -> None:
    assert one("0.5").positive("size", 192) == 0.5
    assert one("3").whole("size", most=8, least=1) == 3


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("", "the cell is empty; a number is needed"),
        ("0", '"0" is not above 0 and at most 192'),
        ("193", '"193" is not above 0 and at most 192'),
        ("inf", '"inf" is not a finite number'),
        ("half", '"half" is not a number'),
    ],
)
def test_a_number_that_is_none_is_named(cell: str, problem: str) -> None:
    with pytest.raises(TableError) as caught:
        one(cell).positive("size", 192)

    assert str(caught.value) == f"sizes.csv, row 2, column size: {problem}."


def test_a_whole_number_under_the_least_is_named() -> None:
    with pytest.raises(TableError, match='"0" is not from 1 to 8,192'):
        one("0").whole("size", most=8192, least=1)


def test_empty_rows_are_skipped_and_counted_as_a_spreadsheet_counts() -> None:
    seen: set[str] = set()
    first, second = rows("name\nx\n\nx\n", "names.csv", Row, ("name",))

    assert first.unseen("name", seen) == "x"
    with pytest.raises(TableError, match='row 4, column name: "x" is listed twice'):
        second.unseen("name", seen)


def test_a_column_is_known_by_its_heading_alone() -> None:
    assert has_column("\ufeffName, Size\n", "size")
    assert not has_column("", "size")
