"""Pictures carry the comparison's own numbers, and names from outside stay text."""

from __future__ import annotations

import pytest

from planner.alternatives import Assumptions, Comparison, Demanded, Platform, Question, compare
from planner.alternatives.figures import break_even_curves, platform_bars, tornado_bars
from planner.cost.break_even import BreakEven
from planner.prices import load
from planner.units import UsdPerHour, usd_per_month
from tests.planner.alternatives.test_compare import one_task_an_instance, service


@pytest.fixture(scope="module")
def compared() -> Comparison:
    asked = Question(Demanded((service(),)), load(), "eu-west-2", one_task_an_instance, Assumptions())
    return compare(asked)


def test_bars_of_a_platform_add_to_its_cost(compared: Comparison) -> None:
    figure = platform_bars(compared)

    priced = [e for e in compared.evaluations if not e.refused]
    sums = [sum(trace.x[row] for trace in figure.data) for row in range(len(priced))]
    assert sums == pytest.approx([usd_per_month(e.usd_per_hour or 0) for e in priced])
    names = list(figure.data[0].y)
    assert "AKS with Azure VMs (at least)" in names
    assert Platform.ECS_FARGATE_SPOT not in {e.platform for e in priced}  # refused: no Spot price


def test_curves_cross_fargate_s_line_at_the_break_even() -> None:
    point = BreakEven(8, UsdPerHour(0.111), UsdPerHour(0.02))
    figure = break_even_curves({"<b>m5.large</b>": point})

    (curve,) = figure.data
    # 0.111 / 0.02 = 5.55 of 8 tasks: EC2 is dearer below 69 % and cheaper above
    dearer = [share for share, usd in zip(curve.x, curve.y, strict=True) if usd > 0.02]
    assert max(dearer) == pytest.approx(0.65)
    assert curve.name == "&lt;b&gt;m5.large&lt;/b&gt;"


def test_the_tornado_shows_every_bar_s_two_ends(compared: Comparison) -> None:
    low, high = tornado_bars(compared).data

    assert list(low.y) == [bar.input for bar in compared.tornado]
    expected = [usd_per_month(bar.high_advantage_usd_per_hour) for bar in compared.tornado]
    assert list(high.x) == pytest.approx(expected)
