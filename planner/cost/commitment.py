"""How much to commit: a newsvendor problem, hour by hour, over the forecast's quantiles.

A commitment of C USD an hour (in Savings Plans money) is paid in every hour, used or not, and covers usage
that would cost C / (1 - discount) on demand. Too little leaves usage at the on-demand price, too much pays
for nothing. With one discount d the best C covers usage up to the quantile d of all hours' demand: in an
hour more, one more on-demand dollar of cover saves d when used and loses 1 - d when not. AWS applies a
plan to the usage with the largest discount first (Savings Plans user guide), which the general case follows.

The expected cost is a sum over hours, so only each hour's own distribution counts, not how hours hang together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from planner.units import UsdPerHour

Floats = npt.NDArray[np.float64]

SAMPLES_AN_HOUR: Final = 20
"""Points at which an hour's distribution is read, at the middle of equal probabilities."""


@dataclass(frozen=True, slots=True)
class Regret:
    """What the commitment costs more than the best one, should demand turn out like this all the time."""

    scenario: str
    usd_per_hour: UsdPerHour
    best_commitment_usd_per_hour: UsdPerHour
    best_usd_per_hour: UsdPerHour

    @property
    def regret_usd_per_hour(self) -> UsdPerHour:
        return UsdPerHour(self.usd_per_hour - self.best_usd_per_hour)


@dataclass(frozen=True, slots=True)
class Commitment:
    """The best commitment and what it is expected to bring. All USD an hour."""

    commitment_usd_per_hour: UsdPerHour
    expected_usd_per_hour: UsdPerHour
    on_demand_usd_per_hour: UsdPerHour
    """Expected cost without any commitment."""
    coverage: float
    """Share of expected on-demand-equivalent usage that the commitment covers."""
    utilisation: float
    """Share of the commitment that is used; 1 where nothing is committed."""
    regrets: tuple[Regret, ...]

    @property
    def saving_usd_per_hour(self) -> UsdPerHour:
        return UsdPerHour(self.on_demand_usd_per_hour - self.expected_usd_per_hour)


def samples_of_quantiles(quantiles: Mapping[float, Sequence[float]], count: int = SAMPLES_AN_HOUR) -> Floats:
    """`count` equally likely values for each hour, shape (hours, count), from quantiles such as
    {0.5: p50, 0.9: p90, 0.99: p99}.

    Between quantiles the distribution is linear. Below the median it mirrors the upper side (never under
    0), because forecasts give no lower quantiles; above the highest quantile it stays there.
    """
    levels = sorted(quantiles)
    if 0.5 not in quantiles:
        raise ValueError("the median (0.5) is needed among the quantiles")
    values = {level: np.asarray(quantiles[level], dtype=np.float64) for level in levels}
    median = values[0.5]
    mirrored = {
        round(1 - level, 9): np.maximum(0.0, 2 * median - values[level]) for level in levels if level > 0.5
    }
    table = mirrored | values
    known = np.array(sorted(table))
    rows = np.stack([table[level] for level in known], axis=1)
    if (np.diff(rows, axis=1) < -1e-9).any():
        raise ValueError("quantiles cross: a higher quantile is below a lower one")
    middles = (np.arange(count) + 0.5) / count
    return np.stack([np.interp(middles, known, row) for row in rows])


def cost_at(commitment: float, usage: Floats, discounts: Sequence[float]) -> float:
    """Mean cost an hour at a commitment; `usage` is on-demand USD an hour, shape (samples, tiers)."""
    left = np.full(usage.shape[0], commitment)
    cost = np.full(usage.shape[0], commitment)
    for tier in _largest_first(discounts):
        rate = 1 - discounts[tier]
        covered = np.minimum(usage[:, tier] * rate, left)
        left = left - covered
        cost = cost + usage[:, tier] - covered / rate
    return float(cost.mean())


def _largest_first(discounts: Sequence[float]) -> list[int]:
    return sorted(range(len(discounts)), key=lambda tier: -discounts[tier])


def best_commitment(usage: Floats, discounts: Sequence[float]) -> float:
    """The smallest commitment of least mean cost. The cost is convex and piecewise linear in it, so the
    slopes between breakpoints are added up until they turn positive: exact, no search."""
    start = np.zeros(usage.shape[0])
    positions: list[Floats] = []
    changes: list[Floats] = []
    slope_before = np.zeros(usage.shape[0])
    for tier in _largest_first(discounts):
        rate = 1 - discounts[tier]
        if rate <= 0 or rate > 1:
            raise ValueError(f"a discount is at least 0 and under 1, not {discounts[tier]}")
        slope = np.full(usage.shape[0], 1 - 1 / rate)
        positions.append(start)
        changes.append(slope - slope_before)
        start = start + usage[:, tier] * rate
        slope_before = slope
    positions.append(start)
    changes.append(1 - slope_before)
    where, delta = np.concatenate(positions), np.concatenate(changes) / usage.shape[0]
    order = np.argsort(where, kind="stable")
    points, firsts = np.unique(where[order], return_index=True)
    slopes = np.cumsum(np.add.reduceat(delta[order], firsts))
    turning = int(np.argmax(slopes >= -1e-12))
    return float(points[turning])


def commit(usage: Floats, discounts: Sequence[float], scenarios: Mapping[str, Floats] | None = None) -> Commitment:
    """The commitment of least expected cost over equally likely hours.

    `usage` is on-demand USD an hour, shape (samples,) for one discount or (samples, tiers). `scenarios` maps
    a name to usage of the same shape that might hold instead; each gets its regret.
    """
    table = usage[:, None] if usage.ndim == 1 else usage
    if table.shape[1] != len(discounts):
        raise ValueError(f"{table.shape[1]} tiers of usage but {len(discounts)} discounts")
    if table.size == 0 or not np.isfinite(table).all() or (table < 0).any():
        raise ValueError("usage must be finite and not negative, with at least one hour")
    best = best_commitment(table, discounts)
    on_demand = float(table.sum(axis=1).mean())
    used, covered = _applied(best, table, discounts)
    return Commitment(
        UsdPerHour(best),
        UsdPerHour(cost_at(best, table, discounts)),
        UsdPerHour(on_demand),
        covered / on_demand if on_demand else 0.0,
        used / best if best else 1.0,
        tuple(_regret(name, s, best, discounts) for name, s in (scenarios or {}).items()),
    )


def _applied(commitment: float, usage: Floats, discounts: Sequence[float]) -> tuple[float, float]:
    """Commitment used, and on-demand-equivalent usage covered; means an hour."""
    left = np.full(usage.shape[0], commitment)
    covered_od = np.zeros(usage.shape[0])
    for tier in _largest_first(discounts):
        rate = 1 - discounts[tier]
        covered = np.minimum(usage[:, tier] * rate, left)
        left = left - covered
        covered_od = covered_od + covered / rate
    return float(commitment - left.mean()), float(covered_od.mean())


def _regret(name: str, usage: Floats, commitment: float, discounts: Sequence[float]) -> Regret:
    table = usage[:, None] if usage.ndim == 1 else usage
    best = best_commitment(table, discounts)
    return Regret(
        name,
        UsdPerHour(cost_at(commitment, table, discounts)),
        UsdPerHour(best),
        UsdPerHour(cost_at(best, table, discounts)),
    )
