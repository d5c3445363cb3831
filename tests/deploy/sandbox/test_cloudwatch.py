"""CloudWatch's numbers, limits, pages and refusals, as boto3 sees them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from deploy.sandbox import Sandbox
from deploy.sandbox.series import MetricKey

NOW = datetime(2026, 5, 13, tzinfo=UTC)
DIMENSIONS = [{"Name": "Service", "Value": "web"}]
KEY = MetricKey.of("App", "Latency", {"Service": "web"})
DAY_S = 86_400


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def cloudwatch(sandbox: Sandbox) -> Any:
    return sandbox.client("cloudwatch")


def query(statistic: str = "Average", period: int = 60, name: str = "q", **metric: Any) -> dict[str, Any]:
    fields = {"Namespace": "App", "MetricName": "Latency", "Dimensions": DIMENSIONS, **metric}
    return {"Id": name, "MetricStat": {"Metric": fields, "Period": period, "Stat": statistic}}


def read(cloudwatch: Any, *queries: dict[str, Any], start: datetime, end: datetime = NOW, **fields: Any) -> Any:
    fields = {"ScanBy": "TimestampAscending", **fields}
    return cloudwatch.get_metric_data(MetricDataQueries=list(queries), StartTime=start, EndTime=end, **fields)


def put(sandbox: Sandbox, minutes_ago: list[int], values: list[float]) -> None:
    stamps = [(NOW - timedelta(minutes=m)).timestamp() for m in minutes_ago]
    sandbox.metrics().add(KEY, stamps, values)


def refusal(call: Any, **fields: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**fields)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        ("Average", 4.0),  # (1 + 2 + 3 + 10) / 4
        ("Sum", 16.0),
        ("Minimum", 1.0),
        ("Maximum", 10.0),
        ("SampleCount", 4.0),
        ("p50", 2.5),  # halfway between the ranks 2 and 3
        ("p100", 10.0),
        ("tm75", 2.0),  # the lowest three of four: (1 + 2 + 3) / 3
        ("TM(25%:75%)", 2.5),
        ("IQM", 2.5),
        ("tc75", 3.0),
        ("ts75", 6.0),
    ],
)
def test_statistics_of_one_period(sandbox: Sandbox, cloudwatch: Any, statistic: str, expected: float) -> None:
    put(sandbox, [5, 4, 3, 2], [3.0, 1.0, 10.0, 2.0])

    answer = read(cloudwatch, query(statistic, 300), start=NOW - timedelta(minutes=5))

    result = answer["MetricDataResults"][0]
    assert result["Values"] == [pytest.approx(expected)]
    assert result["Timestamps"] == [NOW - timedelta(minutes=5)]
    assert (result["StatusCode"], result["Label"]) == ("Complete", "Latency")


def test_a_weight_counts_as_that_many_samples(cloudwatch: Any) -> None:
    cloudwatch.put_metric_data(
        Namespace="App",
        MetricData=[
            {
                "MetricName": "Latency",
                "Dimensions": DIMENSIONS,
                "Timestamp": NOW - timedelta(minutes=1),
                "Values": [1.0, 5.0],
                "Counts": [9.0, 1.0],
            }
        ],
    )

    def value(statistic: str) -> float:
        answer = read(cloudwatch, query(statistic), start=NOW - timedelta(minutes=1))
        return float(answer["MetricDataResults"][0]["Values"][0])

    assert value("SampleCount") == 10
    assert value("Average") == pytest.approx(1.4)  # (9 x 1 + 5) / 10
    assert value("p90") == pytest.approx(np.percentile([1.0] * 9 + [5.0], 90))


def test_percentiles_are_those_of_numpy_in_every_period(sandbox: Sandbox, cloudwatch: Any) -> None:
    random = np.random.default_rng(1)
    minutes = np.sort(random.integers(1, 120, 500))
    values = random.lognormal(size=500)
    sandbox.metrics().add(KEY, NOW.timestamp() - minutes * 60.0, values)

    answer = read(cloudwatch, query("p95", 600), start=NOW - timedelta(hours=2))

    result = answer["MetricDataResults"][0]
    for stamp, found in zip(result["Timestamps"], result["Values"], strict=True):
        ends_before = (NOW - stamp).total_seconds() / 60
        inside = values[(minutes <= ends_before) & (minutes > ends_before - 10)]
        assert found == pytest.approx(np.percentile(inside, 95))


def test_a_statistic_set_adds_up_and_has_no_percentile(cloudwatch: Any) -> None:
    statistics = {"SampleCount": 4, "Sum": 20, "Minimum": 1, "Maximum": 9}
    cloudwatch.put_metric_data(
        Namespace="App",
        MetricData=[
            {"MetricName": "Latency", "Dimensions": DIMENSIONS, "Timestamp": NOW, "StatisticValues": statistics},
            {"MetricName": "Latency", "Dimensions": DIMENSIONS, "Timestamp": NOW, "Value": 10.0},
        ],
    )
    queries = [query(s, name=f"q{n}") for n, s in enumerate(("Sum", "Maximum", "SampleCount", "Average", "p50"))]

    answer = read(cloudwatch, *queries, start=NOW, end=NOW + timedelta(minutes=1))

    assert [r["Values"] for r in answer["MetricDataResults"]] == [[30.0], [10.0], [5.0], [6.0], []]


def test_periods_are_aligned_to_the_clock_not_to_the_start(sandbox: Sandbox, cloudwatch: Any) -> None:
    put(sandbox, list(range(1, 121)), [1.0] * 120)

    answer = read(cloudwatch, query("SampleCount", 3600), start=NOW - timedelta(minutes=97))

    result = answer["MetricDataResults"][0]
    assert result["Timestamps"] == [NOW - timedelta(hours=2), NOW - timedelta(hours=1)]
    assert result["Values"] == [60.0, 60.0]


def test_newest_points_come_first_unless_asked_otherwise(sandbox: Sandbox, cloudwatch: Any) -> None:
    put(sandbox, [3, 2, 1], [1.0, 2.0, 3.0])
    window = {"StartTime": NOW - timedelta(minutes=5), "EndTime": NOW}

    answer = cloudwatch.get_metric_data(MetricDataQueries=[query()], **window)

    assert answer["MetricDataResults"][0]["Values"] == [3.0, 2.0, 1.0]


def test_late_and_unordered_data_is_sorted_in(sandbox: Sandbox, cloudwatch: Any) -> None:
    put(sandbox, [1, 5, 3], [1.0, 5.0, 3.0])
    put(sandbox, [4, 2, 3], [4.0, 2.0, 5.0])

    answer = read(cloudwatch, query(), start=NOW - timedelta(minutes=5))

    assert answer["MetricDataResults"][0]["Values"] == [5.0, 4.0, 4.0, 2.0, 1.0]  # 3 minutes ago: (3 + 5) / 2


def test_pages_hold_at_most_max_datapoints_and_join_to_the_whole(sandbox: Sandbox, cloudwatch: Any) -> None:
    put(sandbox, list(range(1, 101)), [float(n) for n in range(100)])
    start = NOW - timedelta(minutes=100)
    queries = [query("Average", name="a"), query("Maximum", name="b"), query("p50", name="c")]
    whole = {r["Id"]: r["Values"] for r in read(cloudwatch, *queries, start=start)["MetricDataResults"]}

    joined: dict[str, list[float]] = {"a": [], "b": [], "c": []}
    token, sizes, states = None, [], []
    while True:
        more = {"NextToken": token} if token else {}
        answer = read(cloudwatch, *queries, start=start, MaxDatapoints=70, **more)
        sizes.append(sum(len(r["Values"]) for r in answer["MetricDataResults"]))
        states.append([r["StatusCode"] for r in answer["MetricDataResults"]])
        for result in answer["MetricDataResults"]:
            joined[result["Id"]] += result["Values"]
        token = answer.get("NextToken")
        if token is None:
            break

    assert joined == whole
    assert sizes == [70, 70, 70, 70, 20]
    assert states[0] == ["PartialData", "PartialData", "PartialData"]
    assert states[-1] == ["Complete"]


def test_a_token_of_another_request_is_refused(sandbox: Sandbox, cloudwatch: Any) -> None:
    put(sandbox, [3, 2, 1], [1.0, 2.0, 3.0])
    start = NOW - timedelta(minutes=5)
    token = read(cloudwatch, query(), start=start, MaxDatapoints=1)["NextToken"]

    with pytest.raises(ClientError, match="InvalidNextToken"):
        read(cloudwatch, query("Sum"), start=start, MaxDatapoints=1, NextToken=token)


@pytest.mark.parametrize(
    ("days_ago", "period", "kept"),
    [(14, 60, True), (16, 60, False), (16, 300, True), (62, 300, True), (64, 300, False), (64, 3600, True),
     (454, 3600, True), (456, 3600, False)],
)  # fmt: skip
def test_points_are_kept_as_long_as_their_period_says(
    sandbox: Sandbox, cloudwatch: Any, days_ago: int, period: int, kept: bool
) -> None:
    put(sandbox, [days_ago * 1440], [1.0])
    moment = NOW - timedelta(days=days_ago)

    answer = read(cloudwatch, query("Sum", period), start=moment, end=moment + timedelta(hours=1))

    assert answer["MetricDataResults"][0]["Values"] == ([1.0] if kept else [])


def test_high_resolution_data_is_read_by_the_second_for_three_hours(sandbox: Sandbox, cloudwatch: Any) -> None:
    data = {"MetricName": "Latency", "Dimensions": DIMENSIONS, "StorageResolution": 1}
    cloudwatch.put_metric_data(
        Namespace="App",
        MetricData=[{**data, "Timestamp": NOW - timedelta(seconds=s), "Value": float(s)} for s in (2, 3, 12_000)],
    )

    recent = read(cloudwatch, query(period=1), start=NOW - timedelta(seconds=5))
    older = read(cloudwatch, query(period=1), start=NOW - timedelta(hours=4), end=NOW - timedelta(hours=3))

    assert recent["MetricDataResults"][0]["Values"] == [3.0, 2.0]
    assert older["MetricDataResults"][0]["Values"] == []


def test_the_limits_of_aws_are_enforced(sandbox: Sandbox, cloudwatch: Any) -> None:
    window = {"StartTime": NOW - timedelta(days=14), "EndTime": NOW}
    get = cloudwatch.get_metric_data
    many = [query(name=f"q{n}") for n in range(501)]
    assert refusal(get, MetricDataQueries=many, **window) == (
        "ValidationError",
        "The collection MetricDataQueries must not have a size greater than 500.",
    )
    assert "100800" in refusal(get, MetricDataQueries=[query()], MaxDatapoints=100_801, **window)[1]
    assert "less than" in refusal(get, MetricDataQueries=[query()], StartTime=NOW, EndTime=NOW)[1]
    assert "multiple of 60" in refusal(get, MetricDataQueries=[query(period=90)], **window)[1]
    assert "unique" in refusal(get, MetricDataQueries=[query(), query()], **window)[1]
    statistics = {"Namespace": "App", "MetricName": "Latency", "Period": 60, "Statistics": ["Sum"], **window}
    code, message = refusal(cloudwatch.get_metric_statistics, **statistics)
    assert code == "InvalidParameterCombination"
    assert "20,160 datapoints" in message


def test_data_that_aws_would_not_take_is_refused(cloudwatch: Any) -> None:
    def attempt(namespace: str = "App", count: int = 1, **datum: Any) -> tuple[str, str]:
        data = [{"MetricName": "m", "Value": 1.0, **datum}] * count
        return refusal(cloudwatch.put_metric_data, Namespace=namespace, MetricData=data)

    assert "size greater than 1000" in attempt(count=1001)[1]
    assert "past two weeks" in attempt(Timestamp=NOW - timedelta(days=15))[1]
    assert "two hours in the future" in attempt(Timestamp=NOW + timedelta(hours=3))[1]
    assert attempt(namespace="AWS/ECS")[0] == "InvalidParameterValue"
    assert attempt(Value=float("inf"))[0] == "InvalidParameterValue"
    assert attempt(Values=[1.0])[0] == "InvalidParameterCombination"


def test_statistics_call_gives_all_asked_statistics_with_their_unit(cloudwatch: Any) -> None:
    for value in (1.0, 3.0):
        datum = {"MetricName": "Latency", "Dimensions": DIMENSIONS, "Value": value, "Unit": "Seconds"}
        cloudwatch.put_metric_data(Namespace="App", MetricData=[datum])

    answer = cloudwatch.get_metric_statistics(
        Namespace="App",
        MetricName="Latency",
        Dimensions=DIMENSIONS,
        StartTime=NOW,
        EndTime=NOW + timedelta(minutes=1),
        Period=60,
        Statistics=["Average", "Maximum"],
        ExtendedStatistics=["p90"],
    )

    point = answer["Datapoints"][0]
    assert (point["Average"], point["Maximum"], point["Unit"]) == (2.0, 3.0, "Seconds")
    assert point["ExtendedStatistics"] == {"p90": pytest.approx(2.8)}


def test_metrics_are_listed_once_filtered_and_in_pages(sandbox: Sandbox, cloudwatch: Any) -> None:
    store = sandbox.metrics()
    for service in range(600):
        key = MetricKey.of("App", "Requests", {"Service": f"s{service}", "Zone": "a"})
        store.add(key, [NOW.timestamp() - 60, NOW.timestamp() - 120], [1.0, 2.0])
    store.add(KEY, [NOW.timestamp() - 5 * 3600], [1.0])
    store.add(MetricKey.of("App", "Gone", {}), [NOW.timestamp() - 15 * DAY_S], [1.0])

    pages = list(cloudwatch.get_paginator("list_metrics").paginate(Namespace="App"))

    assert [len(page["Metrics"]) for page in pages] == [500, 101]
    by_value = cloudwatch.list_metrics(Dimensions=[{"Name": "Service", "Value": "s7"}])["Metrics"]
    assert [m["MetricName"] for m in by_value] == ["Requests"]
    assert len(cloudwatch.list_metrics(MetricName="Latency")["Metrics"]) == 1
    assert cloudwatch.list_metrics(MetricName="Latency", RecentlyActive="PT3H")["Metrics"] == []


def test_dimensions_have_to_match_whole(sandbox: Sandbox, cloudwatch: Any) -> None:
    put(sandbox, [1], [1.0])

    answer = read(
        cloudwatch, query(Dimensions=[]), query(name="r", Namespace="Other"), start=NOW - timedelta(hours=1)
    )

    assert [r["Values"] for r in answer["MetricDataResults"]] == [[], []]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("m * 2 + 1", [3.0, 5.0, 9.0]),
        ("m / n", [1.0, 1.0]),  # n lacks the middle minute
        ("FILL(n, 0)", [1.0, 0.0, 4.0]),
        ("SUM([m, n])", [2.0, 2.0, 8.0]),
        ("SUM(METRICS())", [2.0, 2.0, 8.0]),
        ("MAX(m)", [4.0, 4.0, 4.0]),
        ("IF(m > 1, m, 0)", [0.0, 2.0, 4.0]),
        ("RATE(m)", [1 / 60, 2 / 60]),
        ("m ^ 2", [1.0, 4.0, 16.0]),
        ("m / (m - 2)", [-1.0, 2.0]),  # a division by zero has no point
    ],
)
def test_metric_math(sandbox: Sandbox, cloudwatch: Any, expression: str, expected: list[float]) -> None:
    put(sandbox, [3, 2, 1], [1.0, 2.0, 4.0])
    sandbox.metrics().add(
        MetricKey.of("App", "Other", {}), [NOW.timestamp() - 180, NOW.timestamp() - 60], [1.0, 4.0]
    )
    hidden = [
        {**query(name="m"), "ReturnData": False},
        {**query(name="n", MetricName="Other", Dimensions=[]), "ReturnData": False},
    ]

    answer = read(cloudwatch, *hidden, {"Id": "e", "Expression": expression}, start=NOW - timedelta(minutes=3))

    assert [r["Id"] for r in answer["MetricDataResults"]] == ["e"]
    assert answer["MetricDataResults"][0]["Values"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("SEARCH('{App} Latency', 'Average', 60)", "SEARCH is not supported yet"),
        ("ANOMALY_DETECTION_BAND(m)", "ANOMALY_DETECTION_BAND is not supported yet"),
        ('SELECT AVG(Latency) FROM "App"', "Metrics Insights"),
        ("m + other", "other"),
        ("m +", "cannot be parsed"),
    ],
)
def test_expressions_that_cannot_be_evaluated_are_refused_by_name(
    cloudwatch: Any, expression: str, told: str
) -> None:
    queries = [query(name="m"), {"Id": "e", "Expression": expression}]

    with pytest.raises(ClientError, match=told):
        read(cloudwatch, *queries, start=NOW - timedelta(minutes=3))


@pytest.mark.parametrize("statistic", ["wm90", "PR(:10)", "nonsense", "p101"])
def test_statistics_that_are_not_computed_are_refused(cloudwatch: Any, statistic: str) -> None:
    with pytest.raises(ClientError, match=r"not supported yet|is not valid"):
        read(cloudwatch, query(statistic), start=NOW - timedelta(minutes=3))


@pytest.mark.parametrize("protocol", ["json", "query"])
def test_the_other_protocols_of_the_service_give_the_same(sandbox: Sandbox, protocol: str) -> None:
    put(sandbox, [2, 1], [1.5, 2.5])
    import botocore.session

    session = botocore.session.Session()
    loader = session.get_component("data_loader")
    original = loader.load_service_model

    def one_protocol(service: str, kind: str, api_version: str | None = None) -> Any:
        model = original(service, kind, api_version)
        if service == "cloudwatch" and kind == "service-2":
            model = {**model, "metadata": {**model["metadata"], "protocols": [protocol], "protocol": protocol}}
        return model

    loader.load_service_model = one_protocol
    client = session.create_client(
        "cloudwatch",
        region_name="eu-west-2",
        endpoint_url=sandbox.endpoint_url,
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}),
    )

    answer = read(client, query(), start=NOW - timedelta(minutes=2))

    assert answer["MetricDataResults"][0]["Values"] == [1.5, 2.5]
    assert answer["MetricDataResults"][0]["Timestamps"][0] == NOW - timedelta(minutes=2)
    with pytest.raises(ClientError, match=r"ValidationError|ValidationException"):
        read(client, query(period=90), start=NOW - timedelta(minutes=2))
