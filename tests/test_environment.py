"""environment.yml names what pyproject.toml needs, in specs that conda's own grammar accepts."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

rattler = pytest.importorskip("rattler", reason="py-rattler, which carries conda's grammar, is not installed")

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT: dict[str, Any] = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
GIVEN = ("jupyterlab", "pandas", "boto3", "plotly", "papermill", "pytest")


def conda_specs() -> list[Any]:
    return [rattler.MatchSpec(d) for d in ENVIRONMENT["dependencies"] if isinstance(d, str)]


def pip_lines() -> list[str]:
    return next(d["pip"] for d in ENVIRONMENT["dependencies"] if isinstance(d, dict))


def requirement_name(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement)[0].lower()


def test_every_conda_spec_parses_and_names_a_package() -> None:
    names = [spec.name.normalized for spec in conda_specs()]

    assert len(names) == len(set(names))
    assert set(GIVEN) <= set(names)


def test_every_runtime_requirement_of_the_project_is_in_the_environment() -> None:
    conda = {spec.name.normalized for spec in conda_specs()}
    pip = {requirement_name(line) for line in pip_lines() if not line.startswith("-")}
    wanted = {requirement_name(r) for r in PROJECT["dependencies"]}

    assert wanted - conda - pip == set()


def test_lower_bounds_agree_with_pyproject() -> None:
    conda = {s.name.normalized: str(s.version) for s in conda_specs() if s.version is not None}
    bounds = dict(re.match(r"([a-z0-9-]+)(.*)", r).groups() for r in PROJECT["dependencies"])  # type: ignore[union-attr]
    differing = {
        name: (conda[name], bound) for name, bound in bounds.items() if name in conda and conda[name] != bound
    }

    assert differing == {}


def test_the_project_itself_is_installed_into_the_environment() -> None:
    assert "--editable ." in pip_lines()


def test_no_spec_names_a_registry_host() -> None:
    for name in ("environment.yml", "requirements.lock", "pyproject.toml"):
        assert "://" not in (ROOT / name).read_text(encoding="utf-8"), name
