"""A new image for one service as a bundle of its own, to be approved and applied like any other."""

from __future__ import annotations

from datetime import datetime

from deploy.aws.cloud import AwsCloud
from deploy.emit.bundle import NotSupported
from planner.documents import ConfigDocument, Resource, digest
from planner.documents.config import ResourceType
from planner.documents.plan import Scope


def patch(cloud: AwsCloud, service: str, image: str, author: str, now: datetime) -> ConfigDocument:
    """The bundle that gives `service` the image and changes nothing else; NotSupported names an obstacle."""
    live = cloud.ecs.describe_service(service)
    if live is None:
        raise NotSupported(
            f"There is no service {service} in cluster {cloud.cluster}: check --service and --cluster."
        )
    base = str(live["taskDefinition"])
    scope = cloud.scope()
    definition = Resource(
        id=f"{ResourceType.TASK_DEFINITION}/{service}",
        type=ResourceType.TASK_DEFINITION,
        name=service,
        request={"$base": base, "$image": image},
        base_arn=base,
    )
    update = Resource(
        id=f"{ResourceType.SERVICE}/{service}",
        type=ResourceType.SERVICE,
        name=service,
        request={
            "cluster": cloud.cluster,
            "service": service,
            "taskDefinition": {"$ref": f"{definition.id}#taskDefinitionArn"},
            # Without the breaker a bad image would be started for ever.
            "deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": True, "rollback": True}},
        },
        depends_on=(definition.id,),
    )
    return ConfigDocument(
        plan_sha256=digest({"patch": service, "image": image, "base": base}),
        created_at=now,
        author=author,
        scope=Scope(account_id=scope.account_id, region=scope.region, cluster=cloud.cluster),
        today_usd_per_hour=None,
        plan_usd_per_hour=None,
        resources=(definition, update),
    )
