"""CloudWatch's metric operations over the sandbox's own store; alarms and dashboards stay moto's.

Limits, rounding and errors follow the CloudWatch API reference (GetMetricData, GetMetricStatistics,
ListMetrics, PutMetricData) and the "CloudWatch service quotas" page.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult

from deploy.sandbox import metric_math
from deploy.sandbox.cbor import metric_data_reply
from deploy.sandbox.json_reply import metric_data_json
from deploy.sandbox.metric_math import TimeSeries
from deploy.sandbox.series import Floats, Ints, MetricKey, MetricStore
from deploy.sandbox.statistics import (
    Statistic,
    UnknownStatistic,
    UnsupportedStatistic,
    over_periods,
    parse,
)
from deploy.sandbox.world import World, current

MAX_QUERIES: Final = 500
MAX_DATAPOINTS: Final = 100_800
MAX_STATISTICS_POINTS: Final = 1_440
METRICS_PER_PAGE: Final = 500
MAX_METRIC_DATA: Final = 1_000
MAX_VALUES: Final = 150

MINUTE_S: Final = 60
HOUR_S: Final = 3_600
DAY_S: Final = 86_400
RETENTION_S: Final = ((1, 3 * HOUR_S), (60, 15 * DAY_S), (300, 63 * DAY_S), (3_600, 455 * DAY_S))
"""For how long data points of at least that period are kept (CloudWatch user guide, metrics retention)."""
PAST_LIMIT_S: Final = 14 * DAY_S
FUTURE_LIMIT_S: Final = 2 * HOUR_S
SHORT_PERIODS: Final = (1, 5, 10, 20, 30)


class CloudWatchError(ServiceException):
    """An error as CloudWatch answers it: (code, message)."""


@dataclass(frozen=True, slots=True)
class Result:
    """One query's points, newest first or oldest first as asked."""

    query_id: str
    label: str
    timestamps: Ints
    values: Floats
    complete: bool = True


def retention_start(period_s: int, now_s: float) -> float:
    """The oldest time whose data points are still kept at a period of `period_s` seconds."""
    kept = 0
    for smallest, seconds in RETENTION_S:
        if period_s % smallest == 0 and period_s >= smallest:
            kept = seconds
    return now_s - kept


