"""Back-tests in the words of the plan, priced as the plan runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from planner import demand as demand_stage
from planner.candidates import Group
from planner.demand import Score
from planner.documents.plan import BackTest, ServiceDemand
from planner.units import vcpu
from planner.workloads import Workload


def judged_demand(
    workloads: Sequence[Workload], groups: Sequence[Group], utilisation: float
) -> tuple[tuple[ServiceDemand, ...], BackTest | None]:
    """The demand of each service with its back-test, and the back-test of all together.

    Capacity is what keeps `utilisation` at p99, at the price of a vCPU of the instances that the plan puts the
    service on; a service on Fargate has no such price here.
    """
    usd_per_vcpu_hour = {
        name: group.offer.usd_per_hour / vcpu(group.offer.room.cpu_units)
        for group in groups
        for name in group.services
    }
    scores = [
        _priced(w.score, usd_per_vcpu_hour.get(w.name), utilisation) for w in workloads if w.score is not None
    ]
    told = {score.name: _words(score) for score in scores}
    demand = tuple(_with(w.summary, told.get(w.name)) for w in workloads)
    return demand, _words(demand_stage.pooled(scores)) if scores else None


def _with(summary: ServiceDemand, found: BackTest | None) -> ServiceDemand:
    if found is None:
        return summary
    return summary.model_copy(update={"back_test": found, "coverage_p99": found.coverage_p99})


def _priced(score: Score, usd_per_vcpu_hour: float | None, utilisation: float) -> Score:
    capacity, peak = score.capacity_hours / utilisation, score.peak_capacity_hours / utilisation
    price = usd_per_vcpu_hour
    return replace(
        score,
        capacity_hours=capacity,
        peak_capacity_hours=peak,
        usd=None if price is None else capacity * price,
        peak_usd=None if price is None else peak * price,
    )


def _words(score: Score) -> BackTest:
    p50, p90, p99 = (None if ratio is None else round(ratio, 3) for ratio in score.pinball_ratio)
    return BackTest(
        forecasts=score.forecasts,
        steps=score.steps,
        pinball_ratio_p50=p50,
        pinball_ratio_p90=p90,
        pinball_ratio_p99=p99,
        coverage_p90=round(score.coverage_p90, 4),
        coverage_p99=round(score.coverage_p99, 4),
        missed_minutes=round(score.missed_minutes, 1),
        vcpu_hours=round(score.capacity_hours, 2),
        usd=None if score.usd is None else round(score.usd, 2),
        peak_missed_minutes=round(score.peak_missed_minutes, 1),
        peak_vcpu_hours=round(score.peak_capacity_hours, 2),
        peak_usd=None if score.peak_usd is None else round(score.peak_usd, 2),
    )
