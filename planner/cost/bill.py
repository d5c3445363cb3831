"""A bill that was read, and today's reckoning beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from planner.cost.period import Reconciled


@dataclass(frozen=True, slots=True)
class Bill:
    """Billed USD by AWS service, from `start` up to and without `end`."""

    start: date
    end: date
    usd_by_service: Mapping[str, float]
    estimated: bool
    """True while AWS has not closed the period: figures still move."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Today's cost as a plan reckons it beside the bill of the same days, the largest difference first."""

    bill: Bill
    rows: tuple[Reconciled, ...]
