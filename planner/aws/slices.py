"""Planning of GetMetricData calls: the fewest metrics billed, no call over a quota, nothing fetched twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from planner.aws.wanted import Wanted
from planner.metrics.manifest import Manifest
from planner.metrics.windows import Window, subtract, tiers
from planner.units import SECONDS_PER_HOUR, Usd

QUERIES_PER_CALL: Final = 500
POINTS_PER_CALL: Final = 100_800
"""GetMetricData returns at most this many datapoints a page. A call that asks for no more has one page, so
no page is billed again (CloudWatch API reference, GetMetricData)."""
RECENT_S: Final = 3 * SECONDS_PER_HOUR
"""Calls whose start is at most 3 hours ago have the lower datapoint quota."""
USD_PER_METRIC_REQUESTED: Final = 0.01 / 1000
"""Amazon CloudWatch pricing: $0.01 per 1,000 metrics requested with GetMetricData; up to five statistics of
one metric in one request count as one metric (November 2026)."""
STATISTICS_PER_METRIC: Final = 5


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """One metric of one resource over one window at one period."""

    period_s: int
    window: Window
    wanted: Wanted

    @property
    def points(self) -> int:
        """Datapoints that the quota counts, whether they exist or not."""
        start, end = self.window
        return -(-(end - start) // self.period_s) * len(self.wanted.statistics)


@dataclass(frozen=True, slots=True)
class Call:
    """One GetMetricData request: items of one period and window."""

    items: tuple[Item, ...]

    @property
    def period_s(self) -> int:
        return self.items[0].period_s

    @property
    def window(self) -> Window:
        return self.items[0].window

    @property
    def points(self) -> int:
        return sum(item.points for item in self.items)

    @property
    def metrics_requested(self) -> int:
        """What is billed: metrics, not statistics."""
        return sum(-(-len(item.wanted.statistics) // STATISTICS_PER_METRIC) for item in self.items)

    def halves(self) -> tuple[Call, Call]:
        middle = len(self.items) // 2
        return Call(self.items[:middle]), Call(self.items[middle:])


@dataclass(frozen=True, slots=True)
class PullPlan:
    calls: tuple[Call, ...]
    tiers: tuple[tuple[int, Window], ...]
    """(period_s, window) that CloudWatch still keeps, newest first: more than one means a seam."""
    forgotten: Window | None
    """The part of the window that CloudWatch has forgotten for good."""
    already_stored: int
    """Datapoints of the window that are in the store for good and are not asked for again."""

    @property
    def points(self) -> int:
        return sum(call.points for call in self.calls)

    @property
    def metrics_requested(self) -> int:
        return sum(call.metrics_requested for call in self.calls)

    @property
    def usd(self) -> Usd:
        return Usd(self.metrics_requested * USD_PER_METRIC_REQUESTED)


def plan_calls(
    series: Sequence[Wanted], manifest: Manifest, window: Window, now_s: int, *, finest_s: int = 60
) -> PullPlan:
    """The calls that complete the store over `window` as CloudWatch stands at `now_s`."""
    kept, forgotten = tiers(window, now_s, finest_s)
    items: list[Item] = []
    already = 0
    for period_s, tier in kept:
        covered = manifest.covered(now_s, at_most_period_s=period_s)
        for one in series:
            missing = subtract(tier, covered.get((one.resource, one.metric), ()))
            asked = [_aligned(part, period_s, tier) for part in missing]
            items += [Item(period_s, part, one) for part in asked]
            seconds = (tier[1] - tier[0]) - sum(end - start for start, end in asked)
            already += max(0, seconds) // period_s * len(one.statistics)
    return PullPlan(tuple(_packed(items)), tuple(kept), forgotten, already)


def _aligned(window: Window, period_s: int, inside: Window) -> Window:
    """The window widened to whole periods, since CloudWatch answers whole periods."""
    start = window[0] // period_s * period_s
    end = -(-window[1] // period_s) * period_s
    return max(start, inside[0]), min(end, inside[1])


def _packed(items: Sequence[Item]) -> list[Call]:
    """Items of equal period and window side by side in calls, metric by metric."""
    groups: dict[tuple[int, Window], list[Item]] = {}
    for item in items:
        for part in _short_enough(item):
            groups.setdefault((part.period_s, part.window), []).append(part)
    calls: list[Call] = []
    for key in sorted(groups, key=lambda key: (key[0], -key[1][0])):
        calls += _filled(sorted(groups[key]))
    return sorted(calls, key=lambda call: (call.items[0].wanted.metric, call.period_s, call.window))


def _short_enough(item: Item) -> list[Item]:
    """The item cut in time where one call cannot return all of it."""
    periods = POINTS_PER_CALL // len(item.wanted.statistics)
    step = periods * item.period_s
    start, end = item.window
    return [Item(item.period_s, (at, min(at + step, end)), item.wanted) for at in range(start, end, step)]


def _filled(items: Sequence[Item]) -> list[Call]:
    calls: list[Call] = []
    held: list[Item] = []
    points = queries = 0
    for item in items:
        statistics = len(item.wanted.statistics)
        full = points + item.points > POINTS_PER_CALL or queries + statistics > QUERIES_PER_CALL
        if held and full:
            calls.append(Call(tuple(held)))
            held, points, queries = [], 0, 0
        held.append(item)
        points += item.points
        queries += statistics
    if held:
        calls.append(Call(tuple(held)))
    return calls


def queries(call: Call) -> tuple[list[dict[str, object]], Mapping[str, tuple[Item, str]]]:
    """MetricDataQueries of a call, and the item and statistic behind each query's Id."""
    asked: list[dict[str, object]] = []
    meaning: dict[str, tuple[Item, str]] = {}
    for number, item in enumerate(call.items):
        metric = {
            "Namespace": item.wanted.namespace,
            "MetricName": item.wanted.metric,
            "Dimensions": [{"Name": n, "Value": v} for n, v in item.wanted.dimensions],
        }
        for place, statistic in enumerate(item.wanted.statistics):
            query_id = f"q{number}_{place}"
            meaning[query_id] = item, statistic
            asked.append(
                {
                    "Id": query_id,
                    "MetricStat": {"Metric": metric, "Period": item.period_s, "Stat": statistic},
                    "ReturnData": True,
                }
            )
    return asked, meaning
