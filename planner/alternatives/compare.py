"""All platforms side by side on one demand, and what would change their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Any, Final

from planner.alternatives.assumptions import Assumptions, Platform
from planner.alternatives.evaluation import Evaluation, Pack, Packed
from planner.alternatives.flips import Flip, flips
from planner.alternatives.platforms import evaluate
from planner.alternatives.question import Question
from planner.alternatives.sensitivity import Bar, tornado
from planner.cost import Kind, by_kind, total
from planner.cost.break_even import FleetBreakEven
from planner.cost.export import as_record
from planner.model import InstanceType, Rejection, Resources, TaskType
from planner.units import Usd, UsdPerHour, usd_per_month

HOME: Final = Platform.ECS_EC2
"""Where the demand runs today, which migration days are counted from."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Evaluations, cheapest complete one first, then those with missing prices, then the refused."""

    evaluations: tuple[Evaluation, ...]
    flips: tuple[Flip, ...]
    """For each other complete platform, every single change that would level it with the cheapest."""
    tornado: tuple[Bar, ...]
    assumed: Assumptions
    break_even: FleetBreakEven | None = None
    """ECS on EC2 against Fargate by how full the instances are; None where either has no cost."""
    ended_by_clock: int = 0
    """Packings that a time limit ended; then another run may give other figures."""

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

    @property
    def rival(self) -> Evaluation | None:
        """What the cheapest is held against: `home`, or the next where home is the cheapest."""
        complete = [e for e in self.evaluations if e.is_complete]
        return next((e for e in complete[1:] if e.platform is HOME), complete[1] if len(complete) > 1 else None)

    @property
    def advantage_usd_per_hour(self) -> UsdPerHour | None:
        """What the cheapest saves against its rival; None where fewer than two are complete."""
        lead, rival = self.cheapest, self.rival
        if lead is None or rival is None:
            return None
        return UsdPerHour((rival.usd_per_hour or 0.0) - (lead.usd_per_hour or 0.0))

    @property
    def cheapest_with_present_images(self) -> Evaluation | None:
        """The cheapest for which no image has to be built anew."""
        return next((e for e in self.evaluations if e.is_complete and not e.rebuild), None)

    @property
    def home(self) -> Evaluation | None:
        """Where migrations start from; None where it is not among the platforms, or has no cost."""
        return next((e for e in self.evaluations if e.platform is HOME and not e.refused), None)

    def migration_usd(self, evaluation: Evaluation) -> Usd:
        """The person-days to get there at the staff rate."""
        days = evaluation.migration_days * self.assumed.hours_per_person_day
        return Usd(days * self.assumed.staff_usd_per_hour)

    def payback_months(self, evaluation: Evaluation, *, staff: bool = True) -> float | None:
        """Months until what is saved against `home` has paid for getting there; None where it never does."""
        if self.home is None or not evaluation.is_complete or evaluation.platform is HOME:
            return None
        of = attrgetter("usd_per_hour" if staff else "infrastructure_usd_per_hour")
        saved = usd_per_month(of(self.home) - of(evaluation))
        return self.migration_usd(evaluation) / saved if saved > 0 else None


def compare(
    question: Question,
    platforms: Sequence[Platform] = tuple(Platform),
    advance: Callable[[float], None] = lambda _amount: None,
) -> Comparison:
    """Evaluate every platform on the same demand and rank them."""
    found = []
    known: dict[Packing, Packed | Rejection] = {}
    once = replace(question, pack=remembered(question.pack, known))
    for platform in platforms:
        found.append(evaluate(platform, once))
        advance(1)
    found.sort(key=_rank)
    complete = [e for e in found if e.is_complete]
    changes = [flip for other in complete[1:] for flip in flips(complete[0], other)]
    return Comparison(
        tuple(found), tuple(changes), tornado(found, home=HOME), question.assumed, break_even_of(found),
        sum(isinstance(packed, Packed) and packed.ended_by_clock for packed in known.values()),
    )  # fmt: skip


ON_FARGATE: Final = (Platform.ECS_FARGATE, Platform.ECS_FARGATE_ARM, Platform.ECS_FARGATE_SPOT)


def break_even_of(evaluations: Sequence[Evaluation]) -> FleetBreakEven | None:
    """The fleet of ECS on EC2 against the Fargate platforms that have a cost."""
    by_platform = {e.platform: e for e in evaluations if not e.refused}
    home = by_platform.get(HOME)
    running = {p: _running(by_platform[p]) for p in ON_FARGATE if p in by_platform}
    levels = {by_platform[p].title: usd for p, usd in running.items() if usd > 0}
    if home is None or not home.filled or not levels or not _running(home):
        return None
    return FleetBreakEven(home.title, _running(home), home.filled, levels)


def _running(evaluation: Evaluation) -> UsdPerHour:
    """What changes with how full instances are: compute, fees on it, volumes."""
    return total(line for line in evaluation.lines if line.kind in {Kind.COMPUTE, Kind.FEE, Kind.STORAGE})


Packing = tuple[tuple[TaskType, ...], tuple[InstanceType, ...]]
"""What a packer is asked."""


def remembered(pack: Pack, known: dict[Packing, Packed | Rejection]) -> Pack:
    """The same packer, asked once for each problem, its answers in `known`: ECS on EC2 and Managed Instances pack
    the same fleets."""

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
        "packings_ended_by_clock": comparison.ended_by_clock,
        "cheapest_without_staff": bare.platform.value if bare else None,
        "compared_with": comparison.rival.platform.value if comparison.rival else None,
        "platforms": [_evaluation_record(comparison, e) for e in comparison.evaluations],
        "flips": [
            {"platform": f.challenger.value, "change": f.group, "factor": f.factor, "sentence": f.sentence}
            for f in comparison.flips
        ],
        "sensitivity": [_bar_record(bar) for bar in comparison.tornado],
        "break_even": None if comparison.break_even is None else _break_even_record(comparison.break_even),
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


def _break_even_record(found: FleetBreakEven) -> dict[str, Any]:
    return {
        "fleet": found.name,
        "filled": found.filled,
        "usd_per_month": usd_per_month(found.usd_per_hour),
        "fargate": [
            {"kind": kind, "usd_per_month": usd_per_month(usd), "break_even_filled": found.break_even(kind)}
            for kind, usd in found.fargate.items()
        ],
        "curve": [{"filled": filled, "usd_per_month": usd_per_month(usd)} for filled, usd in found.curve()],
    }


def _evaluation_record(comparison: Comparison, evaluation: Evaluation) -> dict[str, Any]:
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
        "migration_usd": comparison.migration_usd(evaluation),
        "payback_months": comparison.payback_months(evaluation),
        "payback_months_without_staff": comparison.payback_months(evaluation, staff=False),
        "filled": evaluation.filled,
        "images_to_rebuild": list(evaluation.rebuild),
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
