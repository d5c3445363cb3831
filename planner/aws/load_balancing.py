"""Load balancers, listener rules and target groups that lead to the services of a cluster."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from planner.aws.clients import Clients
from planner.aws.paging import Unreadable, batches, each, once, pages
from planner.model import LoadBalancer, Route

DESCRIBE_BATCH = 20
"""DescribeTargetGroups and DescribeLoadBalancers take up to 20 ARNs a call."""


@dataclass(frozen=True)
class LoadBalancing:
    load_balancers: tuple[LoadBalancer, ...] = ()
    routes: dict[str, tuple[Route, ...]] = field(default_factory=dict)
    """Target group ARN -> the rules that forward to it."""


def read_load_balancing(clients: Clients, services: list[dict[str, Any]], unreadable: Unreadable) -> LoadBalancing:
    """What stands in front of the services' target groups; `services` are raw ECS descriptions."""
    for raw in services:
        for balancer in raw.get("loadBalancers") or ():
            if balancer.get("loadBalancerName"):
                unreadable.note(
                    f"load balancer {balancer['loadBalancerName']}", "Classic Load Balancers are not read"
                )
    wanted = sorted({arn for raw in services for arn in target_group_arns(raw)})
    if not wanted:
        return LoadBalancing()
    groups = _described(clients, "describe_target_groups", "TargetGroups", "TargetGroupArns", wanted, unreadable)
    arns = sorted({arn for group in groups for arn in group.get("LoadBalancerArns", ())})
    raw_balancers = _described(
        clients, "describe_load_balancers", "LoadBalancers", "LoadBalancerArns", arns, unreadable
    )
    balancers = tuple(
        sorted(
            (
                LoadBalancer(raw["LoadBalancerName"], raw["LoadBalancerArn"], raw.get("Type", "application"))
                for raw in raw_balancers
            ),
            key=lambda balancer: balancer.name,
        )
    )
    routes: dict[str, tuple[Route, ...]] = {}
    found = each(lambda balancer: _routes(clients, balancer, unreadable), balancers)
    for route in (route for of_one in found for route in of_one):
        routes[route.target_group_arn] = (*routes.get(route.target_group_arn, ()), route)
    return LoadBalancing(balancers, routes)


def target_group_arns(raw: dict[str, Any]) -> tuple[str, ...]:
    """Target groups of a raw ECS service, the alternate one of a blue/green deployment included."""
    found: dict[str, None] = {}
    for balancer in raw.get("loadBalancers") or ():
        alternate = (balancer.get("advancedConfiguration") or {}).get("alternateTargetGroupArn")
        for arn in (balancer.get("targetGroupArn"), alternate):
            if arn:
                found[arn] = None
    return tuple(found)


def _described(
    clients: Clients, operation: str, key: str, argument: str, arns: list[str], unreadable: Unreadable
) -> list[dict[str, Any]]:
    """Describe by ARN in batches; a batch that fails for one vanished ARN is asked again one by one."""
    elb = clients.get("elbv2")
    found: list[dict[str, Any]] = []
    for batch in batches(arns, DESCRIBE_BATCH):
        try:
            found += once(elb, operation, key, **{argument: list(batch)})
        except elb.exceptions.ClientError:
            for arn in batch:
                name = _name_of(arn)
                found += unreadable.items(name, partial(once, elb, operation, key, **{argument: [arn]}))
    return found


def _name_of(arn: str) -> str:
    kind = "target group" if ":targetgroup/" in arn else "load balancer"
    parts = arn.split(":")[-1].split("/")
    return f"{kind} {parts[-2] if len(parts) > 2 else parts[-1]}"


def _routes(clients: Clients, balancer: LoadBalancer, unreadable: Unreadable) -> list[Route]:
    elb = clients.get("elbv2")

    def read() -> list[Route]:
        found: list[Route] = []
        for listener in pages(elb, "describe_listeners", "Listeners", LoadBalancerArn=balancer.arn):
            port = listener.get("Port", 0)
            if balancer.kind != "application":
                found += [
                    Route(balancer.name, port, "default", (), arn, balancer.arn)
                    for arn in _forwards(listener.get("DefaultActions", ()))
                ]
                continue
            for rule in pages(elb, "describe_rules", "Rules", ListenerArn=listener["ListenerArn"]):
                conditions = tuple(_condition(c) for c in rule.get("Conditions", ()))
                found += [
                    Route(balancer.name, port, str(rule.get("Priority", "default")), conditions, arn, balancer.arn)
                    for arn in _forwards(rule.get("Actions", ()))
                ]
        return found

    return unreadable.items(f"listener rules of {balancer.name}", read)


def _forwards(actions: Any) -> list[str]:
    arns: dict[str, None] = {}
    for action in actions:
        if action.get("TargetGroupArn"):
            arns[action["TargetGroupArn"]] = None
        for group in (action.get("ForwardConfig") or {}).get("TargetGroups", ()):
            arns[group["TargetGroupArn"]] = None
    return list(arns)


_CONDITION_WORDS = {
    "path-pattern": ("path", "PathPatternConfig"),
    "host-header": ("host", "HostHeaderConfig"),
    "http-request-method": ("method", "HttpRequestMethodConfig"),
    "source-ip": ("source", "SourceIpConfig"),
}


def _condition(raw: dict[str, Any]) -> str:
    """A condition as people read it: "path /api/* or /v2/*"."""
    kind = str(raw.get("Field", ""))
    if kind in _CONDITION_WORDS:
        word, config = _CONDITION_WORDS[kind]
        detail = raw.get(config) or {}
        return (
            f"{word} {' or '.join(detail.get('Values') or detail.get('RegexValues') or raw.get('Values') or ())}"
        )
    if kind == "http-header":
        detail = raw.get("HttpHeaderConfig") or {}
        return f"header {detail.get('HttpHeaderName', '')} {' or '.join(detail.get('Values', ()))}"
    if kind == "query-string":
        pairs = (raw.get("QueryStringConfig") or {}).get("Values", ())
        return "query " + " or ".join(f"{p.get('Key', '*')}={p.get('Value', '')}" for p in pairs)
    return kind
