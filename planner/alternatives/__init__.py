"""The other platforms on the same demand: what each costs, cannot do and asks for, and what would flip it."""

from planner.alternatives.assumptions import TITLES, Assumptions, Platform
from planner.alternatives.compare import Comparison, as_document, compare
from planner.alternatives.demanded import Demanded, DemandedService, Level, excess_share, levels
from planner.alternatives.evaluation import Evaluation, Pack, Packed
from planner.alternatives.flips import Flip, break_even_factor, flips
from planner.alternatives.platforms import evaluate
from planner.alternatives.question import PlannedFleet, Question
from planner.alternatives.sensitivity import INPUTS, Bar, Input, tornado

__all__ = [
    "INPUTS",
    "TITLES",
    "Assumptions",
    "Bar",
    "Comparison",
    "Demanded",
    "DemandedService",
    "Evaluation",
    "Flip",
    "Input",
    "Level",
    "Pack",
    "Packed",
    "PlannedFleet",
    "Platform",
    "Question",
    "as_document",
    "break_even_factor",
    "compare",
    "evaluate",
    "excess_share",
    "flips",
    "levels",
    "tornado",
]
