"""Failure drills: the same replay with a failure at its busiest minute, against the calm one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from planner.scaling.disturbances import CALM, Disturbance
from planner.scaling.outcome import Outcome
from planner.scaling.policies import Policy
from planner.scaling.replay import simulate

FloatArray = NDArray[np.float64]

ZONE_SHARE: Final = 1 / 3
"""Tasks and instances spread over three zones, one of which is lost."""
SPOT_SHARE: Final = 0.5
"""Half of the capacity reclaimed at once: one instance type of two in one zone drying up."""
BAD_DEPLOYMENT_MINUTES: Final = 15
"""New tasks fail until the circuit breaker has rolled back."""
DOUBLING_MINUTES: Final = 60

DRILLS: Final = {
    "zone-lost": ("a zone of three is lost", Disturbance(minutes=1, lost=ZONE_SHARE)),
    "bad-deployment": (
        "a deployment's new tasks never start, until it is rolled back",
        Disturbance(minutes=BAD_DEPLOYMENT_MINUTES, starts_fail=True, scale_in_off=True),
    ),
    "spot-reclaim": ("half of the capacity is reclaimed", Disturbance(minutes=1, lost=SPOT_SHARE)),
    "load-doubles": ("the load doubles for an hour", Disturbance(minutes=DOUBLING_MINUTES, load_factor=2.0)),
}


@dataclass(frozen=True, slots=True)
class Drill:
    name: str
    moment: datetime
    sentence: str
    added_violating_minutes: int
    added_unserved_vcpu_minutes: float
    recovered_after_minutes: int | None
    """From the failure to the last added violating minute of that day; None: not within a day."""

    def document(self) -> dict[str, Any]:
        return {
            "drill": self.name,
            "moment": self.moment.isoformat(),
            "sentence": self.sentence,
            "added_violating_minutes": self.added_violating_minutes,
            "added_unserved_vcpu_minutes": self.added_unserved_vcpu_minutes,
            "recovered_after_minutes": self.recovered_after_minutes,
        }


def rehearse(
    demand_vcpu: FloatArray,
    start: datetime,
    policy: Policy,
    *,
    utilisation: float,
    loads: Mapping[str, FloatArray] | None = None,
    usd_per_instance_hour: float | None = None,
) -> tuple[Drill, ...]:
    """Every drill at the busiest minute that the calm replay serves within its objective."""

    def replay(disturbance: Disturbance = CALM) -> Outcome:
        return simulate(
            demand_vcpu,
            start,
            policy,
            utilisation=utilisation,
            loads=loads,
            usd_per_instance_hour=usd_per_instance_hour,
            disturbance=disturbance,
        )

    calm = replay()
    served = np.where(calm.trajectory.violating | np.isnan(demand_vcpu), -1.0, demand_vcpu)
    busiest = int(np.argmax(served))
    return tuple(
        _drill(name, what, calm, replay(_at(failure, busiest)), start, busiest)
        for name, (what, failure) in DRILLS.items()
    )


def _at(failure: Disturbance, minute: int) -> Disturbance:
    return replace(failure, start=minute)


def _drill(name: str, what: str, calm: Outcome, hit: Outcome, start: datetime, minute: int) -> Drill:
    added = hit.trajectory.violating & ~calm.trajectory.violating
    when = np.flatnonzero(added)
    recovered = 0 if not len(when) else int(when[-1]) - minute + 1
    moment = start + timedelta(minutes=minute)
    minutes = hit.violating_minutes - calm.violating_minutes
    return Drill(
        name=name,
        moment=moment,
        sentence=f"at {moment:%Y-%m-%d %H:%M} {what}: {minutes:+d} violating minutes, "
        f"recovered after {recovered} minutes",
        added_violating_minutes=minutes,
        added_unserved_vcpu_minutes=hit.unserved_vcpu_minutes - calm.unserved_vcpu_minutes,
        recovered_after_minutes=recovered,
    )
