"""Three views of one estate: what was approved, what is live, what Terraform's state says; and who changed it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deploy.aws.cloud import AwsCloud
from deploy.diff import diff
from deploy.model import Image, ResourceRef
from deploy.observe import Observation, observe
from deploy.tfstate import Managed, drift_of_terraform
from deploy.trail import Trail
from planner.documents import ConfigDocument
from planner.model import Rejection


@dataclass(frozen=True, slots=True)
class Drift:
    """One field that is not the same in all views. `approved` and `terraform` are None where they say nothing."""

    resource_id: str
    path: str
    approved: Any
    live: Any
    terraform: Any
    who: str
    """"name at time (event)", or why it is not known."""


def drift(
    config: ConfigDocument, cloud: AwsCloud, terraform: Sequence[Managed] = (), now: datetime | None = None
) -> tuple[Drift, ...]:
    """Compare the three; an empty answer means that approved, live and Terraform agree."""
    observation = observe(config, cloud)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for change in diff(observation.live, observation.wanted, config).changes:
        found[change.resource_id, change.path] = {"approved": change.after, "live": change.before}
    for problem in observation.problems:
        found.setdefault((problem.what, ""), {"approved": problem.reason, "live": None})
    for resource_id, path, live, wanted in drift_of_terraform(terraform, _live(observation)):
        entry = found.setdefault((resource_id, path), {"live": live})
        entry["terraform"] = wanted
    trail = Trail(cloud.calls, cloud.cluster, now or cloud.calls.clock.now())
    return tuple(
        Drift(
            resource_id,
            path,
            entry.get("approved"),
            entry["live"],
            entry.get("terraform"),
            _told(trail.who_changed(ResourceRef.parse(resource_id), observation.live.get(resource_id))),
        )
        for (resource_id, path), entry in sorted(found.items())
    )


def _live(observation: Observation) -> dict[str, Image | None]:
    return dict(observation.live)


def _told(who: str | Rejection) -> str:
    return who if isinstance(who, str) else f"not known: {who.reason}"
