"""Live and wanted state side by side: every resource of the bundle read once, every base resolved."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from deploy.model import Image, ResourceRef, State
from deploy.monitoring import fast_metric, fast_names, other_resolution, spelled
from deploy.normalise import merged, normalise, ordered, stable
from deploy.ports import Cloud
from planner.documents import ConfigDocument, Resource, digest
from planner.documents.config import ResourceType
from planner.model import Rejection


@dataclass(frozen=True, slots=True)
class Observation:
    """What is there and what should be there. `problems` are refusals with their reason."""

    live: State
    wanted: State
    problems: tuple[Rejection, ...] = ()
    adopted: Mapping[str, str] = field(default_factory=dict)
    """Resources that live under another name than the bundle gives them, and why that one is used."""

    @property
    def digests(self) -> dict[str, str | None]:
        """Resource id to the digest of its stable image: what an approval holds on to."""
        return {
            resource_id: None if image is None else digest(stable(ResourceRef.parse(resource_id).type, image))
            for resource_id, image in sorted(self.live.items())
        }

    @property
    def sha256(self) -> str:
        return digest(self.digests)


class WrongPlace(Exception):
    """The credentials lead to another account or Region than the bundle is for."""


def observe(config: ConfigDocument, cloud: Cloud) -> Observation:
    """Read the live account for everything the bundle names, and for what it takes over.

    Raises WrongPlace when the credentials are those of another account or Region.
    """
    scope = cloud.scope()
    if (scope.account_id, scope.region) != (config.scope.account_id, config.scope.region):
        raise WrongPlace(
            f"The bundle is for account {config.scope.account_id} in {config.scope.region}, but these credentials "
            f"are for {scope.account_id} in {scope.region}: change the profile or --region."
        )
    with cloud.one_look():
        return _observed(config, cloud)


def _observed(config: ConfigDocument, cloud: Cloud) -> Observation:
    live: dict[str, Image | None] = {}
    wanted: dict[str, Image | None] = {}
    problems: list[Rejection] = []
    for resource in config.resources:
        ref = ResourceRef(resource.type, resource.name)
        live[ref.id] = cloud.read(ref)
        found = cloud.resolve(resource)
        if isinstance(found, Rejection):
            problems.append(found)
            continue
        is_rule = resource.type is ResourceType.LISTENER_RULE
        wanted[ref.id] = None if is_rule and not resource.present else found
    _refer(live, wanted)
    problems += _problems(config, live, wanted)
    problems += _unassociated(config, live)
    problems += _unpublished(config, live)
    _add_superseded_schedules(config, cloud, live, wanted)
    _add_superseded_policies(config, cloud, live, wanted)
    return Observation(live, wanted, tuple(problems))


def _refer(live: dict[str, Image | None], wanted: dict[str, Image | None]) -> None:
    """Turn references to what already exists into its ARN; the rest is known once it has been made."""
    for resource_id, image in wanted.items():
        if image is not None:
            found = {k: _substituted(v, live, wanted) for k, v in image.items()}
            wanted[resource_id] = ordered(ResourceRef.parse(resource_id).type, found)


def _substituted(value: Any, live: State, wanted: State) -> Any:
    if isinstance(value, Mapping):
        if set(value) == {"$ref"}:
            return _referred(value, live, wanted)
        return {k: _substituted(v, live, wanted) for k, v in value.items()}
    if isinstance(value, list):
        return [_substituted(item, live, wanted) for item in value]
    return value


def _referred(marker: Mapping[str, Any], live: State, wanted: State) -> Any:
    resource_id, _, name = marker["$ref"].rpartition("#")
    image = live.get(resource_id)
    if image is None or name not in image:
        return marker
    if ResourceRef.parse(resource_id).type is ResourceType.TASK_DEFINITION:
        # A revision never changes: the reference is to the live one only if that is already what is wanted.
        return image[name] if same_definition(image, wanted.get(resource_id)) else marker
    return image[name]


def same_definition(live: Image | None, wanted: Image | None) -> bool:
    return live is not None and wanted is not None and live.get("content") == wanted.get("content")


def _problems(config: ConfigDocument, live: State, wanted: State) -> list[Rejection]:
    return [
        problem
        for resource in config.resources
        for problem in (_problem(resource, live.get(resource.id), wanted.get(resource.id)),)
        if problem is not None
    ]


def _problem(resource: Resource, live: Image | None, wanted: Image | None) -> Rejection | None:
    must_exist = {ResourceType.SERVICE, ResourceType.CLUSTER_CAPACITY_PROVIDERS}
    copied = "$base" in str(resource.request)
    if resource.type in {ResourceType.TARGET_GROUP, ResourceType.LISTENER_RULE}:
        return None  # told where they are resolved
    if live is None and (resource.type in must_exist or not resource.present):
        return Rejection(resource.id, "is not there; creating it is not supported yet")
    is_group = resource.type in {ResourceType.AUTO_SCALING_GROUP, ResourceType.CAPACITY_PROVIDER}
    if live is None and is_group and not copied:
        return Rejection(resource.id, "the plan says that it exists, but it is not there: make the plan again")
    if resource.type is ResourceType.TASK_DEFINITION and live is not None and wanted is not None:
        moved = live.get("taskDefinitionArn") != resource.base_arn
        if moved and not same_definition(live, wanted):
            return Rejection(
                resource.id,
                f"the service now runs {live.get('taskDefinitionArn')}, but the plan was made from "
                f"{resource.base_arn}: make the plan again, or it would undo that deployment",
            )
    return None


def _unassociated(config: ConfigDocument, live: State) -> list[Rejection]:
    """New target groups that a service is attached to and that no rule of now would lead to."""
    led_to = {
        group["TargetGroupArn"]["$ref"].rpartition("#")[0]
        for resource in config.resources
        if resource.type is ResourceType.LISTENER_RULE and live.get(resource.id) is not None
        for action in resource.request.get("Actions", [])
        for group in action["ForwardConfig"]["TargetGroups"]
    }
    return [
        Rejection(
            group,
            f"is new and {resource.id} is to be attached to it, but no rule that exists forwards to it: let one "
            "do so with weight 0 (ECS attaches nothing to a target group without a load balancer)",
        )
        for resource in config.resources
        for item in resource.request.get("loadBalancers", [])
        for group in (item["targetGroupArn"]["$ref"].rpartition("#")[0],)
        if live.get(group) is None and group not in led_to
    ]


def _unpublished(config: ConfigDocument, live: State) -> list[Rejection]:
    """Policies on 20-second metrics that neither the bundle nor the account has the service publish."""
    requests = {resource.id: resource.request for resource in config.resources}
    found = []
    for resource in config.resources:
        name = fast_metric(resource.name.rpartition("/")[2])
        if resource.type is not ResourceType.SCALING_POLICY or name is None:
            continue
        service = f"{ResourceType.SERVICE}/{resource.name.rpartition('/')[0]}"
        views = (requests.get(service, {}), live.get(service) or {})
        if not any(name in fast_names(view.get("monitoring")) for view in views):
            why = f"tracks {name} of 20 seconds, which {service} does not publish: its alarms would see nothing"
            found.append(Rejection(resource.id, why))
    return found


def _add_superseded_schedules(
    config: ConfigDocument, cloud: Cloud, live: dict[str, Image | None], wanted: dict[str, Image | None]
) -> None:
    """A plan that sets a service's scaling owns its schedules: others would fight its min and max."""
    for resource in config.resources:
        if resource.type is not ResourceType.SCALABLE_TARGET:
            continue
        for name in cloud.scheduled_actions(resource.name):
            ref = ResourceRef(ResourceType.SCHEDULED_ACTION, f"{resource.name}/{name}")
            if ref.id not in live:
                live[ref.id] = cloud.read(ref)
                wanted[ref.id] = None


