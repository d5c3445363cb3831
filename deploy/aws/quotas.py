"""Whether the account's quotas allow what a bundle asks for, at its largest.

Quotas are found by the names under which Service Quotas lists them, because people can read a name and no code
(ECS developer guide, "Service quotas"; ELB user guide, "Quotas for your Application Load Balancers"; VPC user
guide, "Amazon VPC quotas").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from deploy.aws.cloud import AwsCloud
from deploy.model import Check, ResourceRef
from planner.documents import ConfigDocument, Resource
from planner.documents.config import ResourceType

VCPU_QUOTA = ("ec2", "L-1216C47A")
"""Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances, in vCPUs."""
SERVICES = ("ecs", "Services per cluster")
TASKS = ("ecs", "Tasks per service")
INSTANCES = ("ecs", "Container instances per cluster")
TARGET_GROUPS = ("elasticloadbalancing", "Target Groups per Application Load Balancer")
RULES = ("elasticloadbalancing", "Rules per Application Load Balancer")
INTERFACES = ("vpc", "Network interfaces per Region")

Asked = Callable[[str, Callable[[], Check]], Check]


def quota_checks(config: ConfigDocument, cloud: AwsCloud, asked: Asked) -> list[Check]:
    """One check a quota that the bundle comes near to; a quota that cannot be read is a SKIP."""
    quotas = _Quotas(config, cloud)
    return [asked(name, partial(question, name)) for name, question in quotas.questions()]


class _Quotas:
    def __init__(self, config: ConfigDocument, cloud: AwsCloud) -> None:
        self.config, self.cloud, self.calls = config, cloud, cloud.calls
        self._listed: dict[str, dict[str, float]] = {}

    def questions(self) -> Iterator[tuple[str, Callable[[str], Check]]]:
        kinds = {resource.type for resource in self.config.resources}
        groups = [r for r in self._of(ResourceType.AUTO_SCALING_GROUP) if r.present and "$room" in r.request]
        if groups:
            yield "the vCPU quota allows the new instances", partial(self._vcpus, groups)
            yield "the quota of container instances allows the groups at their largest", self._instances
        if ResourceType.SERVICE in kinds:
            yield "the quota of services allows the cluster's", self._services
        if ResourceType.SCALABLE_TARGET in kinds:
            yield "the quota of tasks allows every service at its largest", self._tasks
            yield "the quota of network interfaces allows the tasks at their most", self._interfaces
        for balancer in sorted({r.name.rpartition(":")[0] for r in self._of(ResourceType.LISTENER_RULE)}):
            yield f"the quotas of load balancer {balancer} allow its rules", partial(self._balancer, balancer)

    def _of(self, kind: ResourceType) -> list[Resource]:
        return [resource for resource in self.config.resources if resource.type is kind]

    def _value(self, quota: tuple[str, str]) -> float | None:
        """The account's own value by the quota's name; None where Service Quotas does not list it."""
        service, name = quota
        if service not in self._listed:
            listed = self.calls.pages("service-quotas", "ListServiceQuotas", "Quotas", ServiceCode=service)
            self._listed[service] = {str(q["QuotaName"]).lower(): float(q["Value"]) for q in listed}
        return self._listed[service].get(name.lower())

    def _judged(self, name: str, quota: tuple[str, str], needed: int, what: str) -> Check:
        value = self._value(quota)
        if value is None:
            return Check.skip(name, f"Service Quotas lists no {quota[1]!r} of {quota[0]}")
        text = f"{what}, quota {value:.0f}"
        return Check.ok(name, text) if needed <= value else Check.ng(name, text)

    def _vcpus(self, groups: Sequence[Resource], name: str) -> Check:
        service, code = VCPU_QUOTA
        told = self.calls("service-quotas", "GetServiceQuota", ServiceCode=service, QuotaCode=code)
        needed = sum(self._vcpus_of(group) for group in groups)
        value = float(told["Quota"]["Value"])
        text = f"{needed} vCPUs planned beside what runs, quota {value:.0f}"
        return Check.ok(name, text) if needed <= value else Check.ng(name, text)

    def _vcpus_of(self, group: Resource) -> int:
        kind = group.request["$room"]["instance_type"]
        told = self.calls("ec2", "DescribeInstanceTypes", InstanceTypes=[kind])["InstanceTypes"][0]
        return int(told["VCpuInfo"]["DefaultVCpus"]) * int(group.request["DesiredCapacity"])

    def _cluster(self) -> Mapping[str, Any]:
        found: dict[str, Any] = self.calls("ecs", "DescribeClusters", clusters=[self.cloud.cluster])["clusters"][0]
        return found

    def _instances(self, name: str) -> Check:
        """While instances are replaced or a provider is emptied, old and new ones stand side by side."""
        present = int(self._cluster()["registeredContainerInstancesCount"])
        most = sum(int(r.request["MaxSize"]) for r in self._of(ResourceType.AUTO_SCALING_GROUP) if r.present)
        return self._judged(
            name, INSTANCES, present + most, f"{present} now and up to {most} of the bundle's groups"
        )

    def _services(self, name: str) -> Check:
        count = int(self._cluster()["activeServicesCount"])
        return self._judged(name, SERVICES, count, f"{count} services")

    def _tasks(self, name: str) -> Check:
        most = max(self._most_tasks(), key=lambda item: item[1])
        return self._judged(name, TASKS, most[1], f"{most[0]} may run {most[1]} tasks while it rolls out")

    def _most_tasks(self) -> list[tuple[str, int]]:
        """By service: its largest range, and the tasks that a rollout puts beside them."""
        found = []
        for resource in self._of(ResourceType.SCALABLE_TARGET):
            live = self.cloud.ecs.describe_service(resource.name) or {}
            percent = (live.get("deploymentConfiguration") or {}).get("maximumPercent") or 200
            found.append((resource.name, int(resource.request["MaxCapacity"]) * int(percent) // 100))
        return found

    def _interfaces(self, name: str) -> Check:
        alone = {
            service
            for service, _count in self._most_tasks()
            if (self.cloud.ecs.describe_service(service) or {}).get("networkConfiguration")
        }
        if not alone:
            return Check.ok(name, "no service gives its tasks an interface of their own")
        present = len(list(self.calls.pages("ec2", "DescribeNetworkInterfaces", "NetworkInterfaces")))
        most = sum(count for service, count in self._most_tasks() if service in alone)
        return self._judged(name, INTERFACES, present + most, f"{present} now and up to {most} of tasks")

    def _balancer(self, balancer: str, name: str) -> Check:
        """Rules without the listeners' default ones, and target groups, over all listeners of the balancer."""
        mine = [r for r in self._of(ResourceType.LISTENER_RULE) if r.name.rpartition(":")[0] == balancer]
        rules, groups = self.cloud.routing.used_by(balancer)
        rules += sum(1 for r in mine if self.cloud.read(ResourceRef(r.type, r.name)) is None and r.present)
        new = [r for r in self._of(ResourceType.TARGET_GROUP) if "$base" in r.request]
        groups += sum(1 for r in new if self.cloud.read(ResourceRef(r.type, r.name)) is None)
        checks = [
            self._judged(name, RULES, rules, f"{rules} rules"),
            self._judged(name, TARGET_GROUPS, groups, f"{groups} target groups"),
        ]
        worst = next((c for c in checks if c.status.value == "NG"), None)
        skipped = next((c for c in checks if c.status.value == "SKIP"), None)
        return worst or skipped or Check.ok(name, "; ".join(c.reason for c in checks))
