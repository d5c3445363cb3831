"""The comparison notebook runs on a plan alone and shows what the command shows."""

from __future__ import annotations

from pathlib import Path

from planner.documents import dump_plan
from tests.notebooks.test_deploy_notebooks import execute, texts
from tests.plans import plan


def test_a_plan_is_compared_with_a_team_s_own_hours(tmp_path: Path) -> None:
    dump_plan(plan(), tmp_path / "plan.json")

    shown = texts(
        execute(
            "compare", tmp_path / "compare.ipynb",
            {
                "plan": str(tmp_path / "plan.json"), "staff_usd_per_hour": 10.0, "staff_hours": {"ecs-ec2": 1},
                "out": str(tmp_path / "page.html"),
            },
        )
    )  # fmt: skip

    assert "With staff at $10 an hour" in shown
    assert "cannot: no privileged containers" in shown
    assert "Fargate Spot linux x86_64 vcpu_hour in eu-west-2" in shown
    assert 'id="figure-tornado"' in (tmp_path / "page.html").read_text()
