"""Discovery: one cluster as it stands, from read calls alone and without configuration."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from planner.aws.capacity import read_capacity_providers, read_container_instances
from planner.aws.clients import Clients
from planner.aws.deployments import read_deployments
from planner.aws.load_balancing import LoadBalancing, read_load_balancing, target_group_arns
from planner.aws.paging import Unreadable, batches, each, pages
from planner.aws.scaling_targets import read_scaling
from planner.aws.task_definitions import TaskDefinitions
from planner.model import Estate, Service, StrategyItem
from planner.terminal import BadInput

DESCRIBE_CLUSTERS_BATCH = 100
DESCRIBE_SERVICES_BATCH = 10

QUEUE_TAGS = frozenset({"queue", "queue-name", "queuename", "sqs-queue", "queue_name"})
"""Tag keys, in lower case, that teams use to name the queue a worker drains."""


def discover(clients: Clients, cluster: str) -> Estate:
    """Everything the planner needs to know of `cluster` (a name or an ARN), as AWS tells it now.

    A part that AWS refuses to show is named in `Estate.unreadable`; the rest is still read. Raises BadInput
    where there is no such cluster in this account and Region, naming those that exist.
    """
    described = _describe_cluster(clients, cluster)
    observed_at = clients.server_time.replace(microsecond=0)
    name, arn = str(described["clusterName"]), str(described["clusterArn"])
    unreadable = Unreadable()
    definitions = TaskDefinitions(clients)
    services = unreadable.items("services", lambda: _read_services(clients, arn, definitions, unreadable))
    balancing = read_load_balancing(clients, services, unreadable)
    scaling, queues = read_scaling(clients, name, unreadable)
    deployments = read_deployments(clients, arn, services, definitions, unreadable)
    return Estate(
        account_id=arn.split(":")[4] if arn.count(":") >= 5 else "",
        region=clients.region,
        cluster=name,
        observed_at=observed_at,
        services=tuple(
            replace(
                _service(raw, definitions, balancing),
                scaling=scaling.get(raw["serviceName"]),
                queue_name=queues.get(raw["serviceName"]) or _queue_tag(raw),
                deployments=deployments.get(raw["serviceName"], ()),
            )
            for raw in sorted(services, key=lambda raw: str(raw["serviceName"]))
        ),
        container_instances=read_container_instances(clients, arn, unreadable),
        capacity_providers=read_capacity_providers(clients, described, services, unreadable),
        load_balancers=balancing.load_balancers,
        unreadable=unreadable.rejections,
    )


def _describe_cluster(clients: Clients, cluster: str) -> dict[str, Any]:
    ecs = clients.get("ecs")
    answer = ecs.describe_clusters(clusters=[cluster], include=["SETTINGS", "TAGS"])
    for described in answer["clusters"]:
        if described.get("status", "ACTIVE") != "INACTIVE":
            return dict(described)
    arns = pages(ecs, "list_clusters", "clusterArns")
    known = sorted(arn.rsplit("/", 1)[-1] for arn in arns)
    there = "these clusters exist: " + ", ".join(known) if known else "no cluster exists there"
    raise BadInput(f"No cluster {cluster!r} in Region {clients.region}: {there}.")


def _read_services(
    clients: Clients, cluster_arn: str, definitions: TaskDefinitions, unreadable: Unreadable
) -> list[dict[str, Any]]:
    """The raw descriptions of all active services whose task definition could be read."""
    ecs = clients.get("ecs")
    arns = pages(ecs, "list_services", "serviceArns", cluster=cluster_arn)

    def describe(batch: Any) -> list[dict[str, Any]]:
        answer = ecs.describe_services(cluster=cluster_arn, services=list(batch), include=["TAGS"])
        for failure in answer.get("failures", ()):
            unreadable.note(f"service {failure.get('arn', '').rsplit('/', 1)[-1]}", str(failure.get("reason")))
        return [raw for raw in answer["services"] if raw.get("status") != "INACTIVE"]

    found = each(describe, list(batches(arns, DESCRIBE_SERVICES_BATCH)))
    services = [raw for batch in found for raw in batch]
    definitions.read([_definition_of(raw) for raw in services if _definition_of(raw)], unreadable)
    return [raw for raw in services if _has_definition(raw, definitions, unreadable)]


def _definition_of(raw: dict[str, Any]) -> str:
    """The task definition of the primary deployment or task set; "" where the service has none."""
    sets = sorted(raw.get("taskSets", ()), key=lambda s: s.get("status") != "PRIMARY")
    return str(raw.get("taskDefinition") or (sets[0]["taskDefinition"] if sets else ""))


def _has_definition(raw: dict[str, Any], definitions: TaskDefinitions, unreadable: Unreadable) -> bool:
    arn = _definition_of(raw)
    if arn in definitions:
        return True
    if not arn:
        unreadable.note(f"service {raw['serviceName']}", "it names no task definition")
    return False


def _service(raw: dict[str, Any], definitions: TaskDefinitions, balancing: LoadBalancing) -> Service:
    target_groups = target_group_arns(raw)
    deployment = raw.get("deploymentConfiguration") or {}
    daemon = raw.get("schedulingStrategy") == "DAEMON"
    return Service(
        name=raw["serviceName"],
        arn=raw["serviceArn"],
        task_definition=definitions[_definition_of(raw)],
        desired_count=raw.get("desiredCount", 0),
        running_count=raw.get("runningCount", 0),
        launch_type=raw.get("launchType"),
        capacity_provider_strategy=tuple(
            StrategyItem(item["capacityProvider"], item.get("weight", 0), item.get("base", 0))
            for item in raw.get("capacityProviderStrategy") or ()
        ),
        placement_strategy=tuple(
            (item["type"], item.get("field", "")) for item in raw.get("placementStrategy") or ()
        ),
        placement_constraints=tuple(
            (item["type"], item.get("expression", "")) for item in raw.get("placementConstraints") or ()
        ),
        scheduling_strategy=raw.get("schedulingStrategy", "REPLICA"),
        minimum_healthy_percent=deployment.get("minimumHealthyPercent", 0 if daemon else 100),
        maximum_percent=deployment.get("maximumPercent", 100 if daemon else 200),
        routes=tuple(route for arn in target_groups for route in balancing.routes.get(arn, ())),
        target_group_arns=target_groups,
        tags=tuple(sorted((tag["key"], tag.get("value", "")) for tag in raw.get("tags") or ())),
        minute_metrics_only=_minute_metrics_only(raw),
    )


def _minute_metrics_only(raw: dict[str, Any]) -> str:
    """Why a service cannot have 20-second metrics (Amazon ECS developer guide, "Faster auto scaling with
    high-resolution metrics", considerations); "" where it can."""
    controller = (raw.get("deploymentController") or {}).get("type", "ECS")
    if controller != "ECS":
        return f"its deployment controller is {controller}"
    if any(balancer.get("loadBalancerName") for balancer in raw.get("loadBalancers") or ()):
        return "it is behind a Classic Load Balancer"
    return ""


def _queue_tag(raw: dict[str, Any]) -> str | None:
    for tag in raw.get("tags") or ():
        if str(tag["key"]).lower() in QUEUE_TAGS and tag.get("value"):
            return str(tag["value"]).rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    return None
