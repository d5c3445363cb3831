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
from deploy.observe import observe

if TYPE_CHECKING:
    from deploy.aws import AwsCloud
    from planner.documents import ConfigDocument


def signer_from(key: str, cloud: AwsCloud) -> Signer:
    """A PEM file, or the ARN or alias of a KMS key."""
    if key.startswith(("arn:aws", "alias/", "kms:")):
        return KmsSigner(cloud.calls.call, key.removeprefix("kms:"))
    return LocalSigner(Path(key))


def check_bundle(config: ConfigDocument, cloud: AwsCloud) -> tuple[Check, ...]:
    """Every check that comes before an approval."""
    from deploy.aws.preflight import AwsPreflight

    return check(config, cloud, AwsPreflight(cloud))


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
) -> Approval:
    """Observe, check, then sign. ApprovalRefused says what stands against it."""
    observation = observe(config, cloud)
    checks: Sequence[Check] = check_bundle(config, cloud)
    if (executor == "terraform") != (terraform_plan is not None):
        raise ApprovalRefused("--executor terraform and --terraform-plan go together: pass both or neither.")
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
