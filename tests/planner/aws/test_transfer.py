"""The pull: complete, resumable, never twice, and honest about what it could not read."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cache
from pathlib import Path

import boto3
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner import frames
from planner.aws import pull
from planner.aws.clients import Clients
from planner.aws.transfer import PullReport
from planner.metrics import MetricStore
from planner.model import Estate
from planner.terminal import BadInput
from tests.conftest import ROOT
from tests.planner.aws.cloudwatch_server import (
    CloudWatch,
    cut_json,
    deny,
    half_a_page,
    serve,
    server_error,
    signature_expired,
    throttle,
    value_at,
)
from tests.planner.aws.estates import NOW, estate, service

HOUR = timedelta(hours=1)
NOON_S = int(NOW.timestamp())


@pytest.fixture
def world() -> Iterator[CloudWatch]:
    with serve(CloudWatch(NOW)) as running:
        yield running


@cache
def clients_of(url: str) -> Clients:
    session = boto3.Session("testing", "testing", region_name="eu-west-2")
    return Clients(session, "eu-west-2", url, max_attempts=1)


def run(
    world: CloudWatch,
    store: Path,
    hours: tuple[float, float] = (-6, 0),
    of: Estate | None = None,
    **options: object,
) -> PullReport:
    """Pull the hours before and after noon of the test day."""
    return pull(
        clients_of(world.url),
        of or estate(service("web")),
        MetricStore(store),
        NOW + hours[0] * HOUR,
        NOW + hours[1] * HOUR,
        as_of=world.now,
        insights=False,
        sleep=lambda _: None,
        **options,  # type: ignore[arg-type]
    )


def held(store: Path, hours: tuple[float, float] = (-24 * 30, 24)) -> pd.DataFrame:
    return MetricStore(store).read("prod", start=NOW + hours[0] * HOUR, end=NOW + hours[1] * HOUR)


def test_every_point_of_the_window_is_stored_with_its_value(world: CloudWatch, tmp_path: Path) -> None:
    report = run(world, tmp_path)

    points = frames.check(held(tmp_path), frames.METRIC_POINTS)
    one = points[
        (points["resource"] == "service/web")
        & (points["metric"] == "CPUUtilization")
        & (points["statistic"] == "Maximum")
    ]
    expected = [value_at("prod/web", "CPUUtilization", "Maximum", s) for s in range(NOON_S - 6 * 3600, NOON_S, 60)]
    assert one["value"].tolist() == expected
    assert report.refusals == ()
    # 6 h x 60 minutes x (service: 2 metrics x 3 statistics, cluster: 2 metrics x 2 statistics)
    assert report.datapoints == len(points) == 360 * 10


def test_statistics_of_one_metric_share_a_request_and_are_billed_once(world: CloudWatch, tmp_path: Path) -> None:
    report = run(world, tmp_path)

    data = [c for c in world.data_calls() if c["MetricDataQueries"][0]["MetricStat"]["Period"] == 60]
    assert len(data) == 1
    assert len(data[0]["MetricDataQueries"]) == 10
    # 4 metrics, and 2 of the look for percentiles
    assert report.metrics_requested == 6
    assert report.usd == pytest.approx(6 * 0.01 / 1000)


def test_what_was_fetched_is_never_fetched_twice_but_the_last_two_hours_are(
    world: CloudWatch, tmp_path: Path
) -> None:
    run(world, tmp_path)
    world.calls.clear()

    run(world, tmp_path)

    starts = {
        c["StartTime"] for c in world.data_calls() if c["MetricDataQueries"][0]["MetricStat"]["Period"] == 60
    }
    assert starts == {NOON_S - 2 * 3600}


def test_points_that_arrive_late_are_found_by_the_next_pull(world: CloudWatch, tmp_path: Path) -> None:
    world.arrived_s = NOON_S - 90 * 60
    run(world, tmp_path)
    assert held(tmp_path)["timestamp"].max() < NOW - timedelta(minutes=90)
    world.arrived_s = None
    world.now = NOW + HOUR

    run(world, tmp_path, (-6, 1))

    minutes = held(tmp_path).groupby(["resource", "metric", "statistic"]).size()
    assert set(minutes) == {7 * 60}


def test_a_long_window_is_read_at_the_periods_that_cloudwatch_keeps(world: CloudWatch, tmp_path: Path) -> None:
    report = run(world, tmp_path, (-24 * 20, 0))

    points = held(tmp_path)
    assert [period for period, _, _ in report.tiers] == [60, 300]
    assert sorted(points["period_s"].unique()) == [60, 300]
    seam = report.tiers[0][1]
    assert points.loc[points["period_s"] == 300, "timestamp"].max() < seam
    assert points.loc[points["period_s"] == 60, "timestamp"].min() >= seam
    assert any("percentiles do not compare" in warning for warning in report.warnings)


def test_one_minute_points_survive_when_cloudwatch_has_thinned_them(world: CloudWatch, tmp_path: Path) -> None:
    run(world, tmp_path)
    world.now = NOW + timedelta(days=20)
    world.calls.clear()

    report = run(world, tmp_path, (-6, -3))

    # settled at one minute: nothing is asked for at 300 s
    assert report.already_stored > 0
    assert report.calls == 1  # the look for percentiles
    assert set(held(tmp_path)["period_s"]) == {60}


def test_pages_are_followed_to_the_last(world: CloudWatch, tmp_path: Path) -> None:
    world.page_points = 1000

    run(world, tmp_path)

    assert len(held(tmp_path)) == 360 * 10
    assert any("NextToken" in call for call in world.data_calls())


def test_the_cbor_form_gives_the_same_store(world: CloudWatch, tmp_path: Path) -> None:
    run(world, tmp_path / "json")
    world.form = "cbor"

    run(world, tmp_path / "cbor")

    pd.testing.assert_frame_equal(held(tmp_path / "cbor"), held(tmp_path / "json"))


def test_percentiles_are_read_where_they_exist(world: CloudWatch, tmp_path: Path) -> None:
    world.percentiles = True

    report = run(world, tmp_path)

    assert report.percentiles
    statistics = set(held(tmp_path).query("resource == 'service/web'")["statistic"])
    assert statistics == {"Average", "Maximum", "SampleCount", "p50", "p90", "p99"}


@pytest.mark.parametrize("fault", [throttle, server_error, half_a_page, cut_json])
def test_a_fault_in_the_middle_is_repeated_until_all_is_there(
    world: CloudWatch, tmp_path: Path, fault: object
) -> None:
    world.faults = [lambda *_: False, fault, fault]  # type: ignore[list-item]

    report = run(world, tmp_path)

    assert report.refusals == ()
    assert report.repeated_calls == 2
    assert len(held(tmp_path)) == 360 * 10


def test_a_fault_that_lasts_is_told_and_the_next_pull_repairs_it(world: CloudWatch, tmp_path: Path) -> None:
    world.faults = [lambda *_: False, *[server_error] * 6]

    broken = run(world, tmp_path)
    repaired = run(world, tmp_path)

    assert "not fetched after 6 attempts" in broken.refusals[0].reason
    assert broken.datapoints == 0
    assert repaired.refusals == ()
    assert len(held(tmp_path)) == 360 * 10


def test_access_denied_on_one_metric_is_one_line_and_stops_nothing(world: CloudWatch, tmp_path: Path) -> None:
    world.faults = [deny("MemoryUtilization")] * 50

    report = run(world, tmp_path, of=estate(service("web"), service("api")))

    what = [refusal.what for refusal in report.refusals]
    assert "MemoryUtilization of service/web" in what
    assert not any(name.startswith("CPUUtilization") for name in what)
    points = held(tmp_path)
    assert set(points["metric"]) == {"CPUUtilization"}
    assert points.groupby("resource").size().to_dict() == {
        "cluster": 720,
        "service/api": 1080,
        "service/web": 1080,
    }


def test_a_refused_metric_is_read_as_soon_as_it_is_allowed(world: CloudWatch, tmp_path: Path) -> None:
    world.faults = [deny("MemoryUtilization")] * 50
    run(world, tmp_path)
    assert MetricStore(tmp_path).status("prod").refusals != ()
    world.faults = []

    run(world, tmp_path)

    assert len(held(tmp_path)) == 360 * 10
    assert MetricStore(tmp_path).status("prod").refusals == ()


def test_a_metric_whose_unit_changed_is_refused_by_name(world: CloudWatch, tmp_path: Path) -> None:
    world.units = {"CPUUtilization": "Percent", "MemoryUtilization": "Bytes"}

    report = run(world, tmp_path)

    (first, *_) = [r for r in report.refusals if "service/web" in r.what]
    assert first.what == "MemoryUtilization of service/web"
    assert "Bytes where Percent is known" in first.reason
    assert set(held(tmp_path)["metric"]) == {"CPUUtilization"}


def test_aws_s_clock_counts_where_this_machine_s_is_wrong(world: CloudWatch, tmp_path: Path) -> None:
    clients = clients_of(world.url)
    clients.get("cloudwatch").list_metrics()

    report = pull(
        clients,
        estate(service("web")),
        MetricStore(tmp_path),
        NOW - HOUR,
        NOW + timedelta(minutes=10),  # what a machine 10 minutes ahead takes for the present
        insights=False,
    )

    assert abs((report.end - NOW).total_seconds()) < 60
    assert any("AWS's clock was used" in warning for warning in report.warnings)
    assert held(tmp_path)["timestamp"].max() < NOW
    later = MetricStore(tmp_path).manifest("prod").read()
    assert max(end for windows in later.values() for _, end in windows) <= NOON_S + 60


def test_a_clock_too_wrong_to_sign_with_is_told_as_that(world: CloudWatch, tmp_path: Path) -> None:
    world.faults = [signature_expired] * 9

    with pytest.raises(BadInput, match=r"clock is [\d.]+ minutes (behind|ahead of) AWS's"):
        run(world, tmp_path)


def test_two_pulls_at_once_end_as_one(world: CloudWatch, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        windows = [(-6, 0), (-9, -1)]
        list(pool.map(lambda window: run(world, tmp_path / "both", window), windows))

    run(world, tmp_path / "one", (-9, 0))

    pd.testing.assert_frame_equal(held(tmp_path / "both"), held(tmp_path / "one"))


def test_a_series_that_has_no_points_is_complete_and_counted_as_empty(world: CloudWatch, tmp_path: Path) -> None:
    world.missing = {("prod/web", "MemoryUtilization")}

    report = run(world, tmp_path)

    assert (report.series, report.empty_series) == (4, 1)
    assert report.refusals == ()


def test_an_empty_window_is_refused(world: CloudWatch, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no time"):
        run(world, tmp_path, (0, -1))


def test_nothing_is_asked_for_when_the_price_is_not_accepted(world: CloudWatch, tmp_path: Path) -> None:
    report = run(world, tmp_path, confirm=lambda plan: plan.usd < 0)

    assert report.datapoints == 0
    assert {c["MetricDataQueries"][0]["MetricStat"]["Period"] for c in world.data_calls()} == {300}


class Killed(BaseException):
    """Stands for a process that ends at this very point."""


@pytest.mark.parametrize("point", range(12))
def test_a_pull_killed_at_any_write_continues_and_ends_complete(
    world: CloudWatch, tmp_path: Path, point: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from planner.metrics.files import Files

    written = itertools.count()
    whole = Files.write

    def write(self: Files, path: str, content: bytes) -> None:
        if next(written) == point:
            raise Killed
        whole(self, path, content)

    two_days = (-30, 0)
    monkeypatch.setattr(Files, "write", write)
    try:
        run(world, tmp_path, two_days)
    except Killed:
        monkeypatch.setattr(Files, "write", whole)
        if MetricStore(tmp_path).clusters():
            partial = held(tmp_path)
            assert not partial.duplicated(list(frames.METRIC_POINTS.key)).any()
    monkeypatch.setattr(Files, "write", whole)

    run(world, tmp_path, two_days)

    assert len(held(tmp_path)) == 30 * 60 * 10


PULLING = """
import sys
from datetime import timedelta
from pathlib import Path
from tests.planner.aws.estates import NOW, estate, service
from tests.planner.aws.test_transfer import clients_of
from planner.aws import pull
from planner.metrics import MetricStore
pull(clients_of(sys.argv[1]), estate(*(service(f"web-{n}") for n in range(6))), MetricStore(Path(sys.argv[2])),
     NOW - timedelta(days=4), NOW, as_of=NOW, insights=False, workers=1, sleep=lambda _: None)
