"""Terraform as the second executor: the saved plan file is what is signed, and exactly that file is applied."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deploy.approve import ApprovalRefused, require_valid
from deploy.emit.fields import KINDS, MISSING, get
from deploy.emit.terraform import unsayable
from deploy.journal import Journal
from deploy.keys import Approver
from deploy.model import Approval, Check, EntryKind, Failure, FailureKind, Outcome
from deploy.rollout import Rollout, await_deployment
from deploy.tfstate import managed
from planner.documents import ConfigDocument, digest
from planner.documents.config import ResourceType

SHOWN_LINES = 20


class TerraformFailed(Exception):
    """terraform could not be run, or refused; the message holds its own words."""


def run_terraform(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run terraform without a shell; what it says is returned, not shown."""
    try:
        return subprocess.run(
            ["terraform", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except OSError as error:
        raise TerraformFailed(
            f"terraform cannot be run in {folder} ({error.strerror}): install it first."
        ) from None


def show_plan(folder: Path, plan: Path) -> Mapping[str, Any]:
    """The saved plan as JSON."""
    done = run_terraform(folder, "show", "-json", str(plan.resolve()))
    if done.returncode != 0:
        raise TerraformFailed(
            f"terraform cannot show {plan}: {_short(done.stderr)} Make it with `terraform plan -out`."
        )
    shown: Mapping[str, Any] = json.loads(done.stdout)
    return shown


def plan_checks(config: ConfigDocument, shown: Mapping[str, Any]) -> tuple[Check, ...]:
    """Whether the saved plan leads to what the bundle says, field by field, where it has the resource at all."""
    resources = [_as_state(r) for r in _resources(shown.get("planned_values", {}).get("root_module", {}))]
    known = {m.resource_id: m for m in managed({"resources": resources}, config.scope.cluster)}
    checks = []
    for resource in config.resources:
        name = f"{resource.id} in Terraform's plan"
        refused = unsayable(resource)
        if refused is not None:
            checks.append(Check.ng(name, refused))
            continue
        planned = known.get(resource.id)
        if planned is None:
            checks.append(Check.skip(name, "the plan does not have it"))
            continue
        wrong = [
            f"{field.aws} is {get(planned.image, field.aws)!r}, the bundle says {wanted!r}"
            for field in KINDS[resource.type].fields
            for wanted in (get(resource.request, field.aws),)
            if wanted is not MISSING and not isinstance(wanted, Mapping | list)
            if get(planned.image, field.aws) is not MISSING and str(get(planned.image, field.aws)) != str(wanted)
            if not _same_number(get(planned.image, field.aws), wanted)
        ]
        checks.append(Check.ng(name, "; ".join(wrong[:3])) if wrong else Check.ok(name, planned.address))
    return tuple(checks)


def _same_number(one: Any, other: Any) -> bool:
    try:
        return float(one) == float(other)
    except (TypeError, ValueError):
        # A cluster or group may be named by its ARN.
        return str(one).rsplit("/", 1)[-1] == str(other).rsplit("/", 1)[-1]


def _resources(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from _resources(child)


def _as_state(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "mode": resource["mode"],
        "type": resource["type"],
        "name": resource["name"],
        "instances": [{"attributes": resource["values"]}],
    }


def apply_plan(
    config: ConfigDocument,
    approval: Approval,
    approvers: Sequence[Approver],
    world: Any,
    journal_folder: Path,
    folder: Path,
    plan: Path,
) -> Outcome:
    """Apply the signed plan file. Terraform itself refuses it when its state has moved ("Saved plan is stale").

    Raises ApprovalRefused when the file is not the one that was signed; nothing is run then.
    """
    from deploy.apply import run_id
    from deploy.verbs import file_digest

    require_valid(approval, config, approvers, world.clock.now())
    statement = approval.statement
    if statement.executor != "terraform" or statement.terraform_plan_sha256 != file_digest(plan):
        raise ApprovalRefused(f"The approval is not for the plan file {plan}: have this file approved.")
    run = run_id(world.clock.now(), config)
    world.lock.acquire(run)
    try:
        with Journal.create(journal_folder / f"{run}.jsonl") as journal:
            return _applied(config, approval, world, journal, run, folder, plan)
    finally:
        world.lock.release(run)


def _applied(
    config: ConfigDocument, approval: Approval, world: Any, journal: Journal, run: str, folder: Path, plan: Path
) -> Outcome:
    begin = {
        "run": run,
        "bundle_sha256": digest(config),
        "bundle": config.model_dump(mode="json"),
        "approval": asdict(approval.statement),
        "signature": approval.signature,
    }
    journal.append(EntryKind.BEGIN, world.clock.now(), begin)
    done = run_terraform(folder, "apply", "-input=false", "-no-color", str(plan.resolve()))
    failure = None
    if done.returncode != 0:
        lines = tuple((done.stderr or done.stdout).strip().splitlines()[-SHOWN_LINES:])
        failure = Failure(FailureKind.CALL_FAILED, "terraform", _short(done.stderr), (), lines)
    else:
        failure = _deployment_failure(config, world)
    outcome = Outcome(failure is None, str(journal.path), int(failure is None), 1, failure)
    end = {"run": run, "succeeded": outcome.succeeded, "failure": asdict(failure) if failure else None}
    journal.append(EntryKind.END, world.clock.now(), end)
    return outcome


def _deployment_failure(config: ConfigDocument, world: Any) -> Failure | None:
    """Terraform is content when a call was accepted: wait for every deployment, tell a rollback as one."""
    for resource in config.resources:
        if resource.type is not ResourceType.SERVICE:
            continue
        known = world.cloud.deployments(resource.name)
        if not known:
            continue
        rollout = Rollout(resource.name, known[0].task_definition, known[0].arn)
        ended = await_deployment(rollout, world.cloud, world.clock, world.say)
        if isinstance(ended, Failure):
            return ended
    return None


def _short(text: str) -> str:
    lines = [line.strip(" │╷╵") for line in text.splitlines()]
    return " ".join(line for line in lines if line)[:300]
