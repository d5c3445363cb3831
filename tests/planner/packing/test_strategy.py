"""Placement strategies read as ECS would take them."""

from __future__ import annotations

import pytest

from planner.packing.strategy import StrategyError, parse_strategy, strategy_from, strategy_text


def test_short_names_become_the_field_names_of_ecs() -> None:
    strategy = parse_strategy("spread:az, binpack:memory,random")

    assert strategy_text(strategy) == "spread:attribute:ecs.availability-zone,binpack:memory,random"


def test_an_empty_text_is_the_default_of_ecs_which_spreads_over_zones() -> None:
    assert strategy_text(parse_strategy("")) == "spread:attribute:ecs.availability-zone"


def test_the_pairs_of_a_service_are_read_as_they_stand() -> None:
    assert strategy_from([("binpack", "CPU"), ("spread", "instanceId")]) == parse_strategy(
        "binpack:cpu,spread:host"
    )


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("binpack:disk", '"cpu" or "memory"'),
        ("binpack", '"cpu" or "memory"'),
        ("spread:rack", '"attribute:<name>"'),
        ("tightest", "use binpack, spread or random"),
        (",".join(["random"] * 6), "at most 5"),
    ],
)
def test_what_ecs_would_refuse_is_refused_with_what_it_would_take(text: str, hint: str) -> None:
    with pytest.raises(StrategyError, match=hint):
        parse_strategy(text)
