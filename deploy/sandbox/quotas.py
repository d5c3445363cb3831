"""Service Quotas with AWS's published defaults of the quotas that planning and deploying ask for."""

from __future__ import annotations

import json
from typing import Final

from moto.servicequotas.responses import ServiceQuotasResponse

from deploy.sandbox.world import current

DEFAULTS: Final = {
    ("ec2", "L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"): 1920.0,
    ("ecs", "", "Services per cluster"): 5000.0,
    ("ecs", "", "Tasks per service"): 5000.0,
    ("ecs", "", "Container instances per cluster"): 5000.0,
    ("elasticloadbalancing", "L-822D1B1B", "Target Groups per Application Load Balancer"): 100.0,
    ("elasticloadbalancing", "", "Rules per Application Load Balancer"): 100.0,
    ("vpc", "", "Network interfaces per Region"): 5000.0,
}
"""(service, quota code where a caller asks by it, name) to the default of the services' guides; the vCPUs are a
choice, as AWS gives new accounts different ones."""


class SandboxQuotas(ServiceQuotasResponse):
    """The quotas above, changed by `Sandbox.set_quota`."""

    def list_service_quotas(self) -> str:
        service = json.loads(self.body).get("ServiceCode")
        found = [_told(*key) for key in DEFAULTS if key[0] == service]
        return json.dumps({"Quotas": found})

    def get_service_quota(self) -> str:
        asked = json.loads(self.body)
        for key in DEFAULTS:
            if key[0] == asked.get("ServiceCode") and key[1] and key[1] == asked.get("QuotaCode"):
                return json.dumps({"Quota": _told(*key)})
        return super().get_service_quota()


def _told(service: str, code: str, name: str) -> dict[str, object]:
    value = current().quotas.get(name, DEFAULTS[service, code, name])
    return {"ServiceCode": service, "QuotaCode": code, "QuotaName": name, "Value": value, "Adjustable": True}
