"""One GetMetricData call carried through: its turn, its pages, its faults, and its answer as blocks."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from planner.aws.clients import THROTTLES, Clients
from planner.aws.decode import Answer, Floats, Ints, Result, can_decode, decode, from_mapping
from planner.aws.paging import is_partial
from planner.aws.slices import POINTS_PER_CALL, RECENT_S, USD_PER_METRIC_REQUESTED, Call, Item, queries
from planner.metrics.blocks import Block
from planner.terminal import explain
from planner.units import Usd

ATTEMPTS: Final = 6
"""Times a call is begun anew after botocore's own retries, or a damaged answer."""
FIRST_PAUSE_S: Final = 1.0
MAX_PAGES: Final = 200
DECODED: Final = "PlannerDecoded"


@dataclass(slots=True)
class Outcome:
    """What became of a call: blocks of complete items, refused items, and items that stayed incomplete."""

    call: Call
    blocks: list[tuple[Item, Block]] = field(default_factory=list)
    refused: list[tuple[Item, str]] = field(default_factory=list)
    incomplete: list[tuple[Item, str]] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        self.blocks += other.blocks
        self.refused += other.refused
        self.incomplete += other.incomplete


class Fetcher:
    """Makes GetMetricData calls for the threads of one pull and counts them."""

    def __init__(self, clients: Clients, sleep: Callable[[float], None] = time.sleep) -> None:
        self._clients = clients
        self._sleep = sleep
        self._cloudwatch = clients.get("cloudwatch")
        self._cloudwatch.meta.events.register(
            "before-parse.cloudwatch.GetMetricData", _decode_in_place, unique_id="planner-decode"
        )
        self._lock = threading.Lock()
        self.calls = 0
        self.metrics_requested = 0
        self.repeated = 0

    @property
    def usd(self) -> Usd:
        return Usd(self.metrics_requested * USD_PER_METRIC_REQUESTED)

    def fetch(self, call: Call) -> Outcome:
        """Fetch a call to the end; a call that AWS refuses is halved until the refused metrics are alone.

        Raises what cannot be partial: no credentials, an expired session, an endpoint that is not there.
        """
        pause = FIRST_PAUSE_S
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._outcome(call, self._pages(call))
            except Exception as error:
                if _code(error) not in THROTTLES and not _is_passing(error):
                    return self._refused(call, error)
                if attempt == ATTEMPTS:
                    if not is_partial(error) and not isinstance(error, ValueError):
                        raise
                    reason = f"not fetched after {ATTEMPTS} attempts: {_sentence(error)}"
                    return Outcome(call, incomplete=[(item, reason) for item in call.items])
                with self._lock:
                    self.repeated += 1
                self._sleep(pause)
                pause *= 2
        raise AssertionError("unreachable")

    def _pages(self, call: Call) -> list[Answer]:
        """All pages of a call, in order."""
        asked, _ = queries(call)
        start, end = call.window
        token: str | None = None
        found: list[Answer] = []
        while len(found) < MAX_PAGES:
            self._take_datapoints(call)
            with self._lock:
                self.calls += 1
                self.metrics_requested += call.metrics_requested
            answer = self._cloudwatch.get_metric_data(
                MetricDataQueries=asked,
                StartTime=datetime.fromtimestamp(start, UTC),
                EndTime=datetime.fromtimestamp(end, UTC),
                ScanBy="TimestampAscending",
                MaxDatapoints=POINTS_PER_CALL,
                **({"NextToken": token} if token else {}),
            )
            page = answer.get(DECODED) or from_mapping(answer)
            found.append(page)
            token = page.next_token
            if not token:
                return found
        raise ValueError(f"CloudWatch answered more than {MAX_PAGES} pages")

    def _take_datapoints(self, call: Call) -> None:
        """Wait for the datapoint quota, which is lower for windows that start in the last 3 hours."""
        age = self._clients.server_time.timestamp() - call.window[0]
        self._clients.buckets["recent datapoints" if age <= RECENT_S else "older datapoints"].take(call.points)

    def _outcome(self, call: Call, pages: list[Answer]) -> Outcome:
        _, meaning = queries(call)
        by_item: dict[Item, dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
        for page in pages:
            for result in page.results:
                if result.id in meaning:
                    item, statistic = meaning[result.id]
                    by_item[item][statistic].append(result)
        outcome = Outcome(call)
        for item in call.items:
            _add(outcome, item, by_item[item])
        return outcome

    def _refused(self, call: Call, error: Exception) -> Outcome:
        if not is_partial(error):
            raise error
        if len(call.items) == 1:
            return Outcome(call, refused=[(call.items[0], _sentence(error))])
        first, second = call.halves()
        outcome = Outcome(call)
        outcome.add(self.fetch(first))
        if not outcome.blocks and len(outcome.refused) == len(first.items) and _is_denied(error):
            outcome.refused += [(item, outcome.refused[-1][1]) for item in second.items[1:]]
            second = Call(second.items[:1])
        outcome.add(self.fetch(second))
        return outcome


def _add(outcome: Outcome, item: Item, by_statistic: dict[str, list[Result]]) -> None:
    """Put an item's results where their status says."""
    results = [result for pages in by_statistic.values() for result in pages]
    forbidden = [r for r in results if r.status == "Forbidden"]
    if forbidden:
        reason = "; ".join(dict.fromkeys(m for r in forbidden for m in r.messages)) or "AWS forbids reading it"
        outcome.refused.append((item, reason))
        return
    last = {statistic: pages[-1].status for statistic, pages in by_statistic.items() if pages}
    missing = [s for s in item.wanted.statistics if last.get(s) != "Complete"]
    if missing:
        reason = f"CloudWatch did not complete {', '.join(missing)} ({last.get(missing[0], 'no answer')})"
        outcome.incomplete.append((item, reason))
        return
    outcome.blocks.append((item, _block(item, by_statistic)))


def _block(item: Item, by_statistic: dict[str, list[Result]]) -> Block:
    """The statistics of an item side by side on their common times."""
    columns = {name: _joined(results) for name, results in by_statistic.items()}
    common = _common_times([times for times, _ in columns.values()])
    if common is not None and _is_inside(common, item.window):
        values = {name: column for name, (_, column) in columns.items()}
        return Block(item.wanted.resource, item.period_s, common, values)
    times = np.unique(np.concatenate([t for t, _ in columns.values()])) if columns else np.empty(0, np.int64)
    values = {}
    for name, (own, column) in columns.items():
        spread = np.full(len(times), np.nan)
        spread[np.searchsorted(times, own)] = column
        values[name] = spread
    inside = (times >= item.window[0]) & (times < item.window[1])
    if not inside.all():
        times, values = times[inside], {name: column[inside] for name, column in values.items()}
    return Block(item.wanted.resource, item.period_s, times, values)


def _common_times(columns: list[Ints]) -> Ints | None:
    """The times that all statistics share, in order; None where they differ, as they do around gaps."""
    if not columns or any(not np.array_equal(columns[0], other) for other in columns[1:]):
        return None
    return columns[0] if bool((np.diff(columns[0]) > 0).all()) else None


def _is_inside(times: Ints, window: tuple[int, int]) -> bool:
    return len(times) == 0 or bool(times[0] >= window[0] and times[-1] < window[1])


def _joined(results: list[Result]) -> tuple[Ints, Floats]:
    if len(results) == 1:
        return results[0].timestamps_s, results[0].values
    return (
        np.concatenate([r.timestamps_s for r in results]),
        np.concatenate([r.values for r in results]),
    )


_EMPTY: Final = {"json": b"{}", "smithy-rpc-v2-cbor": b"\xa0"}


def _decode_in_place(
    operation_model: Any,
    response_dict: dict[str, Any],
    customized_response_dict: dict[str, Any],
    **_: Any,
) -> None:
    """Decode a successful answer ourselves and leave botocore an empty one in the form it expects."""
    kind = str(response_dict["headers"].get("Content-Type", ""))
    empty = _EMPTY.get(operation_model.service_model.resolved_protocol)
    if response_dict["status_code"] != 200 or empty is None or not can_decode(kind):
        return
    customized_response_dict[DECODED] = decode(response_dict["body"], kind)
    response_dict["body"] = empty


def _code(error: Exception) -> str:
    response: dict[str, Any] = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", ""))


def _is_passing(error: Exception) -> bool:
    """True for faults that another attempt may not meet: damaged answers, dropped lines, server errors."""
    if isinstance(error, ValueError):
        return True
    response: dict[str, Any] = getattr(error, "response", {})
    if response:
        return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) >= 500
    passing = {
        "ConnectionClosedError",
        "ReadTimeoutError",
        "ConnectTimeoutError",
        "EndpointConnectionError",
        "ResponseStreamingError",
        "IncompleteReadError",
        "ResponseParserError",
        "HTTPClientError",
        "ProtocolError",
    }
    return type(error).__name__ in passing


def _is_denied(error: Exception) -> bool:
    return _code(error).startswith(("AccessDenied", "UnauthorizedOperation", "NotAuthorized"))


def _sentence(error: Exception) -> str:
    known = explain(error)
    return str(known) if known else str(error)
