"""Questions before an approval: would it work, here, now? OK, NG or SKIP, each with a reason."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.emit.aws import request_problems, requests_from_config
from deploy.model import Check
from deploy.observe import Observation
from deploy.ports import Preflight
from planner.documents import ConfigDocument


def check(
    config: ConfigDocument, observation: Observation, preflight: Preflight | None = None
) -> tuple[Check, ...]:
    """All checks of a bundle against what was observed, in a fixed order."""
    checks = [*_requests(config), *_bases(config, observation)]
    if preflight is not None:
        checks += preflight.checks(config, observation.wanted)
    return tuple(checks)


def _requests(config: ConfigDocument) -> list[Check]:
    problems = [f"{r.resource_id}: {p}" for r in requests_from_config(config) for p in request_problems(r)]
    name = "requests fit the AWS service model"
    if problems:
        return [Check.ng(name, "; ".join(problems[:3]))]
    return [Check.ok(name, f"{len(config.resources)} requests")]


def _bases(config: ConfigDocument, observation: Observation) -> Sequence[Check]:
    refused = {problem.what: problem.reason for problem in observation.problems}
    name = "what the plan was made from is still there"
    if refused:
        return [Check.ng(name, "; ".join(f"{what} {reason}" for what, reason in sorted(refused.items())))]
    return [Check.ok(name, f"{len(config.resources)} resources")]