def _add_superseded_policies(
    config: ConfigDocument, cloud: Cloud, live: dict[str, Image | None], wanted: dict[str, Image | None]
) -> None:
    """A plan that sets a service's scaling replaces a policy on the same metric at the other resolution, and takes
    away one on 20-second metrics that it does not have: those are charged for. Other policies are kept."""
    for resource in config.resources:
        if resource.type is not ResourceType.SCALABLE_TARGET:
            continue
        prefix = f"{ResourceType.SCALING_POLICY}/{resource.name}/"
        planned = {r.id.removeprefix(prefix) for r in config.resources if r.id.startswith(prefix)}
        gone = {
            metric
            for metric in cloud.scaling_policies(resource.name)
            if metric not in planned and (fast_metric(metric) is not None or other_resolution(metric) in planned)
        }
        for metric in sorted(gone):
            ref = ResourceRef(ResourceType.SCALING_POLICY, f"{resource.name}/{metric}")
            live[ref.id] = cloud.read(ref)
            wanted[ref.id] = None
        _monitor(resource.name, gone, live, wanted)


def _monitor(
    service: str, gone: Set[str], live: Mapping[str, Image | None], wanted: dict[str, Image | None]
) -> None:
    """Publish every 20 seconds what the bundle asks for and what was so before, but not what a policy that goes
    needed."""
    service_id = f"{ResourceType.SERVICE}/{service}"
    present, after = live.get(service_id), wanted.get(service_id)
    if present is None or after is None:
        return
    asked, before = fast_names(after.get("monitoring")), fast_names(present.get("monitoring"))
    freed = {name for metric in gone if (name := fast_metric(metric)) is not None}
    if asked or before & freed:
        wanted[service_id] = {**after, "monitoring": spelled(before - freed | asked)}


def target_state(observation: Observation) -> dict[str, Image | None]:
    """The whole live state as it would be with the bundle applied."""
    return {
        resource_id: None
        if wanted is None
        else normalise(ResourceRef.parse(resource_id).type, merged(observation.live.get(resource_id), wanted))
        for resource_id, wanted in observation.wanted.items()
    }
