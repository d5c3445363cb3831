"""What a planning leaves in its run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from planner.documents import dump_plan
from planner.report.page import render

if TYPE_CHECKING:
    from planner.pipeline import Planned


def save(planned: Planned, folder: str | Path) -> dict[str, str]:
    """Write plan.json, tables/ and report.html into `folder`; returns their paths and the plan's digest."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    planned.tables.write(out / "tables")
    (out / "report.html").write_text(render(planned.document, planned.tables), encoding="utf-8")
    digest = dump_plan(planned.document, out / "plan.json")
    return {"plan": str(out / "plan.json"), "report": str(out / "report.html"), "sha256": digest}
