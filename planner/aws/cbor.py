"""CBOR (RFC 8949) as the Smithy RPC v2 protocol uses it, with arrays of numbers read as one numpy array.

A datapoint is 9 bytes (0xfb and a double) or, for a time, 5 to 10 (tag 1 and a number). Arrays whose items
all have one form are a strided view of the bytes; mixed ones go through a small compiled loop.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_BREAK: Final = object()
_EPOCH_TAG: Final = 0xC1
_MANY: Final = 8
"""Shorter arrays are decoded item by item."""
_FORMS: Final = {
    (0xFB,): (">f8", 9),
    (0xFA,): (">f4", 5),
    (0x1A,): (">u4", 5),
    (0x1B,): (">u8", 9),
    (_EPOCH_TAG, 0xFB): (">f8", 10),
    (_EPOCH_TAG, 0x1A): (">u4", 6),
    (_EPOCH_TAG, 0x1B): (">u8", 10),
}
"""Leading bytes of an item -> the number that follows and the item's length."""
_NUMBERS: Final = frozenset({0xF9, 0xFA, 0xFB, *range(0x1C), *range(0x20, 0x3C)})


def loads(body: bytes) -> Any:
    """The one value in `body`; arrays of numbers become float64 arrays. Raises ValueError when cut off."""
    try:
        value, end = _item(body, 0)
    except (IndexError, struct.error, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"the CBOR is cut off or damaged: {error}") from None
    if end != len(body):
        raise ValueError(f"the CBOR has {len(body) - end} bytes too many")
    return value


def _item(body: bytes, at: int) -> tuple[Any, int]:
    head = body[at]
    major, info = head >> 5, head & 31
    if major == 7:
        return _simple(body, at)
    if info == 31:
        return (_BREAK, at + 1) if head == 0xFF else _indefinite(body, at, major)
    length, at = _argument(body, at)
    match major:
        case 0:
            return length, at
        case 1:
            return -1 - length, at
        case 2:
            return _slice(body, at, length), at + length
        case 3:
            return _slice(body, at, length).decode(), at + length
        case 4:
            return _array(body, at, length)
        case 5:
            return _map(body, at, length)
    return _item(body, at)  # a tag: only times carry one, and their number is all that is needed


def _argument(body: bytes, at: int) -> tuple[int, int]:
    info = body[at] & 31
    if info < 24:
        return info, at + 1
    if info > 27:
        raise ValueError(f"byte {body[at]:#x} at {at} is not CBOR")
    size = 1 << (info - 24)
    return int.from_bytes(_slice(body, at + 1, size), "big"), at + 1 + size


def _slice(body: bytes, at: int, length: int) -> bytes:
    if at + length > len(body):
        raise IndexError(f"{at + length - len(body)} bytes are missing")
    return body[at : at + length]


def _simple(body: bytes, at: int) -> tuple[Any, int]:
    match body[at]:
        case 0xF4:
            return False, at + 1
        case 0xF5:
            return True, at + 1
        case 0xF6 | 0xF7:
            return None, at + 1
        case 0xF9:
            return struct.unpack_from(">e", body, at + 1)[0], at + 3
        case 0xFA:
            return struct.unpack_from(">f", body, at + 1)[0], at + 5
        case 0xFB:
            return struct.unpack_from(">d", body, at + 1)[0], at + 9
        case 0xFF:
            return _BREAK, at + 1
    raise ValueError(f"byte {body[at]:#x} at {at} is not CBOR of a service")


def _map(body: bytes, at: int, length: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    for _ in range(length):
        key, at = _item(body, at)
        found[key], at = _item(body, at)
    return found, at


def _indefinite(body: bytes, at: int, major: int) -> tuple[Any, int]:
    if major not in (2, 3, 4, 5):
        raise ValueError(f"byte {body[at]:#x} at {at} is not CBOR")
    at += 1
    items: list[Any] = []
    while True:
        value, at = _item(body, at)
        if value is _BREAK:
            break
        items.append(value)
    match major:
        case 2:
            return b"".join(items), at
        case 3:
            return "".join(items), at
        case 5:
            return dict(zip(items[::2], items[1::2], strict=True)), at
    return items, at


def _array(body: bytes, at: int, length: int) -> tuple[Any, int]:
    if length >= _MANY and (body[at] in _NUMBERS or body[at] == _EPOCH_TAG):
        fast = _of_one_form(body, at, length)
        if fast is not None:
            return fast
        values = np.empty(length, dtype=np.float64)
        end = _compiled()(np.frombuffer(body, dtype=np.uint8), at, values)
        if end >= 0:
            return values, end
        if end == -1:
            raise IndexError("bytes are missing in an array of numbers")
    items = []
    for _ in range(length):
        value, at = _item(body, at)
        items.append(value)
    return items, at


def _of_one_form(body: bytes, at: int, length: int) -> tuple[NDArray[np.float64], int] | None:
    """The array as a strided view, where every item starts with the same bytes; None where not."""
    lead = (body[at],) if body[at] != _EPOCH_TAG else (_EPOCH_TAG, body[at + 1])
    if lead not in _FORMS:
        return None
    number, stride = _FORMS[lead]
    end = at + length * stride
    if end > len(body):
        return None
    rows = np.frombuffer(body, dtype=np.uint8, count=length * stride, offset=at).reshape(length, stride)
    if any(not (rows[:, place] == byte).all() for place, byte in enumerate(lead)):
        return None
    numbers = np.ndarray((length,), dtype=number, buffer=body, offset=at + len(lead), strides=(stride,))
    return numbers.astype(np.float64), end


@cache
def _compiled() -> Any:
    """The loop over an array of numbers of mixed forms: returns where the array ends, -1 where bytes are
    missing, -2 where an item is no number."""
    from numba import njit

    return njit(cache=True)(_mixed_numbers)


def _mixed_numbers(body: Any, at: int, values: Any) -> int:
    size = len(body)
    eight = np.empty(1, dtype=np.uint64)
    as_double = eight.view(np.float64)
    four = np.empty(1, dtype=np.uint32)
    as_float = four.view(np.float32)
    for place in range(len(values)):
        if at < size and body[at] == 0xC1:
            at += 1
        if at >= size:
            return -1
        head = int(body[at])
        at += 1
        major, info = head >> 5, head & 31
        width = 0
        if info >= 24:
            if info > 27:
                return -2
            width = 1 << (info - 24)
        if at + width > size:
            return -1
        bits = np.uint64(info if width == 0 else 0)
        for offset in range(width):
            bits = (bits << np.uint64(8)) | np.uint64(body[at + offset])
        at += width
        if major == 0:
            values[place] = float(bits)
        elif major == 1:
            values[place] = -1.0 - float(bits)
        elif major == 7 and width == 8:
            eight[0] = bits
            values[place] = as_double[0]
        elif major == 7 and width == 4:
            four[0] = np.uint32(bits)
            values[place] = as_float[0]
        elif major == 7 and width == 2:
            half = int(bits)
            exponent, fraction = (half >> 10) & 31, half & 1023
            number = fraction * 2.0**-24 if exponent == 0 else (1024 + fraction) * 2.0 ** (exponent - 25)
            if exponent == 31:
                number = np.inf if fraction == 0 else np.nan
            values[place] = -number if half >> 15 else number
        else:
            return -2
    return at
