"""Tasks as targets of the load balancer: registered in moto's target groups when they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deploy.sandbox.ecs.state import Cluster, Document, Service, Task

if TYPE_CHECKING:
    from deploy.sandbox.ecs.engine import Ecs


def backend(ecs: Ecs) -> Any:
    from moto.backends import get_backend

    return get_backend("elbv2")[ecs.account_id][ecs.region]


def target_group(ecs: Ecs, arn: str) -> Any:
    """moto's target group, or None."""
    return backend(ecs).target_groups.get(arn)


def has_balancer(ecs: Ecs, arn: str) -> bool:
    """Whether a listener or one of its rules forwards to the target group, with whatever weight."""
    return any(
        arn in _forwarded(action)
        for balancer in backend(ecs).load_balancers.values()
        for listener in balancer.listeners.values()
        for actions in (listener.default_actions, *(rule.actions for rule in listener.rules.values()))
        for action in actions
    )


def _forwarded(action: Any) -> list[str]:
    groups = (action.data.get("ForwardConfig") or {}).get("TargetGroups", [])
    return [action.data.get("TargetGroupArn", ""), *(group["TargetGroupArn"] for group in groups)]


class TargetsByPort(dict[str, Document]):
    """moto keys targets by instance alone, so two tasks on one instance would be one target. Here the key
    is "id:port"; a look-up by identifier alone, as moto makes it, finds the first with that identifier."""

    def get(self, key: str, default: Any = None) -> Any:
        if key in self:
            return self[key]
        return next((target for target in self.values() if target["Id"] == key), default)


def register(ecs: Ecs, cluster: Cluster, service: Service, task: Task) -> None:
    for arn, target in _targets(cluster, service, task):
        group = target_group(ecs, arn)
        if group is None:
            continue
        if not isinstance(group.targets, TargetsByPort):
            group.targets = TargetsByPort(group.targets)
        group.targets[f"{target['Id']}:{target['Port']}"] = target


def deregister(ecs: Ecs, cluster: Cluster, service: Service, task: Task) -> None:
    for arn, target in _targets(cluster, service, task):
        group = target_group(ecs, arn)
        if group is not None:
            group.targets.pop(f"{target['Id']}:{target['Port']}", None)


def _targets(cluster: Cluster, service: Service, task: Task) -> list[tuple[str, Document]]:
    found = []
    for balancer in service.settings.get("loadBalancers") or []:
        arn, port = balancer.get("targetGroupArn"), int(balancer.get("containerPort") or 0)
        if not arn:
            continue
        instance = cluster.instances.get(task.instance_id or "")
        if task.address is not None:
            found.append((arn, {"Id": task.address, "Port": port}))
        elif instance is not None and task.host_ports.get(port):
            found.append((arn, {"Id": instance.ec2_id, "Port": task.host_ports[port]}))
    return found
