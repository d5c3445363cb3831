"""The runbook notebooks: thin, parameterised, stored without outputs, and run by papermill against the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from papermill.exceptions import PapermillExecutionError

from deploy.approve import approve, dump_approval
from deploy.diff import diff
from deploy.observe import observe
from deploy.session import read_bundle
from deploy.verbs import check_bundle
from tests.conftest import ROOT
from tests.deploy.estate import EIGHT_HOURS, cloud_of
from tests.deploy.kernel.runbook import Runbook, environment, runbook

NOTEBOOKS = {
    "deploy": ["bundle", "approval", "journal", "endpoint_url", "region"],
    "rollback": ["journal", "force", "endpoint_url", "region"],
    "patch": ["service", "image", "cluster", "author", "out", "approval", "journal", "endpoint_url", "region"],
    "drill": ["bundle", "approval", "journal", "endpoint_url", "region", "zone", "day", "hours", "lost_at"],
}


def path_of(name: str) -> Path:
    return ROOT / "notebooks" / f"{name}.ipynb"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_thin_and_stored_without_outputs(name: str) -> None:
    notebook = nbformat.read(path_of(name), 4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    verbs = [cell for cell in code if "parameters" not in cell.metadata.get("tags", [])]

    assert notebook.metadata.kernelspec.name == "ecs-deploy"
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert all(line.startswith("%") for cell in verbs for line in cell.source.splitlines())


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_parameters_are_the_ones_that_papermill_reads(name: str) -> None:
    told = papermill.inspect_notebook(str(path_of(name)))

    assert list(told) == NOTEBOOKS[name]
    assert all(parameter["help"] for parameter in told.values())


def execute(name: str, out: Path, parameters: dict[str, Any]) -> Any:
    return papermill.execute_notebook(str(path_of(name)), str(out), parameters=parameters, progress_bar=False)


def texts(notebook: Any) -> str:
    """Everything the notebook shows, as plain text."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runbook]:
    with runbook(tmp_path_factory.mktemp("notebooks")) as made, environment(made):
        yield made


def running_definition(ready: Runbook) -> str:
    ecs = ready.sandbox.client("ecs")
    service = ecs.describe_services(cluster="public-services", services=["web"])["services"][0]
    return str(service["taskDefinition"]).rsplit("/", 1)[-1]


@pytest.mark.slow
def test_a_failing_gate_stops_the_run_and_says_why_at_the_top(ready: Runbook, tmp_path: Path) -> None:
    wrong = tmp_path / "approval.json"
    wrong.write_text(ready.approval.read_text().replace('"cheaper at', '"dearer at'))

    with pytest.raises(PapermillExecutionError):
        execute("deploy", tmp_path / "stopped.ipynb", {**ready.parameters, "approval": str(wrong)})
    stopped = nbformat.read(tmp_path / "stopped.ipynb", 4)
    first_shown = next(cell for cell in stopped.cells if cell.get("outputs") and "%plan" in cell.source)
    not_run = [cell for cell in stopped.cells if cell.source in {"%apply", "%verify"}]

    assert "stopped at %approve" in first_shown.outputs[0]["data"]["text/plain"]
    assert "altered after it was signed" in first_shown.outputs[0]["data"]["text/plain"]
    assert [cell.execution_count for cell in not_run] == [None, None]
    assert ready.writes() == []


@pytest.mark.slow
def test_deploy_then_rollback(ready: Runbook, tmp_path: Path) -> None:
    shown = texts(execute("deploy", tmp_path / "deploy.ipynb", ready.parameters))

    assert "ECS deploy: %verify is done" in shown
    assert "none is NG" in shown
    assert "the chain holds" in shown
    assert running_definition(ready) == "web:2"

    place = {name: ready.parameters[name] for name in ("journal", "endpoint_url", "region")}
    shown = texts(execute("rollback", tmp_path / "rollback.ipynb", place))

    assert "Taken back" in shown
    assert running_definition(ready) == "web:1"


@pytest.mark.slow
def test_patch_waits_for_its_approval_and_then_changes_the_image_alone(ready: Runbook, tmp_path: Path) -> None:
    push_tagged(ready, "1.1")
    image = "123456789012.dkr.ecr.eu-west-2.amazonaws.com/web:1.1"
    parameters = {
        "service": "web",
        "image": image,
        "author": "Dev Eloper",
        "out": str(tmp_path / "patch"),
        "approval": str(tmp_path / "approval.json"),
        "journal": str(tmp_path / "journal"),
        "endpoint_url": ready.sandbox.endpoint_url,
        "region": ready.sandbox.region,
    }
    with pytest.raises(PapermillExecutionError, match="cannot be read"):
        execute("patch", tmp_path / "first.ipynb", parameters)
    sign(ready, tmp_path / "patch", tmp_path / "approval.json")

    shown = texts(execute("patch", tmp_path / "second.ipynb", parameters))

    ecs = ready.sandbox.client("ecs")
    definition = ecs.describe_task_definition(taskDefinition=running_definition(ready))["taskDefinition"]
    assert "none is NG" in shown
    assert [c["image"] for c in definition["containerDefinitions"]] == [image]
    assert definition["containerDefinitions"][0]["environment"] == [{"name": "COLOUR", "value": "top-secret-blue"}]
    assert "top-secret-blue" not in (tmp_path / "second.ipynb").read_text()


def push_tagged(ready: Runbook, tag: str) -> None:
    ecr = ready.sandbox.client("ecr")
    held = ecr.batch_get_image(repositoryName="web", imageIds=[{"imageTag": "1.0"}])["images"][0]
    ecr.put_image(repositoryName="web", imageManifest=held["imageManifest"], imageTag=tag)


def sign(ready: Runbook, bundle: Path, out: Path) -> None:
    config = read_bundle(bundle)
    cloud = cloud_of(ready.sandbox)
    observation = observe(config, cloud)
    approval = approve(
        config,
        observation,
        check_bundle(config, cloud),
        diff(observation.live, observation.wanted, config),
        approver=ready.approver.name,
        reason="a fixed library",
        now=config.created_at,
        expires_in=EIGHT_HOURS,
        cost_ceiling_usd_per_month=1,
        signer=ready.approver.signer,
    )
    dump_approval(approval, out)
