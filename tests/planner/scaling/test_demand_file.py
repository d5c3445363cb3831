"""Demand files: gaps are kept as gaps, and what cannot be demand is refused with its row."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from planner.scaling.demand_file import Demand, DemandFileError, read_demand


def read(tmp_path: Path, text: str) -> Demand:
    path = tmp_path / "demand.csv"
    path.write_text(text, encoding="utf-8")
    return read_demand(path)


def test_rows_are_sorted_and_gaps_become_unknown_minutes(tmp_path: Path) -> None:
    demand = read(
        tmp_path,
        "timestamp,vcpu\n2026-01-01T00:03:00Z,4\n2026-01-01T00:00:00Z,1\n2026-01-01T01:01:00+01:00,2\n",
    )

    assert demand.start == datetime(2026, 1, 1, tzinfo=UTC)
    np.testing.assert_equal(demand.vcpu, [1, 2, np.nan, 4])
    assert demand.warnings == ("1 of 4 minutes have no row: no metric is published in them and none is judged",)


def test_other_columns_are_loads_by_name(tmp_path: Path) -> None:
    demand = read(tmp_path, "timestamp,vcpu,requests\n2026-01-01,1,60\n2026-01-01T00:01,2,90\n")

    assert demand.loads["requests"].tolist() == [60, 90]


def test_only_minutes_that_ended_before_a_moment_are_known(tmp_path: Path) -> None:
    demand = read(tmp_path, "timestamp,vcpu\n2026-01-01T00:00,1\n2026-01-01T00:01,2\n2026-01-01T00:02,3\n")

    assert demand.before(datetime(2026, 1, 1, 0, 2, tzinfo=UTC)).vcpu.tolist() == [1, 2]
    assert len(demand.before(datetime(2025, 1, 1, tzinfo=UTC)).vcpu) == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "header"),
        ("timestamp,value\n", "header"),
        ("timestamp,vcpu\n", "no rows"),
        ("timestamp,vcpu\n2026-01-01,nan\n", "row 2: vcpu is nan"),
        ("timestamp,vcpu\n2026-01-01,-1\n", "row 2: vcpu is negative"),
        ("timestamp,vcpu\n2026-01-01,inf\n", "row 2: vcpu is inf"),
        ("timestamp,vcpu\n2026-01-01,\n", "row 2: vcpu '' is not a number"),
        ("timestamp,vcpu\nyesterday,1\n", "row 2: 'yesterday' is not an ISO 8601 timestamp"),
        ("timestamp,vcpu\n2026-01-01,1,2\n", "row 2 has 3 cells"),
        ("timestamp,vcpu\n2026-01-01T00:00,1\n2026-01-01T00:00,2\n", "appears twice"),
        ("timestamp,vcpu\n2026-01-01T00:00,1\n2026-01-01T00:05,2\n2026-01-01T00:10,2\n", "every 5 minutes"),
        ("timestamp,vcpu\n2026-01-01T00:00,1\n2026-01-01T00:00:30,2\n", "whole number of minutes"),
    ],
)
def test_a_bad_file_is_refused_with_the_row(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DemandFileError) as refused:
        read(tmp_path, text)

    assert words in str(refused.value)


def test_an_empty_cell_of_another_load_is_a_minute_without_it(tmp_path: Path) -> None:
    path = tmp_path / "demand.csv"
    path.write_text("timestamp,requests,vcpu\n2026-01-05T00:00,,1.5\n2026-01-05T00:01,90,1.6\n")
    demand = read_demand(path)

    assert demand.vcpu.tolist() == [1.5, 1.6]
    assert np.isnan(demand.loads["requests"][0])
    assert demand.loads["requests"][1] == 90
