"""All platforms side by side on one demand, and what would change their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from planner.alternatives.assumptions import Assumptions, Platform
from planner.alternatives.evaluation import Evaluation, Pack, Packed
from planner.alternatives.flips import Flip, flips
from planner.alternatives.platforms import evaluate
from planner.alternatives.question import Question
from planner.alternatives.sensitivity import Bar, tornado
from planner.cost import by_kind
from planner.cost.export import as_record
from planner.model import InstanceType, Rejection, Resources, TaskType
from planner.units import usd_per_month


@dataclass(frozen=True, slots=True)
class Comparison:
    """Evaluations, cheapest complete one first, then those with missing prices, then the refused."""

    evaluations: tuple[Evaluation, ...]
    flips: tuple[Flip, ...]
    """For each other complete platform, every single change that would level it with the cheapest."""
    tornado: tuple[Bar, ...]
    assumed: Assumptions

    @property
    def cheapest(self) -> Evaluation | None:
        """None where no platform is priced completely."""
        first = self.evaluations[0]
        return first if first.is_complete else None

    @property
    def cheapest_without_staff(self) -> Evaluation | None:
        """The cheapest bill: staff hours are assumptions, so the order without them is told too."""
        complete = [e for e in self.evaluations if e.is_complete]
        return min(complete, key=lambda e: (e.infrastructure_usd_per_hour or 0.0, e.platform), default=None)


def compare(
    question: Question,
    platforms: Sequence[Platform] = tuple(Platform),
    advance: Callable[[float], None] = lambda _amount: None,
) -> Comparison:
    """Evaluate every platform on the same demand and rank them."""
    found = []
    once = replace(question, pack=remembered(question.pack))
    for platform in platforms:
        found.append(evaluate(platform, once))
        advance(1)
    found.sort(key=_rank)
    complete = [e for e in found if e.is_complete]
    changes = [flip for other in complete[1:] for flip in flips(complete[0], other)]
    return Comparison(tuple(found), tuple(changes), tornado(found), question.assumed)


def remembered(pack: Pack) -> Pack:
    """The same packer, asked once for each problem: ECS on EC2 and Managed Instances pack the same fleets."""
    known: dict[tuple[tuple[TaskType, ...], tuple[InstanceType, ...]], Packed | Rejection] = {}

    def packed(tasks: Sequence[TaskType], types: Sequence[InstanceType]) -> Packed | Rejection:
        key = tuple(tasks), tuple(types)
        if key not in known:
            known[key] = pack(*key)
        return known[key]

    return packed


def _rank(evaluation: Evaluation) -> tuple[int, float, str]:
    usd = evaluation.usd_per_hour
    if usd is None:
        return 2, 0.0, evaluation.platform.value
    return (0 if evaluation.is_complete else 1), usd, evaluation.platform.value


def as_document(comparison: Comparison) -> dict[str, Any]:
    """The comparison for JSON."""
    cheapest, bare = comparison.cheapest, comparison.cheapest_without_staff
    return {
        "cheapest": cheapest.platform.value if cheapest else None,
        "cheapest_without_staff": bare.platform.value if bare else None,
        "platforms": [_evaluation_record(e) for e in comparison.evaluations],
        "flips": [
            {"platform": f.challenger.value, "change": f.group, "factor": f.factor, "sentence": f.sentence}
            for f in comparison.flips
        ],
        "sensitivity": [_bar_record(bar) for bar in comparison.tornado],
        "assumptions": _assumption_record(comparison.assumed),
    }


def _assumption_record(assumed: Assumptions) -> dict[str, Any]:
    """Every parameter by its name; platforms and sizes in their own spelling."""
    record: dict[str, Any] = {}
    for name in (f.name for f in fields(assumed)):
        value = getattr(assumed, name)
        if isinstance(value, Mapping):
            value = {str(key): each for key, each in value.items()}
        elif isinstance(value, Resources):
            value = {"cpu_units": value.cpu_units, "memory_mib": value.memory_mib, "pods": value.enis}
        record[name] = value
    return record


def _evaluation_record(evaluation: Evaluation) -> dict[str, Any]:
    usd, infrastructure = evaluation.usd_per_hour, evaluation.infrastructure_usd_per_hour
    return {
        "platform": evaluation.platform.value,
        "title": evaluation.title,
        "complete": evaluation.is_complete,
        "usd_per_hour": usd,
        "usd_per_month": None if usd is None else usd_per_month(usd),
        "infrastructure_usd_per_month": None if infrastructure is None else usd_per_month(infrastructure),
        "usd_per_month_by_kind": {k: usd_per_month(v) for k, v in by_kind(evaluation.lines).items()},
        "staff_hours_per_month": evaluation.staff_hours_per_month,
        "migration_person_days": evaluation.migration_days,
        "cannot": list(evaluation.cannot),
        "re_evaluate": list(evaluation.re_evaluate),
        "notes": list(evaluation.notes),
        "not_priced": [{"what": r.what, "reason": r.reason} for r in evaluation.missing],
        "refused": [{"what": r.what, "reason": r.reason} for r in evaluation.refused],
        "lines": [as_record(line) for line in evaluation.lines],
    }


def _bar_record(bar: Bar) -> dict[str, Any]:
    return {
        "input": bar.input,
        "range": [bar.low, bar.high],
        "reason": bar.reason,
        "cheapest_platform_usd_per_month": [
            usd_per_month(bar.low_usd_per_hour),
            usd_per_month(bar.high_usd_per_hour),
        ],
        "advantage_usd_per_month": [
            usd_per_month(bar.low_advantage_usd_per_hour),
            usd_per_month(bar.high_advantage_usd_per_hour),
        ],
        "cheapest_at": [bar.cheapest_at_low.value, bar.cheapest_at_high.value],
    }
