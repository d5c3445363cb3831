"""A person's signature over exactly one bundle, one observed state, one set of checks, with limits. Pure but for
the signer it is handed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from deploy.keys import Approver, Signer, verifies
from deploy.model import Approval, ChangeSet, Check, CheckStatus, Statement, WorkingHours
from deploy.observe import Observation
from planner.documents import ConfigDocument, canonical_bytes, digest
from planner.documents.canonical import DocumentError, write
from planner.units import usd_per_month

MAX_MESSAGE_BYTES = 4096
"""What KMS signs as RAW."""
MAX_EXPIRY = timedelta(days=7)


class ApprovalRefused(Exception):
    """The approval cannot be given, or does not cover what is to be done; the message says why."""


def approve(
    config: ConfigDocument,
    observation: Observation,
    checks: Sequence[Check],
    changes: ChangeSet,
    *,
    approver: str,
    reason: str,
    now: datetime,
    expires_in: timedelta,
    cost_ceiling_usd_per_month: float,
    signer: Signer,
    working_hours: WorkingHours | None = None,
    executor: str = "boto3",
    terraform_plan_sha256: str | None = None,
) -> Approval:
    """Sign. ApprovalRefused when a check is NG, the cost is over the ceiling, or the author approves."""
    _refuse_unfit(config, observation, checks, cost_ceiling_usd_per_month)
    _refuse_person(config.author, approver, reason)
    if not timedelta(0) < expires_in <= MAX_EXPIRY:
        raise ApprovalRefused("An approval is valid for more than nothing and at most 7 days: change --expires.")
    statement = Statement(
        bundle_sha256=digest(config),
        observed_sha256=observation.sha256,
        checks_sha256=checks_digest(checks),
        changes_sha256=changes.digest,
        account_id=config.scope.account_id,
        region=config.scope.region,
        cluster=config.scope.cluster,
        author=config.author,
        approver=approver,
        reason=reason,
        approved_at=now.isoformat(),
        expires_at=(now + expires_in).isoformat(),
        cost_ceiling_usd_per_month=cost_ceiling_usd_per_month,
        algorithm=signer.algorithm,
        key_id=signer.key_id,
        executor=executor,
        terraform_plan_sha256=terraform_plan_sha256,
        working_hours=working_hours,
    )
    message = statement_bytes(statement)
    if len(message) > MAX_MESSAGE_BYTES:
        raise ApprovalRefused(
            f"The statement has {len(message)} bytes, over {MAX_MESSAGE_BYTES}: shorten --reason."
        )
    signature = base64.b64encode(signer.sign(message)).decode()
    return Approval(statement, signature, observation.digests, tuple(checks))


def _refuse_unfit(
    config: ConfigDocument, observation: Observation, checks: Sequence[Check], ceiling: float
) -> None:
    if observation.problems:
        first = observation.problems[0]
        raise ApprovalRefused(f"{first.what} {first.reason}.")
    failed = [check for check in checks if check.status is CheckStatus.NG]
    if failed:
        raise ApprovalRefused(f"Check {failed[0].name} is NG: {failed[0].reason}")
    over = cost_problem(config, ceiling)
    if over is not None:
        raise ApprovalRefused(over)


def cost_problem(config: ConfigDocument, ceiling_usd_per_month: float) -> str | None:
    """Why the bundle's cost is not under the ceiling. A bundle without a price changes no size, so no cost."""
    if config.plan_usd_per_hour is None:
        return None
    monthly = usd_per_month(config.plan_usd_per_hour)
    if monthly <= ceiling_usd_per_month:
        return None
    return (
        f"The plan costs {monthly:,.2f} USD a month, over the ceiling of {ceiling_usd_per_month:,.2f}: "
        "raise --cost-ceiling or change the plan."
    )


def _refuse_person(author: str, approver: str, reason: str) -> None:
    if not approver.strip() or not reason.strip():
        raise ApprovalRefused("An approval needs a name and a reason: pass --approver and --reason.")
    if same_person(author, approver):
        raise ApprovalRefused(f"{approver} wrote the plan and cannot approve it: ask somebody else.")


