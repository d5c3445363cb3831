"""Reads the Azure retail prices API, which asks for no credentials."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

from planner.aws.price_sources import Contents, Readers
from planner.prices import rates, tables
from planner.prices.offers import OddAnswer


def read_azure_machines(readers: Readers, region: str, as_of: datetime) -> Contents:
    """Linux VM prices of one Azure region."""
    items = _items(readers, "Virtual Machines", region)
    return {tables.AZURE: rates.azure_rows(items, region, as_of.date().isoformat())}


def read_azure_items(readers: Readers, region: str, as_of: datetime) -> Contents:
    """Disks and load balancing, for what AKS needs beside its VMs. Load balancers are listed as Global."""
    rows = []
    for wanted in rates.AZURE_WANTED:
        listed = wanted.listed_in or region
        items = _items(readers, wanted.service, listed, wanted.meter)
        rows.append(rates.azure_item_row(items, wanted, region, as_of.date().isoformat()))
    return {tables.ITEMS: rows}


def _items(readers: Readers, service: str, region: str, meter: str = "") -> list[Mapping[str, Any]]:
    """Every page of one service and region; pages on another host are refused."""
    condition = f"serviceName eq '{service}' and armRegionName eq '{region}' and priceType eq 'Consumption'"
    if meter:
        condition += f" and meterName eq '{meter}'"
    url = f"{readers.azure_endpoint}/api/retail/prices?$filter={quote(condition)}"
    host = urlsplit(url).netloc
    items: list[Mapping[str, Any]] = []
    while url:
        if urlsplit(url).netloc != host:
            raise OddAnswer(f"the Azure retail prices API continues on another host, {urlsplit(url).netloc}")
        try:
            page = json.loads(readers.fetch(url))
            items += page["Items"]
            url = page.get("NextPageLink") or ""
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise OddAnswer(f"the Azure retail prices API answered in another shape: {error!r}") from error
    return items
