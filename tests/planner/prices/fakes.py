"""A loopback server that answers as the price sources do: Price List, Savings Plans, EC2 and Azure."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from planner.prices import PriceBook

PUBLISHED = "2026-11-20T17:02:11Z"
PREFIX = "EUW2-"


def product(
    usage: str, usd: str, *, sku: str = "SKU1", unit: str = "Hrs", currency: str = "USD", **attributes: str
) -> dict[str, Any]:
    """One product as GetProducts returns it (the shape of aws_v1)."""
    return {
        "product": {
            "productFamily": attributes.pop("family", "Compute Instance"),
            "attributes": {"usagetype": PREFIX + usage, "regionCode": "eu-west-2", **attributes},
            "sku": sku,
        },
        "serviceCode": "AmazonEC2",
        "terms": {
            "OnDemand": {
                f"{sku}.JRTCKXETXF": {
                    "priceDimensions": {
                        f"{sku}.JRTCKXETXF.6YS6EN2CT7": {
                            "unit": unit, "beginRange": "0", "endRange": "Inf",
                            "pricePerUnit": {currency: usd}, "description": f"{usd} per {unit}",
                        }
                    },
                    "sku": sku, "effectiveDate": "2026-11-01T00:00:00Z", "termAttributes": {},
                }
            }
        },
        "version": "20261120170211",
        "publicationDate": PUBLISHED,
    }  # fmt: skip


def linux_instance(name: str, usd: str, **attributes: str) -> dict[str, Any]:
    values = {
        "instanceType": name, "operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA",
        "capacitystatus": "Used", "licenseModel": "No License required",
    } | attributes  # fmt: skip
    return product(f"BoxUsage:{name}", usd, sku=f"SKU-{name}", **values)


def reserved_term(years: str, offering: str, payment: str, upfront: str | None, hourly: str) -> dict[str, Any]:
    dimensions = {"hourly": {"unit": "Hrs", "pricePerUnit": {"USD": hourly}}}
    if upfront is not None:
        dimensions["upfront"] = {"unit": "Quantity", "pricePerUnit": {"USD": upfront}}
    return {
        "priceDimensions": dimensions,
        "termAttributes": {
            "LeaseContractLength": f"{years}yr", "OfferingClass": offering, "PurchaseOption": payment,
        },
    }  # fmt: skip


def region_products(book: PriceBook, region: str = "eu-west-2") -> dict[str, dict[str, Any]]:
    """The Region's held prices as the price list would answer them today."""
    products = {
        key[1]: linux_instance(key[1], f"{float(row[2]):.10f}")
        for key, row in book.rows["ec2_on_demand"].items()
        if key[0] == region
    }
    for key, row in book.rows["ec2_reserved"].items():
        if key[0] == region and key[1] in products:
            terms = products[key[1]]["terms"].setdefault("Reserved", {})
            terms[".".join(key[2:])] = reserved_term(key[2], key[3], key[4], None, row[6])
    return products


@dataclass
class PriceSources:
    """What the server answers; change a field to change the answer."""

    products: dict[str, list[Any]] = field(default_factory=dict)
    """By service code."""
    savings_plans: list[dict[str, Any]] = field(default_factory=list)
    spot: list[tuple[str, str, str, str]] = field(default_factory=list)
    """(instance type, zone, price, timestamp)."""
    azure: list[dict[str, Any]] = field(default_factory=list)
    azure_items: list[dict[str, Any]] = field(default_factory=list)
    """Disks and load balancers."""
    azure_next: str | None = None
    throttled: set[str] = field(default_factory=set)
    """Operations that answer with a throttle, for ever."""
    truncated: set[str] = field(default_factory=set)
    bulk: dict[str, Any] | None = None
    requests: list[str] = field(default_factory=list)
    page_size: int = 100


