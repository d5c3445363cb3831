"""Whose unit is looked up before a pull: every series that is new, and the others in turn."""

from __future__ import annotations

from planner.aws.probe import UNITS_CHECKED_AGAIN, _sample
from planner.aws.wanted import ECS, Wanted


def series(count: int) -> list[Wanted]:
    return [Wanted("CPUUtilization", f"service/s{n:04}", ECS, (), ("Average",)) for n in range(count)]


def test_every_series_is_looked_up_on_the_first_pull_of_a_large_estate() -> None:
    assert _sample(series(1000), set(), day=0) == series(1000)


def test_known_series_take_turns_until_all_were_looked_at_again() -> None:
    estate = series(1000)
    known = {(one.resource, one.metric) for one in estate}
    days = [_sample(estate, known, day) for day in range(20_000, 20_005)]

    assert {len(chosen) for chosen in days} == {UNITS_CHECKED_AGAIN}  # 1,000 in five days
    assert sorted(one for chosen in days for one in chosen) == estate


def test_a_new_series_beside_known_ones_is_looked_up_at_once() -> None:
    estate = series(1000)
    known = {(one.resource, one.metric) for one in estate[:-1]}

    assert estate[-1] in _sample(estate, known, day=3)
