"""The bill from Cost Explorer: pages, currencies, filters; and held against the reckoning."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from planner.aws import bill
from planner.aws.bill import bill_beside, parse_tag, read_bill, reconcile_plan
from planner.cost import CostLine, Kind, reckoned_bill, reconcile
from planner.model import Rejection
from planner.prices.offers import OddAnswer
from planner.terminal import BadInput
from planner.units import UsdPerHour
from tests.plans import plan

START, END = date(2026, 10, 1), date(2026, 10, 3)


def day(*groups: tuple[str, str], unit: str = "USD", estimated: bool = False) -> dict[str, Any]:
    return {
        "TimePeriod": {"Start": "2026-10-01", "End": "2026-10-02"},
        "Groups": [
            {"Keys": [name], "Metrics": {"UnblendedCost": {"Amount": amount, "Unit": unit}}}
            for name, amount in groups
        ],
        "Estimated": estimated,
    }


class CostExplorer:
    """Answers get_cost_and_usage page by page and remembers the requests."""

    def __init__(self, *pages: list[dict[str, Any]]) -> None:
        self.pages = pages
        self.requests: list[dict[str, Any]] = []

    def get_cost_and_usage(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        number = int(request.get("NextPageToken", 0))
        more = {"NextPageToken": str(number + 1)} if number + 1 < len(self.pages) else {}
        return {"ResultsByTime": self.pages[number], **more}


def test_days_and_pages_are_added_by_service() -> None:
    ec2, elb = "Amazon Elastic Compute Cloud - Compute", "Amazon Elastic Load Balancing"
    client = CostExplorer([day((ec2, "26.64"), (elb, "1.10"))], [day((ec2, "26.64"), estimated=True)])

    found = read_bill(client, START, END)

    assert found.usd_by_service == {ec2: pytest.approx(53.28), elb: pytest.approx(1.10)}
    assert found.estimated
    assert len(client.requests) == 2


def test_region_and_tag_narrow_the_request() -> None:
    client = CostExplorer([])

    read_bill(client, START, END, "eu-west-2", ("cluster", "prod"))
    read_bill(client, START, END, "eu-west-2")

    assert client.requests[0]["Filter"] == {
        "And": [
            {"Dimensions": {"Key": "REGION", "Values": ["eu-west-2"]}},
            {"Tags": {"Key": "cluster", "Values": ["prod"]}},
        ]
    }
    assert client.requests[1]["Filter"] == {"Dimensions": {"Key": "REGION", "Values": ["eu-west-2"]}}


def test_another_currency_or_shape_is_refused() -> None:
    with pytest.raises(OddAnswer, match="in EUR, not in USD"):
        read_bill(CostExplorer([day(("EC2", "1"), unit="EUR")]), START, END)
    with pytest.raises(OddAnswer, match="another shape"):
        read_bill(CostExplorer([{"Groups": [{"Keys": []}]}]), START, END)


def test_the_reckoning_is_held_against_the_bill_by_its_service_names() -> None:
    def line(kind: Kind, usd: float, provider: str | None = None) -> CostLine:
        return CostLine("x", kind, None, provider, UsdPerHour(usd), "", "", "")

    lines = [
        line(Kind.COMPUTE, 1.11, "asg"), line(Kind.COMPUTE, 0.5, "FARGATE"), line(Kind.LOAD_BALANCING, 0.04),
        line(Kind.STAFF, 9.0),
    ]  # fmt: skip
    reckoned = reckoned_bill(lines, hours=48)
    rows = reconcile({"Amazon Elastic Compute Cloud - Compute": 50.0, "Tax": 3.0}, reckoned)

    # 1.11 x 48 = 53.28; 0.5 x 48 = 24.00; 0.04 x 48 = 1.92
    assert {row.name: round(row.difference_usd, 2) for row in rows} == {
        "Amazon Elastic Container Service": 24.00,
        "Amazon Elastic Compute Cloud - Compute": 3.28,
        "Tax": -3.00,
        "Amazon Elastic Load Balancing": 1.92,
    }


def test_a_plan_s_today_is_held_against_whole_days_of_the_bill() -> None:
    client = CostExplorer(
        [day(("Amazon Elastic Compute Cloud - Compute", "700.00"), ("AmazonCloudWatch", "5.00"))]
    )

    found = reconcile_plan(client, plan(), date(2026, 10, 31), 30, ("cluster", "demo"))

    # 1.00 USD/h x 720 h = 720.00 reckoned; CloudWatch is on the bill only
    assert [(row.name, row.difference_usd) for row in found.rows] == [
        ("Amazon Elastic Compute Cloud - Compute", pytest.approx(20.0)),
        ("AmazonCloudWatch", pytest.approx(-5.0)),
    ]
    assert client.requests[0]["TimePeriod"] == {"Start": "2026-10-01", "End": "2026-10-31"}


def test_a_report_without_a_tag_reads_no_bill() -> None:
    assert bill_beside(plan(), "", END, 30, profile=None, endpoint_url=None) is None


def test_a_bill_that_may_not_be_read_is_a_reason_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Denied:
        def get_cost_and_usage(self, **_request: Any) -> dict[str, Any]:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetCostAndUsage")

    monkeypatch.setattr(bill, "connect", lambda **_options: SimpleNamespace(get=lambda _service: Denied()))

    found = bill_beside(plan(), "cluster=demo", END, 30, profile=None, endpoint_url=None)

    assert isinstance(found, Rejection)
    assert found.what == "the bill"
    assert found.reason


def test_a_tag_that_is_none_is_refused() -> None:
    with pytest.raises(BadInput, match="cluster is not KEY=VALUE"):
        parse_tag("cluster")
