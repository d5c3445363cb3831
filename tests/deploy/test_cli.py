"""The command line from plan.json to a verified estate and back: exit codes, JSON, one-sentence errors."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from deploy.cli import _register_verbs, app
from deploy.sandbox import Sandbox
from planner import terminal
from planner.documents import dump_plan
from tests.deploy import estate
from tests.deploy.estate import person

Deploy = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module", autouse=True)
def _verbs() -> None:
    if not app.registered_commands:
        _register_verbs()


@pytest.fixture
def deploy(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Deploy:
    """Run `deploy ...` with --json; the exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECS_DEPLOY_APPROVERS", str(tmp_path / "approvers.json"))
    for name, value in {"AWS_ACCESS_KEY_ID": "sandbox", "AWS_SECRET_ACCESS_KEY": "sandbox"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)

    def run(*arguments: str) -> tuple[int, Any]:
        monkeypatch.setattr(sys, "argv", ["deploy", *arguments, "--json"])
        with pytest.raises(SystemExit) as ended:
            terminal.run(app, "deploy")
        printed = capsys.readouterr().out
        return int(ended.value.code or 0), json.loads(printed) if printed else None

    return run


def _with_images(sandbox: Sandbox) -> None:
    ecr = sandbox.client("ecr")
    ecr.create_repository(repositoryName="web")
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind})
    ecr.put_image(repositoryName="web", imageManifest=manifest, imageTag="1.0")


def test_from_plan_to_verified_and_back(deploy: Deploy, sandbox: Sandbox, tmp_path: Path) -> None:
    _with_images(sandbox)
    at = ("--endpoint-url", sandbox.endpoint_url)
    dump_plan(estate.plan_for(("web",)), tmp_path / "plan.json")

    code, emitted = deploy("emit", "plan.json", "--format", "aws", "--out", "bundle")
    assert (code, emitted["resources"]) == (0, 10)
    assert len(emitted["files"]) == 10
    code, shown = deploy("diff", "bundle", *at)
    assert code == 1
    assert {c["effect"] for c in shown["changes"]} >= {"creates", "restarts tasks", "only money"}
    code, checked = deploy("check", "bundle", *at)
    assert (code, checked["ok"]) == (0, True), [c for c in checked["checks"] if c["status"] == "NG"]

    code, made = deploy("keys", "new", "--out", "maria.pem")
    assert code == 0
    assert deploy("keys", "trust", made["public_key"], "--name", "Maria Approver")[0] == 0
    give = ("--key", "maria.pem", "--reason", "cheaper by a third", "--expires", "8h", "--cost-ceiling", "600")
    code, refused = deploy("approve", "bundle", *give, "--approver", "Planning Robot", *at)
    assert (code, refused["error"]) == (
        1,
        "Planning Robot wrote the plan and cannot approve it: ask somebody else.",
    )
    assert (
        deploy("approve", "bundle", *give, "--approver", "Maria Approver", "--out", "approval.json", *at)[0] == 0
    )

    code, outcome = deploy("apply", "bundle", "--approval", "approval.json", "--journal", "journal", *at)
    assert (code, outcome["succeeded"]) == (0, True), outcome
    assert deploy("verify", "bundle", *at)[0] == 0
    assert deploy("diff", "bundle", *at)[0] == 0
    assert deploy("drift", "--journal", "journal", *at) == (0, {"drift": []})
    code, runs = deploy("history", "--journal", "journal")
    assert [(r["state"], r["approver"]) for r in runs["runs"]] == [("succeeded", "Maria Approver")]
    assert deploy("history", "verify", "--journal", "journal")[0] == 0

    code, back = deploy("rollback", "--journal", outcome["journal"], *at)
    assert (code, back["succeeded"]) == (0, True), back
    assert deploy("diff", "bundle", *at)[1]["changes"] == shown["changes"]
    assert deploy("history", "--journal", "journal")[1]["runs"][0]["state"] == "taken back"


