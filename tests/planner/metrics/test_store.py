"""The archive: whole files, one resource at a time, and a merge whose order cannot be seen."""

from __future__ import annotations

import multiprocessing
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner import frames
from planner.metrics import MetricStore
from planner.metrics.files import Files, escape, unescape
from planner.metrics.manifest import Fetched, Manifest, compacted
from planner.metrics.parts import Part
from planner.terminal import BadInput
from tests.planner.aws.estates import deployment, estate, service
from tests.planner.metrics.points import NOON, points, together
from tests.planner.metrics.writers import append_days, fill_up

DAY = timedelta(days=1)


def read(store: MetricStore, **options: object) -> pd.DataFrame:
    span = {"start": NOON - 400 * DAY, "end": NOON + 400 * DAY}
    return store.read("prod", **(span | options))  # type: ignore[arg-type]


def test_what_is_appended_is_read_back_in_key_order(tmp_path: Path) -> None:
    store = MetricStore(tmp_path)
    given_points = together(
        points([3.0, 4.0], resource="service/web", statistic="Maximum"),
        points([1.5, 2.5], resource="service/api"),
        points([9.0], resource="cluster", metric="MemoryUtilization"),
    )

    store.append("prod", given_points, observed_at=NOON)

    found = frames.check(read(store), frames.METRIC_POINTS)
    assert found["resource"].tolist() == ["cluster", "service/api", "service/api", "service/web", "service/web"]
    assert found["value"].tolist() == [9.0, 1.5, 2.5, 3.0, 4.0]


def test_only_the_statistics_asked_of_a_metric_are_read_and_all_of_the_others(tmp_path: Path) -> None:
    store = MetricStore(tmp_path)
    given_points = together(
        points([3.0], statistic="Maximum"),
        points([1.0], statistic="Average"),
        points([9.0], metric="MemoryUtilization", statistic="p99"),
    )
    store.append("prod", given_points, observed_at=NOON)

    found = read(store, statistics={"CPUUtilization": ("Maximum", "p50"), "RequestCount": ("Sum",)})

    assert found[["metric", "statistic"]].to_numpy().tolist() == [
        ["CPUUtilization", "Maximum"],
        ["MemoryUtilization", "p99"],
    ]


def test_a_later_observation_wins_in_whatever_order_it_is_written(tmp_path: Path) -> None:
    early, late = points([1.0, 2.0]), points([1.0, 5.0])
    for name, order in {"a": (early, late), "b": (late, early)}.items():
        store = MetricStore(tmp_path / name)
        for frame in order:
            store.append("prod", frame, observed_at=NOON + (DAY if frame is late else 0 * DAY))
        assert read(store)["value"].tolist() == [1.0, 5.0]


def test_reading_one_service_leaves_the_row_groups_of_the_others_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MetricStore(tmp_path)
    many = [
        points(list(np.arange(1440.0) + n), resource=f"service/s{n:03}", start=NOON.replace(hour=0))
        for n in range(40)
    ]
    store.append("prod", together(*many), observed_at=NOON)
    read_rows: list[int] = []
    whole = Part.read

    def counted(self: Part, source: object, resources: object) -> object:
        place = self.place("service/s020")
        assert place is not None
        read_rows.append(self._metadata.row_group(place.group).num_rows)
        return whole(self, source, resources)  # type: ignore[arg-type]

    monkeypatch.setattr(Part, "read", counted)

    found = read(store, resource="service/s020")

    assert found["value"].tolist() == list(np.arange(1440.0) + 20)
    assert sum(read_rows) < 40 * 1440 / 4


def test_a_window_cuts_days_and_minutes(tmp_path: Path) -> None:
    store = MetricStore(tmp_path)
    store.append("prod", points(list(range(3 * 1440)), start=NOON), observed_at=NOON)

    found = read(store, start=NOON + DAY, end=NOON + DAY + timedelta(minutes=3))

    assert found["value"].tolist() == [1440.0, 1441.0, 1442.0]


def test_points_of_two_periods_are_kept_side_by_side(tmp_path: Path) -> None:
    store = MetricStore(tmp_path)
    store.append("prod", together(points([1.0] * 5), points([7.0], period_s=300)), observed_at=NOON)

    assert read(store)["period_s"].tolist() == [60] * 5 + [300]
    assert store.status("prod").metrics[0].periods_s == (60, 300)


