"""What roles may do, asked of IAM's own simulation before anybody finds out in a rollout."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Any

from deploy import iam
from deploy.aws.calls import Calls
from deploy.aws.images import ECR
from deploy.model import Check
from deploy.ports import CallFailed
from planner.model import Rejection

Need = tuple[str, str]
"""(resource ARN or "*", IAM action)"""


def execution_role_check(
    calls: Calls, name: str, role: str, definition: Mapping[str, Any], account_id: str
) -> Check:
    """Whether the execution role may read what its tasks need to start: secrets and their keys, images, logs."""
    needs = sorted({need for c in definition["containerDefinitions"] for need in _needs(calls, c, account_id)})
    if not needs:
        return Check.ok(name, "its tasks need nothing that a role has to allow")
    return _simulated(calls, name, role, needs)


def deployer_check(calls: Calls, name: str) -> Check:
    """Whether whoever asks may make the writes of an apply."""
    caller = str(calls("sts", "GetCallerIdentity")["Arn"])
    principal = _principal(calls, caller)
    if principal is None:
        return Check.skip(name, f"{caller} is no role or user whose policies can be simulated")
    writes = set(iam.DEPLOYING_WRITES) - set(iam.WHEN_USED)
    try:
        return _simulated(calls, name, principal, [("*", action) for action in iam.actions(writes)])
    except CallFailed as error:
        if error.code == "NoSuchEntity":
            return Check.skip(name, f"IAM does not know {principal}")
        raise


def _principal(calls: Calls, caller: str) -> str | None:
    """The role behind a session, or the user; a role's path stands in no session's ARN, so IAM is asked."""
    if ":assumed-role/" in caller:
        role = caller.split("/")[1]
        return str(calls("iam", "GetRole", RoleName=role)["Role"]["Arn"])
    return caller if ":user/" in caller else None


def _simulated(calls: Calls, name: str, principal: str, needs: Iterable[Need]) -> Check:
    refused: list[str] = []
    unsure: set[str] = set()
    count = 0
    for resource, group in groupby(sorted(needs), key=lambda need: need[0]):
        actions = [action for _resource, action in group]
        count += len(actions)
        results = calls.pages(
            "iam",
            "SimulatePrincipalPolicy",
            "EvaluationResults",
            PolicySourceArn=principal,
            ActionNames=actions,
            ResourceArns=[resource],
        )
        for result in results:
            if result["EvalDecision"] == "allowed":
                continue
            action = str(result["EvalActionName"])
            granted = result["EvalDecision"] == "implicitDeny" and granted_by_resource(
                calls, principal, action, resource
            )
            if granted is True:
                continue
            if isinstance(granted, Rejection):
                unsure.add(f"{granted.what}, {granted.reason}")
            elif result.get("MissingContextValues") and result["EvalDecision"] == "implicitDeny":
                unsure.update(
                    f"{key}, which is known only when it happens" for key in result["MissingContextValues"]
                )
            else:
                refused.append(f"{action} on {resource}")
    if refused:
        return Check.ng(name, f"{principal} may not {'; '.join(refused[:5])}")
    if unsure:
        return Check.skip(name, f"it depends on {'; '.join(sorted(unsure)[:3])}")
    return Check.ok(name, f"{principal} may make all {count} calls")


def granted_by_resource(calls: Calls, principal: str, action: str, resource: str) -> bool | Rejection:
    """Whether the resource's own policy names the principal; IAM's simulation leaves those policies out.

    Within one account either policy is enough (IAM user guide, "Policy evaluation logic"). A Rejection says that
    the policy cannot be read. A statement with a condition counts as none.
    """
    service = action.partition(":")[0]
    if resource == "*" or service not in POLICIES:
        return False
    operation, parameter, key = POLICIES[service]
    name = resource.split(":repository/", 1)[-1] if service == "ecr" else resource
    extra = {"PolicyName": "default"} if service == "kms" else {}
    try:
        text = calls(service, operation, **{parameter: name}, **extra).get(key)
    except CallFailed as error:
        if error.code in {"RepositoryPolicyNotFoundException", "ResourceNotFoundException", "NotFoundException"}:
            return False
        return Rejection(f"the policy of {resource}", "which cannot be read here")
    statements = json.loads(text).get("Statement", []) if text else []
    return any(_names(statement, principal, action) for statement in statements)


POLICIES: Mapping[str, tuple[str, str, str]] = {
    "kms": ("GetKeyPolicy", "KeyId", "Policy"),
    "secretsmanager": ("GetResourcePolicy", "SecretId", "ResourcePolicy"),
    "ecr": ("GetRepositoryPolicy", "repositoryName", "policyText"),
}
"""Service to the call that reads a resource's own policy, its parameter, and where the policy stands."""


def _names(statement: Mapping[str, Any], principal: str, action: str) -> bool:
    """Whether the statement itself allows the principal the action (the account's root only defers to IAM)."""
    told = statement.get("Principal", {})
    named = told if isinstance(told, str) else told.get("AWS", [])
    principals = [named] if isinstance(named, str) else named
    listed = statement.get("Action", [])
    actions = [listed] if isinstance(listed, str) else listed
    return (
        statement.get("Effect") == "Allow"
        and not statement.get("Condition")
        and bool({principal, "*"} & set(principals))
        and any(fnmatchcase(action.lower(), pattern.lower()) for pattern in actions)
    )


def _needs(calls: Calls, container: Mapping[str, Any], account_id: str) -> Iterator[Need]:
    log = container.get("logConfiguration") or {}
    options = log.get("options") or {}
    named = [item["valueFrom"] for item in (*container.get("secrets", []), *log.get("secretOptions", []))]
    credentials = (container.get("repositoryCredentials") or {}).get("credentialsParameter")
    for arn in (*named, *([credentials] if credentials else [])):
        yield from _secret_needs(calls, str(arn), account_id)
    match = ECR.match(str(container["image"]))
    if match is not None:
        owner, region, repository, *_ = match.groups()
        arn = f"arn:aws:ecr:{region}:{owner}:repository/{repository}"
        yield from (
            ("*", "ecr:GetAuthorizationToken"),
            (arn, "ecr:BatchGetImage"),
            (arn, "ecr:GetDownloadUrlForLayer"),
        )
    if log.get("logDriver") == "awslogs":
        region = options.get("awslogs-region", calls.region)
        group = f"arn:aws:logs:{region}:{account_id}:log-group:{options.get('awslogs-group', '')}:*"
        yield from ((group, "logs:CreateLogStream"), (group, "logs:PutLogEvents"))


def _secret_needs(calls: Calls, arn: str, account_id: str) -> Iterator[Need]:
    if ":secretsmanager:" not in arn:
        parameter = (
            arn
            if arn.startswith("arn:")
            else f"arn:aws:ssm:{calls.region}:{account_id}:parameter/{arn.lstrip('/')}"
        )
        yield parameter, "ssm:GetParameters"
        return
    secret = ":".join(arn.split(":")[:7])  # JSON key, version stage and id may follow
    yield secret, "secretsmanager:GetSecretValue"
    try:
        key = calls("secretsmanager", "DescribeSecret", SecretId=secret).get("KmsKeyId")
    except CallFailed as error:
        if error.code == "ResourceNotFoundException":
            return  # a check of its own tells
        raise
    if key:
        yield str(calls("kms", "DescribeKey", KeyId=key)["KeyMetadata"]["Arn"]), "kms:Decrypt"
