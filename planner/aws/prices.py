"""Reads prices anew: AWS Price List, Savings Plans rates, Spot history, Azure retail prices.

Each part is read by itself. A part that is refused, throttled to the end of its retries or answers in an odd
shape becomes a named failure, and the prices held before stay in force for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from urllib.error import URLError

from planner.aws.azure_prices import read_azure_items, read_azure_machines
from planner.aws.price_sources import Contents, Fetch, Readers
from planner.model import Rejection
from planner.prices import PriceBook, offers, rates, tables
from planner.prices.offers import Ambiguous, OddAnswer, Product
from planner.prices.tables import BrokenPriceFile, PriceTable, Row
from planner.terminal import explain

PRICE_LIST_REGION: Final = "us-east-1"
"""The Price List and Savings Plans APIs answer from few Regions; this one has both."""
SHRUNK_TO: Final = 0.5
"""A Region that comes back with fewer than this share of the rows held before was cut short on the way."""

REQUESTS: Final[dict[str, tuple[dict[str, str], ...]]] = {
    "AWSELB": ({"operation": "LoadBalancing:Application"}, {"operation": "LoadBalancing:Network"}),
    "AmazonEC2": (
        {"productFamily": "NAT Gateway"},
        {"productFamily": "Storage", "volumeApiName": "gp3"},
        {"productFamily": "Storage", "volumeApiName": "gp2"},
    ),
}
"""Filters that keep the answers of large services small; others are read whole for the Region."""
LOAD_BALANCERS_IN_EC2: Final = {"productFamily": "Load Balancer-Application"}


class PartlyRead(OddAnswer):
    """A part that came with something odd in it; `contents` is the rest, which can be used."""

    def __init__(self, message: str, contents: Contents) -> None:
        self.contents = contents
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What came back, and every part that did not, by name."""

    contents: Contents
    failed: tuple[Rejection, ...]


def get_products(pricing: Any, service: str, filters: Mapping[str, str]) -> Iterator[Product]:
    """Every page of GetProducts."""
    pages = pricing.get_paginator("get_products").paginate(
        ServiceCode=service,
        Filters=[{"Type": "TERM_MATCH", "Field": k, "Value": v} for k, v in filters.items()],
        FormatVersion="aws_v1",
    )
    for page in pages:
        for text in page["PriceList"]:
            yield offers.parse_product(text)


def get_bulk_products(pricing: Any, fetch: Fetch, service: str, region: str, as_of: datetime) -> Iterator[Product]:
    """The bulk price list file of one service and Region in force at `as_of`."""
    listed = pricing.list_price_lists(
        ServiceCode=service, EffectiveDate=as_of, RegionCode=region, CurrencyCode="USD"
    )["PriceLists"]
    if not listed:
        raise OddAnswer(f"the AWS price list has no bulk file of {service} for {region}")
    url = pricing.get_price_list_file_url(PriceListArn=listed[0]["PriceListArn"], FileFormat="json")["Url"]
    content = fetch(url)
    try:
        document = json.loads(content)
    except ValueError as error:
        raise OddAnswer(f"the bulk price list file of {service} is truncated or no JSON: {error}") from error
    yield from offers.bulk_products(document)


def read_ec2(readers: Readers, region: str, as_of: datetime, bulk: bool) -> Contents:
    pricing = readers.client_of("pricing", PRICE_LIST_REGION)
    if bulk:
        products = list(get_bulk_products(pricing, readers.fetch, offers.EC2_SERVICE, region, as_of))
    else:
        products = list(get_products(pricing, offers.EC2_SERVICE, offers.EC2_FILTERS | {"regionCode": region}))
    return {
        tables.EC2_ON_DEMAND: offers.on_demand_rows(products, region),
        tables.EC2_RESERVED: offers.reserved_rows(products, region),
    }


def read_fargate(readers: Readers, region: str) -> Contents:
    pricing = readers.client_of("pricing", PRICE_LIST_REGION)
    products = get_products(pricing, offers.FARGATE_SERVICE, {"regionCode": region})
    rows, odd = _clear_rows(lambda: offers.fargate_rows(products, region))
    return _all_or_partly(tables.FARGATE, rows, odd)


def read_items(readers: Readers, region: str, service: str) -> Contents:
    """The items that one service prices. An item at two prices keeps its old one; the others are taken."""
    pricing = readers.client_of("pricing", PRICE_LIST_REGION)
    field = "fromRegionCode" if service == "AWSDataTransfer" else "regionCode"
    requests = [(service, narrower) for narrower in REQUESTS.get(service, ({},))]
    rows, odd = _item_rows(pricing, requests, service, region, field)
    if service == "AWSELB" and not rows:
        # us-east-1 load balancers are listed under AmazonEC2 by one public price tool: look there too.
        rows, odd = _item_rows(pricing, [(offers.EC2_SERVICE, LOAD_BALANCERS_IN_EC2)], service, region, field)
    if not rows and not odd:
        raise OddAnswer(f"the AWS price list has none of the {service} items of {region} that planning uses")
    return _all_or_partly(tables.ITEMS, rows, odd)


