"""plan.json and its tables as one HTML page: offline, printable, readable in ten minutes."""

from __future__ import annotations

from planner.report.nearness import near_picture
from planner.report.page import candidate_rows, changes, cost_rows, render, render_comparison, summary
from planner.report.save import save

__all__ = [
    "candidate_rows",
    "changes",
    "cost_rows",
    "near_picture",
    "render",
    "render_comparison",
    "save",
    "summary",
]
