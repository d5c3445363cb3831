"""The limits of a scalable target, which its scheduled actions move at their times."""

from __future__ import annotations

from typing import Any, Final

from deploy.model import Image

LIMITS: Final = frozenset({"MinCapacity", "MaxCapacity"})


def has_acted(action: Image | None, target: Image | None) -> bool:
    """Whether the target's limits are those that the scheduled action sets."""
    limits = (action or {}).get("ScalableTargetAction") or {}
    return bool(limits) and all((target or {}).get(name) == value for name, value in limits.items())


def beside_limits(target: Image | None) -> dict[str, Any]:
    return {name: value for name, value in (target or {}).items() if name not in LIMITS}


def with_moved_limits(after: Image, live: Image) -> dict[str, Any]:
    """What to write over limits that a schedule has just set: the larger of both while scale-in is suspended for a
    rollout, afterwards the schedule's, since it does not act again before its next time."""
    rolling = (after.get("SuspendedState") or {}).get("DynamicScalingInSuspended")
    both = LIMITS & after.keys() & live.keys()
    return {**after, **{name: max(after[name], live[name]) if rolling else live[name] for name in both}}
