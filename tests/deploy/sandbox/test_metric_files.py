"""Metric files are read as they are and land on the service's own metric, real series included."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.sandbox import Sandbox
from deploy.sandbox.loading import LoadingError
from deploy.sandbox.metric_files import MetricFileError, read, read_mapping
from tests.deploy.sandbox.conftest import CLUSTER, Estate

REAL = (
    "ec2_cpu_utilization_24ae8d.csv",
    "ec2_cpu_utilization_5f5533.csv",
    "ec2_cpu_utilization_77c1ca.csv",
    "ec2_cpu_utilization_ac20cd.csv",
    "rds_cpu_utilization_cc0c53.csv",
    "grok_asg_anomaly.csv",
)


@pytest.fixture
def web(estate: Estate) -> Estate:
    """A Fargate service of three running tasks."""
    made = estate.ecs.register_task_definition(
        family="f", requiresCompatibilities=["FARGATE"], networkMode="awsvpc", cpu="256", memory="512",
        containerDefinitions=[{"name": "app", "image": "i"}],
    )  # fmt: skip
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}
    estate.create(
        "web", 3, made["taskDefinition"]["taskDefinitionArn"], launchType="FARGATE", networkConfiguration=network
    )
    estate.sandbox.advance(120)
    return estate


def statistics(sandbox: Sandbox, statistic: str, start: datetime, period: int = 300) -> dict[datetime, float]:
    metric = {
        "Namespace": "AWS/ECS",
        "MetricName": "CPUUtilization",
        "Dimensions": [{"Name": "ClusterName", "Value": CLUSTER}, {"Name": "ServiceName", "Value": "web"}],
    }
    found: dict[datetime, float] = {}
    pages = (
        sandbox.client("cloudwatch")
        .get_paginator("get_metric_data")
        .paginate(
            MetricDataQueries=[{"Id": "q", "MetricStat": {"Metric": metric, "Period": period, "Stat": statistic}}],
            StartTime=start,
            EndTime=sandbox.now,
        )
    )
    for page in pages:
        for result in page["MetricDataResults"]:
            found |= dict(zip(result["Timestamps"], result["Values"], strict=True))
    return found


def write(path: Path, rows: list[str]) -> Path:
    path.write_text("timestamp,value\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_gaps_stay_gaps_and_values_of_one_period_aggregate(web: Estate, tmp_path: Path) -> None:
    rows = ["2026-05-12 22:00:00,10", "2026-05-12 22:10:00,40", "2026-05-12 22:00:00,20", "2026-05-12 22:01:00,30"]
    web.sandbox.load_metrics(write(tmp_path / "m.csv", rows), "web")
    start = datetime(2026, 5, 12, 22, tzinfo=UTC)

    assert statistics(web.sandbox, "Average", start) == {start: 20.0, start + timedelta(minutes=10): 40.0}
    assert statistics(web.sandbox, "Maximum", start)[start] == 30.0


def test_a_point_stands_for_the_tasks_that_run_unless_told(web: Estate, tmp_path: Path) -> None:
    path = write(tmp_path / "m.csv", ["2026-05-12T22:00:00Z,10"])
    start = datetime(2026, 5, 12, 22, tzinfo=UTC)

    web.sandbox.load_metrics(path, "web")
    assert statistics(web.sandbox, "SampleCount", start) == {start: 3.0}
    web.sandbox.load_metrics(path, "web", tasks=7, scale=2.0)
    assert statistics(web.sandbox, "SampleCount", start) == {start: 7.0}
    assert statistics(web.sandbox, "Average", start) == {start: 20.0}


def test_align_end_moves_the_last_row_s_period_to_end_now(web: Estate, tmp_path: Path) -> None:
    rows = ["2014-02-14 14:27:00,1", "2014-02-14 14:32:00,2", "2014-02-14 14:37:00,3"]
    path = write(tmp_path / "m.csv", rows)

    old = web.sandbox.load_metrics(path, "web")
    moved = web.sandbox.load_metrics(path, "web", align_end=True)

    assert (old.expired, moved.expired) == (3, 0)
    assert moved.last_s == web.sandbox.now.timestamp() - 300
    assert moved.last_s - moved.first_s == 600


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "needs a header with the columns timestamp and value"),
        ("timestamp,value\n", "has a header but no rows"),
        ("timestamp,value\nyesterday,1\n", "line 2"),
        ("timestamp,value\n2026-05-12,nan\n2026-05-12,inf\n", "line 3: 'inf' is not a finite number"),
        ("timestamp,value\n2026-05-12\n", "line 2"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "m.csv"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(MetricFileError, match=told):
        read(path)


def test_unknown_services_and_metrics_are_refused_with_what_there_is(web: Estate, tmp_path: Path) -> None:
    path = write(tmp_path / "m.csv", ["2026-05-12T22:00:00Z,10"])

    with pytest.raises(LoadingError, match="no service 'other'; it has web"):
        web.sandbox.load_metrics(path, "other")
    with pytest.raises(LoadingError, match="'Nonsense' is not one a service has"):
        web.sandbox.load_metrics(path, "web", metric="Nonsense")
    with pytest.raises(LoadingError, match="needs a load balancer"):
        web.sandbox.load_metrics(path, "web", metric="RequestCount")


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_a_mapping_names_files_and_their_services(tmp_path: Path, suffix: str) -> None:
    entries = [
        {"file": "a.csv", "service": "web", "scale": 0.5, "align_end": True},
        {"file": "b.csv", "service": "x"},
    ]
    path = tmp_path / f"map.{suffix}"
    path.write_text(json.dumps(entries), encoding="utf-8")  # JSON is YAML too

    found = read_mapping(path)

    assert [(m.file, m.service, m.scale, m.align_end) for m in found] == [
        (tmp_path / "a.csv", "web", 0.5, True),
        (tmp_path / "b.csv", "x", 1.0, False),
    ]


@pytest.mark.parametrize(
    "entries", [[], "text", [{"file": "a.csv"}], [{"file": "a", "service": "s", "colour": "red"}],
                [{"file": "a", "service": "s", "scale": "big"}]],
)  # fmt: skip
def test_a_mapping_with_a_mistake_is_refused(tmp_path: Path, entries: Any) -> None:
    path = tmp_path / "map.json"
    path.write_text(json.dumps(entries), encoding="utf-8")

    with pytest.raises(MetricFileError):
        read_mapping(path)


def test_real_series_load_whole_with_their_gaps_and_repeats(web: Estate, shared_data: Path) -> None:
    for name in REAL:
        rows = read(shared_data / "cloudwatch" / name)
        loaded = web.sandbox.load_metrics(shared_data / "cloudwatch" / name, "web", align_end=True, tasks=1)
        start = datetime.fromtimestamp(loaded.first_s, UTC)

        counts = statistics(web.sandbox, "SampleCount", start)
        sums = statistics(web.sandbox, "Sum", start)

        days_kept = (web.sandbox.now - start).total_seconds() < 63 * 86_400
        assert days_kept
        assert sum(counts.values()) == len(rows.values)
        assert sum(sums.values()) == pytest.approx(sum(rows.values))
        periods = {int((stamp + loaded.shifted_s) // 300) for stamp in rows.timestamps_s}
        assert len(counts) == len(periods)
