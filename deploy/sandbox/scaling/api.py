"""Application Auto Scaling's JSON API; operations the engine has no method for are refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, BaseResponse

from deploy.sandbox.scaling.engine import Scaling
from deploy.sandbox.world import current

OPERATIONS = (
    "register_scalable_target", "describe_scalable_targets", "deregister_scalable_target",
    "put_scaling_policy", "describe_scaling_policies", "delete_scaling_policy",
    "put_scheduled_action", "describe_scheduled_actions", "delete_scheduled_action",
    "describe_scaling_activities", "list_tags_for_resource", "tag_resource", "untag_resource",
)  # fmt: skip


class SandboxScaling(BaseResponse):
    """Parses requests and writes answers with moto's protocol code; the state is `World.scaling`."""

    def __init__(self) -> None:
        super().__init__(service_name="application-autoscaling")
        self.automated_parameter_parsing = True

    @property
    def scaling(self) -> Scaling:
        return current().scaling_of(self.region)


def _operation(name: str) -> Callable[[SandboxScaling], ActionResult]:
    def answer(self: SandboxScaling) -> ActionResult:
        given: dict[str, Any] = dict(self._get_params())
        return ActionResult(getattr(self.scaling, name)(given))

    answer.__name__ = name
    return answer


for _name in OPERATIONS:
    setattr(SandboxScaling, _name, _operation(_name))
