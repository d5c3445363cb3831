"""The kernel as a frontend meets it: the runbook in and out of order, bad input, and that nothing is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.kernel.record import read_record
from planner.documents import dump_config
from tests.deploy.kernel.runbook import Kernel, Runbook, environment, kernel, runbook

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runbook]:
    with runbook(tmp_path_factory.mktemp("runbook")) as made, environment(made):
        yield made


@pytest.fixture(scope="module")
def shell(ready: Runbook) -> Iterator[Kernel]:
    with kernel() as started:
        yield started


ORDER = [
    ("%check", "%plan"),
    ("%diff", "%plan"),
    ("%approve approval.json", "%plan"),
    ("%apply", "%plan"),
    ("%verify", "%plan"),
    ("%watch", "%plan"),
    ("%drift", "%plan"),
]

TYPOS = [
    ("%aply", "did you mean %apply?"),
    ("%plan", "arguments are required: bundle"),
    ("%plan a.json --jurnal x", "unrecognized arguments"),
    ('%plan "a.json', "No closing quotation"),
    ("%plan nowhere.json", "cannot be read"),
    ("%plan nowhere.json --endpoint-url 127.0.0.1", "write http://host:port"),
    ("%rollback", "needs the journal of a run"),
    ("%history nowhere.jsonl", "cannot be read"),
]


@pytest.mark.parametrize(("cell", "needed"), ORDER)
def test_a_verb_before_its_turn_says_what_comes_first(shell: Kernel, cell: str, needed: str) -> None:
    answer = shell.run(cell)

    assert answer.name == "WrongOrder"
    assert f"{needed} comes first. Nothing was done." in answer.message


@pytest.mark.parametrize(("cell", "sentence"), TYPOS)
def test_a_typo_is_told_in_one_sentence(shell: Kernel, ready: Runbook, cell: str, sentence: str) -> None:
    if "--endpoint-url" in cell:
        cell = cell.replace("nowhere.json", str(ready.bundle))
    answer = shell.run(cell)

    assert answer.status == "error"
    assert sentence in answer.message
    assert "\n" not in answer.message


def test_python_magics_widgets_and_completion_work_as_in_any_kernel(shell: Kernel) -> None:
    assert shell.run("sum(range(10))").text == ["45"]
    assert shell.run("import ipywidgets; ipywidgets.IntSlider(value=3)").status == "ok"
    assert (
        "Carry out the approved bundle" in shell.run("print(get_ipython().find_line_magic('apply').__doc__)").shown
    )
    assert "%apply" in complete(shell, "%app")
    assert "--cost-ceiling" in complete(shell, "%approve --co")


def complete(shell: Kernel, code: str) -> list[str]:
    shell.client.complete(code)
    while True:
        message = shell.client.get_shell_msg(timeout=30)
        if message["msg_type"] == "complete_reply":
            return list(message["content"]["matches"])


def test_a_cell_writes_nothing_and_finds_no_credentials(shell: Kernel, ready: Runbook) -> None:
    cell = f"""
import boto3
boto3.client("ecs", endpoint_url={ready.sandbox.endpoint_url!r}, region_name="eu-west-2",
             aws_access_key_id="a", aws_secret_access_key="b").create_cluster(clusterName="evil")
