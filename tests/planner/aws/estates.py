"""Estates made by hand for the tests of pulling and of usage."""

from __future__ import annotations

from datetime import UTC, datetime

from planner.model import Container, Deployment, Estate, Resources, Service, TaskDefinition
from planner.units import CpuUnits, MiB

NOW = datetime(2026, 5, 13, 12, 0, tzinfo=UTC)


def task_definition(family: str = "web", cpu: int = 512, memory: int = 1024, revision: int = 1) -> TaskDefinition:
    return TaskDefinition(
        arn=f"arn:aws:ecs:eu-west-2:111122223333:task-definition/{family}:{revision}",
        family=family,
        revision=revision,
        containers=(Container("app", "app:1"),),
        cpu_units=CpuUnits(cpu),
        memory_mib=MiB(memory),
    )


def service(
    name: str,
    *,
    cpu: int = 512,
    memory: int = 1024,
    deployments: tuple[Deployment, ...] = (),
    target_group_arns: tuple[str, ...] = (),
) -> Service:
    return Service(
        name=name,
        arn=f"arn:aws:ecs:eu-west-2:111122223333:service/prod/{name}",
        task_definition=task_definition(name, cpu, memory),
        desired_count=2,
        running_count=2,
        deployments=deployments,
        target_group_arns=target_group_arns,
    )


def deployment(started: datetime, finished: datetime | None, cpu: int, memory: int = 1024) -> Deployment:
    return Deployment(
        f"arn:aws:ecs:eu-west-2:111122223333:task-definition/web:{cpu}",
        Resources(CpuUnits(cpu), MiB(memory)),
        started,
        finished,
    )


def estate(*services: Service, cluster: str = "prod", observed_at: datetime = NOW) -> Estate:
    return Estate(
        account_id="111122223333",
        region="eu-west-2",
        cluster=cluster,
        observed_at=observed_at,
        services=services,
        container_instances=(),
        capacity_providers=(),
    )