def _item_rows(
    pricing: Any, requests: Iterable[tuple[str, dict[str, str]]], service: str, region: str, field: str
) -> tuple[list[Row], list[str]]:
    rows: list[Row] = []
    odd: list[str] = []
    for listed_under, narrower in requests:
        products = get_products(pricing, listed_under, narrower | {field: region})
        clear, told = _clear_rows(partial(offers.item_rows, products, service, region))
        rows += clear
        odd += told
    return rows, odd


def _clear_rows(parse: Callable[[], list[Row]]) -> tuple[list[Row], list[str]]:
    try:
        return parse(), []
    except Ambiguous as error:
        return error.rows, [str(error)]


def _all_or_partly(table: PriceTable, rows: list[Row], odd: list[str]) -> Contents:
    if odd:
        raise PartlyRead("; ".join(odd), {table: rows})
    return {table: rows}


def read_savings_plans(readers: Readers, region: str, as_of: datetime) -> Contents:
    client = readers.client_of("savingsplans", PRICE_LIST_REGION)
    results: list[Mapping[str, Any]] = []
    token = ""
    while True:
        answer = client.describe_savings_plans_offering_rates(
            savingsPlanTypes=["Compute", "EC2Instance"],
            products=["EC2", "Fargate"],
            serviceCodes=["AmazonEC2", "AmazonECS"],
            filters=[{"name": "region", "values": [region]}],
            **({"nextToken": token} if token else {}),
        )
        results += answer.get("searchResults", [])
        token = answer.get("nextToken") or ""
        if not token:
            break
    return {tables.SAVINGS_PLANS: rates.savings_plan_rows(results, region, as_of.date().isoformat())}


def read_spot(
    readers: Readers, region: str, as_of: datetime, days: int, instance_types: Iterable[str]
) -> Contents:
    """Spot history of `days`; DescribeSpotPriceHistory also gives the price in force at the start."""
    client = readers.client_of("ec2", region)
    start = as_of - timedelta(days=days)
    wanted = sorted(instance_types)
    pages = client.get_paginator("describe_spot_price_history").paginate(
        StartTime=start,
        EndTime=as_of,
        ProductDescriptions=["Linux/UNIX"],
        **({"InstanceTypes": wanted} if wanted else {}),
    )
    entries = [entry for page in pages for entry in page["SpotPriceHistory"]]
    return {tables.EC2_SPOT: rates.spot_rows(entries, region, start, as_of)}


def parts(
    readers: Readers,
    region: str,
    as_of: datetime,
    *,
    bulk: bool = False,
    spot_days: int = 7,
    spot_types: Iterable[str] = (),
    azure_region: str | None = None,
) -> list[tuple[str, Callable[[], Contents]]]:
    """What a refresh reads, by name, in order."""
    result: list[tuple[str, Callable[[], Contents]]] = [
        ("EC2 on-demand and reserved prices", partial(read_ec2, readers, region, as_of, bulk)),
        ("Fargate prices", partial(read_fargate, readers, region)),
        ("Savings Plans rates", partial(read_savings_plans, readers, region, as_of)),
        ("Spot history", partial(read_spot, readers, region, as_of, spot_days, spot_types)),
    ]
    services = sorted({wanted.service for wanted in offers.WANTED})
    result += [(f"{service} prices", partial(read_items, readers, region, service)) for service in services]
    if azure_region is not None:
        result.append(("Azure VM prices", partial(read_azure_machines, readers, azure_region, as_of)))
        result.append(
            ("Azure disk and load balancer prices", partial(read_azure_items, readers, azure_region, as_of))
        )
    return result


def refresh(
    named: Iterable[tuple[str, Callable[[], Contents]]],
    held: PriceBook,
    advance: Callable[[float], None] = lambda _amount: None,
) -> Refreshed:
    """Read every part; a failed one is named and leaves what is held for it in force."""
    contents: Contents = {}
    failed: list[Rejection] = []
    for name, read in named:
        try:
            _take(read(), contents, held)
        except Exception as error:  # one part must not take the others with it
            reason = failure(error)
            if reason is None:
                raise
            failed.append(Rejection(name, reason))
            if isinstance(error, PartlyRead):
                _take(error.contents, contents, held)
        advance(1)
    return Refreshed({table: rows for table, rows in contents.items() if rows}, tuple(failed))


def _take(read: Contents, contents: Contents, held: PriceBook) -> None:
    for table, rows in read.items():
        _refuse_cut_short(table, rows, held)
    for table, rows in read.items():
        contents[table] = contents.get(table, []) + rows


def failure(error: Exception) -> str | None:
    """Why a part failed, in words; None for a defect of our own."""
    if isinstance(error, (OddAnswer, BrokenPriceFile)):
        return str(error)
    if isinstance(error, (URLError, OSError)):
        return f"the web request failed: {error}"
    told = explain(error)
    return str(told).removesuffix(".") if told is not None else None


def _refuse_cut_short(table: PriceTable, rows: list[Row], held: PriceBook) -> None:
    """An empty or much shorter Region is an answer that was cut short, not a price change."""
    tables.check_money(table, rows)
    if not table.replaces_region:
        return
    regions = {row[0] for row in rows}
    for region in regions:
        before = sum(1 for key in held.rows[table.name] if key[0] == region)
        now = sum(1 for row in rows if row[0] == region)
        if now < before * SHRUNK_TO:
            raise OddAnswer(
                f"only {now} {table.name} rows came back for {region} where {before} were held: cut short"
            )
