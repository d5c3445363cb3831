"""From candidates and limits to a decision: the cheapest that keeps every promise, and why not the others.

A decision is a value: it can be printed, compared, stored and refused. Carrying it out is `deploy`'s work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from planner.model import Rejection
from planner.units import UsdPerHour, usd_per_month


@dataclass(frozen=True, slots=True)
class Option:
    """One configuration that could be chosen, with what it costs and what it keeps.

    `attainment` is the lowest share of minutes over the services in which the utilisation objective held,
    judged on minutes the threshold was not fitted on where there were enough; None where it was not
    simulated. `impossible` says why it cannot be built at all.
    """

    name: str
    description: str
    usd_per_hour: UsdPerHour | None
    attainment: float | None = None
    lower_bound_usd_per_hour: UsdPerHour | None = None
    impossible: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    slo: float
    ceiling_usd_per_hour: UsdPerHour | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    chosen: Option
    rejected: tuple[tuple[Option, Rejection], ...]
    frontier: tuple[Option, ...]
    """Options that no other beats in both cost and attainment, cheapest first."""


@dataclass(frozen=True, slots=True)
class Undecided:
    """No option keeps every promise; each one's reason is told."""

    rejected: tuple[tuple[Option, Rejection], ...]

    @property
    def reason(self) -> str:
        told = "; ".join(f"{rejection.what}: {rejection.reason}" for _, rejection in self.rejected)
        return f"No candidate keeps every limit ({told})." if told else "There was no candidate to choose from."


def decide(options: Sequence[Option], limits: Limits) -> Decision | Undecided:
    """Choose the cheapest option within `limits`; ties go to the higher attainment, then to the name."""
    refused = [(option, reason) for option in options if (reason := _broken_limit(option, limits))]
    refused_names = {option.name for option, _ in refused}
    able = sorted((o for o in options if o.name not in refused_names), key=_preference)
    rejected = tuple((option, Rejection(option.name, reason)) for option, reason in refused)
    if not able:
        return Undecided(rejected)
    chosen, dearer = able[0], able[1:]
    return Decision(
        chosen,
        tuple((o, Rejection(o.name, _dearer(o, chosen))) for o in dearer) + rejected,
        frontier(options),
    )


def frontier(options: Sequence[Option]) -> tuple[Option, ...]:
    """The options that no other possible one beats in cost and attainment at once, cheapest first."""
    known = [o for o in options if o.usd_per_hour is not None and o.attainment is not None]
    comparable = [o for o in known if o.impossible is None]
    best = -1.0
    kept: list[Option] = []
    for option in sorted(comparable, key=_preference):
        assert option.attainment is not None
        if option.attainment > best:
            kept.append(option)
            best = option.attainment
    return tuple(kept)


def _preference(option: Option) -> tuple[float, float, str]:
    cost = float("inf") if option.usd_per_hour is None else round(option.usd_per_hour, 9)
    return (cost, -(option.attainment or 0.0), option.name)


def _broken_limit(option: Option, limits: Limits) -> str | None:
    if option.impossible is not None:
        return option.impossible
    if option.usd_per_hour is None:
        return "its price is unknown"
    if option.attainment is None:
        return "whether it keeps the objective could not be simulated"
    if option.attainment < limits.slo:
        return (
            f"it keeps the objective in {option.attainment:.3%} of minutes, under the {limits.slo:.3%} asked for"
        )
    ceiling = limits.ceiling_usd_per_hour
    if ceiling is not None and option.usd_per_hour > ceiling:
        return f"it costs {usd_per_month(option.usd_per_hour - ceiling):,.0f} USD a month above the ceiling"
    return None


def _dearer(option: Option, chosen: Option) -> str:
    assert option.usd_per_hour is not None
    assert chosen.usd_per_hour is not None
    difference = usd_per_month(option.usd_per_hour - chosen.usd_per_hour)
    if difference < 0.5:
        return f"it costs the same as {chosen.name}, which keeps the objective at least as well"
    return f"it costs {difference:,.0f} USD a month more than {chosen.name}"
