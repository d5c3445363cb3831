"""Work in other processes gives what it gives here, in the same order."""

from __future__ import annotations

import pytest

from planner.parallel import FEWEST, in_order


def slow_square(number: int, offset: int) -> int:
    if number < 0:
        raise ValueError(f"{number} is negative")
    return number**2 + offset


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    items = [(number, 1) for number in range(20)]

    assert list(in_order(slow_square, items, workers)) == [n**2 + 1 for n in range(20)]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_exception_reaches_the_caller(workers: int) -> None:
    with pytest.raises(ValueError, match="-3 is negative"):
        list(in_order(slow_square, [(n, 0) for n in (1, -3, *range(20))], workers))


def test_a_few_items_are_done_here() -> None:
    seen: list[int] = []

    def noted(number: int) -> int:  # a local function does not pickle, and need not
        seen.append(number)
        return number

    assert list(in_order(noted, [(n,) for n in range(FEWEST - 1)], 8)) == seen == list(range(FEWEST - 1))
