"""Exact pricing agrees with trying every filling, and so do the bounds of the integer program."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.packing.exact_kernels import exact_pattern
from planner.packing.hard_pricing import hard_pattern


@settings(max_examples=60, deadline=None)
@given(
    shapes=st.lists(
        st.tuples(st.integers(0, 50), st.integers(0, 4), st.integers(0, 5), st.integers(0, 4)),
        min_size=1, max_size=4,
    ),
    room=st.tuples(st.integers(0, 8), st.integers(0, 9)),
)  # fmt: skip
def test_the_best_filling_is_found(shapes: list[tuple[int, int, int, int]], room: tuple[int, int]) -> None:
    worth, needs = np.array([s[0] for s in shapes]), np.array([s[1:3] for s in shapes]).reshape(-1, 2)
    upper, fits = np.array([s[3] for s in shapes]), np.ones(len(shapes), np.bool_)
    best = max(
        int(np.array(n) @ worth)
        for n in product(*(range(u + 1) for u in upper))
        if (np.array(n) @ needs <= room).all()
    )
    pattern = np.zeros(len(shapes), np.int64)
    ports = np.zeros((len(shapes), 1), np.int64)
    value, bound = exact_pattern(worth, needs, upper, ports, fits, np.array(room), pattern)
    solved, above, filling = hard_pattern(worth, needs, upper, fits, np.array(room))

    assert (value, bound) == (best, best)
    assert int(pattern @ worth) == best
    assert (pattern @ needs <= room).all()
    assert (pattern <= upper).all()
    assert solved <= best <= above
    assert (filling @ needs <= room).all()
    assert (filling <= upper).all()
