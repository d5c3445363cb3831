"""Where prices are read from, and how a web page is fetched."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from planner.prices.tables import PriceTable, Row

AZURE_ENDPOINT: Final = "https://prices.azure.com"
HTTP_TIMEOUT_S: Final = 60

ClientOf = Callable[[str, str], Any]
"""(service, region) -> boto3 client."""
Fetch = Callable[[str], bytes]
Contents = dict[PriceTable, list[Row]]


@dataclass(frozen=True, slots=True)
class Readers:
    """Where to read from. Tests and proxies hand in their own."""

    client_of: ClientOf
    fetch: Fetch
    azure_endpoint: str = AZURE_ENDPOINT


def fetch(url: str) -> bytes:
    """GET over HTTP(S); raises OSError subclasses of urllib on failure."""
    if urlsplit(url).scheme not in {"http", "https"}:
        raise URLError(f"{url} is no web address")
    request = Request(url, headers={"Accept-Encoding": "gzip", "User-Agent": "ecs-capacity-planner"})
    with urlopen(request, timeout=HTTP_TIMEOUT_S) as response:
        content: bytes = response.read()
        return gzip.decompress(content) if response.headers.get("Content-Encoding") == "gzip" else content
