"""What the coming week is expected to need, and the demand that the plan has to serve."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from planner.expectations import Expected, expected_week, judged, unknown_services, wanted_demand
from planner.settings import Settings, parse_settings
from planner.timegrid import TimeGrid
from planner.units import HOURS_PER_DAY, MINUTES_PER_DAY

MONDAY = datetime(2026, 5, 4, tzinfo=UTC)
ASKED = Settings(timezone="UTC", holidays=None)


def grid_of(days: float) -> TimeGrid:
    return TimeGrid(MONDAY, int(days * MINUTES_PER_DAY))


def waves(days: float, seed: int = 0) -> np.ndarray:
    """vCPU by minute: 4 +- 2 over the day, lowest at midnight, with noise of 5 %."""
    minute = np.arange(int(days * MINUTES_PER_DAY))
    noise = np.random.default_rng(seed).normal(1.0, 0.05, len(minute))
    return (4 - 2 * np.cos(minute / MINUTES_PER_DAY * 2 * np.pi)) * noise


def asked(**values: object) -> Settings:
    return parse_settings({"timezone": "UTC", "holidays": None, **values})


def wanted(values: np.ndarray, settings: Settings) -> tuple[np.ndarray, tuple[str, ...]]:
    grid = TimeGrid(MONDAY, len(values))
    return wanted_demand(values, expected_week(values, grid, settings, "web"), grid, settings, "web")


def test_the_coming_week_follows_the_day_with_its_quantiles_in_order() -> None:
    found = expected_week(waves(14), grid_of(14), ASKED, "web")

    assert len(found.p50) == 168
    days = found.p50.reshape(7, HOURS_PER_DAY)
    # means of 4 - 2 cos over the hour from midnight and the hour from noon: 2.02 and 5.98
    assert days[:, 0] == pytest.approx(2.02, rel=0.05)
    assert days[:, 12] == pytest.approx(5.98, rel=0.05)
    assert (found.p50 < found.p90).all()
    assert (found.p90 < found.p99).all()


def test_p99_is_that_of_a_minute_and_not_of_a_quarter_hour() -> None:
    values, grid = waves(21), grid_of(21)
    found = expected_week(values[: 14 * MINUTES_PER_DAY], grid_of(14), ASKED, "web")

    hour = np.arange(7 * MINUTES_PER_DAY) // 60
    later = values[14 * MINUTES_PER_DAY : grid.minutes]
    # 10,080 minutes with independent noise: the standard error of 99 % is 0.1 %; the median would hold 50 %
    assert 0.975 <= (later <= found.p99[hour]).mean() <= 1.0
    assert 0.45 <= (later <= found.p50[hour]).mean() <= 0.55


def test_two_days_give_quantiles_by_hour_of_the_week_and_say_so() -> None:
    found = expected_week(waves(2), grid_of(2), ASKED, "web")

    assert found.model == "quantiles by hour of the week"
    assert any(warning.startswith("short-history:") for warning in found.warnings)


def test_steady_demand_is_served_as_it_was_measured() -> None:
    values = waves(14)
    found, told = wanted(values, ASKED)

    np.testing.assert_array_equal(found, values)
    assert told == ()


def test_a_level_that_rose_raises_the_days_before_it_and_not_those_after() -> None:
    values = waves(14)
    values[11 * MINUTES_PER_DAY :] *= 2.0
    found, told = wanted(values, ASKED)

    before, after = slice(0, 10 * MINUTES_PER_DAY), slice(11 * MINUTES_PER_DAY, None)
    # the new level is 8; three days of it, two of them a weekend, do not convince the forecast wholly yet
    assert 1.4 * 4 < found[before].mean() < 8.0
    assert found[after].mean() == pytest.approx(8.0, rel=0.1)
    assert told[0].startswith("rising-demand: 11 of 14 past days")


def test_a_level_that_fell_is_not_planned_away() -> None:
    values = waves(14)
    values[11 * MINUTES_PER_DAY :] *= 0.5
    found, _ = wanted(values, ASKED)

    assert (found >= values).all()
    assert found[: 10 * MINUTES_PER_DAY].mean() == pytest.approx(4.0, rel=0.05)


def test_one_quiet_day_is_no_rise() -> None:
    values = waves(14)
    values[6 * MINUTES_PER_DAY : 7 * MINUTES_PER_DAY] *= 0.4
    found, _ = wanted(values, ASKED)

    assert found[8 * MINUTES_PER_DAY :].mean() == pytest.approx(4.0, rel=0.05)
    assert found.mean() < 1.15 * values.mean()


def test_a_release_that_was_told_rescales_what_came_before_it() -> None:
    values = waves(14)
    values[10 * MINUTES_PER_DAY :] *= 0.5
    found, told = wanted(values, asked(deployments={"web": ["2026-05-14"]}))

    assert found[: 10 * MINUTES_PER_DAY].mean() == pytest.approx(2.0, rel=0.05)
    assert told[0].startswith("deployment-shift: history before 2026-05-14")


def test_growth_and_a_launch_are_planned_for_from_the_start() -> None:
    values = waves(14)
    settings = asked(growth=0.5, launches=[{"service": "web", "at": "2026-05-20", "factor": 2, "add_vcpu": 1}])
    found, told = wanted(values, settings)

    np.testing.assert_allclose(found, values * 1.5 * 2 + 1)
    assert told[0].startswith("launch: planned for from the start, though it comes at 2026-05-20")


def test_the_coming_week_has_a_launch_from_its_hour_on() -> None:
    settings = asked(launches=[{"service": "web", "at": "2026-05-20T12:00Z", "factor": 2}])
    plain = expected_week(waves(14), grid_of(14), ASKED, "web")
    changed = plain.changed(grid_of(14), settings, "web")

    # the week starts on Monday, 2026-05-18, so Wednesday noon is hour 60
    np.testing.assert_allclose(changed.p99[:60], plain.p99[:60])
    np.testing.assert_allclose(changed.p99[60:], plain.p99[60:] * 2)
    assert plain.changed(grid_of(14), settings, "api").p99.tolist() == plain.p99.tolist()


def test_a_launch_that_ended_before_the_plan_changes_nothing() -> None:
    past = [{"service": "web", "at": "2026-05-10", "factor": 3, "until": "2026-05-12"}]
    values = waves(14)

    np.testing.assert_array_equal(wanted(values, asked(launches=past))[0], values)


def test_forecasts_are_judged_on_days_they_had_not_seen() -> None:
    values = waves(14)
    values[13 * MINUTES_PER_DAY :] *= 3.0  # the last of the seven judged days is above everything before it
    score = judged("web", values, grid_of(14), ASKED)

    assert not isinstance(score, str)
    assert score.forecasts == 7
    assert score.coverage_p99 == pytest.approx(6 / 7, abs=0.03)


def test_a_history_too_short_to_judge_gives_the_reason() -> None:
    assert judged("web", waves(3), grid_of(3), ASKED) == "3.0 days of history leave nothing to forecast and score"


def test_a_clock_change_in_the_coming_week_leaves_no_hour_empty() -> None:
    start = datetime(2026, 3, 9, tzinfo=UTC)  # London's clocks go forward on Sunday, 2026-03-29
    grid = TimeGrid(start, 14 * MINUTES_PER_DAY)
    found = expected_week(waves(14), grid, asked(timezone="Europe/London"), "web")

    assert isinstance(found, Expected)
    assert np.isfinite(found.p99).all()


def test_services_that_the_cluster_does_not_have_are_named() -> None:
    settings = asked(keep=["wbe"], launches=[{"service": "pai", "at": "2026-05-20", "factor": 2}])

    assert unknown_services(settings, ["web", "api"], "demo") == (
        "keep names wbe; launches names pai, which cluster demo does not have."
    )
    assert unknown_services(ASKED, ["web"], "demo") is None
