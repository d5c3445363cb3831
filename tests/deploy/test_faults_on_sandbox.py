"""The same faults where boto3, its parsers and its retries are: every call throttled, cut off, or denied."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from deploy.apply import World, apply
from deploy.emit import config_from_plan
from deploy.ports import CallFailed
from deploy.rollback import rollback
from deploy.sandbox import Sandbox
from deploy.sandbox.faults import Fault, Kind
from deploy.sandbox.replies import Call
from tests.deploy import estate
from tests.deploy.test_on_sandbox import approved, read_through_boto3

READS = (
    ("application-autoscaling", "DescribeScalableTargets"),
    ("application-autoscaling", "DescribeScalingPolicies"),
    ("application-autoscaling", "DescribeScheduledActions"),
    ("autoscaling", "DescribeAutoScalingGroups"),
    ("ec2", "DescribeLaunchTemplateVersions"),
    ("ecs", "DescribeCapacityProviders"),
    ("ecs", "DescribeClusters"),
    ("ecs", "DescribeContainerInstances"),
    ("ecs", "DescribeServiceDeployments"),
    ("ecs", "DescribeServiceRevisions"),
    ("ecs", "DescribeServices"),
    ("ecs", "ListContainerInstances"),
    ("ecs", "ListServiceDeployments"),
    ("ecs", "ListTaskDefinitions"),
)
"""Operations that only read and that the run below makes after its journal has begun; held by the first test."""


class FirstOfTwo(Fault):
    """Every first attempt fails and every second one goes through."""

    def __init__(self, kind: Kind, reads_only: bool = False) -> None:
        super().__init__("*", "*", kind)
        self.reads_only = reads_only
        self.attempts: Counter[tuple[str, str]] = Counter()

    def strikes(self, call: Call) -> bool:
        if self.reads_only and not call.operation.startswith(("Describe", "List", "Get")):
            return False
        self.attempts[call.service, call.operation] += 1
        return self.attempts[call.service, call.operation] % 2 == 1

    @property
    def spent(self) -> bool:
        return False


def test_every_call_of_an_apply_and_its_rollback_may_be_throttled(
    sandbox: Sandbox, world: World, tmp_path: Path
) -> None:
    before, maria = read_through_boto3(sandbox), estate.person(tmp_path)
    config = config_from_plan(estate.plan_for(("web",)))
    approval = approved(config, world, maria)
    throttled = FirstOfTwo("throttle")
    sandbox.faults.add(throttled)
    outcome = apply(config, approval, [maria.approver], world, tmp_path / "journal")
    assert outcome.succeeded, outcome.failure
    assert rollback(Path(outcome.journal), world).succeeded
    sandbox.faults.clear()

    assert throttled.attempts.total() > 400
    assert read_through_boto3(sandbox) == before


def test_every_read_of_an_apply_may_be_cut_off(sandbox: Sandbox, world: World, tmp_path: Path) -> None:
    maria = estate.person(tmp_path)
    config = config_from_plan(estate.plan_for(("web",)))
    approval = approved(config, world, maria)
    cut = FirstOfTwo("drop", reads_only=True)
    sandbox.faults.add(cut)

    assert apply(config, approval, [maria.approver], world, tmp_path / "journal").succeeded
    assert set(READS) <= set(cut.attempts)


@pytest.mark.slow
@pytest.mark.parametrize(("service", "operation"), READS)
def test_a_read_that_is_denied_half_way_ends_the_run_and_it_is_taken_back(
    sandbox: Sandbox, world: World, tmp_path: Path, service: str, operation: str
) -> None:
    before, maria = read_through_boto3(sandbox), estate.person(tmp_path)
    config = config_from_plan(estate.plan_for(("web",)))
    approval = approved(config, world, maria)
    # Twice the calls of one look at the account lie before the first step.
    sandbox.forget_calls()
    for _ in range(2):
        approved(config, world, maria)
    looks = sum(1 for call in sandbox.calls if (call.service, call.operation) == (service, operation))
    sandbox.fault(service, operation, "deny", nth=looks + 1)
    try:
        outcome = apply(config, approval, [maria.approver], world, tmp_path / "journal")
    except CallFailed as error:
        pytest.fail(f"it struck before the run had begun: {error}")

    assert not outcome.succeeded
    assert outcome.failure is not None
    assert operation in outcome.failure.reason
    sandbox.faults.clear()
    assert rollback(Path(outcome.journal), world).succeeded
    assert read_through_boto3(sandbox) == before
