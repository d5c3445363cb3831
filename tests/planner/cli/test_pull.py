"""`planner pull` and `planner metrics status` against an emulated AWS on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from deploy.sandbox import Sandbox
from deploy.sandbox.series import MetricKey
from planner.cli import metrics, pull
from planner.metrics import MetricStore, clean, usage
from planner.terminal import BadInput, Refusal

MINUTES = 36 * 60


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A cluster with one Fargate service of two tasks of half a vCPU, and a day and a half of metrics."""
    with Sandbox() as running:
        ecs = running.client("ecs")
        ecs.create_cluster(clusterName="prod")
        ecs.register_task_definition(
            family="web",
            cpu="512",
            memory="1024",
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            containerDefinitions=[{"name": "app", "image": "app:1"}],
        )
        subnet = running.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
        ecs.create_service(
            cluster="prod",
            serviceName="web",
            taskDefinition="web",
            desiredCount=2,
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet]}},
        )
        now_s = running.now.timestamp() // 60 * 60
        times = np.arange(now_s - 60 * MINUTES, now_s, 60.0)
        for metric, value in (("CPUUtilization", 40.0), ("MemoryUtilization", 75.0)):
            key = MetricKey.of("AWS/ECS", metric, {"ClusterName": "prod", "ServiceName": "web"})
            running.metrics().add(key, np.repeat(times, 2), np.full(2 * MINUTES, value), unit="Percent")
        yield running


@pytest.fixture
def run(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command line; returns (exit code, output as JSON or text)."""
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    app = typer.Typer()
    pull.register(app)
    metrics.register(app)

    def call(*arguments: str) -> tuple[int, Any]:
        result = CliRunner().invoke(app, list(arguments))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        text = result.stdout
        return result.exit_code, json.loads(text) if "--json" in arguments else result.output

    return call


def arguments(sandbox: Sandbox, store: Path, *more: str) -> list[str]:
    found = ["pull", "--cluster", "prod", "--since", "1d", "--store", str(store)]
    return [*found, "--endpoint-url", sandbox.endpoint_url, "--as-of", sandbox.now.isoformat(), "--json", *more]


def test_a_pull_fills_the_archive_and_usage_comes_out_in_vcpu(run: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    code, report = run(*arguments(sandbox, tmp_path))

    assert code == 0, report["refusals"]
    store = MetricStore(tmp_path)
    now = sandbox.now
    points, cleaning = clean(store.read("prod", start=now - timedelta(days=1), end=now))
    found = usage(points, store.latest_estate("prod"))
    assert len(found) == 1440
    # 40 % of two tasks of half a vCPU; 75 % of two times 1,024 MiB
    assert np.allclose(found["cpu_used_vcpu"], 0.4)
    assert np.allclose(found["memory_used_mib"], 1536)
    assert cleaning.total("gaps") == 0


def test_a_second_pull_asks_for_the_last_two_hours_only(run: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    _, first = run(*arguments(sandbox, tmp_path))

    _, second = run(*arguments(sandbox, tmp_path))

    assert second["already_stored"] > 0.9 * first["datapoints"]
    assert second["datapoints"] < 0.1 * first["datapoints"]


def test_a_dry_run_shows_the_price_and_reads_no_datapoint(run: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    code, report = run(*arguments(sandbox, tmp_path, "--dry-run"))

    assert (code, report["datapoints"], report["dry_run"]) == (0, 0, True)
    assert MetricStore(tmp_path).clusters() == []


def test_a_pull_dearer_than_the_limit_is_refused_with_its_price(
    run: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    with pytest.raises(Refusal, match=r"would cost \$0\.00\d+, more than --max-usd 0\.0"):
        run(*arguments(sandbox, tmp_path, "--max-usd", "0"))


def test_a_wrong_cluster_is_refused_by_naming_those_that_exist(run: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    wrong = [*arguments(sandbox, tmp_path)]
    wrong[2] = "staging"

    with pytest.raises(BadInput, match=r"No cluster 'staging' in Region eu-west-2: these clusters exist: prod"):
        run(*wrong)


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("--since", "a fortnight", "is not a length of time"),
        ("--as-of", "tomorrow", "is not a moment"),
        ("--period", "61", "is not 60, 300 or 3600"),
        ("--endpoint-url", "sandbox", "is not a URL"),
    ],
)
def test_an_option_that_cannot_be_read_is_told(
    run: Any, sandbox: Sandbox, tmp_path: Path, option: str, value: str, problem: str
) -> None:
    with pytest.raises(BadInput, match=problem):
        run(*arguments(sandbox, tmp_path, option, value))


def test_a_store_that_cannot_be_written_is_told(run: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")

    with pytest.raises(BadInput, match="cannot be written"):
        run(*arguments(sandbox, file))


def test_status_tells_coverage_by_service_and_day(run: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    run(*arguments(sandbox, tmp_path))

    code, found = run("metrics", "status", "--store", str(tmp_path), "--json")
    _, text = run("metrics", "status", "--store", str(tmp_path))

    (cluster,) = found["clusters"]
    covered = {
        row["day"]: row["covered"]
        for row in cluster["coverage"]
        if (row["resource"], row["metric"]) == ("service/web", "CPUUtilization")
    }
    assert code == 0
    assert covered[(sandbox.now - timedelta(days=1)).date().isoformat()] > 0
    assert {m["metric"] for m in cluster["metrics"]} >= {"CPUUtilization", "MemoryUtilization"}
    assert "service/web" in text


def test_the_status_of_an_empty_store_says_what_to_do(run: Any, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is empty: run `planner pull"):
        run("metrics", "status", "--store", str(tmp_path))
