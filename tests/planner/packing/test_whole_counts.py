"""The least that whole instances of a few types cost."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.packing.whole_counts import least_whole_cost

MANY_NODES = 1_000_000


def test_seven_eighths_of_a_large_instance_and_a_little_take_a_small_one_too() -> None:
    # 21 needed; large holds 10 for 5, small holds 2 for 1.2: 2 large and 1 small, 11.2, beat 3 large, 15
    prices, worth, needed = np.array([5.0, 1.2]), np.array([[10.0, 2.0]]), np.array([21.0])

    assert least_whole_cost(prices, worth, needed, 100.0, MANY_NODES) == pytest.approx(11.2)


def test_a_search_that_is_cut_off_tells_what_broken_instances_cost() -> None:
    prices, worth, needed = np.array([5.0, 1.2]), np.array([[10.0, 2.0]]), np.array([21.0])

    assert least_whole_cost(prices, worth, needed, 100.0, 1) == pytest.approx(10.5)  # 2.1 large


@settings(max_examples=60, deadline=None)
@given(
    prices=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    cuts=st.lists(
        st.tuples(st.lists(st.integers(0, 9), min_size=3, max_size=3), st.integers(1, 20)), min_size=1, max_size=3
    ),
)
def test_it_agrees_with_trying_all_counts(prices: list[int], cuts: list[tuple[list[int], int]]) -> None:
    kinds = len(prices)
    worth = np.array([row[:kinds] for row, _ in cuts], np.float64)
    needed = np.array([n for _, n in cuts], np.float64)
    tried = [
        sum(p * x for p, x in zip(prices, counts, strict=True))
        for counts in product(range(21), repeat=kinds)  # 20 instances worth at least 1 each cover any cut
        if (worth @ np.array(counts) >= needed).all()
    ]
    limit = 1e6
    found = least_whole_cost(np.array(prices, np.float64), worth, needed, limit, MANY_NODES)

    if tried:
        assert found == pytest.approx(min(tried))
    else:
        assert found >= limit
