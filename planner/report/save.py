"""What a planning leaves in its run folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from planner.documents import dump_plan
from planner.report.page import render

if TYPE_CHECKING:
    from planner.alternatives import Comparison
    from planner.cost import Reconciliation
    from planner.model import Rejection
    from planner.pipeline import Planned
    from planner.purchases import Purchases


def save(
    planned: Planned,
    folder: str | Path,
    comparison: Comparison | None = None,
    buying: Purchases | None = None,
    billed: Reconciliation | Rejection | None = None,
) -> dict[str, str]:
    """Write plan.json, tables/ and report.html into `folder`, and comparison.json where there is one; returns
    their paths and the plan's digest."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    planned.tables.write(out / "tables")
    page = render(planned.document, planned.tables, comparison, buying, billed)
    (out / "report.html").write_text(page, encoding="utf-8")
    digest = dump_plan(planned.document, out / "plan.json")
    paths = {"plan": str(out / "plan.json"), "report": str(out / "report.html"), "sha256": digest}
    if comparison is not None:
        from planner.alternatives import as_document

        text = json.dumps(as_document(comparison), indent=1, sort_keys=True, allow_nan=False)
        (out / "comparison.json").write_text(text + "\n", encoding="utf-8")
        paths["comparison"] = str(out / "comparison.json")
    return paths
