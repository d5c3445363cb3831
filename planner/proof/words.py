"""The proof in a paragraph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from zoneinfo import ZoneInfo

from planner.documents.packing import AddedCost
from planner.proof.peak import Peak

CENT: Final = 0.01


def statement(peak: Peak, bound: float, added: Sequence[AddedCost]) -> str:
    """What runs at the busiest minute, what no fleet can undercut, and what lies between."""
    running, tasks = peak.usd_per_hour, sum(t.count for t in peak.tasks)
    at = peak.made.grid.index[peak.minute].tz_convert(ZoneInfo(peak.made.settings.timezone))
    runs = (
        f"At its busiest minute ({at:%A} {at.day} {at:%B}, {at:%H:%M}) the fleet runs {tasks:,} tasks on"
        f" {peak.all_instances:,} instances for ${running:,.2f} an hour."
    )
    if not bound:
        return f"{runs} No bound was found for it, so nothing is proved about a cheaper fleet."
    gap = running / bound - 1
    if gap < 0.0005:
        return f"{runs} No fleet {_rule(peak)} can run them for less: it is proved to be the cheapest."
    proved = (
        f"No fleet {_rule(peak)} can run them for less than ${bound:,.2f}, so this one is at most {gap:.1%} above"
        " the cheapest possible."
    )
    parts = [f"${a.usd_per_hour:,.2f} is for {a.what}" for a in added if a.usd_per_hour >= CENT / 2]
    return f"{runs} {proved} Of the difference, {_joined(parts)}." if parts else f"{runs} {proved}"


def _rule(peak: Peak) -> str:
    most = peak.most_types
    rule = "of one instance type" if most == 1 else f"of at most {most} instance types"
    return f"{rule} that survives the loss of a zone" if peak.survives else rule


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])}, and {parts[-1]}"