def rounded_start(start_s: float, period_s: int, now_s: float) -> float:
    """StartTime as CloudWatch rounds it: to the minute (5 minutes, hour) by age, then to the period."""
    age = now_s - start_s
    grain = MINUTE_S if age < 15 * DAY_S else 300 if age < 63 * DAY_S else HOUR_S
    if period_s in SHORT_PERIODS and age <= 3 * HOUR_S:
        grain = period_s
    start = math.floor(start_s / grain) * grain
    return float(start // period_s * period_s)


def check_period(period: int, where: str, code: str) -> None:
    if period not in SHORT_PERIODS and (period < MINUTE_S or period % MINUTE_S):
        raise CloudWatchError(
            code, f"The parameter {where} must be 1, 5, 10, 20, 30 or a multiple of 60, not {period}."
        )


def read(
    store: MetricStore,
    key: MetricKey,
    statistic: Statistic,
    window: tuple[float, float],
    period_s: int,
    now_s: float,
    unit: str | None = None,
) -> tuple[Ints, Floats]:
    """A metric's statistic by period within what is retained at that period; points of the future stay."""
    start = rounded_start(window[0], period_s, now_s)
    oldest = math.ceil(retention_start(period_s, now_s) / period_s) * period_s
    series = [s for s in store.series(key, unit) if period_s >= s.resolution_s]
    return over_periods(series, statistic, max(start, oldest), window[1], period_s)


def statistic_named(text: str, where: str) -> Statistic:
    try:
        return parse(text)
    except UnsupportedStatistic:
        raise CloudWatchError(
            "ValidationError", f"The statistic {text} is not supported yet by the sandbox ({where})."
        ) from None
    except UnknownStatistic:
        raise CloudWatchError("ValidationError", f"The value {text} for {where} is not valid.") from None


def epoch(value: Any) -> float:
    """A request's timestamp in epoch seconds; naive means UTC."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return float(value)


class Query:
    """GetMetricData over one store: every query's result, then pages of at most MaxDatapoints."""

    def __init__(self, params: dict[str, Any], store: MetricStore, now_s: float) -> None:
        self.queries: list[dict[str, Any]] = list(params.get("MetricDataQueries") or [])
        self.store, self.now_s = store, now_s
        self.start_s, self.end_s = epoch(params["StartTime"]), epoch(params["EndTime"])
        self.descending = (params.get("ScanBy") or "TimestampDescending") != "TimestampAscending"
        self.limit = int(params.get("MaxDatapoints") or MAX_DATAPOINTS)
        self._values: dict[str, metric_math.Value] = {}
        self._check()

    def _check(self) -> None:
        if not self.queries:
            raise CloudWatchError("ValidationError", "The parameter MetricDataQueries is required.")
        if len(self.queries) > MAX_QUERIES:
            raise CloudWatchError(
                "ValidationError",
                f"The collection MetricDataQueries must not have a size greater than {MAX_QUERIES}.",
            )
        if not 1 <= self.limit <= MAX_DATAPOINTS:
            raise CloudWatchError(
                "ValidationError", f"The parameter MaxDatapoints must be between 1 and {MAX_DATAPOINTS}."
            )
        if self.start_s >= self.end_s:
            raise CloudWatchError(
                "ValidationError", "The parameter StartTime must be less than the parameter EndTime."
            )
        names = [query.get("Id", "") for query in self.queries]
        for query in self.queries:
            if "MetricStat" in query:
                where = f"MetricStat of {query['Id']}"
                check_period(int(query["MetricStat"]["Period"]), f"Period in {where}", "ValidationError")
                statistic_named(query["MetricStat"]["Stat"], where)
        for number, (name, query) in enumerate(zip(names, self.queries, strict=True), start=1):
            if not name or not name[0].islower() or not name.replace("_", "a").isalnum():
                raise CloudWatchError(
                    "ValidationError",
                    f"The value {name} for parameter MetricDataQueries.member.{number}.Id is not matching "
                    "the expected pattern ^[a-z][a-zA-Z0-9_]*$.",
                )
            if ("MetricStat" in query) == ("Expression" in query):
                raise CloudWatchError(
                    "ValidationError",
                    f"The parameter MetricDataQueries.member.{number} must have either MetricStat or Expression.",
                )
        if len(set(names)) != len(names):
            raise CloudWatchError("ValidationError", "The values for parameter id in the query must be unique.")

    def _value(self, name: str, asked: tuple[str, ...] = ()) -> metric_math.Value:
        """One query's value, computed when first needed."""
        if name in self._values:
            return self._values[name]
        query = next((q for q in self.queries if q["Id"] == name), None)
        if query is None or name in asked:
            why = "refers to itself" if query else f"refers to {name}, which no query defines"
            raise CloudWatchError("ValidationError", f"Error in expression '{asked[-1]}': it {why}.")
        if "MetricStat" in query:
            self._values[name] = self._stat(query)
        else:
            for reference in sorted(self._references(query)):
                self._value(reference, (*asked, name))
            self._values[name] = self._expression(query, self._values)
        return self._values[name]

    def _stat(self, query: dict[str, Any]) -> TimeSeries:
        stat = query["MetricStat"]
        period = int(stat["Period"])
        key = metric_key(stat["Metric"])
        statistic = statistic_named(stat["Stat"], f"MetricStat of {query['Id']}")
        window = (self.start_s, self.end_s)
        stamps, values = read(self.store, key, statistic, window, period, self.now_s, stat.get("Unit"))
        return TimeSeries(stamps, values, period)

    def _references(self, query: dict[str, Any]) -> set[str]:
        try:
            names = metric_math.identifiers(query["Expression"])
        except metric_math.MathError as error:
            raise self._refused(query, error) from error
        if "METRICS(" in query["Expression"].upper():
            names |= {q["Id"] for q in self.queries if "MetricStat" in q}
        return names

    def _expression(self, query: dict[str, Any], values: dict[str, metric_math.Value]) -> metric_math.Value:
        scope = metric_math.Scope(values, self.start_s, self.end_s)
        try:
            return metric_math.evaluate(query["Expression"], scope)
        except metric_math.MathError as error:
            raise self._refused(query, error) from error

    def _refused(self, query: dict[str, Any], error: Exception) -> CloudWatchError:
        return CloudWatchError("ValidationError", f"Error in expression '{query['Id']}': {error}.")

    def _shown(self, query: dict[str, Any], value: metric_math.Value) -> list[Result]:
        label = _label(query)
        if isinstance(value, list):
            return [r for one in value for r in self._shown(query, one)]
        if isinstance(value, float):
            period = int(query.get("Period") or MINUTE_S)
            start = rounded_start(self.start_s, period, self.now_s)
            stamps = np.arange(start, self.end_s, period).astype(np.int64)
            value = TimeSeries(stamps, np.full(len(stamps), value), period)
        order = slice(None, None, -1) if self.descending else slice(None)
        return [Result(query["Id"], label, value.timestamps[order], value.values[order])]

    def page(self, token: str | None) -> tuple[list[Result], str | None]:
        """The results from where `token` left off, and the token of the next page.

        Queries are answered in their order. One that does not fit is PartialData with the points that do;
        those after it are PartialData without points. A client joins the pages by Id.
        """
        first, skip = self._position(token)
        left = self.limit
        page: list[Result] = []
        following: str | None = None
        shown = [query for query in self.queries if query.get("ReturnData") is not False]
        for number, query in enumerate(shown[first:], start=first):
            if following is not None:
                page.append(Result(query["Id"], _label(query), *_NOTHING, complete=False))
                continue
            for result in self._shown(query, self._value(query["Id"])):
                part = slice(skip, skip + left)
                stamps, values = result.timestamps[part], result.values[part]
                complete = skip + len(stamps) == len(result.timestamps)
                page.append(Result(result.query_id, result.label, stamps, values, complete))
                left -= len(stamps)
                if not complete:
                    following = f"{self._digest()}-{number}-{skip + len(stamps)}"
                    break
                skip = 0
        return page, following

    def _digest(self) -> str:
        request = [self.queries, self.start_s, self.end_s, self.descending]
        return hashlib.sha256(json.dumps(request, default=str, sort_keys=True).encode()).hexdigest()[:16]

    def _position(self, token: str | None) -> tuple[int, int]:
        """Which query, and after how many of its points, a page starts."""
        if not token:
            return 0, 0
        parts = token.split("-")
        if len(parts) != 3 or parts[0] != self._digest() or not (parts[1] + parts[2]).isdigit():
            raise CloudWatchError("InvalidNextToken", "The next token specified is invalid.")
        return int(parts[1]), int(parts[2])


_NOTHING: Final = (np.empty(0, np.int64), np.empty(0))


def _label(query: dict[str, Any]) -> str:
    stat = query.get("MetricStat")
    return str(query.get("Label") or (stat["Metric"].get("MetricName", "") if stat else query["Id"]))


def metric_key(metric: dict[str, Any]) -> MetricKey:
    dimensions = {d["Name"]: d["Value"] for d in metric.get("Dimensions") or []}
    return MetricKey.of(metric.get("Namespace", ""), metric.get("MetricName", ""), dimensions)


class SandboxCloudWatch(CloudWatchResponse):
    """moto's CloudWatch with the metric operations answered from the sandbox's store."""

    @property
    def world(self) -> World:
        return current()

    @property
    def store(self) -> MetricStore:
        return self.world.metrics_of(self.region)

    def _plain(self) -> dict[str, Any]:
        params = self._get_params()
        original = getattr(params, "original_dict", None)
        return dict(original() if original else params)

    def get_metric_data(self) -> Any:
        params = self._plain()
        query = Query(params, self.store, self.world.clock.seconds)
        results, token = query.page(params.get("NextToken"))
        kind = str(self.headers.get("Content-Type", ""))
        if "cbor" in kind:
            return metric_data_reply(results, token)
        if "json" in kind:
            return metric_data_json(results, token)
        return ActionResult(
            {
                "MetricDataResults": [
                    {
                        "Id": r.query_id,
                        "Label": r.label,
                        "Timestamps": [datetime.fromtimestamp(int(t), UTC) for t in r.timestamps],
                        "Values": r.values.tolist(),
                        "StatusCode": "Complete" if r.complete else "PartialData",
                    }
                    for r in results
                ],
                "NextToken": token,
                "Messages": [],
            }
        )

    def get_metric_statistics(self) -> ActionResult:
        params = self._plain()
        names = list(params.get("Statistics") or []) + list(params.get("ExtendedStatistics") or [])
        if not names:
            raise CloudWatchError(
                "InvalidParameterCombination", "Must specify either Statistics or ExtendedStatistics"
            )
        period, start, end = int(params["Period"]), epoch(params["StartTime"]), epoch(params["EndTime"])
        check_period(period, "Period", "InvalidParameterValue")
        if start >= end:
            raise CloudWatchError(
                "InvalidParameterValue", "The parameter StartTime must be less than the parameter EndTime."
            )
        points = math.ceil((end - start) / period)
        if points > MAX_STATISTICS_POINTS:
            raise CloudWatchError(
                "InvalidParameterCombination",
                f"You have requested up to {points:,} datapoints, which exceeds the limit of "
                f"{MAX_STATISTICS_POINTS:,}. You may reduce the datapoints requested by increasing Period, "
                "or decreasing the time range.",
            )
        statistics = [statistic_named(name, "Statistics") for name in names]
        return ActionResult(
            {
                "Label": params["MetricName"],
                "Datapoints": self._datapoints(params, statistics, (start, end), period),
            }
        )

    def _datapoints(
        self, params: dict[str, Any], statistics: list[Statistic], window: tuple[float, float], period: int
    ) -> list[dict[str, Any]]:
        key = metric_key(params)
        units = [params["Unit"]] if params.get("Unit") else self.store.units(key)
        rows: dict[tuple[str, int], dict[str, Any]] = {}
        for unit in units:
            for statistic in statistics:
                found = read(self.store, key, statistic, window, period, self.world.clock.seconds, unit)
                for stamp, value in zip(found[0].tolist(), found[1].tolist(), strict=True):
                    row = rows.setdefault(
                        (unit, stamp), {"Timestamp": datetime.fromtimestamp(stamp, UTC), "Unit": unit}
                    )
                    if statistic.kind == statistic.text:
                        row[statistic.text] = value
                    else:
                        row.setdefault("ExtendedStatistics", {})[statistic.text] = value
        return list(rows.values())

    def list_metrics(self) -> ActionResult:
        params = self._plain()
        wanted = [(f["Name"], f.get("Value")) for f in params.get("Dimensions") or []]
        now = self.world.clock.seconds
        newest = now - 3 * HOUR_S if params.get("RecentlyActive") == "PT3H" else now - 14 * DAY_S
        keys = sorted(
            key
            for key in self.store.keys(params.get("Namespace"), params.get("MetricName"))
            if _has(key, wanted) and (self.store.last(key) or 0) >= newest
        )
        offset = _list_offset(params.get("NextToken"))
        page = keys[offset : offset + METRICS_PER_PAGE]
        more = offset + METRICS_PER_PAGE < len(keys)
        return ActionResult(
            {
                "Metrics": [
                    {
                        "Namespace": key.namespace,
                        "MetricName": key.name,
                        "Dimensions": [{"Name": n, "Value": v} for n, v in key.dimensions],
                    }
                    for key in page
                ],
                "NextToken": f"metrics-{offset + METRICS_PER_PAGE}" if more else None,
            }
        )

    def put_metric_data(self) -> EmptyResult:
        params = self._plain()
        namespace = params["Namespace"]
        if namespace.startswith("AWS/"):
            raise CloudWatchError(
                "InvalidParameterValue", f"The value {namespace} for parameter Namespace is invalid."
            )
        data = list(params.get("MetricData") or [])
        if len(data) > MAX_METRIC_DATA:
            raise CloudWatchError(
                "InvalidParameterValue",
                f"The collection MetricData must not have a size greater than {MAX_METRIC_DATA}.",
            )
        now = self.world.clock.seconds
        checked = [_checked(datum, number, now) for number, datum in enumerate(data, start=1)]
        for datum, stamp in zip(data, checked, strict=True):
            _store(self.store, metric_key({**datum, "Namespace": namespace}), datum, stamp)
        return EmptyResult()


def _has(key: MetricKey, wanted: list[tuple[str, str | None]]) -> bool:
    dimensions = dict(key.dimensions)
    return all(n in dimensions and (v is None or dimensions[n] == v) for n, v in wanted)


def _list_offset(token: str | None) -> int:
    if not token:
        return 0
    prefix, _, offset = token.partition("-")
    if prefix != "metrics" or not offset.isdigit():
        raise CloudWatchError("InvalidParameterValue", "Invalid nextToken")
    return int(offset)


def _checked(datum: dict[str, Any], number: int, now_s: float) -> float:
    """The datum's time, once its values and time are found acceptable."""
    where = f"The parameter MetricData.member.{number}"
    given = [name for name in ("Value", "Values", "StatisticValues") if datum.get(name) is not None]
    if len(given) != 1:
        raise CloudWatchError(
            "InvalidParameterCombination", f"{where} must have exactly one of Value, Values, StatisticValues."
        )
    values = [datum["Value"]] if "Value" in given else list(datum.get("Values") or [])
    values += list((datum.get("StatisticValues") or {}).values())
    if not all(math.isfinite(value) for value in values):
        raise CloudWatchError("InvalidParameterValue", f"{where}.Value must be a finite number.")
    if len(datum.get("Values") or []) > MAX_VALUES:
        raise CloudWatchError(
            "InvalidParameterValue", f"{where}.Values must not have a size greater than {MAX_VALUES}."
        )
    if datum.get("Counts") and len(datum["Counts"]) != len(datum.get("Values") or []):
        raise CloudWatchError("InvalidParameterValue", f"{where}.Values and Counts must have one length.")
    stamp = epoch(datum["Timestamp"]) if datum.get("Timestamp") is not None else now_s
    if stamp < now_s - PAST_LIMIT_S:
        raise CloudWatchError(
            "InvalidParameterValue", f"{where}.Timestamp must specify a time within the past two weeks."
        )
    if stamp > now_s + FUTURE_LIMIT_S:
        raise CloudWatchError(
            "InvalidParameterValue",
            f"{where}.Timestamp must specify a time no more than two hours in the future.",
        )
    return stamp


def _store(store: MetricStore, key: MetricKey, datum: dict[str, Any], stamp: float) -> None:
    unit = datum.get("Unit") or "None"
    resolution = 1 if datum.get("StorageResolution") == 1 else MINUTE_S
    statistics = datum.get("StatisticValues")
    if statistics:
        names = ("SampleCount", "Sum", "Minimum", "Maximum")
        numbers = tuple(float(statistics[name]) for name in names)
        store.add_set(key, stamp, (numbers[0], numbers[1], numbers[2], numbers[3]), unit, resolution)
        return
    values = [datum["Value"]] if datum.get("Value") is not None else list(datum["Values"])
    counts = list(datum.get("Counts") or [1.0] * len(values))
    store.add(key, [stamp] * len(values), values, counts, unit, resolution)