def test_a_patch_is_a_bundle_that_changes_one_image(deploy: Deploy, sandbox: Sandbox, tmp_path: Path) -> None:
    image = f"{estate.ACCOUNT}.dkr.ecr.eu-west-2.amazonaws.com/web:2.0"
    at = ("--region", "eu-west-2", "--endpoint-url", sandbox.endpoint_url)
    who = ("--cluster", estate.CLUSTER, "--author", "Ops")

    assert deploy("patch", "--service", "web", "--image", image, *who, "--out", "patch", *at)[0] == 0
    _, shown = deploy("diff", "patch", *at)
    changed = {(c["resource_id"], c["path"]): c["after"] for c in shown["changes"]}
    assert changed["task-definition/web", "containers.web.image"] == image
    assert {name for name, _ in changed} == {"task-definition/web", "service/web"}
    code, refused = deploy("patch", "--service", "nothing", "--image", image, *who, *at)
    assert code == 2
    assert "There is no service nothing" in refused["error"]


def test_bad_input_is_one_sentence_and_exit_2(deploy: Deploy, tmp_path: Path) -> None:
    (tmp_path / "torn.json").write_text('{"kind": "pla')

    code, told = deploy("emit", "torn.json", "--out", "bundle")
    assert code == 2
    assert "it is not whole JSON" in told["error"]
    assert not (tmp_path / "bundle").exists()
    code, told = deploy("diff", "nowhere")
    assert code == 2
    assert "Make the bundle again" in told["error"]
    code, told = deploy("rollback", "--journal", "nowhere.jsonl")
    assert code == 2
    assert "cannot be read" in told["error"]


def test_an_endpoint_that_does_not_answer_is_told(deploy: Deploy, tmp_path: Path) -> None:
    dump_plan(estate.plan_for(("web",)), tmp_path / "plan.json")
    deploy("emit", "plan.json", "--out", "bundle")

    code, told = deploy("diff", "bundle", "--endpoint-url", "http://127.0.0.1:9")
    assert code == 2
    assert "--endpoint-url" in told["error"]


def test_another_account_is_refused_before_anything_is_read(
    deploy: Deploy, sandbox: Sandbox, tmp_path: Path
) -> None:
    plan = estate.plan_for(("web",))
    elsewhere = plan.model_copy(update={"scope": plan.scope.model_copy(update={"account_id": "999999999999"})})
    dump_plan(elsewhere, tmp_path / "plan.json")
    deploy("emit", "plan.json", "--out", "bundle")

    code, told = deploy("diff", "bundle", "--endpoint-url", sandbox.endpoint_url)
    assert code == 2
    assert "The bundle is for account 999999999999" in told["error"]


def test_terraform_and_cloudformation_are_written_too(deploy: Deploy, tmp_path: Path) -> None:
    dump_plan(estate.plan_for(("web",)), tmp_path / "plan.json")

    _, terraform = deploy("emit", "plan.json", "--format", "terraform", "--out", "tf")
    _, formation = deploy("emit", "plan.json", "--format", "cloudformation", "--out", "cfn")
    names = [Path(f).name for f in terraform["files"]]
    assert names == ["main.tf.json", "variables.tf.json", "planner.auto.tfvars.json"]
    assert [Path(f).name for f in formation["files"]] == ["template.json"]
    assert terraform["sha256"] == formation["sha256"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("diff", "bundle", "--endpoint-url", "nonsense"), "is no URL"),
        (("approve", "bundle", "--executor", "ansible"), "'ansible' is not one of"),
        (("apply", "bundle", "--approval", "list.json", "--journal", "j"), "as `deploy approve` writes it"),
        (("apply", "bundle", "--approval", "empty.json", "--journal", "j"), "it has no 'statement'"),
        (("emit", "plan.json", "--out", "taken"), "taken cannot be used"),
        (("rollback", "--journal", "none.jsonl"), "cannot be read"),
        (("patch", "--service", "web", "--image", "x", "--cluster", "c", "--author", "me"), "Say the Region"),
        (("refresh", "--provider", "p", "--cluster", "c", "--author", "me"), "Say the Region"),
    ],
)
def test_every_bad_input_is_a_sentence_with_exit_2(
    deploy: Deploy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], told: str
) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    dump_plan(estate.plan_for(("web",)), tmp_path / "plan.json")
    assert deploy("emit", "plan.json", "--out", "bundle")[0] == 0
    key = person(tmp_path)
    (tmp_path / "approvers.json").write_text(json.dumps({"approvers": [asdict(key.approver)]}))
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "empty.json").write_text("{}")
    (tmp_path / "taken").write_text("a file")

    code, answer = deploy(*arguments)
    assert code == 2
    assert told in answer["error"]
