"""`planner report` with what people get wrong: one sentence, the right exit code, nothing half-written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.sandbox import Sandbox
from planner import pipeline
from planner.aws import observe
from planner.prices import load
from planner.settings import Settings
from planner.terminal import BadInput, Refusal

pytestmark = pytest.mark.slow

PLANNER = Path(sys.executable).with_name("planner")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A cluster with one Fargate service that has two hours of metrics, and one without anything."""
    with Sandbox() as running:
        ecs = running.client("ecs")
        ecs.create_cluster(clusterName="young")
        ecs.create_cluster(clusterName="empty")
        made = ecs.register_task_definition(
            family="f", requiresCompatibilities=["FARGATE"], networkMode="awsvpc", cpu="256", memory="512",
            containerDefinitions=[{"name": "app", "image": "i"}],
        )  # fmt: skip
        ecs.create_service(
            cluster="young", serviceName="web", desiredCount=2, launchType="FARGATE",
            taskDefinition=made["taskDefinition"]["taskDefinitionArn"],
            networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
        )  # fmt: skip
        running.advance(300)
        yield running


def environment(sandbox: Sandbox) -> dict[str, str]:
    return {**os.environ, **sandbox.environment()}


def run(arguments: list[str], environment: dict[str, str], folder: Path) -> tuple[int, dict[str, object]]:
    command = [str(PLANNER), "report", *arguments, "--out", str(folder / "runs"), "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def left_behind(folder: Path) -> list[str]:
    return (
        sorted(p.name for p in (folder / "runs").glob("*") if p.name != "store")
        if (folder / "runs").exists()
        else []
    )


def see(
    sandbox: Sandbox, cluster: str, store: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str = ""
) -> object:
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    return observe(
        cluster,
        region="eu-west-2",
        endpoint_url=endpoint or sandbox.endpoint_url,
        as_of=sandbox.now.isoformat(),
        store=store,
    )


def test_a_cluster_that_is_not_there_is_told_with_those_that_are(sandbox: Sandbox, tmp_path: Path) -> None:
    code, told = run(
        ["--cluster", "absent", "--region", "eu-west-2", "--as-of", sandbox.now.isoformat()],
        environment(sandbox),
        tmp_path,
    )

    assert code == 2
    assert "absent" in str(told["error"])
    assert "young" in str(told["error"])
    assert left_behind(tmp_path) == []


def test_no_credentials_are_told_with_what_to_do(tmp_path: Path) -> None:
    bare = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    bare |= {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}
    code, told = run(["--cluster", "c", "--region", "eu-west-2"], bare, tmp_path)

    assert code == 2
    assert "set AWS_PROFILE or run `aws sso login`" in str(told["error"])
    assert left_behind(tmp_path) == []


def test_an_unknown_parameter_is_refused_before_anything_is_made(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("utilization: 0.7\n")
    code, told = run(["--cluster", "young", "--params", str(tmp_path / "p.yaml")], environment(sandbox), tmp_path)

    assert code == 2
    assert "did you mean utilisation?" in str(told["error"])
    assert not (tmp_path / "runs").exists()


def test_a_folder_without_prices_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    code, told = run(["--cluster", "young", "--prices", str(tmp_path)], dict(os.environ), tmp_path)

    assert code == 2
    assert f"planner prices refresh --prices {tmp_path}" in str(told["error"])
    assert not (tmp_path / "runs").exists()


def test_an_endpoint_that_nobody_answers_is_one_sentence(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadInput, match="Check --endpoint-url"):
        see(sandbox, "young", tmp_path, monkeypatch, endpoint="http://127.0.0.1:9")


def test_a_cluster_without_metrics_is_one_sentence(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadInput, match="has no metrics in the 14d before"):
        see(sandbox, "empty", tmp_path, monkeypatch)


def test_a_service_with_two_hours_of_data_is_refused_with_what_to_do(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = sandbox.now - timedelta(hours=2)
    rows = [f"{(start + timedelta(minutes=m)).isoformat()},{20 + m % 7}" for m in range(120)]
    for metric in ("CPUUtilization", "MemoryUtilization"):
        (tmp_path / f"{metric}.csv").write_text("timestamp,value\n" + "\n".join(rows) + "\n")
        sandbox.load_metrics(tmp_path / f"{metric}.csv", "web", metric=metric, cluster="young")
    seen = see(sandbox, "young", tmp_path / "store", monkeypatch)

    with pytest.raises(Refusal, match=r"web 2\.0; 48 are asked for\).*`keep: \[web\]`"):
        pipeline.settled(pipeline.plan(seen.estate, seen.points, seen.as_of, Settings(), load()))  # type: ignore[attr-defined]
