"""plan.json and its tables as one HTML page: offline, printable, readable in ten minutes."""

from __future__ import annotations

from planner.report.page import render

__all__ = ["render"]
