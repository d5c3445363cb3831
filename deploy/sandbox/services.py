"""Which services the sandbox answers itself, by moto's name of the service."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def own_services() -> dict[str, Any]:
    from deploy.sandbox.autoscaling import SandboxAutoScaling
    from deploy.sandbox.cloudtrail import SandboxTrail
    from deploy.sandbox.cloudwatch import SandboxCloudWatch
    from deploy.sandbox.ecs.api import SandboxEcs
    from deploy.sandbox.iam import SandboxIam
    from deploy.sandbox.kms import SandboxKms
    from deploy.sandbox.quotas import SandboxQuotas
    from deploy.sandbox.scaling.api import SandboxScaling

    return {
        "applicationautoscaling": SandboxScaling,
        "autoscaling": SandboxAutoScaling,
        "cloudwatch": SandboxCloudWatch,
        "ecs": SandboxEcs,
        "cloudtrail": SandboxTrail,
        "iam": SandboxIam,
        "kms": SandboxKms,
        "servicequotas": SandboxQuotas,
    }
