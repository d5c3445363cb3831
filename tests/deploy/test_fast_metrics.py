"""Plans on 20-second metrics, from the plan to the applied state and back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deploy.apply import ApplyRefused, World, apply
from deploy.aws.ecs import EcsResources
from deploy.diff import diff
from deploy.emit import NotSupported, config_from_plan, main_tf, read_template, template, write_terraform
from deploy.model import CheckStatus, Effect
from deploy.monitoring import fast_names, spelled
from deploy.normalise import normalise
from deploy.observe import observe
from deploy.rollback import rollback
from deploy.sandbox import Sandbox
from deploy.steps import plan_steps
from deploy.terraform import plan_checks
from deploy.verify import verify
from planner.documents import PlanDocument
from planner.documents.config import ResourceType
from tests.deploy import estate, small
from tests.deploy.test_on_sandbox import read_through_boto3, run

CPU = "ECSServiceAverageCPUUtilization"
MEMORY = "ECSServiceAverageMemoryUtilization"
FAST = CPU + "HighResolution"
ON = {
    "metricConfigurations": [
        {"metricNames": ["CPUUtilization"], "resolutionSeconds": 20},
        {"metricNames": ["MemoryUtilization"], "resolutionSeconds": 60},
    ]
}
OFF = {"metricConfigurations": [{"metricNames": ["CPUUtilization", "MemoryUtilization"], "resolutionSeconds": 60}]}


@pytest.fixture
def maria(tmp_path: Path) -> estate.Person:
    return estate.person(tmp_path)


def plan(metric: str = FAST) -> PlanDocument:
    """The plan of estate.py for `web`, which tracks `metric`."""
    data = estate.plan_for(("web",)).model_dump(mode="json")
    data["services"][0]["scaling"]["target_tracking"]["metric"] = metric
    return PlanDocument.model_validate(data)


def alike(state: dict[str, Any]) -> dict[str, Any]:
    """Without what a policy that is made again cannot have as before."""
    made = {"PolicyARN", "CreationTime"}
    return {**state, "policies": [{k: v for k, v in p.items() if k not in made} for p in state["policies"]]}


def published(sandbox: Sandbox) -> frozenset[str]:
    """What `web` publishes every 20 seconds, as ECS tells it."""
    ecs = sandbox.client("ecs")
    service = ecs.describe_services(cluster=estate.CLUSTER, services=["web"])["services"][0]
    arns = [revision["arn"] for revision in service["currentServiceRevisions"]]
    revisions = ecs.describe_service_revisions(serviceRevisionArns=arns)["serviceRevisions"]
    return frozenset().union(*(fast_names(revision.get("monitoring")) for revision in revisions))


def test_a_plan_on_twenty_second_metrics_is_applied_verified_and_taken_back(
    sandbox: Sandbox, world: World, maria: estate.Person, tmp_path: Path
) -> None:
    before = read_through_boto3(sandbox)
    config = config_from_plan(plan())
    sandbox.forget_calls()
    outcome = run(config, world, maria, tmp_path)

    assert outcome.succeeded, outcome.failure
    writes = [call.operation for call in sandbox.calls]
    assert writes.index("UpdateService") < writes.index("PutScalingPolicy") < writes.index("DeleteScalingPolicy")
    assert published(sandbox) == {"CPUUtilization"}
    (policy,) = read_through_boto3(sandbox)["policies"]
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["PredefinedMetricSpecification"] == {"PredefinedMetricType": FAST}
    assert [c.name for c in verify(config, world.cloud, world.clock) if c.status is CheckStatus.NG] == []
    again = observe(config, world.cloud)
    assert diff(again.live, again.wanted, config).is_empty

    assert rollback(Path(outcome.journal), world).succeeded
    assert published(sandbox) == frozenset()
    assert alike(read_through_boto3(sandbox)) == alike(before)


def test_a_plan_that_no_longer_needs_them_turns_them_off_after_its_policy_has_changed(
    sandbox: Sandbox, world: World, maria: estate.Person, tmp_path: Path
) -> None:
    assert run(config_from_plan(plan()), world, maria, tmp_path / "on").succeeded
    base = sandbox.client("ecs").describe_services(cluster=estate.CLUSTER, services=["web"])["services"][0]
    later = plan(CPU).model_dump(mode="json")
    later["services"][0] |= {
        "task_definition_arn": base["taskDefinition"],
        "task_before": later["services"][0]["task"],
    }
    later["fleet"][0] |= {"exists": True, "like": None}
    config = config_from_plan(PlanDocument.model_validate(later | {"retired": []}))
    assert "monitoring" not in next(r for r in config.resources if r.id == "service/web").request
    sandbox.forget_calls()
    outcome = run(config, world, maria, tmp_path / "off")

    assert outcome.succeeded, outcome.failure
    writes = [call.operation for call in sandbox.calls]
    update = next(n for n, call in enumerate(sandbox.calls) if call.operation == "UpdateService")
    assert writes.index("PutScalingPolicy") < writes.index("DeleteScalingPolicy") < update
    assert published(sandbox) == frozenset()
    (policy,) = read_through_boto3(sandbox)["policies"]
    assert policy["PolicyName"] == f"web-{CPU}"

    assert rollback(Path(outcome.journal), world).succeeded
    assert published(sandbox) == {"CPUUtilization"}
    (policy,) = read_through_boto3(sandbox)["policies"]
    assert policy["PolicyName"] == f"web-{FAST}"


# Without a sandbox


def live_on(names: set[str], *metrics: str) -> Any:
    """The cluster in memory, whose `web` publishes `names` every 20 seconds and has policies on `metrics`."""
    fake = small.cloud()
    fake.state["service/web"] = {**(fake.state["service/web"] or {}), "monitoring": spelled(names)}
    for metric in metrics:
        tracking = {"TargetValue": 50.0, "PredefinedMetricSpecification": {"PredefinedMetricType": metric}}
        image = {"PolicyName": f"own-{metric}", "PolicyType": "TargetTrackingScaling"}
        image["TargetTrackingScalingPolicyConfiguration"] = tracking  # type: ignore[assignment]
        fake.state[f"scaling-policy/web/{metric}"] = normalise(ResourceType.SCALING_POLICY, image)
    return fake


def bundle(metric: str) -> Any:
    """small.bundle, whose policy tracks `metric`."""
    rendered = config_from_plan(plan(metric))
    by_id = {r.id: r for r in rendered.resources}
    kept = [by_id.get(r.id, r) if r.type is ResourceType.SERVICE else r for r in small.bundle().resources]
    kept = [r for r in kept if r.type is not ResourceType.SCALING_POLICY]
    at = next(n for n, r in enumerate(kept) if r.type is ResourceType.SCALABLE_TARGET)
    policy = by_id[f"scaling-policy/web/{metric}"]
    return rendered.model_copy(update={"resources": (*kept[: at + 1], policy, *kept[at + 1 :])})


def test_the_change_is_named_a_restart_with_what_it_costs() -> None:
    observation = observe(bundle(FAST), live_on(set()))
    (change,) = [c for c in diff(observation.live, observation.wanted).changes if c.path.startswith("monitoring")]

    assert change.effect is Effect.RESTARTS_TASKS
    assert change.note == (
        "ECS starts a deployment for it; metrics of 20 seconds are a stream of their own, charged like detailed "
        "monitoring"
    )
    assert (change.before, change.after) == (OFF["metricConfigurations"], ON["metricConfigurations"])


@pytest.mark.parametrize(
    ("planned", "live", "policies", "after", "gone"),
    [
        (FAST, set(), [CPU], {"CPUUtilization"}, [CPU]),  # takes the place of the same metric by the minute
        (FAST, {"MemoryUtilization"}, [], {"CPUUtilization", "MemoryUtilization"}, []),  # somebody else's is kept
        (FAST, set(), [MEMORY], {"CPUUtilization"}, []),  # a policy on another metric is kept
        (CPU, {"CPUUtilization"}, [FAST], set(), [FAST]),
        (CPU, {"CPUUtilization", "MemoryUtilization"}, [FAST], {"MemoryUtilization"}, [FAST]),
        (CPU, {"CPUUtilization"}, [CPU], None, []),  # no policy needed it: a dashboard may
        (CPU, set(), [CPU], None, []),
        (MEMORY + "HighResolution", {"CPUUtilization"}, [FAST], {"MemoryUtilization"}, [FAST]),
    ],
)
def test_what_is_published_follows_from_the_policies_that_come_and_go(
    planned: str, live: set[str], policies: list[str], after: set[str] | None, gone: list[str]
) -> None:
    observation = observe(bundle(planned), live_on(live, *policies))
    service = observation.wanted["service/web"]
    assert service is not None

    assert service.get("monitoring") == (None if after is None else spelled(after))
    start = "scaling-policy/web/"
    assert [
        n.removeprefix(start) for n, i in observation.wanted.items() if n.startswith(start) and i is None
    ] == gone


def test_a_policy_on_a_metric_that_nobody_has_the_service_publish_is_refused() -> None:
    config = bundle(FAST)
    bare = [
        r.model_copy(update={"request": {k: v for k, v in r.request.items() if k != "monitoring"}})
        for r in config.resources
    ]
    unpublished = config.model_copy(update={"resources": tuple(bare)})

    assert observe(unpublished, live_on({"CPUUtilization"})).problems == ()
    (problem,) = observe(unpublished, live_on({"MemoryUtilization"})).problems
    assert problem.what == f"scaling-policy/web/{FAST}"
    assert "tracks CPUUtilization of 20 seconds, which service/web does not publish" in problem.reason


@pytest.mark.parametrize(
    ("planned", "live", "policies", "order"),
    [
        (FAST, set(), [CPU], ["service", FAST, CPU]),
        (CPU, {"CPUUtilization"}, [FAST], [CPU, FAST, "service"]),
        (MEMORY + "HighResolution", {"CPUUtilization"}, [FAST], ["service", MEMORY + "HighResolution", FAST]),
    ],
)
def test_a_policy_is_there_while_its_metric_is(
    planned: str, live: set[str], policies: list[str], order: list[str]
) -> None:
    config, cloud = bundle(planned), live_on(live, *policies)
    steps = plan_steps(small.move(config, observe(config, cloud)))
    told = [step for step in steps if step.resource_id.startswith(("scaling-policy/", "service/web"))]
    names = [step.resource_id.rpartition("/")[2] for step in told if step.action in {"write", "delete"}]

    assert ["service" if name == "web" else name for name in names] == order


def test_terraform_refuses_what_its_provider_cannot_say(tmp_path: Path) -> None:
    config = config_from_plan(plan())

    with pytest.raises(
        NotSupported, match=r"service/web sets monitoring, .* with metric_resolution: standard-only"
    ):
        main_tf(config)
    with pytest.raises(NotSupported):
        write_terraform(config, tmp_path)
    assert list(tmp_path.iterdir()) == []
    (check,) = [c for c in plan_checks(config, {}) if c.name.startswith("service/web ")]
    assert check.status is CheckStatus.NG
    assert "no argument for yet" in check.reason


def test_cloudformation_says_it_on_the_service() -> None:
    config = config_from_plan(plan())
    rendered = template(config)
    (service,) = [r for r in rendered["Resources"].values() if r["Type"] == "AWS::ECS::Service"]

    assert service["Properties"]["Monitoring"] == {
        "MetricConfigurations": [
            {"MetricNames": ["CPUUtilization"], "ResolutionSeconds": 20},
            {"MetricNames": ["MemoryUtilization"], "ResolutionSeconds": 60},
        ]
    }
    assert read_template(rendered) == {resource.id: resource.request for resource in config.resources}


def test_an_approval_holds_what_was_published(maria: estate.Person, tmp_path: Path) -> None:
    config, cloud = bundle(FAST), live_on(set(), CPU)
    approval, approvers = small.approved(config, cloud, maria)
    cloud.state["service/web"] = {**cloud.state["service/web"], "monitoring": ON}

    with pytest.raises(ApplyRefused, match=r"moved since the approval \(service/web\)"):
        apply(config, approval, approvers, small.world(cloud), tmp_path)


class Told:
    """The ECS API of one service, as far as reading its monitoring goes."""

    def __init__(self, service: dict[str, Any], revisions: list[dict[str, Any]] | None = None) -> None:
        self.service, self.revisions = service, revisions or []

    def __call__(self, _client: str, operation: str, /, **given: Any) -> dict[str, Any]:
        if operation == "DescribeServices":
            return {"services": [self.service]}
        if operation == "DescribeServiceDeployments":
            return {"serviceDeployments": [self.service["$deployment"]]}
        named = given["serviceRevisionArns"]
        return {"serviceRevisions": [r for r in self.revisions if r["serviceRevisionArn"] in named]}


def ecs_of(service: dict[str, Any], *revisions: dict[str, Any]) -> EcsResources:
    return EcsResources(Told(service, list(revisions)), "prod")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("service", "why"),
    [
        ({"loadBalancers": [{"targetGroupArn": "arn:1"}], "deploymentController": {"type": "ECS"}}, None),
        ({"loadBalancers": [{"loadBalancerName": "old"}]}, "it is behind a Classic Load Balancer"),
        ({"deploymentController": {"type": "CODE_DEPLOY"}}, "its deployment controller is CODE_DEPLOY"),
    ],
)
def test_services_that_cannot_have_twenty_second_metrics_are_refused_by_name(
    service: dict[str, Any], why: str | None
) -> None:
    told = ecs_of(service).refuses_fast_metrics("web")

    assert told == (None if why is None else f"cannot have 20-second metrics: {why}")


def revision(name: str, minute: int, monitoring: dict[str, Any] | None = None) -> dict[str, Any]:
    at = datetime(2026, 5, 13, 0, minute, tzinfo=UTC)
    told = {"serviceRevisionArn": name, "createdAt": at}
    return told if monitoring is None else {**told, "monitoring": monitoring}


UNDER_WAY = {"targetServiceRevision": {"arn": "r2"}}


@pytest.mark.parametrize(
    ("service", "published_fast"),
    [
        ({"currentServiceRevisions": [{"arn": "r1"}]}, False),
        ({"currentServiceRevisions": [{"arn": "r1"}, {"arn": "r2"}]}, True),  # the newer one
        ({"currentServiceRevisions": []}, False),  # task sets have none
        (
            {
                "currentServiceRevisions": [{"arn": "r1"}],
                "currentServiceDeployment": "d",
                "$deployment": UNDER_WAY,
            },
            True,
        ),
        (
            {
                "currentServiceRevisions": [{"arn": "r1"}, {"arn": "r2"}],
                "currentServiceDeployment": "d",
                "$deployment": {**UNDER_WAY, "rollback": {"serviceRevisionArn": "r1"}},
            },
            False,
        ),
    ],
    ids=["settled", "two run", "no revision", "asked for", "rolled back"],
)
def test_what_a_service_publishes_is_read_from_the_revision_that_it_goes_to(
    service: dict[str, Any], published_fast: bool
) -> None:
    described = {"taskDefinition": "web:1", **service}
    image = ecs_of(described, revision("r1", 1), revision("r2", 2, ON)).read_service("web")
    assert image is not None

    assert image["monitoring"] == (ON if published_fast else OFF)
