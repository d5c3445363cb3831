"""Fleets near the optimum: fewer types, one architecture, and the most different ones that cost little more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from planner.model import Architecture, Rejection
from planner.packing.problem import Packing, PackingProblem, price_of
from planner.packing.solve import pack

NEAR: Final = 0.03
ARCHITECTURES: Final = (("ARM only", Architecture.ARM64), ("x86 only", Architecture.X86_64))


@dataclass(frozen=True, slots=True)
class Alternative:
    name: str
    packing: Packing
    dearer_by: float
    """Cost over the cheapest fleet's cost, minus 1; below 0 where a rule on the number of types was loosened."""
    different: float
    """Share of the cost that is spent on other types than in the cheapest fleet, from 0 to 1."""


def near_optimal(
    problem: PackingProblem,
    cheapest: Packing,
    solve: Callable[[PackingProblem], Packing] = pack,
    near: float = NEAR,
) -> tuple[Alternative | Rejection, ...]:
    """Alternatives to `cheapest`, each by one more call of `solve`; those that cannot be had, with the reason.

    The different fleets come from leaving out the types, then the families, that the fleets before used; they
    are given only where they cost at most `near` more. A rule on the number of types holds for them and for one
    architecture; more types than it allows are tried too, and may cost less than `cheapest`.
    """
    found: list[Alternative | Rejection] = [_beside("cheapest", cheapest, problem, cheapest, problem)]
    for name, variant in _variants(problem):
        found.append(_tried(name, variant, cheapest, solve, problem))
    different = [_tried(name, variant, cheapest, solve, problem) for name, variant in _without(problem, cheapest)]
    close = [a for a in different if isinstance(a, Alternative) and a.dearer_by <= near]
    return (*found, *sorted(close, key=lambda a: (-a.different, a.name)))


def _variants(problem: PackingProblem) -> list[tuple[str, PackingProblem | Rejection]]:
    found: list[tuple[str, PackingProblem | Rejection]] = []
    if problem.max_types is not None:
        found.append(("any number of types", replace(problem, max_types=None)))
    found += [("one type", replace(problem, max_types=1)), ("two types", replace(problem, max_types=2))]
    return found + [(name, _only(name, architecture, problem)) for name, architecture in ARCHITECTURES]


def _only(name: str, architecture: Architecture, problem: PackingProblem) -> PackingProblem | Rejection:
    bound = [t.service for t in problem.tasks if t.architecture not in {None, architecture}]
    if bound:
        more = f" and {len(bound) - 3} more" if len(bound) > 3 else ""
        return Rejection(name, f"the other architecture is asked for by {', '.join(bound[:3])}{more}")
    offers = tuple(o for o in problem.catalogue if o.architecture == architecture)
    if not offers:
        return Rejection(name, "the catalogue has no such instance type")
    return replace(problem, catalogue=offers)


def _without(problem: PackingProblem, cheapest: Packing) -> list[tuple[str, PackingProblem]]:
    spent = _spending(cheapest, problem)
    used = set(spent)
    families = {name.partition(".")[0] for name in used}
    first = max(spent, key=lambda name: (spent[name], name), default="")
    rules: list[tuple[str, Callable[[str], bool]]] = [
        (f"without {first}", lambda name: name != first),
        ("without the types of the cheapest", lambda name: name not in used),
        (f"without any {' or '.join(sorted(families))}", lambda name: name.partition(".")[0] not in families),
    ]
    found = []
    for name, keep in rules:
        offers = tuple(o for o in problem.catalogue if keep(o.instance_type))
        if offers and len(offers) < len(problem.catalogue):
            found.append((name, replace(problem, catalogue=offers)))
    return found


def _tried(
    name: str,
    variant: PackingProblem | Rejection,
    cheapest: Packing,
    solve: Callable[[PackingProblem], Packing],
    problem: PackingProblem,
) -> Alternative | Rejection:
    return variant if isinstance(variant, Rejection) else alternative_to(problem, cheapest, name, variant, solve)


def alternative_to(
    problem: PackingProblem,
    cheapest: Packing,
    name: str,
    variant: PackingProblem,
    solve: Callable[[PackingProblem], Packing],
) -> Alternative | Rejection:
    """The fleet for `variant` beside `cheapest`, which is the one for `problem`."""
    packing = solve(variant)
    missing = {u.service: u.count for u in packing.unplaced} != {u.service: u.count for u in cheapest.unplaced}
    if missing:
        return Rejection(name, "it cannot place every task: " + packing.unplaced[0].reason)
    return _beside(name, packing, variant, cheapest, problem)


def _beside(
    name: str, packing: Packing, variant: PackingProblem, cheapest: Packing, problem: PackingProblem
) -> Alternative:
    base = cheapest.usd_per_hour
    ours, theirs = _spending(packing, variant), _spending(cheapest, problem)
    shared = sum(min(ours[t], theirs[t]) for t in ours)
    total = sum(ours.values())
    return Alternative(
        name,
        packing,
        packing.usd_per_hour / base - 1.0 if base else 0.0,
        1.0 - shared / total if total else 0.0,
    )


def _spending(packing: Packing, problem: PackingProblem) -> Counter[str]:
    offers = {o.instance_type: o for o in problem.catalogue}
    spent: Counter[str] = Counter()
    for line in packing.instances:
        spent[line.instance_type] += line.count * price_of(offers[line.instance_type], line.purchase)  # type: ignore[assignment]
    return spent