def test_compaction_changes_the_files_and_nothing_else(tmp_path: Path) -> None:
    store = MetricStore(tmp_path)
    for number in range(6):
        frame = points([float(number)] * 3, minutes=[number, number + 1, number + 2])
        store.append("prod", frame, observed_at=NOON + number * timedelta(hours=1))
    before = read(store)

    merged = store.compact("prod")

    assert merged == 6
    assert len(list(tmp_path.rglob("*.parquet"))) == 1
    pd.testing.assert_frame_equal(read(store), before)


observations = st.lists(
    st.tuples(
        st.integers(0, 5),  # first minute
        st.integers(1, 4),  # how many
        st.integers(0, 3),  # observed at
        st.sampled_from(["Average", "Maximum"]),
        st.integers(0, 9),  # value
        st.booleans(),  # compact afterwards
    ),
    min_size=1,
    max_size=7,
)


@given(found=observations, random=st.randoms(use_true_random=False))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_appends_and_compactions_reads_the_same(
    found: list[tuple[int, int, int, str, int, bool]], random: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("store")
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    stores = []
    for name, order, compacting in (("a", found, True), ("b", shuffled, False), ("c", shuffled, True)):
        store = MetricStore(folder / name)
        for first, count, observed, statistic, value, compact in order:
            frame = points([value] * count, minutes=range(first, first + count), statistic=statistic)
            store.append("prod", frame, observed_at=NOON + observed * DAY)
            if compact and compacting:
                store.compact("prod", before=NOON + 400 * DAY)
        stores.append(read(store))

    pd.testing.assert_frame_equal(stores[0], stores[1])
    pd.testing.assert_frame_equal(stores[0], stores[2])


def test_a_compaction_killed_before_it_cleaned_up_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MetricStore(tmp_path)
    for hour in range(6):
        store.append(
            "prod",
            points([float(hour)] * 3, minutes=range(hour, hour + 3)),
            observed_at=NOON + hour * timedelta(hours=1),
        )
    before = read(store)
    monkeypatch.setattr(Files, "delete", lambda self, path: None)

    store.compact("prod")

    assert len(list(tmp_path.rglob("*.parquet"))) == 7
    pd.testing.assert_frame_equal(read(store), before)


def test_a_file_half_written_by_a_killed_process_is_invisible_and_swept(tmp_path: Path) -> None:
    store = MetricStore(tmp_path)
    store.append("prod", points([1.0]), observed_at=NOON)
    (finished,) = tmp_path.rglob("*.parquet")
    half = finished.with_name(f"{finished.name}.999999999.writing")
    half.write_bytes(finished.read_bytes()[:100])

    assert len(read(store)) == 1
    store.compact("prod")
    assert not half.exists()


def test_a_full_disk_leaves_a_readable_store_and_no_rest(tmp_path: Path) -> None:
    store = MetricStore(tmp_path)
    store.append("prod", points([1.0, 2.0]), observed_at=NOON)
    process = multiprocessing.get_context("spawn").Process(target=fill_up, args=(str(tmp_path),))
    process.start()
    process.join()

    assert process.exitcode == 7
    assert read(store)["value"].tolist() == [1.0, 2.0]
    assert list(tmp_path.rglob("*.writing")) == []


def test_two_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=append_days, args=(str(tmp_path), first)) for first in (0, 2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert [writer.exitcode for writer in writers] == [0, 0]
    found = read(MetricStore(tmp_path))
    assert found["value"].tolist() == [float(day) for day in range(6) for _ in range(10)]


def test_coverage_tells_the_share_of_each_day(tmp_path: Path) -> None:
    store = MetricStore(tmp_path)
    midnight = NOON.replace(hour=0)
    store.append("prod", points([1.0] * 720, start=midnight), observed_at=NOON)
    store.append("prod", points([1.0] * 720, start=midnight + timedelta(minutes=360)), observed_at=NOON)

    (row,) = store.coverage("prod").to_dict("records")

    # minutes 0 to 1,080 of 1,440, the overlap counted once
    assert (row["day"], row["covered"], row["finest_s"]) == ("2026-05-13", 0.75, 60)


def test_names_with_slashes_dots_and_spaces_stay_inside_the_store(tmp_path: Path) -> None:
    store = MetricStore(tmp_path)

    store.append("../../etc", points([1.0], metric="a/b..c%2F d"), observed_at=NOON)

    assert store.clusters() == ["../../etc"]
    assert store.metrics("../../etc") == ["a/b..c%2F d"]
    assert {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*.parquet")} == {
        "cluster=%2E%2E%2F%2E%2E%2Fetc"
    }


@given(st.text(min_size=1))
def test_escaped_names_read_back(name: str) -> None:
    assert unescape(escape(name)) == name
    assert not set(escape(name)) & set("/\\. ")


def test_an_unknown_cluster_is_refused_by_naming_those_in_the_store(tmp_path: Path) -> None:
    store = MetricStore(tmp_path)
    store.append("prod", points([1.0]), observed_at=NOON)

    with pytest.raises(BadInput, match=r"holds no cluster 'staging': it holds prod"):
        store.read("staging", start=NOON, end=NOON + DAY)


def test_sizes_that_ecs_has_forgotten_are_known_from_earlier_estates(tmp_path: Path) -> None:
    store = MetricStore(tmp_path)
    store.append("prod", points([1.0]), observed_at=NOON)
    old, new = deployment(NOON - 90 * DAY, NOON - 90 * DAY, 1024), deployment(NOON - DAY, NOON - DAY, 512)
    store.save_estate(estate(service("web", deployments=(old,)), observed_at=NOON - 80 * DAY))
    store.save_estate(estate(service("web", deployments=(new,)), observed_at=NOON))

    latest = store.latest_estate("prod")

    assert latest.observed_at == NOON
    assert latest.services[0].deployments == (old, new)
    store.save_estate(estate(service("web"), observed_at=NOON + timedelta(hours=1)))
    assert store.latest_estate("prod").services[0].deployments == (old, new)
    assert len(list(tmp_path.rglob("*.json.gz"))) == 2  # one a day


records = st.lists(
    st.builds(
        lambda start, length, observed, refusal, period: Fetched(
            "service/web", "CPU", period, start * 3600, (start + length) * 3600, observed * 3600, refusal
        ),
        st.integers(0, 20),
        st.integers(1, 10),
        st.integers(0, 40),
        st.sampled_from(["", "", "denied"]),
        st.sampled_from([60, 300]),
    ),
    max_size=8,
)


@given(records)
def test_a_compacted_manifest_says_the_same(found: list[Fetched]) -> None:
    before, after = Manifest(found), Manifest(compacted(found))

    assert after.read() == before.read()
    assert after.refusals() == before.refusals()
    for period in (60, 300):
        for now in (10 * 3600, 100 * 3600):
            whole = before.covered(100 * 3600, at_most_period_s=period)
            assert after.covered(100 * 3600, at_most_period_s=period) == whole
            assert now


def test_an_archive_in_s3_works_as_one_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3
    from moto.server import ThreadedMotoServer

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        address = f"127.0.0.1:{port}"
        s3 = boto3.client("s3", endpoint_url=f"http://{address}", region_name="us-east-1")
        s3.create_bucket(Bucket="archive")
        store = MetricStore(f"s3://archive/metrics?endpoint_override={address}&scheme=http&region=us-east-1")

        for hour in range(6):
            frame = points([float(hour)] * 3, minutes=range(hour, hour + 3))
            store.append("prod", frame, observed_at=NOON + hour * timedelta(hours=1))
        before = read(store)
        store.compact("prod")

        assert store.clusters() == ["prod"]
        assert before["value"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 5.0]
        pd.testing.assert_frame_equal(read(store), before)
        keys = [found["Key"] for found in s3.list_objects_v2(Bucket="archive")["Contents"]]
        assert len([key for key in keys if key.endswith(".parquet")]) == 1
    finally:
        server.stop()


def test_a_day_merged_in_portions_is_one_part_with_the_same_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("planner.metrics.store.ROWS_MERGED", 250)
    store = MetricStore(tmp_path)
    for first in (0, 5, 3):
        some = [points([float(n)] * 100, resource=f"service/s{n}") for n in range(first, first + 5)]
        store.append("prod", together(*some), observed_at=NOON + first * timedelta(hours=1))
    before = read(store)

    store.compact("prod", before=NOON + 400 * DAY)

    assert len(list(tmp_path.rglob("*.parquet"))) == 1
    pd.testing.assert_frame_equal(read(store), before)
    pd.testing.assert_frame_equal(
        read(store, resource="service/s4"), before[before["resource"] == "service/s4"].reset_index(drop=True)
    )
