"""Reads the bill from Cost Explorer, to be held against what the planner reckons for the same days."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from planner.prices.offers import OddAnswer

COST_EXPLORER_REGION: Final = "us-east-1"
METRIC: Final = "UnblendedCost"
"""Cost at the rates that applied, before it is blended over an organisation."""


@dataclass(frozen=True, slots=True)
class Bill:
    """Billed USD by AWS service, from `start` up to and without `end`."""

    start: date
    end: date
    usd_by_service: Mapping[str, float]
    estimated: bool
    """True while AWS has not closed the period: figures still move."""


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
