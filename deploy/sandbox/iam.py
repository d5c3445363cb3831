"""IAM over moto's: what a principal's policies allow, asked as SimulatePrincipalPolicy asks it.

Identity policies only, inline and attached, by action and resource with their wildcards; an explicit deny wins.
Conditions, permission boundaries, resource policies and organisation policies are not imitated: a statement with
a condition is left out and its keys are told as missing. Nothing is enforced by it: use a `deny` fault for that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.iam.responses import IamResponse

Statement = Mapping[str, Any]


class IamError(ServiceException):
    """An error as IAM answers it: (code, message)."""


class SandboxIam(IamResponse):
    """moto's API with the simulation of a principal's policies."""

    def simulate_principal_policy(self) -> Any:
        source = str(self._get_param("PolicySourceArn"))
        statements = list(self._statements(source))
        resources = self._get_param("ResourceArns", []) or ["*"]
        found = [
            _evaluated(statements, action, resource)
            for action in self._get_param("ActionNames", [])
            for resource in resources
        ]
        return ActionResult({"EvaluationResults": found, "IsTruncated": False})

    def _statements(self, source: str) -> Iterator[Statement]:
        name = source.rsplit("/", 1)[-1]
        roles = [role for role in self.backend.get_roles() if role.arn == source]
        users = [user for user in self.backend.users.values() if ":user/" in source and user.name == name]
        principals: list[Any] = [*roles, *users]
        if not principals:
            raise IamError("NoSuchEntity", f"The entity {source} cannot be found.")
        principal = principals[0]
        inline = principal.policies
        documents = list(inline.values()) if isinstance(inline, dict) else [p["policy_document"] for p in inline]
        for policy in principal.managed_policies.values():
            documents += [v.document for v in policy.versions if v.version_id == policy.default_version_id]
        for document in documents:
            listed = json.loads(unquote(document))["Statement"]
            yield from [listed] if isinstance(listed, dict) else listed


def _evaluated(statements: list[Statement], action: str, resource: str) -> dict[str, Any]:
    fitting = [s for s in statements if _fits(s, "Action", action.lower()) and _fits(s, "Resource", resource)]
    sure = {s["Effect"] for s in fitting if not s.get("Condition")}
    decision = "explicitDeny" if "Deny" in sure else "allowed" if "Allow" in sure else "implicitDeny"
    keys = sorted({key for s in fitting for test in s.get("Condition", {}).values() for key in test})
    return {
        "EvalActionName": action,
        "EvalResourceName": resource,
        "EvalDecision": decision,
        "MatchedStatements": [],
        "MissingContextValues": keys,
    }


def _fits(statement: Statement, field: str, value: str) -> bool:
    patterns = statement.get(field, [])
    listed = [patterns] if isinstance(patterns, str) else patterns
    if field == "Action":
        listed = [pattern.lower() for pattern in listed]
    return any(fnmatchcase(value, pattern) for pattern in listed)
