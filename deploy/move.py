"""Two states of an estate, what differs between them and what that does to what runs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deploy.diff import RESTARTS
from deploy.model import Image, ResourceRef, State
from deploy.monitoring import loses_without_gain
from deploy.normalise import OUTDATED, covers, merged, stable
from planner.documents.config import ResourceType


@dataclass(frozen=True, slots=True)
class Move:
    """From what is there to what should be there. `providers` maps an Auto Scaling group to its provider."""

    live: State
    wanted: State
    providers: Mapping[str, str]

    def changed(self, kind: ResourceType) -> list[ResourceRef]:
        refs = [ResourceRef.parse(resource_id) for resource_id in self.wanted]
        return [r for r in refs if r.type is kind and self.differs(r)]

    def differs(self, ref: ResourceRef) -> bool:
        live, wanted = self.live.get(ref.id), self.wanted[ref.id]
        if ref.type is ResourceType.TASK_DEFINITION:
            return live is None or wanted is None or live.get("content") != wanted.get("content")
        if ref.type is ResourceType.AUTO_SCALING_GROUP and wanted is not None and wanted.get("MaxSize") != 0:
            # The desired size of a managed group is its provider's business once it exists.
            return live is None or not covers(live, stable(ref.type, wanted)) or replaces_instances(live, wanted)
        return not covers(live, wanted)

    def restarts(self, service: str) -> bool:
        """Whether the service's tasks are replaced."""
        ref = ResourceRef(ResourceType.SERVICE, service)
        live, wanted = self.live.get(ref.id), self.wanted.get(ref.id)
        if live is None or wanted is None:
            return False
        after = merged(live, wanted)
        return any(after.get(name) != live.get(name) for name in RESTARTS)

    def slows_metrics(self, service: str) -> bool:
        """Whether a metric of the service goes back to a minute and none becomes faster."""
        service_id = f"{ResourceType.SERVICE}/{service}"
        live, wanted = self.live.get(service_id), self.wanted.get(service_id)
        if live is None or wanted is None:
            return False
        return loses_without_gain(live.get("monitoring"), merged(live, wanted).get("monitoring"))


def replaces_instances(live: Image | None, wanted: Image | None) -> bool:
    """Whether instances of a group that stays have to be launched anew, from another template."""
    if live is None or wanted is None or wanted.get("MaxSize") == 0:
        return False
    other = "LaunchTemplate" in wanted and wanted["LaunchTemplate"] != live.get("LaunchTemplate")
    return bool(other or live.get(OUTDATED, 0) > wanted.get(OUTDATED, live.get(OUTDATED, 0)))