class _Handler(BaseHTTPRequestHandler):
    sources: PriceSources

    def log_message(self, format: str, *args: Any) -> None:
        return

    def do_GET(self) -> None:
        self.sources.requests.append(self.path)
        url = urlsplit(self.path)
        if url.path == "/api/retail/prices":
            query = parse_qs(url.query)
            self._azure(int(query.get("$skip", ["0"])[0]), query.get("$filter", [""])[0])
        elif url.path == "/bulk.json":
            text = json.dumps(self.sources.bulk)
            self._send(200, text[: len(text) // 2] if "bulk" in self.sources.truncated else text)
        else:
            self._send(404, "{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        target = self.headers.get("X-Amz-Target", "").split(".")[-1]
        operation = target or parse_qs(body).get("Action", [self.path.strip("/")])[0]
        self.sources.requests.append(operation)
        if operation in self.sources.throttled:
            self._throttle(operation)
        elif operation == "GetProducts":
            self._products(json.loads(body))
        elif operation == "ListPriceLists":
            self._send(200, json.dumps({"PriceLists": [{"PriceListArn": "arn:aws:pricing:::price-list/x"}]}))
        elif operation == "GetPriceListFileUrl":
            self._send(200, json.dumps({"Url": f"http://{self.headers['Host']}/bulk.json"}))
        elif operation == "DescribeSavingsPlansOfferingRates":
            self._savings(json.loads(body))
        elif operation == "DescribeSpotPriceHistory":
            self._spot()
        else:
            self._send(400, json.dumps({"__type": "UnknownOperationException", "message": operation}))

    def _throttle(self, operation: str) -> None:
        if operation.startswith("DescribeSpot"):
            self._send(
                503,
                "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>slow down</Message></Error>"
                "</Errors><RequestID>1</RequestID></Response>",
            )
        else:
            self._send(400, json.dumps({"__type": "ThrottlingException", "message": "Rate exceeded"}))

    def _products(self, request: dict[str, Any]) -> None:
        wanted = {f["Field"]: f["Value"] for f in request.get("Filters", [])}
        listed = [p for p in self.sources.products.get(request["ServiceCode"], []) if _matches(p, wanted)]
        start = int(request.get("NextToken") or 0)
        page = [p if isinstance(p, str) else json.dumps(p) for p in listed[start : start + self.sources.page_size]]
        answer: dict[str, Any] = {"FormatVersion": "aws_v1", "PriceList": page}
        if start + self.sources.page_size < len(listed):
            answer["NextToken"] = str(start + self.sources.page_size)
        self._send(200, json.dumps(answer))

    def _savings(self, request: dict[str, Any]) -> None:
        start = int(request.get("nextToken") or 0)
        more = start + 1 < len(self.sources.savings_plans)
        answer = {
            "searchResults": self.sources.savings_plans[start : start + 1],
            "nextToken": str(start + 1) if more else "",
        }
        self._send(200, json.dumps(answer))

    def _spot(self) -> None:
        items = "".join(
            f"<item><instanceType>{name}</instanceType><productDescription>Linux/UNIX</productDescription>"
            f"<spotPrice>{price}</spotPrice><timestamp>{moment}</timestamp>"
            f"<availabilityZone>{zone}</availabilityZone></item>"
            for name, zone, price, moment in self.sources.spot
        )
        self._send(
            200,
            '<DescribeSpotPriceHistoryResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
            f"<requestId>1</requestId><spotPriceHistorySet>{items}</spotPriceHistorySet><nextToken></nextToken>"
            "</DescribeSpotPriceHistoryResponse>",
        )

    def _azure(self, skip: int, condition: str) -> None:
        if condition and "'Virtual Machines'" not in condition:
            items = [i for i in self.sources.azure_items if _is_asked_for(i, condition)]
            self._send(200, json.dumps({"BillingCurrency": "USD", "Items": items, "NextPageLink": None}))
            return
        page = self.sources.azure[skip : skip + 2]
        following = None
        if skip + 2 < len(self.sources.azure):
            following = (
                self.sources.azure_next or f"http://{self.headers['Host']}/api/retail/prices?$skip={skip + 2}"
            )
        text = json.dumps({"BillingCurrency": "USD", "Items": page, "NextPageLink": following, "Count": len(page)})
        self._send(200, text[:40] if "azure" in self.sources.truncated else text)

    def _send(self, status: int, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _is_asked_for(item: dict[str, Any], condition: str) -> bool:
    """As the API filters: by service, region and meter."""
    names = ("serviceName", "armRegionName", "meterName")
    return all(f"{name} eq '{item[name]}'" in condition for name in names)


def _matches(listed: Any, wanted: dict[str, str]) -> bool:
    if isinstance(listed, str):
        return True
    attributes = listed["product"]["attributes"] | {"productFamily": listed["product"]["productFamily"]}
    return all(attributes.get(name) == value for name, value in wanted.items())


@contextmanager
def price_sources(sources: PriceSources) -> Iterator[str]:
    """Serve `sources` on loopback and yield the endpoint."""
    handler = type("Handler", (_Handler,), {"sources": sources})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
