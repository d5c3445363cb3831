"""The proof of a plan: its fleet at the busiest minute beside the cheapest possible one, and what lies between."""

from __future__ import annotations

from planner.proof.prove import prove
from planner.proof.searches import Effort

__all__ = ["Effort", "prove"]
