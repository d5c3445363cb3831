"""`planner compare` from a TASKS csv with the planner's own packer."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from planner import terminal
from planner.cli import compare, schema

TASKS = "service,count,cpu_units,memory_mib,enis\nweb,6,512,1024,1\napi,3,1024,4096,1\n"


def run(*arguments: str) -> Result:
    app = typer.Typer()
    compare.register(app)
    schema.register(app)
    return CliRunner().invoke(app, ["compare", *arguments])


@pytest.fixture
def tasks(tmp_path: Path) -> str:
    path = tmp_path / "tasks.csv"
    path.write_text(TASKS)
    return str(path)


def answer(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exception is None, result.exception
    return json.loads(result.stdout)


def test_all_platforms_are_compared_and_exported(tasks: str, tmp_path: Path) -> None:
    path = tmp_path / "lines.csv"
    found = answer(tasks, "--region", "eu-west-2", "--family", "m7g", "--time-limit", "0.2", "--csv", str(path))

    by_platform = {p["platform"]: p for p in found["platforms"]}
    assert len(by_platform) == 9
    assert found["cheapest"] == found["platforms"][0]["platform"]
    assert (
        by_platform["ecs-fargate-spot"]["refused"][0]["what"] == "Fargate Spot linux x86_64 vcpu_hour in eu-west-2"
    )
    # 6 x (0.5 x 0.04656 + 0.00511) + 3 x (0.04656 + 4 x 0.00511) = 0.37134; ALB 0.02646 + 0.0084
    assert by_platform["ecs-fargate"]["infrastructure_usd_per_month"] == pytest.approx((0.37134 + 0.03486) * 730)
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    assert {row["platform"] for row in rows} == {p for p, e in by_platform.items() if not e["refused"]}


def test_the_comparison_is_written_as_a_page(tasks: str, tmp_path: Path) -> None:
    path = tmp_path / "comparison.html"
    found = answer(tasks, "--region", "eu-west-2", "--family", "m7g", "--time-limit", "0.1", "--html", str(path))

    page = path.read_text()
    assert "Platforms for tasks.csv" in page
    assert 'id="figure-platforms"' in page
    assert 'id="figure-break-even"' in page
    # the fleet costs what it costs however full: at the break-even it costs what Fargate does
    curve = found["break_even"]
    for kind in curve["fargate"]:
        even = curve["usd_per_month"] * curve["filled"] / kind["break_even_filled"]
        assert even == pytest.approx(kind["usd_per_month"])


def test_hours_of_the_week_count_on_fargate_by_their_mean(tasks: str, tmp_path: Path) -> None:
    hours = tmp_path / "hours.csv"
    lines = [f"web,{hour},{8 if hour % 24 in range(8, 20) else 2}" for hour in range(168)]
    hours.write_text("service,hour_of_week,tasks\n" + "\n".join(lines) + "\n")

    found = answer(
        tasks, "--region", "eu-west-2", "--hours", str(hours), "--platform", "ecs-fargate",
        "--load-balancers", "0", "--staff-hours", "ecs-fargate=0",
    )  # fmt: skip

    # web: (8 + 2) / 2 = 5 tasks x 0.02839; api as before
    assert found["platforms"][0]["usd_per_hour"] == pytest.approx(5 * 0.02839 + 3 * 0.067)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "pass --region"),
        (("--region", "eu-west-9"), "eu-west-9 is no Region"),
        (("--region", "eu-west-2", "--platform", "mesos"), "mesos is no platform"),
        (("--region", "eu-west-2", "--staff-hours", "ecs-ec2"), "is not PLATFORM=HOURS"),
        (("--region", "eu-west-2", "--currency", "GBP"), "a rate and its date"),
        (("--region", "eu-west-2", "--architecture", "mips"), "use x86_64 or arm64"),
    ],
)
def test_bad_options_are_refused_by_name(tasks: str, arguments: tuple[str, ...], told: str) -> None:
    error = run(tasks, *arguments).exception

    assert isinstance(error, terminal.BadInput)
    assert told in str(error)


def test_broken_files_are_refused_by_row(tasks: str, tmp_path: Path) -> None:
    short = tmp_path / "hours.csv"
    short.write_text("service,hour_of_week,tasks\nweb,0,3\n")
    odd = tmp_path / "odd.csv"
    odd.write_text("service,hour_of_week,tasks\nweb,0,many\n")
    plan = tmp_path / "plan.json"
    plan.write_text('{"schema_version": "1"')

    errors = [
        run(tasks, "--region", "eu-west-2", "--hours", str(short)).exception,
        run(tasks, "--region", "eu-west-2", "--hours", str(odd)).exception,
        run(str(plan)).exception,
        run(str(tmp_path / "absent.csv"), "--region", "eu-west-2").exception,
    ]

    assert all(isinstance(error, terminal.BadInput) for error in errors)
    assert "all 168 hours of web" in str(errors[0])
    assert "row 2" in str(errors[1])


def test_people_see_every_platform_and_what_would_flip_it(tasks: str) -> None:
    shown = run(tasks, "--region", "eu-west-2", "--family", "m7g", "--time-limit", "0.2").stdout

    assert "ECS on Fargate, ARM" in shown
    assert "at least" in shown  # AKS without its disks
    assert "What would flip it" in shown
    assert "Fargate prices" in shown


@pytest.mark.parametrize("hours", ["ecs-ec2=nan", "ecs-ec2=-1", "ecs-ec2=many"])
def test_staff_hours_that_are_none_are_refused(tasks: str, hours: str) -> None:
    error = run(tasks, "--region", "eu-west-2", "--staff-hours", hours).exception

    assert isinstance(error, terminal.BadInput)
    assert f"{hours} is not PLATFORM=HOURS" in str(error)


def test_a_page_that_cannot_be_written_is_told(tasks: str, tmp_path: Path) -> None:
    error = run(
        tasks, "--region", "eu-west-2", "--platform", "ecs-fargate", "--html", str(tmp_path / "no" / "page.html")
    ).exception

    assert isinstance(error, terminal.BadInput)
    assert "cannot be written" in str(error)
