"""Calls are planned to the quotas of GetMetricData and to the fewest billed metrics."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from planner.aws.slices import POINTS_PER_CALL, QUERIES_PER_CALL, plan_calls, queries
from planner.aws.wanted import Wanted
from planner.metrics.manifest import Fetched, Manifest
from planner.units import SECONDS_PER_DAY

NOW_S = 1_780_000_000 // 3600 * 3600
DAY = SECONDS_PER_DAY


def series(count: int, statistics: tuple[str, ...] = ("Average",), metrics: int = 1) -> list[Wanted]:
    return [
        Wanted(f"Metric{m}", f"service/s{n:04}", "AWS/ECS", (("ServiceName", f"s{n:04}"),), statistics)
        for m in range(metrics)
        for n in range(count)
    ]


def test_fourteen_days_of_five_metrics_fill_calls_to_the_last_point() -> None:
    plan = plan_calls(series(100, metrics=5), Manifest(), (NOW_S - 14 * DAY, NOW_S), NOW_S)

    # 14 d x 1,440 = 20,160 points a metric, five of them 100,800
    assert {call.points for call in plan.calls} == {100_800}
    assert len(plan.calls) == 100
    assert plan.metrics_requested == 500
    assert plan.usd == 500 * 0.01 / 1000


def test_more_than_five_statistics_count_as_a_second_metric() -> None:
    six = ("Average", "Maximum", "SampleCount", "p50", "p90", "p99")

    plan = plan_calls(series(1, six), Manifest(), (NOW_S - DAY, NOW_S), NOW_S)

    assert plan.metrics_requested == 2


def test_one_series_longer_than_a_call_is_cut_in_time_without_overlap() -> None:
    plan = plan_calls(series(1, ("Average",) * 8), Manifest(), (NOW_S - 14 * DAY, NOW_S), NOW_S)

    windows = sorted(call.window for call in plan.calls)
    assert windows[0][0] == NOW_S - 14 * DAY
    assert windows[-1][1] == NOW_S
    assert all(first[1] == second[0] for first, second in pairwise(windows))


@given(
    st.integers(1, 400),
    st.integers(1, 6),
    st.integers(1, 60 * DAY),
    st.integers(0, 30 * DAY),
)
@settings(max_examples=40, deadline=None)
def test_no_call_passes_a_quota_and_nothing_is_asked_for_twice(
    count: int, statistics: int, length: int, age: int
) -> None:
    wanted = series(count, tuple("abcdef"[:statistics]))
    end = NOW_S - age

    plan = plan_calls(wanted, Manifest(), (end - length, end), NOW_S)

    assert all(call.points <= POINTS_PER_CALL for call in plan.calls)
    assert all(len(queries(call)[0]) <= QUERIES_PER_CALL for call in plan.calls)
    assert all(len({(i.period_s, i.window) for i in call.items}) == 1 for call in plan.calls)
    for one in wanted[:3]:
        windows = sorted(i.window for call in plan.calls for i in call.items if i.wanted == one)
        assert all(first[1] <= second[0] for first, second in pairwise(windows))


def test_what_is_settled_is_left_out_and_counted() -> None:
    known = Manifest([Fetched("service/s0000", "Metric0", 60, NOW_S - 3 * DAY, NOW_S, NOW_S)])

    plan = plan_calls(series(1), known, (NOW_S - 3 * DAY, NOW_S), NOW_S)

    assert [call.window for call in plan.calls] == [(NOW_S - 7200, NOW_S)]
    assert plan.already_stored == 3 * 1440 - 120


def test_a_coarser_period_is_not_asked_for_where_a_finer_one_is_stored() -> None:
    start, end = NOW_S - 30 * DAY, NOW_S - 20 * DAY
    fine = Manifest([Fetched("service/s0000", "Metric0", 60, start, end, end + DAY)])
    coarse = Manifest([Fetched("service/s0000", "Metric0", 3600, start, end, end + DAY)])

    assert plan_calls(series(1), fine, (start, end), NOW_S).calls == ()
    assert plan_calls(series(1), coarse, (start, end), NOW_S).points == 10 * 288


def test_what_cloudwatch_has_forgotten_is_told() -> None:
    plan = plan_calls(series(1), Manifest(), (NOW_S - 500 * DAY, NOW_S), NOW_S)

    assert [period for period, _ in plan.tiers] == [60, 300, 3600]
    assert plan.forgotten == (NOW_S - 500 * DAY, NOW_S - 455 * DAY)
