"""A CloudWatch on the loopback interface that answers GetMetricData with real wire bytes, and can fail.

Its datapoints are a function of the series and the minute, so that every test knows what must be in the
store. Faults are planned call by call.
"""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from zlib import crc32

Fault = Callable[["Handler", dict[str, Any]], bool]
"""Answers a request in place of CloudWatch and returns True, or lets it pass."""


def value_at(resource: str, metric: str, statistic: str, second: int) -> float:
    """The value of a series at a period's start, from 0 to 100 with two decimals."""
    seed = crc32(f"{resource} {metric} {statistic}".encode())
    return ((seed + second // 60 * 7919) % 10_000) / 100


@dataclass
class CloudWatch:
    """What the server knows and was asked."""

    now: datetime
    first_s: int = 0
    """No series has points before this second."""
    missing: set[tuple[str, str]] = field(default_factory=set)
    """(resource, metric) without any points."""
    arrived_s: int | None = None
    """Points from this second on have not arrived yet; None: all have."""
    percentiles: bool = False
    page_points: int = 100_800
    form: str = "json"
    faults: list[Fault] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    units: dict[str, str] = field(default_factory=dict)
    url: str = ""

    def data_calls(self) -> list[dict[str, Any]]:
        return [call for call in self.calls if "MetricDataQueries" in call]

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The page of `request`; the token is how many points of each series came before."""
        asked = request["MetricDataQueries"]
        skip = int(request.get("NextToken") or 0)
        room = min(self.page_points, request.get("MaxDatapoints", 100_800)) // max(1, len(asked))
        results, more = [], False
        for query in asked:
            points = self.points(query, int(request["StartTime"]), int(request["EndTime"]))
            page = points[skip : skip + room]
            unfinished = len(points) > skip + room
            more |= unfinished
            results.append(
                {
                    "Id": query["Id"],
                    "Label": "label",
                    "StatusCode": "PartialData" if unfinished else "Complete",
                    "Timestamps": [second for second, _ in page],
                    "Values": [value for _, value in page],
                }
            )
        answer: dict[str, Any] = {"MetricDataResults": results, "Messages": []}
        if more:
            answer["NextToken"] = str(skip + room)
        return answer

    def points(self, query: dict[str, Any], start: int, end: int) -> list[tuple[int, float]]:
        stat = query["MetricStat"]
        metric, period, statistic = stat["Metric"], stat["Period"], stat["Stat"]
        resource = "/".join(d["Value"] for d in metric["Dimensions"])
        if (resource, metric["MetricName"]) in self.missing:
            return []
        if statistic.startswith("p") and not self.percentiles and metric["Namespace"] == "AWS/ECS":
            return []
        last = min(end, int(self.now.timestamp()))
        if self.arrived_s is not None:
            last = min(last, self.arrived_s)
        first = max(start, self.first_s)
        first = -(-first // period) * period
        return [
            (second, value_at(resource, metric["MetricName"], statistic, second))
            for second in range(first, last, period)
        ]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cloudwatch: CloudWatch

    def log_message(self, *_: Any) -> None:
        return

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate(self.cloudwatch.now.timestamp(), usegmt=True)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        operation = self.headers["X-Amz-Target"].rsplit(".", 1)[-1]
        request = json.loads(body)
        world = self.cloudwatch
        with world.lock:
            world.calls.append(request)
            fault = world.faults.pop(0) if world.faults and operation == "GetMetricData" else None
        if fault is not None and fault(self, request):
            return
        if operation == "GetMetricData":
            answer = world.answer(request)
            if world.form == "cbor":
                self.send(200, to_cbor(answer), "application/cbor")
            else:
                self.send(200, json.dumps(answer).encode(), "application/x-amz-json-1.0")
        elif operation == "GetMetricStatistics":
            unit = world.units.get(request["MetricName"])
            points = [{"Timestamp": int(world.now.timestamp()), "SampleCount": 1.0, "Unit": unit}] if unit else []
            self.send_json({"Label": "label", "Datapoints": points})
        else:
            self.send_json({"Metrics": []})

    def send_json(self, answer: dict[str, Any], status: int = 200) -> None:
        self.send(status, json.dumps(answer).encode(), "application/x-amz-json-1.0")

    def send(self, status: int, body: bytes, kind: str, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length if length is not None else len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serve(world: CloudWatch) -> Iterator[CloudWatch]:
    """Run `world` on a free port; its address is `world.url`."""
    handler = type("Bound", (Handler,), {"cloudwatch": world})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    world.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield world
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def throttle(handler: Handler, _: dict[str, Any]) -> bool:
    handler.send_json({"__type": "ThrottlingException", "message": "Rate exceeded"}, 400)
    return True


def server_error(handler: Handler, _: dict[str, Any]) -> bool:
    handler.send_json({"__type": "InternalServiceFault", "message": "oops"}, 500)
    return True


def signature_expired(handler: Handler, _: dict[str, Any]) -> bool:
    message = "Signature expired: 20260513T115000Z is now earlier than 20260513T115500Z"
    handler.send_json({"__type": "InvalidSignatureException", "message": message}, 400)
    return True


def half_a_page(handler: Handler, request: dict[str, Any]) -> bool:
    """Promise the whole answer, send half of it, and drop the connection."""
    body = json.dumps(handler.cloudwatch.answer(request)).encode()
    handler.send(200, body[: len(body) // 2], "application/x-amz-json-1.0", length=len(body))
    handler.close_connection = True
    handler.connection.close()
    return True


def cut_json(handler: Handler, request: dict[str, Any]) -> bool:
    """Half an answer under a Content-Length that fits it: only decoding can tell."""
    body = json.dumps(handler.cloudwatch.answer(request)).encode()
    handler.send(200, body[: len(body) // 2], "application/x-amz-json-1.0")
    return True


def deny(metric: str) -> Fault:
    """Refuse every call that asks for `metric`."""

    def fault(handler: Handler, request: dict[str, Any]) -> bool:
        asked = {q["MetricStat"]["Metric"]["MetricName"] for q in request["MetricDataQueries"]}
        if metric in asked:
            message = f"not authorized to read {metric}"
            handler.send_json({"__type": "AccessDeniedException", "message": message}, 400)
            return True
        return False

    return fault


def to_cbor(value: Any, key: str = "") -> bytes:
    """A value in the form of the Smithy RPC v2 protocol: times are tag 1, numbers doubles."""
    if isinstance(value, dict):
        parts = b"".join(to_cbor(name) + to_cbor(item, name) for name, item in value.items())
        return _head(5, len(value)) + parts
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(to_cbor(item, key) for item in value)
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    return (b"\xc1" if key == "Timestamps" else b"") + b"\xfb" + struct.pack(">d", float(value))


def _head(major: int, length: int) -> bytes:
    if length < 24:
        return bytes([major << 5 | length])
    for info, size in ((24, 1), (25, 2), (26, 4)):
        if length < 1 << (8 * size):
            return bytes([major << 5 | info]) + length.to_bytes(size, "big")
    return bytes([major << 5 | 27]) + length.to_bytes(8, "big")
