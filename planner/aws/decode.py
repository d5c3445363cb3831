"""GetMetricData answers decoded at the speed of memory, from either wire form CloudWatch speaks.

botocore builds one Python object a datapoint, and a datetime with a time zone for each timestamp; that, not
the quota, bounds a pull. `decode` reads the same bytes into arrays. It is used in botocore's place for
successful answers only; signing, retries and errors stay botocore's.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from planner.aws import cbor, json_numbers

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

JSON_TYPES: Final = ("application/x-amz-json-1.0", "application/x-amz-json-1.1", "application/json")
CBOR_TYPE: Final = "application/cbor"


@dataclass(frozen=True, slots=True)
class Result:
    """One MetricDataResult; `status` is Complete, PartialData, InternalError or Forbidden."""

    id: str
    status: str
    timestamps_s: Ints
    values: Floats
    messages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    results: tuple[Result, ...]
    next_token: str | None
    messages: tuple[str, ...] = ()


def can_decode(content_type: str) -> bool:
    return content_type.split(";", 1)[0].strip().lower() in (*JSON_TYPES, CBOR_TYPE)


def decode(body: bytes, content_type: str) -> Answer:
    """The answer in `body`. Raises ValueError for bytes that are damaged or cut off."""
    kind = content_type.split(";", 1)[0].strip().lower()
    if not can_decode(kind):
        raise ValueError(f"an answer of type {content_type!r} cannot be decoded")
    try:
        return from_mapping(cbor.loads(body) if kind == CBOR_TYPE else json_numbers.loads(body))
    except (TypeError, KeyError, IndexError, struct.error) as error:
        raise ValueError(f"the answer is damaged: {error}") from None


def from_mapping(answer: Any) -> Answer:
    """The answer as arrays, from parsed JSON, CBOR or botocore's own dictionary."""
    if not isinstance(answer, dict):
        raise ValueError("the answer is not a structure")
    return Answer(
        tuple(_result(raw) for raw in answer.get("MetricDataResults") or ()),
        answer.get("NextToken") or None,
        _messages(answer),
    )


def _result(raw: dict[str, Any]) -> Result:
    times, values = _times(raw.get("Timestamps")), _numbers(raw.get("Values"))
    if len(times) != len(values):
        raise ValueError(f"result {raw.get('Id')!r} has {len(times)} timestamps and {len(values)} values")
    return Result(raw["Id"], raw.get("StatusCode") or "Complete", times, values, _messages(raw))


def _messages(raw: dict[str, Any]) -> tuple[str, ...]:
    return tuple(" ".join(str(m[k]) for k in ("Code", "Value") if m.get(k)) for m in raw.get("Messages") or ())


def _numbers(raw: Any) -> Floats:
    if isinstance(raw, np.ndarray):
        return raw
    return np.array(raw if raw is not None else (), dtype=np.float64)


def _times(raw: Any) -> Ints:
    """Seconds since 1970 from epoch numbers, botocore's datetimes or ISO 8601 text."""
    if isinstance(raw, np.ndarray):
        return np.rint(raw).astype(np.int64)
    if not raw:
        return np.empty(0, dtype=np.int64)
    if isinstance(raw[0], datetime):
        return np.array([moment.timestamp() for moment in raw], dtype=np.float64).astype(np.int64)
    if isinstance(raw[0], str):
        moments = [datetime.fromisoformat(text.replace("Z", "+00:00")) for text in raw]
        return np.array([moment.timestamp() for moment in moments], dtype=np.float64).astype(np.int64)
    return np.rint(np.array(raw, dtype=np.float64)).astype(np.int64)