def same_person(one: str, other: str) -> bool:
    return "".join(one.split()).casefold() == "".join(other.split()).casefold()


def statement_bytes(statement: Statement) -> bytes:
    """The message that is signed."""
    return canonical_bytes(asdict(statement))


def checks_digest(checks: Sequence[Check]) -> str:
    return digest([asdict(check) for check in checks])


def require_valid(
    approval: Approval, config: ConfigDocument, approvers: Sequence[Approver], now: datetime
) -> None:
    """ApprovalRefused unless a trusted approver who is not the author signed exactly this, here, in time."""
    statement = approval.statement
    require_signed(approval, approvers)
    if statement.bundle_sha256 != digest(config):
        raise ApprovalRefused("The approval is for another bundle than this one: have this one approved.")
    if checks_digest(approval.checks) != statement.checks_sha256:
        raise ApprovalRefused("The checks in the approval are not those that were signed: have it approved again.")
    if digest(dict(approval.observed)) != statement.observed_sha256:
        raise ApprovalRefused("The observed state in the approval is not what was signed: have it approved again.")
    scope = config.scope
    if (statement.account_id, statement.region, statement.cluster) != (
        scope.account_id,
        scope.region,
        scope.cluster,
    ):
        raise ApprovalRefused("The approval is for another account, Region or cluster: have this one approved.")
    if same_person(statement.author, statement.approver) or same_person(config.author, statement.approver):
        raise ApprovalRefused(f"{statement.approver} wrote the plan and cannot approve it: ask somebody else.")
    if any(check.status is CheckStatus.NG for check in approval.checks):
        raise ApprovalRefused("The approval was given although a check was NG: repair that, then approve again.")
    _require_time(statement, now)
    over = cost_problem(config, statement.cost_ceiling_usd_per_month)
    if over is not None:
        raise ApprovalRefused(over)


def require_signed(approval: Approval, approvers: Sequence[Approver]) -> None:
    """ApprovalRefused unless a trusted key, of the approver it names, signed the statement."""
    statement = approval.statement
    approver = next((a for a in approvers if a.key_id == statement.key_id), None)
    if approver is None or approver.algorithm != statement.algorithm:
        raise ApprovalRefused("The approval is signed with a key that is not on the list of approvers.")
    if not same_person(approver.name, statement.approver):
        raise ApprovalRefused(f"The key belongs to {approver.name}, but the approval names {statement.approver}.")
    try:
        signature = base64.b64decode(approval.signature, validate=True)
    except ValueError:
        signature = b""
    if not verifies(approver, signature, statement_bytes(statement)):
        raise ApprovalRefused("The signature does not match the approval: it was altered after it was signed.")


def _require_time(statement: Statement, now: datetime) -> None:
    expires = datetime.fromisoformat(statement.expires_at)
    if now >= expires:
        raise ApprovalRefused(f"The approval expired at {statement.expires_at}: have it approved again.")
    if now < datetime.fromisoformat(statement.approved_at) - timedelta(minutes=5):
        raise ApprovalRefused(f"The approval is dated {statement.approved_at}, in the future: check the clock.")


# As a file


def dump_approval(approval: Approval, path: Path) -> None:
    write(path, asdict(approval))


def load_approval(path: Path) -> Approval:
    """Read an approval; DocumentError when it is not one."""
    try:
        return parse_approval(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DocumentError(str(path), [f"it cannot be read ({error.strerror})"]) from None
    except KeyError as error:
        raise DocumentError(str(path), [f"it is not an approval: it has no {error}"]) from None
    except (ValueError, TypeError):
        raise DocumentError(str(path), ["it is not an approval as `deploy approve` writes it"]) from None


def parse_approval(data: dict[str, Any]) -> Approval:
    given = dict(data["statement"])
    hours = given.pop("working_hours", None)
    if hours is not None:
        hours = WorkingHours(**{**hours, "days": tuple(hours["days"])})
    statement = Statement(**given, working_hours=hours)
    checks = tuple(Check(c["name"], CheckStatus(c["status"]), c["reason"]) for c in data["checks"])
    return Approval(statement, str(data["signature"]), dict(data["observed"]), checks)
