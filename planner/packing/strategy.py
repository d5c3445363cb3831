"""Placement strategies of ECS, read from a short text or from a service's own list.

Source of the kinds, fields and limits: Amazon ECS developer guide, "Use strategies to define Amazon ECS
task placement"; botocore `ecs` model, PlacementStrategy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MAX_RULES: Final = 5
"""ECS accepts at most five strategy rules a service."""
ZONE_ATTRIBUTE: Final = "ecs.availability-zone"
INSTANCE_FIELD: Final = "instanceId"
_SHORT_FIELDS: Final = {"az": f"attribute:{ZONE_ATTRIBUTE}", "host": INSTANCE_FIELD, "instance": INSTANCE_FIELD}


@dataclass(frozen=True, slots=True)
class StrategyRule:
    """One rule, e.g. ("binpack", "memory"), ("spread", "attribute:ecs.availability-zone"), ("random", "")."""

    kind: str
    field: str = ""

    @property
    def text(self) -> str:
        return f"{self.kind}:{self.field}" if self.field else self.kind


Strategy = tuple[StrategyRule, ...]

DEFAULT_STRATEGY: Final[Strategy] = (StrategyRule("spread", f"attribute:{ZONE_ATTRIBUTE}"),)
"""What ECS uses for a service that names none."""


class StrategyError(ValueError):
    """The strategy is not one ECS knows; the message says what it would take."""


def parse_strategy(text: str) -> Strategy:
    """Read "spread:az,binpack:memory"; `az` and `host` are short for ECS's own field names.

    An empty text is ECS's default, spread over zones. Raises StrategyError.
    """
    if not text.strip():
        return DEFAULT_STRATEGY
    pairs = [part.strip().partition(":") for part in text.split(",")]
    return strategy_from((kind.strip(), field.strip()) for kind, _, field in pairs)


def strategy_from(pairs: Iterable[tuple[str, str]]) -> Strategy:
    """The strategy of a service's (type, field) pairs as AWS lists them. Raises StrategyError."""
    rules = tuple(_rule(kind, field) for kind, field in pairs)
    if not rules:
        return DEFAULT_STRATEGY
    if len(rules) > MAX_RULES:
        raise StrategyError(f"ECS accepts at most {MAX_RULES} strategy rules; {len(rules)} were given")
    return rules


def strategy_text(strategy: Strategy) -> str:
    return ",".join(rule.text for rule in strategy)


def _rule(kind: str, field: str) -> StrategyRule:
    lowered = kind.lower()
    if lowered == "random":
        return StrategyRule("random")
    if lowered == "binpack":
        if field.lower() not in {"cpu", "memory"}:
            raise StrategyError(f'binpack needs the field "cpu" or "memory", not "{field[:40]}"')
        return StrategyRule("binpack", field.lower())
    if lowered == "spread":
        return StrategyRule("spread", _spread_field(field))
    raise StrategyError(f'"{kind[:40]}" is not a placement strategy: use binpack, spread or random')


def _spread_field(field: str) -> str:
    known = _SHORT_FIELDS.get(field.lower(), field)
    if known == INSTANCE_FIELD or (known.startswith("attribute:") and known != "attribute:"):
        return known
    raise StrategyError(f'spread needs the field "az", "instanceId" or "attribute:<name>", not "{field[:40]}"')
