"""Arrays of numbers in JSON, read into float64 at tens of millions a second.

A general JSON parser makes a Python object of every number first. Here the long arrays are cut out of the
text, read by a compiled loop, and only what is left goes through a parser. Every value is the double that
Python's own `float` gives: digits that fit a double times an exact power of ten are exact by one operation
(Clinger 1990); longer ones are divided in double-double arithmetic, and the rare one that lies too near the
middle of two doubles to be sure is given to `float`.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

WORTH_IT_BYTES: Final = 65_536
"""Below this a parser is as quick, and the compiled loop need not be loaded."""
_ARRAY: Final = re.compile(rb'"(Timestamps|Values)"\s*:\s*\[')
"""Cannot match inside a string: there the quote before the colon is written with a backslash."""
_EXACT_POWER: Final = 22
"""10**22 is the largest power of ten that is a double."""
_EXACT_DIGITS: Final = 2**53
_FEW_DIGITS: Final = 18
"""So many digits fit an unsigned 64-bit integer."""


def loads(body: bytes) -> Any:
    """The JSON in `body`, its Timestamps and Values as float64 arrays. Raises ValueError when cut off."""
    if len(body) < WORTH_IT_BYTES:
        return orjson.loads(body)
    arrays: list[NDArray[np.float64]] = []
    pieces: list[bytes] = []
    buffer = np.frombuffer(body, dtype=np.uint8)
    at = 0
    last_text, last_array = b"", np.empty(0)
    for found in _ARRAY.finditer(body):
        start = found.end()
        end = body.find(b"]", start)
        if end < 0:
            raise ValueError("an array of numbers is cut off")
        pieces += [body[at:start], b"%d" % len(arrays)]
        at = end
        if found[1] == b"Values":
            arrays.append(_numbers(body, buffer, start, end))
            continue
        text = body[start:end]  # the series of one answer mostly share their times
        if text != last_text:
            last_text, last_array = text, _numbers(body, buffer, start, end)
        arrays.append(last_array)
    skeleton = orjson.loads(b"".join([*pieces, body[at:]]))
    for result in skeleton.get("MetricDataResults") or ():
        for name in ("Timestamps", "Values"):
            if result.get(name):
                result[name] = arrays[result[name][0]]
    return skeleton


def _numbers(body: bytes, buffer: NDArray[np.uint8], start: int, end: int) -> NDArray[np.float64]:
    """The numbers between two brackets."""
    if not body[start:end].strip():
        return np.empty(0, dtype=np.float64)
    values = np.empty(body.count(b",", start, end) + 1, dtype=np.float64)
    hard = np.empty((len(values), 3), dtype=np.int64)
    hard_count = _compiled()(buffer, start, end, values, hard)
    if hard_count < 0:
        raise ValueError("an array of numbers is damaged")
    for place, first, last in hard[:hard_count].tolist():
        values[place] = float(body[first:last])
    return values


@cache
def _compiled() -> Any:
    from numba import njit

    return njit(cache=True)(_read_numbers)


_POWERS: Final = np.array([10.0**power for power in range(_EXACT_POWER + 1)])


def _read_numbers(body: Any, at: int, end: int, values: Any, hard: Any) -> int:
    """Fill `values`; returns how many rows of `hard` (place, first byte, last byte) were left to do, or -1
    for text that is no array of numbers."""
    hard_count = 0
    for place in range(len(values)):
        while at < end and body[at] <= 32:
            at += 1
        first = at
        negative = at < end and body[at] == 45
        if negative:
            at += 1
        mantissa = np.uint64(0)
        digits = 0
        seen = 0
        power = 0
        while at < end and 48 <= body[at] <= 57:
            if digits > 0 or body[at] != 48:
                digits += 1
                if digits <= _FEW_DIGITS:
                    mantissa = mantissa * np.uint64(10) + np.uint64(body[at] - 48)
            seen += 1
            at += 1
        if at < end and body[at] == 46:
            at += 1
            while at < end and 48 <= body[at] <= 57:
                if digits > 0 or body[at] != 48:
                    digits += 1
                    if digits <= _FEW_DIGITS:
                        mantissa = mantissa * np.uint64(10) + np.uint64(body[at] - 48)
                power -= 1
                seen += 1
                at += 1
        if seen == 0:
            return -1
        if at < end and (body[at] == 101 or body[at] == 69):
            at += 1
            down = at < end and body[at] == 45
            if at < end and (body[at] == 45 or body[at] == 43):
                at += 1
            exponent = 0
            exponent_digits = 0
            while at < end and 48 <= body[at] <= 57:
                if exponent < 10_000:
                    exponent = exponent * 10 + int(body[at]) - 48
                exponent_digits += 1
                at += 1
            if exponent_digits == 0:
                return -1
            power += -exponent if down else exponent
        last = at
        while at < end and body[at] <= 32:
            at += 1
        if place < len(values) - 1:
            if at >= end or body[at] != 44:
                return -1
            at += 1
        elif at != end:
            return -1
        value = 0.0
        sure = digits <= _FEW_DIGITS
        if sure and mantissa != np.uint64(0):
            if mantissa <= np.uint64(_EXACT_DIGITS) and -_EXACT_POWER <= power <= _EXACT_POWER:
                value = float(mantissa)
                value = value * _POWERS[power] if power >= 0 else value / _POWERS[-power]
            elif -_EXACT_POWER <= power < 0:
                # mantissa = high + low exactly; quotient = near + correction to about 100 bits
                divisor = _POWERS[-power]
                high = float(mantissa)
                whole = np.uint64(high)
                low = float(mantissa - whole) if mantissa >= whole else -float(whole - mantissa)
                near = high / divisor
                # near * divisor = product + error exactly (Dekker 1971)
                product = near * divisor
                split = 134217729.0 * near
                near_high = split - (split - near)
                near_low = near - near_high
                split = 134217729.0 * divisor
                divisor_high = split - (split - divisor)
                divisor_low = divisor - divisor_high
                error = (
                    (near_high * divisor_high - product) + near_high * divisor_low + near_low * divisor_high
                ) + near_low * divisor_low
                correction = ((high - product) - error + low) / divisor
                value = near + correction
                rest = correction - (value - near)
                # unsure when what was rounded off is within 2**-30 of half a unit in the last place
                unit = np.abs(np.nextafter(value, np.inf) - value)
                below = np.abs(value - np.nextafter(value, 0.0))
                gap = min(np.abs(np.abs(rest) - unit / 2), np.abs(np.abs(rest) - below / 2))
                sure = gap > unit * 1e-9
            else:
                sure = False
        if sure:
            values[place] = -value if negative else value
        else:
            hard[hard_count, 0] = place
            hard[hard_count, 1] = first
            hard[hard_count, 2] = last
            hard_count += 1
    return hard_count
