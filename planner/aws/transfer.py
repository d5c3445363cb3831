"""The pull: CloudWatch history of an estate into the store, at the quota, resumable at any point."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from planner.aws.clients import CLOCK_TOLERANCE_S, Clients
from planner.aws.fetch import Fetcher, Outcome
from planner.aws.paging import Unreadable
from planner.aws.probe import has_percentiles, look_up_units
from planner.aws.slices import Call, Item, PullPlan, plan_calls
from planner.aws.wanted import Wanted, container_insights, wanted, without_percentiles
from planner.metrics.blocks import Block
from planner.metrics.manifest import Fetched
from planner.metrics.store import MetricStore
from planner.metrics.windows import Window
from planner.model import Estate, Rejection
from planner.terminal import BadInput
from planner.units import Usd

WORKERS: Final = 8
"""Calls in flight; each may hold 100,800 points, so memory does not grow with the estate."""
ROWS_HELD: Final = 1_000_000
"""Rows kept in memory before they are written, about 60 MB."""
REFUSALS_BEFORE_GIVING_UP: Final = 20
"""Refused metrics in a row, with none allowed yet, after which the rest is not asked for."""


@dataclass(frozen=True, slots=True)
class PullReport:
    """What one pull did, for people and as JSON."""

    cluster: str
    region: str
    store: str
    as_of: datetime
    start: datetime
    end: datetime
    calls: int
    metrics_requested: int
    usd: Usd
    datapoints: int
    """Points that CloudWatch returned."""
    already_stored: int
    """Points that were in the store for good and were not asked for."""
    series: int
    empty_series: int
    """Series of which CloudWatch had no point in the windows asked for."""
    tiers: tuple[tuple[int, datetime, datetime], ...]
    """(period_s, start, end) newest first; more than one is a seam."""
    forgotten: tuple[datetime, datetime] | None
    percentiles: bool
    throttled_calls: int
    repeated_calls: int
    refusals: tuple[Rejection, ...]
    """What could not be read, one line each; empty when the store is complete over the window."""
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "cluster": self.cluster,
            "region": self.region,
            "store": self.store,
            "as_of": _text(self.as_of),
            "start": _text(self.start),
            "end": _text(self.end),
            "calls": self.calls,
            "metrics_requested": self.metrics_requested,
            "usd": round(self.usd, 6),
            "datapoints": self.datapoints,
            "already_stored": self.already_stored,
            "series": self.series,
            "empty_series": self.empty_series,
            "tiers": [{"period_s": p, "start": _text(a), "end": _text(b)} for p, a, b in self.tiers],
            "forgotten": [_text(moment) for moment in self.forgotten] if self.forgotten else None,
            "percentiles": self.percentiles,
            "throttled_calls": self.throttled_calls,
            "repeated_calls": self.repeated_calls,
            "refusals": [{"what": r.what, "reason": r.reason} for r in self.refusals],
            "warnings": list(self.warnings),
        }


def pull(
    clients: Clients,
    estate: Estate,
    store: MetricStore,
    since: datetime,
    until: datetime,
    *,
    as_of: datetime | None = None,
    finest_s: int = 60,
    insights: bool = True,
    confirm: Callable[[PullPlan], bool] = lambda _plan: True,
    progress: Callable[[float], None] = lambda _points: None,
    workers: int = WORKERS,
    sleep: Callable[[float], None] = time.sleep,
) -> PullReport:
    """Complete `store` over [since, until) with every metric of `estate`; what it holds is not asked again.

    `as_of` is the present (by default AWS's own clock). `confirm` is shown the plan with its price before
    the first datapoint is asked for; when it says no, nothing is pulled. One metric that AWS refuses, or
    whose unit changed, is a refusal in the report and stops nothing else. Raises BadInput where the window
    is empty, and OSError where the store cannot be written; whatever was written before stays valid.
    """
    now = as_of or clients.server_time
    window = int(since.timestamp()), int(min(until, now).timestamp())
    if window[0] >= window[1]:
        raise BadInput(f"The window from {_text(since)} to {_text(min(until, now))} holds no time.")
    unreadable = Unreadable()
    fetcher = Fetcher(clients, sleep)
    series, percentiles = _series(clients, estate, fetcher, window, unreadable, insights=insights)
    manifest = store.manifest(estate.cluster)
    refused, units = look_up_units(clients, series, manifest, window, unreadable)
    series = [one for one in series if one not in refused]
    plan = plan_calls(series, manifest, window, int(now.timestamp()), finest_s=finest_s)
    run = _Run(store, estate.cluster, int(now.timestamp()), refused, units)
    if confirm(plan):
        store.save_estate(estate)
        run.execute(plan, fetcher, progress, workers)
        store.compact(estate.cluster, before=now)
    return run.report(clients, estate, plan, fetcher, now, window, percentiles, unreadable)


def _series(
    clients: Clients,
    estate: Estate,
    fetcher: Fetcher,
    window: Window,
    unreadable: Unreadable,
    *,
    insights: bool,
) -> tuple[list[Wanted], bool]:
    found = wanted(estate, percentiles=True)
    percentiles = has_percentiles(fetcher, found, window, unreadable)
    if not percentiles:
        found = [one if one.metric == "TargetResponseTime" else without_percentiles(one) for one in found]
    if insights:
        found += container_insights(clients, estate, unreadable)
    return sorted(found), percentiles


@dataclass(slots=True)
class _Run:
    """One pull's way through its calls: buffer, write, then note in the manifest."""

    store: MetricStore
    cluster: str
    observed_s: int
    refused: dict[Wanted, str]
    units: dict[tuple[str, str], str]
    blocks: dict[str, list[Block]] = field(default_factory=lambda: defaultdict(list))
    records: list[Fetched] = field(default_factory=list)
    rows_held: int = 0
    datapoints: int = 0
    with_points: set[Wanted] = field(default_factory=set)
    asked: set[Wanted] = field(default_factory=set)
    incomplete: dict[Wanted, str] = field(default_factory=dict)
    refusals_in_a_row: int = 0

    def execute(self, plan: PullPlan, fetcher: Fetcher, progress: Callable[[float], None], workers: int) -> None:
        """Run all calls; whatever happens, what has been fetched by then is written."""
        self.records += [
            Fetched(one.resource, one.metric, 0, 0, 0, self.observed_s, reason)
            for one, reason in self.refused.items()
        ]
        try:
            for outcome in _in_flight(plan.calls, fetcher, workers, self.goes_on):
                self.take(outcome)
                progress(outcome.call.points)
                if self.rows_held > ROWS_HELD:
                    self.flush()
        finally:
            self.flush()

    def goes_on(self) -> bool:
        """False once AWS has refused so much, and allowed nothing, that asking on is pointless."""
        return self.refusals_in_a_row < REFUSALS_BEFORE_GIVING_UP

    def take(self, outcome: Outcome) -> None:
        self.asked |= {item.wanted for item in outcome.call.items}
        for item, block in outcome.blocks:
            self._take_item(item, block)
        for item, reason in outcome.refused:
            self.refusals_in_a_row += 1
            self.refused[item.wanted] = reason
            self.records.append(self._record(item, reason))
        for item, reason in outcome.incomplete:
            self.incomplete[item.wanted] = reason

    def _take_item(self, item: Item, block: Block) -> None:
        self.refusals_in_a_row = -(10**9)  # something is allowed: refusals are single metrics
        self.records.append(self._record(item, ""))
        points = sum(int(np.count_nonzero(~np.isnan(values))) for values in block.values.values())
        self.datapoints += points
        if points:
            self.with_points.add(item.wanted)
            self.blocks[item.wanted.metric].append(block)
            self.rows_held += len(block.timestamps_s)

    def _record(self, item: Item, refusal: str) -> Fetched:
        start, end = (0, 0) if refusal else item.window
        wanted = item.wanted
        unit = self.units.get((wanted.resource, wanted.metric), "")
        return Fetched(wanted.resource, wanted.metric, item.period_s, start, end, self.observed_s, refusal, unit)

    def flush(self) -> None:
        """Points first, then the record that they are there: a kill in between only means asking again."""
        blocks, records = self.blocks, self.records
        for metric in sorted(blocks):
            self.store.append_blocks(self.cluster, metric, blocks[metric], self.observed_s)
        self.store.record(self.cluster, records)
        self.blocks, self.records, self.rows_held = defaultdict(list), [], 0

    def report(
        self,
        clients: Clients,
        estate: Estate,
        plan: PullPlan,
        fetcher: Fetcher,
        now: datetime,
        window: Window,
        percentiles: bool,
        unreadable: Unreadable,
    ) -> PullReport:
        refusals = [Rejection(one.name, reason) for one, reason in (self.refused | self.incomplete).items()]
        if not self.goes_on():
            refusals.append(Rejection("the other metrics", "not asked for: every metric until then was refused"))
        return PullReport(
            cluster=estate.cluster,
            region=clients.region,
            store=self.store.root,
            as_of=now,
            start=_moment(window[0]),
            end=_moment(window[1]),
            calls=fetcher.calls,
            metrics_requested=fetcher.metrics_requested,
            usd=fetcher.usd,
            datapoints=self.datapoints,
            already_stored=plan.already_stored,
            series=len(self.asked),
            empty_series=len(self.asked - self.with_points - set(self.refused) - set(self.incomplete)),
            tiers=tuple((p, _moment(w[0]), _moment(w[1])) for p, w in plan.tiers),
            forgotten=tuple(map(_moment, plan.forgotten)) if plan.forgotten else None,  # type: ignore[arg-type]
            percentiles=percentiles,
            throttled_calls=clients.throttled_attempts,
            repeated_calls=fetcher.repeated,
            refusals=tuple(_distinct([*refusals, *unreadable.rejections, *estate.unreadable])),
            warnings=_warnings(clients, plan),
        )


def _in_flight(
    calls: Sequence[Call], fetcher: Fetcher, workers: int, goes_on: Callable[[], bool]
) -> Iterator[Outcome]:
    """Outcomes as they come, at most `2 * workers` calls begun and not yet taken."""
    waiting: set[Future[Outcome]] = set()
    left = iter(calls)
    with ThreadPoolExecutor(max_workers=workers) as pool:
        try:
            while True:
                while len(waiting) < 2 * workers and goes_on() and (call := next(left, None)):
                    waiting.add(pool.submit(fetcher.fetch, call))
                if not waiting:
                    return
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            for future in waiting:
                future.cancel()


def _distinct(rejections: Sequence[Rejection]) -> list[Rejection]:
    return sorted(set(rejections), key=lambda rejection: (rejection.what, rejection.reason))


def _warnings(clients: Clients, plan: PullPlan) -> tuple[str, ...]:
    found = []
    offset = clients.clock_offset_s or 0.0
    if abs(offset) > CLOCK_TOLERANCE_S:
        side = "behind" if offset > 0 else "ahead of"
        found.append(f"this machine's clock is {abs(offset):,.0f} seconds {side} AWS's; AWS's clock was used")
    if len(plan.tiers) > 1:
        periods = ", ".join(f"{period} s" for period, _ in plan.tiers)
        found.append(f"the history mixes periods of {periods}: percentiles do not compare over the seams")
    if plan.forgotten:
        found.append(
            f"CloudWatch has forgotten what lies before {_text(_moment(plan.forgotten[1]))}: "
            "only an archive can have it"
        )
    return tuple(found)


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
