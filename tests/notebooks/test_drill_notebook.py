"""The drill notebook: a working day in the sandbox with a zone lost, read back hour by hour."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.kernel.runbook import environment, runbook
from tests.notebooks.test_deploy_notebooks import execute, texts


@pytest.mark.slow
def test_drill_passes_a_day_and_loses_a_zone(tmp_path: Path) -> None:
    with runbook(tmp_path) as ready, environment(ready):
        shown = texts(execute("drill", tmp_path / "drill.ipynb", {**ready.parameters, "hours": 3, "lost_at": 9}))

    assert "Drill: monday from 8:00 (Europe/London)" in shown
    assert "Zone eu-west-2a is lost, and" in shown
    assert [hour for hour in ("Mon 08:00", "Mon 09:00", "Mon 10:00") if hour not in shown] == []
