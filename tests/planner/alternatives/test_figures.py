"""Pictures carry the comparison's own numbers, and names from outside stay text."""

from __future__ import annotations

import pytest

from planner.alternatives import Assumptions, Comparison, Demanded, Platform, Question, compare
from planner.alternatives.figures import break_even_curves, fleet_break_even, platform_bars, tornado_bars
from planner.cost.break_even import BreakEven, FleetBreakEven
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

    bars = [bar for bar in compared.tornado if usd_per_month(bar.swing_usd_per_hour) >= 1]
    assert 5 <= len(bars) <= 10
    assert list(low.y) == [bar.input for bar in bars]
    for trace, ends in (
        (low, [bar.low_advantage_usd_per_hour for bar in bars]),
        (high, [bar.high_advantage_usd_per_hour for bar in bars]),
    ):
        assert [trace.base + x for x in trace.x] == pytest.approx([usd_per_month(usd) for usd in ends])


def test_the_fleet_s_curve_marks_where_it_stands_and_where_it_breaks_even() -> None:
    found = FleetBreakEven("ECS on EC2", UsdPerHour(1.0), 0.6, {"Fargate": UsdPerHour(0.75)})
    figure = fleet_break_even(found)

    # 1.00 USD/h at 60 % full is 0.60 at 100 %, so 0.75 at 80 %
    marks = {trace.text[0]: (trace.x[0], trace.y[0]) for trace in figure.data if trace.text}
    assert marks["even at 80%"] == (pytest.approx(0.8), pytest.approx(0.75 * 730))
    assert marks["now 60%"] == (pytest.approx(0.6), pytest.approx(730))
    curve = next(trace for trace in figure.data if trace.name == "ECS on EC2")
    assert curve.y[-1] == pytest.approx(0.6 * 730)
