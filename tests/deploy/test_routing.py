"""Target groups and listener rules go with the services: under one approval, in a safe order, and back again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.apply import apply
from deploy.diff import diff, effect_of
from deploy.emit import config_from_plan
from deploy.model import Action, CheckStatus, Effect, FailureKind
from deploy.move import Move
from deploy.normalise import normalise
from deploy.observe import observe
from deploy.rollback import rollback
from deploy.sandbox import Sandbox
from deploy.steps import plan_steps
from deploy.verify import verify
from planner.documents import ConfigDocument, PlanDocument
from planner.documents.config import ResourceType
from tests.deploy import estate
from tests.deploy.test_on_sandbox import approved

T = ResourceType


def test_both_spellings_of_a_rule_are_one() -> None:
    short = {
        "Conditions": [{"Field": "path-pattern", "Values": ["/b", "/a"]}],
        "Actions": [{"Type": "forward", "TargetGroupArn": "arn:1"}],
    }
    long = {
        "Conditions": [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/a", "/b"]}}],
        "Actions": [
            {
                "Type": "forward",
                "ForwardConfig": {
                    "TargetGroups": [{"TargetGroupArn": "arn:1", "Weight": 1}],
                    "TargetGroupStickinessConfig": {"Enabled": False},
                },
            }
        ],
    }

    assert normalise(T.LISTENER_RULE, short) == normalise(T.LISTENER_RULE, long)


def test_changing_a_rule_restarts_nothing() -> None:
    assert effect_of(T.LISTENER_RULE, "Actions") is Effect.NO_RESTART
    assert effect_of(T.TARGET_GROUP, "HealthCheckPath") is Effect.NO_RESTART
    assert effect_of(T.SERVICE, "loadBalancers") is Effect.RESTARTS_TASKS


def rule(*groups: str) -> dict[str, Any]:
    targets = [{"TargetGroupArn": group, "Weight": 1} for group in groups]
    return {
        "Conditions": [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/"]}}],
        "Actions": [{"Type": "forward", "ForwardConfig": {"TargetGroups": targets}}],
    }


def attached(*groups: str) -> dict[str, Any]:
    return {
        "taskDefinition": "web:1",
        "loadBalancers": [{"targetGroupArn": g, "containerName": "web", "containerPort": 80} for g in groups],
    }


def test_a_service_joins_a_group_before_requests_go_there_and_leaves_after_they_have_gone() -> None:
    one = {"service/web": attached("a"), "listener-rule/public:80/1": rule("a")}
    two = {"service/web": attached("a", "b"), "listener-rule/public:80/1": rule("b")}

    there = [(s.action, s.resource_id) for s in plan_steps(Move(one, two, {}))]
    back = [(s.action, s.resource_id) for s in plan_steps(Move(two, one, {}))]
    rollout, waits = (Action.AWAIT_DEPLOYMENT, "service/web"), (Action.AWAIT_TARGETS, "listener-rule/public:80/1")
    assert there.index(rollout) < there.index(waits)
    assert back.index(waits) < back.index((Action.WRITE, "service/web"))


# On the sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        estate.build(running, ("web",))
        estate.add_balancer(running)
        yield running


def plan(sandbox: Sandbox) -> PlanDocument:
    """The routed plan, made from the revision that runs."""
    told = sandbox.client("ecs").describe_services(cluster=estate.CLUSTER, services=["web"])["services"][0]
    data = estate.routed_plan().model_dump(mode="json")
    data["services"][0]["task_definition_arn"] = told["taskDefinition"]
    return PlanDocument.model_validate(data)


def routing(sandbox: Sandbox) -> dict[str, Any]:
    """Balancer, groups and rules as another tool reads them."""
    elb = sandbox.client("elbv2")
    balancer = elb.describe_load_balancers(Names=["public"])["LoadBalancers"][0]["LoadBalancerArn"]
    listener = elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"][0]["ListenerArn"]
    groups = elb.describe_target_groups()["TargetGroups"]
    return {
        "rules": [
            normalise(T.LISTENER_RULE, {k: v for k, v in rule.items() if k != "RuleArn"})
            for rule in elb.describe_rules(ListenerArn=listener)["Rules"]
        ],
        "groups": {
            g["TargetGroupName"]: (
                g,
                sorted(
                    (a["Key"], a["Value"])
                    for a in elb.describe_target_group_attributes(TargetGroupArn=g["TargetGroupArn"])["Attributes"]
                ),
            )
            for g in groups
        },
        "attached": sorted(
            balancer["targetGroupArn"].split("/")[1]
            for balancer in sandbox.client("ecs").describe_services(cluster=estate.CLUSTER, services=["web"])[
                "services"
            ][0]["loadBalancers"]
        ),
    }


def test_requests_are_shared_with_a_new_target_group_and_rollback_restores_every_rule(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    before = routing(sandbox)
    world, maria = estate.world_of(sandbox, tmp_path), estate.person(tmp_path)
    config = config_from_plan(plan(sandbox))
    outcome = apply(config, approved(config, world, maria), [maria.approver], world, tmp_path / "journal")

    assert outcome.succeeded, outcome.failure
    after = routing(sandbox)
    assert after["attached"] == ["web", "web-next"]
    group, attributes = after["groups"]["web-next"]
    assert (group["TargetType"], group["Port"], group["HealthCheckPath"]) == ("instance", 8080, "/")
    assert ("slow_start.duration_seconds", "60") in attributes
    assert after["groups"]["web"][0]["HealthCheckPath"] == "/ready"
    assert ("deregistration_delay.timeout_seconds", "30") in after["groups"]["web"][1]
    shared = next(r for r in after["rules"] if r["Priority"] == "10")
    weights = {
        g["TargetGroupArn"].split("/")[1]: g["Weight"]
        for g in shared["Actions"][0]["ForwardConfig"]["TargetGroups"]
    }
    assert weights == {"web": 9, "web-next": 1}
    assert {r["Priority"] for r in after["rules"]} == {"10", "20", "default"}
    again = observe(config, world.cloud)
    assert diff(again.live, again.wanted, config).is_empty
    assert [c for c in verify(config, world.cloud, world.clock) if c.status is CheckStatus.NG] == []

    back = rollback(Path(outcome.journal), world)
    assert back.succeeded, (back.failure, back.notes)
    assert routing(sandbox) == before


def test_a_rule_waits_for_a_healthy_target_and_fails_by_name(sandbox: Sandbox, tmp_path: Path) -> None:
    world, maria = estate.world_of(sandbox, tmp_path), estate.person(tmp_path)
    data = plan(sandbox).model_dump(mode="json")
    data["services"][0]["load_balancers"] = []  # nothing is ever attached to the new group
    config = config_from_plan(PlanDocument.model_validate(data))
    outcome = apply(config, approved(config, world, maria), [maria.approver], world, tmp_path / "journal")

    assert not outcome.succeeded
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.NO_TARGETS
    assert "web-next" in outcome.failure.reason
    served = next(r for r in routing(sandbox)["rules"] if r["Priority"] == "10")["Actions"][0]["ForwardConfig"]
    weights = {g["TargetGroupArn"].split("/")[1]: g["Weight"] for g in served["TargetGroups"]}
    assert weights == {"web": 1, "web-next": 0}
    assert rollback(Path(outcome.journal), world).succeeded


def problems(sandbox: Sandbox, config: ConfigDocument) -> dict[str, str]:
    return {p.what: p.reason for p in observe(config, estate.cloud_of(sandbox)).problems}


def test_what_a_bundle_could_not_write_back_is_refused_by_name(sandbox: Sandbox) -> None:
    elb = sandbox.client("elbv2")
    balancer = elb.describe_load_balancers(Names=["public"])["LoadBalancers"][0]["LoadBalancerArn"]
    listener = elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"][0]["ListenerArn"]
    known = next(r for r in elb.describe_rules(ListenerArn=listener)["Rules"] if r["Priority"] == "10")
    redirect = [{"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", "Protocol": "HTTPS"}}]
    elb.modify_rule(RuleArn=known["RuleArn"], Actions=redirect)
    data = plan(sandbox).model_dump(mode="json")
    data["target_groups"][1]["like"] = "missing"
    data["rules"][1] |= {"port": 443}

    found = problems(sandbox, config_from_plan(PlanDocument.model_validate(data)))
    assert "an action of type redirect" in found["listener-rule/public:80/10"]
    assert "is not there" in found["target-group/missing"]
    assert "no load balancer with such a port" in found["listener-rule/public:443/20"]
