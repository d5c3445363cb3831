"""Windows add, subtract and split by what CloudWatch keeps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from planner.metrics.windows import settled, subtract, tiers, union

NOW_S = 1_780_000_123
DAY = 86_400
window = st.tuples(st.integers(0, 60), st.integers(0, 60))


def seconds(windows: list[tuple[int, int]]) -> set[int]:
    return {second for start, end in windows for second in range(start, end)}


@given(st.lists(window, max_size=8))
def test_a_union_covers_the_same_seconds_with_disjoint_windows(windows: list[tuple[int, int]]) -> None:
    merged = union(windows)

    assert seconds(merged) == seconds(windows)
    assert all(first[1] < second[0] for first, second in zip(merged, merged[1:], strict=False))  # noqa: RUF007


@given(window, st.lists(window, max_size=8))
def test_what_is_left_of_a_window_is_what_nothing_covers(
    whole: tuple[int, int], covered: list[tuple[int, int]]
) -> None:
    assert seconds(subtract(whole, covered)) == seconds([whole]) - seconds(covered)


def test_the_last_two_hours_before_the_reading_are_not_settled() -> None:
    assert settled((0, 10_000), observed_s=10_000) == (0, 2800)
    assert settled((0, 10_000), observed_s=50_000) == (0, 10_000)


@given(st.integers(60, 600 * DAY), st.integers(0, 500 * DAY))
def test_tiers_touch_each_other_on_whole_periods_and_stay_inside_retention(length: int, age: int) -> None:
    kept, forgotten = tiers((NOW_S - age - length, NOW_S - age), NOW_S)

    for (fine, (start, end)), (coarse, (_, older_end)) in zip(kept, kept[1:], strict=False):  # noqa: RUF007
        assert older_end == start
        assert (start % coarse, end % fine, coarse > fine) == (0, 0, True)
    limits = {60: 15 * DAY, 300: 63 * DAY, 3600: 455 * DAY}
    assert all(start >= NOW_S - limits[period] for period, (start, _) in kept)
    assert (forgotten is None) == (NOW_S - age - length >= NOW_S - 455 * DAY + 3600) or not kept or forgotten


def test_a_short_window_needs_one_tier_only() -> None:
    kept, forgotten = tiers((NOW_S - DAY, NOW_S), NOW_S)

    assert [period for period, _ in kept] == [60]
    assert forgotten is None
