"""Reads the bill from Cost Explorer, to be held against what the planner reckons for the same days."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any, Final

from planner.aws.clients import connect
from planner.cost import Bill, Reconciliation, reckoned_bill, reconcile
from planner.documents.plan import PlanDocument
from planner.model import Rejection
from planner.plan_cost import cost_line
from planner.prices.offers import OddAnswer
from planner.terminal import BadInput, explain
from planner.units import HOURS_PER_DAY

COST_EXPLORER_REGION: Final = "us-east-1"
METRIC: Final = "UnblendedCost"
"""Cost at the rates that applied, before it is blended over an organisation."""


def read_bill(
    client: Any, start: date, end: date, region: str | None = None, tag: tuple[str, str] | None = None
) -> Bill:
    """One request a page, at 0.01 USD each. Raises OddAnswer for another currency or shape."""
    usd: dict[str, float] = {}
    estimated = False
    for page in _pages(client, start, end, _filter(region, tag)):
        try:
            for period in page["ResultsByTime"]:
                estimated = estimated or bool(period.get("Estimated"))
                for group in period["Groups"]:
                    cost = group["Metrics"][METRIC]
                    if cost["Unit"] != "USD":
                        raise OddAnswer(f"Cost Explorer answered in {cost['Unit']}, not in USD")
                    name = group["Keys"][0]
                    usd[name] = usd.get(name, 0.0) + float(cost["Amount"])
        except (KeyError, IndexError, TypeError, ValueError) as error:
            if isinstance(error, OddAnswer):
                raise
            raise OddAnswer(f"Cost Explorer answered in another shape: {error!r}") from error
    return Bill(start, end, usd, estimated)


def _pages(
    client: Any, start: date, end: date, condition: Mapping[str, Any] | None
) -> Iterator[Mapping[str, Any]]:
    token = ""
    while True:
        page: Mapping[str, Any] = client.get_cost_and_usage(
            TimePeriod={"Start": start.isoformat(), "End": end.isoformat()},
            Granularity="DAILY",
            Metrics=[METRIC],
            GroupBy=[{"Type": "DIMENSION", "Key": "SERVICE"}],
            **({"Filter": condition} if condition else {}),
            **({"NextPageToken": token} if token else {}),
        )
        yield page
        token = page.get("NextPageToken") or ""
        if not token:
            return


def _filter(region: str | None, tag: tuple[str, str] | None) -> Mapping[str, Any] | None:
    parts: list[dict[str, Any]] = []
    if region is not None:
        parts.append({"Dimensions": {"Key": "REGION", "Values": [region]}})
    if tag is not None:
        parts.append({"Tags": {"Key": tag[0], "Values": [tag[1]]}})
    if len(parts) > 1:
        return {"And": parts}
    return parts[0] if parts else None


def reconcile_plan(
    client: Any, plan: PlanDocument, end: date, days: int, tag: tuple[str, str] | None = None
) -> Reconciliation:
    """`days` whole days before `end`. What runs today is taken as constant over them."""
    billed = read_bill(client, end - timedelta(days=days), end, plan.scope.region, tag)
    reckoned = reckoned_bill((cost_line(line) for line in plan.cost.today), days * HOURS_PER_DAY)
    return Reconciliation(billed, tuple(reconcile(billed.usd_by_service, reckoned)))


def parse_tag(text: str) -> tuple[str, str]:
    """KEY=VALUE of a cost allocation tag; BadInput for anything else."""
    key, _, value = text.partition("=")
    if not key or not value:
        raise BadInput(f"{text} is not KEY=VALUE of a cost allocation tag, e.g. cluster=prod.")
    return key, value


def bill_beside(
    plan: PlanDocument, tag: str, end: date, days: int, *, profile: str | None, endpoint_url: str | None
) -> Reconciliation | Rejection | None:
    """For a report: None without a tag, a Rejection where the bill cannot be read, which ends no planning."""
    if not tag:
        return None
    pair = parse_tag(tag)
    clients = connect(region=COST_EXPLORER_REGION, profile=profile, endpoint_url=endpoint_url)
    try:
        return reconcile_plan(clients.get("ce"), plan, end, days, pair)
    except OddAnswer as error:
        return Rejection("the bill", str(error))
    except Exception as error:  # told in the report; a defect of ours is raised again
        told = explain(error)
        if told is None:
            raise
        return Rejection("the bill", str(told).removesuffix("."))
