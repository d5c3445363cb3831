"""A comparison in sentences, for the report, the notebook and the command line."""

from __future__ import annotations

from typing import Final

from planner.alternatives.compare import Comparison
from planner.alternatives.evaluation import Evaluation
from planner.alternatives.flips import Flip
from planner.units import usd_per_month

SHOWN_FLIPS: Final = 2
"""Of each other platform, the smallest single changes."""


def headline(comparison: Comparison) -> list[str]:
    """What an architect wants first, a sentence each."""
    cheapest, bare, home = comparison.cheapest, comparison.cheapest_without_staff, comparison.home
    if cheapest is None or bare is None:
        return ["No platform can be priced completely: the reasons are in the table."]
    rate = comparison.assumed.staff_usd_per_hour
    said = [f"With staff at ${rate:g} an hour, {cheapest.title} is the cheapest: {monthly(cheapest)} a month."]
    if home is not None and cheapest is not home:
        said.append(f"{home.title}, which the plan is for, is {monthly(home)}.")
    if cheapest.rebuild and (present := comparison.cheapest_with_present_images):
        said.append(
            f"{cheapest.title} needs images of {len(cheapest.rebuild)} services built anew; with the images as"
            f" they are, {present.title} is the cheapest: {monthly(present)}."
        )
    said.append(
        f"Without staff hours, which are assumptions, {bare.title} has the smallest bill:"
        f" {bill(bare)}{f', against {bill(home)}' if home is not None and bare is not home else ''}."
    )
    if (paid_back := comparison.payback_months(cheapest)) is not None:
        days = f"{cheapest.migration_days:g} person-days"
        said.append(f"Getting there takes {days}, which the saving pays back in {months(paid_back)}.")
    if comparison.ended_by_clock:
        said.append(
            f"The time limit ended {comparison.ended_by_clock} of the packings, so another run may give other"
            " figures: raise it to let them end by themselves."
        )
    return [*said, *_still_dearer(comparison)]


def _still_dearer(comparison: Comparison) -> list[str]:
    """Platforms with a price missing that are dearer than the cheapest without it already."""
    cheapest = comparison.cheapest
    return [
        f"{e.title} has no price for {' and '.join(r.what for r in e.missing)}, and costs more without it."
        for e in comparison.evaluations
        if e.missing and cheapest is not None and (e.usd_per_hour or 0.0) > (cheapest.usd_per_hour or 0.0)
    ]


def flips(comparison: Comparison) -> list[tuple[str, list[str]]]:
    """For each other complete platform the smallest single changes that level it with the cheapest."""
    complete = [e for e in comparison.evaluations if e.is_complete]
    return [
        (e.title, [_flip(f) for f in comparison.flips if f.challenger is e.platform][:SHOWN_FLIPS])
        for e in complete[1:]
    ]


def _flip(flip: Flip) -> str:
    change = f"{flip.factor - 1:+.0%}" if flip.factor < 3 else f"times {flip.factor:.1f}"
    return f"{flip.group} {change}"


def break_even_sentences(comparison: Comparison) -> list[str]:
    found = comparison.break_even
    if found is None:
        return []
    said = [f"The instances of {found.name} are {found.filled:.0%} full on average over time."]
    for kind in found.fargate:
        point = found.break_even(kind)
        if point > 1:
            said.append(f"{kind} costs less than even full instances.")
        else:
            said.append(f"Against {kind} they are the cheaper ones above {point:.0%}.")
    return [*said, "Staff is not in this picture."]


def monthly(evaluation: Evaluation) -> str:
    usd = evaluation.usd_per_hour
    return "refused" if usd is None else f"${usd_per_month(usd):,.0f}"


def bill(evaluation: Evaluation) -> str:
    usd = evaluation.infrastructure_usd_per_hour
    return "" if usd is None else f"${usd_per_month(usd):,.0f}"


def months(count: float) -> str:
    return f"{count:.0f} months" if count >= 1.5 else "a month"
