"""What is changed in moto itself. Every private name that the sandbox relies on is used or checked here.

moto is pinned to one version in pyproject.toml; tests/deploy/sandbox/test_patches.py holds each patch.
"""

from __future__ import annotations

from typing import Any

from deploy.sandbox.world import ACCOUNT_ID, World


def reset_moto(seed: int) -> None:
    """Forget all of moto's state, seed its identifiers, and put the sandbox's classes in."""
    from moto.moto_api._internal.models import moto_api_backend

    patch_groups()
    moto_api_backend.reset()
    seed_moto(str(seed))


def warm_up(service: str, world: World) -> None:
    """Make a service's state of the sandbox's Region now and seed the identifiers anew.

    Importing a service and filling its caches draws identifiers the first time in a process only; after
    this, a first and a second sandbox of one process give the same.
    """
    from moto.backends import get_backend

    if service == "cloudformation":
        patch_cloudformation()
    regions = get_backend(service)[ACCOUNT_ID]  # type: ignore[call-overload]
    if world.region in regions:
        regions[world.region]
    seed_moto(f"{world.seed} {service}")


def patch_cloudformation() -> None:
    """Let stacks make ECS and Application Auto Scaling resources in the sandbox's own services."""
    from moto.cloudformation import parsing

    from deploy.sandbox.cloudformation import RESOURCES, with_dependents

    for resource in RESOURCES:
        parsing.get_model_map()[resource.type_name] = resource
        parsing.get_name_type_map()[resource.type_name] = resource.name_property
    original = parsing.ResourceMap.build_resource_diff
    if original.__name__ == "diff_with_dependents":
        return

    def diff_with_dependents(self: Any, other_template: Any, parameters: Any = None) -> Any:
        return with_dependents(original(self, other_template, parameters), self._template, other_template)

    parsing.ResourceMap.build_resource_diff = diff_with_dependents  # type: ignore[method-assign]


def seed_moto(seed: str) -> None:
    """Seed the source of all of moto's identifiers."""
    from moto.moto_api._internal import mock_random

    mock_random.seed(seed)


def patch_groups() -> None:
    """Let moto's autoscaling backend create the sandbox's groups."""
    import moto.autoscaling.models as autoscaling

    from deploy.sandbox.autoscaling import SandboxGroup

    autoscaling.FakeAutoScalingGroup = SandboxGroup  # type: ignore[misc]
