"""ECS's JSON API: every operation the engine has a method for; the rest is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, BaseResponse

from deploy.sandbox.ecs.engine import Ecs
from deploy.sandbox.world import current

OPERATIONS = (
    "create_cluster", "update_cluster", "update_cluster_settings", "put_cluster_capacity_providers",
    "describe_clusters", "list_clusters", "delete_cluster",
    "create_capacity_provider", "update_capacity_provider", "describe_capacity_providers",
    "delete_capacity_provider",
    "register_task_definition", "describe_task_definition", "deregister_task_definition",
    "delete_task_definitions", "list_task_definitions", "list_task_definition_families",
    "create_service", "update_service", "describe_services", "list_services", "delete_service",
    "list_service_deployments", "describe_service_deployments", "describe_service_revisions",
    "stop_service_deployment",
    "run_task", "stop_task", "list_tasks", "describe_tasks",
    "list_container_instances", "describe_container_instances", "update_container_instances_state",
    "list_tags_for_resource", "tag_resource", "untag_resource",
    "list_account_settings", "put_account_setting", "put_account_setting_default",
)  # fmt: skip


class SandboxEcs(BaseResponse):
    """Parses requests and writes answers with moto's protocol code; the state is `World.ecs`."""

    def __init__(self) -> None:
        super().__init__(service_name="ecs")
        self.automated_parameter_parsing = True

    @property
    def ecs(self) -> Ecs:
        return current().ecs_of(self.region)


def _operation(name: str) -> Callable[[SandboxEcs], ActionResult]:
    def answer(self: SandboxEcs) -> ActionResult:
        handler = self.ecs.handler(name)
        given: dict[str, Any] = dict(self._get_params())
        return ActionResult(handler(given))

    answer.__name__ = name
    return answer


for _name in OPERATIONS:
    setattr(SandboxEcs, _name, _operation(_name))
