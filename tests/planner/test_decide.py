"""The decision: cheapest within the limits, every refusal with its reason."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from planner.decide import Decision, Limits, Option, Undecided, decide, frontier
from planner.units import UsdPerHour

LIMITS = Limits(slo=0.999)


def option(name: str, usd: float | None, attainment: float | None = 1.0, impossible: str | None = None) -> Option:
    return Option(name, name, None if usd is None else UsdPerHour(usd), attainment, impossible=impossible)


def test_the_cheapest_option_that_keeps_the_objective_is_chosen() -> None:
    decision = decide([option("big", 3.0), option("small", 1.0), option("thin", 0.5, 0.99)], LIMITS)

    assert isinstance(decision, Decision)
    assert decision.chosen.name == "small"


def test_a_dearer_option_is_told_its_difference_in_money_a_month() -> None:
    decision = decide([option("big", 3.0), option("small", 1.0)], LIMITS)

    assert isinstance(decision, Decision)
    # (3.00 - 1.00) x 730 = 1,460
    assert [r.reason for _, r in decision.rejected] == ["it costs 1,460 USD a month more than small"]


def test_an_option_under_the_objective_is_refused_with_both_figures() -> None:
    decision = decide([option("thin", 0.5, 0.99)], LIMITS)

    assert isinstance(decision, Undecided)
    assert "99.000% of minutes, under the 99.900%" in decision.reason


def test_an_unknown_price_never_counts_as_cheap() -> None:
    decision = decide([option("unpriced", None), option("known", 9.0)], LIMITS)

    assert isinstance(decision, Decision)
    assert decision.chosen.name == "known"
    assert decision.rejected[0][1].reason == "its price is unknown"


def test_an_option_that_cannot_be_built_keeps_its_own_reason() -> None:
    decision = decide([option("arm", 0.1, impossible="the images are x86_64 only"), option("x86", 1.0)], LIMITS)

    assert isinstance(decision, Decision)
    assert decision.rejected[0][1].reason == "the images are x86_64 only"


def test_a_ceiling_refuses_what_is_above_it() -> None:
    # (2.00 - 1.50) x 730 = 365
    decision = decide([option("a", 2.0)], Limits(0.999, UsdPerHour(1.5)))

    assert isinstance(decision, Undecided)
    assert "365 USD a month above the ceiling" in decision.reason


def test_no_candidates_at_all_is_said() -> None:
    assert decide([], LIMITS) == Undecided(())


OPTIONS = st.lists(
    st.builds(
        option,
        st.text("abcdef", min_size=1, max_size=4),
        st.none() | st.floats(0.01, 100),
        st.none() | st.floats(0.9, 1),
    ),
    unique_by=lambda o: o.name,
    max_size=12,
)


@given(OPTIONS)
def test_every_option_is_either_chosen_or_told_why_not(options: list[Option]) -> None:
    decision = decide(options, LIMITS)
    rejected = [o.name for o, _ in decision.rejected]
    chosen = [decision.chosen.name] if isinstance(decision, Decision) else []

    assert sorted(rejected + chosen) == sorted(o.name for o in options)


@given(OPTIONS)
def test_the_order_of_the_candidates_changes_nothing(options: list[Option]) -> None:
    forward, backward = decide(options, LIMITS), decide(options[::-1], LIMITS)

    assert getattr(forward, "chosen", None) == getattr(backward, "chosen", None)
    assert frontier(options) == frontier(options[::-1])


@given(OPTIONS)
def test_nothing_on_the_frontier_is_beaten_by_another_option(options: list[Option]) -> None:
    for kept in frontier(options):
        for other in options:
            if other.usd_per_hour is not None and other.attainment is not None:
                assert not (other.usd_per_hour < kept.usd_per_hour and other.attainment > kept.attainment)


def test_an_impossible_option_is_not_on_the_frontier() -> None:
    able = Option("able", "", UsdPerHour(2.0), 0.999)
    broken = Option("broken", "", UsdPerHour(1.0), 0.999, impossible="one zone")

    assert frontier([able, broken]) == (able,)
