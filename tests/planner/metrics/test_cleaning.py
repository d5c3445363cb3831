"""Every rule of cleaning is counted; gaps stay gaps; events are marked and change nothing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner import frames
from planner.metrics import clean, read_csv
from planner.terminal import BadInput
from tests.planner.aws.estates import deployment, estate, service
from tests.planner.metrics.points import NOON, points, together


def test_clean_points_pass_unchanged() -> None:
    given_points = points([1.0, 2.0, 3.0])

    cleaned, report = clean(given_points)

    pd.testing.assert_frame_equal(cleaned, given_points)
    assert (report.series, report.marks, report.sentences()) == ((), (), ())


def test_repeats_are_dropped_and_the_last_of_different_values_counts() -> None:
    given_points = points([1.0, 1.0, 2.0, 5.0], minutes=[0, 0, 1, 1])

    cleaned, report = clean(given_points)

    assert cleaned["value"].tolist() == [1.0, 5.0]
    assert (report.total("duplicates"), report.total("conflicts")) == (1, 1)
    assert report.sentences()[0] == "1 duplicate in service/web CPUUtilization Average"


def test_backward_steps_are_sorted_in_and_counted() -> None:
    cleaned, report = clean(points([1.0, 3.0, 2.0, 4.0], minutes=[0, 2, 1, 3]))

    assert cleaned["value"].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert report.total("backward_steps") == 1


def test_gaps_stay_gaps_and_are_counted_in_periods() -> None:
    cleaned, report = clean(points([1.0, 2.0, 3.0], minutes=[0, 1, 10]))

    assert len(cleaned) == 3
    assert (report.total("gaps"), report.total("missing")) == (1, 8)
    assert report.sentences() == ("1 gap (8 periods) in service/web CPUUtilization Average",)


def test_a_metric_that_only_counts_events_has_no_gaps() -> None:
    _, report = clean(points([1.0, 2.0], minutes=[0, 50], metric="RequestCount", statistic="Sum"))

    assert report.total("gaps") == 0


def test_values_that_are_no_numbers_or_negative_become_gaps() -> None:
    cleaned, report = clean(points([1.0, np.nan, np.inf, -3.0, 2.0]))

    assert cleaned["value"].tolist() == [1.0, 2.0]
    assert (report.total("not_finite"), report.total("negative"), report.total("gaps")) == (2, 1, 1)


def test_finer_points_win_over_coarser_ones_and_the_seam_is_told() -> None:
    fine = points([1.0] * 5, minutes=range(5))
    coarse = points([9.0, 2.0], minutes=[0, -5], period_s=300)

    cleaned, report = clean(together(coarse, fine))

    assert cleaned["period_s"].tolist() == [300, 60, 60, 60, 60, 60]
    assert cleaned["value"].tolist() == [2.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert report.total("overlapped") == 1
    (seam,) = [mark for mark in report.marks if mark.kind == "seam"]
    assert (seam.start, seam.detail) == (NOON, "300 s before, 60 s from here on")


def test_points_off_the_grid_are_told_and_kept() -> None:
    shifted = points([1.0, 2.0], start=NOON + timedelta(seconds=7))

    cleaned, report = clean(shifted)

    assert len(cleaned) == 2
    assert report.total("off_grid") == 2


@given(
    st.lists(st.tuples(st.integers(0, 30), st.floats(allow_nan=True, width=32)), max_size=40),
    st.sampled_from([60, 300]),
)
@settings(max_examples=20, deadline=None)
def test_cleaning_gives_a_valid_table_and_is_idempotent(rows: list[tuple[int, float]], period: int) -> None:
    given_points = points([v for _, v in rows], minutes=[m * period // 60 for m, _ in rows], period_s=period)

    once, report = clean(given_points)
    twice, again = clean(once)

    frames.check(once, frames.METRIC_POINTS)
    pd.testing.assert_frame_equal(once, twice)
    dropped = sum(report.total(rule) for rule in ("duplicates", "conflicts", "not_finite", "negative"))
    assert len(once) == len(rows) - dropped
    assert not any(again.total(rule) for rule in ("duplicates", "conflicts", "backward_steps"))


def test_deployments_known_to_ecs_are_marked() -> None:
    known = estate(service("web", deployments=(deployment(NOON, NOON + timedelta(minutes=6), 512),)))

    _, report = clean(points([1.0]), known)

    (mark,) = report.marks
    assert (mark.kind, mark.resource, mark.end - mark.start) == ("deployment", "service/web", timedelta(minutes=6))


def test_deployments_counted_by_container_insights_are_marked_where_ecs_tells_none() -> None:
    _, report = clean(points([1, 1, 2, 2, 1], metric="DeploymentCount", statistic="Maximum"))

    (mark,) = report.marks
    assert (mark.kind, mark.start) == ("deployment", NOON + timedelta(minutes=2))


def steps(level: float, count: int = 120) -> list[float]:
    rng = np.random.default_rng(1)
    return (level + rng.normal(0, 0.5, count)).tolist()


def test_a_level_that_doubles_at_once_is_marked_unless_a_deployment_explains_it() -> None:
    doubled = points(steps(20.0) + steps(40.0))
    at = NOON + timedelta(minutes=120)
    explained = estate(service("web", deployments=(deployment(at, at, 512),)))

    kinds = [mark.kind for mark in clean(doubled)[1].marks]
    kinds_explained = [mark.kind for mark in clean(doubled, explained)[1].marks]

    assert kinds == ["step"]
    assert "step" not in kinds_explained


def test_memory_that_falls_and_stays_low_is_a_reset() -> None:
    _, report = clean(points([80.0] * 10 + [20.0] * 10, metric="MemoryUtilization"))

    (mark,) = report.marks
    assert (mark.kind, mark.start) == ("reset", NOON + timedelta(minutes=10))


def test_unusual_load_unhealthy_targets_and_errors_are_incidents() -> None:
    rng = np.random.default_rng(2)
    calm = 20 + rng.normal(0, 1, 3 * 1440)
    calm[2000:2020] = 95.0
    frame = together(
        points(calm.tolist()),
        points([0, 0, 2, 1, 0], resource="target-group/api", metric="UnHealthyHostCount", statistic="Maximum"),
        points([100.0] * 6, resource="target-group/api", metric="RequestCount", statistic="Sum"),
        points([50.0] * 6, resource="target-group/api", metric="HTTPCode_Target_5XX_Count", statistic="Sum"),
    )

    cleaned, report = clean(frame)

    found = {mark.metric for mark in report.marks if mark.kind == "incident"}
    assert found == {"CPUUtilization", "UnHealthyHostCount", "HTTPCode_Target_5XX_Count"}
    assert cleaned["value"].max() == 100.0  # nothing is smoothed away


def test_a_plain_series_is_read_cleaned_and_named_after_its_file(tmp_path: Path) -> None:
    path = tmp_path / "rds_cpu.csv"
    rows = [
        "2026-05-13 12:00:00,1",
        "2026-05-13 12:05:00,2",
        "2026-05-13 12:05:00,2",
        "2026-05-13T14:10:00+01:00,3",
    ]
    path.write_text("timestamp,value\n" + "\n".join(rows) + "\n")

    series, report = read_csv(path)

    assert series.tolist() == [1.0, 2.0, 3.0]
    assert series.index[-1] == pd.Timestamp("2026-05-13 13:10", tz="UTC")
    assert report.sentences() == ("1 duplicate in rds_cpu", "1 gap (12 periods) in rds_cpu")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("time,value\n1,2\n", "no column timestamp"),
        ("timestamp,value\nyesterday,2\n", "line 2: 'yesterday' is not a timestamp"),
        ("timestamp,value\n2026-05-13,many\n", "line 2: 'many' is not a value"),
        ("", "not a CSV file"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_line(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "series.csv"
    path.write_text(text)

    with pytest.raises(BadInput, match=problem):
        read_csv(path)


def test_real_series_are_read_with_their_known_faults(shared_data: Path) -> None:
    for path in sorted((shared_data / "cloudwatch").glob("*.csv")):
        raw = pd.read_csv(path)
        times = pd.to_datetime(raw["timestamp"])

        series, report = read_csv(path)

        assert len(series) == times.nunique()
        repeats = report.total("duplicates") + report.total("conflicts")
        assert repeats == int(times.duplicated().sum())
        assert report.total("backward_steps") == int((times.diff() < pd.Timedelta(0)).sum())
