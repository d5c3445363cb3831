"""The IAM policies under docs/iam hold what the tools really call: nothing missing, nothing to spare."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import iam
from deploy.drift import drift
from deploy.emit import config_from_plan
from deploy.refresh import refresh
from deploy.rollback import rollback
from deploy.sandbox import Sandbox
from deploy.verbs import check_bundle
from deploy.verify import verify
from tests.conftest import ROOT
from tests.deploy import estate
from tests.deploy.test_on_sandbox import run
from tests.deploy.test_routing import plan as routing_plan


def recorded(sandbox: Sandbox) -> set[str]:
    return {f"{call.service}:{call.operation}" for call in sandbox.calls}


def test_the_deploying_policy_holds_every_call_of_a_whole_run_and_no_other(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        estate.build(sandbox, ("web",))
        world, maria = estate.world_of(sandbox, tmp_path), estate.person(tmp_path)
        config = config_from_plan(estate.plan_for(("web",)))
        sandbox.forget_calls()
        check_bundle(config, estate.cloud_of(sandbox))
        outcome = run(config, world, maria, tmp_path)
        assert outcome.succeeded
        verify(config, world.cloud, world.clock)
        drift(config, estate.cloud_of(sandbox))
        assert rollback(Path(outcome.journal), world).succeeded
        made = recorded(sandbox)

    listed = {*iam.DEPLOYING_READS, *iam.DEPLOYING_WRITES} - set(iam.WHEN_USED)
    assert made - set(iam.WHEN_USED) == listed


@pytest.mark.slow
def test_the_planning_policy_holds_every_call_of_a_pull_and_no_other(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        sandbox.load_sample()
        sandbox.forget_calls()
        options = ["--since", "1h", "--store", str(tmp_path / "store"), "--endpoint-url", sandbox.endpoint_url]
        pull = "from planner.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", pull, "pull", "--cluster", "public-services", *options],
            env={**os.environ, **sandbox.environment()},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        made = recorded(sandbox)

    assert made == set(iam.PLANNING_CALLS)


@pytest.mark.parametrize(
    ("name", "document"),
    [("plan-read-only.json", iam.planning_policy()), ("deploy.json", iam.deploying_policy())],
)
def test_the_published_policies_are_those_of_the_code(name: str, document: object) -> None:
    assert json.loads((ROOT / "docs" / "iam" / name).read_text()) == document


def test_the_planning_policy_only_reads() -> None:
    for action in iam.planning_policy()["Statement"][0]["Action"]:
        assert action.split(":")[1].startswith(("Describe", "Get", "List")), action


def test_no_policy_grants_a_wildcard_action() -> None:
    for policy in (iam.planning_policy(), iam.deploying_policy()):
        for statement in policy["Statement"]:
            assert not [action for action in statement["Action"] if "*" in action]


@pytest.mark.slow
def test_routing_and_replacement_make_no_call_that_the_policy_lacks(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        estate.build(sandbox, ("web",))
        estate.add_balancer(sandbox)
        world = estate.world_of(sandbox, tmp_path)
        sandbox.forget_calls()
        routed = run(config_from_plan(routing_plan(sandbox)), world, estate.person(tmp_path), tmp_path / "routed")
        assert routed.succeeded, routed.failure
        assert rollback(Path(routed.journal), world).succeeded
        image = refresh(estate.cloud_of(sandbox), "old", "Ops", sandbox.now, "ami-0123456789abcdef0")
        replaced = run(image, world, estate.person(tmp_path, "Second Person"), tmp_path / "replaced")
        assert replaced.succeeded, replaced.failure
        made = recorded(sandbox)

    listed = {*iam.DEPLOYING_READS, *iam.DEPLOYING_WRITES, *iam.WHEN_USED}
    assert made <= listed
    named = {call for call in iam.WHEN_USED if call.startswith("elbv2:") or "TerminateInstance" in call}
    assert named <= made
