"""The main job from end to end: metrics in, an applied and verified ECS configuration out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from deploy.rehearse import CLUSTER, ROOT, Rehearsal, rehearse
from planner.documents import PlanDocument, load_config, load_plan
from tests.browser.opening import figure_sizes, launched, opened

if TYPE_CHECKING:
    from deploy.sandbox import Sandbox

pytestmark = pytest.mark.slow

REAL = {
    "admin": "ec2_cpu_utilization_24ae8d.csv",
    "api": "ec2_cpu_utilization_5f5533.csv",
    "auth": "ec2_cpu_utilization_77c1ca.csv",
    "documents": "ec2_cpu_utilization_ac20cd.csv",
    "frontend": "rds_cpu_utilization_cc0c53.csv",
    "payments": "grok_asg_anomaly.csv",
}
"""Real CloudWatch series of five-minute CPU percentages, by the service that they are put under."""


class Live:
    """The applied state, read back through boto3 while the sandbox still ran."""

    def __init__(self) -> None:
        self.services: dict[str, Any] = {}
        self.definitions: dict[str, Any] = {}
        self.targets: dict[str, Any] = {}
        self.policies: dict[str, Any] = {}
        self.groups: dict[str, Any] = {}

    def read(self, sandbox: Sandbox, _run: Path) -> None:
        ecs, scaling = sandbox.client("ecs"), sandbox.client("application-autoscaling")
        arns = ecs.list_services(cluster=CLUSTER, maxResults=100)["serviceArns"]
        for start in range(0, len(arns), 10):
            for one in ecs.describe_services(cluster=CLUSTER, services=arns[start : start + 10])["services"]:
                self.services[one["serviceName"]] = one
                described = ecs.describe_task_definition(taskDefinition=one["taskDefinition"])
                self.definitions[one["serviceName"]] = described["taskDefinition"]
        for target in scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]:
            self.targets[target["ResourceId"].rpartition("/")[2]] = target
        for policy in scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]:
            self.policies.setdefault(policy["ResourceId"].rpartition("/")[2], []).append(policy)
        for group in sandbox.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]:
            self.groups[group["AutoScalingGroupName"]] = group


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Rehearsal, PlanDocument, Live]:
    live = Live()
    done = rehearse(tmp_path_factory.mktemp("runs"), lambda _step: None, inspect=live.read)
    return done, load_plan(done.plan), live


def test_the_run_leaves_report_plan_configuration_and_journal(
    sample: tuple[Rehearsal, PlanDocument, Live],
) -> None:
    done, plan, _ = sample

    assert done.verified
    assert done.report.stat().st_size > 1_000_000  # plotly is inside
    assert load_config(done.config).plan_sha256
    assert [p.suffix for p in done.journal.glob("*.jsonl")] == [".jsonl"]
    assert {(done.run / f"{name}.ipynb").is_file() for name in ("report", "emit", "deploy")} == {True}
    assert plan.scope.cluster == CLUSTER


def test_the_plan_is_cheaper_and_keeps_the_objective(sample: tuple[Rehearsal, PlanDocument, Live]) -> None:
    done, plan, _ = sample
    chosen = next(c for c in plan.candidates if c.rejected is None)

    assert done.plan_usd_per_month < done.today_usd_per_month
    assert chosen.attainment is not None
    assert chosen.attainment >= plan.objective.slo
    assert plan.packing.lower_bound_usd_per_hour <= plan.packing.usd_per_hour


def test_live_services_run_the_planned_sizes_on_the_planned_capacity(
    sample: tuple[Rehearsal, PlanDocument, Live],
) -> None:
    _, plan, live = sample
    for planned in plan.services:
        service, definition = live.services[planned.service], live.definitions[planned.service]
        assert (
            definition["taskDefinitionArn"] != planned.task_definition_arn or planned.task == planned.task_before
        )
        assert _size(definition) == (planned.task.cpu_units, planned.task.memory_mib), planned.service
        strategy = [i["capacityProvider"] for i in service["capacityProviderStrategy"]]
        assert strategy == [i.capacity_provider for i in planned.capacity_providers]
        assert service["runningCount"] == service["desiredCount"] > 0


def test_live_scaling_has_the_planned_limits_and_targets(sample: tuple[Rehearsal, PlanDocument, Live]) -> None:
    _, plan, live = sample
    for planned in plan.services:
        assert planned.scaling is not None
        target = live.targets[planned.service]
        assert target["MaxCapacity"] == planned.scaling.max_capacity
        assert not any(target["SuspendedState"].values())
        if planned.scaling.target_tracking is not None:
            values = [
                p["TargetTrackingScalingPolicyConfiguration"]["TargetValue"]
                for p in live.policies[planned.service]
            ]
            assert values == [planned.scaling.target_tracking.target]


def test_the_retired_group_is_empty_and_the_new_one_within_its_limits(
    sample: tuple[Rehearsal, PlanDocument, Live],
) -> None:
    _, plan, live = sample
    for retired in plan.retired:
        assert live.groups[retired.auto_scaling_group]["DesiredCapacity"] == 0
    for line in plan.fleet:
        group = live.groups[line.auto_scaling_group]
        assert (group["MinSize"], group["MaxSize"]) == (line.min_size, line.max_size)
        assert line.min_size <= group["DesiredCapacity"] <= line.max_size


def test_no_secret_value_is_in_anything_the_run_wrote(sample: tuple[Rehearsal, PlanDocument, Live]) -> None:
    done, _, _ = sample
    texts = [p for p in done.run.rglob("*") if p.suffix in {".json", ".jsonl", ".ipynb", ".html"}]

    assert len(texts) > 5
    for path in texts:
        assert "the sample estate has no real secret" not in path.read_text(encoding="utf-8"), path


@pytest.mark.browser
def test_the_report_of_the_run_opens_in_a_browser_and_shows_the_figures(
    sample: tuple[Rehearsal, PlanDocument, Live],
) -> None:
    done, plan, _ = sample
    with launched() as browser, opened(browser, done.report) as report:
        told = report.page.inner_text("body")
        sizes = figure_sizes(report.page)

        assert report.complaints == []
        assert [url for url in report.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert len(sizes) >= 8
    assert all(width > 300 and height > 150 for width, height in sizes)
    assert f"${done.plan_usd_per_month:,.0f}" in told
    assert f"${done.today_usd_per_month:,.0f}" in told
    assert all(demand.service in told for demand in plan.demand)


def test_planning_the_same_estate_again_gives_the_same_bytes(
    sample: tuple[Rehearsal, PlanDocument, Live], tmp_path: Path
) -> None:
    from planner import pipeline
    from planner.aws import reopen
    from planner.documents import canonical_bytes
    from planner.prices import load
    from planner.settings import Settings

    done, plan, _ = sample
    seen = reopen(
        CLUSTER, since="15d", as_of=plan.created_at.isoformat(), store=done.run.parent / "rehearsal-store"
    )
    again = pipeline.settled(pipeline.plan(seen.estate, seen.points, seen.as_of, Settings(), load()))

    assert canonical_bytes(again.document) == canonical_bytes(plan)


def test_the_explore_notebook_plays_with_the_store_that_the_run_left(
    sample: tuple[Rehearsal, PlanDocument, Live], tmp_path: Path
) -> None:
    import papermill

    done, _, _ = sample
    executed = papermill.execute_notebook(
        str(ROOT / "notebooks" / "explore.ipynb"), str(tmp_path / "explore.ipynb"),
        {"store": str((done.run.parent / "rehearsal-store").resolve()), "as_of": "2026-05-13T00:00:00Z"},
        kernel_name="python3", progress_bar=False, log_output=False,
    )  # fmt: skip
    shown = json.dumps([cell.get("outputs", []) for cell in executed.cells])

    assert "application/vnd.jupyter.widget-view+json" in shown
    assert "11 services on 12 container instances" in shown
    state = json.dumps(executed.metadata.get("widgets", {}))
    assert "a month (today $" in state
    assert state.count("FigureModel") == 4  # cost, packing, candidates, demand


def test_the_job_runs_on_real_cloudwatch_series(shared_data: Path, tmp_path: Path) -> None:
    live = Live()

    def real_metrics(sandbox: Sandbox) -> None:
        for service, name in REAL.items():
            sandbox.load_metrics(shared_data / "cloudwatch" / name, service, align_end=True)

    done = rehearse(tmp_path, lambda _step: None, prepare=real_metrics, inspect=live.read)
    plan = load_plan(done.plan)

    assert done.verified
    assert {d.service for d in plan.demand} >= set(REAL)
    for demand in plan.demand:
        if demand.service in REAL:
            # 14 days of five-minute points, less gaps, aligned to the end of 15 days: 14 x 1,440 = 20,160 minutes
            assert 0.5 * 20_160 <= demand.observed_minutes <= 20_160 + 1_440, demand.service
    report = done.report.read_text(encoding="utf-8")
    assert "duplicates" in report or "gaps" in report or "missing periods" in report


def _size(definition: dict[str, Any]) -> tuple[int, int]:
    """What ECS reserves for a task of this definition."""
    containers = definition["containerDefinitions"]
    cpu = definition.get("cpu") or sum(c.get("cpu", 0) for c in containers)
    memory = definition.get("memory") or sum(c.get("memoryReservation") or c["memory"] for c in containers)
    return int(cpu), int(memory)


def test_the_journal_is_one_json_document_a_line(sample: tuple[Rehearsal, PlanDocument, Live]) -> None:
    done, _, _ = sample
    (journal,) = done.journal.glob("*.jsonl")
    lines = journal.read_text(encoding="utf-8").splitlines()

    assert len(lines) > 50
    assert all(isinstance(json.loads(line), dict) for line in lines)
