"""What the documents promise is there: links, commands, schemas, parameters."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import deploy.cli
import planner.cli
from planner.documents import ConfigDocument, PlanDocument
from planner.settings import Settings, parse_settings

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
COMMAND = re.compile(r"(?m)^(?:    |.*`)(planner|deploy) ([a-z][a-z-]*)")


def page_name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def verbs(package: Any) -> set[str]:
    if not package.app.registered_commands:
        package._register_verbs()
    group = typer.main.get_command(package.app)
    return set(group.commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    targets = LINK.findall(page.read_text(encoding="utf-8"))

    assert [t for t in targets if not (page.parent / t).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_command_that_is_named_exists(page: Path) -> None:
    named = set(COMMAND.findall(page.read_text(encoding="utf-8")))
    known = {("planner", v) for v in verbs(planner.cli)} | {("deploy", v) for v in verbs(deploy.cli)}

    assert named - known == set()


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_no_page_names_a_machine_s_path(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    assert re.findall(r"(?<![\w.])/(?:root|work|home/\w+|tmp/\w+)/", text) == []


@pytest.mark.parametrize(("name", "document"), [("plan", PlanDocument), ("config", ConfigDocument)])
def test_the_published_schema_is_the_one_in_force(name: str, document: Any) -> None:
    published = json.loads((ROOT / "docs" / "schema" / f"{name}.json").read_text(encoding="utf-8"))

    assert published == json.loads(json.dumps(document.model_json_schema()))


def test_a_plan_validates_against_its_published_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    from tests.plans import plan

    schema = json.loads((ROOT / "docs" / "schema" / "plan.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads(plan().model_dump_json()), schema)


def test_the_parameters_in_the_guide_are_parameters() -> None:
    text = (ROOT / "docs" / "guide" / "report.md").read_text(encoding="utf-8")
    block = text.split("pass it with `--params`:\n\n")[1].split("\n\n")[0]

    assert parse_settings(yaml.safe_load(block)).survive_zone_loss is True


def test_the_report_notebook_s_parameters_are_the_settings_and_the_request() -> None:
    notebook = json.loads((ROOT / "notebooks" / "report.ipynb").read_text(encoding="utf-8"))
    cell = next(c for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", []))
    named = set(re.findall(r"(?m)^(\w+): ", "".join(cell["source"])))

    assert named == set(Settings.model_fields) | {
        "cluster", "region", "profile", "endpoint_url", "since", "as_of", "store", "out", "prices",
        "bill_tag",
    }  # fmt: skip


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.name)
def test_notebooks_are_stored_without_outputs_and_without_functions(path: Path) -> None:
    code = [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]

    assert all(c["outputs"] == [] and c["execution_count"] is None for c in code)
    assert not any(re.search(r"(?m)^\s*(def|class) ", "".join(c["source"])) for c in code)