"""


@pytest.mark.slow
@pytest.mark.parametrize("answered", [1, 2, 3])
def test_a_pull_that_is_sent_sigkill_leaves_a_store_that_the_next_one_completes(
    world: CloudWatch, tmp_path: Path, answered: int
) -> None:
    """The process ends without a word, in the middle of whatever it was doing."""
    process = subprocess.Popen([sys.executable, "-c", PULLING, world.url, str(tmp_path)], cwd=ROOT)
    try:
        while process.poll() is None and len(world.data_calls()) < answered:
            time.sleep(0.005)  # another process: there is nothing to wait on but what it has asked for
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    services = estate(*(service(f"web-{number}") for number in range(6)))

    if MetricStore(tmp_path).clusters():
        assert not held(tmp_path).duplicated(list(frames.METRIC_POINTS.key)).any()
    report = run(world, tmp_path, (-24 * 4, 0), services)

    assert report.refusals == ()
    # 4 days of minutes, 6 services and the cluster; 2 metrics; Average and Maximum, of services SampleCount too
    assert len(held(tmp_path)) == 4 * 1440 * 2 * (6 * 3 + 2)
    assert run(world, tmp_path, (-24 * 4, -3), services).datapoints == 0


@given(pulls=st.lists(st.tuples(st.integers(-40, -1), st.integers(1, 20), st.booleans()), min_size=1, max_size=4))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_interleaving_of_pulls_equals_one_pull_over_their_union(
    pulls: list[tuple[int, int, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("store")
    with serve(CloudWatch(NOW)) as world:
        hours: set[int] = set()
        for start, length, compact in pulls:
            end = min(0, start + length)
            run(world, folder / "many", (start, end))
            hours |= set(range(start, end))
            if compact:
                MetricStore(folder / "many").compact("prod", before=NOW + 24 * HOUR)
        run(world, folder / "one", (min(hours), max(hours) + 1))

    many, one = held(folder / "many"), held(folder / "one")
    inside = one["timestamp"].map(lambda t: (t - NOW) // HOUR).isin(hours)
    pd.testing.assert_frame_equal(many, one[inside].reset_index(drop=True))
