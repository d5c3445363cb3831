"""Terraform beside us: what it manages, what it would undo, and a saved plan that is signed and applied."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from deploy.approve import ApprovalRefused, approve
from deploy.diff import diff
from deploy.model import Approval, ChangeSet, CheckStatus
from deploy.observe import observe
from deploy.rollback import RollbackRefused, rollback
from deploy.sandbox import Sandbox
from deploy.terraform import apply_plan, plan_checks, show_plan
from deploy.tfstate import StateProblem, managed, read_state, undone_by_terraform, with_terraform_notes
from deploy.verbs import file_digest
from tests.deploy import estate, small
from tests.deploy.estate import Person, person
from tests.deploy.fakes import FakeCloud


def state(**attributes: Any) -> dict[str, Any]:
    return {
        "version": 4,
        "resources": [
            {
                "mode": "managed",
                "type": "aws_appautoscaling_target",
                "name": "web",
                "module": "module.scaling",
                "instances": [{"attributes": {"resource_id": f"service/{estate.CLUSTER}/web", **attributes}}],
            },
            {
                "mode": "managed",
                "type": "aws_ecs_service",
                "name": "web",
                "instances": [
                    {
                        "attributes": {
                            "name": "web",
                            "cluster": f"arn:aws:ecs:eu-west-2:1:cluster/{estate.CLUSTER}",
                            "desired_count": 4,
                            "deployment_minimum_healthy_percent": 50,
                            "ordered_placement_strategy": [],
                        }
                    }
                ],
            },
            {"mode": "managed", "type": "aws_s3_bucket", "name": "other", "instances": [{"attributes": {}}]},
        ],
    }


def changes() -> Any:
    fake, config = small.cloud(), small.bundle()
    seen = observe(config, fake)
    return diff(seen.live, seen.wanted, config).changes


def test_fields_in_terraform_s_state_are_told_with_their_address() -> None:
    undone = undone_by_terraform(changes(), managed(state(min_capacity=4, max_capacity=12), estate.CLUSTER))

    assert {(change.resource_id, change.path, address) for change, address in undone} == {
        ("scalable-target/web", "MinCapacity", "module.scaling.aws_appautoscaling_target.web"),
        ("scalable-target/web", "MaxCapacity", "module.scaling.aws_appautoscaling_target.web"),
        ("service/web", "deploymentConfiguration.minimumHealthyPercent", "aws_ecs_service.web"),
        # a block that its code leaves out is taken out again at the next apply
        ("service/web", "deploymentConfiguration.deploymentCircuitBreaker.enable", "aws_ecs_service.web"),
        ("service/web", "deploymentConfiguration.deploymentCircuitBreaker.rollback", "aws_ecs_service.web"),
        ("service/web", "placementStrategy", "aws_ecs_service.web"),
    }


def test_the_diff_shows_what_terraform_will_undo() -> None:
    found = with_terraform_notes(
        ChangeSet(changes()), managed(state(min_capacity=4, max_capacity=12), estate.CLUSTER)
    )

    noted = {(c.resource_id, c.path): c.note for c in found.changes if "Terraform" in c.note}
    told = "Terraform will undo this (module.scaling.aws_appautoscaling_target.web)"
    assert noted["scalable-target/web", "MinCapacity"] == told
    assert ("service/web", "capacityProviderStrategy") not in noted


def test_a_state_in_s3_is_read_and_a_missing_one_is_told() -> None:
    with Sandbox() as sandbox:
        s3 = sandbox.client("s3", config=Config(s3={"addressing_style": "path"}))
        s3.create_bucket(Bucket="state", CreateBucketConfiguration={"LocationConstraint": estate.REGION})
        s3.put_object(
            Bucket="state", Key="prod/terraform.tfstate", Body=json.dumps(state(min_capacity=4)).encode()
        )
        call = estate.calls_of(sandbox).call

        assert read_state("s3://state/prod/terraform.tfstate", call) == state(min_capacity=4)
        with pytest.raises(StateProblem, match="s3://state/other cannot be read"):
            read_state("s3://state/other", call)


def test_another_cluster_s_resources_are_not_ours() -> None:
    assert managed(state(min_capacity=1), "elsewhere") == ()


def test_a_file_that_is_no_state_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "terraform.tfstate"
    with pytest.raises(StateProblem, match="cannot be read"):
        read_state(str(path), dict)
    path.write_text("{}")
    with pytest.raises(StateProblem, match="not a Terraform state of version 4"):
        read_state(str(path), dict)
    path.write_text(json.dumps(state()))
    assert read_state(str(path), dict)["version"] == 4


def planned(**values: Any) -> dict[str, Any]:
    resource = {
        "mode": "managed",
        "type": "aws_appautoscaling_target",
        "name": "web",
        "values": {"resource_id": f"service/{estate.CLUSTER}/web", **values},
    }
    module = {"child_modules": [{"resources": [resource]}]}
    return {"planned_values": {"root_module": module}}


@pytest.mark.parametrize(("minimum", "status"), [(3, CheckStatus.OK), (4, CheckStatus.NG)])
def test_a_plan_is_held_against_the_bundle(minimum: int, status: CheckStatus) -> None:
    checks = plan_checks(small.bundle(), planned(min_capacity=minimum, max_capacity=20))

    found = {check.name: check for check in checks}
    assert found["scalable-target/web in Terraform's plan"].status is status
    assert found["service/web in Terraform's plan"].status is CheckStatus.SKIP


# The executor, with the resource that is built into terraform


@pytest.fixture
def saved_plan(tmp_path: Path) -> Path:
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not on this machine")
    folder = tmp_path / "tf"
    folder.mkdir()
    (folder / "main.tf.json").write_text(json.dumps({"resource": {"terraform_data": {"size": {"input": 3}}}}))
    for command in (("init",), ("plan", "-out=saved.plan")):
        subprocess.run(["terraform", *command, "-input=false"], cwd=folder, check=True, capture_output=True)
    return folder / "saved.plan"


@pytest.fixture
def maria(tmp_path: Path) -> Person:
    return person(tmp_path)


Sign = Callable[[Path], Approval]


@pytest.fixture
def fake() -> FakeCloud:
    return small.cloud()


@pytest.fixture
def sign(maria: Person, fake: FakeCloud) -> Sign:
    def signed(plan: Path) -> Approval:
        config = small.bundle()
        seen = observe(config, fake)
        return approve(
            config,
            seen,
            plan_checks(config, show_plan(plan.parent, plan)),
            diff(seen.live, seen.wanted, config),
            approver=maria.name,
            reason="through Terraform",
            now=fake.clock.now(),
            expires_in=estate.EIGHT_HOURS,
            cost_ceiling_usd_per_month=1000,
            signer=maria.signer,
            executor="terraform",
            terraform_plan_sha256=file_digest(plan),
        )

    return signed


@pytest.mark.terraform
def test_the_signed_plan_is_applied_once_and_stale_afterwards(
    saved_plan: Path, sign: Sign, maria: Person, fake: FakeCloud, tmp_path: Path
) -> None:
    approval, world = sign(saved_plan), small.world(fake)
    run = (small.bundle(), approval, [maria.approver], world, tmp_path / "journal", saved_plan.parent, saved_plan)
    outcome = apply_plan(*run)

    assert outcome.succeeded
    assert (saved_plan.parent / "terraform.tfstate").exists()
    with pytest.raises(RollbackRefused, match="This run was Terraform's"):
        rollback(Path(outcome.journal), world)
    fake.clock.sleep(1)
    again = apply_plan(*run)
    assert not again.succeeded
    assert again.failure is not None
    assert "stale" in again.failure.reason


@pytest.mark.terraform
def test_another_plan_file_than_the_signed_one_is_refused(
    saved_plan: Path, sign: Sign, maria: Person, fake: FakeCloud, tmp_path: Path
) -> None:
    approval = sign(saved_plan)
    saved_plan.write_bytes(saved_plan.read_bytes() + b"x")

    with pytest.raises(ApprovalRefused, match="not for the plan file"):
        apply_plan(
            small.bundle(),
            approval,
            [maria.approver],
            small.world(fake),
            tmp_path / "j",
            saved_plan.parent,
            saved_plan,
        )
    assert not (saved_plan.parent / "terraform.tfstate").exists()


@pytest.mark.terraform
def test_a_deployment_that_was_rolled_back_fails_the_run_although_terraform_was_content(
    saved_plan: Path, sign: Sign, maria: Person, fake: FakeCloud, tmp_path: Path
) -> None:
    fake.outcome = lambda _service: "ROLLBACK_SUCCESSFUL"
    approval = sign(saved_plan)
    fake._deploy("web", "arn:aws:ecs:eu-west-2:123456789012:task-definition/web:2")
    outcome = apply_plan(
        small.bundle(),
        approval,
        [maria.approver],
        small.world(fake),
        tmp_path / "j",
        saved_plan.parent,
        saved_plan,
    )

    assert not outcome.succeeded
    assert outcome.failure is not None
    assert outcome.failure.stop_reasons
