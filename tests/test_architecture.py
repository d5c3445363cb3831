"""Who may import whom (docs/architecture.md), held by reading every file's imports."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PLANNER = sorted((ROOT / "planner").rglob("*.py"))
DEPLOY = sorted((ROOT / "deploy").rglob("*.py"))

STAGES = ("metrics", "demand", "packing", "scaling", "prices")
LEAVES = ("planner.units", "planner.model", "planner.frames", "planner.csv_rows", "planner.terminal")
DEPLOY_MAY_IMPORT = (
    "planner.documents",
    "planner.model",
    "planner.units",
    "planner.packing",
    "planner.cost",
    "planner.terminal",
)


def imported_names(path: Path) -> set[str]:
    """Every module a file imports, wherever in the file, `from a import b` read as `a.b` and `a`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names


def is_under(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", PLANNER, ids=name_of)
def test_planner_never_imports_deploy(path: Path) -> None:
    assert [name for name in imported_names(path) if is_under(name, "deploy")] == []


@pytest.mark.parametrize("path", [p for p in PLANNER if "cli" not in p.parts], ids=name_of)
def test_only_planner_aws_touches_aws_the_clock_and_the_environment(path: Path) -> None:
    if path.is_relative_to(ROOT / "planner" / "aws") or path.name == "terminal.py":
        pytest.skip("the shell")
    forbidden = ("boto3", "botocore", "planner.aws", "time", "os.environ", "os.getenv")

    assert [n for n in imported_names(path) if any(is_under(n, f) for f in forbidden)] == []
    assert clock_reads(path) == []


def clock_reads(path: Path) -> list[str]:
    calls = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))
    attributes = (call.func for call in calls if isinstance(call.func, ast.Attribute))
    return [a.attr for a in attributes if a.attr in {"now", "utcnow", "today", "getenv"}]


@pytest.mark.parametrize("stage", STAGES)
def test_stages_share_types_but_not_code(stage: str) -> None:
    others = [f"planner.{other}" for other in STAGES if other != stage]
    others += ["planner.cost", "planner.decide", "planner.pipeline", "planner.alternatives"]
    offences = [
        (name_of(path), name)
        for path in sorted((ROOT / "planner" / stage).rglob("*.py"))
        for name in imported_names(path)
        if any(is_under(name, other) for other in others)
    ]

    assert offences == []


@pytest.mark.parametrize("leaf", ["units", "model", "frames", "csv_rows", "terminal"])
def test_leaves_import_nothing_of_ours_but_leaves(leaf: str) -> None:
    ours = {n for n in imported_names(ROOT / "planner" / f"{leaf}.py") if is_under(n, "planner")}

    assert {n for n in ours if not any(is_under(n, allowed) for allowed in LEAVES)} <= {"planner"}


@pytest.mark.parametrize("path", DEPLOY, ids=name_of)
def test_deploy_imports_only_the_planner_s_documents_types_and_fit_check(path: Path) -> None:
    ours = [n for n in imported_names(path) if n.startswith("planner.")]

    assert [n for n in ours if not any(is_under(n, allowed) for allowed in DEPLOY_MAY_IMPORT)] == []