"""
    answer = shell.run(cell)
    child = shell.run("import subprocess; print(subprocess.run('env', capture_output=True, text=True).stdout)")

    assert answer.name == "WriteRefused"
    assert answer.message.startswith("ecs:CreateCluster is not known to be a read.")
    assert "AWS_SECRET_ACCESS_KEY" not in child.shown
    assert "AWS_SHARED_CREDENTIALS_FILE=/dev/null" in child.shown
    assert ready.writes() == []


def test_a_bundle_for_another_account_is_refused(shell: Kernel, ready: Runbook, tmp_path: Path) -> None:
    scope = ready.config.scope.model_copy(update={"account_id": "999999999999"})
    dump_config(ready.config.model_copy(update={"scope": scope}), tmp_path / "other.json")

    answer = shell.run(ready.plan.replace(str(ready.bundle), str(tmp_path / "other.json")))

    assert "is for account 999999999999 in eu-west-2" in answer.message
    assert ready.writes() == []


def test_a_bundle_for_another_region_is_refused(shell: Kernel, ready: Runbook) -> None:
    answer = shell.run(f"{ready.plan} --region eu-west-1")

    assert "in eu-west-2, but this kernel is in 123456789012 in eu-west-1" in answer.message


def test_bad_approvals_stop_at_the_gate(shell: Kernel, ready: Runbook, tmp_path: Path) -> None:
    gate = [ready.plan, "%check", "%diff"]
    for cell in gate:
        assert shell.run(cell).status == "ok"
    good = ready.approval.read_text()
    spoilt = tmp_path / "spoilt.json"

    data = json.loads(good)
    data["statement"]["cost_ceiling_usd_per_month"] += 1
    spoilt.write_text(json.dumps(data))
    assert "it was altered after it was signed" in shell.run(f"%approve {spoilt}").message
    assert "nobody has approved it" in shell.run("%apply").message

    ready.approve(now=datetime.now(UTC) - timedelta(hours=3), expires_in=timedelta(hours=1))
    expired = shell.run(f"%approve {ready.approval}").message
    ready.approval.write_text(good)
    assert "expired" in expired

    altered = ready.config.model_copy(update={"author": "Somebody Else"})
    dump_config(altered, tmp_path / "altered.json")
    for cell in (ready.plan.replace(str(ready.bundle), str(tmp_path / "altered.json")), "%check", "%diff"):
        assert shell.run(cell).status == "ok"
    assert "for another bundle" in shell.run(f"%approve {ready.approval}").message
    assert ready.writes() == []


def test_kms_signing_is_left_to_the_command_line(shell: Kernel, ready: Runbook) -> None:
    for cell in (ready.plan, "%check", "%diff"):
        assert shell.run(cell).status == "ok"
    answer = shell.run("%approve --key alias/approvers --approver Maria --reason cheaper --cost-ceiling 9999")

    assert "kms:Sign is not a read" in answer.message


def test_the_runbook_in_order_applies_verifies_and_takes_back(shell: Kernel, ready: Runbook) -> None:
    for cell in (ready.plan, "%check", "%diff", f"%approve {ready.approval}"):
        assert shell.run(cell).status == "ok", cell

    applied = shell.run("%apply")
    assert applied.status == "ok", applied.message
    assert "Applied" in applied.shown
    assert "ecs:UpdateService" in ready.writes()
    assert "none is NG" in shell.run("%verify").shown
    assert "SUCCESSFUL" in shell.run("%watch").shown
    assert "No drift" in shell.run("%drift").shown

    taken_back = shell.run("%rollback")
    assert taken_back.status == "ok", taken_back.message
    service = ready.sandbox.client("ecs").describe_services(cluster="public-services", services=["web"])
    assert service["services"][0]["taskDefinition"].endswith("web:1")


def test_the_record_holds_cells_verbs_calls_decisions_and_people(shell: Kernel, ready: Runbook) -> None:
    shell.run("password = 'hunter2-is-my-secret'")
    shown = shell.run("%history")
    assert "the chain holds" in shown.shown
    lines = read_record(ready.records[-1])
    kinds = {line.kind for line in lines}

    assert kinds >= {"cell", "verb", "outcome", "call", "decision"}
    assert any(line.body.get("by") == ready.approver.name for line in lines)
    assert {"call": "ecs:UpdateService", "verdict": "step", "reason": ""} in [dict(line.body) for line in lines]
    assert "hunter2" not in ready.records[-1].read_text()


@pytest.mark.parametrize(
    "cell",
    [
        "import botocore.client\nbotocore.client.BaseClient._make_api_call = None",
        "import deploy.kernel.operations\ndeploy.kernel.operations.is_read = lambda *_: True",
        "import socket\nsocket.create_connection = lambda *_: 1 / 0",
    ],
)
def test_tampering_ends_the_kernel_s_use(ready: Runbook, cell: str) -> None:
    with kernel() as started:
        answer = started.run(cell)
        after = started.run(ready.plan)

    assert answer.name == "GuardTampered"
    assert "no AWS call is made until the kernel is restarted. Nothing was written." in answer.message
    assert after.name == "GuardTampered"


def test_a_changed_library_opens_no_run(ready: Runbook) -> None:
    with kernel() as started:
        started.run("import deploy.execute\ndeploy.execute.Executor.execute = lambda *_: None")
        for cell in (ready.plan, "%check", "%diff", f"%approve {ready.approval}"):
            started.run(cell)
        writes = list(ready.writes())
        answer = started.run("%apply")

    assert answer.name == "GuardTampered"
    assert "deploy.execute.Executor.execute was changed" in answer.message
    assert ready.writes() == writes


def test_a_cell_cannot_trust_its_own_key(ready: Runbook, tmp_path: Path) -> None:
    """The allow-list is read when the kernel starts; what a cell adds to it later counts for nothing."""
    forge = f"""
from pathlib import Path
from deploy.keys import local_approver, new_key, trust
public = new_key(Path({str(tmp_path / "eve.pem")!r}))
trust(Path({str(ready.folder / "approvers.json")!r}), local_approver("Eve", public))
"""
    before = (ready.folder / "approvers.json").read_bytes()
    with kernel() as started:
        for cell in (forge, ready.plan, "%check", "%diff"):
            assert started.run(cell).status == "ok"
        answer = started.run(
            f"%approve --key {tmp_path / 'eve.pem'} --approver Eve --reason mine --cost-ceiling 99999"
        )
    (ready.folder / "approvers.json").write_bytes(before)

    assert "not on the list of approvers" in answer.message


def test_the_notebooks_stop_under_the_plain_python_kernel(ready: Runbook) -> None:
    with kernel("python3") as started:
        answer = started.run("%load_ext deploy.kernel")

    assert answer.name == "KernelRefusal"
    assert 'needs the kernel "ECS deploy"' in answer.message
    assert "Nothing was written." in answer.message
