"""GetMetricData's answer in the Smithy RPC v2 CBOR protocol, written from numpy arrays.

boto3 asks CloudWatch in this protocol by default. Serialising a page of 100,800 points value by value
takes seconds; a page of fixed-width records is one array copy. CBOR: RFC 8949.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from deploy.sandbox.series import Floats, Ints

if TYPE_CHECKING:
    from deploy.sandbox.cloudwatch import Result

_TIMESTAMP = np.dtype([("tag", "u1"), ("head", "u1"), ("seconds", ">u4")])
_DOUBLE = np.dtype([("head", "u1"), ("value", ">f8")])


def metric_data_reply(results: Sequence[Result], token: str | None) -> tuple[int, dict[str, str], bytes]:
    """(status, headers, body) of a GetMetricData answer."""
    fields = [_text("MetricDataResults"), _head(4, len(results)), *(_result(r) for r in results)]
    fields += [_text("Messages"), _head(4, 0)]
    if token is not None:
        fields += [_text("NextToken"), _text(token)]
    body = _head(5, 3 if token is not None else 2) + b"".join(fields)
    return 200, {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}, body


def _result(result: Result) -> bytes:
    return b"".join(
        (
            _head(5, 5),
            _text("Id"),
            _text(result.query_id),
            _text("Label"),
            _text(result.label),
            _text("StatusCode"),
            _text("Complete" if result.complete else "PartialData"),
            _text("Timestamps"),
            _timestamps(result.timestamps),
            _text("Values"),
            _doubles(result.values),
        )
    )


def _head(major: int, size: int) -> bytes:
    """A CBOR item's head: major type and length."""
    if size < 24:
        return struct.pack(">B", major << 5 | size)
    if size < 1 << 8:
        return struct.pack(">BB", major << 5 | 24, size)
    if size < 1 << 16:
        return struct.pack(">BH", major << 5 | 25, size)
    return struct.pack(">BI", major << 5 | 26, size)


def _text(text: str) -> bytes:
    data = text.encode()
    return _head(3, len(data)) + data


def _timestamps(seconds: Ints) -> bytes:
    """Tag 1 (epoch time) over 4-byte unsigned integers."""
    records = np.empty(len(seconds), _TIMESTAMP)
    records["tag"], records["head"], records["seconds"] = 0xC1, 0x1A, seconds
    return _head(4, len(seconds)) + records.tobytes()


def _doubles(values: Floats) -> bytes:
    records = np.empty(len(values), _DOUBLE)
    records["head"], records["value"] = 0xFB, values
    return _head(4, len(values)) + records.tobytes()


def error_body(code: str, message: str) -> bytes:
    """An error document of the protocol."""
    return _head(5, 2) + _text("__type") + _text(code) + _text("message") + _text(message)
