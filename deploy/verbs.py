"""The verbs as plain functions for notebooks and the command line: files and names in, values out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.approve import ApprovalRefused, approve
from deploy.check import check
from deploy.diff import diff
from deploy.keys import KmsSigner, LocalSigner, Signer
from deploy.model import Approval, Check, WorkingHours
from deploy.observe import Observation, observe

if TYPE_CHECKING:
    from deploy.aws import AwsCloud
    from planner.documents import ConfigDocument


def signer_from(key: str, cloud: AwsCloud) -> Signer:
    """A PEM file, or the ARN or alias of a KMS key."""
    if key.startswith(("arn:aws", "alias/", "kms:")):
        return KmsSigner(cloud.calls.call, key.removeprefix("kms:"))
    return LocalSigner(Path(key))


def check_bundle(
    config: ConfigDocument, cloud: AwsCloud, terraform_state: str | None = None, force: bool = False
) -> tuple[Check, ...]:
    """Every check that comes before an approval."""
    with cloud.one_look():
        return _checks(config, cloud, observe(config, cloud), terraform_state, force)


def _checks(
    config: ConfigDocument, cloud: AwsCloud, observation: Observation, terraform_state: str | None, force: bool
) -> tuple[Check, ...]:
    from deploy.aws.preflight import AwsPreflight

    checks = check(config, observation, AwsPreflight(cloud))
    return (*checks, _terraform_check(config, cloud, observation, terraform_state, force))


def _terraform_check(
    config: ConfigDocument, cloud: AwsCloud, observation: Observation, state: str | None, force: bool
) -> Check:
    """Whether Terraform would set back what the bundle changes; forced, it is told and no longer refused."""
    from deploy.tfstate import managed, read_state, undone_by_terraform

    name = "Terraform will not undo this"
    if state is None:
        return Check.skip(name, "no Terraform state was named with --state")
    changes = diff(observation.live, observation.wanted, config).changes
    undone = undone_by_terraform(changes, managed(read_state(state, cloud.calls.call), config.scope.cluster))
    if not undone:
        return Check.ok(name, "its state holds none of the fields that change")
    told = "; ".join(f"{c.resource_id} {c.path} by {address}" for c, address in undone[:5])
    reason = f"Terraform will undo this at its next apply: {told}"
    if force:
        return Check.skip(name, f"forced although {reason}")
    return Check.ng(name, f"{reason}; change it there (the contract's variables), or pass --force")


def approve_bundle(
    config: ConfigDocument,
    cloud: AwsCloud,
    key: str,
    *,
    approver: str,
    reason: str,
    expires_in: timedelta,
    cost_ceiling_usd_per_month: float,
    working_hours: WorkingHours | None = None,
    executor: str = "boto3",
    terraform_plan: Path | None = None,
    terraform_folder: Path | None = None,
    terraform_state: str | None = None,
    force: bool = False,
) -> Approval:
    """Observe, check, then sign. ApprovalRefused says what stands against it."""
    if (executor == "terraform") != (terraform_plan is not None):
        raise ApprovalRefused("--executor terraform and --terraform-plan go together: pass both or neither.")
    with cloud.one_look():  # what is signed and what was checked are of one moment
        observation = observe(config, cloud)
        forced = force or executor == "terraform"
        checks: Sequence[Check] = _checks(config, cloud, observation, terraform_state, forced)
    if terraform_plan is not None:
        from deploy.terraform import plan_checks, show_plan

        folder = terraform_folder or terraform_plan.parent
        checks = (*checks, *plan_checks(config, show_plan(folder, terraform_plan)))
    return approve(
        config,
        observation,
        checks,
        diff(observation.live, observation.wanted, config),
        approver=approver,
        reason=reason,
        now=cloud.calls.clock.now(),
        expires_in=expires_in,
        cost_ceiling_usd_per_month=cost_ceiling_usd_per_month,
        signer=signer_from(key, cloud),
        working_hours=working_hours,
        executor=executor,
        terraform_plan_sha256=None if terraform_plan is None else file_digest(terraform_plan),
    )


def file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
