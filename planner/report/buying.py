"""Advice on commitments and Spot in sentences."""

from __future__ import annotations

from planner.cost.spot import RECOVERY_MINUTES
from planner.model import Rejection
from planner.prices.quotes import BANDS
from planner.purchases import Bought, Purchases, SpotShare
from planner.units import usd_per_month


def sentences(found: Purchases) -> list[str]:
    """Each saving with its regret or its risk, or the reason there is none to tell."""
    bought = (
        [f"Commitment: {found.commitment.what}: {found.commitment.reason}."]
        if isinstance(found.commitment, Rejection)
        else _commitment(found.commitment)
    )
    spot = (
        f"Spot: {found.spot.what}: {found.spot.reason}."
        if isinstance(found.spot, Rejection)
        else _spot(found.spot)
    )
    return [*bought, spot]


def _commitment(found: Bought) -> list[str]:
    best, name = found.commitment, found.offer
    if not best.commitment_usd_per_hour:
        return [f"Commitment: {name} would save nothing; the plan's instances run too few of the hours."]
    saving = usd_per_month(best.saving_usd_per_hour)
    regrets = ", ".join(
        f"{_money(usd_per_month(r.regret_usd_per_hour))} a month if demand is {r.scenario}"
        for r in best.regrets
        if r.regret_usd_per_hour > 0
    )
    wrong = f" Against the best choice in hindsight it loses {regrets}." if regrets else ""
    return [
        f"Commitment: {best.commitment_usd_per_hour:.3f} USD an hour of {name} (prices of {found.price_date})"
        f" saves {_money(saving)} a month of {_money(usd_per_month(best.on_demand_usd_per_hour))}: it covers"
        f" {best.coverage:.0%} of the instances' cost and is {best.utilisation:.0%} used.{wrong}"
    ]


def _spot(found: SpotShare) -> str:
    mix = found.mix
    if not mix.spot_share:
        return f"Spot: no share of {found.instance_type} keeps the objective on {found.pools} pools."
    saving = usd_per_month(found.on_demand_usd_per_hour - mix.usd_per_hour)
    return (
        f"Spot: up to {mix.spot_share:.0%} of the {found.instance_type} keeps the objective and saves"
        f" {_money(saving)} a month, with {mix.short_minutes_per_month:.1f} short minutes and"
        f" {mix.interruptions_per_month:.1f} reclaimed instances expected a month. It assumes an interruption band"
        f" of {BANDS[found.interruption_band]} a month ({found.price_date}), {found.pools} pools reclaimed"
        f" independently, and room elsewhere within {RECOVERY_MINUTES:g} minutes: more types make more pools, and"
        " a base on demand makes it safe when there is no room."
    )


def _money(usd: float) -> str:
    return f"${usd:,.0f}"
